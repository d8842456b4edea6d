"""Whose the devices of a path are. A trace names devices only, and `eth0` is in every namespace.

Devices between two crossings of veths are in one namespace. Which one, the other devices of that leg tell by their
names, and the veth pairs of the model by what is at the other end.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import pairwise

from netdiag.finding import Confidence
from netdiag.formats.records import Container, Link
from netdiag.journeys.observed.facts import Direction, Ending, StaticReason, Whereabouts
from netdiag.model import Host, Namespace
from netdiag.model.gates import bridge_name, has_own_namespace, is_running
from netdiag.model.host import NamespaceKind
from netdiag.model.peers import host_end_of

#: A device of a path, and whether it receives.
NamedHop = tuple[str, bool]
#: A link by its namespace's id and its name.
_Key = tuple[str, str]


class Places:
    """What the model says of devices."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._namespaces: Mapping[str, Namespace] = {netns.id: netns for netns in host.namespaces}
        self._peer: dict[_Key, _Key] = {}
        for pair in (*host.veth_pairs, *host.sandbox_pairs):
            outer, inner = (pair.outer_namespace, pair.outer.name), (pair.namespace, pair.inner.name)
            self._peer[outer], self._peer[inner] = inner, outer
        self._with: dict[str, list[str]] = defaultdict(list)
        for netns in host.namespaces:
            for link in netns.links:
                self._with[link.name].append(netns.id)
        self._behind = self._containers_behind()

    # --- pairs of devices, for joining --------------------------------------------------------------------------------

    def uppers(self) -> Iterator[tuple[str, str]]:
        """Names of devices and of one below each."""
        for netns in self._host.namespaces:
            for link in netns.links:
                if link.master:
                    yield link.master, link.name

    def veths(self) -> Iterator[tuple[str, str]]:
        """Names of the two ends of veths, both ways around."""
        for (_, one), (_, other) in self._peer.items():
            yield one, other

    def namespaces(self) -> Mapping[str, Set[str]]:
        """By the name of a device the namespaces that have one."""
        return {name: frozenset(found) for name, found in self._with.items()}

    def mtus(self) -> Mapping[str, Set[int]]:
        """By the name of a device what those of that name send at most, in octets."""
        found: dict[str, set[int]] = defaultdict(set)
        for netns in self._host.namespaces:
            for link in netns.links:
                if link.mtu:
                    found[link.name].add(link.mtu)
        return found

    # --- namespaces ---------------------------------------------------------------------------------------------------

    def of_path(self, path: Sequence[NamedHop]) -> tuple[Whereabouts, ...]:
        """Whose each device of a path is."""
        legs = _legs(path)
        everywhere = [self._choices(path, leg) for leg in legs]
        # devices that the bundle has are taken for those, unless the way does not fit then
        seen = [[each for each in choices if each] or choices for choices in everywhere]
        choices = self._fitting(path, legs, seen)
        if not all(choices):
            choices = self._fitting(path, legs, everywhere)
        found: list[Whereabouts] = []
        for number, leg in enumerate(legs):
            found += [self._whereabouts(path, legs, number, choices, path[at][0]) for at in leg]
        return tuple(found)

    def _fitting(
        self, path: Sequence[NamedHop], legs: Sequence[Sequence[int]], possible: Sequence[Sequence[str]]
    ) -> list[list[str]]:
        """Of the namespaces that each leg may be in those that go with what is before and behind it."""
        choices = [[*each] for each in possible]
        for (left, right), (one, other) in [*zip(pairwise(range(len(legs))), pairwise(legs), strict=True)]:
            crossing = path[one[-1]][0], path[other[0]][0]
            fitting = {(a, b) for a in choices[left] for b in choices[right] if self._fits(a, b, *crossing)}
            choices[left] = [each for each in choices[left] if any(each == a for a, _ in fitting)]
            choices[right] = [each for each in choices[right] if any(each == b for _, b in fitting)]
        for (left, right), (one, other) in reversed([*zip(pairwise(range(len(legs))), pairwise(legs), strict=True)]):
            crossing = path[one[-1]][0], path[other[0]][0]
            choices[left] = [a for a in choices[left] if any(self._fits(a, b, *crossing) for b in choices[right])]
        return choices

    def _choices(self, path: Sequence[NamedHop], leg: Sequence[int]) -> list[str]:
        """The namespaces that have all devices of a leg, and the empty one, which was not collected."""
        names = {path[at][0] for at in leg}
        found = [each for each in self._with.get(path[leg[0]][0], ()) if all(each in self._with[n] for n in names)]
        return [*dict.fromkeys(found), ""]

    def _fits(self, one: str, other: str, sender: str, receiver: str) -> bool:
        """Whether what `sender` sends in one namespace comes out of `receiver` in the other."""
        if one and (one, sender) in self._peer:
            return self._peer[one, sender] == (other, receiver)
        if other and (other, receiver) in self._peer:
            return self._peer[other, receiver] == (one, sender)
        ends = (self._link(one, sender), self._link(other, receiver))
        return all(link is None or link.kind in ("veth", None) for link in ends) and (one != other or not one)

    def _link(self, namespace: str, name: str) -> Link | None:
        netns = self._namespaces.get(namespace)
        return netns.link(name) if netns else None

    def _whereabouts(
        self,
        path: Sequence[NamedHop],
        legs: Sequence[Sequence[int]],
        number: int,
        choices: Sequence[Sequence[str]],
        device: str,
    ) -> Whereabouts:
        seen = [each for each in choices[number] if each]
        if len(seen) > 1 and legs[number][0] == 0 and path[0][1]:
            # the first event of a veth would have been that its other end sends
            seen = [each for each in seen if (each, path[0][0]) not in self._peer] or seen
        if len(seen) == 1:
            others = len(self._with[device]) > 1
            beside = (*choices[max(number - 1, 0) : number], *choices[number + 1 : number + 2])
            sure = not others or len(legs[number]) > 1 or any(any(each) for each in beside)
            why = f"of {len(self._with[device])} namespaces with {device}, the one that the way fits" if others else ""
            confidence = Confidence.HIGH if sure else Confidence.MEDIUM
            return Whereabouts(device, seen[0], _name(self._namespaces[seen[0]]), confidence, why)
        if seen:
            return Whereabouts(device, why=f"{len(seen)} namespaces have a device {device}", confidence=Confidence.LOW)
        return self._uncollected(path, legs, number, device)

    def _uncollected(
        self, path: Sequence[NamedHop], legs: Sequence[Sequence[int]], number: int, device: str
    ) -> Whereabouts:
        """Whose a device of a namespace is that was not collected, by the veth at its other end."""
        for neighbour, end in ((number - 1, -1), (number + 1, 0)):
            if not 0 <= neighbour < len(legs) or len(legs[number]) > 1:
                continue
            outer = path[legs[neighbour][end]][0]
            container = self._behind.get(outer)
            if container:
                return Whereabouts(device, _id(container), f"container {container.name}", why=f"behind {outer}")
            alone = self._only_container()
            # the side that has a bridge beside the veth is the host's
            if alone and len({path[at][0] for at in legs[neighbour]}) > 1:
                why = "the only running container"
                return Whereabouts(device, _id(alone), f"container {alone.name}", Confidence.MEDIUM, why)
        return Whereabouts(device, confidence=Confidence.LOW, why="no namespace in the bundle has this device")

    def _containers_behind(self) -> Mapping[str, Container]:
        """Containers whose namespace was not collected, by the host's device that leads to each."""
        found: dict[str, Container] = {}
        for container in self._host.containers:
            if self._host.namespace_of(container) is not None or is_running(container).no:
                continue
            for endpoint in container.endpoints:
                network = self._host.network(endpoint.network_id)
                end = (
                    host_end_of(self._host, container, endpoint, bridge_name(self._host, network)) if network else None
                )
                if end:
                    found[end.link.name] = container
        return found

    def _only_container(self) -> Container | None:
        running = [each for each in self._host.containers if each.state in ("running", "paused")]
        own = [each for each in running if not has_own_namespace(each).no]
        return own[0] if len(own) == 1 and self._host.namespace_of(own[0]) is None else None

    # --- ends ---------------------------------------------------------------------------------------------------------

    def leads_to_a_peer(self, where: Whereabouts) -> bool:
        """Whether the device is known to be an end of a veth."""
        link = self._link(where.namespace, where.device)
        return (where.namespace, where.device) in self._peer or (link is not None and link.kind == "veth")

    def is_upper(self, where: Whereabouts) -> bool:
        netns = self._namespaces.get(where.namespace)
        return netns is not None and netns.bridge(where.device) is not None

    def reasons(self, where: Whereabouts, direction: Direction, ending: Ending) -> Iterator[StaticReason]:
        """What of the model may explain that a packet's way ends at a device."""
        netns = self._namespaces.get(where.namespace)
        link = netns.link(where.device) if netns else None
        if netns is None:
            return
        if link is not None and not link.up:
            yield StaticReason(f"{where.text} is down", link.span)
        peer = self._peer.get((where.namespace, where.device))
        other = self._link(*peer) if peer else None
        if peer and other is not None and not other.up and ending is Ending.CROSSING:
            whose = _name(self._namespaces[peer[0]])
            yield StaticReason(f"the other end, {other.name} in {whose}, is down", other.span)
        if direction is Direction.RECEIVES and ending in (Ending.HANDED_UP, Ending.FREED):
            setting = netns.sysctl("net.ipv4.ip_forward")
            if setting and setting.value.strip() == "0" and netns.kind is NamespaceKind.HOST:
                yield StaticReason("nothing is forwarded here: net.ipv4.ip_forward is 0", setting.span)
        if ending is Ending.BRIDGING and netns.links.whole and not netns.ports_of(where.device):
            yield StaticReason(f"{where.device} has no ports", link.span if link else None)


def _legs(path: Sequence[NamedHop]) -> list[list[int]]:
    """The places of a path by namespace: a new leg begins where a device receives what another one has sent."""
    legs: list[list[int]] = []
    for at, (device, receives) in enumerate(path):
        crosses = at > 0 and receives and not path[at - 1][1] and path[at - 1][0] != device
        if at == 0 or crosses:
            legs.append([])
        legs[-1].append(at)
    return legs


def _name(netns: Namespace) -> str:
    if netns.kind is NamespaceKind.HOST:
        return "host"
    return f"container {netns.name}" if netns.containers else f"namespace {netns.name}"


def _id(container: Container) -> str:
    return f"netns:{container.id}"
