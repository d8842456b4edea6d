"""EXPOSEd but not published.

## What it finds
Ports that an image or `--expose` declares, on which the running container listens, and which no port of the host leads
to.

## Why it matters
`docker ps` shows such a port (`6379/tcp`) in the column of the published ones, and it is not reachable from outside: to
declare a port opens nothing. Other containers of the same network reach it without any publishing.

## How it is decided
The container runs and has its own namespace; something listens on the port there, not on a loopback address; neither a
published port nor a DNAT rule of the host leads to it. A port is not named when the same container publishes another
one, because then somebody chose. One note names all of them.

## Not a problem when
Only other containers use the port, as is usual for a database.

## Repair
Nothing, when it is meant. Else publish it with `-p`, which needs a new container; until then two rules lead there.

## Verify
`docker port` shows the port of the host.

## References
docs.docker.com/reference/dockerfile (EXPOSE); docs.docker.com/engine/network/port-publishing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, sort_out
from netdiag.checks._docker import no_containers, other_containers, related, sh
from netdiag.checks._listeners import Listeners, who_listens_is_known
from netdiag.checks._ways_in import address_of, goal, goals_of_host, lead_by_hand
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, ExposedPort, Socket
from netdiag.model import Gate, Host
from netdiag.model.gates import has_own_namespace, is_run_here, is_running
from netdiag.model.knowledge import all_of

_MOST_NAMED = 5


@dataclass(frozen=True)
class _Exposed:
    container: Container
    port: ExposedPort
    socket: Socket

    @property
    def name(self) -> str:
        return f"{self.socket.port}/{self.port.protocol} of `{self.container.name}`"


@check(Severity.NOTE, layer="port")
def port_exposed_not_published(host: Host) -> Verdicts:
    declaring = [
        container
        for container in host.containers
        if container.exposed and container.ports_told and not container.ports
        if all_of(is_running(container), has_own_namespace(container)).yes
    ]
    if not declaring:
        nothing = "no running container declares a port that it does not publish"
        yield no_containers(host, nothing, "which ports containers declare")
        return

    def gate(container: Container) -> Gate:
        known = who_listens_is_known(container, host.namespace_of(container))
        return all_of(is_run_here(host, container), known)

    judged, others = sort_out(declaring, gate, "")
    yield from others
    led = goals_of_host(host)
    found = [each for container in judged for each in _listened_to(host, container, led)]
    if found:
        yield _note(host, found)
    yield from other_containers(host, "which ports other containers declare")


def _listened_to(host: Host, container: Container, led: frozenset[tuple[str | None, str]]) -> Iterator[_Exposed]:
    netns, address = host.namespace_of(container), address_of(host, container)
    if netns is None or address is None:
        return
    listeners = Listeners(netns.sockets)
    for port in container.exposed:
        number = port.port
        if port.last != port.port or (port.protocol, goal(address, number)) in led:
            continue
        socket = listeners.reached(port.protocol, number, address)
        if socket:
            yield _Exposed(container, port, socket)


def _note(host: Host, found: list[_Exposed]) -> Fault:
    named = [each.name for each in found]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    evidence = []
    for each in found[:_MOST_NAMED]:
        evidence.append(Evidence(each.port.span, f"container {each.container.name} declares it"))
        evidence.append(related(each.socket.span, "and listens on it"))
    return Fault(
        message=f"exposed but not published: {', '.join(named[:_MOST_NAMED])}{more}",
        subjects=tuple(dict.fromkeys(Subject("container", each.container.name) for each in found)),
        evidence=tuple(evidence),
        remedy=tuple(
            command
            for each in found[:_MOST_NAMED]
            if (address := address_of(host, each.container))
            for command in lead_by_hand(address, each.port.protocol, each.port.port, each.port.port)
        ),
        verify=tuple(
            dict.fromkeys(sh("{} port {}", each.container.engine, each.container.name) for each in found[:_MOST_NAMED])
        ),
    )
