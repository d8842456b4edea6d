"""Long plain files in several processes, each of which reads a range of the file.

A range begins at a line with a time, where one process would have cut the text as well, so the result is the same. Each
further process keeps its columns in a file; what its codes, stacks and lines are among those of the whole is worked out
when a batch is asked for. A process that dies costs time only: its range is read again.
"""

import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from operator import setitem
from pathlib import Path

from netdiag.spans import StoredSource
from netdiag.traces._blocks import Progress, blocks
from netdiag.traces._chunk import Chunk
from netdiag.traces._cuts import CUTS
from netdiag.traces._reader import Part, Reader

#: A shorter file is read by one process: another one is not worth its start.
LONG = 32 * 1024 * 1024

# in so many bytes a line with a time is looked for
_WINDOW = 256 * 1024


def processes(source: StoredSource) -> int:
    """How many processes read a source."""
    if source.size < LONG or source.format not in CUTS:
        return 1
    return min(len(os.sched_getaffinity(0)), source.size // (LONG // 2))


def read_ranges(source: StoredSource, count: int, progress: Progress | None) -> Reader:
    """Read a plain file in so many ranges at the same time; this process reads the first one."""
    bounds = [0, *_starts(source, count), source.size]
    reader = Reader(source.format)
    with tempfile.TemporaryDirectory(prefix="netdiag-") as folder:
        # what each process has read so far, in bytes
        done = multiprocessing.get_context("fork").Array("q", len(bounds) - 1, lock=False)
        ranges = list(enumerate(pairwise(bounds)))
        others = [
            _Other(source, start, end, Path(folder) / str(number), partial(setitem, done, number))
            for number, (start, end) in ranges[1:]
        ]

        def told(read: int, _: int) -> None:
            done[0] = read
            if progress:
                progress(sum(done), source.size)

        reader.read(blocks(source, told, end=bounds[1]))
        for other, (_, (start, end)) in zip(others, ranges[1:], strict=True):
            part = other.part()
            if part is None:
                reader.read(blocks(source, None, start, end, lines=reader.lines))
                continue
            for lines, offset in part.marks:
                source.lines.mark(reader.lines + lines, offset)
            reader.absorb(part, other.kept.open("rb"))
            if progress:
                progress(sum(done), source.size)
    source.lines.end_at(reader.lines)
    return reader


def _starts(source: StoredSource, count: int) -> list[int]:
    """Where the ranges but the first begin: at the first line with a time behind each part of the file."""
    starts: list[int] = []
    with source.open() as file:
        for number in range(1, count):
            near = source.size * number // count
            file.seek(near)
            window = file.read(_WINDOW)
            first = window.find(b"\n") + 1
            chunk = Chunk(window[first : window.rfind(b"\n") + 1])
            cuts = CUTS[source.format](chunk)
            if len(cuts.line):
                starts.append(near + first + chunk.offset(int(chunk.line_starts[cuts.line[0]])))
    return starts


class _Other:
    """A process that reads a range."""

    def __init__(self, source: StoredSource, start: int, end: int, kept: Path, told: Callable[[int], None]) -> None:
        context = multiprocessing.get_context("fork")
        self.kept = kept
        self._receive, send = context.Pipe(duplex=False)
        self._process = context.Process(target=_read_range, args=(source, start, end, kept, told, send), daemon=True)
        with warnings.catch_warnings():
            # other threads may run (pyarrow's, a progress bar's); the child uses none of what they hold
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        send.close()

    def part(self) -> Part | None:
        """What it read; None if it died."""
        try:
            part: Part = self._receive.recv()
            return part
        except EOFError:
            return None
        finally:
            self._receive.close()
            self._process.join()
            self._process.close()


def _read_range(
    source: StoredSource, start: int, end: int, kept: Path, told: Callable[[int], None], send: Connection
) -> None:
    own = replace(source)  # with marks of its own
    with kept.open("wb") as file:
        reader = Reader(source.format, file)
        reader.read(blocks(own, lambda read, _: told(read - start), start, end))
    send.send(reader.part(own.lines.marks()))
    send.close()
    # nothing that other threads of the parent may have held is touched any more
    os._exit(0)
