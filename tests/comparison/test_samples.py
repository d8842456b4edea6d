"""Pairs of bundles of real hosts, and the comparisons that a person has read.

`samples/diffs/<case>/{before,after}` are reduced to what the remark needs; `<case>/expected.txt` is what is said.
"""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from netdiag.analysis import analyze, read_bundle
from netdiag.bundle import open_bundle
from netdiag.cli.diff import command
from netdiag.comparison import Comparison, compare
from netdiag.report.diff import as_text
from netdiag.report.snippet import Look
from netdiag.results import Analysis

SAMPLES = Path(__file__).parents[2] / "samples"
CASES = sorted(path.name for path in (SAMPLES / "diffs").iterdir() if path.is_dir())
LOOK = Look(colour=False, width=100, unicode=True)


def comparison(case: str) -> Comparison:
    return compare(*(analyze(SAMPLES / "diffs" / case / side) for side in ("before", "after")))


def test_there_is_a_sample_of_every_remark() -> None:
    assert CASES == [
        "bridge-recreated",
        "counter-deltas",
        "firewall-backend-switched",
        "ip-changed",
        "policy-or-sysctl-flipped",
        "rules-vanished",
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_comparison_is_the_one_that_was_read(case: str) -> None:
    text = as_text(comparison(case), LOOK)
    golden = SAMPLES / "diffs" / case / "expected.txt"
    if os.environ.get("ACCEPT"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_the_remark_of_the_sample_is_made_and_nothing_is_said_of_a_bundle_and_itself(case: str) -> None:
    assert f"diff-{case}" in [remark.name for remark in comparison(case).remarks]
    for side in ("before", "after"):
        same = analyze(SAMPLES / "diffs" / case / side)
        told = compare(same, same)
        assert (told.remarks, told.changes, told.growths, told.not_compared) == ((), (), (), ())


def test_a_whole_bundle_and_itself_have_no_difference() -> None:
    same = analyze(SAMPLES / "bundles" / "three-faults.tar.gz")
    told = compare(same, same)
    assert (told.remarks, told.changes, told.growths, told.not_compared) == ((), (), (), ())
    assert {each.fate.value for each in told.findings} == {"still there"}


def test_the_command_exits_with_1_when_it_got_worse(tmp_path: Path) -> None:
    def diff(*arguments: str) -> int:
        case = SAMPLES / "diffs" / "rules-vanished"
        done = CliRunner().invoke(
            command, [*map(str, (case / "before", case / "after")), *arguments], standalone_mode=False
        )
        assert done.exception is None, done.exception
        return int(done.return_value)

    page, data = tmp_path / "d.html", tmp_path / "d.json"
    assert diff("-o", str(page), "-o", str(data)) == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert '"diff-rules-vanished"' in data.read_text(encoding="utf-8")
    assert diff("--fail-on", "never") == 0


def unjudged(path: Path) -> Analysis:
    """What there is to compare of a bundle; no check is run."""
    read = read_bundle(open_bundle(path))
    return Analysis(read.bundle, read.documents, read.coverage, read.host, (), ())


@pytest.mark.parametrize("check", sorted(path.name for path in (SAMPLES / "checks").iterdir())[::12])
def test_poor_bundles_and_bundles_of_other_hosts_are_compared_without_a_fault(check: str) -> None:
    fires, quiet = (unjudged(SAMPLES / "checks" / check / side) for side in ("fires", "quiet"))
    for one, other in ((fires, quiet), (quiet, fires)):
        assert as_text(compare(one, other), LOOK)
        same = compare(one, one)
        assert (same.remarks, same.changes, same.growths, same.not_compared) == ((), (), (), ())
