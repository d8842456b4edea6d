"""The page in a real browser (Chromium, by Playwright): what it shows, what it does, and that nothing leaves it."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from netdiag.analysis import analyze
from netdiag.comparison import Comparison, compare
from netdiag.report import diff_html, html
from netdiag.results import Analysis

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (Debian: chromium) is installed")

BUNDLES = Path(__file__).parents[2] / "samples" / "bundles"
PHONE, DESK = {"width": 390, "height": 800}, {"width": 1440, "height": 900}
SHOWN = "[...document.querySelectorAll('article')].filter(e => e.checkVisibility()).map(e => e.id)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        # A test needs no sandbox against the page that it has made, and root may have none.
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page that is open, with all that it said and asked for meanwhile."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def shown(self) -> list[str]:
        """The ids of the findings that can be seen."""
        found: list[str] = self.page.evaluate(SHOWN)
        return found

    def filter(self, name: str, value: str) -> None:
        """Fill in a field of the search, and wait for what comes of it."""
        field = self.page.locator(f".filters [name={name}]")
        field.select_option(value) if name in ("layer", "card") else field.fill(value)
        self.page.wait_for_timeout(250)


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    opened: list[Opened] = []

    def open_page(shown: Analysis | Comparison, **options: Any) -> Opened:
        path = tmp_path / f"report{len(opened)}.html"
        text = html.render(shown) if isinstance(shown, Analysis) else diff_html.render(shown)
        path.write_text(text, encoding="utf-8")
        opened.append(Opened(browser, path, **options))
        return opened[-1]

    yield open_page
    for each in opened:
        each.context.close()


@pytest.fixture(scope="module")
def faulty() -> Analysis:
    """A real host with three faults."""
    return analyze(BUNDLES / "three-faults.tar.gz")


@pytest.fixture(scope="module")
def traced() -> Analysis:
    """The loose files of a host with traces among them."""
    return analyze(BUNDLES / "seed")


@pytest.fixture(scope="module")
def dropping() -> Analysis:
    """A real host that was traced while a rule of its firewall dropped packets."""
    return analyze(BUNDLES / "journey-docker-user.tar.gz")


@pytest.fixture(scope="module")
def queued() -> Analysis:
    """A real host with a traced ping, and packets that a full queue dropped."""
    return analyze(BUNDLES / "journey-full-queue.tar.gz")


@pytest.fixture(scope="module")
def podman() -> Analysis:
    return analyze(BUNDLES.parent / "checks" / "podman-firewalld-reload" / "fires")


@pytest.fixture(scope="module")
def changed(faulty: Analysis, dropping: Analysis) -> Comparison:
    """The same host some hours later: faults are fixed, one is new, and much was made anew."""
    return compare(faulty, dropping)


@pytest.mark.parametrize(
    ("name", "scheme", "size"),
    [
        ("analysis", "light", DESK),
        ("traced", "light", DESK),
        ("faulty", "dark", PHONE),
        ("changed", "light", DESK),
        ("changed", "dark", PHONE),
    ],
)
def test_no_rule_of_accessibility_is_broken(
    visit: Callable[..., Opened], name: str, scheme: str, size: object, request: pytest.FixtureRequest
) -> None:
    """WCAG 2.2 as far as axe-core can tell, of every severity, with all unfolded. `faulty` and `changed` are tried
    whole; of what is alike in the others, some is enough.
    """
    opened = visit(request.getfixturevalue(name), color_scheme=scheme, viewport=size)
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    if name not in ("faulty", "changed"):
        opened.page.evaluate("""() => {
            [...document.querySelectorAll('details.raw')].slice(3).forEach(e => e.remove());
            document.querySelectorAll('tr:nth-child(n + 8), .names li:nth-child(n + 5)').forEach(e => e.remove());
        }""")
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(each["id"], each["impact"], [node["target"] for node in each["nodes"]][:5]) for each in found] == []


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "faulty", "traced", "dropping", "changed"])
def test_the_page_asks_for_nothing_and_complains_of_nothing(
    visit: Callable[..., Opened], name: str, request: pytest.FixtureRequest
) -> None:
    opened = visit(request.getfixturevalue(name))
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert opened.complaints == []
    assert opened.requests == [opened.page.url]


def test_nothing_is_complained_of_while_all_is_used(visit: Callable[..., Opened], traced: Analysis) -> None:
    """The policy of the page forbids all but its own script and style; what those do at work must keep to it."""
    opened = visit(traced)
    opened.filter("text", "docker0")
    opened.page.keyboard.press("Escape")
    opened.page.locator(".copy").first.click()
    opened.page.locator(".topology a").first.hover()
    opened.page.locator(".flame .frame").nth(2).click()
    opened.page.locator(".flame-tools input").first.fill("xmit")
    opened.page.locator(".flame-tools button").first.click()
    opened.page.locator("details.packet summary").first.click()
    opened.page.locator(".permalink").first.click()
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(opened.page.url.partition("#")[0])] == []


def test_names_of_a_bundle_do_nothing(visit: Callable[..., Opened], hostile: Analysis) -> None:
    opened = visit(hostile)
    opened.page.locator(".copy").first.click()
    opened.filter("text", "<script>")
    assert opened.complaints == []
    assert opened.page.evaluate("document.scripts.length") == 1
    assert opened.page.evaluate("document.images.length") == 0
    assert opened.page.locator("h1").inner_text() == "<b>web01</b>␛[31m"


def test_the_policy_lets_no_other_script_run(visit: Callable[..., Opened], healthy: Analysis) -> None:
    opened = visit(healthy)
    opened.page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))")
    assert opened.page.evaluate("typeof ran") == "undefined"
    assert len(opened.complaints) == 1


@pytest.mark.parametrize("name", ["faulty", "traced", "changed"])
def test_the_page_never_scrolls_sideways(
    visit: Callable[..., Opened], name: str, request: pytest.FixtureRequest
) -> None:
    page = visit(request.getfixturevalue(name)).page
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    widths = (390, 768, 1024, 2560)
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        found.append(page.evaluate("document.documentElement.scrollWidth"))
    assert found == list(widths)


# --- search and filters ---


def test_search_leaves_what_has_all_of_the_words(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    by_check = {finding.check: f"{finding.check}-{finding.fingerprint}" for finding in faulty.shown()}
    opened.filter("text", "MASQUERADE 172.18.0.0/16 POSTROUTING")
    assert opened.shown() == [by_check["nat-masquerade-missing"]]
    told = opened.page.locator(".filters output").inner_text()
    assert told.startswith("1 of 3 findings; ")
    opened.filter("text", "arp-settings")
    assert opened.shown() == []
    assert opened.page.locator("#check-sysctl-arp-settings").is_visible()
    opened.page.keyboard.press("Escape")
    opened.page.wait_for_timeout(50)
    assert len(opened.shown()) == 3


def test_search_goes_through_the_raw_sources(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    opened.filter("text", "ctorigdstport")
    left = opened.page.locator("details.raw:visible summary").all_inner_texts()
    assert {name.split()[0] for name in left} == {
        source.path for source in faulty.bundle.sources if "ctorigdstport" in source.text
    }


def test_findings_can_be_had_by_layer_container_and_severity(visit: Callable[..., Opened], analysis: Analysis) -> None:
    opened = visit(analysis)
    everything = opened.shown()
    assert len(everything) == 4
    opened.page.locator(".filters [value=error]").uncheck()
    opened.page.wait_for_timeout(250)
    graver = {f"{f.check}-{f.fingerprint}" for f in analysis.shown() if f.severity.value == "error"}
    assert opened.shown() == [name for name in everything if name not in graver]
    opened.page.locator(".filters [type=reset]").click()
    opened.page.wait_for_timeout(50)
    assert opened.shown() == everything
    opened.filter("card", str([c.name for c in sorted(analysis.host.containers, key=lambda c: c.name)].index("db")))
    assert [name.rpartition("-")[0] for name in opened.shown()] == ["link-veth-not-enslaved"]
    assert opened.page.locator("#wrong li:visible").count() == 1


def test_layers_are_those_of_the_checks(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    opened.filter("layer", "link")
    assert [name.rpartition("-")[0] for name in opened.shown()] == ["link-veth-not-enslaved"]
    assert opened.page.locator(".group:visible h3").all_inner_texts() == ["container db"]


def test_a_link_to_what_is_filtered_out_brings_it_back(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    opened.filter("text", "such-a-word-is-nowhere")
    assert opened.shown() == []
    opened.page.evaluate("location.hash = document.querySelector('article').id")
    opened.page.wait_for_timeout(100)
    assert len(opened.shown()) == 3


# --- the map ---

# The boxes of a drawing but its frame, its texts and its badges, in pixels, and points along its wires.
MEASURE = """() => {
    const map = document.querySelector('.topology');
    const area = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
    const all = selector => [...map.querySelectorAll(selector)];
    const points = wire => {
        const length = wire.getTotalLength(), matrix = wire.getScreenCTM(), found = [];
        for (let at = 0; at <= length; at += 4) {
            const point = wire.getPointAtLength(at).matrixTransform(matrix);
            found.push([point.x, point.y]);
        }
        return found;
    };
    return {
        boxes: all('.d-box:not(.d-frame)').map(area),
        texts: all('text').map(e => [e.textContent, ...area(e)]),
        badges: all('.d-badge').map(area),
        wires: all('.d-part .d-wire').map(points),
        frame: area(map),
    };
}"""


def overlap(one: list[float], other: list[float]) -> bool:
    """Whether two areas share more than a rim of half a pixel."""
    rim = 0.5
    return one[0] < other[2] - rim and other[0] < one[2] - rim and one[1] < other[3] - rim and other[1] < one[3] - rim


def holds(outer: list[float], inner: list[float]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


@pytest.mark.parametrize("name", ["faulty", "traced", "motley", "podman", "crowd 3", "crowd 12", "crowd 60"])
def test_on_the_map_nothing_lies_on_anything_else(
    visit: Callable[..., Opened], name: str, request: pytest.FixtureRequest
) -> None:
    """Boxes, texts and badges as Chromium lays them out."""
    fixture, _, count = name.partition(" ")
    given = request.getfixturevalue(fixture)
    shown = given(int(count)) if count else given
    measured = visit(shown).page.evaluate(MEASURE)
    boxes, texts, badges = measured["boxes"], [text[1:] for text in measured["texts"]], measured["badges"]
    assert len(boxes) > len(shown.host.containers)
    assert [pair for pair in combinations(boxes, 2) if overlap(*pair)] == []
    assert [pair for pair in combinations(measured["texts"], 2) if overlap(pair[0][1:], pair[1][1:])] == []
    leaving = [(text, box) for text in texts for box in boxes if overlap(text, box) and not holds(box, text)]
    assert leaving == []
    assert [(badge, text) for badge in badges for text in texts if overlap(badge, text)] == []
    assert [area for area in (*boxes, *texts, *badges) if not holds(measured["frame"], area)] == []
    through = [
        (words, x, y)
        for words, left, top, right, bottom in measured["texts"]
        for wire in measured["wires"]
        for x, y in wire
        if left + 1 < x < right - 1 and top + 2 < y < bottom - 2
    ]
    assert through == []


# The texts of drawings and what they must keep clear of: [text, area], of each drawing of a kind.
TEXTS = """([kind, boxes]) => [...document.querySelectorAll(kind)].map(svg => {
    const area = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
    return {
        texts: [...svg.querySelectorAll('text')].map(e => [e.textContent, area(e)]),
        boxes: [...svg.querySelectorAll(boxes)].map(area),
        frame: area(svg),
    };
})"""


@pytest.mark.parametrize("name", ["traced", "dropping", "queued"])
def test_in_a_timeline_no_word_lies_on_another_or_on_a_bar(
    visit: Callable[..., Opened], name: str, request: pytest.FixtureRequest
) -> None:
    page = visit(request.getfixturevalue(name)).page
    page.evaluate("document.querySelectorAll('details.packet').forEach(e => e.open = true)")
    drawings = page.evaluate(TEXTS, [".journey", ".d-hop"])
    assert drawings
    for each in drawings:
        assert [pair for pair in combinations(each["texts"], 2) if overlap(pair[0][1], pair[1][1])] == []
        assert [(text, bar) for text, at in each["texts"] for bar in each["boxes"] if overlap(at, bar)] == []
        assert [text for text, at in each["texts"] if not holds(each["frame"], at)] == []


@pytest.mark.parametrize("zoomed", [False, True])
def test_in_a_flame_graph_each_name_is_within_its_call(
    visit: Callable[..., Opened], traced: Analysis, *, zoomed: bool
) -> None:
    """A name is shortened to the width of its call, also after a zoom, and never runs into the next one."""
    page = visit(traced).page
    if zoomed:
        for flame in page.locator(".flame").all():
            flame.locator(".frame").nth(3).click()
    frames = page.evaluate("""[...document.querySelectorAll('.flame .frame')].filter(e => e.checkVisibility())
        .filter(e => e.querySelector('text')?.textContent)
        .map(e => [e.dataset.name, e.querySelector('text').textContent, ...['rect', 'text'].map(part => {
            const r = e.querySelector(part).getBoundingClientRect();
            return [r.left, r.top, r.right, r.bottom];
        })])""")
    assert len(frames) > 20
    assert [name for name, _, box, text in frames if not holds(box, text)] == []
    assert [name for name, shown, _, _ in frames if shown != name and "…" not in shown] == []


def test_the_way_of_a_packet_is_brought_out(visit: Callable[..., Opened], faulty: Analysis) -> None:
    """Pointing at `web` leaves its veth, its network and the host in full ink, and dims what belongs to `db`."""
    opened = visit(faulty)
    names = [card.name for card in sorted(faulty.host.containers, key=lambda card: card.name)]
    web, db = names.index("web"), names.index("db")
    on = "[...document.querySelectorAll('.topology .on')].map(e => e.dataset.part)"
    opened.page.locator(f".topology a[href='#container-{web}']").hover()
    lit = set(opened.page.evaluate(on))
    assert {f"card-{web}", "host"} < lit
    assert f"card-{db}" not in lit
    assert len([name for name in lit if name.startswith("net-")]) == 1
    (net,) = [name for name in lit if name.startswith("net-")]
    opened.page.locator(f".topology a[href='#{net.replace('net', 'segment')}']").focus()
    assert set(opened.page.evaluate(on)) == {"host", net, f"card-{web}", f"card-{names.index('app')}"}
    opened.page.locator("h1").hover()
    opened.page.locator(".topology a").first.evaluate("e => document.activeElement.blur()")
    assert opened.page.locator(".tracing").count() == 0


def test_the_map_is_as_legible_in_the_dark(visit: Callable[..., Opened], faulty: Analysis) -> None:
    """Every text and every line of the drawing has 3:1 or more on the ground that it stands on (WCAG 2.2, 1.4.11)."""
    opened = visit(faulty, color_scheme="dark")
    colours = opened.page.evaluate("""() => [...new Set([
        ...[...document.querySelectorAll('.topology text')].map(e => getComputedStyle(e).fill),
        ...[...document.querySelectorAll('.topology .d-wire, .topology .d-bar')].map(e => getComputedStyle(e).stroke),
    ])]""")
    assert len(colours) > 3
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        assert (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / (0.0113 + 0.05) > 3, colour


# --- links and keys ---


def test_evidence_leads_to_its_line_in_the_raw_source(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    opened.page.locator("figcaption a").first.click()
    opened.page.wait_for_timeout(100)
    line = opened.page.locator(":target")
    span = faulty.shown()[0].evidence[0].span
    assert line.inner_text().rstrip("\n") == span.source.lines[span.line - 1]
    assert line.evaluate(
        "e => { const box = e.getBoundingClientRect(); return box.top > 0 && box.bottom < innerHeight }"
    )


def test_every_link_leads_to_what_it_says(visit: Callable[..., Opened], faulty: Analysis) -> None:
    """All links of a real host lead to an element; those of evidence to the line of the source that they name."""
    opened = visit(faulty)
    lost = opened.page.evaluate("""[...document.querySelectorAll('a')].filter(link => {
        const place = link.getAttribute('href');
        return !place.startsWith('#') || !document.getElementById(place.slice(1));
    }).map(link => link.outerHTML)""")
    assert lost == []
    links = opened.page.evaluate("""[...document.querySelectorAll('.evidence figcaption a')].map(link => [
        link.textContent, document.querySelector(link.getAttribute('href')).textContent,
    ])""")
    spans = [item.span for finding in faulty.shown() for item in finding.evidence]
    wanted = {(span.source.path, span.line): span.source.lines[span.line - 1] for span in spans}
    short = {re.sub("([0-9a-f]{12})[0-9a-f]{52}", r"\1", path): path for path, _ in wanted}
    found = {
        (short[path], int(rest.split(":")[0])): text.rstrip("\n")
        for place, text in links
        for path, _, rest in [place.partition(":")]
    }
    assert found == wanted


def test_a_permalink_leads_to_the_finding_in_the_next_run_too(visit: Callable[..., Opened], faulty: Analysis) -> None:
    """It does not depend on what else is found, nor on where the lines stand."""
    first = visit(faulty)
    (permalink,) = {link.get_attribute("href") for link in first.page.locator(".permalink").all()[1:2]}
    findings = analyze(BUNDLES / "three-faults.tar.gz").findings
    again = visit(replace(faulty, findings=findings[1:2]))
    assert first.page.locator(permalink).locator("h4").inner_text() == again.page.locator("article h4").inner_text()
    assert [f"#{name}" for name in again.shown()] == [permalink]


def test_a_remedy_can_be_copied(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty, permissions=["clipboard-read", "clipboard-write"])
    copy = opened.page.locator("article .copy").first
    copy.click()
    playwright.expect(copy).to_have_text("Copied")
    assert opened.page.evaluate("navigator.clipboard.readText()").splitlines() == [*faulty.shown()[0].remedy]


def test_on_paper_there_are_no_controls_and_nothing_is_folded_that_matters(
    visit: Callable[..., Opened], dropping: Analysis
) -> None:
    opened = visit(dropping, color_scheme="dark")
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen = "e => e.checkVisibility()"
    for control in (".bar", ".copy", ".permalink", "#raw"):
        assert not opened.page.locator(control).first.evaluate(seen)
    for part in ("#unjudged", ".names li", "details.packet .journey", "article .commands"):
        assert opened.page.locator(part).first.evaluate(seen)
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_line_stands_beside_its_number(visit: Callable[..., Opened], faulty: Analysis) -> None:
    """Numbers and text are two blocks: the last line of a long source must not have slipped."""
    opened = visit(faulty)
    slips = opened.page.evaluate("""[...document.querySelectorAll('details.raw')].map(raw => {
        raw.open = true;
        raw.querySelector('.listing').style.alignItems = 'start';
        const [numbers, text] = raw.querySelectorAll('pre');
        return Math.abs(numbers.getBoundingClientRect().top - text.getBoundingClientRect().top)
            + Math.abs(numbers.clientHeight - text.clientHeight);
    })""")
    assert len(slips) > 100
    assert [slip for slip in slips if slip > 2] == []


def test_the_keyboard_is_enough(visit: Callable[..., Opened], faulty: Analysis) -> None:
    opened = visit(faulty)
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.className") == "skip"
    copy = opened.page.locator(".copy").first
    copy.focus()
    opened.page.keyboard.press("Enter")
    playwright.expect(copy).not_to_have_text("Copy")
    opened.page.keyboard.press("/")
    opened.page.keyboard.type("veth")
    assert opened.page.locator(".filters [name=text]").input_value() == "veth"


def test_all_can_be_read_without_scripts(visit: Callable[..., Opened], analysis: Analysis) -> None:
    opened = visit(analysis, java_script_enabled=False)
    text = opened.page.locator("main").text_content()
    for finding in analysis.shown():
        assert finding.message.replace("`", "") in text
        assert all(command in text for command in finding.remedy)
    assert opened.page.locator(".filters").count() == 0
    opened.page.locator(".fold summary").first.click()
    assert opened.page.locator(".fold .names li").first.is_visible()
