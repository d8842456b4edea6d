"""Each check against real hosts: one real fault at a time is found, named and healed by the printed remedy; healthy
hosts stay silent.
"""

import os
from collections.abc import Callable
from pathlib import Path

import lab
import pytest
from faults import FAULTS, NEAR_MISSES, Fault, NearMiss
from reduce import write_sample

from netdiag.analysis import analyze
from netdiag.finding import Severity, Verdict
from netdiag.results import Analysis

pytestmark = pytest.mark.live

SAMPLES = Path(__file__).parents[2] / "samples"
Lend = Callable[..., lab.DockerHost]

#: The fault of each check that its sample is taken from.
FIRST = {fault.check: fault for fault in reversed(FAULTS)}


def alarms(analysis: Analysis) -> list[str]:
    """Findings that somebody would act on."""
    return [f"{f.check}: {f.message}" for f in analysis.findings if f.severity is not Severity.NOTE]


def not_clean(analysis: Analysis) -> list[str]:
    return [f"{o.check}: {o.verdict.value} {o.reason}" for o in analysis.outcomes if o.verdict is not Verdict.CLEAN]


def unread(analysis: Analysis) -> list[str]:
    return [f"{each.path}:{line}: {reason}" for each in analysis.coverage for line, reason in each.unread]


def test_a_healthy_host_is_clean_and_every_line_is_read(
    docker_host: Lend, backend: lab.Backend, tmp_path: Path
) -> None:
    bundle = lab.collect(docker_host(backend), tmp_path)
    analysis = analyze(bundle)
    assert alarms(analysis) == []
    assert not_clean(analysis) == []
    assert unread(analysis) == []
    assert analysis.bundle.problems == ()
    if os.environ.get("ACCEPT"):
        (SAMPLES / "bundles" / f"healthy-{backend}.tar.gz").write_bytes(bundle.read_bytes())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found_and_its_printed_remedy_heals_it(
    fault: Fault, docker_host: Lend, backend: lab.Backend, tmp_path: Path
) -> None:
    host = docker_host(backend, *fault.daemon_args)
    fault.inject(host)
    assert fault.hurts(host)

    bundle = lab.collect(host, tmp_path)
    found = analyze(bundle)
    assert {finding.check for finding in found.findings} == {fault.check}, alarms(found)
    (finding,) = found.findings
    assert fault.subject(host) in [(subject.kind, subject.name) for subject in finding.subjects]
    if os.environ.get("ACCEPT") and backend == "nft" and fault is FIRST[fault.check]:
        write_sample(bundle, SAMPLES / "checks" / fault.check / "fires", fault.check)

    for command in finding.remedy:
        host.shell(command)
    lab.assert_healthy(host)
    assert not fault.hurts(host)
    healed = analyze(lab.collect(host, tmp_path))
    assert alarms(healed) == []
    assert not_clean(healed) == []


def test_three_faults_at_once_are_told_apart(docker_host: Lend, backend: lab.Backend, tmp_path: Path) -> None:
    checks = ("filter-docker-user-drop", "link-veth-not-enslaved", "nat-masquerade-missing")
    host = docker_host(backend)
    for fault in FAULTS:
        if fault.check in checks:
            fault.inject(host)

    bundle = lab.collect(host, tmp_path)
    found = analyze(bundle)
    assert [finding.check for finding in found.findings] == list(checks), alarms(found)
    if os.environ.get("ACCEPT") and backend == "nft":
        (SAMPLES / "bundles" / "three-faults.tar.gz").write_bytes(bundle.read_bytes())

    for finding in found.findings:
        for command in finding.remedy:
            host.shell(command)
    lab.assert_healthy(host)
    assert alarms(analyze(lab.collect(host, tmp_path))) == []


@pytest.mark.parametrize("near_miss", NEAR_MISSES, ids=str)
def test_a_near_miss_is_no_alarm(near_miss: NearMiss, docker_host: Lend, backend: lab.Backend, tmp_path: Path) -> None:
    host = docker_host(backend, *near_miss.daemon_args)
    near_miss.make(host)
    try:
        bundle = lab.collect(host, tmp_path)
    finally:
        near_miss.undo(host)
    analysis = analyze(bundle)
    assert alarms(analysis) == []
    outcome = next(outcome for outcome in analysis.outcomes if outcome.check == near_miss.check)
    assert outcome.verdict is Verdict.CLEAN, outcome.reason
    if os.environ.get("ACCEPT") and backend == "nft":
        write_sample(bundle, SAMPLES / "checks" / near_miss.check / "quiet", near_miss.check)
