"""Reading a directory: no link is followed and only plain files are opened."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from netdiag.bundle.gate import Gate

_CHUNK = 1024 * 1024
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
)


def directory_members(directory: Path, gate: Gate) -> Iterator[tuple[str, bytes]]:
    """The checked path, relative to the directory, and the bytes of each file. Raises `BundleRefused` and `OSError`."""
    root = directory.resolve()
    for folder, directories, files, handle in os.fwalk(root, onerror=_fail):
        directories.sort()
        for name in sorted(directories + files):
            path = os.path.relpath(os.path.join(folder, name), root)
            mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                gate.admit_directory(path)
            else:
                _check_plain(mode, path, gate)
                yield gate.admit_file(path), _file_bytes(name, handle, path, gate)


def read_within_limits(file: BinaryIO, gate: Gate, member: str) -> bytes:
    """The rest of an open file, refused as soon as it passes a limit, whatever size the file system states."""
    data = bytearray()
    while chunk := file.read(_CHUNK):
        data += chunk
        gate.admit_size(len(data), member)
        gate.spend(len(chunk), member)
    return bytes(data)


def _file_bytes(name: str, handle: int, path: str, gate: Gate) -> bytes:
    # what was a plain file a moment ago may be a link or a fifo now
    number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    with open(number, "rb", buffering=0) as file:
        status = os.fstat(number)
        _check_plain(status.st_mode, path, gate)
        gate.admit_size(status.st_size, path)
        return read_within_limits(file, gate, path)


def _check_plain(mode: int, path: str, gate: Gate) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "of an unknown kind")
        raise gate.refusal(f"is {kind}, not a plain file", path)


def _fail(error: OSError) -> None:
    raise error
