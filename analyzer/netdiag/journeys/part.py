"""A part of what a trace shows: of some time or some tasks, or of some devices and containers."""

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from netdiag.journeys.observed import Drop, Observation, Path, Stop

if TYPE_CHECKING:
    from netdiag.journeys.callgraph import Only
    from netdiag.traces import TraceTable


def with_rows(table: "TraceTable", only: "Only") -> "TraceTable":
    """The trace as if it had only the events that are wanted. What is missing in it is missing in the part."""
    return replace(table, event_batches=lambda: (batch[only.of(batch)] for batch in table.event_batches()))


def on_the_way(observation: Observation, devices: Collection[str], names: Collection[str]) -> Observation:
    """Only packets that came by one of the devices, or by a namespace of one of the names (`container web`).

    Packets of paths that the observation does not keep apart are left out: nobody knows which way they took.
    """

    def is_wanted(stop: Stop) -> bool:
        return stop.where.device in devices or stop.where.name in names

    def is_drop_wanted(drop: Drop) -> bool:
        if drop.path is not None:
            return drop.path in kept
        return drop.where is not None and (drop.where.device in devices or drop.where.name in names)

    paths = tuple(path for path in observation.paths if any(map(is_wanted, path.stops)))
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


def devices_of(paths: Collection[Path], names: Collection[str]) -> frozenset[str]:
    """The devices of namespaces of these names, and those beside them on a path: the other ends of their veths."""
    found: set[str] = set()
    for path in paths:
        found.update(stop.where.device for stop in path.stops if stop.where.name in names)
        for one, other in pairwise(path.stops):
            if one.where.name in names or other.where.name in names:
                found |= {one.where.device, other.where.device}
    return frozenset(found)
