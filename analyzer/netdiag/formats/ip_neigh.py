"""`ip neigh`: the neighbour table (ARP and ND) of a namespace."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import Neighbour
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a neighbour that waits for its span."""

    def link_layer(self, address: Token) -> dict[str, Any]:
        return {"mac": str(address).lower()}

    def state(self, word: Token) -> dict[str, Any]:
        return {"state": str(word)}

    def protocol(self, word: Token) -> dict[str, Any]:
        return {"protocol": str(word)}

    def flag(self, word: Token) -> str:
        return str(word)

    def statistics(self, *_: Token) -> None:
        """Ages and reference counts change while one looks at them, and are not kept."""

    def line(self, meaning: partial[Neighbour]) -> partial[Neighbour]:
        return meaning

    def brief(self, address: Token, device: Token, mac: Token | None = None) -> partial[Neighbour]:
        return partial(Neighbour, as_address(address), str(device), str(mac).lower() if mac else None, None)

    def entry(self, address: Token, device: Token, *rest: Any) -> partial[Neighbour]:
        told: dict[str, Any] = {"mac": None, "state": None}
        for part in rest:
            told |= part if isinstance(part, dict) else {}
        flags = tuple(part for part in rest if isinstance(part, str))
        return partial(Neighbour, as_address(address), str(device), flags=flags, **told)


def read(source: Source) -> Document:
    """Every entry of the table; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ip_neigh",
    title="neighbour table (ip neigh)",
    commands=("ip neigh", "ip -s neigh", "ip neigh show proxy", "ip -br neigh"),
    read=read,
)
