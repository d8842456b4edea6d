"""`brctl show`: the bridges of a namespace with their ports, as bridge-utils and busybox print them."""

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import BridgeLine
from netdiag.spans import Source


@dataclass(frozen=True)
class _Bridge:
    name: str
    id: str
    stp: bool
    interfaces: tuple[str, ...]


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a bridge, as the name of one more port, or as None for the heading."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self) -> None:
        return None

    def bridge(self, name: Token, identity: Token, stp: Token, interface: Token | None = None) -> _Bridge:
        return _Bridge(str(name), str(identity), stp == "yes", (str(interface),) if interface else ())

    def interface(self, name: Token) -> tuple[str]:
        return (str(name),)


def read(source: Source) -> Document:
    """Every bridge, spanning its first line; never raises."""
    bridges: list[BridgeLine] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Bridge):
            span = line_span(source, number)
            bridges.append(BridgeLine(meaning.name, meaning.id, meaning.stp, meaning.interfaces, span))
        elif meaning is not None and bridges:
            bridges[-1] = replace(bridges[-1], interfaces=(*bridges[-1].interfaces, *meaning))
        elif meaning is not None:
            unread.append(Unread(number, "no bridge above it"))
    return Document(source, FORMAT.name, tuple(bridges), tuple(unread))


FORMAT = Format(
    name="brctl_show",
    title="bridges and their ports (brctl show)",
    commands=("brctl show",),
    read=read,
)
