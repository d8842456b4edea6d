"""Containers on host network / privileged / NET_ADMIN / NET_RAW.

## What it finds
Running containers that may change the host's own network: those on the host's network with NET_ADMIN, and privileged
ones.

## Why it matters
Such a container can change rules, routes and interfaces of the host, by mistake too: a VPN client or a firewall that
runs in one is often who flushed Docker's rules.

## How it is decided
The container runs and is privileged, or `HostConfig.NetworkMode` is `host` and NET_ADMIN (or ALL) is among its added
capabilities. NET_RAW is in Docker's default set and says nothing. One note names all of them.

## Not a problem when
The container is there to manage the host's network.

## Repair
Nothing, when it is meant. Else make it without these rights; the command stops it until then.

## Verify
`docker inspect` shows the rights of the container.

## References
docs.docker.com/engine/containers/run (runtime privilege and Linux capabilities); capabilities(7).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import no_containers, other_containers, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Remark
from netdiag.model import Host
from netdiag.model.gates import is_running

_MOST_NAMED = 5


@check(Severity.NOTE, layer="security")
def sec_host_network(host: Host) -> Verdicts:
    running = [container for container in host.containers if is_running(container).yes]
    if not running:
        yield no_containers(host, "no container runs", "what containers may do")
        return
    found = [(container, power) for container in running if (power := _power(container))]
    if found:
        yield _note(found)
    yield from other_containers(host, "what other containers may do")


def _power(container: Container) -> Remark | None:
    """What lets the container change the host's network."""
    for power in container.powers:
        name = power.text.upper().removeprefix("CAP_")
        if name == "PRIVILEGED" or (container.network_mode == "host" and name in ("NET_ADMIN", "ALL")):
            return power
    return None


def _note(found: list[tuple[Container, Remark]]) -> Fault:
    named = [f"`{container.name}` ({power.text})" for container, power in found]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return Fault(
        message=f"these containers may change the host's network: {', '.join(named[:_MOST_NAMED])}{more}",
        subjects=tuple(Subject("container", container.name) for container, _ in found),
        evidence=tuple(
            Evidence(power.span, f"of container {container.name}") for container, power in found[:_MOST_NAMED]
        ),
        remedy=tuple(sh("{} stop {}", container.engine, container.name) for container, _ in found[:_MOST_NAMED]),
        verify=tuple(
            sh("{} inspect -f '{{{{json .HostConfig}}}}' {}", container.engine, container.name)
            for container, _ in found[:_MOST_NAMED]
        ),
    )
