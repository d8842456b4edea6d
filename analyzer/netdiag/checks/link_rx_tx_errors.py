"""Error/drop counters on uplink, bridge or veth.

## What it finds
A link on the way of containers that has lost packets: one that leads outside, or the host's end of a container's veth.

## Why it matters
Lost packets are sent again after a while, so that everything is slow, and connections stall under load.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; the links were collected with
their counters (`ip -s link`). Counted are errors in both directions, packets that came in and were missed (`missed`, in
older outputs `overrun`), and packets that could not be sent (`dropped`, `carrier`, `collsns`): more than 100 of them
and more than 0.1 % of the packets in that direction. The counters tell of the time since the link was made: that it
goes on is sure only when they grew while the bundle was being collected.

## Not a problem when
`dropped` on the receiving side counts frames of protocols that the host does not speak (LLDP, spanning tree, unknown
VLANs) and is left out. Bridges drop what has no port to go to, and are left out as well.

## Repair
Look whether the counters still grow, then at what they count: the cable and duplex (`ethtool`), the ring of the card
(`ethtool -g`, `-S`), or the other end of a veth.

## Verify
The counters stand still.

## References
kernel Documentation/networking/statistics.rst; ip-link(8).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, numbers_under
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Grown, Host
from netdiag.model.gates import unknown, uplinks

#: What is lost in each direction, by the headings of `ip -s link`.
_LOST = {"rx": ("errors", "missed", "overrun"), "tx": ("errors", "dropped", "carrier", "collsns")}
_MANY = 100
_PER_MILLE = 1000


@dataclass(frozen=True)
class _Loss:
    """What a link has lost in one direction."""

    direction: str
    counts: Mapping[str, int]
    packets: int


@check(
    Severity.WARNING,
    layer="link",
    symptom_of=("mtu-veth-mismatch", "link-veth-down", "link-container-iface-down", "perf-ring-drops"),
)
def link_rx_tx_errors(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if not ports:
        return
    if not any("rx.packets" in link.details for link in host.root.links):
        yield unjudged(unknown("what the links have lost", "ip_addr", because="the bundle has no ip -s link"))
        return
    for name in sorted(uplinks(host)):
        link = host.root.link(name)
        if link and (lost := list(_losses(link))):
            yield _fault(host, link, lost, None)
    for port in ports:
        if lost := list(_losses(port.outer)):
            yield _fault(host, port.outer, lost, port)


def _losses(link: Link) -> Iterator[_Loss]:
    for direction, words in _LOST.items():
        packets = _number(link, f"{direction}.packets")
        counts = {word: count for word in words if (count := _number(link, f"{direction}.{word}"))}
        lost = sum(counts.values())
        if lost > _MANY and lost * _PER_MILLE > packets + lost:
            yield _Loss(direction, counts, packets)


def _number(link: Link, name: str) -> int:
    text = link.details.get(name, "")
    return int(text) if text.isdecimal() else 0


def _grown(host: Host, link: Link) -> list[Grown]:
    """The counters that grew while the bundle was being collected."""
    counters = host.movement.counters if host.movement else ()
    names = {f"{direction}.{word}" for direction, words in _LOST.items() for word in words}
    return [each for each in counters if (each.scope, each.owner) == ("host", link.name) and each.counter in names]


def _fault(host: Host, link: Link, losses: list[_Loss], port: ContainerPort | None) -> Fault:
    told = "; ".join(
        f"{', '.join(f'{count} {word}' for word, count in loss.counts.items())} beside {loss.packets} packets "
        f"{'received' if loss.direction == 'rx' else 'sent'}"
        for loss in losses
    )
    whose = f", the veth of container `{port.container}`," if port else ", a way out of the host,"
    evidence = [Evidence(numbers_under(link.span, f"{loss.direction.upper()}:"), "what it counted") for loss in losses]
    evidence.append(related(link.span, link.name))
    grown = _grown(host, link)
    if grown:
        told += f"; {sum(each.after - each.before for each in grown)} more during the collection"
    if port:
        evidence.append(related(port.inner.span, f"its other end, in container {port.container}"))
    return Fault(
        message=f"`{link.name}`{whose} has lost packets: {told}",
        subjects=(Subject("interface", link.name), *((Subject("container", port.container),) if port else ())),
        evidence=tuple(evidence),
        remedy=(sh("ethtool -S {}", link.name), sh("ethtool {}", link.name)),
        verify=(sh("ip -s link show dev {}", link.name),),
        confidence=Confidence.HIGH if grown else Confidence.MEDIUM,
    )
