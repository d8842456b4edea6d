"""Where the lines of a trace are cut: a head, the time, and a body with up to two numbers that differ between lines.

A cut decides nothing. What stands between the numbers is read by the grammar (`_shapes`), and a line that is cut in the
wrong place is found out there.
"""

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
        self.kind[rows] = kind
        self.start[rows] = start
        self.end[rows] = end
        self.value[rows] = value.astype(np.uint64)


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


def _first_in(positions: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The first of the ascending positions in each span: the numbers of the spans that have one, and the positions."""
    index = np.searchsorted(positions, start)
    found = np.flatnonzero(index < len(positions))
    inside = positions[index[found]] < end[found]
    found = found[inside]
    return found, positions[index[found]]


def _times(chunk: Chunk) -> tuple[Ints, Ints, Ints, Ints]:
    """Times of six or nine decimals that end at a colon, the first of each line: line, where it starts, colon, ns."""
    colons = chunk.positions(":")
    bytes_before = chunk.bytes
    micro = bytes_before[colons - 7] == ord(".")
    nano = bytes_before[colons - 10] == ord(".")
    colons = colons[micro | nano]
    nano = bytes_before[colons - 7] != ord(".")
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
    line = np.searchsorted(chunk.line_ends, colons)
    found[1:] &= line[1:] != line[:-1]
    if not found.all():
        line, count, whole_end, colons, value = (each[found] for each in (line, count, whole_end, colons, value))
    return line, whole_end - count, colons, value


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


def _durations(chunk: Chunk, rows: Ints, bar: Ints, number: Number) -> None:
    """`14.572 us  |`: the number before the bar; it has fewer decimals the longer it is."""
    end = np.zeros_like(bar)
    for blanks in (1, 2, 3):
        end = np.where(chunk.has(bar - blanks - 3, " us" + " " * blanks + "|"), bar - blanks - 3, end)
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
    number = Number.none(head_end)
    end = head_end - chunk.blanks_before(head_end)
    with_cpu = (chunk.bytes[end - 1] == ord("]")) & (chunk.bytes[end - 5] == ord("["))
    end = np.where(with_cpu, end - 5, end)
    end -= chunk.blanks_before(end)
    value, count = chunk.number_before(end)
    good = np.flatnonzero((count > 0) & (count < 9) & (end - count > head))
    number.put(good, Kind.PID, end[good] - count[good], end[good], value[good])
    return number


def cut_trace_cmd(chunk: Chunk) -> Cuts:
    """`trace-cmd report`: `ssh-30928 [000] 3110612.717883: funcgraph_exit:       + 14.572 us  |    }`."""
    line, time_start, colon, time = _times(chunk)
    head, line_end = chunk.line_starts[line], chunk.line_ends[line]
    first, second = Number.none(line_end), Number.none(line_end)
    with_bar, bar = _first_in(chunk.positions("|"), colon, line_end)
    # of events, only those of function_graph have a bar right there
    graph = (bar - colon[with_bar] <= _FARTHEST_BAR) & chunk.has(colon[with_bar], ": funcgr")
    with_bar, bar = with_bar[graph], bar[graph]
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
