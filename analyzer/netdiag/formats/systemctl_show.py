"""`systemctl show` of a unit: whether a service runs, whether it is meant to, and how it ended."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import UnitProperty
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line as a property that waits for its span."""

    def line(self, name: Token, value: Token | None) -> partial[UnitProperty]:
        return partial(UnitProperty, str(name), str(value or ""))


def read(source: Source) -> Document:
    """Every property; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="systemctl_show",
    title="properties of a unit (systemctl show)",
    commands=("systemctl show docker.service",),
    read=read,
)
