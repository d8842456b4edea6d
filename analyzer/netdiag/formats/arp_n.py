"""`arp -n` and `arp -a`: the IPv4 neighbour table as net-tools and busybox print it.

`arp` alone prints names in the place of addresses; such a line is not read, since its address is not told.
"""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import Neighbour
from netdiag.spans import Source

_NAMED = "a name stands for the address: `arp -n` prints the address"


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a neighbour that waits for its span.

    Its flags are the letters of the table or the words of the sentence.
    """

    def resolved(self, address: Token, mac: Token, *rest: Token) -> partial[Neighbour]:
        return _neighbour(address, str(mac).lower(), *rest)

    def incomplete(self, address: Token, *rest: Token) -> partial[Neighbour]:
        return _neighbour(address, None, *rest)

    published = incomplete

    def named(self, *_: Token) -> str:
        return _NAMED

    def heading(self) -> None:
        return None

    def count(self, *_: Token) -> None:
        return None

    nothing = count

    def line(self, meaning: partial[Neighbour] | str | None) -> partial[Neighbour] | str | None:
        return meaning


def _neighbour(address: Token, mac: str | None, *rest: Token) -> partial[Neighbour]:
    *words, device = rest
    flags = tuple(flag for word in words for flag in (word if word.type == "FLAGS" else (str(word),)))
    return partial(Neighbour, as_address(address), str(device), mac, None, flags=flags)


def read(source: Source) -> Document:
    """Every entry of the table; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="arp_n",
    title="ARP table (arp -n)",
    commands=("arp -n", "arp -an"),
    read=read,
)
