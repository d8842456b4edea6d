"""A machine on which everything takes a hundred times as long: the same packets are found, by what follows what."""

import re
from dataclasses import replace
from pathlib import Path

import known_ways
import pytest
from known_ways import Comparison
from packets import Kernel

from netdiag.analysis import analyze
from netdiag.journeys.observed import Observation
from netdiag.journeys.observed._tell import observe
from netdiag.spans import Source
from netdiag.traces import read_table

from .test_known_ways import TRUTHS, bundle_of
from .test_truth import PACKETS, Score, score

_TIME = re.compile(r"(\] +)(\d+)\.(\d{9}):")


def slowed(text: str, times: int) -> str:
    """A text of perf whose clock goes so many times as fast."""

    def later(found: re.Match[str]) -> str:
        time = (int(found[2]) * 1_000_000_000 + int(found[3])) * times
        return f"{found[1]}{time // 1_000_000_000}.{time % 1_000_000_000:09d}:"

    return _TIME.sub(later, text)


def on_a_slow_machine(bundle: Path, times: int) -> Observation:
    host = analyze(bundle).host
    (source,) = (trace.table.source for trace in host.traces.traces if trace.table.format == "perf_script")
    text = slowed("".join(f"{line}\n" for line in source.lines), times)
    return observe(read_table(Source(source.path, text, format="perf_script")), host)


@pytest.mark.usefixtures("all_packets_are_kept")
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda path: path.name.removesuffix(".truth.json"))
def test_every_packet_is_found_on_the_way_that_it_took(truth: Path) -> None:
    sent = known_ways.read(truth)
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
