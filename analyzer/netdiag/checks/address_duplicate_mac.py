"""Same MAC address twice on one network.

## What it finds
Two interfaces on one bridge, or on one parent of macvlan networks, that have the same MAC address; or two running
containers of a network that the engine gave the same one.

## Why it matters
The bridge believes the last frame that it saw: packets for one go to the other, by turns.

## How it is decided
Gates: containers that run in namespaces of their own that were collected. What the interfaces really have counts;
where that is not known, what the engine recorded.

## Not a problem when
The two are on different bridges or parents, where nobody sees both.

## Repair
Give back the recorded MAC address to the one that has another. When both were asked for (`--mac-address`,
`mac_address:` in a compose file), create one of them anew without it; until then stop it.

## Verify
No MAC address stands twice in the list.

## References
moby/moby#47211 and moby/moby#48082 (25.0.0 to 25.0.3 kept MAC addresses in the configuration);
docker/for-linux#589.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._addresses import Seat, inside, seats
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, restart, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import bridge_name
from netdiag.spans import Span

#: The kinds of networks whose containers each have a MAC address of their own on a segment of this host.
_DRIVERS = {"bridge", "macvlan", None}


@dataclass(frozen=True)
class _Holder:
    """Somebody with a MAC address on a segment. `seat` is None for a bridge itself and for what is no container of the
    engine.
    """

    name: str
    mac: str
    span: Span
    seat: Seat | None = None


@check(Severity.ERROR, layer="address")
def address_duplicate_mac(host: Host) -> Verdicts:
    found, others = seats(host)
    yield from others
    for (segment, mac), holders in _holders(host, found).items():
        if len({holder.name for holder in holders}) > 1:
            yield _fault(host, segment, mac, holders)


def _holders(host: Host, found: list[Seat]) -> dict[tuple[str, str], list[_Holder]]:
    """Who has which MAC address on which segment: a bridge, or the parent of macvlan networks."""
    by_mac: dict[tuple[str, str], list[_Holder]] = defaultdict(list)
    for segment, holder in (*_bridges(host), *_containers(host, found)):
        by_mac[segment, holder.mac].append(holder)
    return dict(sorted(by_mac.items()))


def _bridges(host: Host) -> Iterator[tuple[str, _Holder]]:
    for link in host.root.links:
        if link.kind == "bridge" and link.mac:
            yield link.name, _Holder(link.name, link.mac, link.span)


def _containers(host: Host, found: list[Seat]) -> Iterator[tuple[str, _Holder]]:
    for seat in found:
        network = host.network(seat.endpoint.network_id)
        if network is None or network.driver not in _DRIVERS:
            continue
        parent = (network.options or {}).get("parent")
        segment = parent or (network.name if network.driver == "macvlan" else bridge_name(host, network))
        mac, span = _mac(seat)
        if mac:
            yield segment, _Holder(seat.container.name, mac, span, seat)


def _mac(seat: Seat) -> tuple[str | None, Span]:
    """What the interface has, else what was recorded."""
    if seat.link and seat.link.mac:
        return seat.link.mac, seat.link.span
    return seat.endpoint.mac, seat.endpoint.place.at("MacAddress").span


def _fault(host: Host, segment: str, mac: str, holders: list[_Holder]) -> Fault:
    names = [holder.name for holder in holders]
    recorded = [
        related(seat.endpoint.place.at("MacAddress").span, f"recorded for {seat.container.name}: {seat.endpoint.mac}")
        for seat in (holder.seat for holder in holders)
        if seat
    ]
    seen = [related(e.span, f"{segment} believes it behind {e.device}") for e in host.root.fdb if e.mac == mac]
    return Fault(
        message=f"MAC address {mac} on `{segment}` is that of {' and of '.join(f'`{name}`' for name in names)}",
        subjects=tuple(Subject("container" if h.seat else "bridge", h.name) for h in holders),
        evidence=(*(Evidence(h.span, f"{h.name} has {mac}") for h in holders), *recorded, *seen),
        remedy=_remedy(host, holders),
        verify=(sh("bridge fdb show | grep -w {}", mac),),
    )


def _remedy(host: Host, holders: list[_Holder]) -> tuple[str, ...]:
    of_containers = [(holder.seat, holder.seat.link) for holder in holders if holder.seat]
    changed = [
        _set_back(seat, link, seat.endpoint.mac)
        for seat, link in of_containers
        if link and seat.endpoint.mac and seat.endpoint.mac != link.mac
    ]
    if changed:
        return tuple(changed)
    if len(of_containers) == len(holders):
        return tuple(sh("{} stop {}", seat.container.engine, seat.container.name) for seat, _ in of_containers[1:])
    return restart(host)


def _set_back(seat: Seat, link: Link, recorded: str) -> str:
    return inside(seat.container, sh("ip link set dev {} address {}", link.name, recorded))
