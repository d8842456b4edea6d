"""Rows under headings for a terminal of any width: as columns where they fit, else each row as a block of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from netdiag.report.visible import columns, wrap

Items: TypeAlias = Sequence[str]

_GAP = "  "
# A column is never made narrower than its longest word, but for words that are longer than this: paths and options are
# cut rather than that every row becomes a block.
_LONGEST_WORD = 24


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds numbers, which stand at the right."""

    heading: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """A table laid out in so many columns of a terminal. A cell is a few items, which stay in one line each where they
    fit; a longer item is wrapped at blanks, a longer word is cut.

    Where the width does not hold the table, a row is a block: its first cell, and a line for each other cell that holds
    something.
    """

    head: Sequence[Column]
    rows: Sequence[Sequence[Items]]
    width: int

    @cached_property
    def _wide(self) -> Sequence[int] | None:
        """How wide each column is, None when there is no room for all."""
        return _fit(self.head, self.rows, self.width - len(_GAP) * (len(self.head) - 1))

    @property
    def headings(self) -> Iterator[str]:
        """The line above the rows, none where rows are blocks."""
        if self._wide:
            yield from _row([(column.heading,) for column in self.head], self._wide, self.head)

    def row(self, number: int) -> Iterator[str]:
        """The lines of one row."""
        if self._wide:
            yield from _row(self.rows[number], self._wide, self.head)
        else:
            yield from self._block(self.rows[number])

    def _block(self, row: Sequence[Items]) -> Iterator[str]:
        margin = max(columns(column.heading) for column in self.head) + len(_GAP)
        yield from _lines(row[0], self.width)
        for column, cell in zip(self.head[1:], row[1:], strict=True):
            for number, line in enumerate(_lines(cell, self.width - margin - len(_GAP)) if any(cell) else ()):
                yield f"{_GAP}{'' if number else column.heading:{margin}}{line}"


def fold(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns (and at least one character)."""
    if columns(text) <= width:
        return [text]
    return [piece for line in wrap(text, width) for piece in _cut(line, width)]


def _lines(items: Items, width: int) -> list[str]:
    """The items, separated by commas, in lines of at most `width` columns."""
    lines: list[str] = []
    for number, item in enumerate(items):
        text = item if number == len(items) - 1 else f"{item},"
        if lines and columns(lines[-1]) + 1 + columns(text) <= width:
            lines[-1] += f" {text}"
        else:
            lines += fold(text, width)
    return lines or [""]


def _fit(head: Sequence[Column], rows: Sequence[Sequence[Items]], room: int) -> Sequence[int] | None:
    """Widths that fit in `room`: the widest columns give way first."""
    cells = [[column.heading, *(", ".join(row[number]) for row in rows)] for number, column in enumerate(head)]
    wide = [max(map(columns, each)) for each in cells]
    if sum(wide) <= room:
        return wide
    words = [max(columns(word) for cell in each for word in cell.split(" ")) for each in cells]
    least = [min(longest, _LONGEST_WORD) for longest in words]
    if sum(least) > room:
        return None
    most = max(wide)
    while sum(_within(least, wide, most)) > room:
        most -= 1
    found = _within(least, wide, most)
    # What is left over goes to the last column that was cut: that of the free text.
    spare = room - sum(found)
    for number in reversed(range(len(wide))):
        more = min(spare, wide[number] - found[number])
        found[number] += more
        spare -= more
    return found


def _within(least: Sequence[int], wide: Sequence[int], most: int) -> list[int]:
    return [max(low, min(high, most)) for low, high in zip(least, wide, strict=True)]


def _row(cells: Sequence[Items], wide: Sequence[int], head: Sequence[Column]) -> Iterator[str]:
    split = [_lines(cell, size) for cell, size in zip(cells, wide, strict=True)]
    for number in range(max(map(len, split))):
        line = [lines[number] if number < len(lines) else "" for lines in split]
        padded = (_pad(*each) for each in zip(line, wide, head, strict=True))
        yield _GAP.join(padded).rstrip()


def _pad(text: str, size: int, column: Column) -> str:
    blanks = " " * (size - columns(text))
    return blanks + text if column.numeric else text + blanks


def _cut(word: str, width: int) -> Iterator[str]:
    while columns(word) > width:
        size = max(1, _characters(word, width))
        yield word[:size]
        word = word[size:]
    yield word


def _characters(word: str, width: int) -> int:
    """How many characters of a word fit in so many columns."""
    used = 0
    for number, character in enumerate(word[: width + 1]):
        used += columns(character)
        if used > width:
            return number
    return width
