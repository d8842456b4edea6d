"""`nmcli device`: the interfaces of a host, and whether NetworkManager sets them up."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import ManagedLink
from netdiag.spans import Source

#: What the table prints for nothing.
_NONE = "--"


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an interface that waits for its span; None for the heading."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, _: Token) -> None:
        return None

    def row(self, device: Token, kind: Token, state: Token, connection: Token | str = _NONE) -> partial[ManagedLink]:
        name = None if connection == _NONE else str(connection)
        return partial(ManagedLink, "NetworkManager", str(device), str(state), kind=str(kind), connection=name)


def read(source: Source) -> Document:
    """Every interface; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="nmcli_device",
    title="interfaces of NetworkManager (nmcli device)",
    commands=("nmcli device", "nmcli dev status"),
    read=read,
)
