"""-p ignored (host network, internal network, container:X).

## What it finds
Running containers that were asked to publish ports, in a network mode in which nothing is published.

## Why it matters
The port is not in `docker ps` and does not answer, and nothing tells why: the client's warning was printed once, when
the container was made.

## How it is decided
`HostConfig.PortBindings` has the port, `NetworkSettings.Ports` does not, and the reason is known: the container uses
the host's network (its own ports are the host's), another container's network, no network, or internal networks only.
One note names all of them.

## Not a problem when
A rule of the host leads the port to where the container listens; the option is left over from an earlier network.

## Repair
Take away one of the two options. A container that is on internal networks only publishes its ports once it is connected
to another network as well. For the host's network a rule leads the port to the container's own.

## Verify
`docker port` shows the port, or the container's own port answers on the host.

## References
docs.docker.com/engine/network/drivers/host; docs.docker.com/engine/network/port-publishing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import no_containers, other_containers, related, sh
from netdiag.checks._ways_in import address_of, lead_by_hand, translated_ports
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, WantedPort
from netdiag.model import Host
from netdiag.model.gates import is_running

_MOST_NAMED = 5


@dataclass(frozen=True)
class _Ignored:
    container: Container
    ports: tuple[WantedPort, ...]
    reason: str


@check(Severity.NOTE, layer="port")
def port_published_ignored(host: Host) -> Verdicts:
    asking = [each for each in host.containers if each.wanted_ports and is_running(each).yes]
    if not asking:
        yield no_containers(host, "no running container asks for a port of the host", "which ports containers ask for")
        return
    led = translated_ports(host)
    found = [each for container in asking if (each := _ignored(host, container, led))]
    if found:
        yield _note(host, found)
    yield from other_containers(host, "which ports other containers ask for")


def _ignored(host: Host, container: Container, led: frozenset[tuple[str | None, str]]) -> _Ignored | None:
    published = {(port.protocol, port.container_port) for port in container.ports}
    ports = tuple(
        port
        for port in container.wanted_ports or ()
        if (port.protocol, port.container_port) not in published and (port.protocol, str(port.host_port)) not in led
    )
    reason = _reason(host, container)
    return _Ignored(container, ports, reason) if ports and reason else None


def _reason(host: Host, container: Container) -> str:
    mode = container.network_mode or ""
    if mode == "host":
        return "it uses the host's network"
    if mode == "none":
        return "it has no network"
    if mode.startswith("container:"):
        owner = host.container(mode.removeprefix("container:"))
        return f"it uses the network of container {owner.name}" if owner else "it uses another container's network"
    networks = [network for endpoint in container.endpoints if (network := host.network(endpoint.network_id))]
    if networks and all(network.internal for network in networks):
        return "it is on internal networks only"
    return ""


def _note(host: Host, found: list[_Ignored]) -> Fault:
    named = [f"{_numbers(each)} of `{each.container.name}`: {each.reason}" for each in found]
    more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    evidence = []
    for each in found[:_MOST_NAMED]:
        evidence.append(Evidence(each.ports[0].span, f"container {each.container.name} asks for it"))
        evidence.append(related(each.container.span, each.reason))
    return Fault(
        message=f"ports are asked for and not published ({'; '.join(named[:_MOST_NAMED])}{more})",
        subjects=tuple(Subject("container", each.container.name) for each in found),
        evidence=tuple(evidence),
        remedy=tuple(command for each in found[:_MOST_NAMED] for command in _remedy(host, each)),
        verify=tuple(sh("{} port {}", e.container.engine, e.container.name) for e in found[:_MOST_NAMED]),
    )


def _numbers(each: _Ignored) -> str:
    return ", ".join(f"{port.host_port or 'any'}/{port.protocol}" for port in each.ports[:_MOST_NAMED])


def _remedy(host: Host, each: _Ignored) -> Iterator[str]:
    container, mode = each.container, each.container.network_mode or ""
    if mode == "host":
        for port in each.ports:
            if port.host_port and port.host_port != port.container_port:
                there = f"-p {sh('{}', port.protocol)} --dport {port.host_port}"
                yield f"iptables -t nat -A PREROUTING {there} -j REDIRECT --to-ports {port.container_port}"
            else:
                yield sh("ss -tulpn 'sport = :{}'", port.container_port)
    elif mode.startswith("container:"):
        owner = host.container(mode.removeprefix("container:"))
        address = address_of(host, owner) if owner else None
        for port in each.ports if address else ():
            if address and port.host_port:
                yield from lead_by_hand(address, port.protocol, port.host_port, port.container_port)
    else:
        outside = next((n.name for n in host.networks if n.driver == "bridge" and n.internal is False), "bridge")
        yield sh("{} network connect {} {}", container.engine, outside, container.name)
