"""`bridge link`: the ports of the bridges of a namespace."""

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import BridgePort
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class _Port:
    index: int
    name: str
    peer: int | str | None
    flags: tuple[str, ...]
    words: dict[str, str]
    numbers: dict[str, int]

    def record(self, span: Span) -> BridgePort:
        words = dict(self.words)
        return BridgePort(
            index=self.index,
            name=self.name,
            bridge=words.pop("master", None),
            span=span,
            peer_index=self.peer if isinstance(self.peer, int) else None,
            peer_name=self.peer if isinstance(self.peer, str) else None,
            flags=self.flags,
            mtu=self.numbers.get("mtu"),
            state=words.pop("state", None),
            priority=self.numbers.get("priority"),
            cost=self.numbers.get("cost"),
            details=words,
        )


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a port, or as more words on the port above."""

    def line(self, *meanings: Any) -> tuple[Any, ...]:
        """A port, details, or with -o both."""
        return meanings

    def peer_index(self, index: Token) -> int:
        return int(index)

    def no_peer(self) -> None:
        return None

    def peer_name(self, name: Token) -> str:
        return str(name)

    def link_state(self, state: Token) -> tuple[str, str]:
        return "link_state", str(state)

    def stp_state(self, state: Token) -> tuple[str, str]:
        return "state", str(state)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def number(self, key: Token, value: Token) -> tuple[str, int]:
        return str(key), int(value)

    def details(self, *pairs: tuple[str, str]) -> dict[str, str]:
        return dict(pairs)

    def port(self, index: Token, name: Token, *rest: Any) -> _Port:
        flags = next(part for part in rest if isinstance(part, Token))
        pairs = [part for part in rest if isinstance(part, tuple)]
        return _Port(
            index=int(index),
            name=str(name),
            peer=next((part for part in rest if isinstance(part, int | str) and part is not flags), None),
            flags=tuple(word for word in flags.strip("<>").split(",") if word),
            words={key: value for key, value in pairs if isinstance(value, str)},
            numbers={key: value for key, value in pairs if isinstance(value, int)},
        )


def read(source: Source) -> Document:
    """Every port, spanning its first line; never raises."""
    ports: list[BridgePort] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif not ports and not isinstance(meaning[0], _Port):
            unread.append(Unread(number, "no port above it"))
        else:
            _take(ports, meaning, line_span(source, number))
    return Document(source, FORMAT.name, tuple(ports), tuple(unread))


def _take(ports: list[BridgePort], meanings: tuple[Any, ...], span: Span) -> None:
    for meaning in meanings:
        if isinstance(meaning, _Port):
            ports.append(meaning.record(span))
        else:
            ports[-1] = replace(ports[-1], details={**ports[-1].details, **meaning})


FORMAT = Format(
    name="bridge_link",
    title="bridge ports (bridge link)",
    commands=("bridge -d link", "bridge link"),
    read=read,
)
