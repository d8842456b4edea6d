"""`iptables -V`: the version, and which backend the command uses."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import IptablesVersion
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a version that waits for its span."""

    def backend(self, name: Token) -> str:
        return "nft" if name == "nf_tables" else str(name)

    def line(self, program: Token, version: Token, backend: str | None = None) -> partial[IptablesVersion]:
        return partial(IptablesVersion, str(program), version.removeprefix("v"), backend=backend)


def read(source: Source) -> Document:
    """The version; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="iptables_version",
    title="version of iptables",
    commands=("iptables -V", "ip6tables -V"),
    read=read,
)
