"""Rows become a trace.dat, `trace-cmd report` prints it, netdiag reads that: the same rows come out again."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from trace_dat import Entry, Exit, Row, Xmit, trace_dat

from netdiag import formats
from netdiag.formats import Record
from netdiag.formats.records import FunctionCall, TraceEvent, TraceHead, TraceLoss
from netdiag.spans import Source

pytestmark = pytest.mark.skipif(not shutil.which("trace-cmd"), reason="needs trace-cmd")

TASKS = {7: "ping", 31: "kworker/u8:3", 1204: "tmux: server", 4194303: "runc:[2:INIT]", 88: "a-12 b", 0: "<idle>"}
FUNCTIONS = ["ip_rcv", "nf_hook_slow", "validate_xmit_skb.isra.105.part.106", "__dev_queue_xmit", "br_handle_frame"]
DEVICES = ["docker0", "veth7233136", "br-f975a4dce9f9", "eth0.100"]


class Clock:
    """Times that never come twice, on any CPU: trace-cmd merges the CPUs by them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.now = 3_110_612_000_000_000

    def tick(self) -> int:
        self.now += self._chance.choice([1, 90, 800, 15_000, 150_000, 2_000_000, 400_000_000])
        return self.now


def rows_of(chance: random.Random, clock: Clock, count: int) -> Iterator[tuple[int, Row]]:
    """Calls and events on three CPUs, mixed: each CPU has its own stack of calls that are still open."""
    open_calls: list[list[tuple[str, int]]] = [[], [], []]
    # a task is on one CPU at a time
    tasks = [list(TASKS)[cpu::3] for cpu in range(3)]
    pids = [chance.choice(own) for own in tasks]
    for _ in range(count):
        cpu = chance.randrange(3)
        calls = open_calls[cpu]
        time = clock.tick()
        lost = chance.choice([0] * 60 + [173])
        choice = chance.random()
        if choice < 0.45 and len(calls) < 20:
            function = chance.choice(FUNCTIONS)
            yield cpu, Entry(time, pids[cpu], function, len(calls), lost)
            calls.append((function, time))
        elif choice < 0.85 and calls:
            function, entered = calls.pop()
            yield cpu, Exit(time, pids[cpu], function, len(calls), time - entered, lost)
        else:
            skb, length, rc = chance.getrandbits(64) | 1, chance.randrange(1, 65536), chance.choice([0, 1, -105])
            yield cpu, Xmit(time, pids[cpu], chance.choice(DEVICES), skb, length, rc, lost)
        if chance.random() < 0.02:
            pids[cpu] = chance.choice(tasks[cpu])


def expected(cpus: list[list[Row]]) -> list[tuple[object, ...]]:
    """What the rows mean, in the order of the report.

    trace-cmd makes one line, a leaf, of an entry and the exit that is the very next row of all CPUs; that events were
    lost between the two is not printed then.
    """
    rows = sorted(((row, cpu) for cpu, rows in enumerate(cpus) for row in rows), key=lambda entry: entry[0].time)
    found: list[tuple[object, ...]] = []
    before: Row | None = None
    for (row, cpu), (following, _) in zip(rows, [*rows[1:], (None, 0)], strict=True):
        is_rest_of_leaf, before = is_leaf(before, row), row
        if is_rest_of_leaf:
            continue
        if row.lost:
            found.append(("lost", cpu, row.lost))
        head = (row.time, cpu, TASKS[row.pid], row.pid)
        if isinstance(row, Xmit):
            fields = {"dev": row.device, "skbaddr": f"{row.skbaddr:#x}", "len": str(row.length), "rc": str(row.rc)}
            found.append(("event", *head, fields))
        elif isinstance(row, Exit):
            found.append(("call", *head, "exit", None, row.depth, *duration_of(row)))
        elif isinstance(following, Exit) and is_leaf(row, following):
            found.append(("call", *head, "leaf", row.function, row.depth, *duration_of(following)))
        else:
            found.append(("call", *head, "entry", row.function, row.depth, None, None))
    return found


def duration_of(row: Exit) -> tuple[int, str | None]:
    """As printed, with its mark. The column has room for seven characters: long durations lose digits."""
    duration = row.duration if row.duration < 10**9 else row.duration // 1000 * 1000
    marks = [(10**9, "$"), (10**6, "#"), (10**5, "!"), (10**4, "+")]
    return duration, next((sign for least, sign in marks if row.duration > least), None)


def is_leaf(row: Row | None, following: Row) -> bool:
    return (
        isinstance(row, Entry)
        and isinstance(following, Exit)
        and (row.pid, row.function) == (following.pid, following.function)
    )


def actual(record: Record) -> tuple[object, ...]:
    match record:
        case TraceLoss():
            return ("lost", record.cpu, record.count)
        case TraceEvent():
            return ("event", record.time, record.cpu, record.task, record.pid, dict(record.fields))
        case FunctionCall():
            head = (record.time, record.cpu, record.task, record.pid)
            return ("call", *head, record.phase, record.function, record.depth, record.duration, record.mark)
    raise AssertionError(record)


def report(path: Path, *options: str) -> formats.Document:
    """What trace-cmd prints of the file, read by netdiag without an unread line."""
    printed = subprocess.run(
        ["trace-cmd", "report", *options, "-i", path], check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    document = formats.get("trace_cmd_report").read(Source("report.txt", printed.stdout))
    assert document.unread == ()
    return document


@pytest.fixture(params=range(5))
def trace(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[list[Row]]]:
    chance = random.Random(request.param)
    cpus: list[list[Row]] = [[], [], []]
    for cpu, row in rows_of(chance, Clock(chance), 1_500):
        cpus[cpu].append(row)
    path = tmp_path / "trace.dat"
    path.write_bytes(trace_dat(cpus, TASKS))
    return path, cpus


def test_the_rows_of_a_trace_come_out_as_they_went_in(trace: tuple[Path, list[list[Row]]]) -> None:
    path, cpus = trace
    head, *records = report(path, "-t").records
    assert isinstance(head, TraceHead)
    assert head.cpus == 3
    assert [actual(record) for record in records] == expected(cpus)


def test_the_raw_listing_tells_the_same_of_each_call_and_event(trace: tuple[Path, list[list[Row]]]) -> None:
    """`-R` prints fields instead of indents and folds no leaf: nesting and values by another way through trace-cmd."""
    path, _ = trace
    raw = [each for each in report(path, "-R", "-t").records if isinstance(each, TraceEvent)]
    entries = [
        (each.time, each.cpu, each.task, each.pid, each.fields["func"], int(each.fields["depth"]))
        for each in raw
        if each.name == "funcgraph_entry"
    ]
    events = [
        (each.time, each.fields["name"], each.fields["skbaddr"], each.fields["len"], each.fields["rc"])
        for each in raw
        if each.name == "net_dev_xmit"
    ]
    records = report(path, "-t").records
    calls = [each for each in records if isinstance(each, FunctionCall)]
    assert [
        (each.time, each.cpu, each.task, each.pid, each.function, each.depth) for each in calls if each.phase != "exit"
    ] == entries
    assert [
        (each.time, each.fields["dev"], each.fields["skbaddr"], each.fields["len"], each.fields["rc"])
        for each in records
        if isinstance(each, TraceEvent)
    ] == events
    exits = sum(each.name == "funcgraph_exit" for each in raw)
    assert sum(each.phase != "entry" for each in calls) == exits


@pytest.mark.parametrize("options", [[], ["-l"], ["--ts-diff"], ["-O", "fgraph:tailprint=1", "-O", "fgraph:depth=1"]])
def test_other_ways_to_print_a_trace_give_as_many_records(
    trace: tuple[Path, list[list[Row]]], options: list[str]
) -> None:
    path, cpus = trace
    assert len(report(path, *options).records) == 1 + len(expected(cpus))
