"""Flame graphs: frames stand where their time says, and are legible for everybody."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netdiag import formats
from netdiag.journeys.callgraph import CallTree, call_graphs
from netdiag.report import html
from netdiag.report.drawings import flame
from netdiag.spans import Source
from netdiag.traces import table_of

SAMPLES = Path(__file__).parents[2] / "samples" / "formats"
SVG = "{http://www.w3.org/2000/svg}"


def tree_of(text: str, name: str = "trace_cmd_report") -> CallTree:
    (graph,) = call_graphs(table_of(formats.get(name).read(Source("trace.txt", text))))
    return graph.tree


@pytest.fixture(scope="module")
def seed() -> CallTree:
    return tree_of((SAMPLES / "trace_cmd_report" / "seed.txt").read_text(encoding="utf-8"))


def frames(svg: str) -> list[tuple[str, int, float, float, str]]:
    """Name, depth, left, width and title of each frame."""
    return [
        (
            group.attrib["data-name"],
            int(group.attrib["data-depth"]),
            float(box.attrib["x"]),
            float(box.attrib["width"]),
            group.findtext(f"{SVG}title") or "",
        )
        for group in ElementTree.fromstring(svg).iter(f"{SVG}g")
        if "data-name" in group.attrib
        for box in group.iter(f"{SVG}rect")
    ]


def test_frames_are_as_wide_as_their_time(seed: CallTree) -> None:
    drawn = {name: (depth, left, width) for name, depth, left, width, _ in frames(flame.draw(seed, "seed"))}
    assert drawn["dev_queue_xmit"] == (0, 0.0, 1200.0)
    assert drawn["__dev_queue_xmit"] == (1, 0.0, pytest.approx(1200 * 14_572 / 15_500, abs=0.001))
    assert drawn["validate_xmit_skb.isra.105.part.106"][1] == pytest.approx(1200 * 7_956 / 15_500, abs=0.001)


def test_no_frame_lies_over_another_and_each_lies_within_its_caller(seed: CallTree) -> None:
    drawn = frames(flame.draw(seed, "seed"))
    around: list[tuple[float, float]] = []
    reached: dict[int, float] = {}
    for _, depth, left, width, _ in drawn:
        del around[depth:]
        assert left >= reached.get(depth, 0.0) - 0.002
        if around:
            assert left >= around[-1][0] - 0.002
            assert left + width <= around[-1][1] + 0.002
        reached[depth] = left + width
        around.append((left, left + width))


def test_each_frame_says_in_its_title_what_it_is(seed: CallTree) -> None:
    titles = {name: title for name, _, _, _, title in frames(flame.draw(seed, "seed"))}
    assert titles["__dev_queue_xmit"] == "__dev_queue_xmit: 14.572 us (94.0%), 3.753 us of its own, 1 call"


def test_the_frames_that_took_most_are_drawn_with_all_above_them(seed: CallTree) -> None:
    drawn = [name for name, *_ in frames(flame.draw(seed, "seed", most=3))]
    assert drawn == ["dev_queue_xmit", "__dev_queue_xmit", "dev_hard_start_xmit"]
    assert flame.left_out(seed, most=3) == 21
    assert {depth for _, depth, *_ in frames(flame.draw(seed, "seed", rows=2))} == {0, 1}


def test_names_of_a_trace_are_escaped_and_made_visible() -> None:
    tree = tree_of("  a-1  [000] 1.000001: funcgraph_entry:  1.000 us  |  <script>&\"'\x1b[2J();\n")
    svg = flame.draw(tree, "a < b")
    (drawn,) = frames(svg)
    assert drawn[0] == "<script>&\"'\\x1b[2J"
    assert "<script" not in svg
    assert "\x1b" not in svg


def test_a_tree_without_time_is_not_drawn() -> None:
    assert flame.draw(tree_of("  a-1  [000] 1.000001: funcgraph_entry:     |  f() {\n"), "") == ""


def test_a_name_has_one_colour() -> None:
    assert flame.colour_of("ip_rcv") == flame.colour_of("ip_rcv.isra.0")
    assert len({flame.colour_of(f"function_{number}") for number in range(100)}) == len(flame.PALETTE) - 1
    assert flame.colour_of("[interrupt]") == len(flame.PALETTE) - 1


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_text_stands_out_from_every_fill_in_light_and_dark() -> None:
    dark = dict(re.findall(r"\.flame \.f(\d) \{ fill: (#\w+); \}", html.asset("flame.css")))
    (ink,) = re.findall(r"\.flame text \{ fill: (#\w+); \}", html.asset("flame.css"))
    assert sorted(map(int, dark)) == list(range(len(flame.PALETTE)))
    assert [fill for fill in flame.PALETTE if contrast(fill, "#1b1f24") < 7] == []
    assert [fill for fill in dark.values() if contrast(fill, ink) < 7] == []
