"""net_dev_queue on a device without net_dev_xmit for that skb.

## What it finds
Packets that were given to a device's queue and never sent: dropped by the queue, or just not seen again.

## Why it matters
The packet gets as far as the bridge or the veth and vanishes there. Neither routes nor firewall rules explain it.

## How it is decided
`net_dev_queue` begins the sending on a device; `net_dev_start_xmit` or `net_dev_xmit` shows that its driver got the
packet. Packets whose way ends between the two count, and those that the queue freed (QDISC_DROP and its like). A
packet that a bridge sends must be sent again by one of its ports; where that is missing the bridge had no way for it.
Where the counters of the queue say that it let a packet go, the packet was sent, and the trace lacks its events.
Packets at the end of the capture, and those that lost events may explain, do not count; nor do copies and parts of
packets, whose whole goes on. A device without a carrier sends nothing and is passed over: the checks of links speak
of it. The trace must have recorded both ends of a sending.

## Not a problem when
A queue drops now and then so that senders slow down. One packet in a hundred or less is passed over.

## Repair
Delete the queue that drops (`tc qdisc`), or give it the rate that the traffic needs; bring the device up.

## Verify
`tc -s qdisc` counts no further drops, and a new trace shows each packet sent.

## References
Kernel include/trace/events/net.h; net/core/dev.c; tc(8).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._traces import (
    Place,
    confidence_of,
    evidence_at,
    packets,
    places,
    refused,
    reservation,
    traces_with,
    unseen,
)
from netdiag.finding import Confidence, Evidence, Severity
from netdiag.journeys.observed.facts import Direction, Drop, DropClass, Ending, Observation, Path
from netdiag.model import Host

_NOT_SENT = (Ending.QUEUED, Ending.BRIDGING)
_PERCENT = 100
_SYMPTOM_OF = (
    "link-txqueuelen-qdisc-drops",
    "link-veth-down",
    "link-bridge-down",
    "link-veth-not-enslaved",
    "link-container-iface-down",
    "bridge-port-not-forwarding",
    "bridge-port-isolated",
    "bridge-ebtables-drop",
)


@check(Severity.ERROR, layer="trace", symptom_of=_SYMPTOM_OF)
def trace_queued_not_xmitted(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_queue")
    yield from others
    for seen in found:
        if seen.recorded.get("net_dev_xmit") or seen.recorded.get("net_dev_start_xmit"):
            yield from _of(host, seen)


def _of(host: Host, seen: Observation) -> Iterator[Fault]:
    where: dict[str, Place] = {}
    vanished: dict[str, int] = defaultdict(int)
    dropped: dict[str, list[Drop]] = defaultdict(list)
    for path in seen.paths:
        place = places(host).of(path.stops[-1].where)
        count = sum(path.endings.get(ending, 0) for ending in _NOT_SENT) - path.doubtful
        if place and count > 0 and path.copies == 0 and _has_carrier(host, place):
            where[place.words] = place
            vanished[place.words] += count
    for gone in unseen(host, seen):
        vanished[gone.place.words] -= gone.count
    for drop in seen.drops:
        place = places(host).of(drop.where)
        by_queue = drop.reason.kind is DropClass.QUEUE and drop.path not in refused(seen)
        if place and by_queue and _has_carrier(host, place):
            where[place.words] = place
            dropped[place.words].append(drop)
    given = _given(host, seen)
    for words, place in where.items():
        count = vanished[words] + sum(drop.count for drop in dropped[words])
        if count * _PERCENT > given.get(words, 0):
            yield _fault(host, seen, place, count, given.get(words, 0), dropped[words])


def _has_carrier(host: Host, place: Place) -> bool:
    netns = next(each for each in host.namespaces if each.id == place.namespace)
    link = netns.link(place.device)
    return link is not None and bool(link.up) and "NO-CARRIER" not in (link.flags or ())


def _given(host: Host, seen: Observation) -> Mapping[str, int]:
    """How many packets each device was given to send."""
    found: dict[str, int] = defaultdict(int)
    for path in seen.paths:
        for device in _senders(host, path):
            found[device] += path.count
    return found


def _senders(host: Host, path: Path) -> set[str]:
    sending = (places(host).of(stop.where) for stop in path.stops if stop.direction is Direction.SENDS)
    return {place.words for place in sending if place}


def _counted(host: Host, place: Place) -> Iterator[Evidence]:
    """What the queue of the device itself counted meanwhile."""
    for grown in host.movement.counters if host.movement else ():
        if grown.scope == place.namespace and grown.owner.endswith(f" of {place.device}") and grown.is_loss:
            yield related(grown.span, f"its queue counted {grown.after - grown.before} drops meanwhile")


def _fault(host: Host, seen: Observation, place: Place, count: int, given: int, dropped: Sequence[Drop]) -> Fault:
    ended = [each for each in seen.journeys if each.ending in _NOT_SENT and not each.doubt and each.copy_of is None]
    lines = [line for drop in dropped for line in drop.lines]
    by_queue = sum(drop.count for drop in dropped)
    if count > by_queue:
        lines += [each.hops[-1].steps[-1].line for each in ended if each.hops[-1].where.device == place.device]
    all_of_them = "them" if by_queue == count else f"{by_queue} of them"
    why = f": its queue dropped {all_of_them} ({dropped[0].reason.name})" if dropped else reservation(host, seen)
    device, sent = place.device, "was never sent" if count == 1 else "were never sent"
    return Fault(
        message=f"{count} of {packets(max(count, given))} {sent} by {place.words}{why}",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, lines, "not sent"), *_counted(host, place), *place.shown),
        remedy=(sh("tc qdisc del dev {} root" if dropped else "tc -s qdisc show dev {}", device),),
        verify=(sh("tc -s qdisc show dev {}", device),),
        severity=None if place.of_containers else Severity.WARNING,
        confidence=confidence_of(host, seen) if count > by_queue else Confidence.HIGH,
    )
