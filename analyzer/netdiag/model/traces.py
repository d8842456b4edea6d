"""The traces of a bundle: event streams, of which the host's facts are none, for whoever walks through them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from netdiag.formats import Document
from netdiag.spans import Source

if TYPE_CHECKING:
    from netdiag.traces import TraceTable

#: The formats of event streams.
TRACE_FORMATS = frozenset({"perf_script", "perf_trace", "trace_cmd_report", "tracefs_trace"})


@dataclass(frozen=True, eq=False)
class Trace:
    """One trace. Its table is made when it is asked for, which loads pandas."""

    document: Document

    @property
    def source(self) -> Source:
        return self.document.source

    @property
    def format(self) -> str:
        return self.document.format

    @cached_property
    def table(self) -> "TraceTable":
        from netdiag.traces import read_table  # noqa: PLC0415  # pandas, which few bundles need

        table = read_table(replace(self.source, format=self.format))
        return replace(table, source=self.source)


@dataclass(frozen=True, eq=False)
class Traces:
    """All traces of a bundle. Two of them are never equal, so that what is found in them can be remembered by them."""

    traces: tuple[Trace, ...] = ()


def traces_of(documents: Sequence[Document]) -> Traces:
    return Traces(tuple(Trace(document) for document in documents if document.format in TRACE_FORMATS))
