"""Other Docker Engines than the machine's: healthy hosts of each are read to the last line and raise no alarm."""

from collections.abc import Callable
from pathlib import Path

import lab
import pytest

from netdiag.analysis import analyze
from netdiag.finding import Severity, Verdict

pytestmark = pytest.mark.live

Lend = Callable[..., lab.DockerHost]

DOCKER_ENGINES = [name for name, engine in lab.ENGINES.items() if engine.name == "docker"]


@pytest.mark.parametrize("engine", DOCKER_ENGINES)
def test_a_healthy_host_of_another_engine_raises_no_alarm_and_every_line_is_read(
    engine: str, docker_host: Lend, tmp_path: Path
) -> None:
    host = docker_host(engine=engine)
    analysis = analyze(lab.collect(host, tmp_path))
    assert [finding.message for finding in analysis.findings if finding.severity is not Severity.NOTE] == []
    assert [outcome.reason for outcome in analysis.outcomes if outcome.verdict is Verdict.UNKNOWN] == []
    assert [(each.path, line, why) for each in analysis.coverage for line, why in each.unread] == []
    assert analysis.bundle.problems == ()


@pytest.mark.parametrize("engine", DOCKER_ENGINES)
def test_a_host_has_the_engine_that_was_asked_for(engine: str, docker_host: Lend) -> None:
    version = docker_host(engine=engine).docker("version", "--format={{.Server.Version}}").stdout
    assert version.startswith(f"{engine}.")


def test_an_engine_that_cannot_be_had_is_said_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lab, "ROOTS", tmp_path)
    monkeypatch.setattr(lab.shutil, "which", lambda program, path: None)
    with pytest.raises(lab.LabError, match=f"26.1 needs {tmp_path}/trixie-docker.*install debootstrap"):
        lab.root_of("26.1")
