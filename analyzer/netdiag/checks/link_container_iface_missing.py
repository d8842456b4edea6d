"""Docker says the container is attached, its netns has no such interface.

## What it finds
A running container with an endpoint on a bridge network, in whose namespace no interface has the endpoint's address or
MAC address.

## Why it matters
The container is cut off from this network although `docker inspect` and `docker network inspect` show it as connected.
When it was the container's only network, just `lo` is left in it.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; all links of the namespace were
collected; the engine gave the endpoint an address. A veth in the container that leads to the network's own bridge is
its interface as well, whatever address somebody gave it.

## Not a problem when
The container has the network mode host, none or `container:X`; or it is being started or restarted while the bundle is
collected.

## Repair
Restart the container, or connect it anew (`docker network disconnect -f`, then `docker network connect`). Then look for
what deleted the interface: a process with the capability NET_ADMIN, or an engine that died while it set the container
up.

## Verify
The interface is there and has the endpoint's address.

## References
moby/moby#23407; moby/libnetwork#1926.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import Attachment, attachments, bridge_networks, interface_of, related, sh
from netdiag.checks._veths import in_namespace
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host, Namespace
from netdiag.model.gates import collected, is_settled, unknown


@check(Severity.ERROR, layer="link", symptom_of=("address-subnet-overlap-docker",))
def link_container_iface_missing(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    attached = [each for each in attachments(host, bridges) if each.endpoint.address]
    if not attached and not others:
        yield NotApplicable("no running container is on a bridge network")
    for attachment in attached:
        container, network = attachment.container, attachment.endpoint.network
        netns = host.namespace_of(container)
        if netns is None or not netns.links.whole:
            what = f"whether {container.name} has its interface on network {network}"
            yield unjudged(unknown(what, "ip_addr", because="not all links of its namespace were collected"))
        elif netns.link_of(attachment.endpoint) is None and not _another_way(host, netns, attachment):
            settled = is_settled(host, f"container {container.name}", container.started)
            yield _fault(netns, attachment) if settled.yes else unjudged(settled)


def _another_way(host: Host, netns: Namespace, attachment: Attachment) -> bool:
    """The container has a veth on the network's bridge that neither the endpoint's address nor its MAC tells."""
    pairs = (host.veth_pair_of(netns, link) for link in netns.links)
    return any(pair.outer.master == attachment.bridge.device for pair in pairs if pair)


def _fault(netns: Namespace, attachment: Attachment) -> Fault:
    container, endpoint = attachment.container, attachment.endpoint
    names = ", ".join(link.name for link in netns.links)
    return Fault(
        message=f"container `{container.name}` has no interface on network `{endpoint.network}`",
        subjects=(Subject("container", container.name), Subject("network", endpoint.network)),
        evidence=(
            Evidence(endpoint.place.at("IPAddress").span, "the engine gave the container this address"),
            *(related(link.span, f"the container has only {names}") for link in netns.links.items[:1]),
        ),
        remedy=(sh("{} restart {}", container.engine, container.name),),
        verify=(in_namespace(attachment.container, "ip addr"),),
        affects=(interface_of(container, endpoint),),
    )
