"""Packet reaches veth/bridge but never container eth0 (or reverse).

## What it finds
Packets that one end of a container's veth sent and the other end never received.

## Why it matters
The host did all that it should, and the container sees nothing: no log inside of it will tell of the packets.

## How it is decided
`net_dev_xmit` on one end with rc 0, and no event that receives the packet at the other end: `netif_rx`, or, where the
veth polls, `napi_gro_receive` or `netif_receive_skb`. The length is shorter there by the Ethernet header, and the
same otherwise. Packets at the end of the capture, and those that lost events may explain, do not count; nor does a
pair of which the trace shows no packet that did cross and whose other end is not among the interfaces that the bundle
knows.

## Not a problem when
An XDP program or a filter of tc at the other end takes the packets on purpose (Cilium, Calico).

## Repair
Look at the other end: down, moved to another namespace, or with a filter or an XDP program on it.

## Verify
A new trace shows the packets at both ends.

## References
Kernel drivers/net/veth.c; veth(4).
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import sh
from netdiag.checks._traces import Place, confidence_of, evidence_at, packets, places, reservation, traces_with
from netdiag.finding import Severity
from netdiag.journeys.observed.facts import Ending, Observation, Path
from netdiag.model import Host


@check(
    Severity.WARNING,
    layer="trace",
    symptom_of=("link-veth-down", "link-container-iface-down", "link-container-iface-missing", "link-veth-orphan"),
)
def trace_no_container_side(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_xmit")
    yield from others
    for seen in found:
        yield from _of(host, seen)


def _of(host: Host, seen: Observation) -> Iterator[Fault]:
    for path in seen.paths:
        place = places(host).of(path.stops[-1].where)
        count = path.endings.get(Ending.CROSSING, 0) - path.doubtful
        if place and place.of_containers and count > 0:
            yield _fault(host, seen, path, place, count)


def _fault(host: Host, seen: Observation, path: Path, place: Place, count: int) -> Fault:
    ended = (each for each in seen.journeys if each.path == path.number and each.ending is Ending.CROSSING)
    lines = (each.hops[-1].steps[-1].line for each in ended if not each.doubt)
    device = place.device
    return Fault(
        message=f"{place.words} sent {packets(count)} that its other end never received{reservation(host, seen)}",
        subjects=place.subjects,
        evidence=(*evidence_at(seen, lines, "sent, and not received at the other end"), *place.shown),
        remedy=(sh("tc filter show dev {} egress; ip -d link show {}", device, device),),
        verify=(sh("ip -s link show {}", device),),
        confidence=confidence_of(host, seen),
    )
