"""Sources and spans: the thread that runs from a collected file to every line of a report.

A `Source` is one collected file. A `Span` is some characters of it. Every fact keeps the span that it was read from, so
every claim can show its proof.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import BinaryIO, overload


@dataclass(frozen=True, eq=False)
class Source:
    """One collected file.

    `path` is its place in the bundle, `command` what a person would type to get it (empty for a copied file), `scope`
    the namespace that it speaks of (`host`, `netns:<container id>`, `docker`, `files`), `artifact` and `format` are the
    manifest's id and format (empty for a loose file; but a long trace was recognised as it was taken in). `trouble`
    says why the text may not be the whole answer (`exit code 1`, `timed out`, `truncated`), empty when nothing is known
    against it.
    """

    path: str
    text: str = field(repr=False)
    command: str = ""
    scope: str = "host"
    artifact: str = ""
    format: str = ""
    trouble: str = ""

    @cached_property
    def lines(self) -> Sequence[str]:
        """The lines without their ends. Only a line feed ends a line, as in an editor; a carriage return before it is
        dropped.
        """
        lines = self.text.split("\n")
        if lines[-1] == "":
            lines.pop()
        return tuple(line.removesuffix("\r") for line in lines)

    @cached_property
    def _line_starts(self) -> list[int]:
        starts, start = [0], self.text.find("\n") + 1
        while start:
            starts.append(start)
            start = self.text.find("\n", start) + 1
        return starts

    def place_of(self, offset: int) -> tuple[int, int]:
        """Line and column, 1-based, of a character of the text."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def span(self, line: int, column: int = 1, column_end: int | None = None) -> "Span":
        """Part of one line, 1-based; without `column_end` up to the end of the line."""
        end = column_end if column_end is not None else len(self.lines[line - 1]) + 1
        return Span(self, line, column, line, end)

    def span_of_lines(self, first: int, last: int) -> "Span":
        """Whole lines, both included, 1-based."""
        return Span(self, first, 1, last, len(self.lines[last - 1]) + 1)


_STEP = 1024 * 1024


class StoredLines(Sequence[str]):
    """The lines of a text that is too long to be held: each is read where it lies when it is asked for.

    Who reads the whole text marks the way with `mark`, so that a line is found without reading all before it, and tells
    the number of lines with `end_at`. `open` gives the text from its first byte on.
    """

    def __init__(self, open_text: Callable[[], BinaryIO]) -> None:
        self._open = open_text
        self._lines, self._offsets = [0], [0]
        self._count: int | None = None
        self._kept: dict[int, str] = {}

    def mark(self, lines: int, offset: int) -> None:
        """So many lines end before the byte at `offset`."""
        if lines > self._lines[-1]:
            self._lines.append(lines)
            self._offsets.append(offset)

    def marks(self) -> list[tuple[int, int]]:
        return list(zip(self._lines, self._offsets, strict=True))

    def end_at(self, lines: int) -> None:
        self._count = lines

    def keep(self, numbers: Iterable[int]) -> None:
        """Read the lines of these numbers (from 0) on one way through the text: they will be shown."""
        wanted = sorted({number for number in numbers if number not in self._kept})
        if not wanted:
            return
        with self._open() as file:
            line, position = 0, -1
            for number in wanted:
                near = bisect_right(self._lines, number) - 1
                if position < 0 or self._lines[near] > line:
                    line = self._lines[near]
                    position = file.seek(self._offsets[near])
                while line < number:
                    position += _read_line(file)[1]
                    line += 1
                text, size = _read_line(file)
                position += size
                line += 1
                self._kept[number] = _decoded(text, number)

    def __iter__(self) -> Iterator[str]:
        """All lines, on one way through the text: none is kept."""
        with self._open() as file:
            for number in count():
                text, size = _read_line(file)
                if not size:
                    return
                yield _decoded(text, number)

    def __len__(self) -> int:
        if self._count is None:
            lines, offset, last = 0, 0, b"\n"
            with self._open() as file:
                while block := file.read(_STEP):
                    lines += block.count(b"\n")
                    offset += len(block)
                    last = block[-1:]
            self._count = lines + (last != b"\n")
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            numbers = range(*index.indices(len(self)))
            self.keep(numbers)
            return tuple(self._kept[number] for number in numbers)
        number = range(len(self))[index]
        self.keep((number,))
        return self._kept[number]


def _read_line(file: BinaryIO) -> tuple[bytes, int]:
    """A line, and its size in bytes; of one that is longer than a step only the beginning."""
    text = file.readline(_STEP)
    size, last = len(text), text
    while len(last) == _STEP and not last.endswith(b"\n"):
        last = file.readline(_STEP)
        size += len(last)
    return text, size


def _decoded(line: bytes, number: int) -> str:
    text = line.decode("utf-8-sig" if number == 0 else "utf-8", "backslashreplace")
    return text.removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True, eq=False)
class StoredSource(Source):
    """A source whose text stays where it lies: `text` is empty, `lines` reads single lines when they are asked for.

    `open` gives its bytes from the first one on, each time anew, and what it gives can be moved in; `size` is their
    number. `reading` is whoever began to read it while it was taken in.
    """

    open: Callable[[], BinaryIO] = field(kw_only=True, repr=False)
    size: int = field(kw_only=True)
    reading: object = field(default=None, kw_only=True, repr=False)

    @cached_property
    def lines(self) -> StoredLines:
        return StoredLines(self.open)


class Place(ABC):
    """Where something stands, located only when a span is asked for, because most never are."""

    __slots__ = ()

    @property
    @abstractmethod
    def span(self) -> "Span":
        """The characters of the place."""


@dataclass(frozen=True, slots=True)
class Span(Place):
    """Some characters of a source: lines and columns are 1-based, `column_end` is the one after the last."""

    source: Source
    line: int
    column: int
    line_end: int
    column_end: int

    @property
    def span(self) -> "Span":
        return self

    @property
    def excerpt(self) -> str:
        """The whole lines that the span touches."""
        return "\n".join(self.source.lines[self.line - 1 : self.line_end])

    @property
    def text(self) -> str:
        """Just the characters of the span."""
        lines = list(self.source.lines[self.line - 1 : self.line_end])
        lines[-1] = lines[-1][: self.column_end - 1]
        lines[0] = lines[0][self.column - 1 :]
        return "\n".join(lines)
