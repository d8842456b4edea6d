"""Call trees on the page: only where a trace has them, with what one must know to read them."""

import re
from pathlib import Path

import pytest

from netdiag.analysis import analyze_bundle
from netdiag.bundle import Bundle
from netdiag.report import _calls, html
from netdiag.results import Analysis
from netdiag.spans import Source

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"


def analysis_of(*texts: tuple[str, str]) -> Analysis:
    sources = tuple(Source(f"trace/{number}.txt", text, format=name) for number, (name, text) in enumerate(texts))
    return analyze_bundle(Bundle("b", "web01", "", "", sources))


@pytest.fixture(scope="module")
def lossy() -> Analysis:
    file = SAMPLES / "trace_cmd_report" / "debian12-trace-cmd3.1.6-linux6.12-lost-events.txt"
    stacks = SAMPLES / "perf_script" / "debian12-perf6.1-linux6.18-cpu-clock-stacks.txt"
    return analysis_of(("perf_script", stacks.read_text()), ("trace_cmd_report", file.read_text()))


def test_the_page_has_each_call_tree_with_its_drawing_and_its_doubts(lossy: Analysis) -> None:
    page = html.render(lossy)
    assert [view.title for view in _calls.views(lossy, _calls.PAGE)] == [
        "Calls that were traced: trace/1.txt",
        "Call stacks at cpu-clock:ppp: trace/0.txt",
    ]
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200') == 2
    assert "Events are missing at 2 places of the trace: nothing is joined across them." in page
    assert "16 calls seen in part count only with what was seen in them." in page
    assert '<a href="#calls">Calls</a>' in page


def test_the_policy_of_the_page_knows_the_script_of_the_drawings(lossy: Analysis) -> None:
    page = html.render(lossy)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert "svg.flame" in script
    assert f"script-src '{html._hash(script)}'" in page
    assert f"style-src '{html._hash(style)}'" in page


def test_a_page_without_call_trees_has_nothing_of_them(analysis: Analysis) -> None:
    page = html.render(analysis)
    assert "#calls" not in page
    assert "flame" not in page


def test_the_hottest_path_comes_first(lossy: Analysis) -> None:
    first = _calls.views(lossy, _calls.PAGE)[0].hottest[0]
    assert (first.share, first.own, first.calls, first.path) == (
        "17.2%",
        "2.853\N{NO-BREAK SPACE}us",
        "1",
        ("[unknown]", "[unknown]", "pick_eevdf"),
    )


def test_there_is_room_for_some_trees_only() -> None:
    event = "ping 7 [000] 1.000001: net:event_{}: len=1\n    ffffffff81 outer ([kernel.kallsyms])\n\n"
    many = analysis_of(("perf_script", "".join(event.format(number) for number in range(11))))
    assert len(_calls.views(many, _calls.PAGE)) == _calls.PAGE.trees
    assert _calls.not_shown(many, _calls.PAGE) == 3
    assert "3 more call trees: <code>netdiag trace</code> shows all." in html.render(many)


def test_hostile_names_of_functions_stay_text() -> None:
    text = "  a-1  [000] 1.000001: funcgraph_entry:  1.000 us  |  </title><script>alert(1)</script>\x1b[2J();\n"
    page = html.render(analysis_of(("trace_cmd_report", text)))
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "&lt;/title&gt;&lt;script" in page


def test_the_page_says_where_packets_did_not_go_on() -> None:
    call = ("entry:            |  ip_forward() {", "entry:  1.000 us  |    {}();", "exit:   2.000 us  |  }")
    lines = [*call, *call]
    lines[1], lines[4] = (line.replace("{}", name) for line, name in ((call[1], "ip_output"), (call[1], "kfree_skb")))
    text = "".join(f"  a-1  [000] 1.{number:06}: funcgraph_{line}\n" for number, line in enumerate(lines))
    page = html.render(analysis_of(("trace_cmd_report", text)))
    assert '<td class="number">1 of 2</td><td>ip_forward</td><td>kfree_skb (1)</td>' in page
