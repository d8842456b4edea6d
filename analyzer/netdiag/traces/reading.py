"""A trace becomes tables, a piece at a time."""

from contextlib import suppress

from netdiag import garbage
from netdiag.spans import Source, StoredSource
from netdiag.traces._blocks import Progress, blocks
from netdiag.traces._parallel import Reading, processes
from netdiag.traces._reader import Reader
from netdiag.traces.table import TraceTable


def read_source(source: Source, progress: Progress | None = None) -> TraceTable:
    """See `netdiag.traces.read_table`."""
    with garbage.collected_seldom():
        if isinstance(source, StoredSource) and (reading := _under_way(source) or _begun(source)):
            return reading.reader(source, progress).table(source)
        reader = Reader(source.format)
        reader.read(blocks(source, progress))
        return reader.table(source)


def follow(source: StoredSource) -> Reading | None:
    """See `netdiag.traces.follow`."""
    count = processes(source)
    with suppress(OSError):
        return Reading(source, count, grows=True) if count > 1 else None
    return None


def _under_way(source: StoredSource) -> Reading | None:
    reading = source.reading
    return reading if isinstance(reading, Reading) and reading.is_of(source) else None


def _begun(source: StoredSource) -> Reading | None:
    """Several processes that read it, if that is worth it."""
    count = processes(source)
    if count < 2:
        return None
    with suppress(OSError):
        reading = Reading(source, count, grows=False)
        reading.written(source.size)
        return reading
    return None
