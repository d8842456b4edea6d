"""What every renderer writes, whole, as it was read by a person: `tests/report/golden/snapshot-*`.

Text, Markdown, tickets, tables and the page of a comparison have goldens of their own, in several widths and of several
hosts, beside their tests.
"""

import os
import re
from pathlib import Path

import pytest

from netdiag import report
from netdiag.analysis import analyze, read_bundle
from netdiag.bundle import Bundle
from netdiag.comparison import compare
from netdiag.report import diff, pdf, trace
from netdiag.report.snippet import Look
from netdiag.results import Analysis
from netdiag.spans import Source

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).parents[2] / "samples"
LOOK = Look(colour=False, width=100, unicode=True)

#: What stands in these is read where it is written: the style sheets and scripts of the page.
ASSETS = re.compile(r"(<(style|script)[^>]*>).*?(</\2>)", re.DOTALL)


def assert_as_read(text: str, name: str) -> None:
    golden = GOLDEN / f"snapshot-{name}"
    if os.environ.get("ACCEPT"):
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode()


@pytest.mark.parametrize("name", ["concise", "json", "csv", "html", "sarif", "junit"])
def test_a_report(name: str, analysis: Analysis) -> None:
    text = report.render(analysis, name).decode()
    assert_as_read(ASSETS.sub(r"\1\3", text), f"report.{name}")


def test_the_case_file_that_is_printed(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr(pdf, "print_html", lambda text: (printed.append(text), b"")[1])
    report.render(analysis, "pdf")
    assert_as_read(ASSETS.sub(r"\1\3", printed[0]), "case-file.html")


@pytest.mark.parametrize("name", ["text", "json", "csv", "folded", "chrome", "speedscope"])
def test_a_trace(name: str) -> None:
    path = SAMPLES / "formats" / "trace_cmd_report" / "seed.txt"
    source = Source("seed.txt", path.read_text(encoding="utf-8"), format="trace_cmd_report")
    reading = read_bundle(Bundle("traces", "", "", "", (source,)))
    text = b"".join(trace.render(trace.views(reading, trace.Wanted()), name, LOOK)).decode()
    assert_as_read(text, f"trace.{name}")


@pytest.mark.parametrize("case", ["ip-changed", "rules-vanished"])
def test_a_comparison_as_text_and_json(case: str) -> None:
    comparison = compare(*(analyze(SAMPLES / "diffs" / case / side) for side in ("before", "after")))
    assert_as_read(diff.as_text(comparison, LOOK), f"diff-{case}.txt")
    assert_as_read(diff.as_json(comparison), f"diff-{case}.json")
