"""Container refers to a network that no longer exists.

## What it finds
A container with an endpoint on a network id that is not among the engine's networks.

## Why it matters
The container cannot be started any more: `network <id> not found`. A network of the same name does not help, because
the container remembers the id.

## How it is decided
Gates: the networks and the container were inspected completely. It is an error when the last start failed for that
reason, or the container runs; else a warning, because it shows only at the next start. Left out are the networks
`bridge`, `host` and `none`, which the engine finds by name and gives new ids when it starts; and those of a swarm,
whose ids are not hexadecimal, because a worker does not list them while it has no task on them.

## Not a problem when
The container is a leftover that nobody will start again: `docker container prune` removes it.

## Repair
Create the network anew and connect the container to it in the place of the old one; compose does that by itself with
`docker compose up -d --force-recreate`.

## Verify
The container starts.

## References
moby/moby#33156; moby daemon/container_operations.go (getNetworkID).
"""

import re
from collections.abc import Iterator

from netdiag.checks._addresses import start_error
from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Endpoint, Network
from netdiag.model import Host
from netdiag.model.gates import collected, is_running, is_settled, whole

#: Networks that the engine finds by their names.
_PREDEFINED = {"bridge", "host", "none"}
_LOCAL_ID = re.compile(r"[0-9a-f]{64}")


@check(Severity.ERROR, layer="address")
def address_network_id_missing(host: Host) -> Verdicts:
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    for gate in (
        collected(host.containers, "which networks the containers refer to"),
        whole(host.networks, "which networks there are"),
    ):
        if gate.unknown:
            yield unjudged(gate)
            return
    if not host.containers.items:
        yield NotApplicable("the engine has no containers")
    by_id = {network.id: network for network in host.networks if network.driver is not None}
    by_name = {network.name: network for network in by_id.values()}
    for container in (each for each in host.containers if each.engine == "docker"):
        for endpoint in container.endpoints:
            known = endpoint.network_id in by_id or endpoint.network in _PREDEFINED
            if known or not _LOCAL_ID.fullmatch(endpoint.network_id):
                continue
            settled = is_settled(host, f"container {container.name}", container.started)
            yield unjudged(settled) if settled.unknown else _fault(container, endpoint, by_name.get(endpoint.network))


def _fault(container: Container, endpoint: Endpoint, namesake: Network | None) -> Fault:
    name, network, short = container.name, endpoint.network, endpoint.network_id[:12]
    failed = endpoint.network_id in (container.error or "")
    hurts = failed or is_running(container).yes
    evidence = [Evidence(endpoint.place.at("NetworkID").span, f"no network has the id {short}")]
    if failed:
        evidence.append(related(start_error(container), "why its last start failed"))
    if namesake:
        evidence.append(related(namesake.span, f"network {network} has the id {namesake.id[:12]}"))
    return Fault(
        message=f"container `{name}` refers to network `{network}` ({short}), which no longer exists",
        subjects=(Subject("container", name), Subject("network", network)),
        evidence=tuple(evidence),
        remedy=tuple(_remedy(container, endpoint, namesake)),
        verify=("docker network ls --no-trunc", sh("docker inspect {}", name)),
        severity=None if hurts else Severity.WARNING,
    )


def _remedy(container: Container, endpoint: Endpoint, namesake: Network | None) -> Iterator[str]:
    if namesake is None:
        yield sh("docker network create {}", endpoint.network)
    yield sh("docker network disconnect -f {} {}", endpoint.network, container.name)
    yield sh("docker network connect {} {}", endpoint.network, container.name)
    yield sh("docker start {}", container.name)
