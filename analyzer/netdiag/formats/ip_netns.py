"""`ip netns list` and `ip netns list-id`: the network namespaces that have a name, and the numbers they have here."""

from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import NamedNamespace
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a name and a number, either of which may be None."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def named(self, name: Token, number: Token | None = None) -> tuple[str, int | None]:
        return str(name), int(number) if number else None

    def numbered(self, number: Token, *rest: Token) -> tuple[str | None, int]:
        return next((str(word) for word in rest if word.type == "NAME"), None), int(number)


def read(source: Source) -> Document:
    """Every namespace; never raises.

    A line with nothing but a name is one only where something shows what the text is: its command, or a number on
    another line. Any list of words would be a list of namespaces otherwise.
    """
    lines = list(read_lines(source, FORMAT.name, _Meaning()))
    read_as = [(number, meaning) for number, meaning in lines if not isinstance(meaning, Unread)]
    shown = source.format == FORMAT.name or "ip netns" in source.command or any(m[1] is not None for _, m in read_as)
    unread = [meaning for _, meaning in lines if isinstance(meaning, Unread)]
    if not shown:
        unread += [Unread(number, "nothing shows that this is the name of a namespace") for number, _ in read_as]
        read_as = []
    records = tuple(NamedNamespace(name, id_, line_span(source, number)) for number, (name, id_) in read_as)
    return Document(source, FORMAT.name, records, tuple(sorted(unread, key=lambda each: each.line)))


FORMAT = Format(
    name="ip_netns",
    title="named network namespaces (ip netns)",
    commands=("ip netns list", "ip netns list-id"),
    read=read,
)
