"""docker.sock mounted into container (esp. one published/host-net).

## What it finds
Running containers that have the socket of Docker, or a directory that holds it.

## Why it matters
Who can write to the socket is root on the host. A flaw in the program in the container is then a flaw of the whole
host; mounting it read-only does not help, because the commands go through the socket all the same.

## How it is decided
A bind mount of the container has /var/run/docker.sock, /run/docker.sock or a directory above as its source. A warning
when the container can be reached from outside the host: it publishes a port on another address than loopback, or uses
the host's network. All others together are one note.

## Not a problem when
The container is a proxy for the socket that hands out a part of the API only, and is not published.

## Repair
Give the container a proxy that filters (docker-socket-proxy) instead of the socket: its mounts are set when it is made.
The command stops it until then.

## Verify
`docker inspect` shows no such mount.

## References
OWASP Docker Security Cheat Sheet, rule 1; docs.docker.com/engine/security (Docker daemon attack surface).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import no_containers, other_containers, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Mount
from netdiag.model import Host
from netdiag.model.gates import is_running

_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_MOST_NAMED = 5


@check(Severity.WARNING, layer="security")
def sec_docker_sock_mounted(host: Host) -> Verdicts:
    running = [container for container in host.containers if is_running(container).yes]
    if not running:
        yield no_containers(host, "no container runs", "what containers have mounted")
        return
    having = [(container, mount) for container in running if (mount := _mount_of_socket(container))]
    inside = []
    for container, mount in having:
        if _is_reached(container):
            yield _fault(container, mount)
        else:
            inside.append((container, mount))
    if inside:
        yield _note(inside)
    yield from other_containers(host, "what other containers have mounted")


def _mount_of_socket(container: Container) -> Mount | None:
    for mount in container.mounts:
        source = mount.source.rstrip("/") or "/"
        above = source if source.endswith("/") else source + "/"
        if mount.kind in ("bind", "") and any(path == source or path.startswith(above) for path in _SOCKETS):
            return mount
    return None


def _is_reached(container: Container) -> bool:
    outside = (port.host_address is None or not port.host_address.is_loopback for port in container.ports)
    return container.network_mode == "host" or any(outside)


def _fault(container: Container, mount: Mount) -> Fault:
    shown = Evidence(mount.span, f"{mount.source} is the way to command Docker")
    if container.ports:
        port = container.ports[0]
        reached = related(port.span, f"reached by port {port.host_port}/{port.protocol}")
    else:
        reached = related(container.span, "reached by the host's own network")
    return Fault(
        message=f"container `{container.name}` can be reached from outside and commands Docker",
        subjects=(Subject("container", container.name),),
        evidence=(shown, reached),
        remedy=(sh("{} stop {}", container.engine, container.name),),
        verify=(sh("{} inspect -f '{{{{json .Mounts}}}}' {}", container.engine, container.name),),
    )


def _note(having: list[tuple[Container, Mount]]) -> Fault:
    names = [f"`{container.name}`" for container, _ in having]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Fault(
        message=f"these containers command Docker: {', '.join(names[:_MOST_NAMED])}{more}",
        subjects=tuple(Subject("container", container.name) for container, _ in having),
        evidence=tuple(
            Evidence(mount.span, f"container {container.name} has {mount.source}")
            for container, mount in having[:_MOST_NAMED]
        ),
        remedy=tuple(sh("{} stop {}", container.engine, container.name) for container, _ in having[:_MOST_NAMED]),
        verify=tuple(
            sh("{} inspect -f '{{{{json .Mounts}}}}' {}", container.engine, container.name)
            for container, _ in having[:_MOST_NAMED]
        ),
        severity=Severity.NOTE,
    )
