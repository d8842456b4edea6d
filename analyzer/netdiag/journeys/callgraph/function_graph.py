"""function_graph lines to a call tree, a part of the trace at a time, so that any length fits into memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netdiag.journeys.callgraph.growing import Growing, Names
from netdiag.journeys.callgraph.nesting import DEEPEST, NONE, Flags, Ints, Losses, Nesting, Rows, is_one_of, nest
from netdiag.journeys.callgraph.only import Only
from netdiag.journeys.callgraph.tree import INTERRUPT, ROOT, UNKNOWN, CallTree
from netdiag.traces import NOT_TOLD, Columns, Phase, numbered

#: Rows that are nested at a time: some 60 MB while it lasts.
_AT_A_TIME = 1 << 18
_MOST_PUT_IN = 4 * _AT_A_TIME

_CALLS = (Phase.ENTRY, Phase.EXIT, Phase.LEAF)
_INTERRUPTS = (Phase.INTERRUPT_ENTERS, Phase.INTERRUPT_LEAVES)


@dataclass(frozen=True, eq=False)
class Calls:
    """Calls that ended, as columns of equal length: for exports. Times are in ns, NOT_TOLD where the trace has none."""

    function: NDArray[np.int32]  # numbers of `names`
    names: list[str]
    start: NDArray[np.int64]
    duration: NDArray[np.int64]
    whole: NDArray[np.bool_]
    pid: NDArray[np.int32]
    cpu: NDArray[np.int32]
    line: NDArray[np.int64]
    tasks: Mapping[int, str]  # the names of the threads, so far as they are known


def running_at_first(batches: Iterable[Columns]) -> dict[int, tuple[int, str]]:
    """By CPU the thread, and its name, that runs before the first switch: the trace of tracefs tells it only there."""
    found: dict[int, tuple[int, str]] = {}
    for batch in batches:
        switches = np.flatnonzero(batch["phase"] == Phase.SWITCH)
        _, first = np.unique(batch["cpu"][switches], return_index=True)
        for cpu, pid, task in zip(*map(batch.take(switches[first]).values, ("cpu", "pid", "task")), strict=True):
            found.setdefault(cpu, (pid, task))
    return found


class FunctionGraph:
    """Grows a call tree from batches of calls (`TraceTable.call_batches`), in order.

    Each task has its own stack, the idle task one for each CPU. Nothing is joined across a loss: see `Losses.between`.
    A call without its end, and one without its beginning, is cut: its time is that of the calls that were seen in it,
    so that no time is counted twice. A call takes at least as long as the calls within it, as the tools cut the digits
    of long durations. Interrupts stand below the call that they interrupted, in a node of their own. `running` is what
    the CPUs run at first (see `running_at_first`), `receive` gets the calls that ended, a part of the trace at a time.
    """

    def __init__(
        self,
        only: Only | None = None,
        running: Mapping[int, tuple[int, str]] | None = None,
        receive: Callable[[Calls], None] | None = None,
    ) -> None:
        self._only = only or Only()
        self._receive = receive
        self._names = Names()
        self._interrupt, self._unknown = (self._names.number(name) for name in (INTERRUPT, UNKNOWN))
        self._growing = Growing("ns", self._names)
        self._losses = Losses()
        self._running = {cpu: (pid, self._names.number(task)) for cpu, (pid, task) in (running or {}).items()}
        self._seen = 0
        self._waiting: list[Rows] = []
        self._going_on = Rows.none()
        self.tasks: dict[int, str] = {}
        self.too_deep = 0

    def add(self, batch: Columns) -> None:
        self._waiting.append(self._rows(batch))
        if sum(map(len, self._waiting)) >= _AT_A_TIME:
            self._use()

    def finish(self, *, within: str | None = None) -> CallTree:
        """The tree; calls that have not ended are cut."""
        self._use()
        self._nest([], at_the_end=True)
        self._going_on = Rows.none()
        return self._growing.tree(within=within)

    # --- reading the columns ---

    def _rows(self, batch: Columns) -> Rows:
        phase = batch["phase"]
        cpu = batch["cpu"].astype(np.int64)
        place = self._seen + np.arange(len(batch), dtype=np.int64)
        self._seen += len(batch)
        lost = phase == Phase.LOST
        self._losses.add(place[lost], cpu[lost])
        pid, task = self._tasks_of(batch, phase, cpu)
        depth = batch["depth"]
        wanted = is_one_of(phase, _CALLS)
        deep = wanted & ((depth >= DEEPEST) | (depth < 0))
        self.too_deep += int(deep.sum())
        wanted &= ~deep
        wanted |= is_one_of(phase, _INTERRUPTS)
        time = batch["time"]
        wanted &= self._selected(pid, task, time)
        rows = Rows(
            task=_stack_of(pid, cpu).astype(np.int32),
            phase=phase,
            depth=depth.astype(np.int16),
            function=self._names.of(batch, "function", empty=NONE).astype(np.int32),
            duration=batch["duration"],
            time=time,
            line=batch["line"],
            cpu=cpu.astype(np.int32),
            pid=pid.astype(np.int32),
            seen_at=place,
            seen_on=cpu.astype(np.int32),
            node=np.full(len(batch), NONE, dtype=np.int32),
            inner=np.zeros(len(batch), dtype=np.int64),
            unseen=np.zeros(len(batch), dtype=bool),
        )
        return rows if wanted.all() else rows.take(wanted)

    def _tasks_of(self, batch: Columns, phase: NDArray[np.int8], cpu: Ints) -> tuple[Ints, Ints]:
        """The thread of each row and the number of its name, by its CPU's last switch where the row does not tell."""
        task = self._names.of(batch, "task", empty=NONE)
        pid = batch["pid"].astype(np.int64)
        switch = phase == Phase.SWITCH
        untold = is_one_of(phase, _CALLS + _INTERRUPTS) & (pid == NOT_TOLD)
        if untold.any() or switch.any():
            next_task = self._names.of(batch, "next_task", empty=NONE)
            told = _told_by_switches(cpu, switch, (batch["next_pid"], next_task), self._running)
            pid[untold], task[untold] = told[0][untold], told[1][untold]
        self._learn(pid, task)
        return pid, task

    def _learn(self, pid: Ints, task: Ints) -> None:
        both = numbered((pid << 32 | task)[(pid != NOT_TOLD) & (task != NONE)])[1].tolist()
        self.tasks |= {each >> 32: self._names.all[each & 0xFFFFFFFF] for each in both}

    def _selected(self, pid: Ints, task: Ints, time: Ints) -> Flags:
        only = self._only
        kept = only.at(time)
        if only.pids:
            kept &= np.isin(pid, [*only.pids])
        if only.tasks:
            kept &= np.isin(task, [self._names.number(name) for name in only.tasks])
        if only.devices:  # no call tells one
            kept[:] = False
        return kept

    # --- nesting and counting ---

    def _use(self) -> None:
        """Nests the rows that wait, so many at a time."""
        parts: list[Rows] = []
        for rows in self._waiting:
            start = 0
            while start < len(rows):
                room = _AT_A_TIME - sum(map(len, parts))
                parts.append(rows.take(slice(start, start + room)))
                start += room
                if sum(map(len, parts)) >= _AT_A_TIME:
                    self._nest(parts)
                    parts = []
        self._nest(parts)
        self._waiting = []

    def _nest(self, parts: Sequence[Rows], *, at_the_end: bool = False) -> None:
        nesting = nest(Rows.joined([self._going_on, *parts]), self._losses, _MOST_PUT_IN)
        if nesting is None:
            rows = Rows.joined(parts)
            half = len(rows) // 2
            self._nest([rows.take(slice(None, half))])
            self._nest([rows.take(slice(half, None))], at_the_end=at_the_end)
            return
        if at_the_end:
            nesting.open[:] = False
        self._count(nesting)
        self._going_on = _going_on(nesting)

    def _count(self, nesting: Nesting) -> None:
        rows, growing = nesting.rows, self._growing
        calls = nesting.is_call
        exits = nesting.exit
        ended = calls & (exits != NONE)
        # an exit that names another function is that of a call whose entry is missing
        named = np.where(ended, rows.function[exits], NONE)
        other = ended & (named != NONE) & ~rows.unseen & (named != rows.function)
        duration = np.where(rows.phase == Phase.LEAF, rows.duration, NOT_TOLD)
        duration[ended] = _durations(rows, ended, exits)
        whole = calls & (duration != NOT_TOLD) & ~rows.unseen & ~other
        total = _totals(nesting, duration, whole)
        named[ended & rows.unseen & (named == NONE)] = self._unknown
        above = self._place(nesting, named)

        closed = calls & ~nesting.open
        told = closed & rows.unseen & (named != NONE)
        growing.name(rows.node[told], named[told])
        is_node = closed & (~rows.unseen | (named != NONE))
        growing.whole(rows.node[whole], total[whole])
        cut = is_node & ~whole
        growing.cut(rows.node[cut], total[cut])
        by_interrupt = closed & nesting.interrupting
        if by_interrupt.any():
            growing.whole(above[by_interrupt & whole], total[by_interrupt & whole])
            growing.cut(above[by_interrupt & cut], total[by_interrupt & cut])
            nameless = by_interrupt & ~whole & ~cut
            growing.time(above[nameless], total[nameless])
        if other.any():
            missing = growing.children(above[other], named[other])
            growing.cut(missing, np.zeros(len(missing), dtype=np.int64))
            around = above[other & nesting.interrupting]
            growing.cut(around, np.zeros(len(around), dtype=np.int64))
        if self._receive:
            self._receive(self._ended(rows, total, duration, is_node, whole))

    def _place(self, nesting: Nesting, named: Ints) -> Ints:
        """Gives each call its node, and says which node is above it."""
        rows, growing = nesting.rows, self._growing
        calls = nesting.is_call
        above = np.full(len(rows), ROOT, dtype=np.int64)
        old = calls & (rows.node != NONE)
        above[old] = growing.parents_of(rows.node[old])
        for depth in range(len(nesting.starts) - 1):
            new = nesting.level(depth)
            new = new[calls[new] & (rows.node[new] == NONE)]
            if not len(new):
                continue
            if depth:
                above[new] = rows.node[nesting.parent[new]]
            inside = new[nesting.interrupting[new]]
            if len(inside):
                above[inside] = growing.children(above[inside], np.full(len(inside), self._interrupt), depth)
            unseen = rows.unseen[new]
            function = np.where(unseen, named[new], rows.function[new])
            known = new[function != NONE]
            rows.node[known] = growing.children(above[known], function[function != NONE], depth)
            nameless = new[function == NONE]
            waits = nesting.open[nameless]
            rows.node[nameless[~waits]] = above[nameless[~waits]]
            if waits.any():
                rows.node[nameless[waits]] = growing.unnamed(above[nameless[waits]])
        return above

    def _ended(self, rows: Rows, total: Ints, duration: Ints, ended: Flags, whole: Flags) -> Calls:
        kept = ended & ~rows.unseen
        return Calls(
            function=rows.function[kept],
            names=self._names.all,
            start=rows.time[kept],
            duration=np.where(whole, duration, total)[kept],
            whole=whole[kept],
            pid=rows.pid[kept],
            cpu=rows.cpu[kept],
            line=rows.line[kept],
            tasks=self.tasks,
        )


def _stack_of(pid: Ints, cpu: Ints) -> Ints:
    """The stack of calls that a row belongs to: each thread has one, but the idle task has one on each CPU."""
    of_cpu = -2 - (cpu - NOT_TOLD)
    found: Ints = np.where(pid > 0, pid, np.where(pid == 0, of_cpu, of_cpu - (1 << 20)))
    return found


def _told_by_switches(
    cpu: Ints, switch: Flags, after: tuple[Ints, Ints], running: dict[int, tuple[int, int]]
) -> tuple[Ints, Ints]:
    """By the last switch on each row's CPU, and at first `running`, which is kept for the next batch: pid and task."""
    order = np.argsort(cpu, kind="stable")
    starts = np.flatnonzero(np.append(True, cpu[order][1:] != cpu[order][:-1]))
    sizes = np.diff(np.append(starts, len(order)))
    last = np.maximum.accumulate(np.where(switch[order], np.arange(len(order)), -1))
    before = np.empty((2, len(starts)), dtype=np.int64)
    for group, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        number = int(cpu[order[start]])
        before[:, group] = running.get(number, (NOT_TOLD, NONE))
        final = last[start + size - 1]
        if final >= start:
            running[number] = (int(after[0][order[final]]), int(after[1][order[final]]))
    told = last >= np.repeat(starts, sizes)
    source = order[np.maximum(last, 0)]
    found = np.empty((2, len(order)), dtype=np.int64)
    for row in range(2):
        found[row, order] = np.where(told, after[row][source], np.repeat(before[row], sizes))
    return found[0], found[1]


def _durations(rows: Rows, ended: Flags, exits: Ints) -> Ints:
    """How long the calls took that ended: as printed, else by the clock."""
    exit_of = exits[ended]
    printed = rows.duration[exit_of]
    begin, end = rows.time[ended], rows.time[exit_of]
    by_clock = np.where((begin != NOT_TOLD) & (end != NOT_TOLD), np.maximum(end - begin, 0), NOT_TOLD)
    found: Ints = np.where(printed != NOT_TOLD, printed, by_clock)
    return found


def _totals(nesting: Nesting, duration: Ints, whole: Flags) -> Ints:
    """The time of each call that is over. Each adds to the call around it, which may go on."""
    rows = nesting.rows
    calls = nesting.is_call
    total = np.zeros(len(rows), dtype=np.int64)
    for depth in range(len(nesting.starts) - 2, -1, -1):
        level = nesting.level(depth)
        level = level[calls[level]]
        over = level[~nesting.open[level]]
        if not len(over):
            continue
        total[over] = np.where(whole[over], np.maximum(duration[over], rows.inner[over]), rows.inner[over])
        if depth:
            around = nesting.parent[over]
            starts = np.flatnonzero(np.append(True, around[1:] != around[:-1]))
            rows.inner[around[starts]] += np.add.reduceat(total[over], starts)
    return total


def _going_on(nesting: Nesting) -> Rows:
    """The calls that are open, and the interrupts, as the rows with which the next part of the trace begins."""
    index = np.sort(np.concatenate([np.flatnonzero(nesting.open), nesting.entered_at]))
    rows = nesting.rows
    kept = rows.take(index)
    if len(kept):
        # of each the last row of its task
        ends = np.flatnonzero(np.append(rows.task[1:] != rows.task[:-1], True))
        last = ends[np.searchsorted(ends, index)]
        kept.seen_at, kept.seen_on = rows.seen_at[last], rows.seen_on[last]
    return kept
