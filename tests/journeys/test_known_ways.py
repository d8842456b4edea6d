"""Whole bundles of real hosts whose traffic is known: the journeys that are found are the packets that were sent."""

from dataclasses import replace
from pathlib import Path

import known_ways
import pytest
import sent_packets
from known_ways import Comparison

from netdiag.analysis import analyze
from netdiag.journeys import observations

BUNDLES = Path(__file__).parents[2] / "samples" / "bundles"
TRUTHS = sorted(BUNDLES.glob("journey-*.truth.json"))


def bundle_of(truth: Path) -> Path:
    return truth.with_name(truth.name.replace(".truth.json", ".tar.gz"))


@pytest.mark.usefixtures("all_packets_are_kept")
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda path: path.name.removesuffix(".truth.json"))
def test_every_packet_is_found_on_the_way_that_it_took(truth: Path) -> None:
    sent = sent_packets.read(truth)
    host = analyze(bundle_of(truth)).host
    found = known_ways.compare(sent, [journey for seen in observations(host) for journey in seen.journeys])
    assert found == Comparison(sent=len(sent), found=len(sent), missing=(), wrong=(), mixed=())


def test_a_packet_that_went_another_way_is_told() -> None:
    truth = TRUTHS[0]
    first, *others = sent_packets.read(truth)
    host = analyze(bundle_of(truth)).host
    journeys = [journey for seen in observations(host) for journey in seen.journeys]
    found = known_ways.compare([replace(first, way=first.way[::-1]), *others], journeys)
    assert (len(found.missing), len(found.wrong)) == (1, 1)
