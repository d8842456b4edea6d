"""Which finding belongs to which object of a drawing, read off the subjects that the finding names."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netdiag.finding import Finding, Severity, Subject
from netdiag.report import _anchors
from netdiag.report.drawings.wiring import Wiring

_OF_THE_HOST = {"host", "route", "chain", "rule", "sysctl", "port", "address"}
# Docker prints the first twelve characters of an id; a shorter beginning may be that of several.
_SHORT_ID = 12


class Spot(NamedTuple):
    """An object of the drawing: `("card", 3)`, `("segment", 0)`, `("link", "veth1")`, `("host", "")`."""

    kind: str
    name: int | str


HOST = Spot("host", "")


class Spots:
    """Where on the drawing the subjects of a finding are."""

    def __init__(self, wiring: Wiring) -> None:
        self._cards: dict[str, list[Spot]] = defaultdict(list)
        self._ids: dict[str, list[tuple[str, Spot]]] = defaultdict(list)
        self._addresses: dict[str, list[Spot]] = defaultdict(list)
        self._owners: dict[str, list[Spot]] = defaultdict(list)
        self._networks: dict[str, list[Spot]] = defaultdict(list)
        self._devices: dict[str, list[Spot]] = defaultdict(list)
        self._subnets: dict[str, list[Spot]] = defaultdict(list)
        for number, card in enumerate(wiring.cards):
            spot = Spot("card", number)
            self._cards[card.name].append(spot)
            if card.container:
                self._ids[card.container.id[:_SHORT_ID]].append((card.container.id, spot))
            for item in card.attachments:
                if item.veth:
                    self._owners[item.veth.name].append(spot)
                for address in item.addresses:
                    self._addresses[address.partition("/")[0]].append(spot)
        for number, segment in enumerate(wiring.segments):
            spot = Spot("segment", number)
            self._devices[segment.device].append(spot)
            if segment.network:
                self._networks[segment.network.name].append(spot)
                for subnet in segment.network.subnets:
                    self._subnets[str(subnet.subnet)].append(spot)
        loose = [link for segment in wiring.segments for link in segment.loose]
        self._ends = {*self._owners, *(link.name for link in (*loose, *wiring.stray))}
        self._uplinks = {uplink.device for uplink in wiring.uplinks}

    def of(self, finding: Finding) -> tuple[Spot, ...]:
        """The objects at fault, in the order of the finding's subjects; none when it names nothing that is drawn."""
        inside = any(subject.kind in ("container", "netns") for subject in finding.subjects)
        spots = [spot for subject in finding.subjects for spot in self._of(subject, inside=inside)]
        if not spots and any(subject.kind in _OF_THE_HOST for subject in finding.subjects):
            spots = [HOST]
        return tuple(dict.fromkeys(spots))

    def cards(self, spots: Sequence[Spot]) -> tuple[int, ...]:
        """The cards among some objects, and those whose veths are among them, by their numbers."""
        found: list[Spot] = []
        for spot in spots:
            found += [spot] if spot.kind == "card" else self._owners.get(str(spot.name), ())
        return tuple(dict.fromkeys(spot.name for spot in found if isinstance(spot.name, int)))

    def _of(self, subject: Subject, *, inside: bool) -> list[Spot]:
        """An interface name of a finding about a container may be that of an interface in it: then no uplink is
        meant.
        """
        look_up: dict[str, Callable[[str], list[Spot]]] = {
            "container": self._of_container,
            "netns": self._of_container,
            "network": lambda name: self._networks.get(name, []),
            "bridge": self._of_device,
            "interface": lambda name: self._of_device(name) + self._of_end(name, uplinks=not inside),
            "address": lambda name: self._addresses.get(name.partition("/")[0], []) or self._subnets.get(name, []),
        }
        return look_up[subject.kind](subject.name) if subject.kind in look_up else []

    def _of_container(self, name: str) -> list[Spot]:
        by_id = self._ids.get(name[:_SHORT_ID], []) if len(name) >= _SHORT_ID else []
        return self._cards.get(name, []) + [spot for whole, spot in by_id if whole.startswith(name)]

    def _of_device(self, name: str) -> list[Spot]:
        return self._devices.get(name, []) if name else []

    def _of_end(self, name: str, *, uplinks: bool) -> list[Spot]:
        return [Spot("link", name)] if name in self._ends or (uplinks and name in self._uplinks) else []


@dataclass(frozen=True)
class Mark:
    """A finding on an object."""

    severity: Severity
    href: str
    message: str


class Marks:
    """The marks of every object, the worst first, and the findings that have no object in the drawing."""

    def __init__(self, wiring: Wiring, findings: Sequence[Finding]) -> None:
        self._marks: dict[Spot, list[Mark]] = defaultdict(list)
        self.unplaced: list[Mark] = []
        where = Spots(wiring)
        for finding, anchor in zip(findings, _anchors.of_findings(findings), strict=True):
            mark = Mark(finding.severity, f"#{anchor}", finding.message)
            spots = where.of(finding)
            for spot in spots:
                self._marks[spot].append(mark)
            if not spots:
                self.unplaced.append(mark)
        for marks in self._marks.values():
            marks.sort(key=lambda mark: mark.severity.rank)

    def at(self, kind: str, name: int | str) -> tuple[Mark, ...]:
        return tuple(self._marks.get(Spot(kind, name), ()))
