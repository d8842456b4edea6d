"""`readlink /proc/self/ns/net`: which network namespace a command was run in."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import NamespaceNumber
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a number that waits for its span."""

    def line(self, number: Token) -> partial[NamespaceNumber]:
        return partial(NamespaceNumber, int(number))


def read(source: Source) -> Document:
    """The number; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="netns",
    title="number of a network namespace",
    commands=("readlink /proc/self/ns/net",),
    read=read,
)
