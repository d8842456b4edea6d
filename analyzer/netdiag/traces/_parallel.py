"""Long traces in several processes, each of which takes one piece of the text after the other.

A piece begins at a line with a time, where one process would have cut the text as well, so the rows are the same
whoever reads it. What a process has learned of the lines it hands on to the one that it forks. Each keeps its columns
in a file without a name; what its codes and stacks are among those of the whole is worked out piece by piece, in the
order of the text, so the tables do not depend on who read what. A process that dies costs time only: what it had taken
is read again.
"""

import ctypes
import mmap
import os
import pickle
import select
import signal
import struct
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import IO, BinaryIO, NoReturn

from netdiag.spans import StoredSource
from netdiag.traces._blocks import BLOCK, Progress, blocks
from netdiag.traces._chunk import Chunk
from netdiag.traces._cuts import CUTS
from netdiag.traces._reader import Part, Piece, Reader, Translation

#: A shorter file is read by one process: another one is not worth its start.
LONG = 32 * 1024 * 1024

# In so many bytes a line with a time is looked for, in the fewer ones first. Where none is, the piece goes on.
_WINDOWS = (4 * 1024, 64 * 1024)
# With the window behind it a piece is one block.
_PIECE = BLOCK - _WINDOWS[-1]
# So many pieces teach a process most of what there is to know of the lines; then it forks.
_LESSON = 2
# Seconds between two looks at how far the others are.
_LOOK = 0.05

# malloc.h of glibc, and the most that a process keeps
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 256 * 1024 * 1024

_TASK = struct.Struct("=qqq")  # the number of a piece, and the bytes from its start to its end


def processes(source: StoredSource) -> int:
    """How many processes read a source."""
    if source.size < LONG or source.format not in CUTS:
        return 1
    return min(len(os.sched_getaffinity(0)), source.size // (LONG // 2))


@dataclass(frozen=True)
class _Slot:
    """What a process writes: its columns, and at its end what it read."""

    columns: IO[bytes]
    told: IO[bytes]

    def tell(self, part: Part) -> None:
        self.columns.flush()
        pickle.dump(part, self.told, pickle.HIGHEST_PROTOCOL)
        self.told.flush()

    def part(self) -> Part | None:
        """What the process read; None if it never began, or died."""
        self.told.seek(0)
        try:
            part: Part = pickle.load(self.told)  # noqa: S301 - a file without a name, which our own process wrote
        except (EOFError, pickle.UnpicklingError):
            return None
        return part


class Reading:
    """A trace that other processes are reading, as far as its text is there.

    Pieces are handed out by a pipe that all of them read. When it is closed each tells what it read and ends; that
    nobody holds the other end of the pipe `_alive` any more says that all have.
    """

    def __init__(self, source: StoredSource, count: int, *, grows: bool) -> None:
        """Up to `count` processes; if the text `grows`, one less until this one has written all of it.

        Raises `OSError` if there can be no other process.
        """
        self.source = source
        self._pieces: list[tuple[int, int]] = []
        self._start = self._looked = 0
        self._spare = 1 if grows else 0
        # how many bytes each has read, and at last whether nobody wants more
        self._shared = memoryview(mmap.mmap(-1, 8 * (count + 1))).cast("q")
        with ExitStack() as opened:
            self._files: list[IO[bytes]] = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(2 * count)]
            self._slots = [_Slot(*self._files[2 * number : 2 * number + 2]) for number in range(count)]
            ends = [opened.enter_context(end) for _ in range(3) for end in _pipe()]
            tasks, self._tasks, forks, self._forks, self._alive, _ = ends
            ours = (self._tasks, self._forks, self._alive)
            os.set_blocking(forks.fileno(), False)
            self._forks.write(bytes(range(1, count - self._spare)))
            process = _fork()
            if not process:
                _work(_Worker(source, self._slots, self._shared, tasks, forks), ours)
            opened.pop_all()
        for end in ends:
            if end not in ours:
                end.close()
        self._end = weakref.finalize(self, _end, process, self._shared, ours, self._files)

    def written(self, size: int) -> None:
        """So many bytes of the text are there: hand out the pieces that are whole."""
        end = self.source.size
        with self.source.open() as file:
            while (near := self._looked + _PIECE) < end and min(near + _WINDOWS[-1], end) <= size:
                self._looked = near
                start = _start(file, self.source.format, near)
                if start is not None:
                    self._hand_out(start)
        if size >= end:
            self._hand_out(end)
            if self._spare:
                self._send(self._forks, bytes([len(self._slots) - 1]))

    def _hand_out(self, end: int) -> None:
        if end > self._start:
            self._send(self._tasks, _TASK.pack(len(self._pieces), self._start, end))
            self._pieces.append((self._start, end))
            self._start = end

    @staticmethod
    def _send(pipe: IO[bytes], message: bytes) -> None:
        with suppress(BrokenPipeError):  # then all of them died
            pipe.write(message)

    def is_of(self, source: StoredSource) -> bool:
        """Whether it can be asked for what this source says: once."""
        return self._end.alive and self.source.format == source.format

    def busy(self) -> bool:
        """Whether any process is at work."""
        return self._end.alive and not self._ended(0)

    def _ended(self, seconds: float) -> bool:
        return bool(select.select([self._alive], [], [], seconds)[0])

    def stop(self) -> None:
        """Nobody wants it any more."""
        self._end()

    def reader(self, source: StoredSource, progress: Progress | None) -> Reader:
        """All of the trace, when it is read. `source` is the one whose lines are marked."""
        self._tasks.close()
        self._forks.close()
        while not self._ended(_LOOK):
            if progress:
                progress(sum(self._shared[:-1]), source.size)
        reader = Reader(source.format)
        read: dict[int, tuple[Piece, Translation]] = {}
        for slot in self._slots:
            if part := slot.part():
                self._files.remove(slot.columns)
                translation = reader.translation(part, slot.columns)
                read |= {number: (piece, translation) for number, piece in part.pieces.items()}
        for number, (start, end) in enumerate(self._pieces):
            source.lines.mark(reader.lines, start)
            if number in read:
                reader.absorb(*read[number])
            else:
                reader.read(blocks(source, None, start, end, lines=reader.lines))
        source.lines.end_at(reader.lines)
        if progress:
            progress(source.size, source.size)
        self._end()
        return reader


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Both ends."""
    reads, writes = os.pipe()
    return os.fdopen(reads, "rb", 0), os.fdopen(writes, "wb", 0)


def _fork() -> int:
    with warnings.catch_warnings():
        # other threads may run (pyarrow's, a progress bar's); the child uses none of what they hold
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _end(process: int, shared: memoryview, pipes: Sequence[IO[bytes]], files: Sequence[IO[bytes]]) -> None:
    """Nobody wants more."""
    shared[-1] = 1
    for pipe in pipes:
        pipe.close()
    os.waitpid(process, 0)
    for file in files:
        file.close()


class _Worker:
    """A process that reads pieces, until there are no more."""

    def __init__(
        self, source: StoredSource, slots: Sequence[_Slot], shared: memoryview, tasks: IO[bytes], forks: IO[bytes]
    ) -> None:
        self._source = replace(source)  # with marks of its own
        self._slots = slots
        self._shared = shared
        self._tasks = tasks
        self._forks = forks
        self._number = 0
        self._pieces: dict[int, Piece] = {}
        self._reader = Reader(source.format, slots[0].columns)

    def work(self) -> None:
        forked = []
        while (task := self._tasks.read(_TASK.size)) and not self._shared[-1]:
            number, start, end = _TASK.unpack(task)
            self._reader.read(blocks(self._source, None, start, end))
            self._pieces[number] = self._reader.piece()
            self._shared[self._number] += end - start
            if len(self._pieces) >= _LESSON and (free := self._forks.read(1)):
                process = _fork()
                if process:
                    forked.append(process)
                else:
                    forked = []
                    self._begin(free[0])
        self._slots[self._number].tell(self._reader.part(self._pieces))
        for process in forked:
            os.waitpid(process, 0)

    def _begin(self, number: int) -> None:
        """As a process of this number, with all that the one before has learned."""
        self._number = number
        self._pieces = {}
        self._reader.go_on_in(self._slots[number].columns)


def _work(worker: _Worker, pipes: Sequence[IO[bytes]]) -> NoReturn:
    """Be a worker, and nothing else ever again: what the process was before is not touched."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for pipe in pipes:
            pipe.close()
        _keep_freed_memory()
        worker.work()
        status = 0
    finally:
        os._exit(status)


def _keep_freed_memory() -> None:
    """Let the allocator keep what is freed, as far as it can be told (mallopt(3), glibc).

    Every column of every piece is a large block. Given back to the kernel each time, its pages must be zeroed anew,
    which costs more than what is done with them.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def _start(file: BinaryIO, format_name: str, near: int) -> int | None:
    """Where the first line with a time begins behind that place; None if none is near."""
    for window in _WINDOWS:
        file.seek(near)
        text = file.read(window)
        first = text.find(b"\n") + 1
        chunk = Chunk(text[first : text.rfind(b"\n") + 1])
        line = CUTS[format_name].lines(chunk).line
        if len(line):
            return near + first + chunk.offset(int(chunk.line_starts[line[0]]))
    return None
