"""VXLAN source IP chosen by kernel ≠ advertised data-path address.

## What it finds
A node of a swarm that sends its tunnels' packets with another source address than the one that the other nodes know it
by.

## Why it matters
The other nodes have entered this node's containers behind the address that it told them. The kernel of the other node
drops packets that come from another one (`VXLAN_ENTRY_EXISTS`), without a word in any log: requests arrive, answers do
not.

## How it is decided
Gates: the engine is in a swarm; routes, policy rules and addresses of the host are known. The tunnel has no address of
its own, so the kernel takes the one that it would take for the other node. The source address for each other node that
has endpoints on an overlay network is looked up as `ip route get` does; it must be the node's address of `docker info`,
or one by which the networks' peers list this node.

## Not a problem when
The route is not certain, because rules ask for marks.

## Repair
Let the route to the other node have the right source; or make the node join again with the address that it really sends
from (`--advertise-addr`, `--data-path-addr`).

## Verify
`ip route get` of the other node shows the right source; containers of both nodes reach each other.

## References
moby/moby#53004; kernel drivers/net/vxlan (vxlan_snoop); docs.docker.com/reference/cli/docker/swarm/init
(--data-path-addr).
"""

from ipaddress import ip_network

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import other_peers, own_addresses, swarm_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, NetworkPeer, Swarm
from netdiag.model import Host, Lookup, Packet
from netdiag.model.gates import unknown, whole
from netdiag.model.knowledge import all_of


@check(Severity.ERROR, layer="overlay")
def overlay_data_path_addr_mismatch(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    peers = other_peers(host, swarm)
    if not peers:
        yield NotApplicable("no other node has endpoints on an overlay network")
        return
    known = all_of(whole(host.root.routes, "the routes of the host"), whole(host.root.rules, "its policy rules"))
    if not known.yes or not host.root.addresses_known:
        yield unjudged(known if not known.yes else unknown("the addresses of the host", "ip_addr"))
        return
    own = own_addresses(host, swarm)
    if not own:
        yield unjudged(unknown("by which address the other nodes know this one", "docker_info"))
        return
    for peer in peers:
        found = host.root.routing.look_up(Packet(peer.address))
        if found.certain and found.source and found.source not in own:
            yield _fault(swarm, peer, found, found.source, own)


def _fault(swarm: Swarm, peer: NetworkPeer, found: Lookup, source: IpAddress, own: frozenset[IpAddress]) -> Fault:
    right = swarm.node_address or next(iter(sorted(own, key=str)))
    via = sh("via {} ", found.gateway) if found.gateway else ""
    destination = ip_network(peer.address)
    return Fault(
        message=f"tunnels to node {peer.address} leave with the address {source}, and the other nodes know this one as "
        f"{right}",
        subjects=(Subject("address", str(source)), Subject("address", str(peer.address))),
        evidence=(
            Evidence(found.route.span if found.route else peer.span, f"this route gives them {source}"),
            related(swarm.span, f"the swarm knows this node as {right}"),
            related(peer.span, "the other node"),
        ),
        remedy=(sh(f"ip route replace {{}} {via}dev {{}} src {{}}", destination, found.device, right),),
        verify=(f"ip route get {peer.address}",),
    )
