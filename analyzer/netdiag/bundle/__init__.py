"""The bundle room: an archive, a directory or loose files become sources. Nothing is ever written to disk.

Everything in a bundle is taken for hostile: names, sizes, nesting and the manifest are checked before a parser sees a
line.
"""

from pathlib import Path

from netdiag.bundle.contents import Bundle, NotCollected, Problem
from netdiag.bundle.limits import DEFAULT_LIMITS, Limits
from netdiag.bundle.reader import open_bundle, open_stream
from netdiag.spans import StoredSource

__all__ = ["Bundle", "Limits", "NotCollected", "Problem", "open_bundle", "open_stream", "stored_sources"]


def stored_sources(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[StoredSource, ...]:
    """The files of an archive, or a single file (`-` is stdin), without their texts. Raises `BundleRefused`.

    What the manifest says of them is told, but no hash is compared; formats without a manifest are empty. The limits
    on members hold for an archive, as when it is read; a plain file may be of any size.
    """
    from netdiag.bundle.stored import find  # noqa: PLC0415 - it loads tarfile

    return find(path, limits)
