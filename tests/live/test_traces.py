"""Traces of a real Docker host: what netdiag reads of one listing is what a second, independent listing says."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lab
import pytest

from netdiag import formats
from netdiag.formats.records import TraceEvent
from netdiag.spans import Source

pytestmark = pytest.mark.live

Lend = Callable[..., lab.DockerHost]
EVENTS = ["-e", "net:*", "-e", "skb:kfree_skb"]


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, check=True, capture_output=True, text=True, encoding="utf-8", env=lab.ENVIRONMENT)


def read(name: str, text: str) -> list[TraceEvent]:
    """All events, after every line of the listing was read."""
    document = formats.get(name).read(Source("listing.txt", text))
    assert document.unread == ()
    return [record for record in document.records if isinstance(record, TraceEvent)]


def ping(host: lab.DockerHost, container: str) -> list[str]:
    """The command that pings a container from its host."""
    address = host.address(container, "front")
    return ["nsenter", f"--target={host.init_pid}", "--net", "--", "ping", "-c3", "-i0.2", address]


@pytest.fixture
def host(docker_host: Lend) -> lab.DockerHost:
    return docker_host("nft")


@pytest.fixture
def recording(host: lab.DockerHost, tmp_path: Path) -> Path:
    path = tmp_path / "perf.data"
    run("perf", "record", "-q", "-a", "-g", *EVENTS, "-o", path, "--", *ping(host, "web"))
    return path


def script(recording: Path, *options: str) -> str:
    return run("perf", "script", "-i", recording, *options).stdout


def test_perf_script_is_read_as_perf_itself_converts_the_recording(recording: Path, tmp_path: Path) -> None:
    """`perf data convert --to-json` takes the samples from the file, not from the listing.

    perf finds the symbols of a program in a container as long as that runs: it may end between two looks.
    """

    def listed() -> list[tuple[object, ...]]:
        fields = "comm,pid,tid,cpu,time,event,ip,sym,dso,trace"
        events = read("perf_script", script(recording, "--ns", "--no-inline", "-F", fields))
        return [as_sample(event) for event in events]

    before = listed()
    run("perf", "data", "convert", "--to-json", tmp_path / "perf.json", "-i", recording)
    after = listed()
    samples = [normal(each) for each in json.loads((tmp_path / "perf.json").read_text(encoding="utf-8"))["samples"]]
    nearest = [late if late == sample else early for early, late, sample in zip(before, after, samples, strict=True)]
    assert nearest == samples
    assert len(samples) > 20


def as_sample(event: TraceEvent) -> tuple[object, ...]:
    stack = [in_both(frame.address or 0, frame.symbol) for frame in event.stack]
    return event.time, event.tgid, event.pid, event.cpu, event.task, stack


def normal(sample: dict[str, Any]) -> tuple[object, ...]:
    stack = [in_both(int(frame["ip"], 16), frame.get("symbol")) for frame in sample.get("callchain", [])]
    return sample["timestamp"], sample["pid"], sample["tid"], sample["cpu"], sample["comm"], stack


def in_both(address: int, symbol: str | None) -> tuple[int | None, str | None]:
    """The listing counts addresses outside the kernel from the start of their file, the conversion does not."""
    return address if address >= 1 << 63 else None, symbol


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-G"],
        ["-F", "comm,tid,time,event,trace"],
        ["-F", "comm,pid,tid,cpu,time,event,ip,sym,symoff,dso,trace"],
        ["--header"],
        ["--show-task-events", "--show-mmap-events"],
    ],
    ids=" ".join,
)
def test_other_fields_of_perf_script_give_the_same_events(recording: Path, options: list[str]) -> None:
    reference = read("perf_script", script(recording, "--ns", "-F", "comm,tid,time,event,trace"))
    events = [event for event in read("perf_script", script(recording, *options)) if event.system]
    assert [(event.time, *values(event)) for event in events] == [
        (microseconds(event), *values(event)) for event in reference
    ]


def values(event: TraceEvent) -> tuple[object, ...]:
    return event.task, event.pid, event.system, event.name, dict(event.fields), event.text


def microseconds(event: TraceEvent) -> int:
    assert event.time is not None
    return event.time // 1000 * 1000


def test_perf_trace_and_perf_script_tell_the_same_packets(host: lab.DockerHost, tmp_path: Path) -> None:
    """Two tools watch the same pings: their own field printer against the kernel's print format."""
    path, listing = tmp_path / "perf.data", tmp_path / "trace.txt"
    recorded = ["perf", "record", "-q", "-a", *EVENTS, "-o", str(path), "--", *ping(host, "web")]
    run("perf", "trace", "-a", "-T", "--no-syscalls", *EVENTS, "-o", listing, "--", *recorded)
    events = [event for event in read("perf_script", script(path, "--ns")) if event.task == "ping"]
    # perf trace learns the new name of a process late: the number tells it
    pids = {event.pid for event in events}
    live = [event for event in read("perf_trace", listing.read_text(encoding="utf-8")) if event.pid in pids]
    assert [packet(event) for event in live] == [packet(event) for event in events]
    assert len(events) > 20


def packet(event: TraceEvent) -> tuple[object, ...]:
    """Time to the microsecond aside, which each tool takes for itself: what both print of the packet."""
    device = event.fields.get("name") or event.fields.get("dev")
    return event.pid, event.system, event.name, device, event.fields.get("skbaddr"), event.fields.get("len")
