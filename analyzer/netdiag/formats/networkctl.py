"""`networkctl`: the interfaces of a host, and whether systemd-networkd sets them up."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import ManagedLink
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an interface that waits for its span; None for the heading and the number of rows."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, _: Token) -> None:
        return None

    def count(self, _: Token) -> None:
        return None

    def row(self, *words: Token) -> partial[ManagedLink]:
        device, kind, operational, setup = map(str, words[-4:])
        return partial(ManagedLink, "systemd-networkd", device, setup, kind=kind, operational=operational)


def read(source: Source) -> Document:
    """Every interface; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="networkctl",
    title="interfaces of systemd-networkd (networkctl)",
    commands=("networkctl --no-pager list", "networkctl"),
    read=read,
)
