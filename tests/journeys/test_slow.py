"""A machine on which everything takes a hundred times as long: the same packets are found, by what follows what."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import known_ways
import pytest
import sent_packets
from known_ways import Comparison
from packets import Kernel

from netdiag.analysis import analyze
from netdiag.journeys.observed import Observation, Outcome
from netdiag.journeys.observed._tell import observe
from netdiag.spans import Source
from netdiag.traces import read_table

from .conftest import Event, printed, seen
from .test_known_ways import TRUTHS, bundle_of
from .test_truth import PACKETS, Score, score

_TIME = re.compile(r"(\] +)(\d+)\.(\d{9}):")


def slowed(text: str, times: int) -> str:
    """A text of perf or trace-cmd whose clock goes so many times as fast."""

    def later(found: re.Match[str]) -> str:
        time = (int(found[2]) * 1_000_000_000 + int(found[3])) * times
        return f"{found[1]}{time // 1_000_000_000}.{time % 1_000_000_000:09d}:"

    return _TIME.sub(later, text)


def on_a_slow_machine(bundle: Path, times: int) -> Observation:
    host = analyze(bundle).host
    (table,) = (trace.table for trace in host.traces.traces if "/functions-" not in trace.source.path)
    source = table.source
    text = slowed("".join(f"{line}\n" for line in source.lines), times)
    return observe(read_table(Source(source.path, text, format=table.format)), host)


@pytest.mark.usefixtures("all_packets_are_kept")
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda path: path.name.removesuffix(".truth.json"))
def test_every_packet_is_found_on_the_way_that_it_took(truth: Path) -> None:
    sent = sent_packets.read(truth)
    found = known_ways.compare(sent, on_a_slow_machine(bundle_of(truth), 100).journeys)
    assert found == Comparison(sent=len(sent), found=len(sent), missing=(), wrong=(), mixed=())


@pytest.mark.parametrize("times", [100, 10_000])
@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_no_packet_goes_the_way_of_two(seed: int, times: int, *, returns: bool) -> None:
    kernel = Kernel(seed, returns=returns)
    kernel.run(PACKETS)
    found = score([replace(event, time=event.time * times) for event in kernel.events], with_model=True)
    assert found == Score(missed=0, wrong=0, there=found.there)


def test_where_packets_take_long_the_end_of_the_capture_hides_more(lines: Callable[[str], list[Event]]) -> None:
    """Each packet waits half a second in the queue; the last one was given to it 0.2 s before the end."""
    wait = """
    {at}000000 0 7 net_dev_queue ens3 a{at} 98
    {at}500000 1 0 net_dev_start_xmit ens3 a{at} 98
    {at}500001 1 0 netif_rx ens4 a{at} 84
    {at}500002 1 0 net_dev_xmit ens3 a{at} 98 rc=0
    """
    waits = "".join(wait.format(at=at) for at in range(1, 5))
    last = "5000000 0 7 net_dev_queue ens3 b0 98\n5200000 0 7 netif_receive_skb lo c0 60\n"
    found = seen(printed(lines(waits + last)))
    assert [journey.doubt for journey in found.journeys if journey.outcome is Outcome.UNKNOWN][-1:] == [
        "the capture ended right after"
    ]
