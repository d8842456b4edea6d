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
from typing import BinaryIO, Protocol

from netdiag.bundle.gate import Gate
from netdiag.bundle.inventory import Member
from netdiag.spans import Source, StoredSource

#: A trace of more bytes is not held in memory.
LONG = 16 * 1024 * 1024

#: Who knows formats tells of a file, from its beginning or by its `format`, which format of traces it is in; else "".
TraceFormat = Callable[[Source], str]


class Following(Protocol):
    """Whoever reads a trace that is being unpacked, as far as it is there."""

    def written(self, size: int) -> None:
        """So many bytes of it are there."""

    def busy(self) -> bool:
        """Whether it is at work still."""

    def stop(self) -> None:
        """The bundle is refused."""


#: Begins to follow a trace of which nothing is there yet; None where that is not worth it.
Follow = Callable[[StoredSource], Following | None]

_CHUNK = 1024 * 1024
_BUFFER = 64 * 1024


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
        return io.BufferedReader(_Window(self), _BUFFER)

    def sha256(self) -> str:
        with self.open() as file:
            return sha256_of(file)


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
        room = memoryview(buffer)[:wanted]
        size = os.preadv(self._stored.file.fileno(), (room,), self._stored.start + self._position)
        self._position += size
        return size


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file."""
    while chunk := file.read(_CHUNK):
        yield chunk


def sha256_of(file: BinaryIO) -> str:
    """The SHA-256 of the rest of an open file."""
    digest = hashlib.sha256()
    for chunk in chunks_of(file):
        digest.update(chunk)
    return digest.hexdigest()


class Intake:
    """Takes in one file after the other, within the limits."""

    def __init__(self, gate: Gate, trace_format: TraceFormat | None, follow: Follow | None) -> None:
        self.gate = gate
        self._follow = follow
        self._following: Following | None = None
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
            return self._store(path, size, chunks, lies_at, name)
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
        digest = hashlib.sha256(data).hexdigest()
        return Member(text, len(data), lambda: digest)

    def _store(
        self, path: str, size: int, chunks: Iterable[bytes], lies_at: tuple[BinaryIO, int] | None, name: str
    ) -> Member:
        def counted() -> Iterator[bytes]:
            for chunk in chunks:
                self.gate.spend_trace(len(chunk), path)
                yield chunk

        if lies_at:
            size = sum(map(len, counted()))
            stored = StoredBytes(os.fdopen(os.dup(lies_at[0].fileno()), "rb"), lies_at[1], size)
            return Member("", size, stored.sha256, stored, name)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as somebody wants the bytes
        stored = StoredBytes(file, 0, size)
        following = self._followed(StoredSource(path, "", format=name, open=stored.open, size=size))
        told = following.written if following else None
        write_all(file, counted(), self.gate, path, told)
        return Member("", size, stored.sha256, stored, name, following)

    def _followed(self, source: StoredSource) -> Following | None:
        """One trace is followed at a time: an archive may hold hundreds."""
        if self._follow is None or (self._following and self._following.busy()):
            return None
        self._following = self._follow(source)
        return self._following

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Nothing of a bundle that is refused will be read."""
        if error and self._following:
            self._following.stop()


def spooled(chunks: Iterable[bytes], gate: Gate) -> BinaryIO:
    """A file without a name that holds all this."""
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        write_all(file, chunks, gate)
        stack.pop_all()
    return file


def write_all(
    file: BinaryIO, chunks: Iterable[bytes], gate: Gate, member: str = "", told: Callable[[int], None] | None = None
) -> None:
    """Write a file; who wants to know is told how many bytes are in it."""
    size = 0
    try:
        for chunk in chunks:
            file.write(chunk)
            file.flush()
            size += len(chunk)
            if told:
                told(size)
    except OSError as error:
        reason = f"cannot be kept in {tempfile.gettempdir()} ({error.strerror}), TMPDIR names another place"
        raise gate.refusal(reason, member) from None


def _beginning(path: str, data: bytes) -> Source:
    """The whole lines at the beginning of a file."""
    return Source(path, data[: data.rfind(b"\n") + 1].decode("utf-8-sig", "backslashreplace"))
