"""What the commands that draw for people ask of the terminal."""

import os
import shutil
import sys

_NARROWEST, _WIDEST = 40, 120


def width() -> int:
    """Columns to use: those of the terminal within reason, 100 where there is none."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns))


def wants_colour() -> bool:
    """By the customs of https://no-color.org and force-color.org, else when stdout is a terminal that knows colours."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and not is_dumb())


def is_dumb() -> bool:
    """The terminal knows no escape sequences (terminfo's `dumb`)."""
    return os.environ.get("TERM") == "dumb"


def takes_unicode() -> bool:
    """Output is UTF-8, and the user did not ask for the C locale.

    Python writes UTF-8 in that locale as well, and says so in LC_CTYPE (PEP 538, PEP 540): what the user asked for
    stands in the other two variables.
    """
    asked = os.environ.get("LC_ALL") or os.environ.get("LANG")
    return asked not in ("C", "POSIX") and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def write(made: bytes | str) -> None:
    """Write a report, whose bytes are UTF-8 or ASCII already."""
    sys.stdout.buffer.write(made if isinstance(made, bytes) else made.encode("utf-8"))
    sys.stdout.buffer.flush()
