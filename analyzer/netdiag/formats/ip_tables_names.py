"""/proc/net/ip_tables_names: which tables of the legacy backend are loaded. Empty where only nft is used."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import LegacyTable
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a table that waits for its span."""

    def line(self, name: Token) -> partial[LegacyTable]:
        return partial(LegacyTable, str(name))


def read(source: Source) -> Document:
    """Every table; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ip_tables_names",
    title="names of the loaded iptables tables",
    commands=("cat /proc/net/ip_tables_names", "cat /proc/net/ip6_tables_names"),
    read=read,
)
