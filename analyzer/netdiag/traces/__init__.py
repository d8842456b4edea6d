"""The room of traces: event streams as columns, for any length of trace.

Records of one trace line take some 600 bytes; a column takes a few. Journeys, call trees and exports work on these
tables alone. A table says the same as the records of `netdiag.formats`: a test compares the two, cell by cell.

The room loads numpy: whoever may not need it imports the room inside a function. It loads pyarrow for a trace that is
not short, and pandas when the first data frame is asked for.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from netdiag import formats
from netdiag.spans import Source, StoredSource
from netdiag.traces.numbering import numbered
from netdiag.traces.records import table_of
from netdiag.traces.table import NOT_TOLD, Columns, Phase, Stacks, TraceTable

if TYPE_CHECKING:
    from netdiag.bundle.stored import Following

__all__ = [
    "NOT_TOLD",
    "Columns",
    "Phase",
    "Stacks",
    "TraceTable",
    "follow",
    "numbered",
    "read_table",
    "table_of",
]

#: A text of up to so many characters is read into records, as any other output is: whatever reads long ones would take
#: more time to begin.
SHORT = 16 * 1024


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
    if not isinstance(source, StoredSource) and len(source.text) <= SHORT:
        return table_of(formats.get(source.format).read(source))
    from netdiag.traces.reading import read_source  # noqa: PLC0415

    return read_source(source, progress)
