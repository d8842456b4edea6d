"""Podman's containers and networks beside Docker's, and never for them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Verdict
from netdiag.model import Extent, Host
from netdiag.model.gates import (
    bridge_name,
    engine_is_here,
    is_local_bridge,
    manages_iptables,
    podman_is_here,
    uses_proxy,
)
from netdiag.testing import host_of

WEB, FRONT = "c" * 64, "b" * 64
INFO = {
    "host": {"hostname": "web01", "networkBackend": "netavark", "security": {"rootless": False}},
    "version": {"Version": "5.4.2"},
}
NETWORK = {
    "name": "front",
    "id": FRONT,
    "driver": "bridge",
    "network_interface": "podman1",
    "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}],
    "internal": False,
}
CONTAINER = {
    "Id": WEB,
    "Name": "web",
    "OCIRuntime": "runc",
    "State": {"Status": "running", "Pid": 17},
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {
        "SandboxKey": "/run/netns/netns-1",
        "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "Networks": {
            "front": {
                "NetworkID": FRONT,
                "EndpointID": "",
                "IPAddress": "10.89.0.2",
                "IPPrefixLen": 24,
                "Gateway": "10.89.0.1",
                "MacAddress": "6e:3a:d1:df:a8:72",
            }
        },
    },
}
NO_DOCKER = "docker is not installed (not found in PATH)"
Make = Callable[..., Path]


def bundle(make_bundle: Make, *, without: tuple[str, ...] = (), docker: str = NO_DOCKER, **changed: Any) -> Path:
    """A host with podman. `docker` is why nothing was asked of Docker."""
    answers: dict[str, Any] = {
        "podman-info": changed.get("info", INFO),
        "podman-version": {"Client": {"Version": "5.4.2", "APIVersion": "5.4.2"}},
        "podman-inspect": changed.get("containers", [CONTAINER]),
        "podman-network-inspect": changed.get("networks", [NETWORK]),
    }
    files = {f"podman/{name}.txt": json.dumps(value) for name, value in answers.items() if name not in without}
    facts = {
        path: {"id": Path(path).stem, "format": Path(path).stem.replace("-", "_"), "scope": "podman"} for path in files
    }
    skipped = [
        {"id": name, "format": name.replace("-", "_"), "scope": "docker", "path": None, "skipped": docker}
        for name in ("docker-info", "docker-version", "docker-inspect", "docker-network-inspect")
    ]
    return make_bundle(files, artifacts=facts, skipped=skipped)


@pytest.fixture
def host(make_bundle: Make) -> Callable[..., Host]:
    return lambda **changed: host_of(bundle(make_bundle, **changed))


def test_the_lists_of_a_host_with_podman_alone_are_whole(host: Callable[..., Host]) -> None:
    found = host()
    assert [(each.name, each.engine) for each in found.containers] == [("web", "podman")]
    assert [(each.name, each.engine) for each in found.networks] == [("front", "podman")]
    assert (found.containers.extent, found.networks.extent) == (Extent.WHOLE, Extent.WHOLE)


def test_podman_is_never_taken_for_docker(host: Callable[..., Host]) -> None:
    found = host()
    reason = f"Docker is not on this host ({NO_DOCKER})"
    assert found.engine.version is None
    assert [gate(found).why for gate in (engine_is_here, manages_iptables, uses_proxy)] == [reason] * 3
    assert podman_is_here(found).yes


def test_docker_that_did_not_answer_may_be_there(host: Callable[..., Host]) -> None:
    found = host(docker="an earlier docker command did not answer within 20 s")
    assert found.engine.absent == ""
    assert engine_is_here(found).unknown
    assert (found.containers.extent, found.networks.extent) == (Extent.PART, Extent.PART)


def test_podman_that_did_not_answer_leaves_the_lists_open(host: Callable[..., Host]) -> None:
    found = host(without=("podman-inspect",))
    assert not found.containers.whole
    assert found.containers.missing == ("podman_inspect",)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"security": {"rootless": True}}, "podman is rootless: its networks are in namespaces of their own"),
        ({"serviceIsRemote": True}, "podman talks to another one (web01)"),
        ({"hostname": "other"}, "podman talks to another one (other)"),
    ],
    ids=["rootless", "remote", "another-host"],
)
def test_podman_elsewhere_is_not_judged_by_the_state_of_this_host(
    host: Callable[..., Host], said: Mapping[str, Any], why: str
) -> None:
    found = host(info={**INFO, "host": {**INFO["host"], **said}})
    assert podman_is_here(found).no
    assert podman_is_here(found).why == why


def test_a_network_s_bridge_is_named_by_podman_and_is_there_while_a_container_runs(host: Callable[..., Host]) -> None:
    found = host()
    (network,) = found.networks
    assert bridge_name(found, network) == "podman1"
    assert is_local_bridge(found, network).yes
    stopped = host(containers=[{**CONTAINER, "State": {"Status": "exited", "Pid": 0}}])
    gate = is_local_bridge(stopped, stopped.networks.items[0])
    assert (gate.no, gate.why) == (True, "no container runs on podman's network front, so it has no bridge")


def test_podman_4_names_a_network_where_podman_5_has_its_id(host: Callable[..., Host]) -> None:
    settings: Any = CONTAINER["NetworkSettings"]
    endpoint = {**settings["Networks"]["front"], "NetworkID": "front"}
    found = host(containers=[{**CONTAINER, "NetworkSettings": {**settings, "Networks": {"front": endpoint}}}])
    assert [each.network_id for each in found.containers.items[0].endpoints] == [FRONT]
    assert len(found.networks) == 1


def test_loose_files_of_podman_are_known_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "inspect.json").write_text(json.dumps([CONTAINER]))
    (tmp_path / "networks.json").write_text(json.dumps([NETWORK]))
    found = host_of(tmp_path)
    assert {each.engine for each in found.containers} == {each.engine for each in found.networks} == {"podman"}
    assert not found.containers.whole


def test_no_check_judges_podman_by_the_rules_of_docker(make_bundle: Make) -> None:
    analysis = analyze(bundle(make_bundle))
    assert analysis.findings == ()
    outcomes = {outcome.check: outcome for outcome in analysis.outcomes}
    for check in ("nat-dnat-missing", "nat-docker-jump-missing", "filter-docker-chains-missing", "link-stale-bridge"):
        assert outcomes[check].verdict is Verdict.NOT_APPLICABLE
        assert outcomes[check].reason.startswith("Docker is not on this host")
