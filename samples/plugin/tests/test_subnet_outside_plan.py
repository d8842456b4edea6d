"""The check against the networks of a real host, by the harness that netdiag brings: `netdiag.testing`."""

from pathlib import Path

import pytest

from netdiag.checks import HEADINGS
from netdiag.finding import Verdict
from netdiag.testing import CheckResult, run_check
from netdiag_address_plan import site_subnet_outside_plan

#: Of Docker 20.10, two networks: `front` is 172.18.0.0/16 with web and app, `back` 172.19.0.0/16 with db and app.
INSPECTED = Path(__file__).with_name("network_inspect.json")


def judged(plan: str, monkeypatch: pytest.MonkeyPatch, bundle: Path = INSPECTED) -> CheckResult:
    monkeypatch.setenv("NETDIAG_ADDRESS_PLAN", plan)
    return run_check(site_subnet_outside_plan, bundle)


def test_a_network_outside_of_the_plan_is_found_with_the_way_to_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged("172.18.0.0/15, 172.16.0.0/16", monkeypatch)
    assert result.outcome.verdict is Verdict.CLEAN
    (finding,) = judged("172.18.0.0/16, 10.200.0.0/16", monkeypatch).findings
    assert [subject.name for subject in finding.subjects] == ["back"]
    assert '"Subnet": "172.19.0.0/16"' in finding.evidence[0].span.excerpt
    assert finding.remedy == (
        "docker network disconnect back db",
        "docker network disconnect back app",
        "docker network rm back",
        "docker network create --subnet 10.200.0.0/24 back",
        "docker network connect back db",
        "docker network connect back app",
    )


def test_without_a_plan_it_does_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged("", monkeypatch).outcome.verdict is Verdict.NOT_APPLICABLE


def test_a_bundle_without_networks_is_an_open_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "uptime.txt").write_text("10:00:00 up 3 days\n")
    outcome = judged("10.200.0.0/16", monkeypatch, tmp_path).outcome
    assert (outcome.verdict, outcome.ask != ()) == (Verdict.UNKNOWN, True)


def test_a_plan_that_is_no_plan_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = judged("10.200/16", monkeypatch).outcome
    assert outcome.verdict is Verdict.CRASHED
    assert "'10.200'" in outcome.reason


def test_its_page_has_all_headings() -> None:
    assert [heading for heading in HEADINGS if not site_subnet_outside_plan.section(heading)] == []
