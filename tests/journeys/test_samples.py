"""Journeys out of real traces: the same two packets of a ping, as every tool and version prints them."""

import json
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Confidence
from netdiag.journeys import observations
from netdiag.journeys.observed import Ending, Join, Observation, Outcome
from netdiag.journeys.observed._tell import observe
from netdiag.report import render

from .conftest import SAMPLES, bare_host, packets, table


@pytest.fixture(scope="module")
def seed() -> Observation:
    host = analyze(SAMPLES / "bundles" / "seed").host
    (found,) = (each for each in observations(host) if each.format == "perf_trace")
    return found


def test_the_ping_of_the_seed_goes_to_the_container_and_comes_back(seed: Observation) -> None:
    request, reply = seed.journeys
    assert [hop.where.text for hop in request.hops] == ["docker0", "veth7233136", "container static_site eth0"]
    assert [hop.where.text for hop in reply.hops] == ["container static_site eth0", "veth7233136", "docker0"]
    assert (seed.since_begin(request.start), seed.since_begin(request.arrived)) == (0.0, 0.022)
    assert (seed.since_begin(reply.start), seed.since_begin(reply.arrived)) == (0.043, 0.061)
    assert (reply.answers, reply.round_trip) == (request.line, 61_000)
    assert [hop.latency for hop in request.hops] == [11_000, 3_000, 8_000]
    assert [request.outcome, reply.outcome] == [Outcome.RECEIVED, Outcome.RECEIVED]
    assert (seed.packets, seed.losses, seed.drops) == (2, (), ())


def test_it_is_told_why_the_events_are_one_packet(seed: Observation) -> None:
    request, reply = seed.journeys
    assert [hop.join for hop in request.hops] == [Join.NEVER, Join.WITHIN_SEND, Join.CROSSED]
    assert [hop.join for hop in reply.hops] == [Join.NEVER, Join.CROSSED, Join.HANDED_UP]
    assert {request.confidence, reply.confidence} == {Confidence.HIGH}


def test_it_is_told_why_eth0_is_the_containers(seed: Observation) -> None:
    where = seed.journeys[0].hops[-1].where
    assert (where.name, where.confidence, where.why) == (
        "container static_site",
        Confidence.MEDIUM,
        "the only running container",
    )


def test_what_was_not_recorded_is_known(seed: Observation) -> None:
    assert seed.recorded == {
        "net_dev_queue": 3,
        "net_dev_xmit": 3,
        "netif_receive_skb": 3,
        "netif_receive_skb_entry": 1,
        "netif_rx": 2,
    }


WHOLE_PINGS = [
    *("perf_trace/debian11-perf5.10-linux6.18.txt", "perf_trace/debian11-perf5.10-linux6.18-libtraceevent.txt"),
    *("perf_trace/debian12-perf6.1-linux6.18.txt", "perf_trace/debian13-perf6.12-linux6.18.txt"),
    "perf_trace/debian12-perf6.1-linux6.18-system-calls.txt",
]


@pytest.mark.parametrize("name", WHOLE_PINGS)
def test_a_ping_over_a_veth_pair_is_two_packets(name: str) -> None:
    found = observe(table(SAMPLES / "formats" / name), bare_host())
    request, reply = found.journeys
    assert [hop.where.device for hop in request.hops] == [hop.where.device for hop in reply.hops][::-1]
    assert reply.answers == request.line
    assert {request.ending, reply.ending} == {Ending.HANDED_UP}
    assert {join.join for join in (*request.hops, *reply.hops)} == {Join.NEVER, Join.CROSSED}


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("perf_script/debian12-perf6.1-linux6.18-without-stacks.txt", ("trx0", "trx1")),
        ("perf_trace/debian12-perf6.1-linux6.18-libtraceevent.txt", ("trx0", "trx1")),
        ("tracefs_trace/linux6.12-events.txt", ("v0", "v1")),
    ],
)
def test_with_the_events_of_skbs_the_ends_are_known_too(name: str, devices: tuple[str, str]) -> None:
    """The address of the request is given to the copy of the reply that ping reads: that is no end of the request."""
    one, other = devices
    found = observe(table(SAMPLES / "formats" / name), bare_host())
    assert packets(found) == [f"{one} >{other}: consumed", f"{other} >{one}: consumed"]
    assert [(drop.reason.benign, drop.printed, drop.count) for drop in found.drops] == [(True, "NO_SOCKET", 1)]
    assert found.round_trips[0].count == 1


def test_a_trace_that_ends_between_two_events_leaves_the_rest_open() -> None:
    found = observe(
        table(SAMPLES / "formats" / "perf_trace" / "debian12-perf6.1-linux6.18-show-zeros.txt"), bare_host()
    )
    assert packets(found) == ["trx0 >trx1: handed up", "trx1: queued"]
    assert found.journeys[1].doubt == "the capture ended right after"


def test_devices_without_names_are_no_names() -> None:
    """Perf 7.2 prints where the name is kept, a number that is another one in each event."""
    found = observe(table(SAMPLES / "formats" / "perf_trace" / "sid-perf7.2-linux6.18.txt"), bare_host())
    assert [[hop.where.text for hop in each.hops] for each in found.journeys] == [["a device without a name"] * 2] * 2


TRACES = sorted(
    path
    for name in ("perf_trace", "perf_script", "trace_cmd_report", "tracefs_trace")
    for path in (SAMPLES / "formats" / name).glob("*.txt")
)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_packet_of_a_sample_jumps(path: Path) -> None:
    """What holds for every journey: its events are in order, each has one skb, and its numbers add up."""
    trace = table(path)
    found = observe(trace, bare_host())
    events = trace.events()
    skb_of = dict(zip(events["line"], events["skb"], strict=True))
    for journey in found.journeys:
        steps = [step for hop in journey.hops for step in hop.steps]
        assert len({skb_of[step.line] for step in steps}) == 1
        assert sum(hop.latency for hop in journey.hops) == journey.time
        assert [hop.start for hop in journey.hops] == sorted(hop.start for hop in journey.hops)
    assert sum(each.count for each in found.paths) + found.not_in_paths == found.packets


def test_the_json_report_has_the_journeys_of_the_seed() -> None:
    made = json.loads(render(analyze(SAMPLES / "bundles" / "seed"), "json"))
    by_source = {each["source"]: each for each in made["journeys"]}
    assert list(by_source) == ["perf_script.txt", "perf_trace.txt"]
    request, reply = by_source["perf_trace.txt"]["journeys"]
    assert [hop["where"]["name"] for hop in request["hops"]] == ["", "", "container static_site"]
    assert (request["outcome"], request["ending"], reply["round_trip"]) == ("received", "handed up", 61_000)
