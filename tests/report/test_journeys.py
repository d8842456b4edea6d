"""Journeys in reports: as text, and as a timeline."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netdiag.analysis import analyze
from netdiag.journeys.observed import Observation
from netdiag.report import render
from netdiag.report.drawings.journeys import draw
from netdiag.report.journeys_text import lines, notable
from netdiag.report.snippet import Look
from netdiag.results import Analysis

SEED = Path(__file__).parents[2] / "samples" / "bundles" / "seed"
PLAIN = Look(colour=False, width=100, unicode=True)


@pytest.fixture(scope="module")
def seed() -> Analysis:
    return analyze(SEED)


@pytest.fixture(scope="module")
def ping(seed: Analysis) -> Observation:
    return seed.journeys[1]


def test_a_ping_hop_by_hop(ping: Observation) -> None:
    assert [*lines(ping, PLAIN)] == [
        "packets in perf_trace.txt: 2 packets in 61.000 us",
        "  docker0 -> veth7233136 -> container static_site eth0: 1 x 22.000 us; 1 handed up; 1 answered",
        "      in 61.000 us",
        "  container static_site eth0 -> veth7233136 -> docker0: 1 x 18.000 us; 1 handed up",
        "",
        "line 1: packet of 98 bytes from docker0 to container static_site eth0: received after 22.000 us",
        "       0.000 ms    +0.011  sends     docker0",
        "       0.011 ms    +0.003  sends     veth7233136",
        "       0.014 ms    +0.008  receives  container static_site eth0",
        "       0.022 ms            ends      handed up",
        "",
        "line 8: packet of 98 bytes from container static_site eth0 to docker0: received after 18.000 us,",
        "        answers line 1 (round trip 61.000 us)",
        "       0.043 ms    +0.002  sends     container static_site eth0",
        "       0.045 ms    +0.014  receives  veth7233136",
        "       0.059 ms    +0.002  receives  docker0",
        "       0.061 ms            ends      handed up",
    ]


def test_no_line_is_wider_than_the_terminal(ping: Observation) -> None:
    narrow = Look(colour=False, width=50, unicode=False)
    shown = [*lines(ping, narrow)]
    assert [line for line in shown if len(line) > 50] == []
    assert all(line.isascii() for line in shown)


def test_what_freed_a_packet_is_written_out() -> None:
    sample = SEED.parents[1] / "formats" / "tracefs_trace" / "linux6.12-events.txt"
    shown = [*lines(analyze(sample).journeys[0], PLAIN)]
    assert "       0.607 ms            ends      consume_skb  CPU 0 ping" in shown
    assert "       0.777 ms            ends      kfree_skb  CPU 0 ping" in shown


def test_what_got_lost_is_shown_before_what_arrived(ping: Observation) -> None:
    request, reply = ping.journeys
    lone = replace(reply, line=3, answers=None)
    assert notable(replace(ping, journeys=(request, lone, reply)), 2) == (request, reply)


def test_the_timeline_has_a_lane_for_each_namespace(ping: Observation) -> None:
    root = ElementTree.fromstring(draw(ping.journeys, "ping"))
    kinds = [(element.get("class") or "") for element in root.iter()]
    assert sum("d-lane" in kind for kind in kinds) == 2
    assert sum("d-hop" in kind for kind in kinds) == 6
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in ("docker0", "veth7233136", "container static_site eth0")] == [
        "docker0",
        "veth7233136",
        "container static_site eth0",
    ]


def test_nothing_in_the_timeline_is_outside_of_it(ping: Observation) -> None:
    root = ElementTree.fromstring(draw(ping.journeys, "ping"))
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y = float(box.attrib["x"]), float(box.attrib["y"])
        assert 0 <= x <= x + float(box.attrib["width"]) <= width
        assert 0 <= y <= y + float(box.attrib["height"]) <= height


def test_hostile_names_are_only_text(ping: Observation) -> None:
    name = "</title><script>alert(1)</script>\x1b[2J"
    hostile = [
        replace(
            journey, hops=tuple(replace(hop, where=replace(hop.where, device=name, name=name)) for hop in journey.hops)
        )
        for journey in ping.journeys
    ]
    drawn = draw(hostile, name)
    assert "<script" not in drawn
    assert "\x1b" not in drawn
    ElementTree.fromstring(drawn)
    shown = "\n".join(lines(replace(ping, journeys=tuple(hostile)), PLAIN))
    assert "\x1b" not in shown


def test_the_page_has_the_timeline_and_the_paths(seed: Analysis) -> None:
    page = render(seed, "html").decode()
    section = page[page.index('<section id="journeys"') :]
    assert 'class="journey"' in section
    assert re.search(r"1 in 61\.000 us", section)
    assert 'href="#journeys"' in page


def test_a_bundle_without_traces_has_no_such_section(seed: Analysis) -> None:
    page = render(replace(seed, journeys=()), "html").decode()
    assert "journeys" not in page
