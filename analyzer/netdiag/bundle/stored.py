"""Files of a bundle that stay where they lie: for traces, which may be longer than memory.

A plain file is read where it is, a file of an archive by unpacking the archive up to it, each time anew; nothing is
written to disk under a name. What comes from a pipe is kept in a file without one.
"""

import gzip
import io
import shutil
import stat
import sys
import tempfile
import weakref
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from netdiag.bundle.archive import archive_places, inflated, is_tar
from netdiag.bundle.gate import Gate
from netdiag.bundle.inventory import Member, take_inventory
from netdiag.bundle.limits import Limits
from netdiag.bundle.reader import GZIP, MANIFEST, manifest_place, refuse_foreign, relative
from netdiag.spans import Source, StoredSource

_STEP = 1024 * 1024


def find(path: Path, limits: Limits) -> tuple[StoredSource, ...]:
    """See `netdiag.bundle.stored_sources`."""
    gate = Gate(str(path), limits)
    try:
        if str(path) == "-":
            return (_of_pipe(),)
        if not stat.S_ISREG(path.stat().st_mode):
            raise gate.refusal("is no file")
        return _of_file(path, gate)
    except OSError as error:
        raise gate.refusal(f"cannot be read: {error.strerror or error}") from None


def _of_pipe() -> StoredSource:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as its source is in use
    shutil.copyfileobj(sys.stdin.buffer, file, _STEP)
    file.flush()
    # each reader has a handle of its own: a copy of this one would share its place in the file
    own = Path(f"/proc/self/fd/{file.fileno()}")
    source = StoredSource("stdin", "", open=lambda: own.open("rb"), size=file.tell())
    weakref.finalize(source, file.close)
    return source


def _of_file(path: Path, gate: Gate) -> tuple[StoredSource, ...]:
    with path.open("rb") as file:
        start = file.read(512)
        refuse_foreign(start, gate)
        gzipped = start.startswith(GZIP)
        if not gzipped and not is_tar(start):
            name = gate.admit_file(path.name)
            return (StoredSource(name, "", open=lambda: path.open("rb"), size=path.stat().st_size, file=str(path)),)
        file.seek(0)
        places: dict[str, _Part] = {}
        members: dict[str, Member] = {}
        for name, offset, size, data in archive_places(file, gate, _may_be_manifest, gzipped=gzipped):
            places[name] = _Part(path, offset, size, gzipped)
            members[name] = Member(data.decode("utf-8-sig", "backslashreplace"), size, "")
    if not members:
        raise gate.refusal("holds no files")
    return tuple(_stored(source, places[name]) for name, source in _named(members, gate).items())


def _may_be_manifest(path: str) -> bool:
    return path == MANIFEST or (path.endswith("/" + MANIFEST) and path.count("/") == 1)


def _named(members: dict[str, Member], gate: Gate) -> dict[str, Source]:
    """What the manifest says of the files, by their paths in the archive."""
    place = manifest_place(members, gate)
    if place is None:
        return {name: Source(name, "") for name in sorted(members)}
    from netdiag.bundle.manifest import read_manifest  # noqa: PLC0415 - it loads jsonschema

    manifest = read_manifest(members.pop(place), place, gate)
    top = place.removesuffix(MANIFEST)
    listed = take_inventory(manifest, relative(members, top, gate)).sources
    return {top + source.path if top + source.path in members else source.path: source for source in listed}


def _stored(source: Source, part: "_Part") -> StoredSource:
    told = {each.name: getattr(source, each.name) for each in fields(Source)}
    return StoredSource(**told, open=part.open, size=part.size)


@dataclass(frozen=True)
class _Part:
    """A file of an archive: `offset` and `size` are bytes of the unpacked archive."""

    archive: Path
    offset: int
    size: int
    gzipped: bool

    def open(self) -> BinaryIO:
        file = self.archive.open("rb")
        unpacked = inflated(file) if self.gzipped else file
        return io.BufferedReader(_Window(file, unpacked, self.offset, self.size), _STEP)


class _Window(io.RawIOBase):
    """Some bytes of a file, from an offset on."""

    def __init__(self, file: BinaryIO, unpacked: BinaryIO | gzip.GzipFile, offset: int, size: int) -> None:
        self._file = file
        self._unpacked = unpacked
        self._left = size
        unpacked.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self._unpacked.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._unpacked.close()
        self._file.close()
        super().close()
