"""The room of traces: event streams as columns, for any length of trace.

Records of one trace line take some 600 bytes; a column takes a few. Journeys, call trees and exports work on these
tables alone. A table says the same as the records of `netdiag.formats`: a test compares the two, cell by cell.

The room loads numpy and pyarrow: whoever may not need them imports the room inside a function. It loads pandas when the
first data frame is asked for, which folding call stacks does not.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from netdiag.spans import Source, StoredSource
from netdiag.traces.folded import folded, folded_by_event, tidy
from netdiag.traces.table import NOT_TOLD, Phase, Stacks, TraceTable, table_of

if TYPE_CHECKING:
    from netdiag.bundle.stored import Following

__all__ = [
    "NOT_TOLD",
    "Phase",
    "Stacks",
    "TraceTable",
    "folded",
    "folded_by_event",
    "follow",
    "read_table",
    "table_of",
    "tidy",
]


def follow(source: StoredSource) -> "Following | None":
    """Other processes that begin to read a trace of which nothing is there yet; None where that is not worth it.

    `read_table` of a source that has it as its `reading` goes on from there.
    """
    from netdiag.traces import reading  # noqa: PLC0415

    return reading.follow(source)


def read_table(source: Source, progress: Callable[[int, int], None] | None = None) -> TraceTable:
    """The tables of a source that one of the trace formats reads (`source.format`); never raises for its text.

    A `StoredSource` may be longer than memory. `progress` is told now and then how many bytes are read, of how many.
    """
    from netdiag.traces.reading import read_source  # noqa: PLC0415

    return read_source(source, progress)
