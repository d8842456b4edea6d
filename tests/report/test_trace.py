"""The forms in which traces go out again, each as its readers expect it."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from netdiag.analysis import read_bundle
from netdiag.bundle import Bundle, open_bundle
from netdiag.errors import UsageError
from netdiag.report.schemas import schema
from netdiag.report.snippet import Look
from netdiag.report.trace import FORMATS, Wanted, as_json, format_of, render, views
from netdiag.results import Reading
from netdiag.spans import Source
from netdiag.traces.folded import tidy

from . import host_schema

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"
BUNDLE = SAMPLES.parent / "bundles" / "seed"
GRAPH = "trace_cmd_report/seed.txt"
STACKS = "perf_script/debian12-perf6.1-linux6.18-cpu-clock-stacks.txt"
PACKETS = "perf_trace/seed.txt"
LOSSES = "trace_cmd_report/debian12-trace-cmd3.1.6-linux6.12-lost-events.txt"


def reading_of(*paths: str) -> Reading:
    sources = [Source(path, (SAMPLES / path).read_text(encoding="utf-8"), format=path.split("/")[0]) for path in paths]
    return read_bundle(Bundle("traces", "", "", "", tuple(sources)))


def made(name: str, *paths: str, wanted: Wanted | None = None, width: int = 100, unicode: bool = True) -> bytes:
    look = Look(colour=False, width=width, unicode=unicode)
    return b"".join(render(views(reading_of(*paths), wanted or Wanted()), name, look))


def test_a_file_gets_the_format_of_its_longest_ending() -> None:
    names = (
        "a.txt",
        "a.json",
        "a.chrome.json",
        "a.perfetto.json",
        "a.speedscope.json",
        "a.folded",
        "a.csv",
        "a.parquet",
    )
    assert [format_of(Path(name)) for name in names] == [
        *("text", "json", "chrome", "chrome", "speedscope", "folded", "csv", "parquet")
    ]
    with pytest.raises(UsageError, match=r"a\.pdf: no format of traces has this ending"):
        format_of(Path("a.pdf"))


def test_a_bundle_without_a_trace_is_told_so() -> None:
    with pytest.raises(UsageError, match="traces: there is no trace in it"):
        views(reading_of(), Wanted())


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_traces_give_the_same_bytes(name: str) -> None:
    assert made(name, GRAPH, STACKS) == made(name, GRAPH, STACKS)


# --- folded ---


def test_stacks_fold_as_inferno_folds_them() -> None:
    """Printed by inferno 0.12.8 from the same sample: the periods of four samples."""
    path = (
        "swapper;common_startup_64;x86_64_start_kernel;__pfx_clear_bss;start_kernel;rest_init;cpu_startup_entry;do_idle;"
        "cpuidle_enter;cpuidle_enter_state;default_enter_idle;default_idle;pv_native_safe_halt"
    )
    assert made("folded", STACKS).decode() == f"{path} 40404040\n"


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        (
            "std::vector<int, std::allocator<int> >::push_back(int const&)",
            "std::vector<int, std::allocator<int> >::push_back",
        ),
        ("a::(anonymous namespace)::thing(int)", "a::(anonymous namespace)::thing"),
        ("b::{lambda(int)#1}::operator()", "b::{lambda(int)#1}::operator"),
        ("net/http.(*Client).Do", "net/http.(*Client).Do"),
        ("foo.(*T).x(int)", "foo.(*T).x"),
        ("Foo;bar'quo\"te", "Foo:bar'quo\"te"),
        ("foo.constprop.0", "foo.constprop.0"),
        ("núm", "núm"),
    ],
)
def test_names_fold_as_inferno_writes_them(symbol: str, shown: str) -> None:
    """Both columns were compared with what inferno 0.12.8 printed."""
    assert tidy(symbol) == shown


def test_times_of_calls_fold_and_add_up() -> None:
    lines = made("folded", GRAPH).decode().splitlines()
    assert "dev_queue_xmit;__dev_queue_xmit;dev_hard_start_xmit;loopback_xmit 1808" in lines
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == 15_500
    assert lines == sorted(lines)


def test_several_trees_stand_below_their_names() -> None:
    tops = Counter(line.split(";")[0] for line in made("folded", GRAPH, STACKS).decode().splitlines())
    assert sorted(tops) == ["cpu-clock:ppp", "function_graph"]


def test_only_wanted_rows_are_folded() -> None:
    whole = made("folded", STACKS)
    assert made("folded", STACKS, wanted=Wanted(since=0)) == whole
    assert made("folded", STACKS, wanted=Wanted(tasks=("swapper",))) == whole
    assert made("folded", STACKS, wanted=Wanted(tasks=("another",))) == b""


def test_what_is_called_within_a_function_is_folded() -> None:
    lines = made("folded", STACKS, wanted=Wanted(function="do_idle")).decode().splitlines()
    assert lines == [
        "do_idle;cpuidle_enter;cpuidle_enter_state;default_enter_idle;default_idle;pv_native_safe_halt 40404040"
    ]


# --- speedscope ---

SPEEDSCOPE: dict[str, Any] = {
    "required": ["$schema", "profiles", "shared"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "shared": {
            "required": ["frames"],
            "properties": {"frames": {"items": {"required": ["name"], "properties": {"name": {"type": "string"}}}}},
        },
        "profiles": {
            "items": {
                "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"enum": ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"]},
                    "samples": {"items": {"items": {"type": "integer", "minimum": 0}}},
                    "weights": {"items": {"type": "number"}},
                },
            }
        },
    },
}
"""What the file format asks of a file with sampled profiles, after speedscope 1.25's file-format-schema.json."""


def test_speedscope_takes_its_file() -> None:
    told = json.loads(made("speedscope", GRAPH, STACKS))
    assert [error.message for error in Draft202012Validator(SPEEDSCOPE).iter_errors(told)] == []
    graph, stacks = told["profiles"]
    names = [frame["name"] for frame in told["shared"]["frames"]]
    assert (graph["unit"], graph["endValue"], sum(graph["weights"])) == ("nanoseconds", 15_500, 15_500)
    assert [names[number] for number in graph["samples"][1]] == ["dev_queue_xmit", "__dev_queue_xmit"]
    assert (stacks["unit"], stacks["weights"], len(stacks["samples"][0])) == ("none", [40_404_040], 13)


# --- Chrome, Perfetto ---


def test_calls_are_complete_events_on_the_track_of_their_thread() -> None:
    events = json.loads(made("chrome", GRAPH))["traceEvents"]
    calls = {event["name"]: event for event in events if event["ph"] == "X"}
    assert calls["__dev_queue_xmit"] == {
        "name": "__dev_queue_xmit",
        "cat": "function_graph",
        "ph": "X",
        "ts": 3110612717869.0,
        "dur": 14.572,
        "pid": 1,
        "tid": 30928,
        "args": {"cpu": 0, "line": 3},
    }
    assert len(calls) == 24
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == [GRAPH, "ssh"]


def test_events_of_packets_are_instants_with_what_they_tell() -> None:
    first = next(event for event in json.loads(made("perfetto", PACKETS))["traceEvents"] if event["ph"] == "i")
    assert (first["name"], first["cat"], first["ts"], first["s"]) == ("net_dev_queue", "net", 0.0, "t")
    assert first["args"] == {"line": 1, "device": "docker0", "skb": "0xffff88003b248900", "length": 98}


# --- tables ---


def test_csv_has_the_events_with_empty_cells_for_what_is_not_told() -> None:
    rows = list(csv.DictReader(io.StringIO(made("csv", PACKETS).decode())))
    assert (len(rows), rows[0]["name"], rows[0]["device"], rows[0]["length"]) == (12, "net_dev_queue", "docker0", "98")
    assert (rows[0]["cpu"], rows[0]["skb"]) == ("", "0xffff88003b248900")


def test_csv_has_the_calls_where_there_are_no_events() -> None:
    rows = list(csv.DictReader(io.StringIO(made("csv", GRAPH).decode())))
    assert [(row["phase"], row["function"], row["duration"]) for row in rows[:3]] == [
        ("entry", "dev_queue_xmit", ""),
        ("entry", "__dev_queue_xmit", ""),
        ("leaf", "local_bh_disable", "172"),
    ]


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    text = "     0.000 net:net_dev_queue:dev==1+2 skbaddr=0x1 len=98)\n"
    reading = read_bundle(Bundle("b", "", "", "", (Source("trace.txt", text, format="perf_trace"),)))
    out = b"".join(render(views(reading, Wanted()), "csv", Look(colour=False, width=80, unicode=True)))
    (row,) = csv.DictReader(io.StringIO(out.decode()))
    assert row["device"] == "'=1+2"


def test_parquet_holds_the_rows_of_all_traces() -> None:
    table = pd.read_parquet(io.BytesIO(made("parquet", PACKETS, STACKS)))
    assert table["trace"].value_counts().to_dict() == {PACKETS: 12, STACKS: 4}
    assert table["length"][0] == 98


# --- JSON ---


@pytest.mark.parametrize("paths", [(GRAPH,), (STACKS,), (PACKETS, LOSSES)])
def test_json_follows_the_published_schema(paths: tuple[str, ...]) -> None:
    told = json.loads(made("json", *paths))
    assert [error.message for error in Draft202012Validator(schema("trace")).iter_errors(told)] == []


def test_the_schema_is_that_of_the_facts() -> None:
    rules: Any = schema("trace")
    expected = {**rules, "$defs": host_schema.definitions(as_json.TraceFacts)}
    host_schema.accept("trace", expected)
    assert schema("trace") == expected


def test_json_tells_what_was_counted_and_lost() -> None:
    (trace,) = json.loads(made("json", LOSSES))["traces"]
    assert [(loss["line"], loss["cpu"]) for loss in trace["summary"]["losses"]] == [(2, 0), (21, 1)]
    assert trace["summary"]["calls"] == 22
    assert [(tree["of"], tree["unit"], tree["losses"]) for tree in trace["call_trees"]] == [("function_graph", "ns", 2)]


def test_only_a_part_is_told_when_only_a_part_is_wanted() -> None:
    def packets(wanted: Wanted) -> list[str]:
        (trace,) = json.loads(made("json", PACKETS, wanted=wanted))["traces"]
        return [
            " ".join(stop["where"]["device"] for stop in path["stops"])
            for path in (trace["journeys"] or {"paths": ()})["paths"]
        ]

    assert packets(Wanted()) == ["docker0 veth7233136 eth0", "eth0 veth7233136 docker0"]
    assert packets(Wanted(devices=("docker0",))) == ["docker0 veth7233136 eth0", "eth0 veth7233136 docker0"]
    assert packets(Wanted(devices=("eth9",))) == []
    assert packets(Wanted(since=30_000)) == ["eth0 veth7233136 docker0"]
    assert packets(Wanted(tasks=("ping",))) == []
    assert packets(Wanted(function="ip_rcv")) == []


def test_only_packets_of_a_container_are_told_and_events_of_its_devices() -> None:
    reading = read_bundle(open_bundle(BUNDLE))
    (view,) = [
        view for view in views(reading, Wanted(containers=("static_site",))) if view.table.format == "perf_trace"
    ]
    assert view.journeys is not None
    assert (view.journeys.packets, len(view.journeys.round_trips)) == (2, 1)
    assert Counter(each.device for each in view.summary.events) == {"veth7233136": 4, "eth0": 4}
    (other,) = [
        view for view in views(reading, Wanted(containers=("c813884c8a9b",))) if view.table.format == "perf_trace"
    ]
    assert (other.journeys, other.summary.events) == (None, ())
    with pytest.raises(UsageError, match="no container is named web; there are c813884c8a9b, static_site"):
        views(reading, Wanted(containers=("web",)))


# --- text ---


def test_text_shows_calls_within_each_other_and_where_the_time_went() -> None:
    lines = made("text", GRAPH, width=80).decode().splitlines()
    assert lines[0] == "trace_cmd_report/seed.txt (trace_cmd_report)"
    assert lines[2] == "24 calls in 19.000 us, from 3110612.717865 to 3110612.717884"
    assert lines[5:9] == [
        "Calls: 15.500 us",
        " SHARE       TOTAL         OWN   CALLS  CALL",
        "100.0%   15.500 us    0.928 us       1  dev_queue_xmit",
        " 94.0%   14.572 us    3.753 us       1    __dev_queue_xmit",
    ]
    assert " 24.2%      3.753 us  dev_queue_xmit > __dev_queue_xmit" in lines
    assert max(map(len, lines)) <= 80


def test_text_warns_of_losses() -> None:
    text = made("text", LOSSES).decode()
    assert "events are missing at 2 places: what is not seen may have happened there\n" in text
    assert "LINE  CPU  COUNT\n   2    0  10045\n  21    1      ?\n" in text


def test_text_obeys_no_trace_and_is_ascii_when_it_must_be() -> None:
    text = "  a\x1b[2J\u202e-1  [000] 1.000001: funcgraph_entry:  1.000 us  |  \x1b]0f\x07();\n"
    reading = read_bundle(Bundle("b", "", "", "", (Source("trace.txt", text, format="trace_cmd_report"),)))
    out = b"".join(render(views(reading, Wanted()), "text", Look(colour=False, width=80, unicode=False)))
    assert out.isascii()
    assert b"\x1b" not in out
    assert b"\\x1b]0" in out


FORWARDED = """\
    a-1  [000] 1.000001: funcgraph_entry:              |  ip_forward() {
    a-1  [000] 1.000002: funcgraph_entry:    1.000 us  |    ip_output();
    a-1  [000] 1.000003: funcgraph_exit:     3.000 us  |  }
    a-1  [000] 1.000004: funcgraph_entry:              |  ip_forward() {
    a-1  [000] 1.000005: funcgraph_entry:    2.000 us  |    nf_hook_slow();
    a-1  [000] 1.000006: funcgraph_exit:     4.000 us  |  }
"""


def test_text_and_json_tell_where_packets_did_not_go_on() -> None:
    reading = read_bundle(Bundle("b", "", "", "", (Source("trace.txt", FORWARDED, format="trace_cmd_report"),)))
    found = views(reading, Wanted())
    text = b"".join(render(found, "text", Look(colour=False, width=80, unicode=True))).decode()
    assert "Where packets did not go on\n1 call of 2 of ip_forward: nf_hook_slow 1\n" in text
    (trace,) = json.loads(b"".join(render(found, "json", Look(colour=False, width=80, unicode=True))))["traces"]
    assert [(end["step"], end["certain"]) for end in trace["call_trees"][0]["dead_ends"]] == [
        ("ip_forward", True),
        ("ip_output", False),  # of which no next step is in the trace at all
    ]


HOSTILE = """\
     0.000 a"b\x1b[2J\u202e/14357 net:net_dev_queue(skbaddr: 0xffff8881723e0900, len: 98, name: "=<b>\x07")
     0.090 x/14357 skb:kfree_skb(skbaddr=0x1 rx_sk=(nil) protocol=2048 location=<script>\x1b reason: \u2028NO)
"""


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"parquet"}))
def test_no_name_of_a_trace_does_anything_where_it_is_written(name: str) -> None:
    sources = (
        Source("=tr\x1bace\ud800.txt", HOSTILE, format="perf_trace"),
        Source("b.txt", HOSTILE, format="perf_trace"),
    )
    found = views(read_bundle(Bundle("b", "", "", "", sources)), Wanted())
    out = b"".join(render(found, name, Look(colour=False, width=80, unicode=True))).decode()
    assert [character for character in "\x1b\x07\u202e\u2028\ud800" if character in out] == []
    if name == "csv":
        assert {row["trace"][:2] for row in csv.DictReader(io.StringIO(out))} == {"'=", "b."}


def test_parquet_takes_any_name() -> None:
    sources = (Source("tr\ud800.txt", HOSTILE, format="perf_trace"), Source("b.txt", HOSTILE, format="perf_trace"))
    found = views(read_bundle(Bundle("b", "", "", "", sources)), Wanted())
    table = pd.read_parquet(io.BytesIO(b"".join(render(found, "parquet", Look(colour=False, width=80, unicode=True)))))
    assert sorted(set(table["trace"])) == ["b.txt", "tr\\ud800.txt"]


def test_text_follows_the_packets_of_a_whole_trace() -> None:
    text = made("text", PACKETS, width=80).decode()
    assert "packets in perf_trace/seed.txt: 2 packets in 61.000 us\n" in text
    assert "docker0 -> veth7233136 -> eth0" in text
