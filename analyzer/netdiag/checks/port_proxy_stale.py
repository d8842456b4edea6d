"""docker-proxy still running for a gone container.

## What it finds
A docker-proxy process that holds a port of the host which no running container publishes.

## Why it matters
It takes connections and leads them to an address that nobody has, or that another container has by now. The next
container that publishes the port is not started: "address already in use".

## How it is decided
Gates: Docker manages this namespace; all containers and all sockets of the host are in the bundle (as root: `ss` tells
the programs of other users to root only). A socket of a program called docker-proxy is stale when no running container
publishes its port and protocol.

## Not a problem when
A second Docker Engine runs in the same network namespace: then the proxy may be one of its own.

## Repair
End the process. What it held is free at once.

## Verify
Nobody listens on the port any more.

## References
docker/for-linux#1278; docker/for-win#2722.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import published_ports, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Socket
from netdiag.model import Gate, Host
from netdiag.model.gates import engine_is_here, unknown, whole
from netdiag.model.knowledge import YES, all_of


@check(Severity.ERROR, layer="port")
def port_proxy_stale(host: Host) -> Verdicts:
    gate = all_of(
        engine_is_here(host),
        whole(host.root.sockets, "who listens on the host"),
        _programs_are_told(host),
        whole(host.containers, "which ports are published"),
    )
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    published = {(port.protocol, port.host_port) for _, port in published_ports(host, "docker")}
    stale: dict[tuple[str, int], list[Socket]] = defaultdict(list)
    for socket in host.root.sockets:
        of_proxy = any(process.name == "docker-proxy" for process in socket.processes)
        waits = socket.state in ("LISTEN", "UNCONN")
        if of_proxy and waits and socket.port is not None and (socket.protocol, socket.port) not in published:
            stale[socket.protocol, socket.port].append(socket)
    for (protocol, port), sockets in stale.items():
        yield _fault(f"{port}/{protocol}", port, sockets)


def _programs_are_told(host: Host) -> Gate:
    if not host.root.sockets.items or any(socket.processes for socket in host.root.sockets):
        return YES
    return unknown("which programs hold the ports of the host", "ss", because="ss was not run as root")


def _fault(name: str, port: int, sockets: list[Socket]) -> Fault:
    pids = sorted({process.pid for socket in sockets for process in socket.processes})
    return Fault(
        message=f"docker-proxy holds port {name}, which no running container publishes",
        subjects=(Subject("port", name),),
        evidence=tuple(Evidence(socket.span, "its container is gone") for socket in sockets),
        remedy=(" ".join(["kill", *map(str, pids)]),),
        verify=(sh("ss -tulpn 'sport = :{}'", port),),
    )
