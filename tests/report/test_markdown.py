"""The report as Markdown: what an issue or a wiki makes of it, whatever the names are."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag.report.markdown import block, cell, code, prose, prose_cell, render
from netdiag.results import Analysis

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["analysis", "healthy", "bare", "hostile", "put_aside"])
def test_the_text_is_the_one_that_was_read(name: str, request: pytest.FixtureRequest) -> None:
    text = render(request.getfixturevalue(name), pedantic=False)
    golden = GOLDEN / f"report-{name}.md"
    if os.environ.get("ACCEPT"):
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode()


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("no MASQUERADE for `back`", "no MASQUERADE for `back`"),
        ("the name <b> of [x](http://y)", "the name \\<b\\> of \\[x\\](http://y)"),
        ("an odd ` alone", "an odd \\` alone"),
        ("`a*b` and c*d", "`a*b` and c\\*d"),
        ("two\nlines", "two lines"),
        ("esc \x1b[2J", "esc ␛\\[2J"),
    ],
)
def test_prose_acts_only_by_its_code(text: str, made: str) -> None:
    assert prose(text) == made


def test_code_has_a_longer_fence_than_what_it_holds() -> None:
    assert code("a`b") == "``a`b``"
    assert code("`x`") == "`` `x` ``"
    assert list(block(["````", "x"])) == ["`````", "````", "x", "`````"]


def test_a_bar_does_not_end_a_cell() -> None:
    assert cell("a|b`c|d`") == "a\\|b\\`c\\|d\\`"
    assert prose_cell("a|b `c|d`") == "a\\|b `c\\|d`"


def test_no_name_becomes_markup(hostile: Analysis) -> None:
    text = render(hostile, pedantic=True)
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert re.findall(r"(?<!\\)[<>]", outside) == []


def test_a_long_excerpt_is_cut_with_a_notice(analysis: Analysis) -> None:
    finding = analysis.findings[0]
    span = finding.evidence[0].span
    long = replace(finding.evidence[0], span=span.source.span_of_lines(1, len(span.source.lines)))
    text = render(replace(analysis, findings=(replace(finding, evidence=(long,)),)), pedantic=False)
    assert f"… {len(span.source.lines) - 12} lines more" in text
