"""Reading a directory: no link is followed and only plain files are opened."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from netdiag.bundle.gate import Gate
from netdiag.bundle.inventory import Member
from netdiag.bundle.stored import Intake, chunks_of

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
)


def directory_members(directory: Path, intake: Intake) -> Iterator[tuple[str, Member]]:
    """Each file by its checked path, relative to the directory. Raises `BundleRefused` and `OSError`."""
    gate = intake.gate
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
                yield gate.admit_file(path), _member(name, handle, path, intake)


def _member(name: str, handle: int, path: str, intake: Intake) -> Member:
    # what was a plain file a moment ago may be a link or a fifo now
    number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    with open(number, "rb", buffering=0) as file:
        status = os.fstat(number)
        _check_plain(status.st_mode, path, intake.gate)
        return intake.take(path, status.st_size, chunks_of(file), (file, 0))


def _check_plain(mode: int, path: str, gate: Gate) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "of an unknown kind")
        raise gate.refusal(f"is {kind}, not a plain file", path)


def _fail(error: OSError) -> None:
    raise error
