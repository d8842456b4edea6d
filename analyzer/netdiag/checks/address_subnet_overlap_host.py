"""Docker subnet overlaps a network that the host is on.

## What it finds
A subnet of a bridge network that overlaps a network on another link of the host (LAN, VPN, another bridge), hides one
that the host has a route to, or holds the address of a name server.

## Why it matters
Neither the host nor any container reaches the machines behind an address that both have: the packets stay on the
bridge, or those for containers leave by the other link. When a name server is among them, no name resolves.

## How it is decided
Gates: the engine is here; the network is a local bridge; the routes of the host were collected. Compared are the routes
of the table main by links that are no bridges of the engine. It is an error when the host has an address in a network
that is equal to the subnet or inside it, when the neighbour table shows machines of the other network with addresses of
the subnet, or when a name server has one and is neither a container nor the host itself. It is a warning when the
host's other network lies around the subnet, or when a route has the very same prefix: all of it is hidden. A wider
route by a gateway or a tunnel is a note, one for the host: often it is an aggregate of which nobody uses that part.
Routes by a gateway or a tunnel into the subnet are `route-shadowed`; the very same prefix on a bridge without ports is
`link-dual-connected-route`; an IPv6 subnet cut out of the uplink's prefix is `ipv6-gua-no-return-route`.

## Not a problem when
The route is one of the two halves of a VPN's default route; or the addresses of the subnet are reserved for it in the
LAN. Overlay networks never are in the host's routes.

## Repair
Give the network another subnet, and the engine pools that the LAN does not use (`default-address-pools` and `bip` in
daemon.json).

## Verify
The subnets differ: `ip route get` to a machine of the LAN answers with its link.

## References
docker/for-win#58; docker/for-win#1838; docker/for-win#2769; bitwarden/server#947; moby/libnetwork#2001;
moby libnetwork/netutils (InferReservedNetworks); docs.docker.com/engine/daemon (default-address-pools).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, other_networks, related, sh
from netdiag.checks._renumber import renumbered
from netdiag.checks._subnets import Ranges, idle_bridges, main_routes, spare_like
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, IpNetwork, NameServer, Neighbour, Route, Subnet
from netdiag.model import Host
from netdiag.model.gates import bridge_name, collected

_MOST_SHOWN = 5


@dataclass(frozen=True)
class _Clash:
    """A subnet of a bridge network with what overlaps it: routes by other links, and name servers."""

    bridge: BridgeNetwork
    subnet: Subnet
    routes: tuple[Route, ...]
    servers: tuple[NameServer, ...]

    @property
    def connected(self) -> tuple[Route, ...]:
        """The routes to networks that the host itself has an address in."""
        return tuple(route for route in self.routes if route.protocol == "kernel" and not _gateways(route))

    @property
    def serious(self) -> tuple[Route, ...]:
        """Those that are not merely wider."""
        same = (route for route in self.routes if route.destination == self.subnet.subnet)
        return tuple({id(route): route for route in (*self.connected, *same)}.values())


@check(Severity.ERROR, layer="address", symptom_of=("link-stale-bridge",))
def address_subnet_overlap_host(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.routes, "which networks the host has routes to"))
    yield from others
    yield from other_networks(host)
    seen: dict[str, list[Neighbour]] = defaultdict(list)
    for entry in host.root.neighbours:
        if entry.mac:
            seen[entry.device].append(entry)
    wider: list[_Clash] = []
    for clash in _clashes(host, bridges):
        if clash.serious or clash.servers:
            yield _fault(host, clash, seen)
        else:
            wider.append(clash)
    if wider:
        yield _partly_hidden(host, wider)


def _clashes(host: Host, bridges: list[BridgeNetwork]) -> Iterator[_Clash]:
    devices = {bridge_name(host, network) for network in host.networks if network.driver in ("bridge", None)}
    versions = (4, 6) if host.root.ipv6_routes.items else (4,)
    routes = Ranges(
        (route.destination, route)
        for version in versions
        for route in main_routes(host, version)
        if not devices & {hop.device for hop in route.next_hops} and not route.destination.is_link_local
    )
    own = {address.address.ip for link in host.root.links for address in link.addresses}
    own |= {address for container in host.containers for address in host.addresses_of(container)}
    servers = Ranges((ip_network(s.address), s) for s in host.root.name_servers if s.address not in own)
    for bridge in bridges:
        for subnet in bridge.network.subnets:
            around = tuple(
                route
                for route in routes.overlapping(subnet.subnet)
                if not _is_others(route, subnet.subnet) and not idle_bridges(host, route, subnet.subnet)
            )
            inside = tuple(servers.overlapping(subnet.subnet))
            if around or inside:
                yield _Clash(bridge, subnet, around, inside)


def _gateways(route: Route) -> list[IpAddress]:
    return [hop.gateway for hop in route.next_hops if hop.gateway]


def _is_others(route: Route, subnet: IpNetwork) -> bool:
    """A route that somebody made into a part of the subnet takes packets away: that is `route-shadowed`. In IPv6 it is
    usual to cut a subnet out of the uplink's prefix, for `ipv6-gua-no-return-route` to judge.
    """
    if subnet.version == 6 and route.destination.prefixlen < subnet.prefixlen:
        return True
    return route.protocol != "kernel" and route.destination.prefixlen > subnet.prefixlen


def _devices(routes: tuple[Route, ...]) -> list[str]:
    return list(dict.fromkeys(hop.device for route in routes for hop in route.next_hops if hop.device))


def _fault(host: Host, clash: _Clash, seen: Mapping[str, list[Neighbour]]) -> Fault:
    network, subnet, devices = clash.bridge.network, clash.subnet.subnet, _devices(clash.connected)
    machines = [entry for device in devices for entry in seen.get(device, ()) if entry.address in subnet]
    inside = any(route.destination.prefixlen >= subnet.prefixlen for route in clash.connected)
    what = [f"{route.destination} on `{', '.join(_devices((route,)))}`" for route in clash.serious]
    what += [f"name server {server.address}" for server in clash.servers]
    evidence = [Evidence(route.span, f"this is another way to {route.destination}") for route in clash.serious]
    evidence += [Evidence(server.span, "this name server is taken for a container") for server in clash.servers]
    return Fault(
        message=f"{subnet} of network `{network.name}` overlaps {' and '.join(what)}",
        subjects=(*clash.bridge.subjects, *(_subject_of_link(host, device) for device in devices)),
        evidence=(
            *evidence,
            related(clash.subnet.span, f"network {network.name} has {subnet}"),
            *(
                related(entry.span, f"a machine on {entry.device} has {entry.address}")
                for entry in machines[:_MOST_SHOWN]
            ),
        ),
        remedy=renumbered(host, network, spare_like(host, subnet)),
        verify=(sh("{} network inspect {}", network.engine, network.name), "ip route show"),
        severity=None if inside or machines or clash.servers else Severity.WARNING,
    )


def _subject_of_link(host: Host, device: str) -> Subject:
    link = host.root.link(device)
    return Subject("bridge" if link and link.kind == "bridge" else "interface", device)


def _partly_hidden(host: Host, clashes: list[_Clash]) -> Fault:
    parts = [f"{c.subnet.subnet} of network `{c.bridge.network.name}` in {c.routes[0].destination}" for c in clashes]
    more = f" and {len(parts) - _MOST_SHOWN} more" if len(parts) > _MOST_SHOWN else ""
    return Fault(
        message=f"machines behind routes of the host are not reached where networks hide them: "
        f"{', '.join(parts[:_MOST_SHOWN])}{more}",
        subjects=tuple(Subject("network", clash.bridge.network.name) for clash in clashes),
        evidence=tuple(
            item
            for clash in clashes[:_MOST_SHOWN]
            for item in (
                Evidence(clash.routes[0].span, f"{clash.subnet.subnet} is a part of this"),
                related(clash.subnet.span, f"network {clash.bridge.network.name} has {clash.subnet.subnet}"),
            )
        ),
        remedy=tuple(
            command
            for clash in clashes[:_MOST_SHOWN]
            for command in renumbered(host, clash.bridge.network, spare_like(host, clash.subnet.subnet))
        ),
        verify=("ip route show",),
        severity=Severity.NOTE,
    )
