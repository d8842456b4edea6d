"""`events/*/*/format` of the kernel's trace files: a tracepoint's fields, and what the numbers in them stand for."""

import re
from functools import partial
from typing import Any, NamedTuple

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import NamedNumber, Tracepoint, TracepointField, TracepointText
from netdiag.spans import Source

# `reason` of "enum skb_drop_reason reason", `comm` of "char comm[16]"
_LAST_NAME = re.compile(r"(\w+)(?:\[[^]]*\])*$")


class _Argument(NamedTuple):
    """What is printed: an expression as text, or the string if it is one, and the names of numbers in it."""

    text: str
    string: str | None
    names: tuple[NamedNumber, ...]


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a record that waits for its span; None for a line without one."""

    def line(self, meaning: partial[Any] | None) -> partial[Any] | None:
        return meaning

    def name(self, name: Token) -> partial[Tracepoint]:
        return partial(Tracepoint, str(name))

    def identifier(self, _: Token) -> None:
        return None

    def heading(self) -> None:
        return None

    def field(self, declaration: Token, offset: Token, size: Token, _: Token | None = None) -> partial[TracepointField]:
        found = _LAST_NAME.search(declaration.rstrip())
        if not found:
            raise ValueError(f"{declaration!s} declares no field")
        return partial(TracepointField, found[1], declaration.strip(), int(offset), int(size))

    def printed(self, text: str, *arguments: _Argument) -> partial[TracepointText]:
        return partial(TracepointText, text, tuple(name for argument in arguments for name in argument.names))

    def strings(self, *strings: Token) -> str:
        return "".join(string[1:-1] for string in strings)

    def argument(self, *parts: _Argument) -> _Argument:
        strings = [part.string for part in parts if part.string is not None]
        string = "".join(strings) if len(strings) == len(parts) else None
        return _Argument(" ".join(part.text for part in parts), string, tuple(n for part in parts for n in part.names))

    def word(self, word: Token) -> _Argument:
        return _Argument(str(word), None, ())

    def string(self, string: Token) -> _Argument:
        return _Argument(str(string), string[1:-1], ())

    def group(self, *arguments: _Argument) -> _Argument:
        text = ", ".join(argument.text for argument in arguments)
        return _Argument(f"({text})", None, tuple(name for argument in arguments for name in argument.names))

    def symbolic(self, argument: _Argument, *pairs: tuple[_Argument, _Argument]) -> _Argument:
        """What the kernel left as an expression has no number, a null pointer no name."""
        field = argument.text.removeprefix("REC->")
        names = [
            NamedNumber(field, number, name.string)
            for value, name in pairs
            if name.string is not None and (number := _number(value.text)) is not None
        ]
        return _Argument(argument.text, None, tuple(names))

    def pair(self, number: _Argument, name: _Argument) -> tuple[_Argument, _Argument]:
        return number, name


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def read(source: Source) -> Document:
    """Every line; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="tracepoint_format",
    title="fields of a tracepoint, and the names of its numbers",
    commands=("cat /sys/kernel/tracing/events/skb/kfree_skb/format",),
    read=read,
)
