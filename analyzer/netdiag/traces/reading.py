"""A trace becomes tables, a piece at a time."""

from netdiag.spans import Source, StoredSource
from netdiag.traces._blocks import Progress, blocks
from netdiag.traces._parallel import processes, read_ranges
from netdiag.traces._reader import Reader
from netdiag.traces.table import TraceTable


def read_source(source: Source, progress: Progress | None = None) -> TraceTable:
    """See `netdiag.traces.read_table`."""
    if isinstance(source, StoredSource) and (count := processes(source)) > 1:
        return read_ranges(source, count, progress).table(source)
    reader = Reader(source.format)
    reader.read(blocks(source, progress))
    return reader.table(source)
