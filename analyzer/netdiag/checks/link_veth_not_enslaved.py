"""Host veth of a running container has no bridge master.

## What it finds
The host end of a running container's veth pair that is no port of its network's bridge, nor of any other.

## Why it matters
The container has no network at all: its gateway does not answer ARP, and nothing reaches it.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge whose device exists; both the
host's links and those of the container's namespace were collected. The two ends are joined because each names the
other's ifindex; the interface in the container is the one with the endpoint's address or MAC address.

## Not a problem when
The network's driver is macvlan, ipvlan or overlay, or a Kubernetes CNI that routes its veths owns the container.

## Repair
Make the veth a port of the bridge again; then keep systemd-networkd or NetworkManager from managing `veth*` and `br-*`.

## Verify
`bridge link` lists the veth, and the container's gateway answers.

## References
moby/moby#26492; moby/moby#40217; moby/moby#38942; systemd/systemd#979.
"""

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, bridge_networks, related, sh, veth_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host, VethPair
from netdiag.model.gates import collected


@check(Severity.ERROR, layer="link")
def link_veth_not_enslaved(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    attached = list(attachments(host, bridges))
    if not attached and not others:
        yield NotApplicable("no running container is on a bridge network")
    for attachment in attached:
        pair = veth_of(host, attachment)
        if pair is None:
            yield _cannot_join(host, attachment)
        elif pair.outer.master is None and host.root.link(attachment.bridge.device):
            yield _fault(attachment, pair)


def _cannot_join(host: Host, attachment: Attachment) -> Unjudged:
    container, network = attachment.container, attachment.endpoint.network
    collected_netns = host.namespace_of(container) is not None
    why = "no link there fits" if collected_netns else "the namespace was not collected"
    pid = container.pid or sh("$({} inspect -f '{{{{.State.Pid}}}}' {})", container.engine, container.name)
    ask = () if collected_netns else (f"nsenter -t {pid} -n ip -d addr",)
    return Unjudged(f"which veth carries {container.name} on network {network}", why, ("ip-addr",), ask)


def _fault(attachment: Attachment, pair: VethPair) -> Fault:
    container, device, veth = attachment.container, attachment.bridge.device, pair.outer.name
    return Fault(
        message=f"`{veth}` of container `{container.name}` is not a port of bridge `{device}`",
        subjects=(Subject("container", container.name), Subject("interface", veth), Subject("bridge", device)),
        evidence=(
            Evidence(pair.outer.span, "this veth has no master"),
            related(pair.inner.span, f"its other end, in container {container.name}"),
            related(attachment.endpoint.span, f"the container is on network {attachment.bridge.network.name}"),
        ),
        remedy=(sh("ip link set dev {} master {}", veth, device),),
        verify=(sh("bridge link show dev {}", veth),),
    )
