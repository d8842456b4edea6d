"""`netdiag trace` as scripts use it."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from netdiag.cli.trace import command

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"
GRAPH = SAMPLES / "trace_cmd_report" / "seed.txt"
PACKETS = SAMPLES / "perf_trace" / "seed.txt"
DROPPED = SAMPLES.parent / "bundles" / "journey-docker-user.tar.gz"


def netdiag(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "netdiag", "trace", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, env=environment, check=False)


def test_a_bundle_a_file_and_stdin_are_read() -> None:
    file = netdiag(GRAPH)
    assert (file.returncode, file.stderr) == (0, b"")
    assert file.stdout.startswith(b"seed.txt (trace_cmd_report)\n38 lines, all read\n")
    assert netdiag("-", given=GRAPH.read_bytes()).stdout == file.stdout.replace(b"seed.txt", b"stdin", 1)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        packed.add(GRAPH, "a/trace_cmd_report.txt")
        packed.add(PACKETS, "a/perf_trace.txt")
    bundle = json.loads(netdiag("-", "--format", "json", given=archive.getvalue()).stdout)
    assert [trace["source"] for trace in bundle["traces"]] == ["a/perf_trace.txt", "a/trace_cmd_report.txt"]


def test_files_are_written_by_their_endings_and_told_on_stderr(tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("a.folded", "a.speedscope.json", "a.perfetto.json", "a.csv", "a.parquet")]
    done = netdiag(GRAPH, *(word for path in outputs for word in ("-o", path)))
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().splitlines() == [f"netdiag: wrote {path}" for path in outputs]
    assert outputs[0].read_text().splitlines()[0] == "dev_queue_xmit 928"
    assert json.loads(outputs[1].read_text())["profiles"][0]["endValue"] == 15_500
    assert len(json.loads(outputs[2].read_text())["traceEvents"]) == 26
    assert outputs[4].read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 12),
        (["--device", "docker0", "--device", "eth0"], 8),
        (["--task", "wget"], 0),
        (["--since", "0.000030"], 6),
        (["--since", "0.000011", "--until", "0.000022"], 4),
    ],
)
def test_only_events_that_are_asked_for_are_told(options: list[str], count: int) -> None:
    done = CliRunner().invoke(command, [str(PACKETS), "--format", "json", *options])
    (trace,) = json.loads(done.stdout)["traces"]
    assert sum(each["count"] for each in trace["summary"]["events"]) == count


@pytest.mark.parametrize(
    ("ends", "packets"),
    [
        (("web", "host"), 5),
        (("host", "172.18.0.2"), 5),
        (("203.0.113.10", "172.18.0.2"), 5),
        (("web", "br-8107cdc39525"), 5),
        (("web", "db"), None),
        (("db", "host"), None),
    ],
)
def test_a_flow_is_what_was_seen_at_both_its_ends(ends: tuple[str, str], packets: int | None) -> None:
    done = CliRunner().invoke(command, [str(DROPPED), "--format", "json", "--flow", *ends])
    (trace,) = json.loads(done.stdout)["traces"]
    assert (trace["journeys"] and trace["journeys"]["packets"]) == packets
    assert sum(each["count"] for each in trace["summary"]["events"]) == (40 if packets else 0)


def test_only_calls_that_are_asked_for_are_told() -> None:
    within = CliRunner().invoke(command, [str(GRAPH), "--format", "folded", "--function", "netif_rx_internal"])
    assert within.stdout.splitlines()[0] == "netif_rx_internal 1165"
    assert CliRunner().invoke(command, [str(GRAPH), "--format", "folded", "--pid", "1"]).stdout == ""
    assert len(CliRunner().invoke(command, [str(GRAPH), "--format", "folded", "--pid", "30928"]).stdout) > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([GRAPH, "-o", "a.poem"], b"a.poem: no format of traces has this ending"),
        ([DROPPED, "--flow", "web", "198.51.100.7"], b"no container has the address 198.51.100.7, nor has the host"),
        ([GRAPH, "--since", "noon"], b"'noon' is no number of seconds"),
        ([SAMPLES / "perf_trace" / "ORIGIN.md"], b"ORIGIN.md: there is no trace in it"),
        (["absent.txt"], b"absent.txt: cannot be read"),
        ([GRAPH, "-o", "/dev/null/a.txt"], b"/dev/null/a.txt: Not a directory"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_says_why(arguments: list[str | Path], said: bytes) -> None:
    done = netdiag(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr
    assert b"Traceback" not in done.stderr
