"""What `netdiag trace` writes: the traces of a bundle for people, and for the viewers that they like.

Importing this module imports none of the renderers; each is imported when it is asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.errors import UsageError
from netdiag.journeys import observations

if TYPE_CHECKING:
    from netdiag.journeys.callgraph import CallGraph, Only
    from netdiag.journeys.observed import Observation
    from netdiag.journeys.summary import Summary
    from netdiag.report.snippet import Look
    from netdiag.results import Reading
    from netdiag.traces import TraceTable

__all__ = ["FORMATS", "TraceFormat", "TraceView", "Wanted", "format_of", "render", "views"]


@dataclass(frozen=True)
class TraceFormat:
    """What can be written: the module whose `render` makes it, the endings of its files, and what it is for."""

    module: str
    endings: tuple[str, ...]
    about: str


FORMATS = {
    "text": TraceFormat("text", (".txt",), "for a terminal"),
    "json": TraceFormat("as_json", (".json",), "everything, for a program"),
    "csv": TraceFormat("tables", (".csv",), "one table: the events, or the calls where there are none"),
    "parquet": TraceFormat("tables", (".parquet",), "the same for pandas, DuckDB and the like"),
    "folded": TraceFormat("folded", (".folded",), "a stack a line, as inferno and FlameGraph take it"),
    "chrome": TraceFormat("chrome", (".chrome.json", ".perfetto.json"), "for chrome://tracing and ui.perfetto.dev"),
    "perfetto": TraceFormat("chrome", (), "the same"),
    "speedscope": TraceFormat("speedscope", (".speedscope.json",), "for speedscope.app"),
}


def format_of(path: Path) -> str:
    """The name of the format that a file of this name gets. Raises `UsageError` for an ending that stands for none."""
    endings = {ending: name for name, kind in FORMATS.items() for ending in kind.endings}
    for ending in sorted(endings, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return endings[ending]
    raise UsageError(f"{path}: no format of traces has this ending, it can be {', '.join(endings)}")


@dataclass(frozen=True)
class Wanted:
    """What of the traces is wanted; what is empty or None asks for nothing. Times are in ns of the trace's clock."""

    devices: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    since: int | None = None
    until: int | None = None
    function: str | None = None

    @cached_property
    def only(self) -> "Only":
        from netdiag.journeys.callgraph import Only  # noqa: PLC0415 - loads pandas

        devices, tasks, pids = frozenset(self.devices), frozenset(self.tasks), frozenset(self.pids)
        return Only(pids, tasks, devices, self.since, self.until)


@dataclass(frozen=True, eq=False)
class TraceView:
    """One trace, so far as it is wanted."""

    table: "TraceTable"
    wanted: Wanted
    observation: "Observation | None" = None

    @property
    def only(self) -> "Only":
        return self.wanted.only

    @property
    def journeys(self) -> "Observation | None":
        """What the trace shows of packets, when all of it is wanted."""
        return self.observation if self.wanted == Wanted() else None

    @cached_property
    def summary(self) -> "Summary":
        from netdiag.journeys.summary import summarise  # noqa: PLC0415 - loads pandas

        return summarise(self.table, self.only)

    @cached_property
    def graphs(self) -> "tuple[CallGraph, ...]":
        from netdiag.journeys.callgraph import call_graphs  # noqa: PLC0415 - loads pandas

        return call_graphs(self.table, self.only, within=self.wanted.function)


def views(reading: "Reading", wanted: Wanted) -> "tuple[TraceView, ...]":
    """The traces of a bundle, in its order. Raises `UsageError` when there is none."""
    seen = {observation.source: observation for observation in observations(reading.host)}
    traces = reading.host.traces.traces
    found = tuple(TraceView(trace.table, wanted, seen.get(trace.source)) for trace in traces)
    if not found:
        raise UsageError(f"{reading.bundle.name}: there is no trace in it")
    return found


def render(found: Sequence[TraceView], name: str, look: "Look") -> Iterator[bytes]:
    """Traces in one of `FORMATS`, as the bytes to write, piece by piece: a trace may be larger than the memory.

    Raises `ReportUnavailable` when the format needs something that this machine lacks.
    """
    module = import_module(f"{__name__}.{FORMATS[name].module}")
    pieces: Iterable[str | bytes] = module.render(found, look=look, kind=name)
    return (piece if isinstance(piece, bytes) else piece.encode("utf-8") for piece in pieces)
