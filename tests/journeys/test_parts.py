"""Packets that are cut into pieces, and put together again."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from packets import Event, Kernel

from netdiag.finding import Confidence
from netdiag.formats.records import Link
from netdiag.journeys.observed import Division, Ending, Observation, Outcome, _walk, observe
from netdiag.journeys.observed._join import join
from netdiag.journeys.observed._parts import groups
from netdiag.journeys.observed._read import Reader
from netdiag.model import Facts, Namespace
from netdiag.spans import Source
from netdiag.traces import Columns
from netdiag.traces.table import as_one

from .conftest import Event as Line
from .conftest import bare_host, printed, seen
from .test_truth import model, table_of

PACKETS = 200


def found_in(events: list[Event]) -> set[tuple[int, tuple[int, ...]]]:
    """Wholes with their pieces, by the numbers that the truth has for them."""
    reader = Reader(None, {})
    rows = reader.read(as_one(table_of(events).event_batches()))
    found = join(rows, model(reader, events), reader.waits())
    first = [events[row].packet for row in found.first.tolist()]
    return {(first[group.whole], tuple(first[piece] for piece in group.pieces)) for group in groups(rows, found, {})}


def cut_by(kernel: Kernel) -> set[tuple[int, tuple[int, ...]]]:
    return {(whole, tuple(pieces)) for whole, pieces in kernel.truth.pieces.items()}


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_pieces_of_every_packet_are_found_and_no_others(seed: int, *, returns: bool) -> None:
    kernel = Kernel(seed, cuts=True, returns=returns)
    kernel.run(PACKETS)
    assert found_in(kernel.events) == cut_by(kernel)
    assert len(kernel.truth.pieces) > PACKETS / 20


@pytest.mark.parametrize("seed", range(4))
def test_lost_events_make_nothing_a_piece_that_is_none(seed: int) -> None:
    kernel = Kernel(seed, cuts=True)
    kernel.run(PACKETS)
    chance = random.Random(seed)
    real = {(whole, *pieces) for whole, pieces in cut_by(kernel)}
    for whole, pieces in found_in([event for event in kernel.events if chance.random() > 0.2]):
        assert any(whole == each[0] and {*pieces} <= {*each[1:]} for each in real)


def test_where_nothing_is_cut_nothing_is_a_piece() -> None:
    for seed in range(4):
        kernel = Kernel(seed)
        kernel.run(PACKETS)
        assert found_in(kernel.events) == set()


def counts(found: Observation) -> dict[Outcome, int]:
    outcomes: dict[Outcome, int] = {}
    for path in found.paths:
        for ending, count in path.endings.items():
            outcomes[ending.outcome] = outcomes.get(ending.outcome, 0) + count
    return outcomes


@pytest.mark.parametrize("rows", [53, 400])
def test_it_does_not_matter_where_a_batch_ends(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_walk, "_ENOUGH", 100)
    monkeypatch.setattr(_walk, "_PIECES_APART", 150)
    kernel = Kernel(2, cuts=True, returns=True)
    kernel.run(PACKETS)
    table = table_of(kernel.events)

    def batches() -> Iterator[Columns]:
        events = as_one(table.event_batches())
        for start in range(0, len(events), rows):
            yield events.take(np.arange(start, min(start + rows, len(events))))

    whole, in_batches = observe(table, bare_host()), observe(replace(table, event_batches=batches), bare_host())
    assert counts(in_batches) == counts(whole)
    assert counts(whole)[Outcome.DIVIDED] == len(kernel.truth.pieces)
    assert sum(path.pieces for path in in_batches.paths) == sum(map(len, kernel.truth.pieces.values()))


# --- fragments of which no event shows the whole ----------------------------------------------------------------------

Lines = Callable[[str], list[Line]]

BURST = """
10 0 7 net_dev_queue docker0 a0 1514
11 0 7 net_dev_start_xmit docker0 a0 1514 {sums}
12 0 7 net_dev_xmit docker0 a0 1514 rc=0
20 0 7 net_dev_queue docker0 a1 1514
21 0 7 net_dev_start_xmit docker0 a1 1514 {sums}
22 0 7 net_dev_xmit docker0 a1 1514 rc=0
30 0 7 net_dev_queue docker0 a2 582
31 0 7 net_dev_start_xmit docker0 a2 582 {sums}
32 0 7 net_dev_xmit docker0 a2 582 rc=0
"""


@pytest.fixture
def on_host(lines: Lines) -> Callable[..., Observation]:
    def look(text: str, mtu: int = 1500) -> Observation:
        source = Source("ip-link.txt", f"2: docker0: <UP> mtu {mtu}\n")
        link = Link("docker0", source.span(1), mtu=mtu)
        host = Namespace("host", "host", links=Facts((link,)))
        return seen(printed(lines(text)), bare_host(namespaces=(host,)))

    return look


@pytest.mark.parametrize(
    ("sums", "confidence"), [("ip_summed=0", Confidence.MEDIUM), ("protocol=0x0800", Confidence.LOW)]
)
def test_by_lengths_and_order_they_may_be_fragments(
    sums: str, confidence: Confidence, on_host: Callable[..., Observation]
) -> None:
    parts = [journey.part for journey in on_host(BURST.format(sums=sums)).journeys]
    assert [(part.how, part.whole, part.number, part.of, part.confidence) for part in parts if part] == [
        (Division.FRAGMENT, None, number, 3, confidence) for number in (1, 2, 3)
    ]


def test_a_burst_whose_checksums_the_device_shall_make_is_none(on_host: Callable[..., Observation]) -> None:
    """IP sums up what it cuts by itself, so that these are packets of their own."""
    assert [journey.part for journey in on_host(BURST.format(sums="ip_summed=3")).journeys] == [None] * 3


@pytest.mark.parametrize(
    ("change", "mtu"),
    [
        (("", ""), 9000),  # they do not fill the device's frames
        ((" 582", " 1514"), 1500),  # nobody knows which one is the last
        (("20 0 7", "20 0 8"), 1500),  # another task sends
        (("1514", "1511"), 1500),  # no multiple of 8 octets
    ],
)
def test_what_is_not_cut_like_that_is_no_fragment(
    change: tuple[str, str], mtu: int, on_host: Callable[..., Observation]
) -> None:
    text = BURST.format(sums="ip_summed=0").replace(*change)
    assert [journey.part for journey in on_host(text, mtu).journeys] == [None] * 3


def test_a_packet_that_is_cut_is_not_lost(lines: Lines) -> None:
    """Nothing is queued there any more, and nothing is in doubt, although the device never sent it as it was."""
    found = seen(
        printed(
            lines(
                """
                10 0 7 net_dev_queue veth1 a0 2962
                11 0 7 net_dev_start_xmit veth1 a1 1514
                12 0 7 net_dev_xmit veth1 a1 1514 rc=0
                13 0 7 net_dev_start_xmit veth1 a2 1514
                14 0 7 net_dev_xmit veth1 a2 1514 rc=0
                """
            )
        )
    )
    whole, first, second = found.journeys
    assert (whole.ending, whole.outcome, whole.cut_into) == (Ending.CUT, Outcome.DIVIDED, (first.line, second.line))
    assert [journey.begins_midway for journey in found.journeys] == [False] * 3
