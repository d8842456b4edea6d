"""What `netdiag trace` writes: the traces of a bundle for people, and for the viewers that they like.

Importing this module imports none of the renderers; each is imported when it is asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.errors import UsageError
from netdiag.journeys import observations, part
from netdiag.journeys.observed import observe

if TYPE_CHECKING:
    from netdiag.formats.records import Container
    from netdiag.journeys.callgraph import CallGraph, Only
    from netdiag.journeys.observed import Observation
    from netdiag.journeys.summary import Summary
    from netdiag.model import Host
    from netdiag.report.snippet import Look
    from netdiag.results import Reading
    from netdiag.traces import TraceTable

__all__ = ["FORMATS", "TraceFormat", "TraceView", "Wanted", "format_of", "render", "views"]

_SHORTEST_ID = 4
#: A name that no device can have: of a container without packets nothing is wanted.
_NO_DEVICE = "no device"


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
    """What of the traces is wanted; what is empty or None asks for nothing. Times are in ns of the trace's clock.

    `containers` are names or ids as the bundle has them. `flow` are the two ends of a way: such a name, an address of a
    container or of the host, `host`, or a device.
    """

    devices: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    since: int | None = None
    until: int | None = None
    function: str | None = None
    flow: tuple[str, str] | None = None

    @property
    def some_rows(self) -> bool:
        """Whether only a part of the time, or of what ran, is wanted."""
        return bool(self.tasks or self.pids) or self.since is not None or self.until is not None


@dataclass(frozen=True, eq=False)
class TraceView:
    """One trace, so far as it is wanted: `only` are the rows, `function` the calls."""

    table: "TraceTable"
    only: "Only"
    function: str | None = None
    journeys: "Observation | None" = None

    @cached_property
    def summary(self) -> "Summary":
        from netdiag.journeys.summary import summarise  # noqa: PLC0415 - loads numpy

        return summarise(self.table, self.only)

    @cached_property
    def graphs(self) -> "tuple[CallGraph, ...]":
        from netdiag.journeys.callgraph import call_graphs  # noqa: PLC0415 - loads numpy

        return call_graphs(self.table, self.only, within=self.function)


def views(reading: "Reading", wanted: Wanted) -> "tuple[TraceView, ...]":
    """The traces of a bundle, in its order. Raises `UsageError` when there is none, or no such container."""
    traces = reading.host.traces.traces
    if not traces:
        raise UsageError(f"{reading.bundle.name}: there is no trace in it")
    names = frozenset(_name_of(reading.host, container) for container in wanted.containers)
    flow = tuple(_end_of(reading.host, end) for end in wanted.flow or ())
    seen = {observation.source: observation for observation in observations(reading.host)}
    return tuple(_view(reading.host, trace.table, seen.get(trace.source), wanted, names, flow) for trace in traces)


def _view(
    host: "Host",
    table: "TraceTable",
    seen: "Observation | None",
    wanted: Wanted,
    names: frozenset[str],
    flow: Sequence[part.End],
) -> TraceView:
    from netdiag.journeys.callgraph import Only  # noqa: PLC0415 - loads numpy

    only = Only(frozenset(wanted.pids), frozenset(wanted.tasks), frozenset(), wanted.since, wanted.until)
    if seen and wanted.some_rows:
        seen = observe(part.with_rows(table, only), host)
    devices = frozenset(wanted.devices)
    if seen and (devices or names):
        seen = part.on_the_way(seen, [part.End(devices, names)])
    if names:
        of_containers = part.devices_of(seen.paths if seen else (), names)
        devices |= of_containers or {_NO_DEVICE}
    if flow:
        seen = part.on_the_way(seen, flow) if seen else None
        of_flow = part.devices_on(seen.paths if seen else ())
        devices = (devices & of_flow if devices else of_flow) or frozenset({_NO_DEVICE})
    shown = seen if seen and (seen.packets or seen.drops) and wanted.function is None else None
    return TraceView(table, replace(only, devices=devices), wanted.function, shown)


def _name_of(host: "Host", container: str) -> str:
    """The namespace of a container as journeys name it. Raises `UsageError` when there is no such container."""
    for known in host.containers:
        if container == known.name or (len(container) >= _SHORTEST_ID and known.id.startswith(container)):
            return f"container {known.name}"
    there = ", ".join(known.name for known in host.containers)
    raise UsageError(f"no container is named {container}; " + (f"there are {there}" if there else "none is known"))


def _end_of(host: "Host", end: str) -> part.End:
    """What stands for an end of a flow. An address must be known: events of packets print none.

    Raises `UsageError` for an address that neither a container nor the host has.
    """
    known = next((each for each in host.containers if end in (each.name, each.id)), None)
    try:
        address = ip_address(end)
    except ValueError:
        address = None
    if address is not None:
        known = next((each for each in host.containers if address in _addresses_of(each)), None)
        if known is None and address not in (host.root.ground.local or ()):
            raise UsageError(f"no container has the address {end}, nor has the host: name the device it is behind")
    if known is not None:
        return part.End(names=frozenset({f"container {known.name}"}))
    if address is not None or end == "host":
        return part.End(names=frozenset({"host"}))
    return part.End(devices=frozenset({end}))


def _addresses_of(container: "Container") -> Iterator[IPv4Address | IPv6Address]:
    for endpoint in container.endpoints:
        yield from (each.ip for each in (endpoint.address, endpoint.address6) if each is not None)


def render(found: Sequence[TraceView], name: str, look: "Look") -> Iterator[bytes]:
    """Traces in one of `FORMATS`, as the bytes to write, piece by piece: a trace may be larger than the memory.

    Raises `ReportUnavailable` when the format needs something that this machine lacks.
    """
    module = import_module(f"{__name__}.{FORMATS[name].module}")
    pieces: Iterable[str | bytes] = module.render(found, look=look, kind=name)
    return (piece if isinstance(piece, bytes) else piece.encode("utf-8") for piece in pieces)
