"""What several checks ask of the host's routing: where packets to containers go, why not to their bridge, and how a
route or a rule is written on the command line.
"""

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from netdiag.checks._addresses import wants_address
from netdiag.checks._base import NotApplicable, Unjudged
from netdiag.checks._docker import Attachment, BridgeNetwork, attachments, bridge_networks, related, sh
from netdiag.checks._subnets import Ranges, overlap
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Link, Neighbour, PolicyRule, Route, Subnet
from netdiag.model import Gate, Host, Namespace
from netdiag.model.gates import collected
from netdiag.model.knowledge import once
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup, Outcome

#: The rules that every namespace has.
_KERNEL_RULES = {("from all", f"lookup {table}") for table in ("local", "main", "default")}

#: Addresses of the internet; the first one that no route but a default one is for is taken.
_OUTSIDE = {
    4: tuple(ip_address(text) for text in ("100.128.0.1", "20.64.0.1", "150.1.0.1", "210.1.0.1", "62.1.0.1")),
    6: tuple(ip_address(text) for text in ("2600:1:2:3::4", "2a01:1:2:3::4", "2400:1:2:3::4", "2001:1000:2:3::4")),
}
#: Containers shown as evidence of one route.
_MOST_SHOWN = 5

_REFUSING = {"blackhole", "unreachable", "prohibit", "reject", "throw"}


class Cause(Enum):
    """Why packets to an address of a bridge network do not go to its bridge."""

    OTHER_WAY = "a route leads them elsewhere"
    REFUSED = "a route refuses them"
    RULE = "a policy rule takes them first"
    NO_ROUTE = "the subnet has no route by its bridge"


@dataclass(frozen=True)
class Astray:
    """An address of a bridge network that the host does not find behind its bridge. `attachment` is None for an address
    that no container has, which stands for a subnet without running containers.
    """

    bridge: BridgeNetwork
    subnet: Subnet
    address: IpAddress
    lookup: Lookup
    cause: Cause
    attachment: Attachment | None = None


def routed_networks(host: Host, *gates: Gate) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    """The bridge networks, when the routes of the host were collected; and what to say of others."""
    return bridge_networks(host, collected(host.root.routes, "the routes of the host"), *gates)


def addresses_on(host: Host, bridges: list[BridgeNetwork]) -> Iterator[tuple[Attachment, Subnet, IpAddress]]:
    """The addresses of running containers on these networks that the host should find behind the bridge."""
    by_network = {bridge.network.id: _subnets(host, bridge) for bridge in bridges}
    for attachment in attachments(host, bridges):
        endpoint = attachment.endpoint
        for address in (endpoint.address, endpoint.address6):
            for subnet in by_network[endpoint.network_id] if address else ():
                if address and address.ip in subnet.subnet:
                    yield attachment, subnet, address.ip


def _subnets(host: Host, bridge: BridgeNetwork) -> list[Subnet]:
    """The subnets that the host shall have a route to by the bridge, in the families whose routes were collected."""
    link = host.root.link(bridge.device)
    if link is None or link.up is False or _is_in_vrf(host.root, link):
        return []
    return [
        subnet
        for subnet in bridge.network.subnets
        if wants_address(host, bridge.network, subnet.subnet.version).yes
        and (subnet.subnet.version == 4 or host.root.ipv6_routes.items)
    ]


def _is_in_vrf(netns: Namespace, link: Link) -> bool:
    """The routes of a port of a VRF stand in the VRF's own table."""
    master = netns.link(link.master) if link.master else None
    return master is not None and master.kind == "vrf"


@once
def astray(host: Host) -> tuple[Astray, ...]:
    """The addresses of bridge networks that the host does not find behind their bridges."""
    bridges, found = routed_networks(host)[0], []
    probed: dict[str, set[Subnet]] = defaultdict(set)
    for attachment, subnet, address in addresses_on(host, bridges):
        probed[attachment.bridge.network.id].add(subnet)
        found.append(_lost(host, attachment.bridge, subnet, address, attachment))
    # a bridge without containers has no carrier, and a route that the kernel may pass over for that
    connected = {
        (hop.device, route.destination)
        for route in (*host.root.routes, *host.root.ipv6_routes)
        for hop in route.next_hops
    }
    found += [
        _lost(host, bridge, subnet, subnet.subnet[-2], None)
        for bridge in bridges
        for subnet in _subnets(host, bridge)
        if subnet not in probed[bridge.network.id] and subnet.subnet.num_addresses > 4
        if (bridge.device, subnet.subnet) not in connected
    ]
    return tuple(each for each in found if each)


def _lost(
    host: Host, bridge: BridgeNetwork, subnet: Subnet, address: IpAddress, attachment: Attachment | None
) -> Astray | None:
    lookup = host.root.routing.look_up(Packet(address))
    cause = cause_of(lookup, bridge, subnet)
    return Astray(bridge, subnet, address, lookup, cause, attachment) if cause else None


def cause_of(lookup: Lookup, bridge: BridgeNetwork, subnet: Subnet) -> Cause | None:
    """Why an answer is not "by the bridge"; None when it is, and when it cannot be told."""
    if lookup.outcome in (Outcome.UNKNOWN, Outcome.LOCAL, Outcome.BROADCAST, Outcome.REFUSED):
        return None
    if lookup.outcome is Outcome.UNICAST and lookup.device == bridge.device and lookup.gateway is None:
        return None
    if not is_kernels(lookup.rule):
        return Cause.RULE
    if lookup.route is None or lookup.route.destination.prefixlen < subnet.subnet.prefixlen:
        return Cause.NO_ROUTE
    return Cause.OTHER_WAY if lookup.outcome is Outcome.UNICAST else Cause.REFUSED


def is_kernels(rule: PolicyRule | None) -> bool:
    """One of the rules that a namespace has from its beginning; None where the rules were not collected."""
    return rule is None or (rule.selector, rule.action) in _KERNEL_RULES


def outside(netns: Namespace, version: int = 4) -> IpAddress:
    """An address of the internet that the namespace has no route of its own to."""
    routes = netns.routes if version == 4 else netns.ipv6_routes
    narrow = [route.destination for route in routes if route.destination.prefixlen > 3]
    free = (address for address in _OUTSIDE[version] if not any(address in network for network in narrow))
    return next(free, _OUTSIDE[version][0])


@dataclass(frozen=True)
class Intruder:
    """A route of the table main into a subnet of a bridge network, by another way than its bridge. `hit` are the
    addresses of running containers that it takes.
    """

    bridge: BridgeNetwork
    subnet: Subnet
    route: Route
    hit: tuple[Astray, ...]

    @property
    def affects(self) -> tuple[Subject, ...]:
        return tuple(Subject("container", name) for name in containers_of(self.hit))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The route, the network's subnet, and the containers whose addresses it takes."""
        network = self.bridge.network
        key = "IPAddress" if self.subnet.subnet.version == 4 else "GlobalIPv6Address"
        return (
            Evidence(self.route.span, "the kernel takes this route"),
            related(self.subnet.span, f"network {network.name} has {self.subnet.subnet}"),
            *(
                related(
                    each.attachment.endpoint.place.at(key).span,
                    f"{each.attachment.container.name} has {each.address}",
                )
                for each in self.hit[:_MOST_SHOWN]
                if each.attachment
            ),
        )

    @property
    def severity(self) -> Severity:
        """An error when it takes a running container's address, a warning when only one that a container may get."""
        return Severity.ERROR if self.hit else Severity.WARNING

    @property
    def confidence(self) -> Confidence:
        return Confidence.HIGH if all(each.lookup.certain for each in self.hit) else Confidence.MEDIUM

    @property
    def asked(self) -> str:
        """The command that shows which way the kernel takes."""
        return route_asked(self.hit[0].address if self.hit else self.route.destination[0])


def intruders(host: Host, bridges: list[BridgeNetwork]) -> Iterator[Intruder]:
    """The routes into subnets of these networks that take packets away from containers, or would take them as soon as a
    container had the address.
    """
    taken: dict[int, list[Astray]] = defaultdict(list)
    lost: dict[str, list[Astray]] = defaultdict(list)
    for each in astray(host):
        if each.attachment and each.lookup.route and each.cause in (Cause.OTHER_WAY, Cause.REFUSED):
            taken[id(each.lookup.route)].append(each)
        elif each.attachment and each.cause is Cause.NO_ROUTE:
            lost[each.bridge.network.id].append(each)
    by_version = {version: Ranges((r.destination, r) for r in _of_main(host, version)) for version in (4, 6)}
    for bridge in bridges:
        for subnet in _subnets(host, bridge):
            for route in by_version[subnet.subnet.version].overlapping(subnet.subnet):
                if route.destination.prefixlen < subnet.subnet.prefixlen or _is_by(route, bridge):
                    continue
                hit = taken.get(id(route), [])
                if route.type == "throw":
                    hit = [each for each in lost[bridge.network.id] if each.address in route.destination]
                narrower = route.destination.prefixlen > subnet.subnet.prefixlen
                if hit or (narrower and overlap(route.destination, subnet.range or subnet.subnet)):
                    yield Intruder(bridge, subnet, route, tuple(hit))


def _of_main(host: Host, version: int) -> Iterator[Route]:
    for route in host.root.routes if version == 4 else host.root.ipv6_routes:
        if route.table in (None, "main") and (route.type == "unicast" or refuses(route)):
            yield route


def _is_by(route: Route, bridge: BridgeNetwork) -> bool:
    """A route to what is on the bridge itself."""
    return any(hop.device == bridge.device and hop.gateway is None for hop in route.next_hops)


def lone_machine(host: Host, link: Link, besides: Collection[IpAddress] = ()) -> Neighbour | None:
    """The only machine on the link's networks that answers, None when there are several or none: it must be the router,
    where nothing tells who is.
    """
    networks = [address.address.network for address in link.addresses if address.address.version == 4]
    found = {
        entry.address: entry
        for entry in host.root.neighbours
        if entry.device == link.name and entry.mac and any(entry.address in network for network in networks)
    }
    answering = [entry for address, entry in found.items() if address not in besides]
    return answering[0] if len(answering) == 1 else None


def refuses(route: Route) -> bool:
    """The route says that there is no way."""
    return route.type in _REFUSING


def words_of_route(route: Route) -> str:
    """The route as `ip route` takes it and prints it."""
    hop = route.next_hops[0] if len(route.next_hops) == 1 else None
    words = [] if route.type == "unicast" else [route.type]
    words.append("default" if not route.destination.prefixlen else str(route.destination))
    if hop and hop.gateway and not refuses(route):
        words += ["via", str(hop.gateway)]
    if hop and hop.device and not refuses(route):
        words += ["dev", hop.device]
    if route.metric:
        words += ["metric", str(route.metric)]
    if route.table not in (None, "main"):
        words += ["table", str(route.table)]
    return " ".join(words)


def tool(version: int) -> str:
    """The command for routes and rules of this family."""
    return "ip -6" if version == 6 else "ip"


def route_deleted(route: Route) -> str:
    words = shlex.join(words_of_route(route).split())
    return f"{tool(route.destination.version)} route del {words}"


def rule_deleted(rule: PolicyRule) -> str:
    words = shlex.join(f"{rule.selector} {rule.action}".split())
    return f"{tool(6 if rule.family == 'ipv6' else 4)} rule del pref {rule.priority} {words}"


def route_asked(address: IpAddress) -> str:
    """The command that asks the kernel for the way to an address."""
    return sh("ip route get {}", address)


def subject_of(route: Route) -> Subject:
    return Subject("route", words_of_route(route))


def containers_of(found: Iterable[Astray]) -> list[str]:
    """The names of the containers, each once."""
    return list(dict.fromkeys(each.attachment.container.name for each in found if each.attachment))
