"""Every check against its samples: the smallest real bundle in which it fires, and the near miss in which it stays
quiet.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag import checks
from netdiag.analysis import analyze
from netdiag.checks import HEADINGS, Check, own_checks
from netdiag.finding import Finding, Severity, Verdict
from netdiag.report import terminal
from netdiag.results import Analysis

SAMPLES = Path(__file__).parents[2] / "samples" / "checks"
NAMES = sorted(check.name for check in own_checks())


def alarms(analysis: Analysis) -> list[Finding]:
    """Findings that somebody would act on: a note, such as that names do not resolve on the default bridge, may be true
    of a healthy host.
    """
    return [finding for finding in analysis.findings if finding.severity is not Severity.NOTE]


def only(check: Check, analysis: Analysis) -> Analysis:
    """The analysis as if there were this check alone, so that what it says does not change with each new check."""
    return replace(
        analysis,
        findings=tuple(finding for finding in analysis.findings if finding.check == check.name),
        outcomes=tuple(outcome for outcome in analysis.outcomes if outcome.check == check.name),
        journeys=(),
    )


every_check = pytest.mark.parametrize("check", own_checks(), ids=lambda check: check.name)


def test_each_check_has_samples_and_each_sample_has_a_check() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir() if path.is_dir()) == NAMES


@every_check
def test_it_alone_fires_on_its_sample_and_says_this(check: Check) -> None:
    analysis = analyze(SAMPLES / check.name / "fires")
    assert check.name in {finding.check for finding in analysis.findings}
    assert [f for f in alarms(analysis) if f.check != check.name] == []
    text = terminal.render(only(check, analysis), colour=False, width=100, unicode=True, pedantic=False)
    golden = SAMPLES / check.name / "fires.expected.txt"
    if os.environ.get("ACCEPT"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@every_check
def test_it_is_clean_on_the_near_miss_and_no_other_check_alarms(check: Check) -> None:
    analysis = analyze(SAMPLES / check.name / "quiet")
    assert alarms(analysis) == []
    outcome = next(outcome for outcome in analysis.outcomes if outcome.check == check.name)
    assert outcome.verdict is Verdict.CLEAN, outcome.reason


@every_check
def test_it_is_unknown_and_not_clean_when_its_evidence_is_missing(check: Check, tmp_path: Path) -> None:
    (tmp_path / "uptime.txt").write_text("10:00:00 up 3 days\n")
    (outcome,) = [outcome for outcome in analyze(tmp_path).outcomes if outcome.check == check.name]
    if check.layer == "trace":  # a trace is made on request only, and no part of what every bundle has
        assert outcome.verdict is Verdict.NOT_APPLICABLE
        return
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.ask != ()


@every_check
def test_its_page_has_all_headings_in_order(check: Check) -> None:
    assert re.findall(r"^## (.+)$", check.page, re.MULTILINE) == list(HEADINGS)
    assert all(check.section(heading) for heading in HEADINGS)


@every_check
def test_every_finding_can_be_acted_on(check: Check) -> None:
    found = [f for f in analyze(SAMPLES / check.name / "fires").findings if f.check == check.name]
    assert found != []
    for finding in found:
        assert finding.remedy != ()
        assert finding.verify != ()
        assert finding.subjects != ()


def test_names_are_those_of_the_files_and_unique() -> None:
    files = {path.stem for path in Path(checks.__path__[0]).glob("[!_]*.py")}
    assert {name.replace("-", "_") for name in NAMES} == files
    assert len(set(NAMES)) == len(NAMES)
