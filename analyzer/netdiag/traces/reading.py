"""A trace becomes tables, a piece at a time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from netdiag.spans import Source, StoredSource
from netdiag.traces._blocks import Progress, blocks
from netdiag.traces._parallel import Reading, processes
from netdiag.traces._reader import Reader
from netdiag.traces.table import TraceTable

# while a trace is read, garbage is looked for once so many objects are new
_NEW_OBJECTS = 50_000


def read_source(source: Source, progress: Progress | None = None) -> TraceTable:
    """See `netdiag.traces.read_table`."""
    with _garbage_collected_seldom():
        if isinstance(source, StoredSource) and (reading := _under_way(source) or _begun(source)):
            return reading.reader(source, progress).table(source)
        reader = Reader(source.format)
        reader.read(blocks(source, progress))
        return reader.table(source)


@contextmanager
def _garbage_collected_seldom() -> Iterator[None]:
    """Reading makes objects that stay and next to no garbage, but each search for garbage looks at all there is."""
    usual = gc.get_threshold()
    if usual[0]:
        gc.set_threshold(max(usual[0], _NEW_OBJECTS), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


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
