"""large GSO skb hits non-GSO path / fragmentation.

## What it finds
Packets that were cut into pieces, or could not be, while the trace ran, and packets longer than the MTU of the device
that was to send them and not made to be cut by it.

## Why it matters
Pieces cost more than whole packets, one lost piece loses all of them, and many firewalls let no pieces pass. Whoever
sends them believes in an MTU that this way does not have.

## How it is decided
The counters IpFragCreates and IpFragFails of a namespace (and those of IPv6) that grew between the two looks around
the trace; and packets in the trace that a device was given to send that are longer than its MTU, of which
`net_dev_start_xmit` tells `gso_size=0`. Packets up to 64 kB with a `gso_size` are normal: the device cuts them.

## Not a problem when
Somebody sends large datagrams on purpose, such as a ping with a size.

## Repair
Give the container's network the MTU of the way (`--opt com.docker.network.driver.mtu`), and let ICMP "fragmentation
needed" pass.

## Verify
`nstat -az IpFragCreates IpFragFails` stands still under the same traffic.

## References
Kernel include/trace/events/net.h; RFC 1191; RFC 8900.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._traces import Place, evidence_at, packets, places, traces_with
from netdiag.finding import Evidence, Severity, Subject
from netdiag.journeys.observed.facts import Direction, Hop, Observation
from netdiag.model import Host
from netdiag.model.movement import Grown

_CUT = ("IpFragCreates", "Ip6FragCreates")
_NOT_CUT = ("IpFragFails", "Ip6FragFails")
#: Ethernet, with a VLAN tag.
_HEADER = 18
_MOST_LINES = 3


@check(
    Severity.NOTE,
    layer="trace",
    symptom_of=("mtu-bridge-gt-uplink", "mtu-veth-mismatch", "mtu-uplink-jumbo-mismatch", "overlay-vxlan-mtu"),
)
def trace_gso_fragmentation(host: Host) -> Verdicts:
    found, others = traces_with(host, "net_dev_start_xmit", "net_dev_queue", "net_dev_xmit")
    yield from others
    if not found:
        return
    for scope, grown in _counted(host).items():
        yield _of_counters(host, scope, grown)
    for seen in found:
        yield from _too_long(host, seen)


def _counted(host: Host) -> Mapping[str, Sequence[Grown]]:
    """By namespace the counters of pieces that grew."""
    found: dict[str, list[Grown]] = defaultdict(list)
    for grown in host.movement.counters if host.movement else ():
        if grown.counter in (*_CUT, *_NOT_CUT):
            found[grown.scope].append(grown)
    return found


def _of_counters(host: Host, scope: str, grown: Sequence[Grown]) -> Fault:
    netns = next((each for each in host.namespaces if each.id == scope), host.root)
    pieces = sum(each.after - each.before for each in grown if each.counter in _CUT)
    failed = sum(each.after - each.before for each in grown if each.counter in _NOT_CUT)
    what = [f"made {pieces} pieces of packets that were too long"] if pieces else []
    what += [f"could not cut {packets(failed)} that {'was' if failed == 1 else 'were'} too long"] if failed else []
    owners = [each.name for each in host.containers if each.id in netns.containers]
    who = f"container `{owners[0]}`" if owners else "the host" if netns is host.root else f"namespace `{netns.name}`"
    subject = Subject("container", owners[0]) if owners else Subject("host", host.name)
    first, *others = grown
    return Fault(
        message=f"{who} {' and '.join(what)} while the trace ran",
        subjects=(subject,),
        evidence=(
            Evidence(first.span, f"{first.after - first.before} more than before"),
            *(related(each.span, f"{each.after - each.before} more than before") for each in others),
        ),
        remedy=("ip link; ip route show cache",),
        verify=("nstat -az IpFragCreates IpFragFails Ip6FragCreates Ip6FragFails",),
    )


def _too_long(host: Host, seen: Observation) -> Iterator[Fault]:
    """For each device the packets that are longer than it may send."""
    where: dict[str, Place] = {}
    lines: dict[str, list[int]] = defaultdict(list)
    for journey in seen.journeys:
        for hop in journey.hops:
            place = places(host).of(hop.where) if hop.direction is Direction.SENDS else None
            line = _is_too_long(seen, hop, _mtu(host, place)) if place else 0
            if place and line:
                where[place.words] = place
                lines[place.words].append(line)
    for words, place in where.items():
        yield Fault(
            message=f"{place.words} was given {packets(len(lines[words]))} longer than its MTU",
            subjects=place.subjects,
            evidence=(*evidence_at(seen, lines[words], "longer than the MTU, and nothing cuts it"), *place.shown),
            remedy=("ip link",),
            verify=("ip -s link",),
        )


def _mtu(host: Host, place: Place) -> int:
    netns = next(each for each in host.namespaces if each.id == place.namespace)
    link = netns.link(place.device)
    return (link.mtu or 0) if link else 0


def _is_too_long(seen: Observation, hop: Hop, mtu: int) -> int:
    """The line of the event that shows it, 0 when it is not."""
    for step in hop.steps:
        whole = "gso_size=0" in seen.source.lines[step.line - 1].split()
        if mtu and step.length and step.length > mtu + _HEADER and whole:
            return step.line
    return 0
