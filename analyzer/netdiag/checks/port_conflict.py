"""Host port already in use.

## What it finds
A container that was not started because a port of the host that it publishes was taken, and who has the port.

## Why it matters
The container does not run at all, and no restart policy tries again: it stays in the state `created`, or `exited` when
it had run before.

## How it is decided
The engine keeps the reason in the container's `State.Error` ("port is already allocated" when another container has the
port, "address already in use" when anything else has). The port and the address in it are looked for among the ports of
running containers and among the sockets of the host (`ss -tulpn`); two bindings of one port collide unless they are on
two different addresses. When nobody has the port any more, starting the container is all there is to do. A docker-proxy
that belongs to no container is a finding of port-proxy-stale.

## Not a problem when
The container runs: then it has its port. Two containers use one port on different addresses, or for TCP and UDP.

## Repair
Stop one of the two, or publish another port. The commands stop who has the port and start the container. For a port of
swarm or of a socket unit they only show what there is, because the bundle does not tell which one it is.

## Verify
The container runs and the port answers.

## References
moby/moby#12144; docker/for-linux#1278; docker/compose#3277; nginx-proxy/nginx-proxy#839.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import other_containers, published_ports, related, sh
from netdiag.checks._listeners import Listeners
from netdiag.checks._start_errors import TAKEN, StartError, left_behind, start_errors
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, IpAddress, PublishedPort, Socket
from netdiag.model import Host
from netdiag.model.gates import collected


@check(Severity.ERROR, layer="port", symptom_of=("port-proxy-stale",))
def port_conflict(host: Host) -> Verdicts:
    if not host.containers.items:
        gate = collected(host.containers, "why containers were not started")
        yield NotApplicable("there are no containers") if gate.yes else unjudged(gate)
        return
    published: dict[tuple[str, int], list[tuple[Container, PublishedPort]]] = defaultdict(list)
    for container, port in published_ports(host):
        published[port.protocol, port.host_port].append((container, port))
    listeners = Listeners(host.root.sockets)
    for failed in start_errors(host, TAKEN):
        yield _fault(host, failed, _holder(host, failed, published, listeners))
    yield from other_containers(host, "why other containers were not started")


@dataclass(frozen=True)
class _Holder:
    """Who has the port, the line that shows it, and the command that makes it free."""

    who: str
    evidence: Evidence
    release: str
    subject: Subject | None = None


def _holder(
    host: Host,
    failed: StartError,
    published: Mapping[tuple[str, int], Sequence[tuple[Container, PublishedPort]]],
    listeners: Listeners,
) -> _Holder | None:
    for container, port in published.get((failed.protocol, failed.port), ()):
        if _collide(failed.address, port.host_address):
            shown = related(port.span, f"container {container.name} publishes it")
            release = sh("{} stop {}", container.engine, container.name)
            return _Holder(f"container `{container.name}`", shown, release, Subject("container", container.name))
    for socket in listeners.on(failed.protocol, failed.port):
        if _collide(failed.address, socket.address):
            return _of_socket(host, socket)
    return None


def _collide(one: IpAddress | None, other: IpAddress | None) -> bool:
    """Whether two bindings of one port exclude each other; None and `0.0.0.0` stand for all addresses."""
    if one is None or other is None or one.is_unspecified or other.is_unspecified:
        return True
    return one == other


def _of_socket(host: Host, socket: Socket) -> _Holder:
    if not socket.processes:
        shown = related(socket.span, "somebody listens on it")
        return _Holder("a program of the host", shown, sh("fuser -k -n {} {}", socket.protocol, socket.port))
    process = socket.processes[0]
    shown = related(socket.span, f"{process.name} listens on it")
    for container in _of_process(host, process.pid):
        release = sh("{} stop {}", container.engine, container.name)
        return _Holder(f"container `{container.name}`", shown, release, Subject("container", container.name))
    if process.name == "dockerd":
        return _Holder("a service of swarm", shown, "docker service ls")
    if process.pid == 1:
        return _Holder("a socket unit of systemd", shown, "systemctl list-sockets")
    pids = sorted({each.pid for each in socket.processes})
    return _Holder(f"`{process.name}` (pid {process.pid})", shown, " ".join(["kill", *map(str, pids)]))


def _of_process(host: Host, pid: int) -> Iterator[Container]:
    return (container for container in host.containers if container.pid == pid)


def _fault(host: Host, failed: StartError, holder: _Holder | None) -> Fault:
    container = failed.container
    start = sh("{} start {}", container.engine, container.name)
    who = f"{holder.who} has" if holder else "something had"
    since = "" if holder else " when it was to be started; nobody has it now"
    subjects = [Subject("container", container.name), Subject("port", failed.name)]
    if holder and holder.subject:
        subjects.append(holder.subject)
    return Fault(
        message=f"container `{container.name}` does not run: {who} its port {failed.name}{since}",
        subjects=tuple(subjects),
        evidence=(failed.evidence, *((holder.evidence,) if holder else ())),
        remedy=(holder.release, start) if holder else (start,),
        verify=(
            sh("{} ps --filter name={}", container.engine, container.name),
            sh("ss -tulpn 'sport = :{}'", failed.port),
        ),
        confidence=Confidence.HIGH if holder or host.root.sockets.whole else Confidence.MEDIUM,
        affects=left_behind(host, container),
    )
