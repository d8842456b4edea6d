"""A part of what a trace shows: of some time or some tasks, or of some devices and containers."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from netdiag.journeys.observed import Drop, Observation, Path, Whereabouts

if TYPE_CHECKING:
    from netdiag.journeys.callgraph import Only
    from netdiag.traces import TraceTable


def with_rows(table: "TraceTable", only: "Only") -> "TraceTable":
    """The trace as if it had only the events that are wanted. What is missing in it is missing in the part."""
    return replace(table, event_batches=lambda: (batch.take(only.of(batch)) for batch in table.event_batches()))


@dataclass(frozen=True)
class End:
    """A place where packets are seen: one of these devices, or a namespace of one of these names (`container web`)."""

    devices: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def has(self, where: Whereabouts) -> bool:
        return where.device in self.devices or where.name in self.names


def on_the_way(observation: Observation, ends: Sequence[End]) -> Observation:
    """Only packets that came by each of the ends, whichever way they went.

    Packets of paths that the observation does not keep apart are left out: nobody knows which way they took.
    """

    def is_path_wanted(path: Path) -> bool:
        return all(any(end.has(stop.where) for stop in path.stops) for end in ends)

    def is_drop_wanted(drop: Drop) -> bool:
        if drop.path is not None:
            return drop.path in kept
        return drop.where is not None and all(end.has(drop.where) for end in ends)

    paths = tuple(filter(is_path_wanted, observation.paths))
    kept = {path.number for path in paths}
    return replace(
        observation,
        packets=sum(path.count for path in paths),
        paths=paths,
        not_in_paths=0,
        journeys=tuple(journey for journey in observation.journeys if journey.path in kept),
        drops=tuple(filter(is_drop_wanted, observation.drops)),
        round_trips=tuple(trips for trips in observation.round_trips if trips.there in kept),
    )


def devices_on(paths: Iterable[Path]) -> frozenset[str]:
    """The devices that these paths pass."""
    return frozenset(stop.where.device for path in paths for stop in path.stops)


def devices_of(paths: Collection[Path], names: Collection[str]) -> frozenset[str]:
    """The devices of namespaces of these names, and those beside them on a path: the other ends of their veths."""
    found: set[str] = set()
    for path in paths:
        found.update(stop.where.device for stop in path.stops if stop.where.name in names)
        for one, other in pairwise(path.stops):
            if one.where.name in names or other.where.name in names:
                found |= {one.where.device, other.where.device}
    return frozenset(found)
