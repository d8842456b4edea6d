"""Latency concentrated between two hops.

## What it finds
A device on the way of containers' packets at which half of them wait 5 ms or longer before they go on.

## Why it matters
Within one host a packet takes microseconds from hop to hop. One place that takes milliseconds is all of the latency
that users feel, and it is not the network's.

## How it is decided
For the packets that took one way, the median of the time from the first event of a device to the first event of the
next: in a queue until the driver gets them, in the backlog of a CPU until the protocols do. At least 5 packets must
have been seen at the device. How long a program takes until it reads or answers does not count.

## Not a problem when
The queue is meant to slow traffic down (a shaper). Tracing with call stacks slows the first packets; an address that
had to be asked for delays one packet, not half of them.

## Repair
In a queue: `tc -s qdisc`, and whose rate it is. Before the protocols: which CPU takes the interrupts, and what else
runs there (`mpstat -P ALL 1`, `/proc/softirqs`); long chains of rules.

## Verify
A new trace has no such hop.

## References
Kernel Documentation/networking/scaling.rst; tc(8).
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import sh
from netdiag.checks._traces import Place, evidence_at, milliseconds, places, traces_with
from netdiag.finding import Confidence, Severity
from netdiag.journeys.observed.facts import Direction, Latency, Observation, Path, Stop
from netdiag.model import Host

_LONG = 5_000_000  # ns
_LEAST = 5  # packets
_QUEUES = ("link-txqueuelen-qdisc-drops",)


@check(Severity.WARNING, layer="trace", symptom_of=(*_QUEUES, "sysctl-netdev-backlog-softnet"))
def trace_hop_latency(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_queue", "netif_receive_skb")
    yield from others
    for seen in found:
        told: set[str] = set()
        for path, stop, latency in _slow(seen):
            place = places(host).of(stop.where)
            if place and place.words not in told:
                told.add(place.words)
                yield _fault(seen, path, stop, latency, place)


def _slow(seen: Observation) -> Iterator[tuple[Path, Stop, Latency]]:
    """The hops that take long, of the path with the most packets first. A device only waits for itself when it is the
    last one that sends in a row: a bridge that sends waits for the queue of its port.
    """
    for path in seen.paths:
        for number, stop in enumerate(path.stops):
            latency = stop.latency
            if latency and latency.measured >= _LEAST and latency.median >= _LONG:
                yield path, path.stops[number], latency


def _fault(seen: Observation, path: Path, stop: Stop, latency: Latency, place: Place) -> Fault:
    device = stop.where.device
    slow = (
        hop.steps[0].line
        for journey in seen.journeys
        if journey.path == path.number
        for hop in journey.hops
        if hop.where == stop.where and hop.latency >= _LONG
    )
    what = "to be sent by" if stop.direction is Direction.SENDS else "to be taken in from"
    return Fault(
        message=f"half of {latency.measured} packets waited {milliseconds(latency.median)} or longer {what} "
        f"{place.words} (at most {milliseconds(latency.most)})",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, slow, "the wait begins here"), *place.shown),
        remedy=(sh("tc -s qdisc show dev {}; cat /proc/softirqs", device),),
        verify=(sh("tc -s qdisc show dev {}", device),),
        severity=None if place.of_containers else Severity.NOTE,
        confidence=Confidence.HIGH if latency.measured > _LEAST else Confidence.MEDIUM,
    )
