"""Container ports reachable by routing to container IP (Docker <28).

## What it finds
Ports that are published on the loopback address only, and that every neighbour of the host reaches all the same: at the
container's own address.

## Why it matters
`-p 127.0.0.1:5432:5432` is meant for the host alone. Docker before 28.0 lets the container's port pass from every other
interface, so a machine in the network of the uplink only needs a route (`ip route add 172.18.0.0/16 via HOST`).

## How it is decided
Gates: Docker is older than 28.0 and manages this namespace; the filter and nat tables were collected; there is a
default route. A new connection that a neighbour sends to the container's address and port, and that comes in by the
uplink, is put to the rules and the routes of the host: it is let pass at PREROUTING, routed to the container's bridge,
and let pass at FORWARD. Ports that are published for others lose nothing by this and are not named; ports that are not
published are a matter of sec-forward-policy-accept.

## Not a problem when
A rule drops what is routed to the containers; the neighbours are all trusted, as on a link to one router that drops
packets for private addresses.

## Repair
Drop what comes in by the uplink for the containers' own addresses, as Docker does since 28.0, and for the loopback
address, which DNAT leads to the container as well. For good: Docker 28 or newer.

## Verify
A neighbour with a route is not answered any more.

## References
moby/moby#45610; moby/moby#14041; moby/moby#49325; docs.docker.com/engine/network/packet-filtering-firewalls.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._exposure import (
    Door,
    Doubts,
    LedPort,
    keep_loopback_out,
    keep_routed_out,
    led_ports,
    lets_routed_in,
    loopback_ports,
    routed_door,
)
from netdiag.finding import Evidence, Severity
from netdiag.model import Host

_MOST_NAMED = 5


@check(Severity.WARNING, layer="security")
def sec_direct_routing_pre28(host: Host) -> Verdicts:
    gate = lets_routed_in(host)
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    ports, others = led_ports(host)
    yield from others
    near = loopback_ports(ports)
    if ports and not near:
        yield NotApplicable("no port is published on the loopback address only")
    doubts = Doubts()
    open_ = [(each, door) for each in near if (door := routed_door(host, each, doubts))]
    if open_:
        yield _fault(open_)
    yield from doubts.verdicts("whether neighbours reach ports that are published for the host only")


def _fault(found: list[tuple[LedPort, Door]]) -> Fault:
    ports, door = [each for each, _ in found], found[0][1]
    names = [f"{each.name} of `{each.container.name}`" for each in ports]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    networks = {each.bridge.network.id: each.bridge.network for each in ports}
    return Fault(
        message=f"published for the host only, and neighbours reach it at the container's own address:"
        f" {', '.join(names[:_MOST_NAMED])}{more}",
        subjects=tuple(dict.fromkeys(subject for each in ports for subject in each.subjects)),
        evidence=(
            *(
                Evidence(each.port.span, f"published on {each.port.host_address}; open at {each.address}")
                for each in ports[:_MOST_NAMED]
            ),
            related(door.span, f"{door.device} is the way in"),
        ),
        remedy=(*keep_routed_out(door, networks.values()), keep_loopback_out(door)),
        verify=("iptables -t raw -L PREROUTING -v -n -x",),
    )
