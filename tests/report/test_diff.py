"""The comparison of two bundles as JSON, HTML and text, of real bundles and of hostile ones."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netdiag.analysis import analyze
from netdiag.comparison import Comparison, compare
from netdiag.report import diff, diff_html
from netdiag.report.schemas import schema
from netdiag.report.snippet import Look
from netdiag.report.visible import UNSAFE, columns
from netdiag.results import Analysis

DIFFS = Path(__file__).parents[2] / "samples" / "diffs"
GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in DIFFS.iterdir() if path.is_dir())

# Of the drawings only the signs of severities.
SIGN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 20 20" width="16" height="16" class="sign" '
    'aria-hidden="true"'
)


def of_case(case: str) -> Comparison:
    return compare(*(analyze(DIFFS / case / side) for side in ("before", "after")))


@pytest.fixture
def attacked(hostile: Analysis, analysis: Analysis) -> Comparison:
    """A host whose containers and networks are renamed to names that attack."""
    return compare(analysis, replace(hostile, findings=hostile.findings[1:]))


def violations(comparison: Comparison) -> list[str]:
    made = json.loads(diff.as_json(comparison))
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema("diff")).iter_errors(made)]


def test_the_schema_is_a_schema_and_describes_every_property() -> None:
    rules: Any = schema("diff")
    Draft202012Validator.check_schema(rules)
    assert [path for path, rule in _properties(rules, "$") if not rule.get("description")] == []


def _properties(rules: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(rules, list):
        for item in rules:
            yield from _properties(item, path)
    elif isinstance(rules, dict):
        for name, rule in rules.get("properties", {}).items():
            yield f"{path}.{name}", rule
        for key, value in rules.items():
            yield from _properties(value, f"{path}.{key}")


@pytest.mark.parametrize("case", CASES)
def test_the_published_schema_accepts_the_json(case: str) -> None:
    comparison = of_case(case)
    assert violations(comparison) == []
    assert diff.as_json(comparison) == diff.as_json(of_case(case))


def test_hostile_names_are_data_in_json_and_signs_elsewhere(attacked: Comparison) -> None:
    assert violations(attacked) == []
    assert UNSAFE.findall(diff.as_json(attacked).replace("\n", "")) == []
    page = diff_html.render(attacked)
    assert UNSAFE.findall(page.replace("\n", "")) == []
    assert re.findall(r"<(?:script|img)\b", page) == []
    assert set(re.findall(r"<svg\b[^>]*", page)) == {SIGN}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    text = diff.as_text(attacked, Look(colour=False, width=80, unicode=False))
    assert text.isascii()
    assert UNSAFE.findall(text.replace("\n", "")) == []


def test_the_page_asks_for_nothing_and_runs_nothing(attacked: Comparison) -> None:
    page = diff_html.render(attacked)
    assert "default-src 'none'; style-src 'sha256-" in page
    assert re.findall(r"(?i)<[^>]*\b(?:src|action)=|url\(|@import|<script", page) == []
    assert [place for place in re.findall(r'href="(.)', page) if place != "#"] == []


@pytest.mark.parametrize("case", ["rules-vanished", "ip-changed"])
def test_the_page_is_the_one_that_was_read(case: str) -> None:
    page = re.sub(r"<style>.*?</style>", "<style></style>", diff_html.render(of_case(case)), flags=re.DOTALL)
    page = re.sub(r"style-src '[^']*'", "style-src ''", page)
    golden = GOLDEN / f"diff-{case}.html"
    if os.environ.get("ACCEPT"):
        golden.write_text(page, encoding="utf-8")
    assert page == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80])
def test_changes_keep_to_the_width(width: int, attacked: Comparison) -> None:
    lines = diff.as_text(attacked, Look(colour=False, width=width, unicode=True)).splitlines()
    assert [line for line in lines if columns(line) > width and line.startswith(("  +", "  -", "  ~"))] == []


def test_long_lists_are_cut_with_a_notice() -> None:
    text = diff.as_text(of_case("rules-vanished"), Look(colour=False, width=100, unicode=True))
    assert "  and 2 more (--format json has all)" in text.splitlines()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than a second"), (59.6, "1 min"), (3725, "1 h 2 min"), (90000, "1 day 1 h"), (200000, "2 days 7 h")],
)
def test_the_time_between_is_told_in_large_units(seconds: float, words: str, analysis: Analysis) -> None:
    comparison = replace(compare(analysis, analysis), seconds=seconds)
    text = diff.as_text(comparison, Look(colour=False, width=100, unicode=True))
    assert f"between {words}" in text.splitlines()
