"""The HTML report: complete, linked, self-contained, and safe whatever a bundle holds."""

import base64
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Severity, Subject, Verdict
from netdiag.report import _listing, html
from netdiag.results import Analysis, CheckCard, SourceCoverage, Suppressed
from netdiag.spans import Source, Span

VOID = {"meta", "br", "link", "img", "input", "hr"}
APART = {"td", "th", "br", "div"}


@dataclass
class Element:
    """An element with its attributes and all text below it."""

    tag: str
    attributes: dict[str, str]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def words(self) -> str:
        """The text as it is read: runs of blanks count as one."""
        return " ".join(self.text.split())


class Page(HTMLParser):
    """A page as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.order: list[str] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert [element.tag for element in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in APART:
            self.handle_data(" ")
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(element.attributes) == len(attrs), f"an attribute twice on {tag}"
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            e
            for e in self.elements
            if e.tag == tag and all(value in e.attributes.get(name, "").split() for name, value in wanted.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def ids(self) -> list[str]:
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]

    def by_id(self, name: str) -> Element:
        (found,) = [e for e in self.elements if e.attributes.get("id") == name]
        return found


@pytest.fixture(scope="module")
def text(analysis: Analysis) -> str:
    return html.render(analysis)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


# --- nothing leaves the page ---


def test_the_policy_allows_only_the_script_and_the_style_of_the_page(page: Page) -> None:
    (meta,) = page.all("meta", http_equiv="Content-Security-Policy")
    policy = dict(part.strip().split(" ", 1) for part in meta.attributes["content"].split(";"))

    def hash_of(element: Element) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()}'"

    assert policy == {
        "default-src": "'none'",
        "style-src": hash_of(page.one("style")),
        "script-src": hash_of(page.one("script")),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_policy_stands_before_all_that_it_governs(page: Page) -> None:
    tags = [e.tag for e in page.elements]
    policy = page.elements.index(page.all("meta", http_equiv="Content-Security-Policy")[0])
    assert policy < min(tags.index("style"), tags.index("script"))


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare"])
def test_nothing_on_the_page_refers_to_anything_outside(name: str, request: pytest.FixtureRequest) -> None:
    text = html.render(request.getfixturevalue(name))
    page = Page(text)
    links = [
        value for e in page.elements for key, value in e.attributes.items() if key in ("href", "src", "xlink:href")
    ]
    assert links
    assert [link for link in links if not link.startswith("#")] == []
    assert re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text) == []
    loading = {"link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "use", "image"}
    assert {e.tag for e in page.elements} & loading == set()
    assert {"action", "formaction"} & {name for e in page.elements for name in e.attributes} == set()


def test_no_element_has_a_style_or_a_handler_of_its_own(page: Page) -> None:
    """The policy would not let them work."""
    assert [e for e in page.elements for key in e.attributes if key == "style" or key.startswith("on")] == []


# --- hostile bundles ---


def test_hostile_names_add_no_element_and_no_attribute(analysis: Analysis, hostile: Analysis) -> None:
    def shape(page: Page) -> Counter[tuple[str, ...]]:
        """Text may be cut where it is too long, which a title then tells: titles in drawings are left out."""
        return Counter((e.tag, *sorted(e.attributes)) for e in page.elements)

    good, bad = Page(html.render(analysis)), Page(html.render(hostile))
    assert shape(bad) == shape(good)
    assert len(bad.all("script")) == 1


def test_hostile_names_are_shown_with_their_control_characters_as_signs(hostile: Analysis) -> None:
    page = Page(html.render(hostile))
    names = [row.words for row in page.all("th", scope="rowgroup")]
    assert names == ["\"'><svg/onload=alert(3)>]]><!--\\x9b31m", "<script>alert(1)</script>", "db"]
    networks = [row.words for row in page.all("th", scope="row")]
    assert "fr␛[2J␛]0;owned␇ont\\u202e<img src=x onerror=alert(2)>" in networks
    assert page.one("h1").words == "<b>web01</b>␛[31m"


def test_no_control_character_reaches_the_page(hostile: Analysis) -> None:
    text = html.render(hostile, pedantic=True)
    assert (
        re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", text)
        == []
    )


def test_every_kind_of_text_is_escaped(analysis: Analysis) -> None:
    """Each field that a report shows is filled with markup; none of it becomes an element."""
    name = "<script>1</script>`<b>`\x1b\u202e"
    bad = f"{name}\udc80"
    source = Source(f"{bad}.txt", f"{bad}\n{bad}\n", bad, trouble=bad)
    span = Span(source, 1, 1, 2, 4)
    finding = Finding(
        name,
        Severity.ERROR,
        Confidence.LOW,
        bad,
        bad,
        (Subject("host", name),),
        (Evidence(span, bad),),
        bad,
        (bad,),
        (bad,),
    )
    outcome = Outcome(name, Verdict.UNKNOWN, bad, (bad,), (bad,))
    coverage = SourceCoverage(source.path, bad, bad, 2, 1, ((1, bad),), bad, (bad,), source)
    bundle = replace(
        analysis.bundle,
        name=bad,
        host=bad,
        collected_at=bad,
        sha256=bad,
        manifest={
            "kernel": bad,
            "os_release": bad,
            "redaction": {bad: 1},
            "collector": {"version": bad},
        },
        not_collected=tuple(
            replace(item, artifact=bad, scope=bad, command=bad, reason=bad) for item in analysis.bundle.not_collected
        ),
        problems=tuple(replace(item, path=bad, message=bad) for item in analysis.bundle.problems),
    )
    case = replace(analysis, bundle=bundle, findings=(finding,), outcomes=(outcome,), coverage=(coverage,))
    text = html.render(case, pedantic=True)
    assert text.encode("utf-8")
    assert {e.tag for e in Page(text).elements} == {e.tag for e in Page(html.render(analysis)).elements}
    assert len(Page(text).all("script")) == 1
    assert re.findall("[\x1b\u202e]", text) == []


# --- findings and their evidence ---


def test_every_shown_finding_has_an_article_worst_first(page: Page, analysis: Analysis) -> None:
    articles = page.all("article")
    assert [a.attributes["id"] for a in articles] == [f"{f.check}-{f.fingerprint}" for f in analysis.shown()]
    for article, finding in zip(articles, analysis.shown(), strict=True):
        assert article.words.startswith(f"{finding.severity.value} {finding.check}")
        assert finding.message.replace("`", "") in article.words
        assert finding.why in article.words
        assert f"netdiag explain {finding.check}" in article.words
        for subject in finding.subjects:
            assert f"{subject.kind} {subject.name}" in article.words


def test_what_is_wrong_is_a_sentence_for_each_linked_to_its_article(page: Page, analysis: Analysis) -> None:
    sentences = [
        a for a in page.all("a") if a.attributes["href"][1:] in {x.attributes["id"] for x in page.all("article")}
    ]
    assert [s.words for s in sentences[: len(analysis.shown())]] == [
        f.message.replace("`", "") for f in analysis.shown()
    ]


def test_every_piece_of_evidence_shows_its_line_and_links_to_it_in_the_raw_source(
    page: Page, analysis: Analysis
) -> None:
    figures = page.all("figure", class_="evidence")
    evidence = [item for finding in analysis.shown() for item in sorted(finding.evidence, key=lambda e: e.role.value)]
    assert len([f for f in figures if f.text.count("└─")]) == len(evidence)
    for figure, item in zip(figures, evidence, strict=False):
        for line in item.span.excerpt.split("\n"):
            assert line.strip() in figure.text
        assert item.label.replace("`", "") in figure.text
        place = f"{item.span.source.path}:{item.span.line}"
        (link,) = [a for a in page.all("a") if a.words.startswith(place) and a.text in figure.text][:1]
        raw = page.by_id(link.attributes["href"][1:])
        assert raw.text == item.span.source.lines[item.span.line - 1] + "\n"
        assert raw.attributes["id"].endswith(f"-{item.span.line}")
        assert f"$ {item.span.source.command}" in figure.words


def test_nothing_is_left_out_for_another_report(page: Page) -> None:
    assert "in the HTML report" not in page.one("body").words


def test_the_characters_of_the_evidence_are_marked(page: Page, analysis: Analysis) -> None:
    wanted = Counter(line.strip() for f in analysis.shown() for e in f.evidence for line in e.span.text.split("\n"))
    assert Counter(mark.text for mark in page.all("mark")) == wanted


def test_evidence_has_two_lines_of_context_on_either_side(page: Page, analysis: Analysis) -> None:
    first = analysis.shown()[0].evidence[0].span
    shown = page.all("pre", class_="lines")[0].text.splitlines()
    assert [line for line in shown if "└─" not in line] == list(first.source.lines[first.line - 3 : first.line + 2])


def test_related_evidence_is_told_apart_from_primary(page: Page, analysis: Analysis) -> None:
    for role in Role:
        count = sum(item.role is role for finding in analysis.shown() for item in finding.evidence)
        assert len(page.all("figure", class_=role.value)) == count


def test_commands_can_be_copied_as_they_are(page: Page, analysis: Analysis) -> None:
    blocks = [block.text for block in page.all("pre", class_="commands")]
    for finding in analysis.shown():
        for commands in (finding.remedy, finding.verify):
            assert "".join(f"{command}\n" for command in commands) in blocks


def test_doubtful_findings_are_hidden_and_counted_unless_asked_for(analysis: Analysis, page: Page) -> None:
    assert "1 finding of low confidence is hidden" in page.one("section", id="wrong").words
    pedantic = Page(html.render(analysis, pedantic=True))
    assert len(pedantic.all("article")) == len(page.all("article")) + 1
    assert "hidden" not in pedantic.one("section", id="wrong").words


def test_what_is_known_already_comes_behind_and_says_so(analysis: Analysis) -> None:
    first, *rest = analysis.shown()
    page = Page(html.render(replace(analysis, known=frozenset({first}))))
    listed = [li.words for li in page.all("li") if "data-severity" in li.attributes]
    assert [words.endswith("new") for words in listed] == [True, True, True, False]
    assert listed[3] == f"error {first.message.replace('`', '')} known already"
    assert "found, 1 of them known already;" in page.one("p", class_="headline").words
    assert len(page.all("article")) == 1 + len(rest)


def test_what_was_suppressed_is_shown_with_its_reason(analysis: Analysis) -> None:
    first, *rest = analysis.findings
    aside = Suppressed(first, "we <b>know</b> it", date(2027, 1, 31), ".netdiag.toml")
    page = Page(html.render(replace(analysis, findings=tuple(rest), suppressed=(aside,))))
    section = page.one("section", id="wrong").words
    assert (
        f"{first.message.replace('`', '')} {first.check}: we <b>know</b> it (until 2027-01-31, .netdiag.toml)"
        in section
    )
    assert ", 1 suppressed;" in page.one("p", class_="headline").words


def test_findings_about_one_object_stand_together(page: Page) -> None:
    heads = [e.words for e in page.elements if e.tag == "h3"][:4]
    assert heads == ["container db", "network back", "container app", "bridge br-0f1e2d3c4b5a"]


def test_very_many_findings_of_one_check_are_shown_in_brief_but_for_the_first(analysis: Analysis) -> None:
    like = analysis.findings[0]
    many = tuple(replace(like, subjects=(Subject("route", f"route {n}"),), message=f"number {n}") for n in range(100))
    page = Page(html.render(replace(analysis, findings=(*many, *analysis.findings[1:]))))
    articles = page.all("article")
    brief = [a for a in articles if "brief" in a.attributes["class"].split()]
    assert len(articles) == 100 + 3
    assert [a.words.split(" host")[0] for a in brief] == [f"error number {n}" for n in range(20, 100)]
    assert f"and 80 more of {like.check}" in page.one("section", id="wrong").words
    assert {a.attributes["href"][1:] for a in page.all("a")} - set(page.ids) == set()


def test_a_very_long_message_is_told_below_a_short_headline(analysis: Analysis) -> None:
    message = "of all these containers one is wrong: " + ", ".join(f"container{n}" for n in range(300))
    page = Page(html.render(replace(analysis, findings=(replace(analysis.findings[0], message=message),))))
    heading = next(e for e in page.elements if e.tag == "h4")
    assert heading.words.endswith("…")
    assert len(heading.words) <= 240
    assert message in page.one("article").words


def test_when_it_is_not_a_problem_stands_with_each_finding(analysis: Analysis) -> None:
    finding = analysis.findings[0]
    card = CheckCard("nat", finding.title, finding.why, "A `router` upstream\ntranslates.")
    (first, *_) = Page(html.render(replace(analysis, cards={finding.check: card}))).all("article")
    assert "Not a problem when A router upstream translates." in first.words
    assert first.attributes["data-layer"] == "nat"


def test_two_findings_of_one_fingerprint_keep_their_own_links(analysis: Analysis) -> None:
    twice = replace(analysis, findings=(analysis.findings[0], analysis.findings[0]))
    page = Page(html.render(twice))
    name = f"{analysis.findings[0].check}-{analysis.findings[0].fingerprint}"
    assert [a.attributes["id"] for a in page.all("article")] == [name, f"{name}-2"]


# --- what was not judged, not read, not collected ---


def test_the_four_numbers_are_those_of_the_analysis(page: Page) -> None:
    assert page.one("ul", class_="numbers").words == "2 errors 1 warning 1 note 2 unknown"


def test_what_could_not_be_judged_says_why_and_what_would_tell(page: Page, analysis: Analysis) -> None:
    section = page.one("section", id="unjudged")
    for outcome in analysis.outcomes:
        if outcome.verdict in (Verdict.UNKNOWN, Verdict.CRASHED):
            assert outcome.check in section.words
            assert outcome.reason.replace("`", "") in section.words
            assert all(name in section.words for name in outcome.missing)


def test_what_to_ask_the_customer_is_one_block_with_each_command_once(page: Page) -> None:
    block = page.all("pre", class_="commands")[-1]
    assert block.text.splitlines() == [
        "# on the host",
        "sysctl -a --pattern '^net[.]'",
        "# for containers, on the host",
        "nsenter -t 475 -n ip -d addr",
    ]


def test_a_check_that_found_something_but_did_not_judge_all_is_listed_as_such(analysis: Analysis) -> None:
    outcome = Outcome(
        "link-stale-bridge", Verdict.FINDING, "networks of another engine may exist", ("x",), ("docker info",)
    )
    page = Page(html.render(replace(analysis, outcomes=(outcome,))))
    section = page.one("section", id="unjudged")
    assert "link-stale-bridge judged in part networks of another engine may exist" in section.words
    assert "Please also run" in page.one("section", id="coverage").words
    assert "docker info" in page.all("pre", class_="commands")[-1].text


def test_every_check_is_listed_with_its_outcome(page: Page, analysis: Analysis) -> None:
    words = {
        Verdict.FINDING: "found",
        Verdict.CLEAN: "clean",
        Verdict.UNKNOWN: "unknown",
        Verdict.NOT_APPLICABLE: "does not apply",
        Verdict.CRASHED: "crashed",
    }
    for outcome in analysis.outcomes:
        row = page.by_id(f"check-{outcome.check}").words
        assert row.startswith(f"{outcome.check} {words[outcome.verdict]}")
        if outcome.verdict is not Verdict.NOT_APPLICABLE:
            assert outcome.reason.replace("`", "") in row


def test_checks_that_do_not_apply_stand_by_their_reason(page: Page, analysis: Analysis) -> None:
    groups = [div.words for div in page.all("div") if "data-find" in div.attributes]
    assert groups == ["table filter has no chain DOCKER-USER filter-docker-user-drop does not apply"]


def test_every_source_is_listed_with_its_format_and_lines(page: Page, analysis: Analysis) -> None:
    section = page.one("section", id="sources")
    for c in analysis.coverage:
        unread = f" {len(c.unread)}" if c.unread else ""
        assert f"{c.path} $ {c.command} {c.format or 'nothing'} {c.lines} {c.read}{unread}" in section.words
        assert c.skipped in section.words
        assert all(note in section.words for note in c.notes)


def test_unread_lines_are_shown_with_reason_and_link(page: Page, analysis: Analysis) -> None:
    (entry,) = [e for e in page.all("li") if e.words.startswith("line 17")]
    assert entry.words == (
        "line 17: not expected here: 'iptables:' (column 1) iptables: Resource temporarily unavailable."
    )
    (link,) = [a for a in page.all("a") if a.words == "line 17"]
    assert page.by_id(link.attributes["href"][1:]).text == "iptables: Resource temporarily unavailable.\n"


def test_trouble_of_a_command_is_told_with_its_source(page: Page) -> None:
    assert "iptables_save 19 18 1 exit code 4" in page.one("section", id="sources").words


def test_what_was_not_collected_says_why(page: Page, analysis: Analysis) -> None:
    section = page.one("section", id="sources").words
    for item in analysis.bundle.not_collected:
        assert f"{item.command} {item.reason}" in section
    assert "ip_addr container app" in section


def test_problems_of_the_bundle_are_told_at_the_top(page: Page) -> None:
    assert "1 problem" in page.one("header").words
    assert "host/ip_route.txt: SHA-256 differs from the manifest" in page.one("section", id="sources").words


def test_a_healthy_host_is_said_to_be_judged_whole(healthy: Analysis) -> None:
    page = Page(html.render(healthy))
    assert page.one("p", class_="headline").words == "Nothing wrong was found; 13 checks judged."
    assert page.one("section", id="unjudged").words == "What could not be judged Every check could be judged."
    assert page.all("article") == []


def test_nothing_found_is_not_called_healthy_when_nothing_could_be_judged(bare: Analysis) -> None:
    page = Page(html.render(bare))
    assert page.one("p", class_="headline").words == "Nothing wrong was found; of 2 checks, 2 could not be judged."
    assert "not a clean bill" in page.one("section", id="wrong").words


# --- the host ---


def test_the_tables_have_the_facts_of_the_drawing(page: Page) -> None:
    section = page.one("section", id="topology")
    assert "db running · 7e24e9ff3096 none eth0 172.19.0.2/16 back veth2e334af, no bridge" in section.words
    assert "web running · 129eed923d9c 8080→80/tcp eth0 172.18.0.2/16 front vethe9688ea" in section.words
    assert "front bridge 172.18.0.0/16, 172.18.0.1 br-ebe28ba8b3d7 172.18.0.1/16" in section.words
    assert "no network in the bundle br-0f1e2d3c4b5a 172.21.0.1/16" in section.words
    assert "eth0 veth up, UP 203.0.113.10/24 52:4d:c9:a5:c1:f6 1500" in section.words


def test_many_ports_stand_side_by_side(motley: Analysis) -> None:
    page = Page(html.render(motley))
    (cell,) = [span for span in page.all("span", class_="many") if "42000" in span.words]
    assert cell.words == ", ".join(f"192.0.2.17:{42000 + n}→{8000 + n}/tcp" for n in range(20))


def test_facts_that_are_not_in_the_bundle_are_said_to_be_missing(bare: Analysis) -> None:
    section = Page(html.render(bare)).one("section", id="topology").words
    for what in ("Networks", "Containers", "Interfaces"):
        assert f"{what}: nothing is in the bundle" in section


def test_a_fact_leads_to_the_line_it_was_read_from(page: Page) -> None:
    (link,) = [a for a in page.all("a") if a.words == "br-0f1e2d3c4b5a"][-1:]
    assert page.by_id(link.attributes["href"][1:]).text.startswith("14: br-0f1e2d3c4b5a:")


# --- raw sources ---


def test_raw_sources_hold_every_line(page: Page, analysis: Analysis) -> None:
    raw = {details.attributes["id"]: details for details in page.all("details", class_="raw")}
    for number, c in enumerate(analysis.coverage):
        assert c.source
        assert raw[f"source-{number}"].text.endswith("\n".join(c.source.lines) + "\n\n")


def test_the_numbers_beside_a_raw_source_are_those_of_its_lines(page: Page, analysis: Analysis) -> None:
    numbers, texts = page.all("pre", class_="numbers-of-lines"), page.all("pre", class_="text")
    of_path = {c.path: c for c in analysis.coverage}
    assert len(of_path) == len(texts)
    for column, text in zip(numbers, texts, strict=True):
        c = of_path[text.attributes["aria-label"].removeprefix("Text of ")]
        assert column.text.strip("\n").split("\n") == [str(n) for n in range(1, c.lines + 1)]
        assert text.text.removeprefix("\n").count("\n") == c.lines


def test_the_numbers_beside_a_cut_source_leave_a_row_for_what_is_left_out(analysis: Analysis) -> None:
    lines = _listing.CHARACTERS_OF_SOURCE // 10
    page = Page(html.render(large(analysis, lines, "abcdefghijklmnopqrstuvwxyz", lines - 10)))
    rows = page.one("pre", class_="numbers-of-lines").text.removeprefix("\n").split("\n")
    shown = page.one("pre", class_="text").text.removeprefix("\n").split("\n")
    assert len(rows) == len(shown) - 1  # the text ends with a line feed
    for number, line in zip(rows, shown, strict=False):
        assert line.split(" ")[-1] == number if number else line.endswith("left out")


def test_the_text_of_sources_is_cut_at_last_where_it_tells_most(
    analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is for evidence first, then for what speaks of the host, then for namespaces."""
    monkeypatch.setattr(_listing, "CHARACTERS_OF_ALL", 3000)
    monkeypatch.setattr(_listing, "CHARACTERS_OF_SOURCE", 1000)

    def source(path: str, scope: str) -> Source:
        return Source(path, f"{path} line\n" * 400, "cmd", scope)

    first, second, host = source("a", "netns:1"), source("b", "netns:2"), source("c", "host")
    listings = _listing.list_sources({first: set(), second: {390}, host: set()})
    shown = {listing.source.path: len(listing.shown) for listing in listings}
    assert shown["c"] == 1000 // 7
    assert shown["b"] == 1000 // 7 + 7
    assert shown["a"] < shown["c"]


def large(analysis: Analysis, lines: int, line: str, evidence: int) -> Analysis:
    """The analysis with one source of many lines, of which one is evidence."""
    source = Source("large.txt", "".join(f"{line} {n}\n" for n in range(1, lines + 1)), "large")
    finding = replace(analysis.findings[0], evidence=(Evidence(source.span(evidence, 1, 4), "here"),))
    coverage = SourceCoverage("large.txt", "large", "large", lines, lines, (), source=source)
    return replace(analysis, findings=(finding,), coverage=(coverage,))


def test_a_large_source_is_cut_with_a_notice_but_its_evidence_stays(analysis: Analysis) -> None:
    lines = _listing.CHARACTERS_OF_SOURCE // 10
    text = html.render(large(analysis, lines, "abcdefghijklmnopqrstuvwxyz", lines - 10))
    page = Page(text)
    (raw,) = page.all("details", class_="raw")
    numbers = page.one("pre", class_="numbers-of-lines").text.split()
    assert f"{lines - len(numbers)} of its lines are left out here" in raw.words
    assert numbers[-4:] == [str(lines - number) for number in (10, 9, 8, 7)]
    assert re.search(r"… \d+ lines left out", raw.text)
    assert page.by_id(f"source-0-{lines - 10}").text == f"abcdefghijklmnopqrstuvwxyz {lines - 10}\n"
    assert f"#source-0-{lines - 10}" in [a.attributes["href"] for a in page.all("a")]
    assert len(text) < 3 * _listing.CHARACTERS_OF_SOURCE


def test_a_very_long_line_is_cut_around_what_it_proves(analysis: Analysis) -> None:
    source = Source("inspect.json", "x" * 50_000 + "PROOF" + "y" * 50_000 + "\n", "docker inspect")
    finding = replace(analysis.findings[0], evidence=(Evidence(source.span(1, 50_001, 50_006), "here"),))
    coverage = SourceCoverage("inspect.json", "", "docker_inspect", 1, 1, (), source=source)
    page = Page(html.render(replace(analysis, findings=(finding,), coverage=(coverage,))))
    assert page.one("mark").text == "PROOF"
    figure = page.all("figure", class_="evidence")[0]
    assert re.search("…x{100,}PROOFy{100,}…", figure.text)
    assert len(figure.text) < 1_000


@pytest.mark.parametrize(("blanks", "kept"), [(0, 0), (8, 8), (9, 2), (40, 2)])
def test_an_excerpt_does_without_many_blanks_that_all_its_lines_begin_with(blanks: int, kept: int) -> None:
    lines = ["{", '"Ports": [', '    "8080"', "]", "", "}"]
    source = Source("inspect.json", "".join(f"{' ' * blanks if line else ''}{line}\n" for line in lines), "")
    shown = _listing.excerpt(Evidence(source.span(3, blanks + 5, blanks + 11), "published"))
    assert "<mark>&#34;8080&#34;</mark>" in shown
    text = re.sub("<[^>]*>", "", shown)
    wanted = ("{", "&#34;Ports&#34;: [", "    &#34;8080&#34;", "    └─ published", "]", "")
    assert text.splitlines() == [f"{' ' * kept}{line}" if line else "" for line in wanted]


def test_evidence_of_many_lines_is_cut_in_its_middle(analysis: Analysis) -> None:
    source = Source("table.txt", "".join(f"line {n}\n" for n in range(1, 101)), "")
    finding = replace(analysis.findings[0], evidence=(Evidence(source.span_of_lines(10, 90), "all of these"),))
    coverage = SourceCoverage("table.txt", "", "t", 100, 100, (), source=source)
    figure = Page(html.render(replace(analysis, findings=(finding,), coverage=(coverage,)))).all("figure")[0]
    shown = [int(number) for number in re.findall(r"line (\d+)", figure.text)]
    assert shown == [*range(8, 18), *range(88, 93)]
    assert "70 lines left out" in figure.text


def test_evidence_that_points_behind_its_source_does_not_break_the_page(analysis: Analysis) -> None:
    source = Source("empty.txt", "", "")
    finding = replace(analysis.findings[0], evidence=(Evidence(Span(source, 1, 1, 1, 1), "nothing"),))
    coverage = SourceCoverage("empty.txt", "", "t", 0, 0, (), source=source)
    page = Page(html.render(replace(analysis, findings=(finding,), coverage=(coverage,))))
    assert page.all("figure")[0].words.startswith("empty.txt:1")


# --- for everybody ---


def test_every_link_leads_somewhere_and_every_id_is_there_once(page: Page) -> None:
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    assert {a.attributes["href"][1:] for a in page.all("a")} - set(page.ids) == set()


def test_headings_are_in_order_below_one_first(page: Page) -> None:
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert [(a, b) for a, b in pairwise(levels) if b > a + 1] == []


def test_the_page_has_landmarks_and_every_section_a_name(page: Page) -> None:
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    for part in [*page.all("section"), *page.all("article"), *page.all("svg", class_="topology")]:
        for name in part.attributes["aria-labelledby"].split():
            assert page.by_id(name).words


def test_headers_of_tables_say_what_they_head(page: Page) -> None:
    assert {th.attributes.get("scope") for th in page.all("th")} == {"col", "row", "rowgroup"}


def test_a_sign_never_stands_for_a_word(page: Page) -> None:
    """Signs are hidden from screen readers, so each severity is written out beside its sign."""
    assert {svg.attributes["aria-hidden"] for svg in page.all("svg", class_="sign")} == {"true"}
    for element in page.all("span", class_="severity"):
        assert element.words in {"error", "warning", "note"}


def test_all_can_be_read_without_scripts(text: str, analysis: Analysis) -> None:
    """Buttons come with the script; what is folded away is folded by the browser."""
    silent = Page(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert silent.one("template").text.count("Clear") == len(silent.all("button")) == 1
    assert [e for e in silent.elements if "hidden" in e.attributes] == []
    assert all(f.message.replace("`", "") in silent.one("main").words for f in analysis.shown())


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: the relative luminance of the lighter over that of the darker."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_contrast_in_both_schemes(page: Page, scheme: int) -> None:
    """4.5:1 for text on every ground that it stands on (WCAG 2.2, 1.4.3)."""
    palette = dict(
        re.findall(r"--(\w+): (#[0-9a-f]{6});", page.one("style").text.split("* {")[0].split("@media")[scheme])
    )
    texts, grounds = ("ink", "soft", "error", "warning", "note", "good"), ("paper", "panel", "hit")
    weak = {
        (ink, ground): round(contrast(palette[ink], palette[ground]), 2)
        for ink in texts
        for ground in grounds
        if contrast(palette[ink], palette[ground]) < 4.5
    }
    assert weak == {}
    assert contrast(palette["ink"], palette["mark"]) > 7


# --- the same again ---


def test_the_same_analysis_gives_the_same_page(analysis: Analysis, text: str) -> None:
    assert html.render(analysis) == text


def test_sixty_containers_are_rendered_whole(crowd: Callable[[int], Analysis]) -> None:
    page = Page(html.render(crowd(60)))
    assert len(page.all("th", scope="rowgroup")) == 60
    assert {a.attributes["href"][1:] for a in page.all("a")} - set(page.ids) == set()


def test_the_page_needs_neither_pandas_nor_weasyprint() -> None:
    code = "import sys, netdiag.report.html; print({'pandas', 'weasyprint'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.strip() == "set()"


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
