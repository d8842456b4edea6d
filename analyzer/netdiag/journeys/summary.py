"""What a trace holds, in numbers: before anybody follows a packet or a call through it.

The room loads pandas: whoever may not need it imports it inside a function.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from netdiag.journeys.callgraph import Only
from netdiag.journeys.observed import Loss
from netdiag.traces import NOT_TOLD, Phase, TraceTable

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
        part = batch[wanted.of(batch)]
        events.update(_counts(part, ["system", "name", "device"]))
        drops.update(_counts(part[part["name"].isin(_DROPS)], ["reason", "location", "device"]))
        tasks.update(_counts(part, ["task"]))
        _extend(part, cpus, times)
    for batch in table.call_batches():
        part = batch[wanted.of(batch) & (batch["phase"] != Phase.LOST).to_numpy()]
        calls += int(part["phase"].isin((Phase.ENTRY, Phase.LEAF)).sum())
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
            Loss(int(line), *(None if value == NOT_TOLD else int(value) for value in rest))
            for line, *rest in table.losses[["line", "time", "cpu", "count"]].itertuples(index=False)
        ),
        calls=calls,
    )


def _counts(part: pd.DataFrame, columns: list[str]) -> Counter[tuple[Any, ...]]:
    sizes = part.groupby(columns, observed=True).size()
    return Counter({key if isinstance(key, tuple) else (key,): int(size) for key, size in sizes.items()})


def _extend(part: pd.DataFrame, cpus: set[int], times: list[int]) -> None:
    cpus.update(int(cpu) for cpu in part["cpu"].unique() if cpu != NOT_TOLD)
    told = part["time"][part["time"] != NOT_TOLD]
    if len(told):
        times += [int(told.min()), int(told.max())]


def _ordered(counter: Counter[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], int]]:
    """The most frequent first, equals in alphabetical order."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
