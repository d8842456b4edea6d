"""Lines of a source as HTML: numbered, with marks on what proves something, cut where they are too many or too long."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup, escape

from netdiag.finding import Evidence
from netdiag.report import _anchors
from netdiag.report.visible import cells, visible, visible_lines
from netdiag.spans import Source, Span

CONTEXT = 2
# An excerpt is for reading; who wants the rest follows its link.
_LONGEST_IN_EXCERPT = 400
_BEFORE_MARK = 120
_FIRST_LINES, _LAST_LINES = 8, 3
_FARTHEST_LABEL = 32
# Of more blanks than these that all lines of an excerpt begin with, a few are kept.
_DEEPEST, _INDENT = 8, 2
# The sources of a bundle may have 100 MB, a browser wants a page of a few.
_LONGEST_LINE = 2_000
CHARACTERS_OF_SOURCE = 250_000
CHARACTERS_OF_ALL = 4_000_000
_AROUND_WANTED = 3
_OF_ALL = ("host", "docker", "podman", "files")


@dataclass(frozen=True)
class Listing:
    """A source as the page shows it: `shown` are the numbers of its lines that are there, `wanted` prove something.

    The text is one block beside a block of numbers, because an element for each line would make a page of many
    megabytes. Only a line that `href` was asked for before has an id.
    """

    number: int
    source: Source
    shown: frozenset[int]
    wanted: frozenset[int]
    linked: set[int] = field(default_factory=set)

    @property
    def lines(self) -> int:
        return len(self.source.lines)

    @property
    def left_out(self) -> int:
        return self.lines - len(self.shown)

    def href(self, line: int) -> str:
        """The link to a line, to the source as a whole when the line is left out, nowhere when all lines are."""
        if line in self.shown:
            self.linked.add(line)
            return f"#{_anchors.of_line(self.number, line)}"
        return f"#{_anchors.of_source(self.number)}" if self.shown or not self.lines else ""

    @cached_property
    def _runs(self) -> tuple[tuple[int, int], ...]:
        """The first and the last number of each run of lines that are shown, and follow each other."""
        runs: list[tuple[int, int]] = []
        for line in sorted(self.shown):
            if runs and line == runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], line)
            else:
                runs.append((line, line))
        return tuple(runs)

    @property
    def numbers(self) -> Markup:
        """The number of each line of `markup`; a gap has none."""
        rows: list[str] = []
        last = 0
        for first, end in self._runs:
            rows += [""] * (first > last + 1)
            rows += map(str, range(first, end + 1))
            last = end
        return Markup("\n").join([*rows, *[""] * (last < self.lines)])

    @property
    def markup(self) -> Markup:
        return Markup().join(self._pieces())

    def _pieces(self) -> Iterator[Markup]:
        last = 0
        for first, end in self._runs:
            if first > last + 1:
                yield _gap(first - last - 1)
            start = first
            for line in sorted(line for line in self.linked | self.wanted if first <= line <= end):
                yield self._text(start, line - 1)
                yield self._marked(line)
                start = line + 1
            yield self._text(start, end)
            last = end
        if last < self.lines:
            yield _gap(self.lines - last)

    def _text(self, first: int, last: int) -> Markup:
        lines = self.source.lines[first - 1 : last]
        return escape(visible_lines("".join(f"{_cut(line, 0, _LONGEST_LINE)[0]}\n" for line in lines)))

    def _marked(self, line: int) -> Markup:
        kind = Markup(' class="hit"') if line in self.wanted else Markup()
        place = Markup(' id="{}"').format(_anchors.of_line(self.number, line)) if line in self.linked else Markup()
        return Markup("<span{}{}>{}</span>").format(kind, place, self._text(line, line))


def list_sources(sources: Mapping[Source, Collection[int]]) -> tuple[Listing, ...]:
    """Every source with as many of its first lines as there is room for, and its wanted lines with some around them.

    Room is given to sources with wanted lines first, then to those that speak of the whole host.
    """
    shown = {source: _around(wanted, len(source.lines)) for source, wanted in sources.items()}
    room = CHARACTERS_OF_ALL - sum(_sizes(source, lines) for source, lines in shown.items())
    for source in sorted(sources, key=lambda source: (not sources[source], source.scope not in _OF_ALL)):
        free = min(room, CHARACTERS_OF_SOURCE)
        for line, text in enumerate(source.lines, start=1):
            if line in shown[source]:
                continue
            size = min(len(text), _LONGEST_LINE) + 1
            if size > free:
                break
            free, room = free - size, room - size
            shown[source].add(line)
    return tuple(
        Listing(number, source, frozenset(shown[source]), frozenset(wanted))
        for number, (source, wanted) in enumerate(sources.items())
    )


def _sizes(source: Source, lines: Iterable[int]) -> int:
    return sum(min(len(source.lines[line - 1]), _LONGEST_LINE) + 1 for line in lines)


def _around(wanted: Collection[int], total: int) -> set[int]:
    """The lines with some before and behind each, as far as the source has them."""
    near = (number for line in wanted for number in range(line - _AROUND_WANTED, line + _AROUND_WANTED + 1))
    return {number for number in near if 1 <= number <= total}


def excerpt(evidence: Evidence) -> Markup:
    """The lines of the evidence with two lines on either side, its characters marked and its label below them."""
    span = evidence.span
    lines = span.source.lines
    numbers = list(range(max(1, span.line - CONTEXT), min(len(lines), span.line_end + CONTEXT) + 1))
    if span.line_end - span.line >= _FIRST_LINES + _LAST_LINES:
        skipped = range(span.line + _FIRST_LINES, span.line_end - _LAST_LINES + 1)
        numbers = [number for number in numbers if number not in skipped]
    pieces = []
    indent = _needless(lines[number - 1] for number in numbers)
    for before, number in zip([numbers[0] - 1, *numbers], numbers, strict=False) if numbers else ():
        if number > before + 1:
            pieces.append(_gap(number - before - 1))
        pieces.append(_excerpt_line(span, number, indent))
        if number == span.line_end and evidence.label:
            pieces.append(_label(evidence, indent))
    return Markup().join(pieces)


def _needless(lines: Iterable[str]) -> int:
    """How many of the blanks before all of some lines an excerpt can do without: JSON begins far to the right."""
    common = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return common - _INDENT if common > _DEEPEST else 0


def _label(evidence: Evidence, indent: int) -> Markup:
    """The label below the mark: at its column, unless that is too far to the right for a narrow screen."""
    span = evidence.span
    before = span.source.lines[span.line - 1][indent : span.column - 1] if span.line == span.line_end else ""
    far = sum(size for _, size in cells(before[: _FARTHEST_LABEL + 1]))
    blanks = " " * far if far <= _FARTHEST_LABEL else ""
    return Markup('<span class="label">{}└─ {}\n</span>').format(blanks, prose(evidence.label))


def prose(text: str) -> Markup:
    """A sentence of a check: line feeds and runs of blanks mean nothing, words between backticks are code."""
    parts = visible(" ".join(text.split())).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner is just a backtick
        parts[-2:] = [f"{parts[-2]}`{parts[-1]}"]
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def _excerpt_line(span: Span, number: int, indent: int) -> Markup:
    """A line without its first `indent` characters, which are blanks, marked where the span is."""
    line = span.source.lines[number - 1]
    if not span.line <= number <= span.line_end:
        return _line(number, [_cut(line[indent:], 0, _LONGEST_IN_EXCERPT)[0]])
    start = max(indent, span.column - 1 if number == span.line else len(line) - len(line.lstrip())) - indent
    end = (span.column_end - 1 if number == span.line_end else len(line)) - indent
    text, offset = _cut(line[indent:], start, _LONGEST_IN_EXCERPT)
    start, end = max(start - offset, 0), max(min(end - offset, len(text)), 0)
    return _line(number, [text[:start], text[start:end], text[end:]], hit=True)


def _cut(line: str, start: int, longest: int) -> tuple[str, int]:
    """At most `longest` characters of a line, those from `start` on in view, and by how much they moved left."""
    if len(line) <= longest:
        return line, 0
    first = max(0, min(start - _BEFORE_MARK, len(line) - longest))
    head, tail = "…" if first else "", "…" if first + longest < len(line) else ""
    return f"{head}{line[first : first + longest]}{tail}", first - len(head)


def _line(number: int, parts: Iterable[str], *, hit: bool = False) -> Markup:
    """One line; of three parts the middle one is marked. The number is an attribute, so that no one copies it."""
    before, *rest = (visible_lines(part) for part in parts)
    marked = Markup("<mark>{}</mark>").format(rest[0]) if rest and rest[0] else Markup()
    after = rest[1] if rest else ""
    kind = Markup("l hit") if hit else Markup("l")
    return Markup('<span class="{}" data-n="{}">{}{}{}\n</span>').format(kind, number, before, marked, after)


def _gap(count: int) -> Markup:
    return Markup('<span class="gap">… {} line{} left out\n</span>').format(count, "" if count == 1 else "s")
