"""What was really sent, packet by packet, against the journeys that are found in a trace of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sent_packets import Sent

from netdiag.finding import Confidence
from netdiag.journeys.observed.facts import Direction, DropClass, Journey, Outcome

_ETHERNET_HEADER = 14  # octets; counted at a device that sends, no longer at one that receives
_OUTSIDE = "wan"


@dataclass(frozen=True)
class Comparison:
    """`missing` was sent and not found, `wrong` was found and nobody sent it; `mixed` are journeys in which events of
    packets of several lengths were joined.
    """

    sent: int
    found: int
    missing: tuple[str, ...]
    wrong: tuple[str, ...]
    mixed: tuple[str, ...]


def compare(sent: Sequence[Sent], journeys: Iterable[Journey]) -> Comparison:
    """The journeys of packets that have one of the lengths that were sent and pass a device that no other host has."""
    journeys = [*journeys]
    known = {journey.line: journey for journey in journeys}
    lengths = {each.octets for each in sent}
    devices = {_device(place) for each in sent for place in each.way if not _device(place).startswith("eth")}
    ours = [journey for journey in journeys if devices & {hop.where.device for hop in journey.hops}]
    whole = (journey for journey in ours if not journey.made_of)
    mixed = [
        _text(journey) for journey in whole if len(set(_lengths(journey))) > 1 and lengths & set(_lengths(journey))
    ]
    found = Counter(_found(journey, known) for journey in ours if set(_lengths(journey)) <= lengths)
    expected = Counter((each.octets, _without_outside(each.way), each.fate, each.part) for each in sent)
    return Comparison(
        sent=expected.total(),
        found=(found & expected).total(),
        missing=tuple(map(str, (expected - found).elements())),
        wrong=tuple(map(str, (found - expected).elements())),
        mixed=tuple(mixed),
    )


def _device(place: str) -> str:
    return place.partition(":")[2]


def _lengths(journey: Journey) -> Iterator[int]:
    """The length of the IP packet as each event tells it."""
    for hop in journey.hops:
        header = _ETHERNET_HEADER if hop.direction is Direction.SENDS else 0
        for step in hop.steps:
            if step.length is not None:
                yield step.length - header


def _without_outside(way: Iterable[str]) -> tuple[str, ...]:
    """Of a place that the bundle does not tell of only the device is known."""
    return tuple(f":{_device(place)}" if place.startswith(f"{_OUTSIDE}:") else place for place in way)


def _found(journey: Journey, known: Mapping[int, Journey]) -> tuple[int, tuple[str, ...], str, str]:
    """Length, way, fate, and what it is a piece of. A copy has come the way of its original until it was made."""
    way: list[str] = []
    original = known.get(journey.copy_of or 0)
    before = [hop for hop in original.hops if hop.start < journey.start] if original else []
    for hop in (*before, *journey.hops):
        place = f"{hop.where.name.removeprefix('container ')}:{hop.where.device}"
        if way[-1:] != [place]:
            way.append(place)
    arrived = journey.drop is not None or journey.outcome in (Outcome.DELIVERED, Outcome.RECEIVED)
    lost = journey.drop is not None and journey.drop.kind is not DropClass.CONSUMED
    fate = journey.drop.name if journey.drop and lost else "delivered" if arrived else journey.ending.value
    return next(_lengths(journey), 0), tuple(way), fate, _part(journey)


def _part(journey: Journey) -> str:
    part = journey.part
    perhaps = "perhaps " if part and part.confidence is not Confidence.HIGH else ""
    words = [f"{perhaps}{part.how.value} {part.number}/{part.of}"] if part else []
    words += ["merged"] if journey.put_into else []
    words += [f"of {len(journey.made_of)} more"] if journey.made_of else []
    return " ".join(words)


def _text(journey: Journey) -> str:
    return f"line {journey.line}: {sorted(set(_lengths(journey)))} {_found(journey, {})[1]}"
