"""Call trees of function_graph: against a plain stack machine, and against what was really called."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path as File
from random import Random
from typing import Any

import numpy as np
import pytest

from netdiag import formats
from netdiag.journeys.callgraph import (
    FUNCTION_GRAPH,
    INTERRUPT,
    OTHERS,
    UNKNOWN,
    CallTree,
    Only,
    call_graphs,
    function_graph,
    growing,
)
from netdiag.journeys.callgraph.function_graph import FunctionGraph, running_at_first
from netdiag.spans import Source
from netdiag.traces import NOT_TOLD, Columns, Phase, TraceTable, table_of
from netdiag.traces.table import CALL_COLUMNS

SAMPLES = File(__file__).parents[2] / "samples" / "formats"

Path = tuple[str, ...]
Row = dict[str, Any]


def batches_of(rows: list[Row], cuts: list[int]) -> list[Columns]:
    """The rows as batches whose categories grow, as those of a trace do."""
    made = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        columns: dict[str, np.ndarray[Any, Any]] = {}
        texts: dict[str, list[str]] = {}
        for name, kind in CALL_COLUMNS.items():
            values = [row.get(name, "" if kind == "category" else NOT_TOLD) for row in rows[:end]]
            if kind == "category":
                texts[name] = list(dict.fromkeys(["", *values]))
                columns[name] = np.array([texts[name].index(text) for text in values[start:]], np.int32)
            else:
                columns[name] = np.array(values[start:], kind)
        made.append(Columns(tuple(columns), texts, end - start, columns.__getitem__))
    return made


def tree_of(rows: list[Row], cuts: list[int] | None = None, only: Only | None = None) -> CallTree:
    batches = batches_of(rows, cuts or [])
    graph = FunctionGraph(only, running=running_at_first(batches))
    for batch in batches:
        graph.add(batch)
    return graph.finish()


def shape(tree: CallTree) -> dict[Path, tuple[int, int, int, int, int | None, int | None, int | None]]:
    """Everything that the tree says, by path."""
    return {
        tree.path(index): (node.calls, node.cut, node.total, node.own, node.least, node.median, node.p99)
        for index, node in tree.nodes()
    }


# --- the stack machine: the meaning of a trace, a row at a time ---


@dataclass
class Call:
    """A call on the stack. `name` is None as long as nothing told it."""

    name: str | None
    around: "Call | None"
    interrupting: bool = False
    seen: bool = True
    time: int = NOT_TOLD
    inner: int = 0
    in_interrupt: bool = False
    whole: list[tuple["Call", int]] = field(default_factory=list)

    def path(self) -> Path:
        above = self.around.path() if self.around else ()
        if self.interrupting:
            above = (*above, INTERRUPT)
        return above if self.name is None else (*above, self.name)


@dataclass
class Stack:
    calls: list[Call] = field(default_factory=list)
    in_interrupt: bool = False
    row: int = NOT_TOLD
    cpu: int = NOT_TOLD


class StackMachine:
    """Reads rows in order, with a stack for each task."""

    def __init__(self) -> None:
        self.stacks: dict[tuple[str, int], Stack] = {}
        self.running: dict[int, int] = {}
        self.losses: list[tuple[int, int]] = []
        self.ended: list[tuple[Call, int, bool]] = []

    def read(self, rows: list[Row]) -> None:
        for cpu in {row["cpu"] for row in rows}:
            first = next((row for row in rows if row["phase"] == Phase.SWITCH and row["cpu"] == cpu), None)
            if first:
                self.running[cpu] = first["pid"]
        for number, row in enumerate(rows):
            self._read(number, row)
        for stack in self.stacks.values():
            self._close(stack, 0)

    def _read(self, number: int, row: Row) -> None:
        cpu = row["cpu"]
        if row["phase"] == Phase.LOST:
            self.losses.append((number, cpu))
            return
        if row["phase"] == Phase.SWITCH:
            self.running[cpu] = row["next_pid"]
            return
        pid = row["pid"] if row["pid"] != NOT_TOLD else self.running.get(cpu, NOT_TOLD)
        stack = self.stacks.setdefault(("task", pid) if pid > 0 else (f"cpu with {pid}", cpu), Stack())
        near = (cpu, stack.cpu)
        if any(stack.row < lost and (on in (*near, NOT_TOLD) or NOT_TOLD in near) for lost, on in self.losses):
            self._close(stack, 0)
            stack.in_interrupt = False
        stack.row, stack.cpu = number, cpu
        depth = row.get("depth", NOT_TOLD)
        match row["phase"]:
            case Phase.INTERRUPT_ENTERS | Phase.INTERRUPT_LEAVES:
                (stack.calls[-1] if stack.calls else stack).in_interrupt = row["phase"] == Phase.INTERRUPT_ENTERS
            case Phase.ENTRY:
                self._enter(stack, depth, row)
            case Phase.LEAF:
                self._enter(stack, depth, row)
                self._end(stack, stack.calls.pop(), row["duration"])
            case Phase.EXIT:
                self._exit(stack, depth, row)

    def _enter(self, stack: Stack, depth: int, row: Row) -> None:
        self._close(stack, depth)
        while len(stack.calls) < depth:
            self._push(stack, Call(None, None, seen=False))
        self._push(stack, Call(row["function"], None, time=row.get("time", NOT_TOLD)))

    def _push(self, stack: Stack, call: Call) -> None:
        call.around = stack.calls[-1] if stack.calls else None
        call.interrupting = (call.around or stack).in_interrupt
        stack.calls.append(call)

    def _exit(self, stack: Stack, depth: int, row: Row) -> None:
        self._close(stack, depth + 1)
        while len(stack.calls) <= depth:
            self._push(stack, Call(None, None, seen=False))
        call = stack.calls.pop()
        named = row.get("function", "")
        if not call.seen:
            call.name = named or UNKNOWN
            self._end(stack, call, NOT_TOLD)
        elif named and named != call.name:
            self._end(stack, call, NOT_TOLD)
            self.ended.append((Call(named, call.around, call.interrupting), 0, False))
        else:
            took = row.get("duration", NOT_TOLD)
            if took == NOT_TOLD and NOT_TOLD not in (call.time, row.get("time", NOT_TOLD)):
                took = max(row["time"] - call.time, 0)
            self._end(stack, call, took)

    def _close(self, stack: Stack, depth: int) -> None:
        while len(stack.calls) > depth:
            self._end(stack, stack.calls.pop(), NOT_TOLD)

    def _end(self, stack: Stack, call: Call, took: int) -> None:
        whole = call.seen and took != NOT_TOLD
        total = max(took, call.inner) if whole else call.inner
        self.ended.append((call, total, whole))
        if call.around:
            call.around.inner += total

    def shape(self) -> dict[Path, tuple[int, int, int, int, int | None, int | None, int | None]]:
        took: dict[Path, list[int]] = {}
        cut: Counter[Path] = Counter()
        total: Counter[Path] = Counter()
        for call, time, whole in self.ended:
            path = call.path()
            places = [path] if call.name is not None else []
            if call.interrupting:
                interrupt = path[:-1] if call.name is not None else path
                total[interrupt] += time if call.name is None else 0
                cut[interrupt] += 0
                places += [interrupt] if call.name is not None else []
            for place in places:
                total[place] += time
                if whole:
                    took.setdefault(place, []).append(time)
                else:
                    cut[place] += 1
        shown = {}
        for path in {*took, *cut}:
            times = sorted(took.get(path, []))
            inner = sum(total[below] for below in total if below[:-1] == path and below)
            ranks = (times[0], times[(len(times) - 1) // 2], times[-(-len(times) * 99 // 100) - 1]) if times else ()
            least, median, p99 = ranks or (None, None, None)
            shown[path] = (len(times), cut[path], total[path], total[path] - inner, least, median, p99)
        return shown


# --- traces with known truth ---


class Machine:
    """Runs random calls of some tasks on some CPUs, and writes what function_graph would print of them."""

    def __init__(self, random: Random, *, cpus: int = 2, tasks: int = 3, steps: int = 100) -> None:
        self.random = random
        self.rows: list[Row] = []
        self.truth: dict[Path, list[int]] = {}
        self.time = 1_000
        self.cpus = cpus
        self.stacks: dict[int, list[tuple[str, int, bool]]] = {100 + number: [] for number in range(tasks)}
        for _ in range(steps):
            self._step()
        for pid, stack in self.stacks.items():
            while stack:
                self._leave(pid)

    def _step(self) -> None:
        pid = self.random.choice([*self.stacks])
        stack = self.stacks[pid]
        what = self.random.random()
        if what < 0.4 and len(stack) < 8:
            self._enter(pid)
        elif what < 0.7 and stack:
            self._leave(pid)
        elif what < 0.75 and stack and len(stack) < 8:
            self._row(pid, phase=Phase.INTERRUPT_ENTERS)
            self._enter(pid, interrupting=True)
        else:
            took = self.random.randrange(1, 50)
            function = self.random.choice("abcd")
            self._row(pid, phase=Phase.LEAF, depth=len(stack), function=function, duration=took)
            self.time += took
            self.truth.setdefault((*self._path(pid), function), []).append(took)

    def _path(self, pid: int) -> Path:
        return tuple(
            name
            for function, _, interrupting in self.stacks[pid]
            for name in ([INTERRUPT, function] if interrupting else [function])
        )

    def _enter(self, pid: int, *, interrupting: bool = False) -> None:
        function = self.random.choice("abcd")
        self._row(pid, phase=Phase.ENTRY, depth=len(self.stacks[pid]), function=function)
        self.stacks[pid].append((function, self.time, interrupting))

    def _leave(self, pid: int) -> None:
        path = self._path(pid)
        function, since, interrupting = self.stacks[pid].pop()
        self.time += 1
        took = self.time - since
        named = self.random.choice(["", function])
        self._row(pid, phase=Phase.EXIT, depth=len(self.stacks[pid]), function=named, duration=took)
        self.truth.setdefault(path, []).append(took)
        if interrupting:
            self.truth.setdefault(path[:-1], []).append(took)
            self._row(pid, phase=Phase.INTERRUPT_LEAVES)

    def _row(self, pid: int, **values: Any) -> None:
        cpu = self.random.randrange(self.cpus)
        self.rows.append({"line": len(self.rows) + 1, "time": self.time, "pid": pid, "cpu": cpu, "task": "x"} | values)


def cuts_of(random: Random, rows: list[Row]) -> list[int]:
    return sorted(random.randrange(len(rows) + 1) for _ in range(random.randrange(4)))


@pytest.mark.parametrize("seed", range(8))
def test_a_whole_trace_gives_what_was_called(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    machine = Machine(random, cpus=random.randrange(1, 4), tasks=random.randrange(1, 5))
    monkeypatch.setattr(function_graph, "_AT_A_TIME", random.choice([3, 30, 10_000]))
    tree = tree_of(machine.rows, cuts_of(random, machine.rows))
    found = {tree.path(index): (node.calls, node.cut, node.total, node.least) for index, node in tree.nodes()}
    assert found == {path: (len(took), 0, sum(took), min(took)) for path, took in machine.truth.items()}
    assert (
        sum(node.own for _, node in tree.nodes())
        == tree.whole
        == sum(sum(took) for path, took in machine.truth.items() if len(path) == 1)
    )


def damaged(random: Random, rows: list[Row]) -> list[Row]:
    """What a real trace may look like: rows lost with and without notice, cut ends, odd depths, no pids."""
    kept: list[Row] = []
    losing = False
    for row in rows:
        if random.random() < 0.05:
            losing = not losing
            if not losing and random.random() < 0.7:
                kept.append({"line": row["line"], "cpu": random.choice([row["cpu"], NOT_TOLD, 0]), "phase": Phase.LOST})
        if losing and random.random() < 0.8:
            continue
        row = dict(row)  # noqa: PLW2901 - from here on the damaged one is meant
        if random.random() < 0.03 and "depth" in row:
            row["depth"] = random.randrange(12)
        if random.random() < 0.1:
            row["pid"] = random.choice([NOT_TOLD, NOT_TOLD, 0])
        if random.random() < 0.03:
            row["duration"] = NOT_TOLD
        if random.random() < 0.02:
            row["cpu"] = NOT_TOLD
        if random.random() < 0.03:
            row["function"] = random.choice("abcd")
        if random.random() < 0.05:
            pid, then = random.choice([0, 100, 101]), random.choice([0, 100, 101, 102])
            kept.append({"line": row["line"], "cpu": row["cpu"], "phase": Phase.SWITCH, "pid": pid, "next_pid": then})
        kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_trace_gives_what_the_stack_machine_gives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    rows = damaged(random, Machine(random, cpus=random.randrange(1, 4)).rows)
    machine = StackMachine()
    machine.read(rows)
    monkeypatch.setattr(function_graph, "_AT_A_TIME", random.choice([7, 40, 10_000]))
    tree = tree_of(rows, cuts_of(random, rows))
    assert shape(tree) == machine.shape()
    assert sum(node.own for _, node in tree.nodes()) == tree.whole
    assert min(node.own for _, node in tree.nodes()) >= 0


# --- single rules, on text ---


def read(name: str, text: str) -> TraceTable:
    return table_of(formats.get(name).read(Source("trace.txt", text)))


def graph_of(name: str, text: str, only: Only | None = None, within: str | None = None) -> CallTree:
    (graph,) = call_graphs(read(name, text), only, within=within)
    return graph.tree


def sample(path: str) -> str:
    return (SAMPLES / path).read_text(encoding="utf-8")


def test_the_seed_is_one_tree() -> None:
    tree = graph_of("trace_cmd_report", sample("trace_cmd_report/seed.txt"))
    assert [(node.name, node.total, node.own) for _, node in tree.nodes()][:3] == [
        ("dev_queue_xmit", 15_500, 928),
        ("__dev_queue_xmit", 14_572, 3_753),
        ("dev_hard_start_xmit", 7_956, 962),
    ]
    assert [index for index, node in tree.nodes() if node.depth == 0] == [1]
    assert tree.whole == int(tree.own[1:].sum()) == 15_500
    assert tree.path(tree.hottest(1)[0]) == ("dev_queue_xmit", "__dev_queue_xmit")


@pytest.mark.parametrize(
    "path",
    sorted(
        str(file.relative_to(SAMPLES))
        for kind in ("trace_cmd_report", "tracefs_trace")
        for file in SAMPLES.glob(f"{kind}/*.txt")
    ),
)
def test_real_traces_nest_as_the_stack_machine_nests_them(path: str) -> None:
    table = read(path.split("/", maxsplit=1)[0], sample(path))
    machine = StackMachine()
    machine.read(table.calls().astype(dict.fromkeys(["function", "task", "next_task"], object)).to_dict("records"))
    found = [shape(graph.tree) for graph in call_graphs(table) if graph.of == FUNCTION_GRAPH]
    assert found == [machine.shape()] * bool(machine.ended)


LOSS = """\
    a-1  [000] 1.000001: funcgraph_entry:               |  outer() {
    b-2  [001] 1.000002: funcgraph_entry:               |  other() {
    a-1  [000] 1.000003: funcgraph_entry:     1.000 us  |    before();
CPU:0 [EVENTS DROPPED]
    a-1  [000] 1.000005: funcgraph_entry:     2.000 us  |    after();
    a-1  [000] 1.000009: funcgraph_exit:      8.000 us  |  }
    b-2  [001] 1.000009: funcgraph_exit:      7.000 us  |  }
"""


def test_nothing_is_joined_across_a_loss_on_that_cpu() -> None:
    (graph,) = call_graphs(read("trace_cmd_report", LOSS))
    assert graph.lost == 1
    found = {graph.tree.path(index): (node.calls, node.cut, node.total) for index, node in graph.tree.nodes()}
    assert found == {
        ("other",): (1, 0, 7_000),
        ("outer",): (0, 1, 1_000),
        ("outer", "before"): (1, 0, 1_000),
        ("[unknown]",): (0, 1, 2_000),
        ("[unknown]", "after"): (1, 0, 2_000),
    }


def test_only_a_task_or_a_time_or_a_function() -> None:
    assert [*graph_of("trace_cmd_report", LOSS, Only(tasks=frozenset({"b"}))).calls[1:]] == [1]
    assert graph_of("trace_cmd_report", LOSS, Only(pids=frozenset({2}))).path(1) == ("other",)
    early = graph_of("trace_cmd_report", LOSS, Only(until=1_000_004_000))
    assert {early.path(index): node.cut for index, node in early.nodes()} == {
        ("outer",): 1,
        ("outer", "before"): 0,
        ("other",): 1,
    }
    within = graph_of("trace_cmd_report", sample("trace_cmd_report/seed.txt"), within="netif_rx")
    assert (within.path(1), within.whole) == (("netif_rx",), 4_093)
    assert call_graphs(read("trace_cmd_report", LOSS), within="absent") == ()


def test_a_call_takes_at_least_as_long_as_the_calls_within() -> None:
    text = """\
    a-1  [000] 1.000001: funcgraph_entry:               |  outer() {
    a-1  [000] 1.000003: funcgraph_entry:     ! 999.999 us  |    inner();
    a-1  [000] 1.001009: funcgraph_exit:      ! 999.9 us  |  }
"""
    tree = graph_of("trace_cmd_report", text)
    assert [(node.name, node.total, node.own) for _, node in tree.nodes()] == [
        ("outer", 999_999, 0),
        ("inner", 999_999, 999_999),
    ]


def test_median_and_percentile_are_durations_that_happened() -> None:
    rows = [
        {
            "line": number,
            "pid": 7,
            "cpu": 0,
            "phase": Phase.LEAF,
            "depth": 0,
            "function": "f",
            "duration": 1000 + number,
        }
        for number in range(1, 201)
    ]
    node = tree_of(rows, [50]).node(1)
    assert (node.calls, node.least, node.median, node.p99) == (200, 1001, 1100, 1198)


def test_a_line_deeper_than_the_kernel_goes_is_left_out() -> None:
    rows = [
        {"line": 1, "pid": 7, "cpu": 0, "phase": Phase.LEAF, "depth": depth, "function": "f", "duration": 1}
        for depth in (0, 600, -5, 511)
    ]
    graph = FunctionGraph()
    graph.add(batches_of(rows, [])[0])
    assert (int(graph.finish().calls.sum()), graph.too_deep) == (2, 2)


def test_paths_without_end_cost_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "MOST_NODES", 10)
    rows = [
        {"line": 1, "pid": 7, "cpu": 0, "phase": Phase.LEAF, "depth": 0, "function": f"f{number}", "duration": 5}
        for number in range(100)
    ]
    tree = tree_of(rows)
    assert (len(tree), tree.whole, tree.path(1), int(tree.calls[1])) == (10, 500, (OTHERS,), 91)


def test_stacks_of_the_seed_are_one_path_of_24_frames_that_begins_in_wget() -> None:
    tree = graph_of("perf_script", sample("perf_script/seed.txt"))
    last = len(tree)
    assert tree.path(last)[:3] == ("wget", "[wget]", "[wget]")
    assert (len(tree.path(last)), tree.path(last)[-1], tree.whole, tree.unit) == (
        25,
        "dev_hard_start_xmit",
        1,
        "samples",
    )
    assert tree.hottest(5) == [last]


def test_stacks_are_counted_by_event_and_task() -> None:
    text = """\
wget 7 [000] 1.000001: net:net_dev_xmit: dev=eth0 skbaddr=0x1 len=73 rc=0
    ffffffff81 inner+0x1 ([kernel.kallsyms])
    ffffffff82 outer+0x1 ([kernel.kallsyms])

wget 7 [000] 1.000002: net:net_dev_queue: dev=eth0 skbaddr=0x1 len=73
    ffffffff82 outer+0x1 ([kernel.kallsyms])

curl 8 [000] 1.000003: net:net_dev_xmit: dev=eth0 skbaddr=0x1 len=73 rc=0
    ffffffff82 outer+0x1 ([kernel.kallsyms])

wget 7 [000] 1.000004: net:net_dev_xmit: dev=eth0 skbaddr=0x1 len=73 rc=0
    ffffffff82 outer+0x2 ([kernel.kallsyms])
"""
    graphs = call_graphs(read("perf_script", text))
    assert [graph.of for graph in graphs] == ["net:net_dev_queue", "net:net_dev_xmit"]
    tree = graphs[1].tree
    assert {tree.path(index): (node.total, node.own) for index, node in tree.nodes()} == {
        ("wget",): (2, 0),
        ("wget", "outer"): (2, 1),
        ("wget", "outer", "inner"): (1, 1),
        ("curl",): (1, 0),
        ("curl", "outer"): (1, 1),
    }
    assert [graph.of for graph in call_graphs(read("perf_script", text), Only(pids=frozenset({8})))] == [
        "net:net_dev_xmit"
    ]
