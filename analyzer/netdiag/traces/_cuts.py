"""Where the lines of a trace are cut: a head, the time, and a body with up to two numbers that differ between lines.

A cut decides nothing. What stands between the numbers is read by the grammar (`_shapes`), and a line that is cut in the
wrong place is found out there.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from netdiag.traces._chunk import Chunk, Flags, Ints, Words


class Kind(IntEnum):
    """What a number that is cut out means."""

    NONE = 0
    DURATION = 1  # of a call, in microseconds with up to three decimals
    SKB = 2  # the sixteen digits behind `skbaddr=0x`
    LENGTH = 3  # the digits behind `len=`
    PERIOD = 4  # of a counter
    INDENT = 5  # of a call: two blanks, and two more for each call around it; the value is the calls around it
    PID = 6  # in the head


#: Some of the lines, by their numbers among all: all of them, most often.
Places = Ints | slice
ALL = slice(None)


@dataclass(frozen=True)
class Number:
    """A number of some lines. A line that is not `there` has none: its `start` and `end` are one place."""

    kind: Kind
    there: Flags
    start: Ints
    end: Ints
    value: Ints | Words


@dataclass(frozen=True)
class Group:
    """Lines whose bodies may have the same numbers, in the order of the text."""

    rows: Places
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk that have a time where it is looked for. `line` counts the lines of the chunk from 0.

    A line's head goes from `head` to `head_end`, its body from `body` to `end`, the end of the line; the time stands
    before or behind the head. `sound` is false for a line that must be read without this.
    """

    line: Ints
    head: Ints
    head_end: Ints
    time: Ints
    body: Ints
    end: Ints
    sound: Flags

    def __len__(self) -> int:
        return len(self.line)

    def before_last(self) -> "Lines":
        """Without the last line."""
        line, head, head_end, time = self.line[:-1], self.head[:-1], self.head_end[:-1], self.time[:-1]
        return Lines(line, head, head_end, time, self.body[:-1], self.end[:-1], self.sound[:-1])


@dataclass(frozen=True)
class Cut:
    """How the lines of a format are cut: which have a time, and what numbers these have."""

    lines: Callable[[Chunk], Lines]
    groups: Callable[[Chunk, Lines], list[Group]]


# Distances that the lookaheads of the grammars may cover are bounded, and the digits of numbers that are cut out count
# there as well. So heads are short, and a bar of function_graph is near.
_LONGEST_HEAD = 48
_FARTHEST_BAR = 60
# so far before the colon behind a time stands its point: six decimals, or nine
_POINTS = {7: ".", 10: "."}
# so many lines of a chunk are asked in which columns a thing stands, and so many columns are tried
_ASKED = 32
_COLUMNS = 6


@dataclass(frozen=True)
class _Mark:
    """Something that stands in one of a few columns in most lines: a pattern up to its last character, that character,
    and whether it stands at some places, which may be the end of a line.
    """

    pattern: re.Pattern[bytes]
    last: str
    stands_at: Callable[[Chunk, Ints], Flags]

    def places(self, chunk: Chunk, start: Ints, end: Ints) -> Ints:
        """Where it stands in each of these spans, one that is first if it has no usual column; -1 if nowhere."""
        places = np.full(len(start), -1)
        left: Places = ALL
        for column in self.usual_columns(chunk, start, end):
            tried = np.minimum(start[left] + column, end[left])
            places[left] = np.where(self.stands_at(chunk, tried) & (tried < end[left]), tried, -1)
            left = np.flatnonzero(places < 0)
            if not len(left):
                return places
        left = np.arange(len(start))[left]
        if len(left) * 8 > len(chunk.line_ends):
            anywhere = chunk.positions(self.last)
        else:
            anywhere = _positions_in(chunk, self.last, start[left], end[left])
        anywhere = anywhere[self.stands_at(chunk, anywhere)]
        found, first = _first_in(anywhere, start[left], end[left])
        places[left[found]] = first
        return places

    def usual_columns(self, chunk: Chunk, start: Ints, end: Ints) -> list[int]:
        """Its most frequent columns in some of the lines; none if few of them have it there."""
        some = slice(None, None, 1 + len(start) // _ASKED)
        asked = list(zip(start[some].tolist(), end[some].tolist(), strict=True))
        matches = [(first, self.pattern.search(chunk.data, first, last)) for first, last in asked]
        usual = Counter(match.end() - first - 1 for first, match in matches if match).most_common(_COLUMNS)
        return [column for column, _ in usual] if 2 * sum(count for _, count in usual) > len(asked) else []


def _first_in(positions: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The first of the ascending positions in each span: the numbers of the spans that have one, and the positions.

    The spans are in the order of the text.
    """
    span = np.searchsorted(end, positions, "right")
    inside = np.flatnonzero(span < len(end))
    inside = inside[start[span[inside]] <= positions[inside]]
    span = span[inside]
    first = np.flatnonzero(np.diff(span, prepend=-1))
    return span[first], positions[inside[first]]


def _positions_in(chunk: Chunk, character: str, start: Ints, end: Ints) -> Ints:
    """Where a character stands in some spans."""
    count = end - start
    first = np.cumsum(count) - count
    places = np.repeat(start - first, count) + np.arange(int(count.sum()))
    found: Ints = places[chunk.bytes[places] == ord(character)]
    return found


def _is_colon_behind_decimals(chunk: Chunk, places: Ints) -> Flags:
    decimals = (chunk.bytes[places - 7] == ord(".")) | (chunk.bytes[places - 10] == ord("."))
    colons: Flags = (chunk.bytes[places] == ord(":")) & decimals
    return colons


def _is_point_of_milliseconds(chunk: Chunk, places: Ints) -> Flags:
    points: Flags = (chunk.bytes[places] == ord(".")) & (chunk.bytes[places + 4] == ord(" "))
    return points


def _is_bar(chunk: Chunk, places: Ints) -> Flags:
    bars: Flags = chunk.bytes[places] == ord("|")
    return bars


def _is_x_of_address(chunk: Chunk, places: Ints) -> Flags:
    return chunk.has(places - 7, "baddr=0x") | chunk.has(places - 7, "addr: 0x")


_TIME = _Mark(re.compile(rb"[0-9]\.[0-9]{6}(?:[0-9]{3})?:"), ":", _is_colon_behind_decimals)
_MILLISECONDS = _Mark(re.compile(rb"\.(?=[0-9]{3} )"), ".", _is_point_of_milliseconds)
_BAR = _Mark(re.compile(rb"\|"), "|", _is_bar)
_ADDRESS = _Mark(re.compile(rb"(?:baddr=|addr: )0x"), "x", _is_x_of_address)


def _lines_with_colons(chunk: Chunk) -> Lines:
    """`ssh-30928 [000] 3110612.717883: `: the head, the time of six or nine decimals, a colon."""
    colon = _TIME.places(chunk, chunk.line_starts, chunk.line_ends)
    line = np.flatnonzero(colon >= 0)
    return _with_times(chunk, line, colon[line])


def _lines_above_frames(chunk: Chunk) -> Lines:
    """`ping 15000 [000]  5591.992995: `, where most of the other lines are frames below it: those with a tabulator."""
    line = np.flatnonzero(chunk.bytes[chunk.line_starts] != ord("\t"))
    if 2 * len(line) > len(chunk.line_starts):
        return _lines_with_colons(chunk)
    line = line[chunk.line_starts[line] < chunk.line_ends[line]]
    first = chunk.line_starts[line]
    end = np.minimum(chunk.line_ends[line], first + (_LONGEST_HEAD + 24))
    # a time has eight characters at least before its colon, and few lines have it before the columns that are frequent
    least = max(8, min([_LONGEST_HEAD, *_TIME.usual_columns(chunk, first, end)]) - 7)
    colon = chunk.first_behind(first + least, end, ":", _POINTS)
    others = np.flatnonzero(colon == end)
    if len(others):
        colon[others] = chunk.first_behind(first[others] + 8, end[others], ":", _POINTS)
    near = colon < end
    return _with_times(chunk, line[near], colon[near])


def _with_times(chunk: Chunk, line: Ints, colon: Ints) -> Lines:
    """Those of the lines that have a time before this colon."""
    time_start, time, found = _times_before(chunk, colon)
    if not found.all():
        line, colon, time_start, time = (each[found] for each in (line, colon, time_start, time))
    every = ALL if len(line) == len(chunk.line_starts) else line
    head, end = chunk.line_starts[every], chunk.line_ends[every]
    return Lines(line, head, time_start, time, colon, end, time_start - head <= _LONGEST_HEAD)


def _times_before(chunk: Chunk, colon: Ints) -> tuple[Ints, Ints, Flags]:
    """The times that end at these colons: where they start, ns, and whether they are times."""
    value, found = chunk.digits_before(colon, 6)
    whole_end = colon - 7
    nano = chunk.bytes[whole_end] != ord(".")
    if (nano & found).any():
        high, digits = chunk.digits_before(colon - 6, 3)
        value = np.where(nano, high * 10**6 + value, value * 1000)
        found &= digits | ~nano
        whole_end = np.where(nano, colon - 10, whole_end)
    else:
        value *= 1000
        found &= ~nano
    whole, count = chunk.steady_number_before(whole_end)
    # nine digits of seconds are thirty years: below, no number of nanoseconds leaves its 64 bits
    found &= (count > 0) & (count < 10)
    value += whole * 10**9
    return whole_end - count, value, found


def _lines_with_milliseconds(chunk: Chunk) -> Lines:
    """`0.000 ping/8497 net:`: the time, perhaps `(0.012 ms): `, and the head where there is one."""
    points = _MILLISECONDS.places(chunk, chunk.line_starts, chunk.line_ends)
    line = np.flatnonzero(points >= 0)
    points = points[line]
    time, found = chunk.digits_before(points + 4, 3)
    whole, count = chunk.number_before(points)
    found &= (count > 0) & (count < 13)
    found &= chunk.is_blank(chunk.line_starts[line], points - count)
    time = (time + whole * 1000) * 1000
    head = points + 4
    if not found.all():
        line, head, time = line[found], head[found], time[found]
    end = chunk.line_ends[line]
    head_end, sound = _task_ends(chunk, head, end)
    return Lines(line, head, head_end, time, head_end, end, sound)


def _task_ends(chunk: Chunk, head: Ints, line_end: Ints) -> tuple[Ints, Flags]:
    """Where `ping/8497` ends behind the time; without a task, where the column of the duration ends, or the time."""
    slashes = chunk.positions("/")
    _, count = chunk.number_at(slashes + 1)
    slashes, count = slashes[count > 0], count[count > 0]
    ends = slashes + 1 + count
    # what may go on behind eight digits is not looked at here
    task = (chunk.bytes[ends] == ord(" ")) | (count == 8)
    ends = ends[task]
    found, end = _first_in(ends, head, line_end)
    with_duration = chunk.has(head, " (") & chunk.has(head + 11, "):") & (head + 13 <= line_end)
    head_end = np.where(with_duration, head + 13, head)
    near = (end - head[found] <= _LONGEST_HEAD) & (chunk.bytes[end] == ord(" "))
    head_end[found[near]] = end[near]
    sound = np.ones(len(head), bool)
    sound[found[~near]] = False
    return head_end, sound


def _calls_and_packets(chunk: Chunk, lines: Lines) -> list[Group]:
    """`: funcgraph_exit:       + 14.572 us  |    }` and `: net_dev_queue: dev=v0 skbaddr=0xff2b634b01358000 len=98`."""
    graph = chunk.has(lines.body, ": funcgr")
    rows, bar = _bars(chunk, lines, graph)
    groups = []
    if isinstance(rows, slice) or len(rows):
        groups.append(Group(rows, (_durations(chunk, bar), _indents(chunk, bar))))
    if isinstance(rows, slice):
        return groups
    others = np.ones(len(lines), bool)
    others[rows] = False
    return [*groups, _packets(chunk, lines, np.flatnonzero(others))]


def _bars(chunk: Chunk, lines: Lines, graph: Flags) -> tuple[Places, Ints]:
    """Of the lines of function_graph those with a bar, and where it stands."""
    rows: Places = ALL if graph.all() else np.flatnonzero(graph)
    body = lines.body[rows]
    bar = _BAR.places(chunk, body, np.minimum(lines.end[rows], body + (_FARTHEST_BAR + 1)))
    near = bar >= 0
    return (rows, bar) if near.all() else (np.arange(len(graph))[rows][near], bar[near])


def _durations(chunk: Chunk, bar: Ints) -> Number:
    """`14.572 us  |`: the number before the bar; it has fewer decimals the longer it is."""
    end = bar - 6
    good = np.zeros(len(bar), bool)
    for blanks in (1, 2, 3):
        ours = chunk.has_before(bar, " us" + " " * blanks)
        end += (3 - blanks) * ours
        good |= ours
    # usually three decimals, and not many digits before the point
    decimals, three = chunk.digits_before(end, 3)
    whole, count = chunk.number_before(end - 4)
    three &= (chunk.bytes[end - 4] == ord(".")) & (count > 0) & (count < 13)
    value = whole * 1000 + decimals
    start = end - 4 - count
    others = np.flatnonzero(good & ~three)
    if len(others):
        their_end = end[others]
        decimals, count = chunk.number_before(their_end)
        point = chunk.bytes[their_end - count - 1] == ord(".")
        whole, wholes = chunk.number_before(their_end - count - 1)
        found = np.where(point, (count > 0) & (count <= 3) & (wholes > 0) & (wholes < 13), (count > 0) & (count < 13))
        value[others] = np.where(point, whole * 1000 + decimals * 10 ** np.clip(3 - count, 0, 3), decimals * 1000)
        start[others] = their_end - count - np.where(point, 1 + wholes, 0)
        good[others] = found
    if not good.all():
        none = np.flatnonzero(~good)
        value[none] = -1
        start[none] = end[none] = bar[none] + 1
    return Number(Kind.DURATION, good, start, end, value)


def _indents(chunk: Chunk, bar: Ints) -> Number:
    """The blanks behind the bar of calls."""
    start = bar + 1
    count = chunk.blanks_at(start)
    return Number(Kind.INDENT, np.ones(len(bar), bool), start, start + count, np.maximum(count - 2, 0) // 2)


def _periods_and_packets(chunk: Chunk, lines: Lines) -> list[Group]:
    """`:     131072 cycles: ` and `: net:net_dev_queue: dev=trx0 skbaddr=0xffff888173c36400 len=98`."""
    # ten characters behind a blank
    end = np.minimum(lines.body + 12, lines.end)
    period, count = chunk.number_before(end)
    counted = (end < lines.end) & (chunk.bytes[end] == ord(" ")) & (count > 0) & (count < 11)
    rows, others = np.flatnonzero(counted), np.flatnonzero(~counted)
    end, there = end[rows], np.ones(len(rows), bool)
    periods = Number(Kind.PERIOD, there, end - count[rows], end, period[rows])
    return [Group(rows, (periods,)), _packets(chunk, lines, others)]


def _only_packets(chunk: Chunk, lines: Lines) -> list[Group]:
    """` net:net_dev_queue(skbaddr: 0xffff90d9726a5600, len: 98, name: "wlp2s0")`."""
    return [_packets(chunk, lines, ALL)]


def _packets(chunk: Chunk, lines: Lines, rows: Places) -> Group:
    """The address of the packet and its length."""
    body, line_end = lines.body[rows], lines.end[rows]
    start = _ADDRESS.places(chunk, body, line_end) + 1
    value, good = chunk.hex16_at(start)
    found = np.flatnonzero(good & (start > 0))
    start, value = start[found], value[found]
    skb = _number(Kind.SKB, line_end, found, start, start + 16, value, np.zeros(len(line_end), np.uint64))
    end = start + 16
    at = np.where(chunk.has(end, " len="), end + 5, np.where(chunk.has(end, ", len: "), end + 7, 0))
    farther = np.flatnonzero(at == 0)
    if len(farther):
        keys = chunk.positions("l")
        equal = chunk.has(keys - 1, " len=")
        keys = np.where(equal | chunk.has(keys - 1, " len: "), keys + 5 - equal, 0)
        keys = keys[keys > 0]
        with_key, key = _first_in(keys, end[farther], line_end[found[farther]])
        at[farther[with_key]] = key
    behind = np.flatnonzero(at)
    length, count = chunk.number_at(at[behind])
    good = (count > 0) & (count < 8)
    behind, length, count = behind[good], length[good], count[good]
    start = at[behind]
    lengths = np.full(len(line_end), -1, np.int64)
    return Group(rows, (skb, _number(Kind.LENGTH, line_end, found[behind], start, start + count, length, lengths)))


def _number(
    kind: Kind, line_end: Ints, found: Ints, start: Ints, end: Ints, value: Ints | Words, values: Ints | Words
) -> Number:
    """A number that the lines `found` have. The others have no text at their end instead, and keep their `values`."""
    starts, ends = line_end.copy(), line_end.copy()
    there = np.zeros(len(line_end), bool)
    for ours, theirs in ((starts, start), (ends, end), (there, True), (values, value)):
        ours[found] = theirs
    return Number(kind, there, starts, ends, values)


def _no_lines(chunk: Chunk) -> Lines:
    none = chunk.line_ends[:0]
    return Lines(none, none, none, none, none, none, none == 0)


#: For a format without a way to cut its lines.
UNCUT = Cut(_no_lines, lambda _, __: [])

CUTS: Mapping[str, Cut] = {
    "trace_cmd_report": Cut(_lines_with_colons, _calls_and_packets),
    "perf_script": Cut(_lines_above_frames, _periods_and_packets),
    "perf_trace": Cut(_lines_with_milliseconds, _only_packets),
}
