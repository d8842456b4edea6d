"""Port published on 127.0.0.1 only.

## What it finds
Ports that running containers publish on a loopback address of the host, and on no other.

## Why it matters
Only programs of the host itself reach such a port. That is often meant, and it is the usual answer to "it works on the
server and not from my machine". Other containers do not reach it by the host's address either.

## How it is decided
The host address of the published port is in 127.0.0.0/8 or ::1, the same port of the container is not published on any
other address, and no DNAT rule leads there from another one. One note names all of them.

## Not a problem when
A reverse proxy on the host leads there, or the port is for the host's own use.

## Repair
Nothing, when it is meant. If others shall reach it, publish it without an address: a container's ports are set when it
is made (`-p 8081:80` instead of `-p 127.0.0.1:8081:80`). Until then two rules lead there.

## Verify
`docker port` shows the address.

## References
docs.docker.com/engine/network/port-publishing.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import no_containers, other_containers, published_ports, sh
from netdiag.checks._ways_in import address_of, goal, goals_of_host, lead_by_hand
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, PublishedPort
from netdiag.model import Host

_MOST_NAMED = 5


@check(Severity.NOTE, layer="port")
def port_bound_loopback_host(host: Host) -> Verdicts:
    ports: dict[tuple[str, str, int], list[tuple[Container, PublishedPort]]] = defaultdict(list)
    for container, port in published_ports(host):
        ports[container.id, port.protocol, port.container_port].append((container, port))
    if not ports:
        yield no_containers(host, "no running container publishes a port", "which ports are published")
        return
    led = goals_of_host(host)
    near = [
        each
        for bindings in ports.values()
        if all(port.host_address is not None and port.host_address.is_loopback for _, port in bindings)
        for each in bindings[:1]
        if not _is_led_to(host, *each, led)
    ]
    if near:
        yield _note(host, near)
    yield from other_containers(host, "which other ports are published")


def _is_led_to(host: Host, container: Container, port: PublishedPort, led: frozenset[tuple[str | None, str]]) -> bool:
    """Whether a rule leads connections for another address of the host to the port."""
    return any((port.protocol, goal(each, port.container_port)) in led for each in host.addresses_of(container))


def _note(host: Host, near: list[tuple[Container, PublishedPort]]) -> Fault:
    named = [f"{port.host_port}/{port.protocol} of `{container.name}`" for container, port in near]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return Fault(
        message=f"published on the loopback address, for the host itself only: {', '.join(named[:_MOST_NAMED])}{more}",
        subjects=tuple(
            dict.fromkeys(
                subject
                for container, port in near
                for subject in (
                    Subject("container", container.name),
                    Subject("port", f"{port.host_port}/{port.protocol}"),
                )
            )
        ),
        evidence=tuple(
            Evidence(port.span, f"{container.name} publishes it on {port.host_address}")
            for container, port in near[:_MOST_NAMED]
        ),
        remedy=_remedy(host, near),
        verify=tuple(
            dict.fromkeys(sh("{} port {}", container.engine, container.name) for container, _ in near[:_MOST_NAMED])
        ),
    )


def _remedy(host: Host, near: list[tuple[Container, PublishedPort]]) -> tuple[str, ...]:
    """A way in for others, for as long as the containers run."""
    return tuple(
        command
        for container, port in near[:_MOST_NAMED]
        if (address := address_of(host, container))
        for command in lead_by_hand(address, port.protocol, port.host_port, port.container_port)
    )
