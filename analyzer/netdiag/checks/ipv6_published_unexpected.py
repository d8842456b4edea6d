"""Port reachable over IPv6 though only IPv4 was firewalled.

## What it finds
Published ports that the rules keep anybody from outside away from by IPv4, and that are open by IPv6.

## Why it matters
`-p 80:80` publishes on 0.0.0.0 and on [::]. Rules that were made with iptables alone say nothing about IPv6, and a host
with a public IPv6 address offers the port to the whole Internet.

## How it is decided
Gates: Docker manages this namespace; the filter and nat tables were collected, those of IPv6 too; the host has a public
IPv6 address on the link of an IPv6 default route. The port is published on both. By IPv4, a new connection from a
public address that comes in by the uplink is dropped at FORWARD (after DNAT), by a rule that somebody made. By IPv6 it
passes: at FORWARD where ip6tables leads it to the container's IPv6 address, else at INPUT, where docker-proxy takes it.

## Not a problem when
The host has no public IPv6 address; the rules of ip6tables or nftables say the same as those of IPv4.

## Repair
Say the same for IPv6. Or publish on IPv4 alone (`-p 0.0.0.0:80:80`).

## Verify
A client from elsewhere is not answered by IPv6.

## References
docker/for-linux#690; docs.docker.com/engine/network/packet-filtering-firewalls.
"""

from ipaddress import IPv6Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._exposure import (
    Door,
    LedPort,
    doors,
    is_translated,
    led_ports,
    only_for_neighbours,
    to_container,
    to_host,
)
from netdiag.checks._listeners import Listeners, reaches
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import PublishedPort, Socket
from netdiag.model import Host, Truth
from netdiag.model.gates import unknown, whole
from netdiag.model.hooks import Passage


@check(Severity.WARNING, layer="security")
def ipv6_published_unexpected(host: Host) -> Verdicts:
    ports, others = led_ports(host)
    if not ports:
        yield from others
        return
    if not host.root.addresses_known:
        yield unjudged(whole(host.root.links, "which IPv6 addresses the host has"))
        return
    entrances, entrances6 = doors(host), doors(host, 6)
    if not entrances6:
        yield NotApplicable("the host has no public IPv6 address")
        return
    if not any(table.family == "ipv6" for table in host.root.firewall) and not host.root.firewall.whole:
        yield unjudged(unknown("the IPv6 rules", "iptables_save", because=host.root.firewall.why))
        return
    for each in ports:
        twin = _twin(each)
        closed = next((way for door in entrances if (way := _closed(host, door, each)) is not None), None)
        if twin is None or closed is None:
            continue
        open6 = next((door for door in entrances6 if _is_open(host, door, each, twin)), None)
        if open6:
            yield _fault(host, each, twin, closed, open6)


def _twin(each: LedPort) -> PublishedPort | None:
    """The same port of the container published on all IPv6 addresses."""
    wanted = each.port.protocol, each.port.container_port, each.port.host_port
    for port in each.container.ports:
        address = port.host_address
        same = (port.protocol, port.container_port, port.host_port) == wanted
        if same and isinstance(address, IPv6Address) and address.is_unspecified:
            return port
    return None


def _closed(host: Host, door: Door, each: LedPort) -> Passage | None:
    """How anybody is kept away from the port by IPv4; None when nobody is."""
    number, protocol = each.port.host_port, each.port.protocol
    if not is_translated(host, door, protocol, door.address, number, door.anybody):
        return None
    way = to_container(host, door, each.bridge.device, each.target, source=door.anybody, came_for=number)
    return way if way.truth is Truth.NO and way.rule is not None else None


def _is_open(host: Host, door: Door, each: LedPort, twin: PublishedPort) -> bool:
    protocol, number = twin.protocol, twin.host_port
    if is_translated(host, door, protocol, door.address, number, door.anybody):
        endpoint = next((e for e in each.container.endpoints if e.network_id == each.bridge.network.id), None)
        if endpoint is None or endpoint.address6 is None:
            return False
        target = protocol, endpoint.address6.ip, twin.container_port
        way = to_container(host, door, each.bridge.device, target, source=door.anybody, came_for=number)
    elif host.root.sockets.whole and _socket(host, door, twin) is None:
        return False
    else:
        way = to_host(host, door, protocol, door.address, number, door.anybody)
    return way.truth is Truth.YES


def _socket(host: Host, door: Door, twin: PublishedPort) -> Socket | None:
    sockets = Listeners(host.root.sockets).on(twin.protocol, twin.host_port)
    return next((socket for socket in sockets if reaches(socket, door.address)), None)


def _fault(host: Host, each: LedPort, twin: PublishedPort, closed: Passage, door: Door) -> Fault:
    evidence = [Evidence(twin.span, "published on IPv6 as well")]
    if closed.rule:
        evidence.append(related(closed.rule.span, "this rule is for IPv4 only"))
    socket = _socket(host, door, twin)
    if socket:
        evidence.append(related(socket.span, "it listens on IPv6"))
    evidence.append(related(door.span, f"{door.device} has this public address"))
    led = is_translated(host, door, twin.protocol, door.address, twin.host_port, door.anybody)
    close = sh("ip6tables -I INPUT -i {} ! -s {}", door.device, door.network)
    by_input = f"{close} -p {twin.protocol} --dport {twin.host_port} -j DROP"
    return Fault(
        message=f"port {each.name} of container `{each.container.name}` is closed to others by IPv4 and open by IPv6",
        subjects=each.subjects,
        evidence=tuple(evidence),
        remedy=(only_for_neighbours(door, twin.protocol, twin.host_port) if led else by_input,),
        verify=("ip6tables-save -c",),
    )
