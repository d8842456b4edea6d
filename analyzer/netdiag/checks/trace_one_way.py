"""Request seen through container, no reply path events.

## What it finds
TCP packets that reached a container's interface, and not one packet that the container sent back while the trace ran.

## Why it matters
The way to the container is right; what fails is inside: no route back, a firewall in the container, the reverse path
filter, or a program that hangs before it accepts.

## How it is decided
Packets whose way ends in a container, that TCP made (the kernel marks them for segmentation: `gso_type` 1 or 16 at
`net_dev_start_xmit`), and that were followed by a second or more of trace without any packet from the same interface.
Even a port without a listener answers, with a reset. UDP and ICMP need no answer and are passed over, and so are
packets whose protocol the trace does not tell, unless the container counts packets for which it had no route
(`IpOutNoRoutes`).

## Not a problem when
The trace ended before the answer could come.

## Repair
Look from inside the container: `ip route`, `iptables -S`, `ss -ltn`.

## Verify
A new trace shows answers.

## References
RFC 9293, 3.10.7; kernel include/trace/events/net.h.
"""

from collections.abc import Iterator, Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._traces import Place, confidence_of, evidence_at, packets, places, reservation, traces_with
from netdiag.finding import Severity
from netdiag.journeys.observed.facts import Direction, Ending, Journey, Observation, Path, Whereabouts
from netdiag.model import Host
from netdiag.model.movement import Grown

_SECOND = 1_000_000_000  # ns
#: SKB_GSO_TCPV4 and SKB_GSO_TCPV6 of include/linux/skbuff.h, as the tracepoint prints them.
_TCP = ("gso_type=0x1", "gso_type=0x10")
_ARRIVED = (Ending.COPIED, Ending.CONSUMED, Ending.HANDED_UP, Ending.MERGED, Ending.FREED)
_NO_ROUTE = "IpOutNoRoutes"


@check(
    Severity.ERROR,
    layer="trace",
    symptom_of=(
        "route-container-default-missing",
        "route-container-default-wrong",
        "route-multinet-default-surprise",
        "address-container-ip-mismatch",
        "sysctl-rp-filter-strict",
        "link-container-iface-down",
    ),
)
def trace_one_way(host: Host) -> Verdicts:
    found, others = traces_with(host, "netif_receive_skb", "netif_rx")
    yield from others
    for seen in found:
        yield from _of(host, seen)


def _of(host: Host, seen: Observation) -> Iterator[Fault]:
    answering = {path.stops[0].where for path in seen.paths if path.stops[0].direction is Direction.SENDS}
    for path in seen.paths:
        inside = path.stops[-1].where
        place = places(host).of(inside)
        came_alone = len(path.stops) > 1 and path.stops[-1].direction is Direction.RECEIVES and inside not in answering
        if not place or not place.of_containers or inside.namespace == host.root.id or not came_alone:
            continue
        came = [each for each in seen.journeys if each.path == path.number and each.ending in _ARRIVED]
        waited = [each for each in came if seen.end - each.arrived >= _SECOND]
        no_route = _no_route(host, inside)
        if waited and (no_route or any(_is_tcp(seen, each) for each in waited)):
            yield _fault(host, seen, path, place, waited, no_route)


def _no_route(host: Host, inside: Whereabouts) -> Grown | None:
    """The counter by which a namespace had no route for what it wanted to send, when it grew meanwhile."""
    counters = host.movement.counters if host.movement else ()
    return next((each for each in counters if (each.scope, each.counter) == (inside.namespace, _NO_ROUTE)), None)


def _is_tcp(seen: Observation, journey: Journey) -> bool:
    """Whether an event of the packet tells that TCP made it."""
    lines = (seen.source.lines[step.line - 1] for hop in journey.hops for step in hop.steps)
    return any(line.rstrip().endswith(_TCP) for line in lines)


def _fault(
    host: Host, seen: Observation, path: Path, place: Place, came: Sequence[Journey], no_route: Grown | None
) -> Fault:
    container = place.subjects[0].name
    counted = (related(no_route.span, "packets that it had no route for"),) if no_route else ()
    why = "; it had no route for what it wanted to send" if no_route else ""
    return Fault(
        message=f"{packets(path.count)} reached {place.words} by way of `{path.stops[0].where.device}`, "
        f"and it sent none back{why}{reservation(host, seen)}",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, (each.line for each in came), "the way in"), *counted, *place.shown),
        remedy=(sh("nsenter -t $(docker inspect -f '{{{{.State.Pid}}}}' {}) -n ip route", container),),
        verify=(sh("nsenter -t $(docker inspect -f '{{{{.State.Pid}}}}' {}) -n ss -lntu", container),),
        confidence=confidence_of(host, seen),
    )
