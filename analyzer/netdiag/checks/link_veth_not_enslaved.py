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

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, enslave
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host


@check(Severity.ERROR, layer="link", symptom_of=("link-nm-or-networkd-managed",))
def link_veth_not_enslaved(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    for port in ports:
        if port.outer.master is None and host.root.link(port.bridge):
            yield _fault(host, port)


def _fault(host: Host, port: ContainerPort) -> Fault:
    veth = port.outer.name
    return Fault(
        message=f"`{veth}` of container `{port.container}` is not a port of bridge `{port.bridge}`",
        subjects=(*port.subjects, Subject("bridge", port.bridge)),
        evidence=(
            Evidence(port.outer.span, "this veth has no master"),
            related(port.inner.span, f"its other end, in container {port.container}"),
            related(port.attachment.endpoint.span, f"the container is on network {port.network}"),
        ),
        remedy=enslave(host, [veth], port.bridge),
        verify=(sh("bridge link show dev {}", veth),),
    )
