"""Observations of real samples and of a few typed events."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag import formats
from netdiag.journeys.observed import Observation
from netdiag.journeys.observed._tell import observe
from netdiag.model import Engine, Facts, Host, Namespace
from netdiag.spans import Source
from netdiag.traces import TraceTable, table_of

SAMPLES = Path(__file__).parents[2] / "samples"

#: One event: time in microseconds, CPU, pid, name, and fields as perf prints them.
Event = tuple[int, int, int, str, str]


def bare_host(**facts: object) -> Host:
    """A host of which nothing is known."""
    return replace(Host("", (Namespace("host", "host"),), Facts(), Facts(), Engine()), **facts)  # type: ignore[arg-type]


def table(path: Path, format_name: str = "") -> TraceTable:
    """The table of a sample."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return table_of(formats.get(format_name or path.parent.name).read(Source(path.name, text)))


def printed(events: Sequence[Event]) -> str:
    """Events as `perf script` prints them."""
    return "".join(
        f"task-{pid} {pid} [{cpu:03d}] {time // 1_000_000}.{time % 1_000_000:06d}: {name}: {fields}\n"
        for time, cpu, pid, name, fields in events
    )


def seen(text: str, host: Host | None = None, format_name: str = "perf_script") -> Observation:
    """What a trace of this text shows."""
    return observe(table_of(formats.get(format_name).read(Source("trace.txt", text))), host or bare_host())


def packets(observation: Observation) -> list[str]:
    """Each packet that was kept, in one line: its devices (`>` where it is received), and what became of it."""
    return [
        " ".join([*(">" * (hop.direction.value == "receives") + hop.where.device for hop in journey.hops)])
        + f": {journey.ending.value}"
        for journey in observation.journeys
    ]


@pytest.fixture
def lines() -> Callable[[str], list[Event]]:
    """Events out of lines `time cpu pid event device skb length [rest]`."""

    def make(text: str) -> list[Event]:
        found = []
        for line in filter(None, map(str.strip, text.splitlines())):
            time, cpu, pid, name, device, skb, length, *rest = line.split()
            fields = [f"dev={device}"] if device != "-" else []
            fields += [f"skbaddr=0x{skb}", *([f"len={length}"] if length != "-" else []), *rest]
            system = "skb" if "skb" in name and not name.startswith("netif") else "net"
            found.append((int(time), int(cpu), int(pid), f"{system}:{name}", " ".join(fields)))
        return found

    return make
