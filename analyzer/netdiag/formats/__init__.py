"""The formats: each reads one command's output into records with spans. None knows another; this page only finds them.

A format is found because its module is here: `netdiag/formats/<name>.py` with a `FORMAT`. Modules whose name begins
with an underscore, and `records`, are shared by them.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdiag.formats._document import Document, Format, Record, Unread
from netdiag.formats._origins import Origin, origins
from netdiag.formats._recognise import best, may_be
from netdiag.spans import Source

__all__ = ["Document", "Format", "Origin", "Record", "Unread", "get", "names", "origins", "recognise"]


@cache
def names() -> tuple[str, ...]:
    """The names of all formats, in alphabetical order, without importing them."""
    found = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_") and name != "records"))


def get(name: str) -> Format:
    """The format of this name. Raises `KeyError` when there is none."""
    if name not in names():
        raise KeyError(name)
    module = import_module(f"{__name__}.{name}")
    found: Format = module.FORMAT
    return found


def recognise(source: Source) -> Format | None:
    """The format of a file that no manifest describes, found by trying all; None when none of them reads most of it."""
    return best(source, (get(name) for name in names() if may_be(name, source)))
