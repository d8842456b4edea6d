"""Which outputs tell what engine a host has, from files that somebody mailed."""

import shutil
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Verdict
from netdiag.results import Analysis

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "formats"


def analyzed(folder: Path, *samples: str) -> Analysis:
    for number, sample in enumerate(samples):
        shutil.copy(SAMPLES / sample, folder / f"{number}.txt")
    return analyze(folder)


def outcome(analysis: Analysis, check: str) -> tuple[Verdict, str]:
    (found,) = (found for found in analysis.outcomes if found.check == check)
    return found.verdict, found.reason


@pytest.mark.parametrize("version", ["docker_version", "docker_version_text"])
def test_both_forms_of_docker_version_tell_the_dialect(version: str, tmp_path: Path) -> None:
    analysis = analyzed(tmp_path, f"{version}/sid-docker28.5.txt")
    assert outcome(analysis, "address-mac-ip-mismatch") == (
        Verdict.NOT_APPLICABLE,
        "Docker 28.0.1 to 28.5 does not derive MAC addresses from IPv4 addresses",
    )


def test_the_warning_of_docker_info_proves_that_forwarding_is_off(tmp_path: Path) -> None:
    analysis = analyzed(tmp_path, "docker_info_text/typed-docker29.txt", "docker_network_inspect/sid-docker28.5.txt")
    (finding,) = (finding for finding in analysis.findings if finding.check == "sysctl-ip-forward-off")
    assert finding.evidence[0].span.text == "WARNING: IPv4 forwarding is disabled"


#: `clash` was made to want the port of `web`, which podman keeps as the reason from version 5 on; `sidecar` to listen
#: beside it; and `web` publishes a port for its host alone.
OF_EVERY_ENGINE = {"address-container-down": ["sidecar"], "port-bound-loopback-host": ["web"]}


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("debian11-podman3.0", OF_EVERY_ENGINE),
        (
            "debian12-podman4.3",
            OF_EVERY_ENGINE | {"port-bound-loopback-host": ["web", "dual"], "bundle-unsupported-driver": []},
        ),
        (
            "debian13-podman5.4",
            OF_EVERY_ENGINE
            | {"port-bound-loopback-host": ["web", "dual"], "bundle-unsupported-driver": []}
            | {"port-conflict": ["clash", "web"]},
        ),
    ],
)
def test_podmans_containers_and_networks_are_not_taken_for_dockers(
    origin: str, found: dict[str, list[str]], tmp_path: Path
) -> None:
    kinds = ("inspect", "network_inspect", "ps", "info", "info_text", "version", "version_text")
    analysis = analyzed(tmp_path, *(f"podman_{kind}/{origin}.txt" for kind in kinds))
    assert [each.format for each in analysis.coverage] == [f"podman_{kind}" for kind in kinds]
    assert found == {
        finding.check: [subject.name for subject in finding.subjects if subject.kind == "container"]
        for finding in analysis.findings
    }
    commands = [command for finding in analysis.findings for command in (*finding.remedy, *finding.verify)]
    assert not any("docker" in command for command in commands)
    assert outcome(analysis, "link-bridge-missing")[0] is Verdict.UNKNOWN
