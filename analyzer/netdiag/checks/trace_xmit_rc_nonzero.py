"""net_dev_xmit rc != 0.

## What it finds
Packets that a device was given to send and answered with an error, by the host's own devices and those of containers.

## Why it matters
The kernel did all that it should and the last step failed: such packets are lost without a word to who sent them.

## How it is decided
`net_dev_xmit` tells the answer of the driver: 1 dropped, 2 congested, 16 busy, or a negative error number. Packets
whose way ends with such an answer count. perf trace leaves out a field that is 0, so that an answer that is not
printed is a good one. Loss on a device that only carries containers is an error, elsewhere a warning.

## Not a problem when
The driver was busy and the packet was sent a moment later: that is back pressure, and the packet's way goes on. Veths
of kernels before 6.x answer 0 for what they drop; their counters tell of it instead.

## Repair
Look at the other end of the device: a veth whose peer is down or whose ring is full, a tunnel of which no program
reads.

## Verify
The drops of the device stand still, and a new trace has no such answer.

## References
Kernel include/linux/netdevice.h, NETDEV_TX_BUSY and NET_XMIT_DROP; include/trace/events/net.h.
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import sh
from netdiag.checks._traces import Place, evidence_at, packets, places, refused, traces_with
from netdiag.finding import Severity
from netdiag.journeys.observed.facts import Ending, Observation
from netdiag.model import Host

_LOST = (Ending.REFUSED, Ending.FREED)
#: include/linux/netdevice.h
_ANSWERS = {1: "dropped", 2: "congested", 16: "busy"}


@check(Severity.ERROR, layer="trace", symptom_of=("link-veth-down", "link-container-iface-down", "link-bridge-down"))
def trace_xmit_rc_nonzero(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_xmit")
    yield from others
    for seen in found:
        yield from _of(host, seen)


def _of(host: Host, seen: Observation) -> Iterator[Fault]:
    answers = refused(seen)
    counts: dict[str, int] = defaultdict(int)
    where: dict[str, Place] = {}
    for path in seen.paths:
        place = places(host).of(path.stops[-1].where) if path.number in answers else None
        if place:
            counts[place.words] += sum(path.endings.get(ending, 0) for ending in _LOST)
            where[place.words] = place
    for words, place in where.items():
        yield _fault(seen, place, counts[words])


def _fault(seen: Observation, place: Place, count: int) -> Fault:
    lost = [each for each in seen.journeys if each.rc and each.hops[-1].where.device == place.device]
    answers = list(dict.fromkeys(each.rc for each in lost if each.rc))
    named = ", ".join(f"{rc} ({_ANSWERS[rc]})" if rc in _ANSWERS else str(rc) for rc in answers)
    lines = (step.line for each in lost for step in each.hops[-1].steps if step.rc)
    return Fault(
        message=f"{place.words} did not send {packets(count)} that it was given: rc {named}",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, lines, "the driver's answer"), *place.shown),
        remedy=(sh("ip -d -s link show {}", place.device),),
        verify=(sh("ip -s link show {}", place.device),),
        severity=None if place.of_containers else Severity.WARNING,
    )
