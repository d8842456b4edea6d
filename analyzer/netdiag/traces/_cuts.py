"""Where the lines of a trace are cut: a head, the time, and a body with up to two numbers that differ between lines.

A cut decides nothing. What stands between the numbers is read by the grammar (`_shapes`), and a line that is cut in the
wrong place is found out there.
"""

import re
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


@dataclass
class Number:
    """A number of each line; where a line has none, `start` and `end` are the end of the line, or of its head."""

    kind: Ints
    start: Ints
    end: Ints
    value: Words

    def before_last(self) -> "Number":
        return Number(self.kind[:-1], self.start[:-1], self.end[:-1], self.value[:-1])

    @classmethod
    def none(cls, line_end: Ints) -> "Number":
        return cls(np.zeros_like(line_end), line_end.copy(), line_end.copy(), np.zeros(len(line_end), np.uint64))

    def put(self, rows: Ints, kind: Kind, start: Ints, end: Ints, value: Ints | Words) -> None:
        """These rows, which ascend, have a number."""
        ours = slice(None) if len(rows) == len(self.kind) else rows
        self.kind[ours] = kind
        self.start[ours] = start
        self.end[ours] = end
        self.value[ours] = value


@dataclass(frozen=True)
class Cuts:
    """The lines of a chunk that have a time where it is looked for. `line` counts the lines of the chunk from 0.

    A line's head goes from `head` to `head_end`, its body from `body` to the end of the line; the time stands before
    or behind the head. `sound` is false for a line that must be read without this.
    """

    line: Ints
    line_end: Ints
    head: Ints
    head_end: Ints
    pid: Number
    time: Ints
    body: Ints
    first: Number
    second: Number
    sound: Flags

    def before_last(self) -> "Cuts":
        """Without the last line."""
        pid, first, second = self.pid.before_last(), self.first.before_last(), self.second.before_last()
        line, line_end, head, head_end = self.line[:-1], self.line_end[:-1], self.head[:-1], self.head_end[:-1]
        return Cuts(line, line_end, head, head_end, pid, self.time[:-1], self.body[:-1], first, second, self.sound[:-1])


# Distances that the lookaheads of the grammars may cover are bounded, and the digits of numbers that are cut out count
# there as well. So heads are short, and a bar of function_graph is near.
_LONGEST_HEAD = 48
_FARTHEST_BAR = 60
# of the first lines of a chunk, so many are asked for the column of the time
_LINES_TO_LEARN_FROM = 4
_LIKE_A_TIME = re.compile(rb"[0-9]\.[0-9]{6}(?:[0-9]{3})?:")


def _first_in(positions: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The first of the ascending positions in each span: the numbers of the spans that have one, and the positions."""
    index = np.searchsorted(positions, start)
    found = np.flatnonzero(index < len(positions))
    inside = positions[index[found]] < end[found]
    found = found[inside]
    return found, positions[index[found]]


def _behind_decimals(chunk: Chunk, places: Ints) -> Flags:
    """Whether six or nine decimals may stand before these places."""
    found: Flags = (chunk.bytes[places - 7] == ord(".")) | (chunk.bytes[places - 10] == ord("."))
    return found


def _all_colons(chunk: Chunk) -> Ints:
    """The colons behind decimals."""
    colons = chunk.positions(":")
    return colons[_behind_decimals(chunk, colons)]


def _colons_in_one_column(chunk: Chunk) -> Ints | None:
    """If nearly all lines have a colon behind decimals in the same column: those, and all of the other lines. To find
    every colon of a chunk takes longer.
    """
    start, end = chunk.line_starts, chunk.line_ends
    for first, last in zip(start[:_LINES_TO_LEARN_FROM].tolist(), end[:_LINES_TO_LEARN_FROM].tolist(), strict=True):
        time = _LIKE_A_TIME.search(chunk.text(first, last))
        if time is None:
            continue
        places = np.minimum(start + (time.end() - 1), end)
        alike = (chunk.bytes[places] == ord(":")) & _behind_decimals(chunk, places)
        if np.count_nonzero(alike) * 8 < len(places) * 7:
            return None
        others = np.flatnonzero(~alike)
        if not len(others):
            return places
        more = _positions_in(chunk, ":", start[others], end[others])
        return np.sort(np.concatenate([places[alike], more[_behind_decimals(chunk, more)]]))
    return None


def _positions_in(chunk: Chunk, character: str, start: Ints, end: Ints) -> Ints:
    """Where a character stands in some spans."""
    count = end - start
    first = np.cumsum(count) - count
    places = np.repeat(start - first, count) + np.arange(int(count.sum()))
    found: Ints = places[chunk.bytes[places] == ord(character)]
    return found


def _times(chunk: Chunk) -> tuple[Ints, Ints, Ints, Ints]:
    """Times of six or nine decimals that end at a colon, the first of each line: line, where it starts, colon, ns."""
    colons = _colons_in_one_column(chunk)
    if colons is not None:
        start, value, found = _times_before(chunk, colons)
    if colons is None or not found.all():
        # if it is no time that stands in the column, there may be one elsewhere in the line
        colons = _all_colons(chunk)
        start, value, found = _times_before(chunk, colons)
    line = np.searchsorted(chunk.line_ends, colons)
    found[1:] &= line[1:] != line[:-1]
    if not found.all():
        line, start, colons, value = (each[found] for each in (line, start, colons, value))
    return line, start, colons, value


def _times_before(chunk: Chunk, colons: Ints) -> tuple[Ints, Ints, Flags]:
    """The times that end at these colons: where they start, ns, and whether they are times."""
    nano = chunk.bytes[colons - 7] != ord(".")
    value, found = chunk.eight_digits_before(colons, 6)
    whole_end = colons - 7
    if nano.any():
        high, digits = chunk.eight_digits_before(colons - 6, 3)
        value = np.where(nano, high * 10**6 + value, value * 1000)
        found &= digits | ~nano
        whole_end = np.where(nano, colons - 10, whole_end)
    else:
        value *= 1000
    whole, count = chunk.number_before(whole_end)
    # nine digits of seconds are thirty years: below, no number of nanoseconds leaves its 64 bits
    found &= (count > 0) & (count < 10)
    value += whole * 10**9
    return whole_end - count, value, found


def _packet(chunk: Chunk, rows: Ints, body: Ints, line_end: Ints, first: Number, second: Number) -> None:
    """The address of the packet and its length, in the lines of these rows."""
    marks = chunk.positions("x")
    marks = marks[chunk.has(marks - 8, "kbaddr=0") | chunk.has(marks - 8, "baddr: 0")]
    found, mark = _first_in(marks, body[rows], line_end[rows])
    value, good = chunk.hex16_at(mark + 1)
    rows, start, value = rows[found[good]], mark[good] + 1, value[good]
    end = start + 16
    first.put(rows, Kind.SKB, start, end, value)
    at = np.where(chunk.has(end, " len="), end + 5, np.where(chunk.has(end, ", len: "), end + 7, 0))
    farther = np.flatnonzero(at == 0)
    if len(farther):
        keys = chunk.positions("l")
        equal = chunk.has(keys - 1, " len=")
        keys = np.where(equal | chunk.has(keys - 1, " len: "), keys + 5 - equal, 0)
        keys = keys[keys > 0]
        found, key = _first_in(keys, end[farther], line_end[rows[farther]])
        at[farther[found]] = key
    behind = np.flatnonzero(at)
    length, count = chunk.number_at(at[behind])
    good = (count > 0) & (count < 8)
    rows, at = rows[behind[good]], at[behind[good]]
    second.put(rows, Kind.LENGTH, at, at + count[good], length[good])


def _bars(chunk: Chunk, colon: Ints, line_end: Ints) -> tuple[Ints, Ints]:
    """The lines of function_graph, by their numbers, and where the bar stands in them."""
    rows = np.flatnonzero(chunk.has(colon, ": funcgr"))
    colon, line_end = colon[rows], line_end[rows]
    if not len(rows):
        return rows, colon
    # it has a column of its own as a rule
    bar = colon + max(0, chunk.text(int(colon[0]), int(line_end[0])).find(b"|"))
    if (bar >= line_end).any() or (chunk.bytes[bar] != ord("|")).any():
        found, bar = _first_in(chunk.positions("|"), colon, line_end)
        rows, colon = rows[found], colon[found]
    near = bar - colon <= _FARTHEST_BAR
    return (rows, bar) if near.all() else (rows[near], bar[near])


def _durations(chunk: Chunk, rows: Ints, bar: Ints, number: Number) -> None:
    """`14.572 us  |`: the number before the bar; it has fewer decimals the longer it is."""
    end = np.zeros_like(bar)
    for blanks in (1, 2, 3):
        end = np.where(chunk.has_before(bar, " us" + " " * blanks), bar - blanks - 3, end)
    found = np.flatnonzero(end)
    rows, end = rows[found], end[found]
    decimals, count = chunk.number_before(end)
    point = chunk.bytes[end - count - 1] == ord(".")
    whole, wholes = chunk.number_before(end - count - 1)
    good = np.where(point, (count > 0) & (count <= 3) & (wholes > 0) & (wholes < 13), (count > 0) & (count < 13))
    value = np.where(point, whole * 1000 + decimals * 10 ** np.clip(3 - count, 0, 3), decimals * 1000)
    start = end - count - np.where(point, 1 + wholes, 0)
    number.put(rows[good], Kind.DURATION, start[good], end[good], value[good])


def _indents(chunk: Chunk, rows: Ints, bar: Ints, first: Number, second: Number) -> None:
    """The blanks behind the bar of calls."""
    count = chunk.blanks_at(bar + 1)
    depth = np.maximum(count - 2, 0) // 2
    behind = first.kind[rows] != Kind.NONE
    for number, ours in ((first, ~behind), (second, behind)):
        number.put(rows[ours], Kind.INDENT, bar[ours] + 1, bar[ours] + 1 + count[ours], depth[ours])


def _pids(chunk: Chunk, head: Ints, head_end: Ints) -> Number:
    """The number before `[001]`, the CPU, or before the time."""
    end = head_end - chunk.blanks_before(head_end)
    with_cpu = (chunk.bytes[end - 1] == ord("]")) & (chunk.bytes[end - 5] == ord("["))
    end = np.where(with_cpu, end - 5, end)
    end -= chunk.blanks_before(end)
    value, count = chunk.number_before(end)
    good = (count > 0) & (count < 9) & (end - count > head)
    return Number(
        np.where(good, np.int64(Kind.PID), 0),
        np.where(good, end - count, head_end),
        np.where(good, end, head_end),
        np.where(good, value, 0).astype(np.uint64),
    )


def cut_trace_cmd(chunk: Chunk) -> Cuts:
    """`trace-cmd report`: `ssh-30928 [000] 3110612.717883: funcgraph_exit:       + 14.572 us  |    }`."""
    line, time_start, colon, time = _times(chunk)
    head, line_end = chunk.line_starts[line], chunk.line_ends[line]
    first, second = Number.none(line_end), Number.none(line_end)
    with_bar, bar = _bars(chunk, colon, line_end)
    _durations(chunk, with_bar, bar, first)
    _indents(chunk, with_bar, bar, first, second)
    if len(with_bar) < len(line):
        _packet(chunk, np.flatnonzero(first.kind == Kind.NONE), colon, line_end, first, second)
    sound = time_start - head <= _LONGEST_HEAD
    return Cuts(line, line_end, head, time_start, _pids(chunk, head, time_start), time, colon, first, second, sound)


def cut_perf_script(chunk: Chunk) -> Cuts:
    """`perf script`: `ping 15000 [000]  5591.992995: net:net_dev_queue: dev=trx0 skbaddr=0xffff888173c36400 len=98`."""
    line, time_start, colon, time = _times(chunk)
    head, line_end = chunk.line_starts[line], chunk.line_ends[line]
    first, second = Number.none(line_end), Number.none(line_end)
    # ten characters behind a blank
    period_end = colon + 12
    period, count = chunk.number_before(np.minimum(period_end, line_end))
    counted = np.flatnonzero(
        (period_end < line_end) & (chunk.bytes[colon + 12] == ord(" ")) & (count > 0) & (count < 11)
    )
    period_end = period_end[counted]
    first.put(counted, Kind.PERIOD, period_end - count[counted], period_end, period[counted])
    if len(counted) < len(line):
        _packet(chunk, np.flatnonzero(first.kind == Kind.NONE), colon, line_end, first, second)
    sound = time_start - head <= _LONGEST_HEAD
    return Cuts(line, line_end, head, time_start, _pids(chunk, head, time_start), time, colon, first, second, sound)


def cut_perf_trace(chunk: Chunk) -> Cuts:
    """`perf trace`: `0.000 ping/8497 net:net_dev_queue(skbaddr: 0xffff90d9726a5600, len: 98, name: "wlp2s0")`."""
    points = chunk.positions(".")
    points = points[chunk.bytes[points + 4] == ord(" ")]
    time, found = chunk.eight_digits_before(points + 4, 3)
    whole, count = chunk.number_before(points)
    found &= (count > 0) & (count < 13)
    line = np.searchsorted(chunk.line_ends, points)
    found &= chunk.is_blank(chunk.line_starts[line], points - count)
    line, head = line[found], points[found] + 4
    time = (time[found] + whole[found] * 1000) * 1000
    line_end = chunk.line_ends[line]
    head_end, pid, sound = _task_ends(chunk, head, line_end)
    first, second = Number.none(line_end), Number.none(line_end)
    _packet(chunk, np.arange(len(line)), head_end, line_end, first, second)
    return Cuts(line, line_end, head, head_end, pid, time, head_end, first, second, sound)


def _task_ends(chunk: Chunk, head: Ints, line_end: Ints) -> tuple[Ints, Number, Flags]:
    """Where `ping/8497` ends behind the time; without a task, where the column of the duration ends, or the time."""
    slashes = chunk.positions("/")
    _, count = chunk.number_at(slashes + 1)
    slashes, count = slashes[count > 0], count[count > 0]
    ends = slashes + 1 + count
    # what may go on behind eight digits is not looked at here
    task = (chunk.bytes[ends] == ord(" ")) | (count == 8)
    ends = ends[task]
    found, end = _first_in(ends, head, line_end)
    head_end = np.where(chunk.has(head, " (") & chunk.has(head + 11, "):"), head + 13, head)
    near = (end - head[found] <= _LONGEST_HEAD) & (chunk.bytes[end] == ord(" "))
    head_end[found[near]] = end[near]
    pid = Number.none(head_end)
    value, count = chunk.number_before(end[near])
    pid.put(found[near], Kind.PID, end[near] - count, end[near], value)
    sound = np.ones(len(head), bool)
    sound[found[~near]] = False
    return head_end, pid, sound


def cut_nothing(chunk: Chunk) -> Cuts:
    """No line is cut."""
    none = chunk.line_ends[:0]
    number = Number.none(none)
    return Cuts(none, none, none, none, number, none, none, number, number, np.array([], bool))


CUTS: Mapping[str, Callable[[Chunk], Cuts]] = {
    "trace_cmd_report": cut_trace_cmd,
    "perf_script": cut_perf_script,
    "perf_trace": cut_perf_trace,
}
