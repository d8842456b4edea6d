"""The harness that other people's checks are tested with, used on one of netdiag's own."""

from pathlib import Path

import pytest

from netdiag.checks import Check, all_checks
from netdiag.errors import BundleRefused
from netdiag.finding import Verdict
from netdiag.testing import host_of, run_check

SAMPLES = Path(__file__).parents[1] / "samples" / "checks" / "nat-masquerade-missing"
BUNDLE = Path(__file__).parents[1] / "samples" / "bundles" / "three-faults.tar.gz"


@pytest.fixture
def check() -> Check:
    return next(check for check in all_checks() if check.name == "nat-masquerade-missing")


def test_it_runs_one_check_and_gives_what_it_found(check: Check) -> None:
    result = run_check(check, SAMPLES / "fires")
    assert [finding.check for finding in result.findings] == ["nat-masquerade-missing"]
    assert result.outcome.verdict is Verdict.FINDING


def test_it_tells_a_quiet_bundle_from_one_that_shows_nothing(check: Check, tmp_path: Path) -> None:
    (tmp_path / "uptime.txt").write_text("10:00:00 up 3 days\n")
    assert run_check(check, SAMPLES / "quiet").outcome.verdict is Verdict.CLEAN
    assert run_check(check, tmp_path).outcome.verdict is Verdict.UNKNOWN


def test_it_gives_the_model_that_checks_are_given() -> None:
    assert sorted(container.name for container in host_of(BUNDLE).containers) == ["app", "db", "web"]


def test_a_bundle_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused):
        host_of(tmp_path / "absent")
