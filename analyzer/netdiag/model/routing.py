"""Where the kernel sends a packet: what `ip route get` would answer in a network namespace.

Policy rules in the order of their priority, in each table the longest prefix, then the type of service, then the
metric, and last the source address. Read from Linux 6.x (route.c, fib_trie.c, fib_semantics.c and fib_frontend.c in
net/ipv4, route.c and fib6_rules.c in net/ipv6), and held against `ip route get` of real kernels in
tests/live/test_route_oracle.py.

A namespace that never had a policy rule looks up the IPv4 tables local and main as one. That differs from one after the
other only when main has a longer prefix inside a prefix of local; no output tells which of the two it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

from netdiag.formats.records import IpAddress, Link, NextHop, NextHopObject, PolicyRule, Route
from netdiag.model.knowledge import Facts, Truth
from netdiag.model.policy import Condition, Packet
from netdiag.model.source_address import Ipv6Sources, ipv4_source
from netdiag.spans import Source

if TYPE_CHECKING:
    from netdiag.model.host import Namespace

_BITS = {4: 32, 6: 128}
_FAMILIES = {4: "ipv4", 6: "ipv6"}
_LIMITED_BROADCAST = IPv4Address("255.255.255.255")
_LOOPBACK = "lo"
_LOOPBACK_ADDRESS = IPv4Address("127.0.0.1")
_PREFERENCE = {"low": 1, "medium": 2, "high": 3}

#: The rules that the kernel makes itself; IPv6 has none for the table default.
_KERNEL_RULES = {
    4: ((0, "local"), (32766, "main"), (32767, "default")),
    6: ((0, "local"), (32766, "main")),
}


class Outcome(Enum):
    """What becomes of a packet: the type of the route that it finds, or why there is none."""

    UNICAST = "unicast"  #: it leaves by a device
    LOCAL = "local"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    ANYCAST = "anycast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    NO_ROUTE = "no route"
    NOT_FORWARDED = "not forwarded"  #: the namespace does not forward what comes in there
    REFUSED = "refused"  #: with these addresses it is refused there (a martian, or the reverse path filter)
    UNKNOWN = "unknown"


_REFUSED_BY_ROUTE = {
    "blackhole": Outcome.BLACKHOLE,
    "unreachable": Outcome.UNREACHABLE,
    "prohibit": Outcome.PROHIBIT,
    "reject": Outcome.UNREACHABLE,
}
#: In IPv4 a rule that says unreachable is no route.
_REFUSED_BY_RULE = {**_REFUSED_BY_ROUTE, "unreachable": Outcome.NO_ROUTE}
_DELIVERED = {kind.value: kind for kind in (Outcome.UNICAST, Outcome.LOCAL, Outcome.BROADCAST, Outcome.ANYCAST)}


@dataclass(frozen=True)
class Hop:
    """One way out: `gateway` is None when the destination is on the link itself; `source` is what the host would choose
    as its own address, None when it is given or there is none.
    """

    device: str | None
    gateway: IpAddress | None = None
    source: IpAddress | None = None


@dataclass(frozen=True)
class Lookup:
    """The answer to one packet. `hops` are several when the kernel spreads packets over them, and empty when nothing
    leaves.

    `route` and `rule` are those that decided; `rule` is None for the rules that the kernel makes itself when the bundle
    does not show them. `doubt` says why the answer is not certain, `depends_on` names the rule that cannot be judged;
    when that leads to different answers, the outcome is UNKNOWN and `ways` are these answers.
    """

    outcome: Outcome
    hops: tuple[Hop, ...] = ()
    table: str | None = None
    route: Route | None = None
    rule: PolicyRule | None = None
    doubt: str = ""
    depends_on: PolicyRule | None = None
    ways: "tuple[Lookup, ...]" = ()

    @property
    def certain(self) -> bool:
        return not self.doubt

    @property
    def device(self) -> str | None:
        """The device that every hop has, None when they differ."""
        devices = {hop.device for hop in self.hops}
        return devices.pop() if len(devices) == 1 else None

    @property
    def gateway(self) -> IpAddress | None:
        """The gateway that every hop has, None when they differ or have none."""
        gateways = {hop.gateway for hop in self.hops}
        return gateways.pop() if len(gateways) == 1 else None

    @property
    def source(self) -> IpAddress | None:
        """The source address that the host would choose for every hop."""
        sources = {hop.source for hop in self.hops}
        return sources.pop() if len(sources) == 1 else None


@dataclass(frozen=True)
class _Found:
    """A route and those of its next hops that can be taken. Without next hops it is one that refuses."""

    route: Route
    hops: tuple[NextHop, ...] = ()


class Routing:
    """The routing of one namespace. Making it is linear in the routes, a lookup takes a step for each length of prefix
    and each rule.
    """

    def __init__(self, netns: "Namespace") -> None:
        self._netns = netns
        self._links: Mapping[str, Link] = {link.name: link for link in netns.links}
        self._families = {
            4: _Family(self, 4, netns.routes, netns.rules, netns.nexthops),
            6: _Family(self, 6, netns.ipv6_routes, netns.ipv6_rules, netns.nexthops),
        }

    def look_up(self, packet: Packet) -> Lookup:
        """What becomes of a packet."""
        if packet.destination.version == 6:
            return self._look_up_ipv6(packet)
        return self._input(packet) if packet.in_interface else self._output(packet)

    def route_of(self, packet: Packet) -> Lookup:
        """The route that a packet finds, whatever the namespace then thinks of its addresses."""
        return self._families[packet.destination.version].look_up(packet)

    def sysctl(self, key: str) -> int | None:
        """A setting as a number, None when it is not known."""
        setting = self._netns.sysctl(key)
        return int(setting.value) if setting and setting.value.lstrip("-").isdecimal() else None

    def ignores_linkdown(self, device: str, version: int) -> bool:
        """Whether routes by a device without carrier are passed over; by default they are not."""
        return self._either(f"net.ipv{version}.conf", device, "ignore_routes_with_linkdown")

    def group_of(self, device: str) -> str:
        link = self._links.get(device)
        return link.details.get("group", "default") if link else "default"

    def gateway_failed(self, gateway: IpAddress, device: str) -> bool:
        return (gateway, device) in self._failed_neighbours

    @property
    def links(self) -> Mapping[str, Link]:
        return self._links

    @cached_property
    def ipv6_sources(self) -> Ipv6Sources:
        return Ipv6Sources(self._links)

    @cached_property
    def forwards_ipv6(self) -> bool:
        return self.sysctl("net.ipv6.conf.all.forwarding") != 0

    @cached_property
    def _failed_neighbours(self) -> frozenset[tuple[IpAddress, str]]:
        return frozenset((entry.address, entry.device) for entry in self._netns.neighbours if entry.state == "FAILED")

    # --- IPv4: what the host sends, and what comes in -----------------------------------------------------------------

    def _output(self, packet: Packet) -> Lookup:
        destination, source = packet.destination, packet.source
        link = self._links.get(packet.out_interface or "")
        if source is not None:
            if source.is_multicast or source == _LIMITED_BROADCAST or not int(source):
                return Lookup(Outcome.REFUSED)
            if not self._is_own(source):
                return Lookup(Outcome.NO_ROUTE)
        if packet.out_interface and (link is None or not link.up):
            return Lookup(Outcome.NO_ROUTE)
        bound = packet.out_interface
        if source and not bound and (destination.is_multicast or destination == _LIMITED_BROADCAST):
            bound = self._carrier(source)
            return self._finished(packet, Lookup(Outcome.UNICAST, (Hop(bound, None, source),)))
        if not int(destination):
            return Lookup(Outcome.LOCAL, (Hop(_LOOPBACK, None, source or _LOOPBACK_ADDRESS),))
        if bound and (_is_link_multicast(destination) or destination == _LIMITED_BROADCAST):
            return self._finished(packet, self._on_link(packet, bound))
        if bound and source is None and destination.is_multicast:
            packet = replace(packet, source=ipv4_source(self._links, bound, None, "global"))
        found = self.route_of(packet)
        if bound and not found.hops and found.outcome is not Outcome.UNKNOWN:
            return self._finished(packet, replace(self._on_link(packet, bound), doubt=found.doubt))
        return self._finished(packet, found)

    def _on_link(self, packet: Packet, device: str) -> Lookup:
        """What is sent to a device without asking the tables."""
        chosen = packet.source or ipv4_source(self._links, device, None, "link")
        return Lookup(Outcome.UNICAST, (Hop(device, None, chosen),))

    def _finished(self, packet: Packet, found: Lookup) -> Lookup:
        """What `__mkroute_output` makes of a route."""
        destination = packet.destination
        if found.outcome not in (Outcome.UNICAST, Outcome.BROADCAST, Outcome.LOCAL):
            return found
        sources = {packet.source or hop.source for hop in found.hops}
        if found.outcome is not Outcome.LOCAL and any(
            source and source.is_loopback and not self._routes_localnet(hop.device)
            for hop in found.hops
            for source in sources
            if hop.device != _LOOPBACK
        ):
            return replace(found, outcome=Outcome.REFUSED, hops=())
        if destination == _LIMITED_BROADCAST or found.outcome is Outcome.BROADCAST:
            return replace(found, outcome=Outcome.BROADCAST, hops=_without_gateway(found.hops))
        if destination.is_multicast:
            near = found.route is None or found.route.destination.prefixlen < 4
            return replace(found, outcome=Outcome.MULTICAST, hops=_without_gateway(found.hops) if near else found.hops)
        return found

    def _input(self, packet: Packet) -> Lookup:
        destination, source, device = packet.destination, packet.source, packet.in_interface or ""
        if destination.is_multicast:
            return Lookup(Outcome.UNKNOWN, doubt="which multicast groups the host has joined is not collected")
        if source and (source.is_multicast or source == _LIMITED_BROADCAST or not int(source)):
            return Lookup(Outcome.REFUSED)
        if destination == _LIMITED_BROADCAST:
            return self._if_source_fits(packet, Lookup(Outcome.BROADCAST, (Hop(_LOOPBACK),)), None)
        loopback = destination.is_loopback or bool(source and source.is_loopback)
        if not int(destination) or (loopback and not self._routes_localnet(device)):
            return Lookup(Outcome.REFUSED)
        found = self.route_of(packet)
        forwards = self.sysctl(f"net.ipv4.conf.{device}.forwarding")
        doubt = found.doubt or ("" if forwards is not None else f"whether {device} forwards is not known")
        if found.outcome is Outcome.LOCAL or found.outcome is Outcome.BROADCAST:
            delivered = replace(found, hops=(Hop(_LOOPBACK),))
            return self._if_source_fits(packet, delivered, None)
        if found.outcome is Outcome.UNKNOWN:
            return found
        if forwards == 0:
            return replace(found, outcome=Outcome.NOT_FORWARDED, hops=())
        if found.outcome is not Outcome.UNICAST:
            return found
        hops = tuple(replace(hop, source=None) for hop in found.hops)
        return self._if_source_fits(packet, replace(found, hops=hops, doubt=doubt), found.device)

    def _if_source_fits(self, packet: Packet, found: Lookup, out_device: str | None) -> Lookup:
        """The route, unless the source of what came in is not to be expected there (`fib_validate_source`)."""
        source, device = packet.source, packet.in_interface or ""
        if source is None:
            return found
        strictness = [self.sysctl(f"net.ipv4.conf.{name}.rp_filter") for name in ("all", device)]
        strict = max(value or 0 for value in strictness)
        refused = replace(found, outcome=Outcome.REFUSED, hops=())
        back = device == out_device and self._either("net.ipv4.conf", device, "send_redirects")
        if not strict and not back:
            if self._either("net.ipv4.conf", device, "accept_local"):
                return found
            if not self._families[4].is_changed:
                return refused if source in self._own_addresses else found
        return self._if_the_way_back_fits(packet, source, found, out_device, strict)

    def _if_the_way_back_fits(
        self, packet: Packet, source: IpAddress, found: Lookup, out_device: str | None, strict: int
    ) -> Lookup:
        device = packet.in_interface or ""
        refused = replace(found, outcome=Outcome.REFUSED, hops=())
        back = self.route_of(
            Packet(
                source,
                packet.destination if packet.destination != _LIMITED_BROADCAST else IPv4Address(0),
                in_interface=out_device or _LOOPBACK,
                mark=packet.mark if self._either("net.ipv4.conf", device, "src_valid_mark") else 0,
                tos=packet.tos,
                protocol=0,
                uid=packet.uid,
            )
        )
        if back.outcome is Outcome.UNKNOWN:
            return replace(found, doubt=back.doubt, depends_on=back.depends_on)
        link = self._links.get(device)
        without_address = link is None or not any(address.address.version == 4 for address in link.addresses)
        if back.outcome not in (Outcome.UNICAST, Outcome.LOCAL, Outcome.BROADCAST):
            return refused if strict else found
        if back.outcome is not Outcome.UNICAST and not (
            back.outcome is Outcome.LOCAL and self._either("net.ipv4.conf", device, "accept_local")
        ):
            return refused
        devices = {hop.device for hop in back.route.next_hops} if back.route else set()
        if device in devices or (back.outcome is Outcome.LOCAL and device == _LOOPBACK):
            return found
        if without_address:
            return refused if strict else found
        return refused if strict == 1 else found

    def _is_own(self, address: IpAddress) -> bool:
        """Whether an address is of this namespace, as the table local says."""
        if address in self._own_addresses:
            return True
        local = self._families[4].table("local").find(Packet(address), self)
        return local is not None and local.route.type == "local"

    @cached_property
    def _own_addresses(self) -> frozenset[IpAddress]:
        return frozenset(address.address.ip for link in self._links.values() for address in link.addresses)

    def _carrier(self, address: IpAddress) -> str | None:
        return next(
            (name for name, link in self._links.items() if any(a.address.ip == address for a in link.addresses)),
            _LOOPBACK,
        )

    def _routes_localnet(self, device: str | None) -> bool:
        return self._either("net.ipv4.conf", device or "", "route_localnet")

    def _either(self, place: str, device: str, name: str) -> bool:
        """A setting that holds when it is set for the device or for all."""
        return any(bool(self.sysctl(f"{place}.{each}.{name}")) for each in ("all", device))

    # --- IPv6 ---------------------------------------------------------------------------------------------------------

    def _look_up_ipv6(self, packet: Packet) -> Lookup:
        found = self.route_of(packet)
        if found.outcome not in (Outcome.LOCAL, Outcome.ANYCAST):
            return found
        strict = _needs_strict(packet.destination)
        return replace(found, hops=tuple(hop if strict else replace(hop, device=_LOOPBACK) for hop in found.hops))


class _Family:
    """The rules and tables of IPv4 or of IPv6."""

    def __init__(
        self,
        routing: Routing,
        version: int,
        routes: Facts[Route],
        rules: Facts[PolicyRule],
        nexthops: Facts[NextHopObject],
    ) -> None:
        self._routing = routing
        self._version = version
        shown = sorted(rules, key=lambda rule: rule.priority)
        self._rules = [Condition(rule, routing.links) for rule in shown or _kernel_rules(version)]
        self._shown = bool(shown)
        self._doubt = _doubt(routes, "the routes") or _doubt(rules, "the policy rules")
        self._tables: dict[str, _Table] = {}
        by_table: dict[str, list[Route]] = defaultdict(list)
        for route in routes:
            by_table[route.table or "main"].append(route)
        objects = {each.id: each for each in nexthops}
        for name, found in by_table.items():
            self._tables[name] = _Table(version, found, objects)
        kernels = [f"{priority} lookup {table}" for priority, table in _KERNEL_RULES[version]]
        has_rules = [f"{rule.priority} {rule.action}" for rule in shown] not in ([], kernels)
        own_routes = self.table("local").routes
        #: Somebody made rules or routes to the host itself.
        self.is_changed = has_rules or any(r.type == "local" and r.protocol != "kernel" for r in own_routes)

    def table(self, name: str) -> "_Table":
        return self._tables.get(name) or _Table(self._version, (), {})

    def look_up(self, packet: Packet) -> Lookup:
        ways = self._walk(0, packet, {})
        first = ways[0]
        if len({(way.outcome, way.hops) for way in ways}) == 1:
            return replace(first, depends_on=None, doubt=first.doubt or self._doubt)
        depends_on = next(way.depends_on for way in ways if way.depends_on)
        doubt = f"whether the packet fits the rule of priority {depends_on.priority}"
        return Lookup(Outcome.UNKNOWN, doubt=doubt, depends_on=depends_on, ways=ways)

    def _walk(self, start: int, packet: Packet, known: dict[int, tuple[Lookup, ...]]) -> tuple[Lookup, ...]:
        """Where the rules from one on may lead the packet: a rule that cannot be judged is followed and passed by."""
        if start in known:
            return known[start]
        ways: list[Lookup] = []
        doubtful: PolicyRule | None = None
        for number in range(start, len(self._rules)):
            condition = self._rules[number]
            truth = condition.takes(packet)
            if truth is Truth.NO:
                continue
            if condition.action.verb == "goto":
                led = self._follow_goto(number, packet, known)
            else:
                answer = self._act(condition, packet)
                led = (answer,) if answer else ()
            if truth is Truth.YES and led:
                ways += [replace(way, depends_on=way.depends_on or doubtful) for way in led]
                break
            if led:
                doubtful = doubtful or condition.rule
                ways += [replace(way, depends_on=way.depends_on or doubtful) for way in led]
        else:
            ways.append(Lookup(Outcome.NO_ROUTE, depends_on=doubtful))
        known[start] = tuple(ways)
        return known[start]

    def _follow_goto(self, number: int, packet: Packet, known: dict[int, tuple[Lookup, ...]]) -> tuple[Lookup, ...]:
        target = self._rules[number].action.target
        if target is None:
            return (Lookup(Outcome.UNKNOWN, doubt="where a goto leads", depends_on=self._rules[number].rule),)
        found = (place for place in range(number + 1, len(self._rules)) if self._rules[place].rule.priority == target)
        place = next(found, None)
        return () if place is None else self._walk(place, packet, known)

    def _act(self, condition: Condition, packet: Packet) -> Lookup | None:
        """What a rule that takes the packet answers; None when the next rule is asked."""
        action, rule = condition.action, condition.rule if self._shown else None
        if action.verb in _REFUSED_BY_RULE:
            return Lookup(_REFUSED_BY_RULE[action.verb], rule=rule)
        if action.verb == "nop":
            return None
        name = condition.table(packet)
        if action.verb != "lookup" or name is None:
            return Lookup(Outcome.UNKNOWN, rule=rule, doubt=f"what the rule of priority {condition.rule.priority} does")
        found = self.table(name).find(packet, self._routing)
        if found is None or found.route.type == "throw":
            return None
        if found.route.type in _REFUSED_BY_ROUTE:
            return Lookup(_REFUSED_BY_ROUTE[found.route.type], table=name, route=found.route, rule=rule)
        if action.suppress_prefix is not None and found.route.destination.prefixlen <= action.suppress_prefix:
            return None
        if action.suppress_group is not None and any(
            self._routing.group_of(hop.device or "") == action.suppress_group for hop in found.hops[:1]
        ):
            return None
        return self._answer(packet, found, name, rule)

    def _answer(self, packet: Packet, found: _Found, table: str, rule: PolicyRule | None) -> Lookup:
        outcome = _DELIVERED.get(found.route.type, Outcome.MULTICAST)
        hops = tuple(self._hop(packet, found.route, hop) for hop in found.hops)
        if packet.out_interface and self._version == 4:
            hops = hops[:1]
        if not hops:
            return Lookup(Outcome.UNKNOWN, (), table, found.route, rule, doubt="the next hop object is not known")
        return Lookup(outcome, tuple(dict.fromkeys(hops)), table, found.route, rule)

    def _hop(self, packet: Packet, route: Route, hop: NextHop) -> Hop:
        links = self._routing.links
        if self._version == 4 and route.type == "local":
            return Hop(_LOOPBACK, None, packet.source or route.source or packet.destination)
        chosen: IpAddress | None = packet.source or route.source
        if chosen is None and packet.in_interface is None:
            if isinstance(packet.destination, IPv6Address):
                chosen = self._routing.ipv6_sources.best(hop.device, packet.destination)
            else:
                gateway = hop.gateway if isinstance(hop.gateway, IPv4Address) else None
                chosen = ipv4_source(links, hop.device, gateway, route.scope or "global")
        return Hop(hop.device, hop.gateway, chosen)


class _Table:
    """The routes of one table, found by their prefixes."""

    def __init__(self, version: int, routes: Sequence[Route], objects: Mapping[int, NextHopObject]) -> None:
        self.routes = routes
        self._version = version
        self._objects = objects
        by_length: dict[int, dict[int, list[Route]]] = defaultdict(lambda: defaultdict(list))
        for route in routes:
            length = route.destination.prefixlen
            by_length[length][int(route.destination.network_address) >> (_BITS[version] - length)].append(route)
        for prefixes in by_length.values():
            for found in prefixes.values():
                found.sort(key=_order)
        self._by_length = sorted(by_length.items(), reverse=True)

    def find(self, packet: Packet, routing: Routing) -> _Found | None:
        """The route that a packet finds; one of type `throw` ends the search in this table."""
        if self._version == 4:
            return next(self._ipv4(packet, routing), None)
        # a host that does not forward first looks for a gateway that answers
        careful = () if routing.forwards_ipv6 else (True,)
        for skip_failed in (*careful, False):
            found = next(self._ipv6(packet, routing, skip_failed=skip_failed), None)
            if found:
                return found
        return None

    def _fitting(self, destination: IpAddress) -> Iterator[list[Route]]:
        """The routes of each prefix around an address, the longest prefix first."""
        number, bits = int(destination), _BITS[self._version]
        for length, prefixes in self._by_length:
            found = prefixes.get(number >> (bits - length))
            if found:
                yield found

    def _ipv4(self, packet: Packet, routing: Routing) -> Iterator[_Found]:
        for routes in self._fitting(packet.destination):
            for route in routes:
                if _tos(route) not in (0, packet.tos):
                    continue
                if route.type == "throw" or route.type in _REFUSED_BY_ROUTE:
                    yield _Found(route)
                hops = tuple(hop for hop in self._hops(route) if self._usable(hop, packet, routing))
                if hops or self._unresolved(route):
                    yield _Found(route, hops)

    def _ipv6(self, packet: Packet, routing: Routing, *, skip_failed: bool) -> Iterator[_Found]:
        for routes in self._fitting(packet.destination):
            by_rank: dict[tuple[int, int], list[Route]] = defaultdict(list)
            for route in routes:
                if _comes_from(route, packet.source):
                    by_rank[-_source_length(route), route.metric or 0].append(route)
            for _, candidates in sorted(by_rank.items()):
                best: tuple[int, _Found] | None = None
                for route in candidates:
                    scored = self._scored(route, packet, routing, skip_failed=skip_failed)
                    if scored and (best is None or scored[0] > best[0]):
                        best = scored
                if best:
                    yield best[1]

    def _scored(
        self, route: Route, packet: Packet, routing: Routing, *, skip_failed: bool
    ) -> tuple[int, _Found] | None:
        """How good a route of several of one metric is, with its next hops; None when it cannot be taken."""
        asked = packet.out_interface or packet.in_interface
        strict = _needs_strict(packet.destination) or bool(packet.out_interface and packet.source is None)
        preference = _PREFERENCE.get(route.details.get("pref", "medium"), 2) << 2
        refuses = route.type == "throw" or route.type in _REFUSED_BY_ROUTE
        ways = [NextHop(None, _LOOPBACK)] if refuses else self._hops(route)
        hops = [hop for hop in ways if self._usable_ipv6(hop, routing)]
        if skip_failed:
            hops = [h for h in hops if not (h.gateway and routing.gateway_failed(h.gateway, h.device or ""))]
        if asked and strict:
            hops = [hop for hop in hops if hop.device == asked]
        if not hops and not self._unresolved(route):
            return None
        on_device = not asked or any(hop.device == asked for hop in hops[:1])
        return preference + 2 * on_device, _Found(route, () if refuses else tuple(hops))

    def _hops(self, route: Route) -> Iterable[NextHop]:
        """The next hops of a route, those of the objects that it names when its own line does not tell them."""
        number = route.details.get("nhid", "")
        if route.next_hops or not number.isdecimal():
            return route.next_hops
        named = self._objects.get(int(number))
        members = [self._objects.get(member.id) for member in named.group] if named and named.group else [named]
        return [NextHop(each.gateway, each.device, flags=each.flags) for each in members if each and each.device]

    def _unresolved(self, route: Route) -> bool:
        return not route.next_hops and not self._hops(route) and "nhid" in route.details

    def _usable(self, hop: NextHop, packet: Packet, routing: Routing) -> bool:
        if "dead" in hop.flags or (packet.out_interface and hop.device != packet.out_interface):
            return False
        return "linkdown" not in hop.flags or not routing.ignores_linkdown(hop.device or "", 4)

    def _usable_ipv6(self, hop: NextHop, routing: Routing) -> bool:
        if "dead" in hop.flags:
            return False
        return "linkdown" not in hop.flags or not routing.ignores_linkdown(hop.device or "", 6)


def _order(route: Route) -> tuple[int, int]:
    return -_tos(route), route.metric or 0


def _network(text: str) -> IPv4Network | IPv6Network:
    """The prefix of a route's `from`; one that is none fits nothing."""
    try:
        return ip_network(text)
    except ValueError:
        return IPv6Network("::/128")


def _tos(route: Route) -> int:
    """A type of service that has a name only is one that no packet of ours has."""
    try:
        return int(route.details.get("tos", "0"), 0)
    except ValueError:
        return -1


def _comes_from(route: Route, source: IpAddress | None) -> bool:
    """Whether an IPv6 route that is for certain sources only (`from`) is for this one."""
    wanted = route.details.get("from")
    if not wanted or wanted in ("::", "::/0", "all"):
        return True
    return source is not None and source in _network(wanted)


def _source_length(route: Route) -> int:
    wanted = route.details.get("from")
    return _network(wanted).prefixlen if wanted and wanted != "all" else 0


def _doubt(facts: Facts[Route] | Facts[PolicyRule], what: str) -> str:
    if facts.whole:
        return ""
    return f"{what} are not all known: {facts.why}"


def _kernel_rules(version: int) -> list[PolicyRule]:
    """The rules of a namespace that nobody gave any."""
    lines = "\n".join(f"{priority}:\tfrom all lookup {table}" for priority, table in _KERNEL_RULES[version])
    source = Source("", lines)
    return [
        PolicyRule(priority, "from all", f"lookup {table}", source.span(number))
        for number, (priority, table) in enumerate(_KERNEL_RULES[version], start=1)
    ]


def _without_gateway(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    return tuple(replace(hop, gateway=None) for hop in hops)


def _is_link_multicast(address: IpAddress) -> bool:
    return int(address) >> 8 == 0xE00000


def _needs_strict(destination: IpAddress) -> bool:
    """Whether the device belongs to the address: of link-local and multicast addresses, and of ::1."""
    return destination.is_multicast or destination.is_link_local or destination.is_loopback
