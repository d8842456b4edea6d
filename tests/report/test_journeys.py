"""Journeys in reports: as text, and as a timeline."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Confidence
from netdiag.journeys.observed import Ending, Join, Observation, Outcome
from netdiag.report import pdf, render
from netdiag.report._journeys import PAGE, JourneysView
from netdiag.report.drawings.journeys import draw
from netdiag.report.journeys_text import headline, lines, notable
from netdiag.report.snippet import Look
from netdiag.results import Analysis

BUNDLES = Path(__file__).parents[2] / "samples" / "bundles"
SEED = BUNDLES / "seed"
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
        "  docker0 -> veth7233136 -> container static_site eth0: 1 packet in 22.000 us; 1 received; 1",
        "      answered after 61.000 us",
        "  container static_site eth0 -> veth7233136 -> docker0: 1 packet in 18.000 us; 1 received",
        "",
        "line 1: packet of 98 bytes from docker0 to container static_site eth0: received after 22.000 us",
        "       0.000 ms    +0.011  sends     docker0",
        "       0.011 ms    +0.003  sends     veth7233136",
        "       0.014 ms    +0.008  receives  container static_site eth0",
        "       0.022 ms            ends      received",
        "",
        "line 8: packet of 98 bytes from container static_site eth0 to docker0: received after 18.000 us,",
        "        answers line 1 (round trip 61.000 us)",
        "       0.043 ms    +0.002  sends     container static_site eth0",
        "       0.045 ms    +0.014  receives  veth7233136",
        "       0.059 ms    +0.002  receives  docker0",
        "       0.061 ms            ends      received",
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


def test_what_was_dropped_is_drawn_until_then() -> None:
    (seen,) = analyze(BUNDLES / "journey-docker-user.tar.gz").journeys
    (dropped,) = (journey for journey in seen.journeys if journey.line == 25)
    root = ElementTree.fromstring(draw([dropped], "dropped"))
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{name}text")][-2:] == ["3.313 us", "dropped"]
    *_, last = root.iter(f"{name}title")
    assert (
        last.text
        == "br-8107cdc39525 receives: 1.146 us until the next step (netif_receive_skb_entry, netif_receive_skb)"
    )
    assert headline(dropped).endswith("dropped after 3.313 us, a rule of the firewall dropped it")


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


# --- packets that are alike -------------------------------------------------------------------------------------------


def told(observation: Observation, drawings: int = 12) -> list[tuple[str, str, list[int]]]:
    """What stands over each drawing, and the lines of the packets in it."""
    (view,) = [JourneysView(observation, "journeys-1", replace(PAGE, drawings=drawings))]
    return [(each.kind.value, each.title, [journey.line for journey in each.drawn]) for each in view.alike]


def test_packets_that_took_one_way_to_one_end_are_told_once() -> None:
    (dropped,) = analyze(BUNDLES / "journey-docker-user.tar.gz").journeys
    assert told(dropped) == [("lost", "5 packets dropped: a rule of the firewall dropped it", [25])]
    (view,) = JourneysView(dropped, "", PAGE).alike
    assert view.spread == "2.751 us to 46.481 us, median 3.313 us"


def test_what_was_slow_is_told_apart_and_an_answer_stands_beside_its_question() -> None:
    (shop,) = analyze(BUNDLES / "journey-tcp-by-loopback.tar.gz").journeys
    assert told(shop) == [
        ("slow", "1 packet received, but slowly: the median of this way is 1.892 us", [1]),
        ("usual", "16 packets received", [128]),
        ("usual", "10 packets received", [212, 223]),
        ("usual", "1 packet dropped: the queue of a socket was emptied when it was closed", [320]),
    ]
    answered = JourneysView(shop, "", PAGE).alike[2]
    assert answered.answers == (
        "6 answered by container shop eth0 -> vethb3bf1cf -> docker0, 1 of them perhaps; there and back in "
        "9.791 us to 167.318 us, median 17.250 us"
    )


def test_what_is_worth_a_look_is_drawn_before_all_else() -> None:
    (queue,) = analyze(BUNDLES / "journey-full-queue.tar.gz").journeys
    assert [title for _, title, _ in told(queue, drawings=3)] == [
        "5 packets dropped: the queue of the device dropped it",
        "3 packets dropped: no socket listens there",
        "5 packets received",
    ]


def test_packets_are_counted_also_when_few_of_them_are_kept_whole() -> None:
    """The numbers come from the paths and the drops then; of what those do not tell there may be more."""
    (shop,) = analyze(BUNDLES / "journey-tcp-by-loopback.tar.gz").journeys
    few = replace(shop, journeys=tuple(each for each in shop.journeys if each.line in (1, 30, 212, 223, 320)))
    assert [title for _, title, _ in told(few)] == [
        "at least 1 packet received, but slowly: the median of this way is 1.892 us",
        "10 packets received",
        "1 packet dropped: the queue of a socket was emptied when it was closed",
    ]
    (view,) = [each for each in JourneysView(few, "", PAGE).alike if each.count == 10]
    assert view.spread == "2.184 us to 12.780 us, median 2.814 us"


def test_what_may_have_arrived_unseen_is_not_called_lost(ping: Observation) -> None:
    request = ping.journeys[0]
    for doubt, kind in (("", "lost"), ("events were lost meanwhile", "doubtful")):
        lost = replace(request, ending=Ending.CROSSING, outcome=Outcome.UNKNOWN, doubt=doubt)
        ((seen, title, _),) = told(replace(ping, packets=1, journeys=(lost,)))
        assert seen == kind
        assert title == f"1 packet not seen to arrive: last seen crossing{f' ({doubt})' if doubt else ''}"


def test_a_join_that_is_not_certain_is_told(ping: Observation) -> None:
    request = ping.journeys[0]
    (view,) = JourneysView(replace(ping, packets=1, journeys=(request,)), "", PAGE).alike
    assert view.unsure == ""
    hops = (*request.hops[:-1], replace(request.hops[-1], join=Join.PEERS))
    unsure = replace(request, hops=hops, confidence=Confidence.MEDIUM)
    (view,) = JourneysView(replace(ping, packets=1, journeys=(unsure,)), "", PAGE).alike
    assert view.unsure == "received at the other end of a veth pair"


def test_only_what_is_usual_is_folded_and_paper_folds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = analyze(BUNDLES / "journey-full-queue.tar.gz")
    page = render(queue, "html").decode()
    assert re.findall(r'<details class="packet (\w+)"( open)?>', page) == [
        ("lost", " open"),
        ("lost", " open"),
        ("usual", " open"),
        *[("usual", "")] * 9,
    ]
    texts: list[str] = []
    monkeypatch.setattr(pdf, "print_html", lambda text: texts.append(text) or b"%PDF-")
    render(queue, "pdf")
    assert re.findall(r'<(\w+) class="packet (\w+)"', texts[0]) == [
        ("figure", "lost"),
        ("figure", "lost"),
        ("figure", "usual"),
    ]


def test_the_page_has_the_timeline_and_the_paths(seed: Analysis) -> None:
    page = render(seed, "html").decode()
    section = page[page.index('<section id="journeys"') :]
    assert 'class="journey"' in section
    assert re.search(r"1 in 61\.000 us", section)
    assert 'href="#journeys"' in page


def test_a_bundle_without_traces_has_no_such_section(seed: Analysis) -> None:
    page = render(replace(seed, journeys=()), "html").decode()
    assert "journeys" not in page
