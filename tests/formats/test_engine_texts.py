"""What `docker info`, `docker version` and podman's counterparts print for people tells what their JSON tells."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from netdiag import formats
from netdiag.formats.records import EngineInfo, EngineVersion, PodmanInfo
from netdiag.spans import Source

# typed samples are not two outputs of one host
PAIRS = [
    (engine, command, origin)
    for engine, origins in {
        "docker": ("debian12-docker20.10", "debian13-docker26.1", "sid-docker28.5"),
        "podman": ("debian11-podman3.0", "debian12-podman4.3", "debian13-podman5.4"),
    }.items()
    for command in ("info", "version")
    for origin in origins
] + [("docker", "info", "sid-docker28.5-pools")]


def facts(name: str, text: str) -> dict[str, Any]:
    """What the one record says, without its place."""
    (record,) = formats.get(name).read(Source("output.txt", text)).records
    assert isinstance(record, EngineInfo | EngineVersion | PodmanInfo)
    return {field.name: getattr(record, field.name) for field in fields(record) if field.name != "place"}


@pytest.mark.parametrize(("engine", "command", "origin"), PAIRS)
def test_text_and_json_of_one_host_agree(engine: str, command: str, origin: str, samples_folder: Path) -> None:
    name = f"{engine}_{command}"
    as_json = facts(name, (samples_folder / name / f"{origin}.txt").read_text(encoding="utf-8"))
    as_text = facts(f"{name}_text", (samples_folder / f"{name}_text" / f"{origin}.txt").read_text(encoding="utf-8"))
    untold = {"ipv4_forwarding", "firewall_driver"}  # printed only when forwarding is off, and by clients from 29 on
    assert {key: value for key, value in as_text.items() if key not in untold} == {
        key: value for key, value in as_json.items() if key not in untold
    }


def test_the_firewall_backend_and_the_warning_of_docker_29_are_read(samples_folder: Path) -> None:
    text = (samples_folder / "docker_info_text" / "typed-docker29.txt").read_text(encoding="utf-8")
    info = facts("docker_info_text", text)
    assert (info["firewall_driver"], info["ipv4_forwarding"]) == ("nftables+firewalld", False)


DOCKER_VERSION = (
    "Client:\n Version: 28.0.0\n\nServer:\n Engine:\n  Version: 27.0.1\n  API version: 1.46\n runc:\n  Version: 1.2\n"
)


def test_the_version_is_the_servers_and_its_engines() -> None:
    assert facts("docker_version_text", DOCKER_VERSION) == {"version": "27.0.1", "api_version": "1.46"}


def test_a_client_without_an_answer_gives_no_version_of_the_engine() -> None:
    document = formats.get("docker_version_text").read(
        Source("v.txt", "Client:\n Version:  28.0.0\n Context: default\n")
    )
    assert document.records == ()
    assert document.unread == ()


def test_a_server_of_podman_is_what_counts() -> None:
    text = "Client: Podman Engine\nVersion: 5.4.2\nAPI Version: 5.4.2\n\nServer: Podman Engine\nVersion: 4.3.1\n"
    version = facts("podman_version_text", text + "API Version: 4.3.1\n")
    assert version == {"version": "4.3.1", "api_version": "4.3.1"}


def test_odd_lines_cost_themselves_only(samples_folder: Path) -> None:
    path = samples_folder / "docker_info_text" / "sid-docker28.5.txt"
    text = path.read_text(encoding="utf-8")
    document = formats.get("docker_info_text").read(Source("i.txt", f"root@web01:~# docker info\n{text}and so on\n"))
    assert [unread.line for unread in document.unread] == [1, text.count("\n") + 2]
    (record,) = document.records
    (alone,) = formats.get("docker_info_text").read(Source("i.txt", text)).records
    assert isinstance(record, EngineInfo)
    assert isinstance(alone, EngineInfo)
    assert replace(record, place=alone.place) == alone
