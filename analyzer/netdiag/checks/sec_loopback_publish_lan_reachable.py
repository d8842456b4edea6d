"""127.0.0.1-published port reachable on LAN with route_localnet / no raw loopback drop.

## What it finds
Ports that are published on 127.0.0.1, and that a neighbour of the host reaches by sending packets for 127.0.0.1 to the
host's MAC address.

## Why it matters
No ordinary program sends such packets, an attacker in the same network does. Before 28.0 Docker translated them to the
container wherever they came from, and by then nothing shows any more that they were for the loopback address. That was
so on a real host with route_localnet=0 too: the translation comes before the kernel looks for martians.

## How it is decided
Gates: Docker manages this namespace; the filter and nat tables were collected; there is a default route. A new
connection for 127.0.0.1 and the port that comes in by the uplink is put to the rules: it is let pass at PREROUTING,
DNAT leads it to the container, and FORWARD lets it pass. Or nothing translates it, route_localnet is 1 on the uplink,
and INPUT lets it pass to docker-proxy. Where neighbours reach the container's own address too, this is part of
sec-direct-routing-pre28.

## Not a problem when
A rule of the raw table drops what comes in for 127.0.0.0/8, as Docker's own do since 28.0.

## Repair
Drop what comes in by the uplink for the loopback address. For good: Docker 28 or newer.

## Verify
The rule's counter grows with each try.

## References
moby/moby#41872; moby integration/network/bridge/iptablesdoc/generated/usernet-portmap-lo.md.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._exposure import (
    Door,
    LedPort,
    doors,
    is_translated,
    keep_loopback_out,
    led_ports,
    loopback_ports,
    passes_before_routing,
    to_container,
    to_host,
)
from netdiag.finding import Evidence, Severity
from netdiag.model import Host, Truth

_MOST_NAMED = 5


@check(Severity.WARNING, layer="security", symptom_of=("sec-direct-routing-pre28", "sec-protection-disabled"))
def sec_loopback_publish_lan_reachable(host: Host) -> Verdicts:
    ports, others = led_ports(host)
    yield from others
    near = loopback_ports(ports)
    if ports and not near:
        yield NotApplicable("no port is published on the loopback address only")
    entrances = doors(host)
    open_ = [(each, door) for each in near for door in entrances if _is_open(host, each, door)]
    if open_:
        yield _fault(open_)


def _is_open(host: Host, each: LedPort, door: Door) -> bool:
    address, number, protocol = each.port.host_address, each.port.host_port, each.port.protocol
    if address is None or address.version != 4:
        return False
    if is_translated(host, door, protocol, address, number, door.neighbour):
        if passes_before_routing(host, door, protocol, address, number, door.neighbour) is not Truth.YES:
            return False
        way = to_container(host, door, each.bridge.device, each.target, source=door.neighbour, came_for=number)
        return way.truth is Truth.YES
    local = any(
        (setting := host.root.sysctl(f"net.ipv4.conf.{name}.route_localnet")) and setting.value == "1"
        for name in ("all", door.device)
    )
    return local and to_host(host, door, protocol, address, number, door.neighbour).truth is Truth.YES


def _fault(found: list[tuple[LedPort, Door]]) -> Fault:
    ports, door = [each for each, _ in found], found[0][1]
    names = list(dict.fromkeys(f"{each.name} of `{each.container.name}`" for each in ports))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Fault(
        message=f"packets for 127.0.0.1 that come in by {door.device} reach {', '.join(names[:_MOST_NAMED])}{more}",
        subjects=tuple(dict.fromkeys(subject for each in ports for subject in each.subjects)),
        evidence=(
            *(Evidence(each.port.span, f"published on {each.port.host_address}") for each in ports[:_MOST_NAMED]),
            related(door.span, f"{door.device} is the way in"),
        ),
        remedy=tuple(dict.fromkeys(keep_loopback_out(door) for _, door in found)),
        verify=("iptables -t raw -L PREROUTING -v -n -x",),
    )
