"""Journeys against the truth: traces of a small kernel that says which packet each event is really of."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from packets import BRIDGE, UPLINK, Event, Kernel, printed

from netdiag.journeys.observed import Observation
from netdiag.journeys.observed._join import Wiring, join
from netdiag.journeys.observed._read import Reader
from netdiag.journeys.observed._tell import observe
from netdiag.spans import Source
from netdiag.traces import Columns, TraceTable, read_table
from netdiag.traces.table import as_one

from .conftest import bare_host

PACKETS = 250


@dataclass(frozen=True)
class Score:
    """Pairs of events of one packet that follow each other, by what was made of them."""

    missed: int
    wrong: int
    there: int


def table_of(events: list[Event], *, cpus: bool = True) -> TraceTable:
    text = printed(events)
    return read_table(Source("trace.txt", text if cpus else re.sub(r"(?m) \[\d+\]", "", text), format="perf_script"))


def score(events: list[Event], *, with_model: bool, cpus: bool = True) -> Score:
    reader = Reader(None, {})
    rows = reader.read(as_one(table_of(events, cpus=cpus).event_batches()))
    assert len(rows) == len(events)
    found = join(rows, model(reader, events) if with_model else Wiring(), reader.waits()).packet
    real = np.array([event.packet for event in events])
    # what never was on a device has no way
    real, found = real[real > 0], found[real > 0]
    there = joined = 0
    for packet in np.unique(real):
        parts = Counter(found[real == packet].tolist())
        there += sum(parts.values()) - 1
        joined += sum(count - 1 for count in parts.values())
    wrong = sum(len(np.unique(real[found == packet])) - 1 for packet in np.unique(found))
    return Score(there - joined, wrong, there)


def model(reader: Reader, events: list[Event]) -> Wiring:
    """What a bundle would tell of the devices."""
    ports = sorted({event.device for event in events if event.device.startswith("veth")})
    within = {BRIDGE: {"host"}, UPLINK: {"host"}, "eth0": {*ports}, "lo": {"host", *ports}}
    within |= {port: {"host"} for port in ports}
    return Wiring(
        reader.pairs((BRIDGE, port) for port in ports),
        reader.pairs(pair for port in ports for pair in ((port, "eth0"), ("eth0", port))),
        {reader.devices.number(name): found for name, found in within.items()},
    )


@pytest.mark.parametrize("frees", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_packet_goes_its_way_and_none_goes_that_of_two(seed: int, *, frees: bool) -> None:
    kernel = Kernel(seed, frees=frees)
    kernel.run(PACKETS)
    for with_model in (True, False):
        found = score(kernel.events, with_model=with_model)
        assert (found.missed, found.wrong) == (0, 0)
        assert found.there > 5 * PACKETS


@pytest.mark.parametrize("seed", range(5))
def test_without_the_cpus_tasks_tell_enough(seed: int) -> None:
    """As `perf trace` prints it."""
    kernel = Kernel(seed)
    kernel.run(PACKETS)
    found = score(kernel.events, with_model=False, cpus=False)
    assert (found.missed, found.wrong) == (0, 0)


@pytest.mark.parametrize("seed", [1, 3, 7, 8, 9])
@pytest.mark.parametrize(("share", "returns"), [(0.02, False), (0.2, False), (0.02, True)])
def test_lost_events_leave_packets_in_parts_but_put_no_wrong_ones_together(
    seed: int, share: float, *, returns: bool
) -> None:
    kernel = Kernel(seed, returns=returns)
    kernel.run(PACKETS)
    chance = random.Random(seed)
    kept = [event for event in kernel.events if chance.random() > share]
    found = score(kept, with_model=True)
    assert found.wrong == 0
    assert found.missed < share * found.there


def test_what_became_of_the_packets_is_counted() -> None:
    kernel = Kernel(7)
    kernel.run(PACKETS)
    found = observe(table_of(kernel.events), bare_host())
    outcomes: Counter[str] = Counter()
    for path in found.paths:
        for ending, count in path.endings.items():
            outcomes[ending.outcome.value] += count
    # without the events of what is freed in the regular way the trace shows only that the packet was received
    became = Counter(kernel.truth.became.values())
    assert outcomes == {"received": became["delivered"], "left": became["left"], "dropped": became["dropped"]}
    assert sum(drop.count for drop in found.drops if not drop.reason.benign) == became["dropped"]
    assert found.packets == len(kernel.truth.way)


def test_paths_are_the_ways_that_packets_took() -> None:
    kernel = Kernel(8)
    kernel.run(PACKETS)
    found = observe(table_of(kernel.events), bare_host())
    ways = Counter(" ".join(way) for way in kernel.truth.way.values())
    paths: Counter[str] = Counter()
    for path in found.paths:
        devices = [stop.where.device for stop in path.stops]
        paths[" ".join(each for at, each in enumerate(devices) if at == 0 or devices[at - 1] != each)] += path.count
    assert paths == ways


def in_batches(table: TraceTable, rows: int) -> TraceTable:
    def batches() -> Iterator[Columns]:
        events = as_one(table.event_batches())
        for start in range(0, len(events), rows):
            yield events.take(np.arange(start, min(start + rows, len(events))))

    return replace(table, event_batches=batches)


def summary(found: Observation) -> list[object]:
    return [
        found.packets,
        sorted((path.text, path.count, *sorted((k.value, v) for k, v in path.endings.items())) for path in found.paths),
        sorted((drop.reason.name, drop.count, drop.lines) for drop in found.drops),
        sorted((trips.count, trips.time.most) for trips in found.round_trips),
    ]


@pytest.mark.parametrize("rows", [97, 500])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_does_not_matter_where_a_batch_ends(seed: int, rows: int) -> None:
    kernel = Kernel(seed)
    kernel.run(PACKETS)
    table = table_of(kernel.events)
    assert summary(observe(in_batches(table, rows), bare_host())) == summary(observe(table, bare_host()))
