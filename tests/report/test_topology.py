"""The topology drawing, measured: what is drawn, that nothing overlaps, and that trouble and ignorance are marked."""

import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from netdiag.finding import Confidence, Evidence, Finding, Severity, Subject
from netdiag.model import Extent, Facts
from netdiag.report.drawings import topology
from netdiag.results import Analysis

SVG = "{http://www.w3.org/2000/svg}"
BADGE_RADIUS = 9.5


@dataclass(frozen=True)
class Area:
    """A rectangle of the drawing and what is in it."""

    name: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Area") -> bool:
        apart = (
            self.right <= other.left or other.right <= self.left or self.bottom <= other.top or other.bottom <= self.top
        )
        return not apart

    def holds(self, other: "Area") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def read(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def size(drawing: ET.Element) -> tuple[float, float]:
    _, _, width, height = drawing.attrib["viewBox"].split()
    return float(width), float(height)


def boxes(drawing: ET.Element, *kinds: str) -> list[Area]:
    """The boxes of some kinds, by default all but the frame around the host's own namespace."""
    found = []
    for rect in drawing.iter(f"{SVG}rect"):
        kind = rect.attrib["class"].split()[1]
        if kind in [f"d-{name}" for name in kinds] or (not kinds and kind != "d-frame"):
            x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            found.append(Area(kind, x, y, x + width, y + height))
    return found


def labels(drawing: ET.Element) -> list[Area]:
    """The texts as large as they are in the widest usual typeface: 0.61 of their size for each column."""
    found = []
    for text in drawing.iter(f"{SVG}text"):
        words, height = text.text or "", float(text.attrib["font-size"])
        columns = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in words)
        x, baseline = float(text.attrib["x"]), float(text.attrib["y"])
        width = 0.61 * height * columns
        x -= width if text.attrib.get("text-anchor") == "end" else 0
        found.append(Area(words, x, baseline - 0.8 * height, x + width, baseline + 0.22 * height))
    return found


def badges(drawing: ET.Element) -> list[Area]:
    found = []
    for group in drawing.iter(f"{SVG}g"):
        if "d-badge" not in group.attrib["class"].split():
            continue
        place = re.fullmatch(r"translate\((\S+) (\S+)\)", group.attrib["transform"])
        assert place
        x, y = float(place[1]), float(place[2])
        found.append(Area("badge", x - BADGE_RADIUS, y - BADGE_RADIUS, x + BADGE_RADIUS, y + BADGE_RADIUS))
    return found


def wires(drawing: ET.Element) -> list[tuple[tuple[float, float], tuple[float, float], bool]]:
    """Beginning, end and whether it is dashed, of each wire."""
    found = []
    for path in drawing.iter(f"{SVG}path"):
        if "d-wire" in path.attrib.get("class", ""):
            steps = re.findall(r"([MHVC])([^MHVC]*)", path.attrib["d"])
            points = []
            x = y = 0.0
            for letter, words in steps:
                numbers = [float(word) for word in words.split()]
                if letter == "H":
                    x = numbers[0]
                elif letter == "V":
                    y = numbers[0]
                else:
                    x, y = numbers[-2:]
                points.append((x, y))
            found.append((points[0], points[-1], "stroke-dasharray" in path.attrib))
    return found


def text_of(drawing: ET.Element) -> str:
    return "\n".join(text.text or "" for text in drawing.iter(f"{SVG}text"))


def row_of(drawing: ET.Element, words: str) -> float:
    """The height at which the text that begins with `words` stands, in its middle."""
    return next(label.bottom + label.top for label in labels(drawing) if label.name.startswith(words)) / 2


def finding(severity: Severity, *subjects: Subject, like: Finding) -> Finding:
    evidence = (Evidence(like.evidence[0].span, "here"),)
    return Finding("check", severity, Confidence.HIGH, "t", "message", subjects, evidence, "", (), ())


@pytest.mark.parametrize("count", [3, 12, 60])
def test_no_box_overlaps_another(crowd: Callable[[int], Analysis], count: int) -> None:
    drawing = read(topology.draw(crowd(count).host, ()))
    found = boxes(drawing)
    assert len(boxes(drawing, "card")) == count
    assert [(one, other) for one, other in combinations(found, 2) if one.overlaps(other)] == []


@pytest.mark.parametrize("count", [3, 12, 60])
def test_no_text_overlaps_another_or_leaves_its_box(crowd: Callable[[int], Analysis], count: int) -> None:
    drawing = read(topology.draw(crowd(count).host, ()))
    texts, frames = labels(drawing), boxes(drawing)
    assert [(one, other) for one, other in combinations(texts, 2) if one.overlaps(other)] == []
    leaving = [(text, box) for text in texts for box in frames if text.overlaps(box) and not box.holds(text)]
    assert leaving == []


@pytest.mark.parametrize("count", [3, 12, 60])
def test_everything_is_inside_the_drawing(crowd: Callable[[int], Analysis], count: int) -> None:
    drawing = read(topology.draw(crowd(count).host, ()))
    whole = Area("drawing", 0, 0, *size(drawing))
    assert [area for area in [*boxes(drawing), *labels(drawing)] if not whole.holds(area)] == []


def test_the_drawing_grows_in_height_only(crowd: Callable[[int], Analysis]) -> None:
    sizes = [size(read(topology.draw(crowd(count).host, ()))) for count in (3, 12, 60)]
    assert [width for width, _ in sizes] == [topology.WIDTH] * 3
    assert sizes == sorted(sizes)


def test_no_wire_of_a_container_crosses_a_box_in_the_lane_of_the_veths(crowd: Callable[[int], Analysis]) -> None:
    """Beyond the left edge of the veths every wire is level, on the row of its own container."""
    drawing = read(topology.draw(crowd(60).host, ()))
    lane = boxes(drawing, "end")
    crossing = [
        (start, end, box)
        for start, end, _ in wires(drawing)
        for box in lane
        if start[0] <= box.left and end[0] >= box.right and box.top < end[1] < box.bottom
    ]
    assert crossing == []


def test_badges_cover_no_text(analysis: Analysis, hostile: Analysis) -> None:
    for case in (analysis, hostile):
        drawing = read(topology.draw(case.host, case.findings))
        assert badges(drawing)
        assert [(b, t) for b in badges(drawing) for t in labels(drawing) if b.overlaps(t)] == []


def test_what_was_read_from_the_kernel_is_drawn_solid(analysis: Analysis) -> None:
    """web - vethe9688ea - br-ebe28ba8b3d7: all three were seen."""
    drawing = read(topology.draw(analysis.host, ()))
    row = row_of(drawing, "vethe9688ea")
    ends = [(end[0], dashed) for _, end, dashed in wires(drawing) if abs(end[1] - row) < 2]
    (veth,) = [box for box in boxes(drawing, "end") if box.top < row < box.bottom]
    (card,) = [box for box in boxes(drawing, "card") if box.top < row < box.bottom]
    assert sorted(ends) == [(veth.left, False), (card.left, False)]


def test_what_only_docker_tells_is_dashed(analysis: Analysis) -> None:
    """The namespace of app was not collected: its address comes from docker inspect."""
    drawing = read(topology.draw(analysis.host, ()))
    row = row_of(drawing, "172.19.0.3/16")
    told = [dashed for _, end, dashed in wires(drawing) if abs(end[1] - row) < 2]
    assert told == [True, True]
    assert "its namespace is not in the bundle" in text_of(drawing)


def test_a_veth_without_a_bridge_has_no_wire_to_one(analysis: Analysis) -> None:
    drawing = read(topology.draw(analysis.host, ()))
    row = row_of(drawing, "veth2e334af · no bridge")
    (veth,) = [box for box in boxes(drawing, "end") if box.top < row < box.bottom]
    assert [end for _, end, _ in wires(drawing) if end == (veth.left, row)] == []


def test_a_port_whose_other_end_is_unknown_is_drawn_as_such(analysis: Analysis) -> None:
    drawing = read(topology.draw(analysis.host, ()))
    assert text_of(drawing).count("other end not in the bundle") == 2
    assert {"veth90ddfeb", "veth4e5d51d"} <= set(text_of(drawing).splitlines())


def test_a_bridge_that_is_not_among_all_links_is_missing_and_among_some_not_seen(analysis: Analysis) -> None:
    links = analysis.host.root.links
    without = replace(links, items=tuple(link for link in links if link.name != "br-7cd2356a9d4d"))
    for extent, words in ((Extent.WHOLE, "missing"), (Extent.PART, "not seen")):
        root = replace(analysis.host.root, links=replace(without, extent=extent))
        host = replace(analysis.host, namespaces=(root, *analysis.host.namespaces[1:]))
        shown = text_of(read(topology.draw(host, ())))
        assert f"br-7cd2356a9d4d · {words}" in shown
        assert "172.19.0.0/16 by Docker" in shown


def test_a_bundle_that_knows_nothing_says_so(bare: Analysis) -> None:
    shown = text_of(read(topology.draw(bare.host, ())))
    assert "192.168.41.2" in shown
    assert {"link not in the bundle", "ip_forward not in the bundle", "iptables not in the bundle"} <= set(
        shown.splitlines()
    )


def test_routes_that_are_not_known_are_not_drawn_as_missing(analysis: Analysis) -> None:
    root = replace(analysis.host.root, routes=Facts())
    host = replace(analysis.host, namespaces=(root, *analysis.host.namespaces[1:]))
    drawing = read(topology.draw(host, ()))
    assert "routes not known" in text_of(drawing)
    segments = {box.left for box in boxes(drawing, "segment")}
    assert {dashed for _, end, dashed in wires(drawing) if end[0] in segments} == {True}


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize(
    ("kind", "name", "box"),
    [
        ("container", "db", "card"),
        ("network", "back", "segment"),
        ("bridge", "br-0f1e2d3c4b5a", "segment"),
        ("interface", "veth2e334af", "end"),
        ("interface", "eth0", "uplink"),
        ("address", "172.19.0.0/16", "segment"),
        ("address", "172.18.0.2", "card"),
        ("sysctl", "net.ipv4.ip_forward", "router"),
        ("chain", "nat POSTROUTING", "router"),
    ],
)
def test_the_object_of_a_finding_is_outlined_and_leads_to_it(
    analysis: Analysis, severity: Severity, kind: str, name: str, box: str
) -> None:
    found = finding(severity, Subject(kind, name), like=analysis.findings[0])
    drawing = read(topology.draw(analysis.host, [found]))
    (badge,) = [link for link in drawing.iter(f"{SVG}a") if link.attrib["href"] == f"#check-{found.fingerprint}"]
    assert badge.findtext(f"{SVG}title") == f"{severity.value}: message"
    marked = [
        rect.attrib["class"].split()[1]
        for rect in drawing.iter(f"{SVG}rect")
        if f"d-{severity.value}-line" in rect.attrib["class"].split() and rect.attrib["stroke-width"] == "2"
    ]
    assert marked == [f"d-{box}"]


def test_the_interface_of_a_container_is_not_taken_for_that_of_the_host(analysis: Analysis) -> None:
    """eth0 of a finding about db is in the namespace of db; the host has an eth0 as well."""
    found = finding(Severity.ERROR, Subject("interface", "eth0"), Subject("container", "db"), like=analysis.findings[0])
    drawing = read(topology.draw(analysis.host, [found]))
    assert len(badges(drawing)) == 1
    (card,) = [box for box in boxes(drawing, "card") if box.overlaps(badges(drawing)[0])]
    assert card.top < row_of(drawing, "eth0 172.19.0.2/16") < card.bottom


def test_the_worst_of_several_findings_is_shown_and_all_are_told(analysis: Analysis) -> None:
    found = [
        finding(severity, Subject("container", "db"), like=analysis.findings[0])
        for severity in (Severity.NOTE, Severity.ERROR, Severity.WARNING)
    ]
    drawing = read(topology.draw(analysis.host, found))
    (title,) = [link.findtext(f"{SVG}title") for link in drawing.iter(f"{SVG}a") if link.find(f"{SVG}g") is not None]
    assert title == "error: message; warning: message; note: message"


def test_a_finding_without_a_place_is_counted(analysis: Analysis) -> None:
    found = finding(Severity.ERROR, Subject("container", "gone"), like=analysis.findings[0])
    assert "1 finding has no place here" in text_of(read(topology.draw(analysis.host, [found])))


def test_a_finding_with_a_place_is_not_counted_as_without(analysis: Analysis) -> None:
    assert "no place here" not in text_of(read(topology.draw(analysis.host, analysis.findings)))


def test_a_sheet_is_never_higher_than_the_paper(crowd: Callable[[int], Analysis]) -> None:
    host = crowd(60).host
    sheets = [read(sheet) for sheet in topology.sheets(host, (), height=750)]
    assert len(sheets) > 1
    assert [size(sheet) for sheet in sheets if size(sheet)[1] > 750] == []


def test_all_sheets_together_show_every_container_once(crowd: Callable[[int], Analysis]) -> None:
    host = crowd(60).host
    links = [
        link.attrib["href"]
        for sheet in topology.sheets(host, (), height=750)
        for link in read(sheet).iter(f"{SVG}a")
        if "container-" in link.attrib["href"]
    ]
    assert sorted(links) == sorted(f"#container-{number}" for number in range(60))


def test_a_network_that_goes_on_says_so(crowd: Callable[[int], Analysis]) -> None:
    sheets = topology.sheets(crowd(60).host, (), height=200)
    assert any("continued" in sheet for sheet in sheets)


def test_titles_of_several_sheets_have_ids_of_their_own(crowd: Callable[[int], Analysis]) -> None:
    ids = [
        found
        for sheet in topology.sheets(crowd(60).host, (), height=750)
        for found in re.findall(r' id="(.*?)"', sheet)
    ]
    assert len(ids) == len(set(ids))


def test_a_container_at_fault_is_drawn_however_many_there_are(crowd: Callable[[int], Analysis]) -> None:
    host = crowd(400).host
    last = sorted(container.name for container in host.containers)[-1]
    like = finding_of(host)
    drawing = read(topology.draw(host, [finding(Severity.ERROR, Subject("container", last), like=like)]))
    assert len(boxes(drawing, "card")) == topology.MOST_CARDS
    assert len(badges(drawing)) == 1
    assert "250 containers are in the table only" in text_of(drawing)


def finding_of(host: object) -> Finding:
    span = next(iter(host.containers)).span  # type: ignore[attr-defined]
    evidence = (Evidence(span, "here"),)
    return Finding("check", Severity.ERROR, Confidence.HIGH, "t", "message", (), evidence, "", (), ())


def test_names_cannot_break_out_of_the_drawing(hostile: Analysis, hostile_names: tuple[str, ...]) -> None:
    svg = topology.draw(hostile.host, hostile.findings)
    drawing = read(svg)
    assert {element.tag.removeprefix(SVG) for element in drawing.iter()} == {
        *("svg", "title", "desc", "rect", "text", "path", "a", "g")
    }
    assert hostile_names[0] in text_of(drawing)
    assert re.findall("[\x00-\x1f\x7f-\x9f\u202e]", svg) == []


def test_a_long_name_keeps_both_ends_and_is_told_whole(crowd: Callable[[int], Analysis]) -> None:
    for count, cut in ((12, "registry-mirror.internal.example.com_1-9"), (60, "registry-m…m_1-9")):
        drawing = read(topology.draw(crowd(count).host, ()))
        assert cut in text_of(drawing).splitlines()
        titles = [title.text or "" for title in drawing.iter(f"{SVG}title")]
        assert len([title for title in titles if title.startswith("registry-mirror.internal.example.com_1-9 ·")]) == 1


def test_colours_are_literal_so_that_the_pdf_has_them(analysis: Analysis) -> None:
    drawing = read(topology.draw(analysis.host, analysis.findings))
    painted = [e.attrib[key] for e in drawing.iter() for key in ("fill", "stroke") if key in e.attrib]
    assert [colour for colour in painted if not re.fullmatch("#[0-9a-f]{6}|none", colour)] == []
    assert [e.attrib for e in drawing.iter() if "style" in e.attrib] == []


def test_the_drawing_has_a_title_and_a_description(analysis: Analysis) -> None:
    drawing = read(topology.draw(analysis.host, ()))
    named = {e.attrib["id"]: e.text for e in drawing.iter() if "id" in e.attrib}
    assert [named[name] for name in drawing.attrib["aria-labelledby"].split()] == [
        "Network topology of web01",
        "3 containers, 4 networks and bridges. The table has the same facts.",
    ]


def test_the_same_host_gives_the_same_drawing(analysis: Analysis) -> None:
    assert topology.draw(analysis.host, analysis.findings) == topology.draw(analysis.host, analysis.findings)


def with_container(analysis: Analysis, **changes: object) -> str:
    """The texts of the drawing when `db` is changed and its own namespace was not collected."""
    host = analysis.host
    containers = tuple(replace(c, **changes) if c.name == "db" else c for c in host.containers)
    others = tuple(netns for netns in host.namespaces if netns.name != "db")
    changed = replace(host, containers=replace(host.containers, items=containers), namespaces=others, veth_pairs=())
    return text_of(read(topology.draw(changed, ())))


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("host", "share the namespace of the host"),
        ("none", "network mode none"),
        (
            f"container:{'129eed923d9c3b52246d474dfe1c8c0fe188801e68fa565e9625c6a97f9e334d'}",
            "with db",
        ),
        ("container:0123456789abcdef", "shares the namespace of 0123456789ab"),
    ],
)
def test_a_container_without_a_namespace_of_its_own_says_whose_it_has(
    analysis: Analysis, mode: str, words: str
) -> None:
    shown = with_container(analysis, network_mode=mode, endpoints=()).splitlines()
    assert words in shown
    assert "172.19.0.2/16" not in shown


def test_who_shares_a_namespace_stands_in_the_box_of_that_namespace(analysis: Analysis) -> None:
    """`db` in the namespace of `web`: one box for both, with the marks of both; on the host: in the host's frame."""
    host, found = analysis.host, finding(Severity.ERROR, Subject("container", "db"), like=analysis.findings[0])
    for mode, name in ((f"container:{next(c.id for c in host.containers if c.name == 'web')}", "web"), ("host", "db")):
        containers = tuple(
            replace(c, network_mode=mode, endpoints=()) if c.name == "db" else c for c in host.containers
        )
        drawing = read(topology.draw(replace(host, containers=replace(host.containers, items=containers)), [found]))
        (badge,) = badges(drawing)
        (card,) = [box for box in boxes(drawing, "card") if box.overlaps(badge)]
        assert card.top < row_of(drawing, name) < card.bottom
        (frame,) = boxes(drawing, "frame")
        assert frame.holds(card) is (mode == "host")
        assert len(boxes(drawing, "card")) == (2 if name == "web" else 3)


def test_a_container_on_a_second_network_is_wired_to_its_bridge(analysis: Analysis) -> None:
    """`app` stands beside `back`; its second interface leads by a trunk to the bar of `front`, in its colour."""
    drawing = read(topology.draw(analysis.host, ()))
    row = row_of(drawing, "172.18.0.3/16")
    (front,) = [box for box in boxes(drawing, "segment") if box.top < row_of(drawing, "front") < box.bottom]
    (start,) = [start for start, end, _ in wires(drawing) if abs(end[1] - row) < 2 and abs(start[1] - row) > 2]
    assert front.top < start[1] < front.bottom
    bars = [e.attrib for e in drawing.iter(f"{SVG}path") if "d-bar" in e.attrib["class"]]
    (colour,) = [e["stroke"] for e in bars if e["d"].split()[1].startswith(f"{front.top:.0f}V")]
    assert colour in {
        e.attrib["stroke"] for e in drawing.iter(f"{SVG}path") if f"M592.0 {start[1]:.1f}H" in e.attrib["d"]
    }


def test_a_veth_on_the_wrong_bridge_is_wired_to_that_one(analysis: Analysis) -> None:
    pairs = tuple(
        replace(pair, outer=replace(pair.outer, master="br-ebe28ba8b3d7")) if pair.outer.name == "veth2e334af" else pair
        for pair in analysis.host.veth_pairs
    )
    drawing = read(topology.draw(replace(analysis.host, veth_pairs=pairs), ()))
    row = row_of(drawing, "veth2e334af · o")
    (front,) = [box for box in boxes(drawing, "segment") if box.top < row_of(drawing, "front") < box.bottom]
    (start,) = [start for start, end, _ in wires(drawing) if abs(end[1] - row) < 2 and abs(start[1] - row) > 2]
    assert front.top < start[1]


def test_of_a_crowd_each_network_keeps_some_and_counts_the_others(crowd: Callable[[int], Analysis]) -> None:
    drawing = read(topology.draw(crowd(400).host, ()))
    assert len(boxes(drawing, "card")) == topology.MOST_CARDS
    told = re.findall(r"and (\d+) more, which are in the table", text_of(drawing))
    assert sum(map(int, told)) == 400 - topology.MOST_CARDS
    assert len(boxes(drawing, "segment")) > len(told) > 40


def test_a_stopped_container_is_not_said_to_lack_from_the_bundle(analysis: Analysis) -> None:
    db = next(container for container in analysis.host.containers if container.name == "db")
    idle = tuple(replace(endpoint, address=None) for endpoint in db.endpoints)
    shown = with_container(analysis, state="exited", endpoints=idle)
    assert "exited · 7e24e9ff3096" in shown
    assert "no address" in shown
    assert shown.count("its namespace is not in the bundle") == 1  # that of app


def test_a_network_of_another_driver_has_no_bridge(analysis: Analysis) -> None:
    networks = analysis.host.networks
    changed = tuple(replace(n, driver="macvlan") if n.name == "back" else n for n in networks)
    host = replace(analysis.host, networks=replace(networks, items=changed))
    shown = text_of(read(topology.draw(host, ()))).splitlines()
    assert "driver macvlan" in shown
    assert shown.count("no network in the bundle") == 2  # its former bridge, and the stale one


def test_addresses_that_have_no_room_in_one_line_have_one_each(motley: Analysis) -> None:
    """A container on three networks with addresses of both families: all of them can be read."""
    drawing = read(topology.draw(motley.host, ()))
    shown = text_of(drawing).splitlines()
    rows = []
    for number, letter in ((0, "a"), (1, "b"), (2, "c")):
        (own,) = [line for line in shown if line.startswith(f"172.{18 + number}.0.77/16")]
        rows += [row_of(drawing, own), row_of(drawing, f"fd00:dead:beef:{letter}:aaaa:bbbb:cccc:77/64")]
    (card,) = [box for box in boxes(drawing, "card") if box.top < rows[0] < box.bottom]
    assert [row for row in rows if not card.top < row < card.bottom] == []
    assert shown.count("publishes 192.0.2.17:42000→8000/tcp") == shown.count("and 17 more") == 1


def test_the_same_port_on_both_families_is_named_once(analysis: Analysis) -> None:
    assert "publishes 8080→80/tcp" in text_of(read(topology.draw(analysis.host, ()))).splitlines()
