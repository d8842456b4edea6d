"""What a trace holds, in numbers: before anybody follows a packet or a call through it.

The room loads numpy: whoever may not need it imports it inside a function.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdiag.journeys.callgraph import Only
from netdiag.journeys.observed import Loss
from netdiag.traces import NOT_TOLD, Columns, Phase, TraceTable

#: Tracepoints at which a packet is given up.
_DROPS = frozenset({"kfree_skb"})


@dataclass(frozen=True)
class EventCount:
    """How often an event was seen on a device; `device` is empty where the event names none."""

    event: str
    device: str
    count: int


@dataclass(frozen=True)
class TaskCount:
    """How many rows of the trace a task has."""

    task: str
    rows: int


@dataclass(frozen=True)
class DropCount:
    """How often packets were dropped for a reason at a place in the kernel, as the trace tells them."""

    reason: str
    location: str
    device: str
    count: int


@dataclass(frozen=True)
class Summary:
    """What was counted, the most frequent first. Times are in ns of the trace's clock, None when it tells none.

    `calls` are the calls of function_graph that begin in the trace.
    """

    first: int | None
    last: int | None
    cpus: tuple[int, ...]
    tasks: tuple[TaskCount, ...]
    events: tuple[EventCount, ...]
    drops: tuple[DropCount, ...]
    losses: tuple[Loss, ...]
    calls: int


def summarise(table: TraceTable, only: Only | None = None) -> Summary:
    """The summary of the part of a trace that is wanted. Losses are told whatever is wanted: they concern all of it."""
    wanted = only or Only()
    events: Counter[tuple[Any, ...]] = Counter()
    drops: Counter[tuple[Any, ...]] = Counter()
    tasks: Counter[tuple[Any, ...]] = Counter()
    cpus: set[int] = set()
    times: list[int] = []
    calls = 0
    for batch in table.event_batches():
        part = batch.take(np.flatnonzero(wanted.of(batch)))
        events.update(_counts(part, ["system", "name", "device"]))
        drops.update(_counts(part.take(part.isin("name", _DROPS)), ["reason", "location", "device"]))
        tasks.update(_counts(part, ["task"]))
        _extend(part, cpus, times)
    for batch in table.call_batches():
        part = batch.take(np.flatnonzero(wanted.of(batch) & (batch["phase"] != Phase.LOST)))
        calls += int(np.count_nonzero(part.isin("phase", (Phase.ENTRY, Phase.LEAF))))
        tasks.update(_counts(part, ["task"]))
        _extend(part, cpus, times)
    return Summary(
        first=min(times, default=None),
        last=max(times, default=None),
        cpus=tuple(sorted(cpus)),
        tasks=tuple(TaskCount(task, count) for (task,), count in _ordered(tasks) if task),
        events=tuple(
            EventCount(f"{system}:{name}" if system else name, device, count)
            for (system, name, device), count in _ordered(events)
        ),
        drops=tuple(DropCount(reason, location, device, n) for (reason, location, device), n in _ordered(drops)),
        losses=tuple(
            Loss(line, *(None if value == NOT_TOLD else value for value in rest))
            for line, *rest in zip(*map(table.losses.values, ("line", "time", "cpu", "count")), strict=True)
        ),
        calls=calls,
    )


def _counts(part: Columns, columns: list[str]) -> Counter[tuple[Any, ...]]:
    return Counter({texts: count for texts, count, _ in part.tally(*columns)})


def _extend(part: Columns, cpus: set[int], times: list[int]) -> None:
    cpus.update(cpu for cpu in np.unique(part["cpu"]).tolist() if cpu != NOT_TOLD)
    time = part["time"]
    told = time[time != NOT_TOLD]
    if len(told):
        times += [int(told.min()), int(told.max())]


def _ordered(counter: Counter[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], int]]:
    """The most frequent first, equals in alphabetical order."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
