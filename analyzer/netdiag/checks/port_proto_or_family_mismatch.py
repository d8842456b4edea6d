"""Published tcp but service is udp (or v4 vs v6-only listener).

## What it finds
A published port of a running container on which something listens, but for the other protocol (UDP where TCP is
published, or the other way round) or for the other version of IP only.

## Why it matters
`-p 53:53` publishes TCP only; a name server that waits for UDP is then never asked. A socket on `[::]` that takes IPv6
only does not see what comes in by IPv4, which is how published ports lead to containers unless the network has IPv6.

## How it is decided
Gates: the engine is here; the container runs and has its own namespace; the sockets of that namespace are all in the
bundle (`ss -tulpn` in it). `ss` prints a socket for both versions of IP as `*:80`, one for IPv6 alone as `[::]:80`, one
for IPv4 alone as `0.0.0.0:80`. A port that is published on `[::]` leads to IPv6 only when the container has an IPv6
address; then a server on 0.0.0.0 alone is a warning, because clients fall back to IPv4.

## Not a problem when
The same port is also published for the protocol that is served, or a DNAT rule of the host leads there.

## Repair
Publish the other protocol (`-p 53:53/udp`), which needs a new container. Until then the host can lead that protocol to
the container by two rules of the administrator. A server that takes IPv6 only is told to listen on
0.0.0.0, or on `::` without IPV6_V6ONLY.

## Verify
The service answers.

## References
docs.docker.com/engine/network/port-publishing; ipv6(7) IPV6_V6ONLY.
"""

from ipaddress import IPv4Address, IPv6Address

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import sh
from netdiag.checks._listeners import Answer, Service, entrance, relay, services
from netdiag.checks._ways_in import lead_by_hand
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import IpAddress
from netdiag.model import Host
from netdiag.model.gates import manages_iptables


@check(Severity.ERROR, layer="port")
def port_proto_or_family_mismatch(host: Host) -> Verdicts:
    found, questions = services(host)
    yield from questions
    for service in found:
        if service.answer is Answer.OTHER_PROTOCOL:
            yield _other_protocol(host, service)
        elif service.answer is Answer.OTHER_FAMILY:
            yield _other_family(service)


def _other_protocol(host: Host, service: Service) -> Fault:
    container, socket = service.container, service.sockets[0]
    return Fault(
        message=f"container `{container.name}` publishes {service.name}, and listens on"
        f" {service.container_port}/{socket.protocol}",
        subjects=service.subjects,
        evidence=(Evidence(socket.span, f"it waits for {socket.protocol.upper()} here"), service.published),
        remedy=_lead_there(host, service) or (sh("{} restart {}", container.engine, container.name),),
        verify=(sh("{} port {}", container.engine, container.name), "iptables -t nat -L PREROUTING -v -n -x"),
    )


def _other_family(service: Service) -> Fault:
    container, socket = service.container, service.sockets[0]
    wanted, served = f"IPv{service.address.version}", "IPv4" if service.address.version == 6 else "IPv6"
    loopback: IpAddress = IPv4Address("127.0.0.1") if served == "IPv4" else IPv6Address("::1")
    return Fault(
        message=f"container `{container.name}` listens on {service.name} for {served} only, and its published port"
        f" leads to {wanted}",
        subjects=service.subjects,
        evidence=(Evidence(socket.span, f"it takes {served} only"), service.published),
        remedy=(relay(service, loopback),),
        verify=(sh("nsenter --net={} ss -tulpn", entrance(container)),),
        severity=Severity.WARNING if served == "IPv4" else Severity.ERROR,
    )


def _lead_there(host: Host, service: Service) -> tuple[str, ...]:
    """The way in for the protocol that is served."""
    if not isinstance(service.address, IPv4Address) or not manages_iptables(host).yes:
        return ()
    protocol, port = service.sockets[0].protocol, service.container_port
    numbers = sorted({port.host_port for port in service.ports})
    ways = (lead_by_hand(service.address, protocol, number, port) for number in numbers)
    return tuple(dict.fromkeys(command for way in ways for command in way))
