"""What the checks of traces ask of the packets that were seen: which traces there are, whose device it was that a
packet came to, and how sure a conclusion is.

One kernel traces for all network namespaces of the machine, whoever they belong to. A check speaks only of devices that
the bundle knows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from netdiag.checks._base import NotApplicable
from netdiag.checks._docker import BridgeNetwork, bridge_networks, related
from netdiag.checks._events import none_of
from netdiag.checks._veths import ContainerPort, container_ports
from netdiag.finding import Confidence, Evidence, Subject
from netdiag.formats.records import Link
from netdiag.journeys import observations
from netdiag.journeys.observed.facts import DropClass, Ending, Observation, Whereabouts
from netdiag.model import Host, Namespace
from netdiag.model.gates import uplinks
from netdiag.model.knowledge import once
from netdiag.model.movement import Queue

#: Lines of a trace that one finding shows.
MOST_LINES = 3


def traces_with(host: Host, *events: str) -> tuple[list[Observation], list[NotApplicable]]:
    """The traces in which one of these events was recorded at least once, and what to say where there is none."""
    found = [seen for seen in observations(host) if any(seen.recorded.get(event) for event in events)]
    if found:
        return found, []
    return [], [none_of(host, events)]


@dataclass(frozen=True)
class Place:
    """A device that packets were seen at, by its name and the id of its namespace. `words` name it in a sentence;
    `subjects` are the device and whose it is.

    `of_containers` is whether only packets from or to containers come there. `shown` is the line that tells of it.
    """

    device: str
    namespace: str
    words: str
    subjects: tuple[Subject, ...]
    of_containers: bool
    shown: tuple[Evidence, ...]


class Places:
    """The devices of a host by namespace and name."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._namespaces = {netns.id: netns for netns in host.namespaces}
        self._ports: Mapping[str, ContainerPort] = {port.outer.name: port for port in container_ports(host)[0]}
        self._bridges: Mapping[str, BridgeNetwork] = {each.device: each for each in bridge_networks(host)[0]}
        self._uplinks = uplinks(host) | uplinks(host, 6)

    def of(self, where: Whereabouts | None) -> Place | None:
        """The place of a packet; None when the bundle does not tell whose the device is, or only may tell it."""
        if where is None or not where.namespace or where.confidence is Confidence.LOW:
            return None
        netns = self._namespaces.get(where.namespace)
        link = netns.link(where.device) if netns else None
        if netns is None or link is None:
            return None
        if netns is self._host.root:
            return self._outside(link, sure=where.confidence is Confidence.HIGH)
        return self._inside(netns, link) if where.confidence is Confidence.HIGH else None

    def _outside(self, link: Link, *, sure: bool) -> Place | None:
        """A device of the host's own namespace."""
        name = f"`{link.name}`"
        make = partial(Place, link.name, self._host.root.id, shown=(related(link.span, "the device"),))
        if (port := self._ports.get(link.name)) and sure:
            subjects = (*port.subjects, Subject("network", port.network))
            return make(
                words=f"{name}, the veth of container `{port.container}`", subjects=subjects, of_containers=True
            )
        if (bridge := self._bridges.get(link.name)) and sure:
            words = f"{name}, the bridge of network `{bridge.network.name}`"
            return make(words=words, subjects=(*bridge.subjects, Subject("interface", link.name)), of_containers=True)
        way_out = ", a way out of the host" if link.name in self._uplinks else ""
        return make(words=name + way_out, subjects=(Subject("interface", link.name),), of_containers=False)

    def _inside(self, netns: Namespace, link: Link) -> Place:
        """A device of another namespace, a container's in most cases."""
        owners = [each for each in self._host.containers if each.id in netns.containers]
        networks = (
            endpoint.network for each in owners for endpoint in each.endpoints if netns.link_of(endpoint) == link
        )
        named = [Subject("container", each.name) for each in owners] or [Subject("netns", netns.name)]
        whose = f"container `{owners[0].name}`" if owners else f"namespace `{netns.name}`"
        return Place(
            link.name,
            netns.id,
            f"`{link.name}` of {whose}",
            (*named, *(Subject("network", name) for name in dict.fromkeys(networks))),
            of_containers=bool(owners),
            shown=(related(link.span, "the device"),),
        )


@once
def places(host: Host) -> Places:
    return Places(host)


def refused(seen: Observation) -> Mapping[int, int]:
    """By path what the last device answered to packets that it did not send, where that is known not to be 0."""
    return {each.path: each.rc for each in seen.journeys if each.rc}


@dataclass(frozen=True)
class Unseen:
    """`count` packets that `queue` let go by its own counters, and of which the trace only shows that they came."""

    place: Place
    queue: Queue
    count: int


def unseen(host: Host, seen: Observation) -> Iterator[Unseen]:
    """Where the trace ended too soon, or lacks events of which the tracer says nothing.

    A packet that came into a queue was let go, or dropped, or waits there at the second look at the counters. perf has
    no event where the kernel hides the task that it interrupts. So it was on a virtual machine with Linux 6.18 with the
    idle task of its second CPU and the threads of process 1, and with all packets that a timer let go meanwhile; ftrace
    had them.
    """
    queues = {(each.scope, each.device): each for each in (host.movement.queues if host.movement else ())}
    came: dict[tuple[str, str], int] = defaultdict(int)
    where: dict[tuple[str, str], Place] = {}
    for path in seen.paths:
        place = places(host).of(path.stops[-1].where)
        count = path.endings.get(Ending.QUEUED, 0) - path.doubtful
        if place and (key := (place.namespace, place.device)) in queues and count > 0 and path.copies == 0:
            where[key] = place
            came[key] += count
    dropped: dict[tuple[str, str], int] = defaultdict(int)
    for drop in seen.drops:
        if drop.reason.kind is DropClass.QUEUE and (place := places(host).of(drop.where)):
            dropped[place.namespace, place.device] += drop.count
    for key, place in where.items():
        stayed = queues[key].waiting + max(0, queues[key].dropped - dropped[key])
        if came[key] > stayed:
            yield Unseen(place, queues[key], came[key] - stayed)


def is_whole(host: Host, seen: Observation) -> bool:
    """No event is known to be missing."""
    return not seen.losses and next(unseen(host, seen), None) is None


def confidence_of(host: Host, seen: Observation) -> Confidence:
    """Of a conclusion from what the trace does not show."""
    return Confidence.HIGH if is_whole(host, seen) else Confidence.MEDIUM


def reservation(host: Host, seen: Observation) -> str:
    """What to add to a conclusion from what the trace does not show; empty when the trace is whole."""
    if is_whole(host, seen):
        return ""
    if not seen.losses:
        return " (the trace lacks events, of these packets too maybe)"
    lost = sum(loss.count or 0 for loss in seen.losses)
    return f" (the trace lost {lost or 'some'} events, of these packets too maybe)"


def evidence_at(seen: Observation, lines: Iterable[int], label: str) -> Iterator[Evidence]:
    """Some lines of a trace: the first is what the finding rests on."""
    for number, line in enumerate(dict.fromkeys(lines)):
        if number == MOST_LINES:
            return
        span = seen.span(line)
        yield related(span, label) if number else Evidence(span, label)


def packets(count: int) -> str:
    return "1 packet" if count == 1 else f"{count} packets"


def milliseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1_000_000:.3g} ms"
