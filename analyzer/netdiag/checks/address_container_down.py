"""Container not running / restart-looping - its network facts are not faults.

## What it finds
Containers that restart again and again, that could not be started, that the kernel killed for their memory, that ended
with an error, or whose health check fails.

## Why it matters
Nothing listens on their ports and their addresses answer to nobody, which users report as a fault of the network. The
reason is in the container's own log.

## How it is decided
By state, exit code and error of `docker inspect`. A container that was stopped by somebody (`exited` with the code of a
signal, or with a restart policy that would have started it again) is not named. One finding names all of them, but
those that could not be started: they are together when the engine gave the same reason.

## Not a problem when
It is a job that ended well (exit code 0) or shall not run. Where another check finds why a container could not be
started, this is part of that.

## Repair
Read the container's log; start it again when the reason is gone.

## Verify
`docker ps` shows it as running, and healthy if it has a health check.

## References
docs.docker.com/engine/containers/start-containers-automatically; docs.docker.com/reference/cli/docker/inspect.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Host
from netdiag.model.gates import whole

#: 0, and 128 and the number of SIGHUP, SIGINT, SIGQUIT, SIGKILL and SIGTERM, by which people end containers.
_ENDED_BY_INTENT = frozenset({None, 0, 129, 130, 131, 137, 143})
_MOST_SHOWN = 10


@check(
    Severity.NOTE,
    layer="bundle",
    symptom_of=(
        "port-conflict",
        "port-bound-host-ip-missing",
        "address-subnet-full",
        "address-network-id-missing",
        "nat-table-unavailable",
    ),
)
def address_container_down(host: Host) -> Verdicts:
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers there are"))
    elif not host.containers.items:
        yield NotApplicable("there are no containers")
    down: dict[str, list[tuple[Container, str]]] = defaultdict(list)
    for each in host.containers:
        if why := _trouble(each):
            down[_reason(each)].append((each, why))
    for group in down.values():
        yield _fault(group)


def _was_not_started(container: Container) -> bool:
    return container.state in ("created", "exited", "stopped") and bool(container.error)


def _reason(container: Container) -> str:
    """What containers that could not be started for the same reason have in common: the words of the engine without
    names and numbers. Nothing of all others.
    """
    if not _was_not_started(container):
        return ""
    words = (container.error or "").replace(container.name, "").split()
    return " ".join(word for word in words if not any(character.isdigit() for character in word))


def _trouble(container: Container) -> str:
    code = f"exit code {container.exit_code}"
    if container.state == "restarting":
        times = f", {container.restarts} times so far" if container.restarts else ""
        return f"restarts again and again ({code}{times})"
    if container.state == "dead":
        return "is dead: the engine could not remove it"
    if _was_not_started(container):
        return f"could not be started ({(container.error or '').strip()})"
    if container.state in ("exited", "stopped"):
        if container.out_of_memory:
            return "was killed for its memory"
        kept_up = container.restart_policy in ("always", "unless-stopped")
        return "" if kept_up or container.exit_code in _ENDED_BY_INTENT else f"ended with {code}"
    return "is unhealthy" if container.state == "running" and container.health == "unhealthy" else ""


def _fault(down: list[tuple[Container, str]]) -> Fault:
    shown = down[:_MOST_SHOWN]
    words = ", ".join(f"`{each.name}` {why}" for each, why in shown)
    more = f" and {len(down) - _MOST_SHOWN} more" if len(down) > _MOST_SHOWN else ""
    what = (
        "a container is not as it should be" if len(down) == 1 else f"{len(down)} containers are not as they should be"
    )
    return Fault(
        message=f"{what}: {words}{more}",
        subjects=tuple(Subject("container", each.name) for each, _ in shown),
        evidence=tuple(Evidence(each.span_at("State", _key(each)), f"{each.name} {why}") for each, why in shown),
        remedy=tuple(
            command
            for each, _ in shown
            for command in (
                sh("{} logs --tail 50 {}", each.engine, each.name),
                *(() if each.state in ("running", "restarting") else (sh("{} start {}", each.engine, each.name),)),
            )
        ),
        verify=(f"{shown[0][0].engine} ps -a",),
    )


def _key(container: Container) -> str:
    if container.error and container.state != "restarting":
        return "Error"
    return "Status"
