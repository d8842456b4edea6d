"""/etc/os-release: which distribution this is."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import OsReleaseField
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a field that waits for its span; None for a comment."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def comment(self, _: Token) -> None:
        return None

    def double_quoted(self, *parts: Token) -> str:
        return "".join(part[-1] if part.type == "ESCAPED" else part for part in parts)

    def field(self, name: Token, value: Token | str = "") -> partial[OsReleaseField]:
        single_quoted = isinstance(value, Token) and value.type == "SINGLE_QUOTED"
        return partial(OsReleaseField, str(name), value[1:-1] if single_quoted else str(value))


def read(source: Source) -> Document:
    """Every field; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="os_release",
    title="operating system release (/etc/os-release)",
    commands=("cat /etc/os-release",),
    read=read,
)
