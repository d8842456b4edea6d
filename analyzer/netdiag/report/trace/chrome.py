"""Traces in the JSON of Chrome's tracing (Trace Event Format), which ui.perfetto.dev and chrome://tracing show.

Calls of function_graph are complete events (`X`) on the track of their thread, the idle task's on that of their CPU;
events of packets are instants (`i`) on the track of their thread. Times are microseconds there; digits behind the point
keep the nanoseconds. A call that was seen in part is left out unless its beginning and the time within it are known.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from netdiag.journeys.callgraph import Calls, call_graphs
from netdiag.plain import Json
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView
from netdiag.report.visible import visible
from netdiag.traces import NOT_TOLD

_IDLE = "idle"
_TOLD = ("device", "skb", "length", "rc", "reason", "location", "protocol")


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    """One object with all events, an event a line. Each trace is a process there."""
    del look, kind
    before = '{"displayTimeUnit":"ns","traceEvents":[\n'
    for number, view in enumerate(found, start=1):
        for event in _events(view, number):
            yield before + json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            before = ",\n"
    yield "\n]}\n"


def _events(view: TraceView, process: int) -> Iterator[Json]:
    yield _named("process_name", process, 0, view.table.source.path)
    tracks: dict[int, str] = {}
    yield from _calls(view, process, tracks)
    yield from _instants(view, process, tracks)
    yield from (_named("thread_name", process, track, name) for track, name in sorted(tracks.items()))


def _named(what: str, process: int, thread: int, name: str) -> Json:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": visible(name)}}


def _calls(view: TraceView, process: int, tracks: dict[int, str]) -> Iterator[Json]:
    parts: list[Calls] = []
    call_graphs(view.table, view.only, receive=parts.append)
    for part in parts:
        shown = np.flatnonzero((part.start != NOT_TOLD) & (part.duration > 0))
        tasks = part.tasks
        for index in shown.tolist():
            thread, cpu = int(part.pid[index]), int(part.cpu[index])
            track = _track(thread, cpu)
            tracks.setdefault(track, f"{_IDLE} on CPU {cpu}" if thread <= 0 else tasks.get(thread, str(thread)))
            arguments: dict[str, Json] = {"cpu": cpu, "line": int(part.line[index])}
            if not part.whole[index]:
                arguments["seen"] = "in part"
            yield {
                "name": visible(part.names[int(part.function[index])]),
                "cat": "function_graph",
                "ph": "X",
                "ts": int(part.start[index]) / 1_000,
                "dur": int(part.duration[index]) / 1_000,
                "pid": process,
                "tid": track,
                "args": arguments,
            }


def _instants(view: TraceView, process: int, tracks: dict[int, str]) -> Iterator[Json]:
    for batch in view.table.event_batches():
        part = batch.take(view.only.of(batch) & (batch["time"] != NOT_TOLD))
        rows: Iterator[Any] = part.frame().itertuples(index=False)
        for row in rows:
            track = _track(int(row.pid), int(row.cpu))
            tracks.setdefault(track, str(row.task) or f"thread {row.pid}")
            yield {
                "name": visible(str(row.name)),
                "cat": visible(str(row.system)) or "event",
                "ph": "i",
                "s": "t",
                "ts": int(row.time) / 1_000,
                "pid": process,
                "tid": track,
                "args": _arguments(row),
            }


def _arguments(row: Any) -> Json:
    told: dict[str, Json] = {"line": int(row.line)}
    if row.cpu != NOT_TOLD:
        told["cpu"] = int(row.cpu)
    for name in _TOLD:
        value = getattr(row, name)
        if isinstance(value, str):
            if value:
                told[name] = visible(value)
        elif name == "skb":
            if value:
                told[name] = f"{int(value):#x}"
        elif value not in (NOT_TOLD, 0):
            told[name] = int(value)
    return told


def _track(thread: int, cpu: int) -> int:
    """The number of a track: the thread's, else (the idle task, nothing told) one of the CPU, beyond all threads."""
    return thread if thread > 0 else (1 << 23) + cpu + 1
