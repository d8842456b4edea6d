"""Where the files that are not Python live: beside the package in a wheel, two levels up in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def grammars() -> Path:
    """The folder of the `.lark` files."""
    return _first(_PACKAGE / "grammars", _CHECKOUT / "grammars")


def collector() -> Path:
    """The collector script, the one file that is sent to a customer."""
    name = "netdiag_collect.py"
    return _first(_PACKAGE / "collector" / name, _CHECKOUT / "collector" / name)


def _first(*candidates: Path) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"netdiag is not installed completely: {candidates[0]} is missing")
