"""The PDF: the case file of a bundle, printed by a child process that fetches nothing."""

import html
import io
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netdiag import report
from netdiag.analysis import analyze as analysis_of
from netdiag.bundle import stored
from netdiag.cli import analyze
from netdiag.errors import ReportUnavailable
from netdiag.finding import Evidence, Outcome, Subject, Verdict
from netdiag.report import pdf
from netdiag.results import Analysis
from netdiag.spans import Source, StoredSource

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

XHTML = "{http://www.w3.org/1999/xhtml}"

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None or shutil.which("pdfinfo") is None,
    reason="pdftotext and pdfinfo (Debian: poppler-utils) are not installed",
)


@pytest.fixture(scope="module", autouse=True)
def _weasyprint_works() -> None:
    try:
        pdf.print_html("<p>")
    except ReportUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def case_file(analysis: Analysis) -> bytes:
    return pdf.render(analysis)


@pytest.fixture(scope="module")
def traced_file() -> bytes:
    """A bundle with traces: packets and flame graphs are in it."""
    return pdf.render(analysis_of(Path(__file__).parents[2] / "samples" / "bundles" / "seed"))


@pytest.fixture(scope="module")
def healthy_file(healthy: Analysis) -> bytes:
    return report.render(healthy, "pdf", paper="letter")


@pytest.fixture(scope="module")
def hostile_file(hostile: Analysis) -> bytes:
    return pdf.render(hostile)


def poppler(tool: str, document: bytes, *options: str) -> str:
    files = ["-", "-"] if tool == "pdftotext" else ["-"]
    return subprocess.run([tool, *options, *files], input=document, capture_output=True, check=True).stdout.decode()


def words(document: bytes) -> str:
    """All text of a PDF; line ends and runs of blanks count as one blank."""
    return " ".join(poppler("pdftotext", document, "-layout").split())


def pages(document: bytes) -> int:
    (line,) = [line for line in poppler("pdfinfo", document).splitlines() if line.startswith("Pages:")]
    return int(line.split()[1])


@pytest.fixture
def to_print(monkeypatch: pytest.MonkeyPatch) -> Callable[[Analysis], str]:
    """The words of the document that is handed to the printer: to print it takes seconds."""

    def words_of(analysis: Analysis) -> str:
        texts: list[str] = []
        with monkeypatch.context() as context:
            context.setattr(pdf, "print_html", lambda text: texts.append(text) or b"%PDF-")
            pdf.render(analysis)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", texts[0].partition("<body>")[2])).split())

    return words_of


def packed(text: str) -> str:
    """Text without blanks: where a line is broken on paper does not matter."""
    return "".join(text.split())


def test_it_is_a_pdf(case_file: bytes) -> None:
    assert case_file.startswith(b"%PDF-")
    assert case_file.rstrip().endswith(b"%%EOF")


@needs_poppler
def test_it_holds_every_finding_with_evidence_and_repair(case_file: bytes, analysis: Analysis) -> None:
    text = packed(poppler("pdftotext", case_file, "-raw"))
    for finding in analysis.shown():
        assert packed(finding.message.replace("`", "")) in text
        assert packed(finding.why) in text
        assert all(packed(command) in text for command in (*finding.remedy, *finding.verify))
        for item in finding.evidence:
            assert f"{item.span.source.path}:{item.span.line}" in text
            assert all(packed(line) in text for line in item.span.excerpt.split("\n"))
            assert packed(item.label.replace("`", "")) in text


@needs_poppler
def test_it_holds_what_was_not_judged_not_read_and_not_collected(case_file: bytes, analysis: Analysis) -> None:
    text = packed(poppler("pdftotext", case_file, "-raw"))
    for outcome in analysis.outcomes:
        assert packed(outcome.check) in text
        if outcome.verdict in (Verdict.UNKNOWN, Verdict.CRASHED):
            assert packed(outcome.reason.replace("`", "")) in text
            assert all(packed(command) in text for command in outcome.ask)
    assert packed("9 sources, 7 of them read whole.") in text
    assert packed("exit code 4") in text
    assert all(packed(item.reason) in text for item in analysis.bundle.not_collected)


def test_checks_that_one_reason_keeps_from_judging_stand_together(
    analysis: Analysis, to_print: Callable[[Analysis], str]
) -> None:
    """A poor bundle leaves most checks open: a row for each would be pages that nobody reads."""
    reason = "no sysctl was collected: no such command: sysctl"
    more = tuple(Outcome(f"sysctl-{n:02d}", Verdict.UNKNOWN, reason, ("sysctl",)) for n in range(40))
    text = to_print(replace(analysis, outcomes=(*analysis.outcomes, *more)))
    assert text.count(reason) == 1
    assert all(outcome.check in text for outcome in more)


@needs_poppler
def test_it_holds_the_drawing(case_file: bytes) -> None:
    text = words(case_file)
    assert "veth2e334af · no bridge" in text
    assert "other end not in the bundle" in text


@needs_poppler
def test_it_says_that_the_raw_sources_are_elsewhere(case_file: bytes) -> None:
    assert "The HTML report of the same bundle has the raw sources" in words(case_file)


@needs_poppler
def test_every_page_has_its_number(case_file: bytes) -> None:
    count = pages(case_file)
    assert count >= 4
    text = words(case_file)
    assert [number for number in range(1, count + 1) if f"page {number} of {count}" not in text] == []


@needs_poppler
def test_its_outline_names_the_parts_and_the_findings(case_file: bytes, analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "case.pdf").write_bytes(case_file)
    command = ["pdftohtml", "-xml", "-i", "-stdout", tmp_path / "case.pdf"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().partition("<outline>")[2]
    messages = [finding.message.replace("`", "") for finding in analysis.shown()]
    grouped = zip(("container db", "network back", "container app", "bridge br-0f1e2d3c4b5a"), messages, strict=True)
    titles = [html.unescape(title) for title in re.findall(r"<item page=.*?>(.*?)</item>", listed)]
    assert titles == [
        "web01",
        "What is wrong",
        "Contents",
        "Findings",
        *(line for group in grouped for line in group),
        "Map",
        "Coverage",
        "Please also run",
        "What could not be judged",
        "Checks that found something",
        "4 checks found nothing wrong",
        "1 check does not apply to this host",
        "Sources",
        "Problems with the bundle",
        "Remarks",
        "Not read",
        "Not collected",
    ]


@needs_poppler
def test_no_text_is_cut_at_the_edge_of_the_paper(case_file: bytes, hostile_file: bytes) -> None:
    for document in (case_file, hostile_file):
        tree = ET.fromstring(poppler("pdftotext", document, "-bbox"))
        outside = [
            word.text
            for page in tree.iter(f"{XHTML}page")
            for word in page.iter(f"{XHTML}word")
            if float(word.attrib["xMin"]) < 25
            or float(word.attrib["xMax"]) > float(page.attrib["width"]) - 25
            or float(word.attrib["yMin"]) < 10
            or float(word.attrib["yMax"]) > float(page.attrib["height"]) - 10
        ]
        assert outside == []


@needs_poppler
def test_a_long_line_is_wrapped_not_cut(analysis: Analysis) -> None:
    source = Source("long.txt", f"begin {'x' * 300} end\n", "long")
    finding = replace(analysis.findings[0], evidence=(Evidence(source.span(1, 1, 6), "here"),))
    text = packed(poppler("pdftotext", pdf.render(replace(analysis, findings=(finding,))), "-raw"))
    assert f"begin{'x' * 300}end" in text


@needs_poppler
def test_control_characters_are_shown_with_signs_that_every_typeface_has(hostile_file: bytes) -> None:
    text = packed(poppler("pdftotext", hostile_file, "-raw"))
    assert "<b>web01</b>\\x1b[31m" in text


def test_many_containers_are_drawn_on_several_sheets(
    crowd: Callable[[int], Analysis], to_print: Callable[[Analysis], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "MOST_SHEETS", 2)
    text = to_print(crowd(60))
    assert "The first 2 of 5 parts of the drawing; all of it is in the HTML report." in text
    assert text.count("outside networks and bridges veths") == 2


def test_of_very_many_findings_the_first_are_printed_and_the_rest_is_told(
    analysis: Analysis, to_print: Callable[[Analysis], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "MOST_FINDINGS", 2)
    text = to_print(analysis)
    assert "The first 2 of 4 findings; all of them are in the HTML report." in text
    assert "netdiag explain nat-masquerade-missing" in text
    assert "netdiag explain address-mac-ip-mismatch" not in text


def test_of_very_much_evidence_the_first_is_printed_and_the_rest_is_told(
    analysis: Analysis, to_print: Callable[[Analysis], str]
) -> None:
    source = Source("many.txt", "".join(f"line {n}\n" for n in range(1, 101)), "many")
    evidence = tuple(Evidence(source.span(10 * n, 1, 5), f"label {n};") for n in range(1, 10))
    text = to_print(replace(analysis, findings=(replace(analysis.findings[0], evidence=evidence),)))
    assert re.findall(r"label (\d);", text) == ["1", "2", "3", "4", "5", "6"]
    assert "3 more pieces of evidence are in the HTML report." in text


def test_a_trace_that_is_too_long_for_memory_is_printed_like_any_other(
    tmp_path: Path, to_print: Callable[[Analysis], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = shutil.copytree(Path(__file__).parents[2] / "samples" / "bundles" / "seed", tmp_path / "seed")
    held = to_print(analysis_of(seed))
    monkeypatch.setattr(stored, "LONG", 1000)
    analysis = analysis_of(seed)
    assert {c.path for c in analysis.coverage if isinstance(c.source, StoredSource)} == {
        "perf_script.txt",
        "perf_trace.txt",
        "trace_cmd_report.txt",
    }
    assert to_print(analysis) == held


@needs_poppler
def test_the_paper_can_be_chosen(case_file: bytes, healthy_file: bytes) -> None:
    sizes = [re.findall(r"Page size: +(.*)", poppler("pdfinfo", document)) for document in (case_file, healthy_file)]
    assert sizes == [["595.276 x 841.89 pts (A4)"], ["612 x 792 pts (letter)"]]


def test_the_command_line_passes_the_paper_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr(pdf, "print_html", lambda text: printed.append(text) or b"%PDF-")
    seed = Path(__file__).parents[2] / "samples" / "bundles" / "seed"
    for options in ([], ["--paper", "letter"]):
        analyze.command.main([str(seed), "-o", str(tmp_path / "case.pdf"), *options], standalone_mode=False)
    assert [re.findall(r"@page { size: (\w+) }", text) for text in printed] == [["A4"], ["letter"]]


@needs_poppler
def test_it_is_tagged_for_those_who_have_it_read_to_them(case_file: bytes) -> None:
    assert re.search(r"Tagged: +yes", poppler("pdfinfo", case_file))
    assert 'pdfuaid:part="1"' in poppler("pdfinfo", case_file, "-meta")
    structure = poppler("pdfinfo", case_file, "-struct")
    assert [kind for kind in ("H1", "H2", "H3", "H4", "L", "Table", "TH") if f"{kind}" not in structure] == []


# What ISO 32000-1, 14.8.4 lets stand in these elements of the structure; the others may hold whatever they like.
CHILDREN = {
    "/L": {"/LI", "/Caption"},
    "/LI": {"/Lbl", "/LBody", "/L"},
    "/Table": {"/TR", "/THead", "/TBody", "/TFoot", "/Caption"},
    "/THead": {"/TR"},
    "/TBody": {"/TR"},
    "/TR": {"/TH", "/TD"},
}


def structure(element: Any, parent: str = "") -> Iterator[tuple[str, str, Any]]:
    """Kind of the parent, kind and value of each element of the structure of a PDF, in the order of reading."""
    element = element.get_object()
    if isinstance(element, int):  # a piece of the content of a page
        return
    kind = str(element.get("/S", element.get("/Type", "")))
    yield parent, kind, element
    below = element.get("/K", [])
    for each in below if isinstance(below, list) else [below]:
        yield from structure(each, kind)


@pytest.mark.parametrize("name", ["case_file", "traced_file"])
def test_it_keeps_the_rules_of_pdf_ua(name: str, request: pytest.FixtureRequest) -> None:
    """ISO 14289-1 as far as a reader of the file can tell: names, languages, structure, links, figures, fonts."""
    file = pypdf.PdfReader(io.BytesIO(request.getfixturevalue(name)))
    root: Any = file.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"] == root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712
    assert file.metadata
    assert str(file.metadata.title).startswith("netdiag case file: ")
    assert file.xmp_metadata
    assert file.xmp_metadata.dc_title["x-default"] == file.metadata.title

    elements = list(structure(root["/StructTreeRoot"]))
    kinds = {kind for _, kind, _ in elements}
    assert {"/Table", "/L", "/Figure", "/Link", "/H1", "/H2", "/H3"} <= kinds
    assert {(up, kind) for up, kind, _ in elements if up in CHILDREN and kind not in CHILDREN[up]} == set()
    assert {up for up, kind, _ in elements if kind == "/LI"} == {"/L"}
    assert {up for up, kind, _ in elements if kind == "/OBJR"} == {"/Link"}
    assert [element for _, kind, element in elements if kind == "/Figure" and not element.get("/Alt")] == []
    levels = [int(kind[2]) for _, kind, _ in elements if re.fullmatch("/H[1-6]", kind)]
    assert levels[0] == 1
    assert [(one, other) for one, other in pairwise(levels) if other > one + 1] == []

    assert {page["/Tabs"] for page in file.pages} == {"/S"}
    notes = [note.get_object() for page in file.pages for note in page.get("/Annots", [])]
    assert {note["/Subtype"] for note in notes} == {"/Link"}
    assert [note for note in notes if "/Contents" not in note or "/StructParent" not in note] == []
    fonts = [font.get_object() for page in file.pages for font in page["/Resources"].get("/Font", {}).values()]
    whole = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"] for font in fonts]
    assert whole
    assert [font for font in whole if not {"/FontFile", "/FontFile2", "/FontFile3"} & font.keys()] == []
    assert [font["/BaseFont"] for font in fonts if "/ToUnicode" not in font] == []


def test_every_link_leads_to_a_place_in_the_file(case_file: bytes, traced_file: bytes) -> None:
    for document in (case_file, traced_file):
        file = pypdf.PdfReader(io.BytesIO(document))
        notes = [note.get_object() for page in file.pages for note in page.get("/Annots", [])]
        assert len(notes) > 10
        assert {str(note["/Dest"]) for note in notes} - file.named_destinations.keys() == set()


def test_every_figure_has_words_or_says_that_it_needs_none(case_file: bytes) -> None:
    """Each figure is an object of the structure, and a mark in the content of a page."""
    inside = b"".join(
        zlib.decompress(found[1])
        for found in re.finditer(rb"FlateDecode.*?>>\s*stream\n(.*?)\nendstream", case_file, re.DOTALL)
    )
    told = re.findall(rb"/Alt \((.*?)\)", inside)
    assert len(told) == inside.count(b"/Figure") / 2
    assert set(told) == {b" ", b"Network topology of web01"}


@needs_poppler
def test_the_contents_name_the_page_of_each_part(case_file: bytes) -> None:
    text = poppler("pdftotext", case_file, "-layout").split("\f")
    (contents,) = [page for page in text if "Contents" in page]
    told = {name: int(page) for name, page in re.findall(r"^ *(\w[\w -]*?) *\.{3,} *(\d+)$", contents, re.MULTILINE)}
    assert list(told) == [
        "Findings",
        "container db",
        "network back",
        "container app",
        "bridge br-0f1e2d3c4b5a",
        "Map",
        "Coverage",
        "Sources",
    ]
    for name in ("Findings", "Map", "Coverage", "Sources"):
        assert re.search(rf"^ *{name}$", text[told[name] - 1], re.MULTILINE)


def test_of_findings_that_are_alike_the_first_are_printed_and_the_rest_is_told(
    analysis: Analysis, to_print: Callable[[Analysis], str]
) -> None:
    like = analysis.findings[0]
    many = tuple(replace(like, subjects=(Subject("route", f"route {n}"),), message=f"number {n};") for n in range(24))
    text = to_print(replace(analysis, findings=many))
    assert "The first 20 of 24 findings; all of them are in the HTML report." in text
    # in the list, above the finding, and at the sign of the map
    assert [n for n in range(24) if text.count(f"number {n};") == 3] == list(range(20))


def test_the_same_analysis_gives_the_same_bytes(healthy: Analysis, healthy_file: bytes) -> None:
    assert pdf.render(healthy, paper="letter") == healthy_file


# --- nothing is fetched ---


class _Counter(BaseHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine and the paths that were asked of it."""
    handler = type("Handler", (_Counter,), {"requests": []})
    with HTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", handler.requests
        listening.shutdown()
        thread.join()


def test_nothing_is_asked_of_the_network(server: tuple[str, list[str]]) -> None:
    address, requests = server
    document = pdf.print_html(
        f'<link rel=stylesheet href="{address}/a.css"><img src="{address}/b.png"><style>@import "{address}/c.css"; '
        f'p {{ background: url("{address}/d.png") }}</style><p>text</p><object data="{address}/e.svg"></object>'
        f'<svg><image href="{address}/f.png" width=9 height=9 /></svg><a rel=attachment href="{address}/g.txt">x</a>'
    )
    assert document.startswith(b"%PDF-")
    assert requests == []


@needs_poppler
def test_no_file_of_this_machine_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="99" height="20"><text y="15">SECRET</text></svg>')
    text = words(pdf.print_html(f'<p>before</p><img src="{secret.as_uri()}"><p>behind</p>'))
    assert "before" in text
    assert "behind" in text
    assert "SECRET" not in text


# --- the child process ---


def test_the_parent_does_not_import_weasyprint() -> None:
    code = "import sys, netdiag.report.pdf; print('weasyprint' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (
            "raise OSError('cannot load library libpango\\nand more')",
            "no PDF: WeasyPrint lacks system libraries (cannot load library libpango); on Debian and Ubuntu: "
            "apt-get install --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'pydyf'\")",
            "no PDF: WeasyPrint is not installed (No module named 'pydyf'); pip install weasyprint",
        ),
        ("raise ValueError('broken')", "no PDF: WeasyPrint failed: ValueError: broken"),
        ("import sys; sys.exit(9)", "no PDF: WeasyPrint failed: it ended with 9"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, complaint: str
) -> None:
    (tmp_path / "weasyprint.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ReportUnavailable) as raised:
        pdf.print_html("<p>")
    assert str(raised.value) == complaint


def test_a_crash_of_the_libraries_after_the_last_byte_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weasyprint.py").write_text(
        "import atexit, os, signal, types\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n"
        "urls = types.SimpleNamespace(URLFetcher=lambda **options: None)\n"
        "document = types.SimpleNamespace(pages=[], write_pdf=lambda **options: b'%PDF-')\n"
        "HTML = lambda **options: types.SimpleNamespace(render=lambda **options: document)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert pdf.print_html("<p>") == b"%PDF-"


def test_a_module_that_lies_beside_the_bundle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weasyprint.py").write_text("import pathlib; pathlib.Path('run').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert pdf.print_html("<p>").startswith(b"%PDF-")
    assert not (tmp_path / "run").exists()
