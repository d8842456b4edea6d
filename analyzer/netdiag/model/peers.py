"""Which ends of veths belong together across namespaces, and how that is known.

An ifindex is unique in its namespace only, so two ends that name each other's number may be strangers: an overlay's
sandbox numbers its veths like the host does, and a namespace that was not collected may hold the true end. What else
the bundle tells is held against each pair: the number of the namespace that the outer end names (`link-netnsid`), and
the MAC addresses that the bridge has learned behind it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from netdiag.formats.records import Container, Endpoint, Link
from netdiag.spans import Span

if TYPE_CHECKING:
    from netdiag.model.host import Host, Namespace


#: Where namespaces with a name are.
_NAMED = "/run/netns"


class Way(Enum):
    """How it is known that two things belong together."""

    IFINDEX = "ifindex"  #: each end names the ifindex of the other
    NETNS_ID = "link-netnsid"  #: one end names the number of the namespace that the other end is in
    LEARNED_MAC = "fdb"  #: the bridge has learned the MAC address of the inner end behind the outer one
    NEIGHBOUR = "neighbour"  #: the host has resolved the IP address to the MAC address
    SANDBOX_KEY = "SandboxKey"  #: the engine's file of the container's namespace is the one with this number


@dataclass(frozen=True)
class Joint:
    """One reason to join two things, and the lines that show it."""

    way: Way
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class VethPair:
    """A veth and its other end in another namespace, joined because each names the other's ifindex and nothing speaks
    against it. `namespace` is that of the inner end. The outer end is in the host's namespace, or in a sandbox of the
    engine (`outer_namespace`), as on overlay networks. `joints` are all the reasons.
    """

    outer: Link
    inner: Link
    namespace: str
    joints: tuple[Joint, ...] = ()
    outer_namespace: str = "host"


@dataclass(frozen=True)
class HostEnd:
    """The link of the host that carries an endpoint of a container, and how that is known."""

    link: Link
    joints: tuple[Joint, ...]


# --- pairs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    """An end of a veth in its namespace."""

    netns: "Namespace"
    link: Link

    @property
    def key(self) -> tuple[str, str]:
        return self.netns.id, self.link.name


def veth_pairs(namespaces: Sequence["Namespace"]) -> tuple[tuple[VethPair, ...], tuple[VethPair, ...]]:
    """The pairs with their outer end on the host, and those with it in a sandbox of the engine. `namespaces` has the
    host's first.
    """
    outers = [end for netns in namespaces if netns.holds_outer_ends for end in _ends(netns)]
    inners: dict[tuple[int | None, int | None], list[_End]] = defaultdict(list)
    for netns in namespaces[1:]:
        for end in _ends(netns):
            inners[end.link.peer_index, end.link.index].append(end)
    fitting = {
        outer.key: [end for end in inners[outer.link.index, outer.link.peer_index] if end.netns is not outer.netns]
        for outer in outers
    }
    numbers = _Numbers(namespaces)
    certain = [(outer, *fitting[outer.key]) for outer in outers if len(fitting[outer.key]) == 1]
    numbers.learn((outer, inner) for outer, inner in certain if not numbers.speak_against(outer, inner))
    joined: dict[tuple[str, str], list[VethPair]] = defaultdict(list)
    for outer in outers:
        pair = _pair(outer, fitting[outer.key], numbers)
        if pair:
            joined[pair.namespace, pair.inner.name].append(pair)
    # an inner end that fits two outer ones equally well proves nothing
    sure = [pairs[0] for pairs in joined.values() if len(pairs) == 1]
    root = namespaces[0].id
    return (
        tuple(pair for pair in sure if pair.outer_namespace == root),
        tuple(pair for pair in sure if pair.outer_namespace != root),
    )


def _ends(netns: "Namespace") -> Iterator[_End]:
    for link in netns.links:
        if link.kind in ("veth", None) and link.index is not None and link.peer_index is not None:
            yield _End(netns, link)


def _pair(outer: _End, fitting: Sequence[_End], numbers: "_Numbers") -> VethPair | None:
    """The pair of an outer end and the one inner end that is it, None when several may be it or none."""
    left = [end for end in fitting if not numbers.speak_against(outer, end)]
    if len(left) > 1:
        left = [end for end in left if _learned(outer, end)] or left
    if len(left) != 1:
        return None
    (inner,) = left
    told = numbers.told(outer, inner)
    joints = (
        Joint(Way.IFINDEX, (outer.link.span, inner.link.span)),
        *([Joint(Way.NETNS_ID, (outer.link.span, told))] if told else []),
        *(Joint(Way.LEARNED_MAC, (span, inner.link.span)) for span in _learned(outer, inner)),
    )
    return VethPair(outer.link, inner.link, inner.netns.id, joints, outer.netns.id)


def _learned(outer: _End, inner: _End) -> tuple[Span, ...]:
    """Where the bridge has learned the inner end's MAC address behind the outer one."""
    entries = outer.netns.learned(inner.link.mac) if inner.link.mac else ()
    return tuple(entry.span for entry in entries if entry.device == outer.link.name)


class _Numbers:
    """Which namespace each number of `link-netnsid` stands for. A number means something only in the namespace that
    prints it; `lsns` tells the host's.
    """

    def __init__(self, namespaces: Sequence["Namespace"]) -> None:
        self._namespace: dict[tuple[str, str], str] = {}
        self._number: dict[tuple[str, str], str] = {}
        self._span: dict[tuple[str, str], Span] = {}
        for netns in namespaces[1:]:
            row = netns.in_use
            if row and row.netns_id is not None:
                self._take(namespaces[0].id, str(row.netns_id), netns.id, row.span)

    def _take(self, viewer: str, number: str, namespace: str, span: Span) -> None:
        if (viewer, number) not in self._namespace and (viewer, namespace) not in self._number:
            self._namespace[viewer, number] = namespace
            self._number[viewer, namespace] = number
            self._span[viewer, number] = span

    def learn(self, pairs: Iterable[tuple[_End, _End]]) -> None:
        """Take over what pairs tell that are certain; numbers that contradict each other are left out."""
        seen: dict[tuple[str, str], dict[str, _End]] = defaultdict(dict)
        for outer, inner in pairs:
            if outer.link.peer_netns:
                seen[outer.netns.id, outer.link.peer_netns].setdefault(inner.netns.id, outer)
        for (viewer, number), by_namespace in seen.items():
            if len(by_namespace) == 1:
                ((namespace, outer),) = by_namespace.items()
                self._take(viewer, number, namespace, outer.link.span)

    def speak_against(self, outer: _End, inner: _End) -> bool:
        """Whether the number that the outer end names is another namespace's, or this namespace has another number.

        For a namespace with a name (`ip netns`, podman) its name is printed in the place of the number.
        """
        viewer, number = outer.netns.id, outer.link.peer_netns
        if not number:
            return False
        if not number.isdecimal():
            place, _, name = inner.netns.path.rpartition("/")
            return place == _NAMED and name != number
        by_number = self._namespace.get((viewer, number), inner.netns.id)
        by_namespace = self._number.get((viewer, inner.netns.id), number)
        return by_number != inner.netns.id or by_namespace != number

    def told(self, outer: _End, inner: _End) -> Span | None:
        """The line, other than the outer end's own, that tells that its number is the inner end's namespace."""
        key = (outer.netns.id, outer.link.peer_netns or "")
        span = self._span.get(key)
        return span if span is not outer.link.span and self._namespace.get(key) == inner.netns.id else None


# --- endpoints --------------------------------------------------------------------------------------------------------


def host_end_of(host: "Host", container: Container, endpoint: Endpoint, bridge: str) -> HostEnd | None:
    """The host's link that carries an endpoint of a container on a bridge; None when nothing tells it.

    The pair of the container's own interface tells it best. Where the container's namespace was not collected, it is
    the port behind which the bridge has learned the endpoint's MAC address, or the one veth that leads to the
    namespace of the container's SandboxKey and is a port of the bridge.
    """
    netns = host.namespace_of(container)
    inner = netns.link_of(endpoint) if netns else None
    pair = host.veth_pair_of(netns, inner) if netns and inner else None
    if pair:
        return HostEnd(pair.outer, pair.joints)
    return _by_mac(host, endpoint, bridge) or _by_sandbox(host, container, bridge)


def _by_mac(host: "Host", endpoint: Endpoint, bridge: str) -> HostEnd | None:
    neighbours = host.root.neighbours_at(endpoint.address.ip) if endpoint.address else ()
    told = [
        (endpoint.mac, endpoint.span, Way.LEARNED_MAC),
        *((each.mac, each.span, Way.NEIGHBOUR) for each in neighbours if each.device == bridge),
    ]
    for mac, span, way in told:
        entries = [entry for entry in host.root.learned(mac or "") if entry.bridge in (bridge, None)]
        link = host.root.link(entries[0].device) if len(entries) == 1 else None
        if link:
            return HostEnd(link, (Joint(way, (span, entries[0].span)),))
    return None


def _by_sandbox(host: "Host", container: Container, bridge: str) -> HostEnd | None:
    row = host.namespace_with_file(container.sandbox_key or "")
    if row is None or row.netns_id is None:
        return None
    number = str(row.netns_id)
    ports = [link for link in host.root.links if link.peer_netns == number and link.master == bridge]
    return HostEnd(ports[0], (Joint(Way.SANDBOX_KEY, (row.span, ports[0].span)),)) if len(ports) == 1 else None
