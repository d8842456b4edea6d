"""When podman is asked, and when it must not be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import netdiag_collect as collect

from .fakes import WEB, FakeHost

HEADING = "CONTAINER ID" + " " * 54 + "NAMES\n"
NETWORKS = "NETWORK ID" + " " * 56 + f"NAME        DRIVER\n{'b' * 64}  front       bridge\n"


def let_podman_be_asked(host: FakeHost) -> None:
    """As if podman had been used on this machine."""
    host.hide_machine_tools()
    source = host.collector.read_text()
    check = '"libpod")):'
    assert source.count(check) == 1
    host.collector.write_text(source.replace(check, '"libpod")) and False:'))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Why podman must not be asked by this user, with its storage in a place that has been used or not."""

    def obstacle(*, user: int = 0, used: bool = True) -> str:
        store = tmp_path / "storage"
        (store / "libpod").mkdir(parents=True) if used else store.mkdir()
        monkeypatch.setattr(collect, "read_text", lambda _: f'[storage]\ngraphroot = "{store}"\n')
        monkeypatch.setattr(collect.os, "geteuid", lambda: user)
        return collect.podman_obstacle()

    return obstacle


def test_podman_of_root_is_asked_where_it_has_been_used(used: Callable[..., str]) -> None:
    assert used() == ""


def test_asking_would_make_the_storage_of_a_podman_that_was_never_used(used: Callable[..., str]) -> None:
    assert used(used=False) == "podman has not been used on this host"


def test_the_podman_of_another_user_tells_nothing_of_the_hosts(used: Callable[..., str]) -> None:
    assert used(user=1000) == "not running as root, and only root's podman is asked"


def test_without_podman_every_answer_of_it_is_skipped_with_the_reason(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    rows = [row for row in fake_host.collect().manifest["artifacts"] if row["scope"] == "podman"]
    assert len(rows) == 7
    assert {row["skipped"] for row in rows} == {"podman is not installed (not found in PATH)"}


def test_containers_and_networks_of_podman_are_inspected_and_its_namespaces_entered(
    fake_host: FakeHost,
) -> None:
    let_podman_be_asked(fake_host)
    fake_host.answer("podman", "ps -a --no-trunc", f"{HEADING}{WEB}  web\n")
    fake_host.answer("podman", "network ls --no-trunc", NETWORKS)
    containers = [container for container in fake_host.containers if container["Id"] == WEB]
    fake_host.answer("podman", f"inspect {WEB}", json.dumps(containers))
    fake_host.answer("podman", f"network inspect {'b' * 64}", '[{"name": "front"}]')
    fake_host.remove("docker")
    bundle = fake_host.collect()
    assert json.loads(bundle.text("podman-inspect", "podman"))[0]["Id"] == WEB
    assert json.loads(bundle.text("podman-network-inspect", "podman")) == [{"name": "front"}]
    assert bundle.artifact("podman-inspect", "podman")["path"] == "podman/inspect.json"
    assert bundle.artifact("ip-addr", f"netns:{WEB}")["skipped"] is None


def test_networks_of_cni_are_inspected_by_their_names(fake_host: FakeHost) -> None:
    let_podman_be_asked(fake_host)
    table = "NAME    VERSION  PLUGINS\npodman  0.4.0    ptp,portmap\nfront   0.4.0    bridge\n"
    fake_host.answer("podman", "network ls --no-trunc", table)
    fake_host.answer("podman", "network inspect podman front", "[]")
    assert fake_host.collect().text("podman-network-inspect", "podman") == "[]\n"


def test_a_docker_that_is_a_script_of_podman_is_not_asked(fake_host: FakeHost) -> None:
    fake_host.script("docker", 'exec /usr/bin/podman "$@"')
    rows = [row for row in fake_host.collect().manifest["artifacts"] if row["scope"] == "docker" and row["argv"]]
    assert {row["skipped"] for row in rows} == {"the command docker is podman here"}
