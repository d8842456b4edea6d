"""Evidence drawn for a terminal: the lines of a source with carets under the characters that prove the claim."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from netdiag.finding import Evidence, Role
from netdiag.report.visible import cells, columns, shorten, visible, wrap
from netdiag.spans import Source, Span

NARROWEST = 40
_COLOURS = {"error": "1;31", "warning": "1;33", "note": "1;36", "frame": "1;34", "strong": "1"}
# Of a span with more lines only the first and the last few are drawn.
_MOST_LINES, _FIRST_LINES, _LAST_LINES = 6, 3, 2


@dataclass(frozen=True)
class Look:
    """How a page is drawn. `width` is in columns and never taken for less than 40; without `unicode` all is ASCII."""

    colour: bool
    width: int
    unicode: bool

    @property
    def columns(self) -> int:
        return max(self.width, NARROWEST)

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    @property
    def bar(self) -> str:
        return "│" if self.unicode else "|"

    def text(self, text: str) -> str:
        """Text that may come from a bundle, safe to print."""
        return visible(text, unicode=self.unicode)

    def paint(self, colour: str, text: str) -> str:
        """`text` in one of the colours `error`, `warning`, `note`, `frame`, `strong`."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour and text else text


@dataclass(frozen=True)
class _Window:
    """The part of a line that is shown, and where in it the span stands, in columns."""

    text: str
    start: int
    size: int


def draw(evidence: Sequence[Evidence], severity: str, look: Look) -> Iterator[str]:
    """The lines that show all of the evidence: a block for each source, that of the first primary evidence first."""
    gutter = len(str(max(item.span.line_end for item in evidence)))
    for number, items in enumerate(_by_source(evidence)):
        arrow = "-->" if not number else ":::"
        yield from _where(items, arrow, gutter, look)
        yield _row(gutter, "", "", look)
        yield from _block(items, severity, gutter, look)


def _by_source(evidence: Sequence[Evidence]) -> Iterable[Sequence[Evidence]]:
    """Primary evidence leads; what stands in the same source stands together."""
    grouped: dict[Source, list[Evidence]] = {}
    for item in sorted(evidence, key=lambda item: item.role is not Role.PRIMARY):
        grouped.setdefault(item.span.source, []).append(item)
    return grouped.values()


def _where(items: Sequence[Evidence], arrow: str, gutter: int, look: Look) -> Iterator[str]:
    span = items[0].span
    place = look.text(f"{span.source.path}:{span.line}") + (f":{span.column}" if span.column > 1 else "")
    head = " " * gutter + look.paint("frame", arrow) + " " + place
    used = gutter + len(arrow) + 1 + columns(place)
    if not span.source.command:
        yield head
        return
    command = look.text(span.source.command)
    room = look.columns - used - len("  ($ )")
    if columns(command) <= room:
        yield f"{head}  ($ {command})"
    else:
        yield head
        indent = gutter + len(arrow) + 1
        yield f"{' ' * indent}($ {shorten(command, look.columns - indent - len('($ )'), look.ellipsis)})"


def _block(items: Sequence[Evidence], severity: str, gutter: int, look: Look) -> Iterator[str]:
    room = look.columns - gutter - 3
    shown: tuple[int, str] | None = None
    for item in sorted(items, key=lambda item: (item.span.line, item.span.column)):
        if shown and item.span.line > shown[0] + 1:
            yield look.paint("frame", look.ellipsis)
        colour, mark = (severity, "^") if item.role is Role.PRIMARY else ("frame", "-")
        label = look.text(item.label)
        if item.span.line == item.span.line_end:
            window = _window(item.span, room, look)
            if shown != (item.span.line, window.text):
                yield _row(gutter, str(item.span.line), window.text, look)
            shown = (item.span.line, window.text)
            marks = _marks(window, mark, label, room)
        else:
            yield from _lines(item.span, colour, gutter, look)
            shown = (item.span.line_end, "")
            marks = _foot(item.span, mark, label, room, look)
        for line in marks:
            yield _row(gutter, "", look.paint(colour, line), look)


def _row(gutter: int, number: str, text: str, look: Look) -> str:
    frame = look.paint("frame", f"{number:>{gutter}} {look.bar}")
    return f"{frame} {text}".rstrip()


def _marks(window: _Window, mark: str, label: str, room: int) -> list[str]:
    carets = " " * window.start + mark * window.size
    return _labelled(carets, window.start, label, room)


def _labelled(marks: str, start: int, label: str, room: int) -> list[str]:
    """The marks with their label behind them, or below when there is no room behind."""
    if not label:
        return [marks]
    if columns(marks) + 1 + columns(label) <= room:
        return [f"{marks} {label}"]
    indent = min(start, max(room - columns(label), room // 3))
    return [marks, *(" " * indent + line for line in wrap(label, room - indent))]


def _lines(span: Span, colour: str, gutter: int, look: Look) -> Iterator[str]:
    """The lines of a span of several lines, with a bracket at their left."""
    first, end = span.line, span.line_end + 1
    numbers: Iterable[int | None] = range(first, end)
    if end - first > _MOST_LINES:
        numbers = (*range(first, first + _FIRST_LINES), None, *range(end - _LAST_LINES, end))
    room = look.columns - gutter - 3
    for number in numbers:
        if number is None:
            cut = f"{look.ellipsis} {end - first - _FIRST_LINES - _LAST_LINES} lines more"
            yield _row(gutter, "", f"{look.paint(colour, look.bar)} {cut}", look)
            continue
        side = look.bar if number > span.line else "╭" if look.unicode else "/"
        text = _window(Span(span.source, number, 1, number, 1), room - 2, look).text
        yield _row(gutter, str(number), f"{look.paint(colour, side)} {text}".rstrip(), look)


def _foot(span: Span, mark: str, label: str, room: int, look: Look) -> list[str]:
    """The bracket's foot, which ends under the last character of the span."""
    line = _line(span.source, span.line_end)[: min(span.column_end - 1, room)]
    reach = sum(size for _, size in cells(line, unicode=look.unicode))
    corner, dash = ("╰", "─") if look.unicode else ("|", "_")
    return _labelled(corner + dash * max(1, min(reach, room - 2)) + mark, 2, label, room)


def _line(source: Source, number: int) -> str:
    return source.lines[number - 1] if number <= len(source.lines) else ""


def _whole_line(source: Source, number: int) -> Span:
    return Span(source, number, 1, number, 1)


def _window(span: Span, room: int, look: Look) -> _Window:
    """As much of the span's first line as `room` columns hold, cut so that the beginning of the span stays in view."""
    line = _line(span.source, span.line)
    start = min(span.column - 1, len(line))
    if start == len(line):
        line += " "  # for the caret that stands behind the line
    end = max(min(span.column_end - 1, len(line)), start + 1)
    # A line may be megabytes long, and what is more than `room` characters away cannot be in view.
    first, last = max(0, start - room), min(len(line), start + room)
    near = _Cells(
        shown=cells(line[first:last], unicode=look.unicode),
        start=start - first,
        end=min(end, last) - first,
        cut_before=first > 0,
        cut_behind=last < len(line),
    )
    return near.window(room, look.ellipsis)


@dataclass(frozen=True)
class _Cells:
    """The cells of a line around a span: `start` is the span's first cell, `end` the one behind its last.

    `cut_before` and `cut_behind` tell whether the line goes on there.
    """

    shown: list[tuple[str, int]]
    start: int
    end: int
    cut_before: bool
    cut_behind: bool

    @cached_property
    def edges(self) -> list[int]:
        """The columns at which the cells begin, and the one at which the last ends."""
        return [0, *accumulate(size for _, size in self.shown)]

    def window(self, room: int, ellipsis: str) -> _Window:
        """The cells that fit in `room` columns together with an ellipsis at each end that is cut."""
        edges, dots = self.edges, columns(ellipsis)
        first = self._first(room, dots)
        head = ellipsis if first or self.cut_before else ""
        space = room - columns(head)
        tail = ellipsis if self.cut_behind or edges[-1] - edges[first] > space else ""
        space -= columns(tail)
        last = max(number for number, edge in enumerate(edges) if edge - edges[first] <= space)
        text = head + "".join(sign for sign, _ in self.shown[first:last]) + tail
        start = columns(head) + edges[self.start] - edges[first]
        return _Window(text, start, max(edges[min(self.end, last)] - edges[self.start], 1))

    def _first(self, room: int, dots: int) -> int:
        """The first cell to show: that of the line if enough of the span is then in view, else the span is centred."""
        edges = self.edges
        size = min(edges[self.end] - edges[self.start], room - 2 * dots)
        whole = edges[-1] <= room and not self.cut_behind
        enough = edges[self.start] + min(size, room // 2) <= room - dots
        if not self.cut_before and (whole or enough):
            return 0
        left = edges[self.start] - (room - 2 * dots - size) // 2
        if not self.cut_behind:
            left = min(left, edges[-1] - room + dots)
        return min(self.start, next(number for number, edge in enumerate(edges) if edge >= left))
