"""Taking in the files of a bundle: a long trace stays where it lies, all else is held in memory.

What is no bytes of a plain file, because it is packed or comes from a pipe, is kept in a file without a name. Nothing
is written at a place that a bundle names.
"""

import hashlib
import io
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from netdiag.bundle.gate import Gate
from netdiag.bundle.inventory import Member
from netdiag.spans import Source

#: A trace of more bytes is not held in memory.
LONG = 16 * 1024 * 1024

#: Who knows formats tells of a file, from its beginning or by its `format`, which format of traces it is in; else "".
TraceFormat = Callable[[Source], str]

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class StoredBytes:
    """Some bytes of an open file, which is closed when nobody wants them any more.

    Each reader has its own place in them, in a process that was forked as well.
    """

    file: BinaryIO
    start: int
    size: int

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Window(self), _CHUNK)


class _Window(io.RawIOBase):
    def __init__(self, stored: StoredBytes) -> None:
        self._stored = stored
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._stored.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._stored.size - self._position))
        data = os.pread(self._stored.file.fileno(), wanted, self._stored.start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file."""
    while chunk := file.read(_CHUNK):
        yield chunk


class Intake:
    """Takes in one file after the other, within the limits."""

    def __init__(self, gate: Gate, trace_format: TraceFormat | None) -> None:
        self.gate = gate
        self._trace_format: TraceFormat = trace_format or (lambda _: "")
        self._most = gate.limits.total_bytes + (gate.limits.trace_bytes if trace_format else 0)

    def admit_whole(self, size: int) -> None:
        """Check the size in bytes of an archive or a single file: what is larger holds too much, whatever it holds."""
        if size > self._most:
            raise self.gate.over("total_bytes", f"is larger than {self._most} bytes")

    def take(self, path: str, size: int, chunks: Iterator[bytes], lies_at: tuple[BinaryIO, int] | None) -> Member:
        """A file of the bundle, of which the bytes are read as they are needed. `size` is what is stated of it, and
        `lies_at` the file and the place where it lies as it is, if it does.
        """
        if size <= LONG or size > self.gate.limits.trace_bytes:
            self.gate.admit_size(size, path)
        begin = next(chunks, b"")
        chunks = chain((begin,), chunks)
        if size > LONG and (name := self._trace_format(_beginning(path, begin))):
            return self._store(path, chunks, lies_at, name)
        self.gate.admit_size(size, path)
        return self._hold(path, chunks)

    def settle(self, source: Source, member: Member) -> Source:
        """The source as it is to be read: one that the manifest takes for something else than a trace is held."""
        if member.stored is None or self._trace_format(source):
            return source
        self.gate.admit_size(member.size, source.path)
        with member.stored.open() as file:
            held = self._hold(source.path, chunks_of(file))
        return Source(
            source.path,
            held.text,
            command=source.command,
            scope=source.scope,
            artifact=source.artifact,
            format=source.format,
            trouble=source.trouble,
        )

    def _hold(self, path: str, chunks: Iterable[bytes]) -> Member:
        data = bytearray()
        for chunk in chunks:
            data += chunk
            self.gate.admit_size(len(data), path)
            self.gate.spend(len(chunk), path)
        text = data.decode("utf-8-sig", "backslashreplace")
        self.gate.spend_text(text, path)
        return Member(text, len(data), hashlib.sha256(data).hexdigest())

    def _store(self, path: str, chunks: Iterable[bytes], lies_at: tuple[BinaryIO, int] | None, name: str) -> Member:
        digest = hashlib.sha256()
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                self.gate.spend_trace(len(chunk), path)
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        if lies_at:
            for _ in counted():
                pass
            file: BinaryIO = os.fdopen(os.dup(lies_at[0].fileno()), "rb")
            start = lies_at[1]
        else:
            file, start = spooled(counted(), self.gate, path), 0
        return Member("", size, digest.hexdigest(), StoredBytes(file, start, size), name)


def spooled(chunks: Iterable[bytes], gate: Gate, member: str = "") -> BinaryIO:
    """A file without a name that holds all this."""
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        try:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
        except OSError as error:
            reason = f"cannot be kept in {tempfile.gettempdir()} ({error.strerror}), TMPDIR names another place"
            raise gate.refusal(reason, member) from None
        stack.pop_all()
    return file


def _beginning(path: str, data: bytes) -> Source:
    """The whole lines at the beginning of a file."""
    return Source(path, data[: data.rfind(b"\n") + 1].decode("utf-8-sig", "backslashreplace"))
