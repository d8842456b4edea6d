"""Two container engines/daemons manage the same host netns.

## What it finds
Two or more dockerd processes in the network namespace of the host.

## Why it matters
All call their chains DOCKER and their bridge docker0. Each start of one deletes the rules of the other, and may delete
its bridge: published ports lose their translation, networks their isolation, and it looks as if somebody had flushed
the rules. Each gives out subnets and ports that it does not know the other to use.

## How it is decided
From the list of processes with their network namespaces. The engine of the host is the one with the usual pid file and
socket, of several such the oldest. It is a note when every other one was told on its command line to leave iptables
alone and to use a bridge of its own, which is how docs.docker.com has several daemons on one host.

## Not a problem when
The other engine has a network namespace of its own: in a container (Docker in Docker), rootless, or a laboratory.
Podman, containerd and Kubernetes beside Docker are no second dockerd; their chains have other names. A second line of
the same command line may be a child that dockerd has just forked: two daemons cannot share one pid file.

## Repair
End the engine that should not be there, and let the other one program its rules anew.

## Verify
One dockerd is left, and the rules are back.

## References
docker/docs#565 ("If multiple daemons manage iptables rules..."); docs.docker.com/reference/cli/dockerd (run multiple
daemons); moby daemon_unix.go removeDefaultBridgeInterface.
"""

from collections.abc import Sequence

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._docker import related, restart, sh
from netdiag.checks._engine import option
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, ProcessLine
from netdiag.model import Host
from netdiag.model.gates import daemons_here

_OWN_SOCKETS = ("", "fd://", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
_OWN_PID_FILES = ("", "/var/run/docker.pid", "/run/docker.pid")
_BRIDGES_IN_COMMON = ("", "docker0", "none")  # `none` deletes docker0, whoever made it
_LIST_ENGINES = "ps -ww -C dockerd -o pid,ppid,netns,args"
_OFF = ("false", "False", "FALSE", "F", "f", "0")


@check(Severity.WARNING, layer="bundle")
def bundle_two_daemons(host: Host) -> Verdicts:
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    found = daemons_here(host)
    distinct = {each.command: each for each in sorted(found, key=lambda each: each.pid, reverse=True)}
    if len(distinct) > 1:
        yield _fault(host, sorted(distinct.values(), key=_is_foreign))
    elif not host.engine.processes.whole:
        yield Unjudged("which engines run", host.engine.processes.why, ("dockerd",), (_LIST_ENGINES,))
    elif len(found) > 1 and any(each.parent is None for each in found):
        pids = ",".join(str(each.pid) for each in found)
        yield Unjudged(
            f"whether processes {pids} are two engines or one and a child that it has just forked",
            "their command lines are the same",
            ("dockerd",),
            (f"ps -ww -p {pids} -o pid,ppid,lstart,args",),
        )


def _is_foreign(process: ProcessLine) -> tuple[bool, int]:
    """The engine of the host has the usual socket and pid file, and is the older one."""
    other_socket = option(process, "-H", "--host") not in _OWN_SOCKETS
    other_pid_file = option(process, "-p", "--pidfile") not in _OWN_PID_FILES
    return other_socket or other_pid_file, process.pid


def _keeps_to_itself(process: ProcessLine) -> bool:
    """Told to leave the rules alone, and to use a bridge of its own."""
    bridge = option(process, "-b", "--bridge")
    return option(process, "--iptables") in _OFF and bridge not in _BRIDGES_IN_COMMON


def _fault(host: Host, found: Sequence[ProcessLine]) -> Fault:
    own, *foreign = found
    harmless = all(_keeps_to_itself(each) for each in foreign)
    inside = [container for each in foreign if (container := _container_of(host, each))]
    what = "run in the same network" if harmless else "manage the rules and bridges of the same network"
    own_words = f"{own.pid} and {', '.join(str(each.pid) for each in foreign)}"
    return Fault(
        message=f"{len(found)} dockerd processes {what}: {own_words}",
        subjects=(
            Subject("host", host.name or "host"),
            *(Subject("container", each.name) for each in inside),
        ),
        evidence=(
            *(Evidence(each.span, "this engine works in the same namespace") for each in foreign),
            related(own.span, "the engine of this host"),
            *(related(each.span, "it runs in this container, in the host's network") for each in inside),
        ),
        remedy=(*_ended(host, foreign), *(() if harmless else restart(host))),
        verify=(_LIST_ENGINES, "iptables -t nat -S PREROUTING"),
        severity=Severity.NOTE if harmless else None,
        affects=() if harmless else (Subject("host", host.name or "host"),),
    )


def _container_of(host: Host, process: ProcessLine) -> Container | None:
    """The container that the engine runs in, when it is its first process."""
    return next((each for each in host.containers if each.pid == process.pid), None)


def _ended(host: Host, foreign: Sequence[ProcessLine]) -> tuple[str, ...]:
    """The commands that end these engines, each by whoever would start it again."""
    commands = []
    for each in foreign:
        container = _container_of(host, each)
        if container:
            commands.append(sh("{} stop {}", container.engine, container.name))
        elif "/snap" in each.command:
            commands.append("snap stop --disable docker")
        else:
            commands.append(f"kill {each.pid}; while kill -0 {each.pid} 2>/dev/null; do sleep 1; done")
    return tuple(commands)
