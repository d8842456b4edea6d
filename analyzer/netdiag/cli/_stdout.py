"""What the commands that draw for people ask of the terminal."""

import os
import shutil
import sys

_NARROWEST, _WIDEST = 40, 120


def width() -> int:
    """Columns to use: those of the terminal within reason, 100 where there is none."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns))


def wants_colour() -> bool:
    """By the customs of https://no-color.org and force-color.org, else when stdout is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def takes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def write(made: bytes | str) -> None:
    """Write a report, whose bytes are UTF-8 or ASCII already."""
    sys.stdout.buffer.write(made if isinstance(made, bytes) else made.encode("utf-8"))
    sys.stdout.buffer.flush()
