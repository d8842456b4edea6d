"""Whole bundles of real hosts whose traffic is known: the journeys that are found are the packets that were sent."""

from dataclasses import replace
from pathlib import Path

import known_ways
import pytest
import sent_packets
from known_ways import Comparison

from netdiag.analysis import analyze
from netdiag.journeys import observations
from netdiag.journeys.observed import Ending

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


@pytest.mark.usefixtures("all_packets_are_kept")
def test_with_all_events_all_data_of_a_connection_is_read_by_a_process() -> None:
    truth = BUNDLES / "journey-all-events-tcp.truth.json"
    ethernet = 14
    with_data = {each.octets + ethernet for each in sent_packets.read(truth)}
    (seen,) = observations(analyze(bundle_of(truth)).host)
    endings = [each.ending for each in seen.journeys if each.hops[0].steps[0].length in with_data]
    assert endings == [Ending.COPIED] * len(sent_packets.read(truth))


def test_with_all_events_no_drop_but_that_of_the_rule_is_trouble() -> None:
    (seen,) = observations(analyze(BUNDLES / "journey-all-events-docker-user.tar.gz").host)
    assert [(drop.reason.name, drop.count) for drop in seen.drops if not drop.reason.benign] == [("NETFILTER_DROP", 5)]
