"""Which call was made in which: the lines of function_graph, nested by their depths, a column at a time.

The rows of a task are a walk up and down its stack. A row is right after another if it is at most one call deeper; then
the call around it is the last one entered at the depth above. Where that does not hold, calls are open whose beginning
the trace does not show: an entry is put in for each, so that afterwards it holds everywhere. An exit may tell later
what such a call was. What `nest` gives equals what a machine with a stack for each task gives, which is how the tests
check it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdiag.traces import NOT_TOLD, Phase, numbered

Ints = NDArray[np.int64]
Shorts = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: No call, in a column of indexes; no function, in a column of functions.
NONE = -1

#: The kernel gives each task room for 50 calls within each other, since 6.11 for some 340: no line is deeper than this.
DEEPEST = 512


@dataclass
class Rows:
    """Rows of a trace as columns of equal length.

    `task` is a number for each stack of calls: the thread, or the CPU for its idle task. `entered` and `left` are
    function numbers of the calls that a row enters and leaves. `seen_at` and `seen_on` are the number of the row in the
    trace and its CPU; what goes on from an earlier part of the trace has those of the last row of its task. `node` and
    `inner` are the place in the tree and the time of the calls within so far (ns) of such a call, `unseen` says that
    its entry was put in.
    """

    task: Shorts
    phase: NDArray[np.int8]
    depth: NDArray[np.int16]
    function: Shorts
    duration: Ints
    time: Ints
    line: Ints
    cpu: Shorts
    pid: Shorts
    seen_at: Ints
    seen_on: Shorts
    node: Shorts
    inner: Ints
    unseen: Flags

    def __len__(self) -> int:
        return len(self.task)

    def take(self, index: Any) -> "Rows":
        return Rows(**{column.name: getattr(self, column.name)[index] for column in fields(self)})

    @classmethod
    def joined(cls, parts: "Iterable[Rows]") -> "Rows":
        every = list(parts)
        return cls(
            **{column.name: np.concatenate([getattr(part, column.name) for part in every]) for column in fields(cls)}
        )

    @classmethod
    def none(cls) -> "Rows":
        short = dict.fromkeys(("task", "function", "cpu", "pid", "seen_on", "node"), np.int32)
        kinds = {"phase": np.int8, "depth": np.int16, "unseen": np.bool_, **short}
        return cls(**{column.name: np.empty(0, kinds.get(column.name, np.int64)) for column in fields(cls)})


class Losses:
    """Where events are missing: by the number of the row before which, and on which CPU."""

    def __init__(self) -> None:
        self._places: Ints = np.empty(0, dtype=np.int64)
        self._by_cpu: Ints = np.empty(0, dtype=np.int64)

    def add(self, places: Ints, cpus: Ints) -> None:
        """More of them, behind those that are known; a CPU may be NOT_TOLD."""
        self._places = np.concatenate([self._places, places])
        self._by_cpu = np.sort(np.concatenate([self._by_cpu, _on_cpu(cpus, places)]))

    def __bool__(self) -> bool:
        return bool(len(self._places))

    def between(self, rows: Rows) -> Flags:
        """For each row but the first whether events were lost since the row before it, on the CPU of either.

        A loss that names no CPU, and one beside a row that names none, may have been on any.
        """
        before = np.searchsorted(self._places, rows.seen_at, side="right")
        lost: Flags = before[1:] > before[:-1]  # on whichever CPU: these are few
        some = np.flatnonzero(lost)
        first, last, on, then_on = (
            rows.seen_at[some],
            rows.seen_at[some + 1],
            rows.seen_on[some],
            rows.seen_on[some + 1],
        )
        here = (on == NOT_TOLD) | (then_on == NOT_TOLD)
        for cpu in (on, then_on, np.full_like(on, NOT_TOLD)):
            here |= _any_within(self._by_cpu, _on_cpu(cpu, first), _on_cpu(cpu, last))
        lost[some] = here
        return lost


def _on_cpu(cpu: Ints | Shorts, place: Ints) -> Ints:
    """One number for both, sorted by CPU first."""
    return ((cpu.astype(np.int64) - NOT_TOLD) << 44) + place


def _any_within(places: Ints, first: Ints, last: Ints) -> Flags:
    """For each pair whether there is a place after `first` and not after `last`."""
    found: Flags = np.searchsorted(places, last, side="right") > np.searchsorted(places, first, side="right")
    return found


@dataclass
class Nesting:
    """Rows in the order of their tasks, with the entries that were put in, and how they belong together.

    Indexes are those of the rows. `parent` is the call around the call of a row, NONE when it is the outermost.
    `exit` is the row that ends the call of an entry. A call is `open` when its task may still be in it after the last
    row. `interrupting` calls were not made by the call around them: an interrupt came in. `levels` has the rows by
    depth, those of a depth in their order, `starts` where each depth begins there.
    """

    rows: Rows
    parent: Ints
    exit: Ints
    open: Flags
    interrupting: Flags
    entered_at: Ints  # markers of interrupts that are still going on
    levels: Ints
    starts: list[int]

    def level(self, depth: int) -> Ints:
        return self.levels[self.starts[depth] : self.starts[depth + 1]]

    @property
    def is_call(self) -> Flags:
        return is_one_of(self.rows.phase, (Phase.ENTRY, Phase.LEAF))


def is_one_of(phase: NDArray[np.int8], kinds: Sequence[Phase]) -> Flags:
    """As `np.isin`, and for so few kinds many times as fast."""
    found: Flags = np.logical_or.reduce([phase == kind for kind in kinds])
    return found


def nest(rows: Rows, losses: Losses, most: int) -> Nesting | None:
    """How the rows nest; they stand in the order of the trace, with what goes on from before in front.

    None when more than `most` entries would have to be put in: then give fewer rows at a time.
    """
    rows = rows.take(_by_task(rows.task))
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = rows.task[1:] != rows.task[:-1]
    last_of_task = np.append(begins[1:], True)
    if losses:
        begins[1:] |= losses.between(rows)
    walk = _walk(rows, begins)
    if walk.missing.sum() > most:
        return None
    rows, begins, last_of_task = _filled(rows, begins, last_of_task, walk)
    depth = rows.depth
    levels = np.argsort(depth, kind="stable")
    sizes = np.bincount(depth, minlength=1) if len(rows) else np.zeros(1, dtype=np.int64)
    starts = [0, *np.cumsum(sizes).tolist()]

    # the first call within another stands right below its entry, and the others of that depth follow
    parent = np.full(len(rows), NONE, dtype=np.int64)
    if len(rows):
        first = np.zeros(len(rows), dtype=bool)
        first[1:] = (rows.phase[:-1] == Phase.ENTRY) & (depth[1:] == depth[:-1] + 1) & ~begins[1:]
        # by level, those of a deeper one always higher, so that the highest so far is of the same level
        offset = (depth[levels].astype(np.int64) + 1) * (len(rows) + 1)
        known = np.where(first[levels], levels + offset - 1, np.where(depth[levels] == 0, offset - 1, 0))
        parent[levels] = np.maximum.accumulate(known) - offset
    before = np.full(len(rows), NONE, dtype=np.int64)  # the row before it at the same depth
    before[levels[1:]] = levels[:-1]
    exits = np.flatnonzero(rows.phase == Phase.EXIT)
    exit_of = np.full(len(rows), NONE, dtype=np.int64)
    exit_of[before[exits]] = exits
    still_open = _open(rows, begins, last_of_task) & (rows.phase == Phase.ENTRY) & (exit_of == NONE)
    interrupting, entered_at = _interrupts(rows, begins, last_of_task, parent, levels, still_open)
    return Nesting(rows, parent, exit_of, still_open, interrupting, entered_at, levels, starts)


def _by_task(task: Shorts) -> Ints:
    numbers = numbered(task)[0]
    few = numbers.astype(np.uint16) if len(numbers) and numbers.max() < 2**16 else numbers  # sorted by radix
    order: Ints = np.argsort(few, kind="stable")
    return order


@dataclass
class _Walk:
    """For each row the depth of the deepest open call before it, and how many calls around it must be put in."""

    top: Ints
    missing: Ints


def _walk(rows: Rows, begins: Flags) -> _Walk:
    phase, depth = rows.phase, rows.depth.astype(np.int64)
    marker = (phase == Phase.INTERRUPT_ENTERS) | (phase == Phase.INTERRUPT_LEAVES)
    after = np.where(phase == Phase.ENTRY, depth, depth - 1)
    top = np.full(len(rows), NONE, dtype=np.int64)
    if marker.any():
        # a marker changes nothing: what is open after it was open before, and it is as deep as a call that comes next
        places = np.arange(len(rows))
        known = np.where(marker, np.where(begins, places, -1), places)
        source = np.maximum.accumulate(known)
        after = np.where(marker[source], NONE, after[source])
    top[1:] = after[:-1]
    top[begins] = NONE
    rows.depth = np.where(marker, top + 1, depth).astype(np.int16)
    most = np.where(phase == Phase.EXIT, top, top + 1)
    return _Walk(top, np.maximum(rows.depth - most, 0))


def _filled(rows: Rows, begins: Flags, last_of_task: Flags, walk: _Walk) -> tuple[Rows, Flags, Flags]:
    """The rows with an entry of no known function for each open call that none enters."""
    if not walk.missing.any():
        return rows, begins, last_of_task
    source = np.repeat(np.arange(len(rows)), walk.missing + 1)
    place = np.arange(len(source)) - (np.cumsum(walk.missing + 1) - walk.missing - 1)[source]
    put_in = place < walk.missing[source]
    filled = rows.take(source)
    filled.phase[put_in] = Phase.ENTRY
    filled.depth[put_in] = (walk.top[source] + 1 + place)[put_in]
    filled.unseen[put_in] = True
    for column, value in (("function", NONE), ("time", NOT_TOLD), ("duration", NOT_TOLD), ("node", NONE), ("inner", 0)):
        getattr(filled, column)[put_in] = value
    return filled, begins[source] & (place == 0), last_of_task[source] & ~put_in


def _open(rows: Rows, begins: Flags, last_of_task: Flags) -> Flags:
    """Whether no later row of the same stretch is as deep or less deep: nothing ended the call of an entry.

    A stretch that another one of the same task follows is over.
    """
    if not len(rows):
        return np.zeros(0, dtype=bool)
    stretch = np.cumsum(begins)
    value = rows.depth + stretch * (DEEPEST + 1)
    least = np.minimum.accumulate(value[::-1])[::-1]
    later = np.full(len(rows), np.iinfo(np.int64).max)
    later[:-1] = np.where(begins[1:], later[:-1], least[1:])
    goes_on = np.zeros(int(stretch[-1]) + 1, dtype=bool)
    goes_on[stretch[last_of_task]] = True
    kept: Flags = goes_on[stretch] & (later > value)
    return kept


def _interrupts(
    rows: Rows, begins: Flags, last_of_task: Flags, parent: Ints, levels: Ints, still_open: Flags
) -> tuple[Flags, Ints]:
    """Which calls came by an interrupt, and the markers of interrupts that are not over at the end."""
    enters = rows.phase == Phase.INTERRUPT_ENTERS
    markers = enters | (rows.phase == Phase.INTERRUPT_LEAVES)
    interrupting = np.zeros(len(rows), dtype=bool)
    if not markers.any():
        return interrupting, np.empty(0, dtype=np.int64)
    stretch = np.cumsum(begins)
    last = np.maximum.accumulate(np.where(markers[levels], np.arange(len(rows)), -1))
    marker = levels[np.maximum(last, 0)]
    same = (last >= 0) & (parent[marker] == parent[levels]) & (stretch[marker] == stretch[levels])
    interrupting[levels] = same & enters[marker]
    # of the markers within one call the last one tells how it ended
    ordered = levels[markers[levels]]
    final = np.ones(len(ordered), dtype=bool)
    final[:-1] = (parent[ordered[1:]] != parent[ordered[:-1]]) | (stretch[ordered[1:]] != stretch[ordered[:-1]])
    ordered = np.sort(ordered[final & enters[ordered]])
    goes_on = np.zeros(int(stretch[-1]) + 1, dtype=bool)
    goes_on[stretch[last_of_task]] = True
    inside = np.where(parent[ordered] >= 0, still_open[parent[ordered]], goes_on[stretch[ordered]])
    return interrupting, ordered[inside]
