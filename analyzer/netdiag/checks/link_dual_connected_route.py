"""Two interfaces own the same Docker subnet (old bridge shadows new).

## What it finds
A bridge that nobody is connected to any more and that has an address in the subnet of a Docker network, with the same
prefix, so that the host has two connected routes to the network.

## Why it matters
Of two equal connected routes the kernel takes the one that was made first. When that is the old bridge's, the host and
everybody outside send the packets for the containers into a bridge without ports.

## How it is decided
Gates: the engine is here; the network is a local bridge; the routes and links of the host were collected. The other
link is a bridge without ports, its route has the prefix of the network's subnet. It is an error when the host's routing
gives the other link for an address of the network, else a warning: at the next `down` and `up` of the network's own
bridge it will.

## Not a problem when
The other link is the macvlan by which the host reaches its own macvlan containers. A LAN with the prefix of a network
is address-subnet-overlap-host, a bridge with the name of a deleted network link-stale-bridge.

## Repair
Take the address away from the old bridge, or delete the bridge.

## Verify
`ip route get` to a container answers with the network's own bridge.

## References
moby/moby#13381; docker/for-linux#123; kernel net/ipv4/fib_trie.c (fib_table_insert).
"""

from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, other_networks, related, sh
from netdiag.checks._subnets import idle_bridges, main_routes
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpNetwork, Link, Route, Subnet
from netdiag.model import Host
from netdiag.model.gates import bridge_name, collected
from netdiag.model.policy import Packet


@check(Severity.ERROR, layer="link", symptom_of=("link-stale-bridge",))
def link_dual_connected_route(host: Host) -> Verdicts:
    bridges, others = bridge_networks(
        host,
        collected(host.root.links, "the links of the host"),
        collected(host.root.routes, "the routes of the host"),
    )
    yield from others
    yield from other_networks(host)
    connected: dict[IpNetwork, list[Route]] = defaultdict(list)
    for route in main_routes(host):
        connected[route.destination].append(route)
    own = {bridge_name(host, network) for network in host.networks}
    for bridge in bridges:
        for subnet in bridge.network.subnets:
            for route in connected[subnet.subnet]:
                for link in idle_bridges(host, route, subnet.subnet):
                    if link.name not in own:
                        yield _fault(host, bridge, subnet, route, link, connected[subnet.subnet])


def _fault(
    host: Host, bridge: BridgeNetwork, subnet: Subnet, route: Route, link: Link, connected: list[Route]
) -> Fault:
    addresses = [each for each in link.addresses if each.address.network == subnet.subnet]
    own = next((r for r in connected if any(hop.device == bridge.device for hop in r.next_hops)), None)
    last = subnet.subnet.broadcast_address - 1  # like that of a container, and hardly ever the host's own
    wins = host.root.routing.route_of(Packet(last)).device == link.name
    evidence = [Evidence(route.span, f"a route to the network by {link.name}")]
    evidence += [related(each.span, f"the address of {link.name}") for each in addresses]
    if own:
        evidence.append(related(own.span, f"the network's own route, by {bridge.device}"))
    evidence.append(related(subnet.span, f"network {bridge.network.name} has {subnet.subnet}"))
    effect = "and takes its packets" if wins else "too"
    return Fault(
        message=(
            f"bridge `{link.name}`, which has no ports, has a route to {subnet.subnet} of network "
            f"`{bridge.network.name}` {effect}"
        ),
        subjects=(*bridge.subjects, Subject("bridge", link.name)),
        evidence=tuple(evidence),
        remedy=tuple(sh("ip addr del {} dev {}", each.address, link.name) for each in addresses),
        verify=(sh("ip route show {}", subnet.subnet),),
        severity=None if wins else Severity.WARNING,
    )
