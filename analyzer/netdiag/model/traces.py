"""The traces of a bundle: event streams, of which the host's facts are none, for whoever walks through them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import KernelFunction, Tracepoint, TracepointText
from netdiag.spans import Source, StoredSource

if TYPE_CHECKING:
    from netdiag.bundle.stored import Following
    from netdiag.traces import TraceTable

#: The formats of event streams.
TRACE_FORMATS = frozenset({"perf_script", "perf_trace", "trace_cmd_report", "tracefs_trace"})


@dataclass(frozen=True)
class TraceDocument(Document):
    """A trace that was read into its table alone: a record for each line would take many times its size."""

    table: "TraceTable | None" = None

    @property
    def lines(self) -> int:
        return self.table.lines if self.table else super().lines

    @property
    def read(self) -> int:
        return self.table.read if self.table else super().read


def trace_format(source: Source) -> str:
    """The name of the format of traces that a source is in; empty when it is no trace."""
    if source.format:
        return source.format if source.format in TRACE_FORMATS else ""
    found = formats.recognise(source)
    return found.name if found and found.name in TRACE_FORMATS else ""


def follow_trace(source: StoredSource) -> "Following | None":
    """Begin to read a long trace while it is unpacked. This loads numpy and pyarrow."""
    from netdiag.traces import follow  # noqa: PLC0415

    return follow(source)


def read_trace(source: Source, format_name: str, progress: Callable[[int, int], None] | None = None) -> TraceDocument:
    """A trace as a document without records; `progress` is told how much of how much is read. This loads numpy."""
    table = _table(source, format_name, progress)
    unread = tuple(Unread(line, reason) for line, reason in table.unread)
    return TraceDocument(source, format_name, (), unread, table=table)


def _table(source: Source, format_name: str, progress: Callable[[int, int], None] | None = None) -> "TraceTable":
    from netdiag.traces import read_table  # noqa: PLC0415  # numpy, which few bundles need

    if source.format == format_name:  # as of a stored source, whose lines are marked on the way
        return read_table(source, progress)
    return replace(read_table(replace(source, format=format_name), progress), source=source)


@dataclass(frozen=True, eq=False)
class Trace:
    """One trace. Its table is made when it is asked for, if it was not read as one: that loads numpy."""

    document: Document

    @property
    def source(self) -> Source:
        return self.document.source

    @property
    def format(self) -> str:
        return self.document.format

    @cached_property
    def table(self) -> "TraceTable":
        known = self.document.table if isinstance(self.document, TraceDocument) else None
        return known or _table(self.source, self.format)


@dataclass(frozen=True, eq=False)
class Traces:
    """All traces of a bundle. Two of them are never equal, so that what is found in them can be remembered by them.

    `drop_reasons` are the names of the reasons of `skb:kfree_skb` by their numbers, as the kernel that was traced lists
    them; None where no file of it tells. `functions` are the places in its functions by the addresses
    that a trace has instead.
    """

    traces: tuple[Trace, ...] = ()
    drop_reasons: Mapping[int, str] | None = None
    functions: Mapping[int, KernelFunction] = field(default_factory=dict)


def traces_of(documents: Sequence[Document]) -> Traces:
    traces = tuple(Trace(document) for document in documents if document.format in TRACE_FORMATS)
    return Traces(traces, _drop_reasons(documents), _functions(documents))


def _drop_reasons(documents: Sequence[Document]) -> Mapping[int, str] | None:
    """A kernel before Linux 5.17 lists none: it gives no reasons. Lists that differ are of several kernels: the traces
    do not say which is theirs.
    """
    lists: list[dict[int, str]] = []
    for document in documents:
        tracepoint = ""
        for record in document.records if document.format == "tracepoint_format" else ():
            if isinstance(record, Tracepoint):
                tracepoint = record.name
            elif isinstance(record, TracepointText) and tracepoint == "kfree_skb":
                lists.append({each.number: each.name for each in record.names if each.field == "reason"})
    return lists[0] if lists and all(each == lists[0] for each in lists) else None


def _functions(documents: Sequence[Document]) -> Mapping[int, KernelFunction]:
    """An address at which two files have different functions is one of two kernels: it has no name."""
    found: dict[int, KernelFunction] = {}
    twofold: set[int] = set()
    for document in documents:
        for record in document.records if document.format == "kernel_functions" else ():
            if isinstance(record, KernelFunction) and found.setdefault(record.address, record).place != record.place:
                twofold.add(record.address)
    return {address: function for address, function in found.items() if address not in twofold}
