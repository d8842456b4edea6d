"""Sources and spans: the thread that runs from a collected file to every line of a report.

A `Source` is one collected file. A `Span` is some characters of it. Every fact keeps the span that it was read from, so
every claim can show its proof.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """One collected file.

    `path` is its place in the bundle, `command` what a person would type to get it (empty for a copied file), `scope`
    the namespace that it speaks of (`host`, `netns:<container id>`, `docker`, `files`), `artifact` and `format` are the
    manifest's id and format (empty for a loose file whose format is yet to be recognised). `trouble` says why the text
    may not be the whole answer (`exit code 1`, `timed out`, `truncated`), empty when nothing is known against it.
    """

    path: str
    text: str = field(repr=False)
    command: str = ""
    scope: str = "host"
    artifact: str = ""
    format: str = ""
    trouble: str = ""

    @cached_property
    def lines(self) -> tuple[str, ...]:
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
