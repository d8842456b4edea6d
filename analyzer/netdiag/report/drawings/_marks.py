"""Which finding belongs to which object of a drawing, read off the subjects that the finding names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netdiag.finding import Finding, Severity, Subject
from netdiag.report import _anchors
from netdiag.report.drawings.wiring import Wiring

_OF_THE_HOST = {"host", "route", "chain", "rule", "sysctl", "port", "address"}

Spot = tuple[str, object]
"""An object of the drawing: `("card", 3)`, `("segment", 0)`, `("link", "veth1")`, `("host", "")`."""

HOST: Spot = ("host", "")


@dataclass(frozen=True)
class Mark:
    """A finding on an object."""

    severity: Severity
    href: str
    message: str


class Marks:
    """The marks of every object, the worst first, and the findings that have no object in the drawing."""

    def __init__(self, wiring: Wiring, findings: Sequence[Finding]) -> None:
        self._marks: dict[Spot, list[Mark]] = {}
        self.unplaced: list[Mark] = []
        for finding, anchor in zip(findings, _anchors.of_findings(findings), strict=True):
            mark = Mark(finding.severity, f"#{anchor}", finding.message)
            spots = _spots(wiring, finding)
            for spot in spots:
                self._marks.setdefault(spot, []).append(mark)
            if not spots:
                self.unplaced.append(mark)
        for marks in self._marks.values():
            marks.sort(key=lambda mark: mark.severity.rank)

    def at(self, kind: str, name: object) -> tuple[Mark, ...]:
        return tuple(self._marks.get((kind, name), ()))


def _spots(wiring: Wiring, finding: Finding) -> tuple[Spot, ...]:
    inside = any(subject.kind in ("container", "netns") for subject in finding.subjects)
    spots = [spot for subject in finding.subjects for spot in _spots_of(wiring, subject, inside=inside)]
    if not spots and any(subject.kind in _OF_THE_HOST for subject in finding.subjects):
        spots = [HOST]
    return tuple(dict.fromkeys(spots))


def _spots_of(wiring: Wiring, subject: Subject, *, inside: bool) -> list[Spot]:
    """An interface name of a finding about a container may be that of an interface in it: then no uplink is meant."""
    look_up: dict[str, Callable[[str], list[Spot]]] = {
        "container": lambda name: _cards(wiring, name),
        "netns": lambda name: _cards(wiring, name),
        "network": lambda name: [
            ("segment", n) for n, s in enumerate(wiring.segments) if s.network and name == s.network.name
        ],
        "bridge": lambda name: _devices(wiring, name),
        "interface": lambda name: _devices(wiring, name) + _ends(wiring, name, uplinks=not inside),
        "address": lambda name: _addressed(wiring, name),
    }
    return look_up[subject.kind](subject.name) if subject.kind in look_up else []


def _cards(wiring: Wiring, name: str) -> list[Spot]:
    return [
        ("card", number)
        for number, card in enumerate(wiring.cards)
        if name == card.name or (card.container and len(name) >= 12 and card.container.id.startswith(name))
    ]


def _devices(wiring: Wiring, name: str) -> list[Spot]:
    return [("segment", number) for number, segment in enumerate(wiring.segments) if name and segment.device == name]


def _ends(wiring: Wiring, name: str, *, uplinks: bool) -> list[Spot]:
    known = {item.veth.name for card in wiring.cards for item in card.attachments if item.veth}
    known |= {link.name for segment in wiring.segments for link in segment.loose}
    known |= {link.name for link in wiring.stray}
    if uplinks:
        known |= {uplink.device for uplink in wiring.uplinks}
    return [("link", name)] if name in known else []


def _addressed(wiring: Wiring, name: str) -> list[Spot]:
    """Cards that have the address, else networks that have the subnet."""
    bare = name.partition("/")[0]
    cards: list[Spot] = [
        ("card", number)
        for number, card in enumerate(wiring.cards)
        if any(bare == address.partition("/")[0] for item in card.attachments for address in item.addresses)
    ]
    subnets: list[Spot] = [
        ("segment", number)
        for number, segment in enumerate(wiring.segments)
        if segment.network and any(str(subnet.subnet) == name for subnet in segment.network.subnets)
    ]
    return cards or subnets
