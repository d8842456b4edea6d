"""The door of the bundle room: whatever was mailed, an archive, a directory or one file, becomes a `Bundle`."""

import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from netdiag.bundle import stored
from netdiag.bundle.contents import Bundle
from netdiag.bundle.directory import directory_members
from netdiag.bundle.gate import Gate, visible
from netdiag.bundle.inventory import Inventory, Member, take_inventory
from netdiag.bundle.limits import DEFAULT_LIMITS, Limits
from netdiag.bundle.stored import Follow, Intake, TraceFormat, chunks_of, sha256_of, spooled

_MANIFEST = "manifest.json"
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
}


def open_bundle(
    path: Path,
    limits: Limits = DEFAULT_LIMITS,
    trace_format: TraceFormat | None = None,
    follow: Follow | None = None,
) -> Bundle:
    """Read a .tar.gz or .tar archive, a directory or a single file, with or without a manifest.

    A file is told by its first bytes, not by its name. The manifest is `manifest.json` at the top or in one directory
    below it, and paths are relative to its place. Without a manifest each file is a source of no known format. Text
    is read as UTF-8: a byte that is not stays visible as an escape, NUL bytes stay, a byte order mark at the start is
    no text. A long file that `trace_format` takes for a trace becomes a `StoredSource`; while one is unpacked, `follow`
    may begin to read it.

    Raises `BundleRefused` for what cannot be read, breaks a limit, or is not safe or not sound; never anything else.
    """
    intake = Intake(Gate(str(path), limits), trace_format, follow)
    with intake:
        try:
            members, sha256 = _members(path, intake)
        except OSError as error:
            member = "" if error.filename in (None, str(path)) else str(error.filename)
            raise intake.gate.refusal(f"cannot be read: {error.strerror or error}", member) from None
        return _bundle(_name(path), members, sha256, intake)


def open_stream(
    stream: BinaryIO,
    name: str,
    limits: Limits = DEFAULT_LIMITS,
    trace_format: TraceFormat | None = None,
    follow: Follow | None = None,
) -> Bundle:
    """Read what somebody pipes in, an archive or a single text, as `open_bundle` reads a file of this name."""
    intake = Intake(Gate(name, limits), trace_format, follow)
    begin = stream.read(stored.LONG + 1)
    if not begin:
        raise intake.gate.refusal("is empty")
    if len(begin) <= stored.LONG:
        file: BinaryIO = io.BytesIO(begin)
    else:
        file = spooled(_bounded(chain((begin,), chunks_of(stream)), intake), intake.gate)
    with file, intake:
        members = _by_path(_file_members(file, Path(name), intake), intake.gate)
        return _bundle(name, members, _sha256(file), intake)


def _bounded(chunks: Iterable[bytes], intake: Intake) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        intake.admit_whole(size)
        yield chunk


def _bundle(name: str, members: dict[str, Member], sha256: str, intake: Intake) -> Bundle:
    manifest, inventory = _inventory(members, intake)
    return Bundle(
        name=name,
        host=manifest["host"] if manifest else "",
        collected_at=manifest["clock"]["wall"] if manifest else "",
        sha256=sha256,
        sources=inventory.sources,
        not_collected=inventory.not_collected,
        problems=inventory.problems,
        manifest=manifest,
    )


def _members(path: Path, intake: Intake) -> tuple[dict[str, Member], str]:
    """The files of the bundle by path, and the SHA-256 of the archive or file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return _by_path(directory_members(path, intake), intake.gate), ""
    if not stat.S_ISREG(mode):
        raise intake.gate.refusal("is neither a file nor a directory")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise intake.gate.refusal("is empty")
        intake.admit_whole(size)
        return _by_path(_file_members(file, path, intake), intake.gate), _sha256(file)


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return sha256_of(file)


def _file_members(file: BinaryIO, path: Path, intake: Intake) -> Iterator[tuple[str, Member]]:
    # importing tarfile costs a third of importing click; only a file needs it
    from netdiag.bundle.archive import archive_members, is_tar  # noqa: PLC0415

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(512)
    file.seek(0)
    _refuse_foreign(start, intake.gate)
    gzipped = start.startswith(_GZIP)
    if gzipped or is_tar(start):
        yield from archive_members(file, intake, gzipped=gzipped)
    else:
        name = intake.gate.admit_file(path.name)
        yield name, intake.take(name, size, chunks_of(file), (file, 0))


def _refuse_foreign(start: bytes, gate: Gate) -> None:
    """Refuse a file that begins like one of another packer."""
    foreign = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), "")
    if foreign:
        raise gate.refusal(f"is packed with {foreign}: unpack it first, or pack it as .tar.gz")


def _by_path(members: Iterable[tuple[str, Member]], gate: Gate) -> dict[str, Member]:
    found = dict(members)
    if not found:
        raise gate.refusal("holds no files")
    return found


def _inventory(members: dict[str, Member], intake: Intake) -> tuple[Mapping[str, Any] | None, Inventory]:
    place = _manifest_place(members, intake.gate)
    if place is None:
        return None, Inventory(tuple(members[path].source(path) for path in sorted(members)), (), ())
    # jsonschema costs more than all else that starting netdiag needs; only a manifest needs it
    from netdiag.bundle.manifest import read_manifest  # noqa: PLC0415

    manifest = read_manifest(members.pop(place), place, intake.gate)
    inside = _relative(members, place.removesuffix(_MANIFEST), intake.gate)
    found = take_inventory(manifest, inside)
    sources = tuple(intake.settle(source, inside[source.path]) for source in found.sources)
    return manifest, replace(found, sources=sources)


def _manifest_place(members: Mapping[str, Member], gate: Gate) -> str | None:
    if _MANIFEST in members:
        return _MANIFEST
    places = sorted(path for path in members if path.endswith("/" + _MANIFEST) and path.count("/") == 1)
    if len(places) > 1:
        raise gate.refusal(f"holds several bundles ({', '.join(places)}): give them one at a time")
    return places[0] if places else None


def _relative(members: Mapping[str, Member], top: str, gate: Gate) -> dict[str, Member]:
    """The members by path in the top directory; what lies outside of it keeps its whole path."""
    relative = {path.removeprefix(top): member for path, member in members.items() if path.startswith(top)}
    for path, member in members.items():
        if not path.startswith(top):
            if path in relative:
                raise gate.refusal(f"is in the bundle twice, in {top} and outside of it", path)
            relative[path] = member
    return relative


def _name(path: Path) -> str:
    name = path.name or path.resolve().name
    for ending in (".tar.gz", ".tgz", ".tar"):
        if name.endswith(ending):
            return visible(name.removesuffix(ending))
    return visible(name)
