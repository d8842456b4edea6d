"""The door of the bundle room: whatever was mailed, an archive, a directory or one file, becomes a `Bundle`."""

import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from netdiag.bundle.contents import Bundle
from netdiag.bundle.directory import directory_members, read_within_limits
from netdiag.bundle.gate import Gate, visible
from netdiag.bundle.inventory import Inventory, Member, take_inventory
from netdiag.bundle.limits import DEFAULT_LIMITS, Limits
from netdiag.spans import Source

MANIFEST = "manifest.json"
GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
}


def open_bundle(path: Path, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Read a .tar.gz or .tar archive, a directory or a single file, with or without a manifest.

    A file is told by its first bytes, not by its name. The manifest is `manifest.json` at the top or in one directory
    below it, and paths are relative to its place. Without a manifest each file is a source of no known format. Text
    is read as UTF-8: a byte that is not stays visible as an escape, NUL bytes stay, a byte order mark at the start is
    no text.

    Raises `BundleRefused` for what cannot be read, breaks a limit, or is not safe or not sound; never anything else.
    """
    gate = Gate(str(path), limits)
    try:
        members, sha256 = _members(path, gate)
    except OSError as error:
        member = "" if error.filename in (None, str(path)) else str(error.filename)
        raise gate.refusal(f"cannot be read: {error.strerror or error}", member) from None
    return _bundle(_name(path), members, sha256, gate)


def open_stream(stream: BinaryIO, name: str, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Read what somebody pipes in, an archive or a single text, as `open_bundle` reads a file of this name."""
    gate = Gate(name, limits)
    data = stream.read(limits.total_bytes + 1)
    if len(data) > limits.total_bytes:
        raise gate.over("total_bytes", f"is larger than {limits.total_bytes} bytes")
    if not data:
        raise gate.refusal("is empty")
    members = _decoded(_file_members(io.BytesIO(data), Path(name), gate), gate)
    return _bundle(name, members, hashlib.sha256(data).hexdigest(), gate)


def _bundle(name: str, members: dict[str, Member], sha256: str, gate: Gate) -> Bundle:
    manifest, inventory = _inventory(members, gate)
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


def _members(path: Path, gate: Gate) -> tuple[dict[str, Member], str]:
    """The files of the bundle by path, and the SHA-256 of the archive or file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return _decoded(directory_members(path, gate), gate), ""
    if not stat.S_ISREG(mode):
        raise gate.refusal("is neither a file nor a directory")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise gate.refusal("is empty")
        if size > gate.limits.total_bytes:
            raise gate.over("total_bytes", f"is larger than {gate.limits.total_bytes} bytes")
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        return _decoded(_file_members(file, path, gate), gate), sha256


def _file_members(file: BinaryIO, path: Path, gate: Gate) -> Iterator[tuple[str, bytes]]:
    # importing tarfile costs a third of importing click; only a file needs it
    from netdiag.bundle.archive import archive_members, is_tar  # noqa: PLC0415

    start = file.read(512)
    file.seek(0)
    refuse_foreign(start, gate)
    gzipped = start.startswith(GZIP)
    if gzipped or is_tar(start):
        yield from archive_members(file, gate, gzipped=gzipped)
    else:
        name = gate.admit_file(path.name)
        yield name, read_within_limits(file, gate, name)


def refuse_foreign(start: bytes, gate: Gate) -> None:
    """Refuse a file that begins like one of another packer."""
    foreign = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), "")
    if foreign:
        raise gate.refusal(f"is packed with {foreign}: unpack it first, or pack it as .tar.gz")


def _decoded(members: Iterable[tuple[str, bytes]], gate: Gate) -> dict[str, Member]:
    decoded: dict[str, Member] = {}
    for path, data in members:
        text = data.decode("utf-8-sig", "backslashreplace")
        gate.spend_text(text, path)
        decoded[path] = Member(text, len(data), hashlib.sha256(data).hexdigest())
    if not decoded:
        raise gate.refusal("holds no files")
    return decoded


def _inventory(members: dict[str, Member], gate: Gate) -> tuple[Mapping[str, Any] | None, Inventory]:
    place = manifest_place(members, gate)
    if place is None:
        return None, Inventory(tuple(Source(path, members[path].text) for path in sorted(members)), (), ())
    # jsonschema costs more than all else that starting netdiag needs; only a manifest needs it
    from netdiag.bundle.manifest import read_manifest  # noqa: PLC0415

    manifest = read_manifest(members.pop(place), place, gate)
    return manifest, take_inventory(manifest, relative(members, place.removesuffix(MANIFEST), gate))


def manifest_place(members: Mapping[str, Member], gate: Gate) -> str | None:
    if MANIFEST in members:
        return MANIFEST
    places = sorted(path for path in members if path.endswith("/" + MANIFEST) and path.count("/") == 1)
    if len(places) > 1:
        raise gate.refusal(f"holds several bundles ({', '.join(places)}): give them one at a time")
    return places[0] if places else None


def relative(members: Mapping[str, Member], top: str, gate: Gate) -> dict[str, Member]:
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
