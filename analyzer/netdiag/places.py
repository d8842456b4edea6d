"""Where the files that are not Python live: beside the package in a wheel, two levels up in a checkout."""

import os
from functools import cache as once
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


@once
def grammars() -> Path:
    """The folder of the `.lark` files."""
    return _first(_PACKAGE / "grammars", _CHECKOUT / "grammars")


def collector() -> Path:
    """The collector script, the one file that is sent to a customer."""
    name = "netdiag_collect.py"
    return _first(_PACKAGE / "collector" / name, _CHECKOUT / "collector" / name)


@once
def cache() -> Path | None:
    """The user's own folder for what can be made anew, or None when there can be none.

    By the XDG base directory specification; made with access for the user alone, because what lies in it is trusted.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "netdiag"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_private = folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o022
    except OSError:
        return None
    return folder if is_private and os.access(folder, os.W_OK) else None


def _first(*candidates: Path) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"netdiag is not installed completely: {candidates[0]} is missing")
