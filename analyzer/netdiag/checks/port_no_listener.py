"""Nothing listens on the published container port.

## What it finds
A published port of a running container on which, at the address that the port leads to, no socket in the container's
network namespace waits.

## Why it matters
Connections from outside are refused by the container. On 127.0.0.1 of the host the userland proxy accepts them first
and closes them without an answer, so that the port seems to be open there.

## How it is decided
Gates: the engine is here; the container runs and has its own namespace; the sockets of that namespace are all in the
bundle (`ss -tulpn` in it). A TCP socket in LISTEN or a UDP socket in UNCONN counts when it is bound to all addresses of
the version of IP that the port leads to, or to one of the container's addresses. Rules of the namespace that lead the
port elsewhere (REDIRECT, DNAT) are followed. A socket on the loopback address, of the other protocol or of the other
version of IP is a finding of port-listener-loopback-only or port-proto-or-family-mismatch.

## Not a problem when
The container had been started less than ten seconds before, or its health check says `starting` (unknown); the port is
one of three or more in a row, of which the server opens those that it needs, and it answers on another port; the same
port is published for the other protocol and is answered there; the runtime keeps its sockets to itself (kata, gVisor).

## Repair
Start what should listen. Where the program listens on another port, publish that one: a container's ports are set when
it is made. Until then its namespace can lead the port to the other one; that lasts as long as the container runs.

## Verify
The port answers.

## References
docs.docker.com/engine/network/port-publishing; moby/moby#16976; moby/moby#18189.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._listeners import Answer, Listeners, Service, by_container, entrance, services, without_pools
from netdiag.finding import Evidence, Role, Severity
from netdiag.formats.records import Container, Socket
from netdiag.model import Gate, Host, Truth
from netdiag.model.knowledge import YES

_MOST_NAMED = 5

#: A server needs some time to start.
_YOUNG = timedelta(seconds=10)


@check(Severity.ERROR, layer="port")
def port_no_listener(host: Host) -> Verdicts:
    found, questions = services(host)
    yield from questions
    for of_container in by_container(found).values():
        silent = without_pools(of_container)
        if silent:
            container = silent[0].container
            gate = _has_started(host, container)
            yield _fault(silent) if gate.yes else unjudged(gate)


def _has_started(host: Host, container: Container) -> Gate:
    """Whether the programs of a container had the time to start."""
    age = host.collected_from - container.started if host.collected_from and container.started else None
    if container.health == "starting" or (age is not None and age < _YOUNG):
        because = "it had just been started: collect again"
        return Gate(Truth.UNKNOWN, f"whether anything will listen in container {container.name}", because)
    return YES


def _fault(silent: Sequence[Service]) -> Fault:
    container = silent[0].container
    ports = ", ".join(service.name for service in silent[:_MOST_NAMED])
    more = f" and {len(silent) - _MOST_NAMED} more" if len(silent) > _MOST_NAMED else ""
    instead = _instead(silent)
    hint = f"; it listens on {instead.port}/{instead.protocol}" if instead else ""
    return Fault(
        message=f"nothing in container `{container.name}` listens on {ports}{more}, which it publishes{hint}",
        subjects=tuple(dict.fromkeys(subject for service in silent for subject in service.subjects)),
        evidence=_evidence(silent, instead),
        remedy=_remedy(silent, instead),
        verify=(sh("nsenter --net={} ss -tulpn", entrance(container)),),
    )


def _instead(silent: Sequence[Service]) -> Socket | None:
    """The only other socket of the protocol that waits for clients, when one port alone has none."""
    if len(silent) != 1:
        return None
    service = silent[0]
    published = {port.container_port for port in service.container.ports if port.protocol == service.protocol}
    sockets = list(Listeners(service.netns.sockets).others(service.protocol, published))
    return sockets[0] if len({socket.port for socket in sockets}) == 1 else None


def _evidence(silent: Sequence[Service], instead: Socket | None) -> tuple[Evidence, ...]:
    published = [replace(service.published, role=Role.PRIMARY) for service in silent[:_MOST_NAMED]]
    elsewhere = [socket for service in silent for socket in service.sockets]
    others = [related(socket.span, f"this is not on {silent[0].address}") for socket in elsewhere[:_MOST_NAMED]]
    return (*published, *others, *((related(instead.span, "this is where it listens"),) if instead else ()))


def _remedy(silent: Sequence[Service], instead: Socket | None) -> tuple[str, ...]:
    """Lead the port to where the container listens, or start it anew."""
    service = silent[0]
    goal = f"REDIRECT --to-ports {instead.port}" if instead else ""
    if service.answer is Answer.OTHER_ADDRESS and len(silent) == 1:
        goal = f"DNAT --to-destination {_with_port(service.sockets[0], service.container_port)}"
    if not goal:
        return (sh("{} restart {}", service.container.engine, service.container.name),)
    tool = "ip6tables" if service.address.version == 6 else "iptables"
    rule = f"-p {service.protocol} --dport {service.container_port} -j {goal}"
    return (sh("nsenter --net={} ", entrance(service.container)) + f"{tool} -t nat -A PREROUTING {rule}",)


def _with_port(socket: Socket, port: int) -> str:
    return f"[{socket.address}]:{port}" if socket.family == "ipv6" else f"{socket.address}:{port}"
