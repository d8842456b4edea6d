"""What changed on a host between two bundles, each thing by its name: containers, networks, links, routes, settings."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from typing import Generic, TypeVar

from netdiag.comparison.names import Names, names_of
from netdiag.comparison.texts import Line, Matched, match
from netdiag.formats.records import Container, Link, Network, Route
from netdiag.model import Extent, Facts, Host, Namespace
from netdiag.spans import Place

T = TypeVar("T")

#: The kernel makes these of each link's addresses, and of each link by itself.
_TABLE_OF_ADDRESSES = "local"
_OF_EACH_LINK = ("fe80:", "ff00:")

#: Settings that are numbers of the moment, drawn at random, or secrets.
_NO_SETTINGS = ("nf_conntrack_count", "stable_secret", "_seed", "random", "_secret")


class How(Enum):
    """What became of a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RECREATED = "made anew"  #: the name stayed, the thing is another one
    RENUMBERED = "renumbered"  #: it says the same of the same things, by other numbers
    MOVED = "moved"  #: it has another place in the same order


@dataclass(frozen=True)
class Change:
    """A change. `kind` is that of the thing (`container`, `network`, `link`, `address`, `route`, `rule`, `policy`,
    `sysctl`, `engine`), `name` what it is called, `what` the property or the text that changed.
    """

    kind: str
    name: str
    how: How
    what: str = ""
    before: str = ""
    after: str = ""
    before_place: Place | None = None
    after_place: Place | None = None


@dataclass(frozen=True)
class NotCompared:
    """What cannot be held against each other, and why: nothing of it counts as gone or as new."""

    what: str
    why: str


Found = Change | NotCompared


@dataclass(frozen=True)
class Two:
    """A host at two times, with the names of its things at each."""

    before: Host
    after: Host
    old: Names
    new: Names

    @cached_property
    def started_again(self) -> frozenset[str]:
        """The names of containers that were started between the bundles, or made anew."""
        olds = {container.name: (container.id, container.started) for container in self.before.containers}
        return frozenset(c.name for c in self.after.containers if olds.get(c.name) != (c.id, c.started))

    def namespaces(self) -> Iterator[tuple[Namespace, Namespace]]:
        """The namespaces that both have, matched by the container or the name that they have."""
        yield self.before.root, self.after.root
        known = {netns.name: netns for netns in self.before.namespaces[1:]}
        for netns in self.after.namespaces[1:]:
            if netns.name in known:
                yield known[netns.name], netns


def two(before: Host, after: Host) -> Two:
    return Two(before, after, names_of(before), names_of(after))


@dataclass(frozen=True)
class Paired(Generic[T]):
    """Things that both bundles have, those that are gone, those that are new, and what cannot be said."""

    both: tuple[tuple[T, T], ...]
    removed: tuple[T, ...]
    added: tuple[T, ...]
    unsaid: tuple[NotCompared, ...] = ()


def pair(
    what: str, before: Facts[T], after: Facts[T], old: Callable[[T], Hashable], new: Callable[[T], Hashable]
) -> Paired[T]:
    """Match two lists by key. What only one has is gone, or new, if the other list is whole."""
    if Extent.NONE in (before.extent, after.extent):
        return Paired((), (), (), tuple(not_collected(what, before, after)))
    olds, news = {old(each): each for each in before}, {new(each): each for each in after}
    removed = tuple(each for key, each in olds.items() if key not in news)
    added = tuple(each for key, each in news.items() if key not in olds)
    unsaid = []
    if removed and not after.whole:
        unsaid.append(NotCompared(what, f"the second bundle may not show all: {after.why}"))
    if added and not before.whole:
        unsaid.append(NotCompared(what, f"the first bundle may not show all: {before.why}"))
    return Paired(
        both=tuple((each, news[key]) for key, each in olds.items() if key in news),
        removed=removed if after.whole else (),
        added=added if before.whole else (),
        unsaid=tuple(unsaid),
    )


def not_collected(what: str, before: Facts[T], after: Facts[T]) -> Iterator[NotCompared]:
    """What only one of the bundles has; that neither has it is no difference."""
    if before.extent is not after.extent:
        which, why = ("first", before.why) if before.extent is Extent.NONE else ("second", after.why)
        yield NotCompared(what, f"the {which} bundle does not have it" + (f": {why}" if why else ""))


def changes(both: Two) -> Iterator[Found]:
    """Everything that changed but for the firewall's rules and the counters."""
    yield from _engines(both)
    yield from _containers(both)
    yield from _networks(both)
    yield from _links(both)
    yield from _routes(both)
    yield from _sysctls(both)


# --- engines ----------------------------------------------------------------------------------------------------------


def _engines(both: Two) -> Iterator[Found]:
    before, after = both.before, both.after
    told: list[tuple[str, str, str, Place | None, Place | None]] = [("kernel", before.kernel, after.kernel, None, None)]
    for name, one, other in (
        ("Docker", before.engine.version, after.engine.version),
        ("podman", before.podman.version, after.podman.version),
    ):
        if one and other:
            told.append((name, one.version, other.version, one.place, other.place))
    for what, old, new, old_place, new_place in told:
        if old and new and old != new:
            yield Change("engine", what, How.CHANGED, "version", old, new, old_place, new_place)
    yield from _values(
        "engine",
        {s.name: (s.value, s.place) for s in before.engine.settings},
        {s.name: (s.value, s.place) for s in after.engine.settings},
        known=Extent.NONE not in (before.engine.settings.extent, after.engine.settings.extent),
    )
    for old_tool, new_tool in pair("iptables", before.iptables, after.iptables, _program, _program).both:
        if old_tool.backend and new_tool.backend and old_tool.backend != new_tool.backend:
            yield Change(
                *("engine", old_tool.program, How.CHANGED, "backend", old_tool.backend, new_tool.backend),
                before_place=old_tool.span,
                after_place=new_tool.span,
            )


def _program(tool: object) -> str:
    return str(getattr(tool, "program", ""))


def _values(
    kind: str, before: Mapping[str, tuple[str, Place]], after: Mapping[str, tuple[str, Place]], *, known: bool
) -> Iterator[Change]:
    """Settings by name that were made, taken back or changed."""
    for name in sorted({*before, *after} if known else ()):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            yield Change(kind, name, How.ADDED, "setting", "", new[0], None, new[1])
        elif old is not None and new is None:
            yield Change(kind, name, How.REMOVED, "setting", old[0], "", old[1], None)
        elif old and new and old[0] != new[0]:
            yield Change(kind, name, How.CHANGED, "setting", old[0], new[0], old[1], new[1])


# --- containers and networks ------------------------------------------------------------------------------------------


def _by_name(thing: Container | Network) -> tuple[str, str]:
    return thing.engine, thing.name


def _containers(both: Two) -> Iterator[Found]:
    found = pair("containers", both.before.containers, both.after.containers, _by_name, _by_name)
    yield from found.unsaid
    for each in found.removed:
        yield Change("container", each.name, How.REMOVED, "", each.state or "", "", each.place, None)
    for each in found.added:
        yield Change("container", each.name, How.ADDED, "", "", each.state or "", None, each.place)
    for old, new in found.both:
        if old.id != new.id:
            yield Change("container", new.name, How.RECREATED, "id", old.id[:12], new.id[:12], old.place, new.place)
        elif old.started and new.started and old.started != new.started:
            times = (f"{old.started:%Y-%m-%d %H:%M:%S}", f"{new.started:%Y-%m-%d %H:%M:%S}")
            yield Change("container", new.name, How.CHANGED, "started", *times, old.place, new.place)
        yield from _properties("container", old, new, ("state", "image", "health", "network_mode", "restart_policy"))
        yield from _endpoints(old, new)
        if old.ports_told and new.ports_told:
            yield from _property("container", old, new, "ports", _ports(old), _ports(new))


def _endpoints(old: Container, new: Container) -> Iterator[Change]:
    """Networks that a container joined or left, and its addresses on the others."""
    olds, news = ({e.network: e for e in each.endpoints} for each in (old, new))
    for network in dict.fromkeys([*olds, *news]):
        one, other = olds.get(network), news.get(network)
        if one is None and other is not None:
            yield Change("container", new.name, How.ADDED, f"network {network}", "", "", None, other.place)
        elif other is None and one is not None:
            yield Change("container", new.name, How.REMOVED, f"network {network}", "", "", one.place, None)
        elif one and other:
            addresses = (
                ("IPAddress", one.address, other.address),
                ("GlobalIPv6Address", one.address6, other.address6),
            )
            for key, had, has in addresses:
                if had and has and had.ip != has.ip:
                    told = (f"address on {network}", str(had.ip), str(has.ip))
                    places = (each.span_at("NetworkSettings", "Networks", network, key) for each in (old, new))
                    yield Change("container", new.name, How.RENUMBERED, *told, *places)


def _ports(container: Container) -> str:
    told = (f"{p.host_address or '*'}:{p.host_port}->{p.container_port}/{p.protocol}" for p in container.ports)
    return ", ".join(sorted(told))


def _networks(both: Two) -> Iterator[Found]:
    found = pair("networks", both.before.networks, both.after.networks, _by_name, _by_name)
    yield from found.unsaid
    for each in found.removed:
        yield Change("network", each.name, How.REMOVED, "", each.driver or "", "", each.place, None)
    for each in found.added:
        yield Change("network", each.name, How.ADDED, "", "", each.driver or "", None, each.place)
    for old, new in found.both:
        if old.id != new.id:
            yield Change("network", new.name, How.RECREATED, "id", old.id[:12], new.id[:12], old.place, new.place)
        yield from _properties("network", old, new, ("driver", "internal", "enable_ipv6", "options"))
        subnets = (_subnets(old), _subnets(new))
        gateways = (_gateways(both.before, old), _gateways(both.after, new))
        for what, told in (("subnets", subnets), ("gateways", gateways)):
            if all(told):  # a network that is known only by its endpoints does not tell
                yield from _property("network", old, new, what, *told)


def _subnets(network: Network) -> str:
    return ", ".join(sorted(str(subnet.subnet) for subnet in network.subnets))


def _gateways(host: Host, network: Network) -> str:
    found = (host.gateway_of(network, subnet) for subnet in network.subnets)
    return ", ".join(sorted(str(gateway) for gateway in found if gateway))


def _properties(
    kind: str, old: Container | Network, new: Container | Network, names: Iterable[str]
) -> Iterator[Change]:
    for name in names:
        had, has = getattr(old, name), getattr(new, name)
        if had is not None and has is not None:
            yield from _property(kind, old, new, name.replace("_", " "), _words(had), _words(has))


def _property(
    kind: str, old: Container | Network, new: Container | Network, what: str, had: str, has: str
) -> Iterator[Change]:
    if had != has:
        yield Change(kind, new.name, How.CHANGED, what, had, has, old.place, new.place)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={value[key]}" for key in sorted(value))
    return str(value)


# --- links, routes, settings ------------------------------------------------------------------------------------------


def _links(both: Two) -> Iterator[Found]:
    for old_netns, new_netns in both.namespaces():
        of = new_netns.name
        found = pair(
            f"links of {of}",
            old_netns.links,
            new_netns.links,
            partial(both.old.link, old_netns),
            partial(both.new.link, new_netns),
        )
        yield from found.unsaid
        for each in found.removed:
            yield Change(
                "link", f"{of} {both.old.link(old_netns, each)}", How.REMOVED, "", each.name, "", each.span, None
            )
        for each in found.added:
            yield Change(
                "link", f"{of} {both.new.link(new_netns, each)}", How.ADDED, "", "", each.name, None, each.span
            )
        for old, new in found.both:
            yield from _link(both, (old_netns, new_netns), old, new)


def _link(both: Two, netns: tuple[Namespace, Namespace], old: Link, new: Link) -> Iterator[Change]:
    name = f"{netns[1].name} {both.new.link(netns[1], new)}"
    places = (old.span, new.span)
    if _came_with_its_container(both, netns, both.new.link(netns[1], new)):
        pass
    elif old.name != new.name:
        yield Change("link", name, How.RECREATED, "name", old.name, new.name, *places)
    elif old.index and new.index and old.index != new.index:
        yield Change("link", name, How.RECREATED, "ifindex", str(old.index), str(new.index), *places)
    elif old.mac and new.mac and old.mac != new.mac:
        yield Change("link", name, How.CHANGED, "MAC address", old.mac, new.mac, *places)
    masters = (both.old.device(netns[0], old.master or ""), both.new.device(netns[1], new.master or ""))
    told = {
        "switched on": (_words(old.up), _words(new.up)) if None not in (old.up, new.up) else ("", ""),
        "state": (old.state or "", new.state or ""),
        "mtu": (str(old.mtu or ""), str(new.mtu or "")),
        "master": masters,
    }
    for what, (had, has) in told.items():
        if had != has and (what == "master" or (had and has)):
            yield Change("link", name, How.CHANGED, what, had or "none", has or "none", *places)
    if netns[0].addresses_known and netns[1].addresses_known:
        yield from _addresses(both, netns, name, old, new)


def _came_with_its_container(both: Two, netns: tuple[Namespace, Namespace], called: str) -> bool:
    """Whether a link is another one because its container was started again, which is told of the container."""
    if netns[1] is both.after.root:
        return any(called.startswith(f"<veth of {name} ") for name in both.started_again)
    return netns[1].name in both.started_again


def _addresses(both: Two, netns: tuple[Namespace, Namespace], name: str, old: Link, new: Link) -> Iterator[Change]:
    """Addresses of a link. One that Docker gave is the same as long as it is the container's or the gateway's."""
    olds, news = ([a for a in link.addresses if not a.address.ip.is_link_local] for link in (old, new))
    had = {known for a in olds for known in (a.address.ip, both.old.canonical(netns[0], str(a.address.ip)))}
    has = {known for a in news for known in (a.address.ip, both.new.canonical(netns[1], str(a.address.ip)))}
    for each in olds:
        if not has & {each.address.ip, both.old.canonical(netns[0], str(each.address.ip))}:
            yield Change("address", name, How.REMOVED, "", str(each.address), "", each.span, new.span)
    for each in news:
        if not had & {each.address.ip, both.new.canonical(netns[1], str(each.address.ip))}:
            yield Change("address", name, How.ADDED, "", "", str(each.address), old.span, each.span)


def _routes(both: Two) -> Iterator[Found]:
    for old_netns, new_netns in both.namespaces():
        for family, old, new in (
            ("", old_netns.routes, new_netns.routes),
            ("IPv6 ", old_netns.ipv6_routes, new_netns.ipv6_routes),
        ):
            lines = _route_lines(old, both.old, old_netns), _route_lines(new, both.new, new_netns)
            yield from _routes_of(f"{family}routes of {new_netns.name}", new_netns.name, (old, new), match(*lines))


def _routes_of(what: str, of: str, facts: tuple[Facts[Route], Facts[Route]], found: Matched) -> Iterator[Found]:
    before, after = facts
    if Extent.NONE in (before.extent, after.extent):
        yield from not_collected(what, before, after)
        return
    for old, new in found.renumbered:
        yield Change("route", of, How.RENUMBERED, new.canonical, old.text, new.text, old.place, new.place)
    if found.removed and not after.whole:
        yield NotCompared(what, f"the second bundle may not show all: {after.why}")
    for each in found.removed if after.whole else ():
        yield Change("route", of, How.REMOVED, each.text, "", "", each.place, None)
    if found.added and not before.whole:
        yield NotCompared(what, f"the first bundle may not show all: {before.why}")
    for each in found.added if before.whole else ():
        yield Change("route", of, How.ADDED, each.text, "", "", None, each.place)


def _route_lines(routes: Iterable[Route], names: Names, netns: Namespace) -> Iterator[Line]:
    for route in routes:
        text = _route_text(route)
        if route.table != _TABLE_OF_ADDRESSES and not text.startswith(_OF_EACH_LINK):
            yield Line(text, text, names.canonical(netns, text), route.span)


def _route_text(route: Route) -> str:
    """The route as `ip route` prints it, without what the state of the link adds (`linkdown`)."""
    words = ["default" if route.destination.prefixlen == 0 else str(route.destination)]
    if route.type != "unicast":
        words.insert(0, route.type)
    for hop in route.next_hops:
        words += ["via", str(hop.gateway)] if hop.gateway else []
        words += ["dev", hop.device] if hop.device else []
    words += ["src", str(route.source)] if route.source else []
    words += ["metric", str(route.metric)] if route.metric else []
    words += ["table", route.table] if route.table not in (None, "main") else []
    return " ".join(words)


def _sysctls(both: Two) -> Iterator[Found]:
    """Settings that both bundles have: of an interface that came or went there are some in one of them only."""
    for old_netns, new_netns in both.namespaces():
        yield from not_collected(f"settings of {new_netns.name}", old_netns.sysctls, new_netns.sysctls)
        olds = {_setting(both.old, old_netns, each.key): each for each in old_netns.sysctls}
        for each in new_netns.sysctls:
            key = _setting(both.new, new_netns, each.key)
            had = olds.get(key)
            if had and " ".join(had.value.split()) != " ".join(each.value.split()) and _is_setting(key):
                of = key if new_netns is both.after.root else f"{new_netns.name} {key}"
                yield Change("sysctl", of, How.CHANGED, "", had.value, each.value, had.span, each.span)


def _setting(names: Names, netns: Namespace, key: str) -> str:
    """The key with its interface as the user calls it: `net.ipv4.conf.<veth of web eth0>.forwarding`."""
    parts = key.split(".")
    if len(parts) > 4 and parts[2] in ("conf", "neigh"):
        parts[3] = names.device(netns, parts[3])
    return ".".join(parts)


def _is_setting(key: str) -> bool:
    return key.startswith("net.") and not any(each in key for each in _NO_SETTINGS)
