"""/etc/hosts: the names that are looked up without a name server."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import HostNames
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as names that wait for their span; None for a comment."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def comment(self, _: Token) -> None:
        return None

    def zone(self, _: Token) -> None:
        """The device of a link-local address tells nothing of the names."""

    def names(self, address: Token, *rest: Any) -> partial[HostNames]:
        names = tuple(str(token) for token in rest if token is not None and token.type == "NAME")
        return partial(HostNames, as_address(address), names)


def read(source: Source) -> Document:
    """Every line with names; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="hosts",
    title="host names (/etc/hosts)",
    commands=("cat /etc/hosts",),
    read=read,
)
