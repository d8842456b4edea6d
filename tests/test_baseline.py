"""What an older result has already does not count again."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.baseline import against, read_baseline
from netdiag.errors import UsageError
from netdiag.report import render
from netdiag.results import Analysis

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def faulty() -> Analysis:
    return analyze(SAMPLES / "bundles" / "three-faults.tar.gz")


def test_the_same_bundle_has_nothing_new(faulty: Analysis, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_bytes(render(faulty, "json"))
    again = against(faulty, read_baseline(old))
    assert again.shown_new() == ()
    assert again.shown_known() == faulty.findings


def test_only_what_the_older_result_lacks_is_new(faulty: Analysis) -> None:
    first, second, third = faulty.findings
    told = against(faulty, Counter([first.fingerprint, third.fingerprint, "0123456789abcdef"]))
    assert told.shown_new() == (second,)
    assert told.findings == faulty.findings


def test_lines_that_moved_make_nothing_new(tmp_path: Path) -> None:
    """The same rules behind twenty lines of comment."""
    fires = SAMPLES / "checks" / "filter-docker-user-drop" / "fires"
    moved = tmp_path / "moved"
    for file in fires.rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            target = moved / file.relative_to(fires)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = file.read_text(encoding="utf-8")
            target.write_text("# moved\n" * 20 + text if file.name == "iptables-save.txt" else text, encoding="utf-8")
    before, after = analyze(fires), analyze(moved)
    (old,) = (f for f in before.findings if f.check == "filter-docker-user-drop")
    (new,) = (f for f in after.findings if f.check == "filter-docker-user-drop")
    assert new.evidence[0].span.line == old.evidence[0].span.line + 20
    assert against(after, Counter([old.fingerprint])).shown_known() == (new,)


def test_of_findings_that_share_a_fingerprint_as_many_are_known_as_there_were(faulty: Analysis) -> None:
    first = faulty.findings[0]
    second = replace(first, message="another rule drops it as well")
    both = replace(faulty, findings=(first, second))
    assert against(both, Counter([first.fingerprint])).shown_new() == (second,)
    assert against(both, Counter([first.fingerprint] * 2)).shown_new() == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"findings": 1}', '{"findings": [{}]}', "[" * 100000, '{"findings": ["x"]}']
)
def test_what_is_no_result_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_baseline(old)
    assert str(refused.value) == f"{old} is no result of `netdiag analyze --format json`"


def test_a_result_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        read_baseline(tmp_path / "absent.json")


def test_a_result_of_an_older_schema_is_a_baseline_too(faulty: Analysis, tmp_path: Path) -> None:
    result = json.loads(render(faulty, "json"))
    for finding in result["findings"]:
        del finding["baseline"]
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**result, "schema_version": "1.0"}))
    assert against(faulty, read_baseline(old)).shown_new() == ()
