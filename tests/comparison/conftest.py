"""Bundles to compare, made of what `ip`, `iptables-save` and `docker inspect` print."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netdiag.analysis import analyze
from netdiag.comparison import Comparison, compare
from netdiag.results import Analysis

FRONT = "7217983a98a6" + "0" * 52
NETWORK = {"Name": "front", "Id": FRONT, "Driver": "bridge", "Scope": "local", "Internal": False, "Options": {}}


def network(subnet: str = "172.18.0.0/16", gateway: str = "172.18.0.1", **more: Any) -> dict[str, Any]:
    return {**NETWORK, "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]}, "Containers": {}, **more}


def container(name: str, address: str = "172.18.0.2", **more: Any) -> dict[str, Any]:
    """A running container on the network front. `more` are keys of `docker inspect`; `Id` is made of the name."""
    endpoint = {"NetworkID": FRONT, "EndpointID": "e" * 64, "IPAddress": address, "IPPrefixLen": 16}
    return {
        "Id": (name.encode().hex() + "0" * 64)[:64],
        "Name": f"/{name}",
        "State": {"Status": "running", "StartedAt": "2026-11-28T05:00:00Z"},
        "HostConfig": {"NetworkMode": "front"},
        "NetworkSettings": {"Networks": {"front": endpoint}, "Ports": {}},
        **more,
    }


@pytest.fixture
def bundle(make_bundle: Callable[..., Path], tmp_path: Path) -> Callable[..., Analysis]:
    """`bundle(files, containers=..., networks=...)`: the analysis of a bundle of these outputs of the host."""
    made = 0

    def make(
        files: dict[str, str] | None = None,
        *,
        containers: list[dict[str, Any]] | None = None,
        networks: list[dict[str, Any]] | None = None,
        **manifest: Any,
    ) -> Analysis:
        nonlocal made
        made += 1
        given = dict(files or {})
        if containers is not None:
            given["docker/docker_inspect.json"] = json.dumps(containers, indent=1)
        if networks is not None:
            given["docker/docker_network_inspect.json"] = json.dumps(networks, indent=1)
        path = make_bundle(given, **manifest)
        renamed = tmp_path / f"{made}.tar.gz"
        path.rename(renamed)
        return analyze(renamed)

    return make


@pytest.fixture
def compared(bundle: Callable[..., Analysis]) -> Callable[[dict[str, Any], dict[str, Any]], Comparison]:
    """The comparison of two bundles, each given as the arguments of `bundle`."""
    return lambda before, after: compare(bundle(**before), bundle(**after))
