"""App in container listens on 127.0.0.1 only.

## What it finds
A published port of a running container whose only listeners are bound to a loopback address of the container.

## Why it matters
127.0.0.1 of a container is not the host's: only programs in the same container reach it. `docker exec` shows that the
service works, and every client outside of the container is refused. Development servers (vite, flask, django, node) and
databases listen so unless told otherwise.

## How it is decided
Gates: the engine is here; the container runs and has its own namespace; the sockets of that namespace are all in the
bundle (`ss -tulpn` in it). The port is found when sockets of its protocol wait on it and all of them are on 127.0.0.0/8
or ::1. Rules of the namespace that lead the port to 127.0.0.1 are followed.

## Not a problem when
A second socket listens on all addresses or on the container's address; the container shares the host's network.

## Repair
Tell the program to listen on 0.0.0.0 (`--host 0.0.0.0`, `bind 0.0.0.0`), and restart the container. Until then the
container's namespace can lead the port to its 127.0.0.1; that lasts as long as the container runs.

## Verify
`ss` shows the port on 0.0.0.0 or `*`, and it answers.

## References
docs.docker.com/engine/network/port-publishing; ip-sysctl(7) of the kernel for route_localnet.
"""

from ipaddress import IPv6Address

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import sh
from netdiag.checks._listeners import Answer, Service, entrance, relay, services
from netdiag.finding import Evidence, Severity
from netdiag.model import Host


@check(Severity.ERROR, layer="port")
def port_listener_loopback_only(host: Host) -> Verdicts:
    found, questions = services(host)
    yield from questions
    for service in found:
        if service.answer is Answer.LOOPBACK:
            yield _fault(service)


def _fault(service: Service) -> Fault:
    socket = service.sockets[0]
    program = socket.processes[0].name if socket.processes else "the program"
    container, address = service.container.name, socket.address
    return Fault(
        message=f"container `{container}` listens on its own {address} only for published port {service.name}",
        subjects=service.subjects,
        evidence=(Evidence(socket.span, f"{program} listens for the container itself only"), service.published),
        remedy=_remedy(service),
        verify=(sh("nsenter --net={} ss -tulpn", entrance(service.container)),),
    )


def _remedy(service: Service) -> tuple[str, ...]:
    """Lead the port to the loopback address, which the kernel allows for IPv4 only; a relay does it for IPv6."""
    container, port = service.container, service.container_port
    loopback = next((socket.address for socket in service.sockets if socket.family == "ipv4"), None)
    if loopback is None or service.address.version == 6:
        return (relay(service, loopback or IPv6Address("::1")),)
    enter = sh("nsenter --net={}", entrance(container))
    interface = next((link.name for e in container.endpoints if (link := service.netns.link_of(e))), "eth0")
    return (
        f"{enter} sysctl -w " + sh("net.ipv4.conf.{}.route_localnet=1", interface),
        f"{enter} iptables -t nat -A PREROUTING -p {service.protocol} --dport {port}"
        f" -j DNAT --to-destination {loopback}:{port}",
    )
