"""What the trace formats promise of single lines."""

from pathlib import Path
from typing import Any

import pytest

from netdiag import formats
from netdiag.formats import Record, Unread
from netdiag.formats._trace import nanoseconds, read_trace
from netdiag.formats.records import (
    Frame,
    FunctionCall,
    InterruptSection,
    TaskSwitch,
    TraceEvent,
    TraceHead,
    TraceLoss,
)
from netdiag.spans import Source


def read(name: str, text: str) -> formats.Document:
    return formats.get(name).read(Source("trace.txt", text))


def event(name: str, line: str) -> TraceEvent:
    document = read(name, line)
    assert document.unread == ()
    (record,) = document.records
    assert isinstance(record, TraceEvent)
    return record


def told(record: Record, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


PACKET = {"skbaddr": "0xffff893aa3223400", "len": "98"}


@pytest.mark.parametrize(
    ("line", "time", "task", "pid", "fields"),
    [
        (
            "     0.011 net:net_dev_queue:dev=docker0 skbaddr=0xffff893aa3223400 len=98)",
            11_000,
            None,
            None,
            {"dev": "docker0", **PACKET},
        ),
        (
            "     0.014 (         ): net:net_dev_queue:dev=docker0 skbaddr=0xffff893aa3223400 len=98)",
            14_000,
            None,
            None,
            {"dev": "docker0", **PACKET},
        ),
        (
            "     0.028 ping/48922 net:net_dev_queue:dev=veth1 skbaddr=0xffff893aa3223400 len=98",
            28_000,
            "ping",
            48922,
            {"dev": "veth1", **PACKET},
        ),
        (
            '7649465.339 tmux: server/7 net:net_dev_queue(skbaddr: 0xffff893aa3223400, len: 98, name: "a, b: c")',
            7_649_465_339_000,
            "tmux: server",
            7,
            {**PACKET, "name": "a, b: c"},
        ),
        (
            "     0.000 :0/0 net:net_dev_queue(dev=eth0 skbaddr=0xffff893aa3223400 len=98)",
            0,
            ":0",
            0,
            {"dev": "eth0", **PACKET},
        ),
        ("     0.000 kworker/u8:3/31 net:net_dev_queue()", 0, "kworker/u8:3", 31, {}),
    ],
    ids=["3.10", "3.10 with durations", "4.x", "6.x", "libtraceevent", "no fields"],
)
def test_every_style_of_perf_trace_gives_one_event(
    line: str, time: int, task: str | None, pid: int | None, fields: dict[str, str]
) -> None:
    found = event("perf_trace", line)
    assert told(found, "system", "name", "time", "task", "pid", "fields", "text") == {
        "system": "net",
        "name": "net_dev_queue",
        "time": time,
        "task": task,
        "pid": pid,
        "fields": fields,
        "text": "",
    }


def test_a_system_call_has_its_duration_and_result() -> None:
    line = "5892323.593 ( 0.013 ms): ping/21329 close(fd: 3<socket:[4821358]>)                = -1 EBADF (Bad file)"
    found = event("perf_trace", line)
    assert told(found, "system", "name", "duration", "fields", "text") == {
        "system": None,
        "name": "close",
        "duration": 13_000,
        "fields": {"fd": "3<socket:[4821358]>"},
        "text": "= -1 EBADF (Bad file)",
    }


def test_lost_events_of_perf_trace_are_counted() -> None:
    document = read("perf_trace", "LOST 12 events!\n")
    assert document.records == (TraceLoss(12, None, document.source.span(1)),)


@pytest.mark.parametrize("comm", ["tmux: server", "Web Content", "runc:[2:INIT]", "a-12 [003] b", "k/u8:2-ev", "(x) y"])
def test_a_task_may_be_called_anything(comm: str) -> None:
    lines = {
        "perf_script": f"{comm}  4775/4776 [001]  6499.330270123: net:netif_rx: dev=eth0 len=84",
        "trace_cmd_report": f"    {comm}-4776  [001] d.s1.  6499.330270123: netif_rx:    dev=eth0 len=84",
        "tracefs_trace": f"    {comm}-4776  [001] d.s1.  6499.330270123: netif_rx: dev=eth0 len=84",
    }
    for name, line in lines.items():
        found = event(name, line)
        assert told(found, "task", "pid", "cpu", "time", "name", "fields") == {
            "task": comm,
            "pid": 4776,
            "cpu": 1,
            "time": 6_499_330_270_123,
            "name": "netif_rx",
            "fields": {"dev": "eth0", "len": "84"},
        }


@pytest.mark.parametrize(
    ("text", "fields", "rest"),
    [
        (
            "skbaddr=0xff rx_sk=(nil) protocol=2048 location=nft_do_chain+0x3e8 reason: NETFILTER_DROP",
            {
                "skbaddr": "0xff",
                "rx_sk": "(nil)",
                "protocol": "2048",
                "location": "nft_do_chain+0x3e8",
                "reason": "NETFILTER_DROP",
            },
            "",
        ),
        (
            "prev_comm=tmux: server prev_pid=1 prev_state=R+ ==> next_comm=Web Content next_pid=2",
            {
                "prev_comm": "tmux: server",
                "prev_pid": "1",
                "prev_state": "R+",
                "next_comm": "Web Content",
                "next_pid": "2",
            },
            "",
        ),
        ("vec=3 [action=NET_RX]", {"vec": "3"}, "[action=NET_RX]"),
        ("napi poll on napi struct 0xff for device eth0", {}, "napi poll on napi struct 0xff for device eth0"),
        ("name= len=5", {"name": "", "len": "5"}, ""),
    ],
)
def test_the_fields_of_an_event_are_told_from_its_words(text: str, fields: dict[str, str], rest: str) -> None:
    found = event("trace_cmd_report", f"ping-7 [000] 1.000001: some_event: {text}")
    assert (found.fields, found.text) == (fields, rest)


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (
            "\tffffffff821f8b58 __schedule+0x618 ([kernel.kallsyms])",
            Frame("__schedule", 0xFFFFFFFF821F8B58, 0x618, "[kernel.kallsyms]"),
        ),
        ("\t 70a3 __GI___res_context_query (inlined)", Frame("__GI___res_context_query", 0x70A3, inlined=True)),
        ("\t144f7 [unknown] (/usr/bin/wget)", Frame(None, 0x144F7, None, "/usr/bin/wget")),
        ("\t1279 main+0x5 (/opt/my tools (old)/my tool)", Frame("main", 0x1279, 5, "/opt/my tools (old)/my tool")),
        ("\tabc f (/tmp/lib.so (deleted))", Frame("f", 0xABC, None, "/tmp/lib.so (deleted)")),
        (
            "\tabc (anonymous namespace)::g(int, char)+0x1 (/usr/lib/a.so)",
            Frame("(anonymous namespace)::g(int, char)", 0xABC, 1, "/usr/lib/a.so"),
        ),
        ("\t478b58ec83485355 [unknown] ([unknown])", Frame(None, 0x478B58EC83485355)),
        ("\tffffffff821f8b58 __schedule", Frame("__schedule", 0xFFFFFFFF821F8B58)),
    ],
)
def test_a_frame_of_perf_script_is_its_symbol_and_module(line: str, frame: Frame) -> None:
    found = event("perf_script", f"wget 7 [000] 1.000001: net:netif_rx: len=84\n{line}")
    assert found.stack == (frame,)
    assert (found.span.line, found.span.line_end) == (1, 2)


def test_a_blank_line_ends_a_sample() -> None:
    document = read("perf_script", "wget 7 [000] 1.000001: net:netif_rx: len=84\n\n\tabc f (/usr/lib/a.so)\n")
    assert document.unread == (Unread(3, "no event above it"),)


def call(name: str, line: str) -> FunctionCall:
    document = read(name, line)
    assert document.unread == ()
    (record,) = document.records
    assert isinstance(record, FunctionCall)
    return record


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("                |  ip_rcv() {", {"phase": "entry", "function": "ip_rcv", "depth": 0}),
        ("     0.172 us   |      f.isra.1();", {"phase": "leaf", "function": "f.isra.1", "depth": 2, "duration": 172}),
        ("   + 14.572 us  |    }", {"phase": "exit", "depth": 1, "duration": 14_572, "mark": "+"}),
        ("   @ 123456.7 us |  }", {"phase": "exit", "depth": 0, "duration": 123_456_700, "mark": "@"}),
        ("   $ 2000000 us |  }", {"phase": "exit", "depth": 0, "duration": 2_000_000_000, "mark": "$"}),
        ("   * 12345.67 us |  }", {"phase": "exit", "depth": 0, "duration": 12_345_670, "mark": "*"}),
        ("                |  } /* ip_rcv */", {"phase": "exit", "function": "ip_rcv", "depth": 0}),
        ("                |  br [bridge]() {", {"phase": "entry", "function": "br [bridge]", "depth": 0}),
        ("  1.0 us   |  f(skb=0xff, n=1);", {"function": "f", "arguments": "skb=0xff, n=1", "duration": 1000}),
        ("  1.0 us   |  f(); /* = 0x1 */", {"function": "f", "returned": "0x1"}),
        ("  1.0 us   |  } /* f ret=-1 */", {"function": "f", "returned": "-1"}),
        ("  1.0 us   |  f(); /* <-ip_rcv */", {"function": "f", "caller": "ip_rcv"}),
    ],
)
def test_a_call_is_read_alike_from_trace_cmd_and_tracefs(printed: str, expected: dict[str, Any]) -> None:
    lines = {
        "trace_cmd_report": f"ping-7 [001] 1.000001: funcgraph_entry: {printed}",
        "tracefs_trace": f" 1) {printed}",
    }
    for name, line in lines.items():
        assert told(call(name, line), *expected) == expected


def test_sections_of_interrupts_and_switches_of_tasks_are_told() -> None:
    document = read("tracefs_trace", " 0)   ==========> |\n 0)   <========== |\n 0)  ping-7   =>   <idle>-0  \n")
    span = document.source.span
    assert document.records == (
        InterruptSection(enters=True, cpu=0, span=span(1, 2)),
        InterruptSection(enters=False, cpu=0, span=span(2, 2)),
        TaskSwitch(0, "ping", 7, "<idle>", 0, span(3, 2, 28)),
    )


def test_lost_events_and_heads_are_told() -> None:
    document = read("trace_cmd_report", "cpus=2\nCPU:1 [173 EVENTS DROPPED]\nCPU:0 [EVENTS DROPPED]\n")
    span = document.source.span
    assert document.records == (
        TraceHead(span(1), cpus=2),
        TraceLoss(173, 1, span(2)),
        TraceLoss(None, 0, span(3)),
    )
    document = read("tracefs_trace", "# tracer: nop\n#\n# entries-in-buffer/entries-written: 47/528   #P:2\n")
    span = document.source.span
    assert document.records == (TraceHead(span(1), "nop"), TraceHead(span(3), None, 2, 47, 528))


def test_flags_and_process_of_tracefs_are_told() -> None:
    found = event("tracefs_trace", "  ping-7   (     5) [001] d..2.   107.831888: net_dev_queue: dev=v0")
    assert told(found, "pid", "tgid", "flags", "cpu") == {"pid": 7, "tgid": 5, "flags": "d..2.", "cpu": 1}
    found = event("tracefs_trace", "  ping-7   (-------) [001] d..2.   107.831888: net_dev_queue: dev=v0")
    assert told(found, "pid", "tgid") == {"pid": 7, "tgid": None}


def test_latency_columns_tell_microseconds_since_the_first_event() -> None:
    found = event("tracefs_trace", "    bash-159       1d..2. 19860us!: net_dev_queue: dev=v0")
    assert told(found, "time", "cpu", "flags") == {"time": 19_860_000, "cpu": 1, "flags": "d..2."}


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("3110612.717865", 10**9, 3_110_612_717_865_000),
        ("9007199254.740993123", 10**9, 9_007_199_254_740_993_123),
        ("0.172", 1000, 172),
        ("1234567", 1000, 1_234_567_000),
    ],
)
def test_times_are_exact(text: str, unit: int, expected: int) -> None:
    assert nanoseconds(text, unit) == expected


def test_what_follows_after_the_most_records_is_told_as_unread() -> None:
    source = Source("trace.txt", "LOST 1 events!\n" * 3)

    def make(row: object, span: Any, stack: object) -> TraceLoss:
        return TraceLoss(1, None, span)

    document = read_trace(source, "perf_trace", make, most=2)
    assert (len(document.records), document.unread) == (2, (Unread(3, "after the first 2 records"),))


def test_a_number_that_no_computer_has_is_told() -> None:
    document = read("perf_trace", f"LOST {'9' * 5000} events!\n")
    assert document.unread == (Unread(1, "a value out of range"),)


RECORDINGS = [
    "formats/trace_cmd_report/debian12-trace-cmd3.1.6-linux6.1-function-graph",
    "oracles/trace-cmd/debian12-trace-cmd3.1.6-linux7.2",
    "oracles/trace-cmd/sid-trace-cmd3.4-linux7.2-arguments",
]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.rpartition("/")[2])
def test_a_real_function_graph_is_the_same_in_the_raw_listing(recording: str, samples_folder: Path) -> None:
    """`-R` prints each entry and exit with its depth and times, where the listing has indents and durations."""
    texts = [
        samples_folder.parent.joinpath(f"{recording}{kind}.txt").read_text(encoding="utf-8") for kind in ("", "-raw")
    ]
    documents = [read("trace_cmd_report", text) for text in texts]
    assert [document.unread for document in documents] == [(), ()]
    calls, raw = (document.records for document in documents)
    entered: list[tuple[object, ...]] = []
    left: list[tuple[object, ...]] = []
    for record in raw:
        if isinstance(record, TraceEvent):
            place = (record.task, record.pid, record.cpu, int(record.fields["depth"]))
            if record.name == "funcgraph_entry":
                # trace-cmd 3.3 and later print the address behind the name
                entered.append((record.time, *place, record.fields["func"].partition(" ")[0]))
            else:
                left.append((*place, int(record.fields["rettime"], 16) - int(record.fields["calltime"], 16)))
    listed = [record for record in calls if isinstance(record, FunctionCall)]
    places = [(each.task, each.pid, each.cpu, each.depth) for each in listed]
    rows = list(zip(listed, places, strict=True))
    assert [(each.time, *place, each.function) for each, place in rows if each.phase != "exit"] == entered
    assert [(*place, each.duration) for each, place in rows if each.phase != "entry"] == left
    assert len(entered) > 30


@pytest.mark.parametrize(
    ("name", "line", "fields"),
    [
        (
            "tracefs_trace",
            "            ping-175     [000] .ls2.   586.277109: ip_rcv_core(skb=0xff218d84, net=0xff218d85) <-ip_rcv",
            {"function": "ip_rcv_core", "caller": "ip_rcv", "arguments": "skb=0xff218d84, net=0xff218d85"},
        ),
        (
            "trace_cmd_report",
            "            ping-156   [001] .Ns2.   204.100470: function:             ip_rcv(ff218d84, 0, 54)",
            {"function": "ip_rcv", "arguments": "ff218d84, 0, 54"},
        ),
    ],
)
def test_a_traced_function_may_have_arguments(name: str, line: str, fields: dict[str, str]) -> None:
    assert event(name, line).fields == fields


def test_the_raw_listing_prints_flags_as_a_number() -> None:
    line = "            ping-156   [001]-0x36   204.100470: function:              ip=ip_rcv (0xffffffffaa2a41a4)"
    found = event("trace_cmd_report", line)
    assert told(found, "task", "pid", "cpu", "flags", "name") == {
        "task": "ping",
        "pid": 156,
        "cpu": 1,
        "flags": "-0x36",
        "name": "function",
    }
