"""Packet loops.

## What it finds
Packets that pass the same device again and again.

## Why it matters
Each round costs the CPU as much as a new packet does. A loop of routes ends when the packet's time to live is used
up; a loop of bridges does not end, and takes the network with it.

## How it is decided
One packet that the same device sends more than 16 times; or one whose time to live was used up while this host
forwarded it, or that the kernel freed because it had gone from device to device too often (RECURSION_LIMIT), when in
the second before at least 16 packets of the same length had come to the same device. A packet that goes from a bridge
to a veth, or through a tunnel, passes several devices, but each of them once or twice.

## Not a problem when
Somebody runs traceroute: single packets whose time to live is used up are how it works, and are passed over.

## Repair
For routes: find the destination (`tcpdump`), and give one of the two routers the right route. For bridges: take one
of the two links out, or switch the spanning tree on.

## Verify
A new trace has no packet that passes a device twice.

## References
Kernel net/core/dev.c, "Dead loop on virtual device"; include/net/dropreason-core.h; RFC 1812, 5.3.1.
"""

from collections import Counter
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._traces import Place, evidence_at, packets, places, traces_with
from netdiag.finding import Severity
from netdiag.journeys.observed.facts import Direction, DropClass, Journey, Observation
from netdiag.model import Host

_MANY_TIMES = 16
_SECOND = 1_000_000_000  # ns


@check(Severity.ERROR, layer="trace", symptom_of=("bridge-l2-loop",))
def trace_loop(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_queue", "net_dev_xmit", "netif_receive_skb", "kfree_skb")
    yield from others
    for seen in found:
        yield from _of(host, seen)


def _of(host: Host, seen: Observation) -> Iterator[Fault]:
    """One finding for each device at which packets go round."""
    rounds: dict[str, tuple[Place, int, list[int]]] = {}
    for journey in seen.journeys:
        device, times = _most_sent(journey)
        if times <= _MANY_TIMES:
            device, times = _sent_before(seen, journey)
        place = next((places(host).of(hop.where) for hop in journey.hops if hop.where.text == device), None)
        if place and times >= _MANY_TIMES:
            _, most, lines = rounds.get(device, (place, 0, []))
            rounds[device] = (
                place,
                max(most, times),
                [*lines, journey.end_step.line if journey.end_step else journey.line],
            )
    for place, times, lines in rounds.values():
        yield _fault(seen, place, times, lines)


def _most_sent(journey: Journey) -> tuple[str, int]:
    """The device that sent the packet most often, and how often."""
    sent = Counter(hop.where.text for hop in journey.hops if hop.direction is Direction.SENDS)
    return sent.most_common(1)[0] if sent else ("", 0)


def _sent_before(seen: Observation, journey: Journey) -> tuple[str, int]:
    """The last device of a packet that had gone too far, and how many packets of its length had come there before."""
    if journey.drop is None or journey.drop.kind is not DropClass.LOOP or not journey.hops:
        return "", 0
    device = journey.hops[-1].where.text
    alike = (
        each for each in seen.journeys if each.length == journey.length and 0 <= journey.arrived - each.start <= _SECOND
    )
    return device, sum(any(hop.where.text == device for hop in each.hops) for each in alike)


def _fault(seen: Observation, place: Place, times: int, lines: list[int]) -> Fault:
    return Fault(
        message=f"{packets(len(lines))} went round in a loop over {place.words}, {times} times or more",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, lines, "once more at the same device"), *place.shown),
        remedy=("ip route show table all; ip rule; bridge -d link",),
        verify=("perf record -a -e skb:kfree_skb -- sleep 10 && perf script",),
    )
