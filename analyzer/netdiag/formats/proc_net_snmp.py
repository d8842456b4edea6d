"""/proc/net/snmp, /proc/net/netstat and /proc/net/snmp6: the counters of a namespace's network stack.

They get the names that `nstat` gives them: the group before the name (`Tcp: InErrs` is `TcpInErrs`).
"""

from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import KernelCounter
from netdiag.spans import Source


@dataclass(frozen=True)
class _Number:
    value: int
    column: int
    column_end: int


@dataclass(frozen=True)
class _Names:
    group: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Numbers:
    group: str
    numbers: tuple[_Number, ...]


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as names, as numbers, or as one name and its number."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def names(self, group: Token, *names: Token) -> _Names:
        return _Names(group.rstrip(":"), tuple(map(str, names)))

    def numbers(self, group: Token, *numbers: Token) -> _Numbers:
        return _Numbers(group.rstrip(":"), tuple(map(_number, numbers)))

    def counter(self, name: Token, number: Token) -> tuple[str, int]:
        return str(name), int(number)


def _number(token: Token) -> _Number:
    return _Number(int(token), token.column or 1, token.end_column or 1)


def read(source: Source) -> Document:
    """Every counter, spanning its number; never raises."""
    counters: list[KernelCounter] = []
    unread: list[Unread] = []
    above: tuple[int, _Names] | None = None
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, tuple):
            name, value = meaning
            counters.append(KernelCounter(name, value, line_span(source, number)))
        elif isinstance(meaning, _Names):
            if above:
                unread.append(Unread(above[0], "no numbers below it"))
            above = number, meaning
        elif above and above[1].group == meaning.group and len(above[1].names) == len(meaning.numbers):
            for counter, found in zip(above[1].names, meaning.numbers, strict=True):
                span = source.span(number, found.column, found.column_end)
                counters.append(KernelCounter(f"{meaning.group}{counter}", found.value, span))
            above = None
        else:
            unread.append(Unread(number, f"no line above it with the names of {len(meaning.numbers)} numbers"))
    if above:
        unread.append(Unread(above[0], "no numbers below it"))
    return Document(source, FORMAT.name, tuple(counters), tuple(sorted(unread, key=lambda line: line.line)))


FORMAT = Format(
    name="proc_net_snmp",
    title="counters of the network stack (/proc/net/snmp, netstat, snmp6)",
    commands=("cat /proc/net/snmp /proc/net/netstat", "cat /proc/net/snmp6"),
    read=read,
)
