"""Ingress/overlay subnet overlaps host/LAN subnets.

## What it finds
An overlay network with the addresses of a network that the host reaches by itself: of one of its own links, or by a
route.

## Why it matters
Containers on the overlay network look for these addresses inside of it: what they ask for in the LAN (a database in
10.0.0.x) is never answered, while the host reaches it. Clients from there do not reach published services.

## How it is decided
Gates: the engine is in a swarm; the routes of the host are known. Overlay networks are never in the host's routes, so
every route of the table main (but the default route) and every address of the host that overlaps one is somebody
else's. A route to a larger network behind a router, such as 10.0.0.0/8, is a note.

## Not a problem when
Nobody on the overlay network wants to reach these addresses. Conflicts between a bridge network and the LAN are another
check's.

## Repair
Make the overlay network anew with a subnet that nobody has; give the swarm another pool (`docker swarm init
--default-addr-pool`) so that new networks keep out of the way.

## Verify
A container on the network reaches the address in the LAN.

## References
moby/moby#24220; moby/moby#33626; docker/cli#3076; docs.docker.com/engine/swarm/networking (customize the ingress
network).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._overlay import made_anew, networks_in_use, subject
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpNetwork, Network
from netdiag.model import Host
from netdiag.model.gates import bridge_name, collected
from netdiag.spans import Span


@dataclass(frozen=True)
class _Overlap:
    network: Network
    subnet: IpNetwork
    taken: IpNetwork
    by: str
    span: Span
    larger: bool


@check(Severity.ERROR, layer="overlay")
def overlay_ingress_subnet_conflict(host: Host) -> Verdicts:
    swarm, networks, others = networks_in_use(host, also_ingress=True)
    yield from others
    if swarm is None:
        return
    known = collected(host.root.routes, "the routes of the host")
    if not known.yes:
        yield unjudged(known)
        return
    found = [overlap for network in networks for overlap in _overlaps(host, network)]
    for network in networks:
        own = [overlap for overlap in found if overlap.network is network and not overlap.larger]
        if own:
            yield _fault(host, network, own)
    larger = [overlap for overlap in found if overlap.larger]
    hit = {overlap.network.id for overlap in found if not overlap.larger}
    noted = [overlap for overlap in larger if overlap.network.id not in hit]
    if noted:
        yield _note(host, noted)


def _overlaps(host: Host, network: Network) -> Iterator[_Overlap]:
    of_engine = {bridge_name(host, each) for each in host.networks if each.driver == "bridge"}
    for subnet in network.subnets:
        for route in host.root.routes:
            devices = [hop.device for hop in route.next_hops if hop.device]
            elsewhere = route.type == "unicast" and route.table in (None, "main") and route.destination.prefixlen > 1
            if (
                not elsewhere
                or not devices
                or of_engine.issuperset(devices)
                or not route.destination.overlaps(subnet.subnet)
            ):
                continue
            behind = any(hop.gateway for hop in route.next_hops)
            larger = behind and route.destination.prefixlen < subnet.subnet.prefixlen
            yield _Overlap(network, subnet.subnet, route.destination, devices[0], route.span, larger)


def _fault(host: Host, network: Network, overlaps: list[_Overlap]) -> Fault:
    first = overlaps[0]
    return Fault(
        message=f"overlay network `{network.name}` has {first.subnet}, and the host has a route to {first.taken} by "
        f"`{first.by}`",
        subjects=(subject(network), Subject("route", str(first.taken))),
        evidence=(
            Evidence(first.span, "the host reaches these addresses by itself"),
            related(network.subnets[0].span, f"network {network.name} has them, too"),
            *(related(overlap.span, "so has this route") for overlap in overlaps[1:3]),
        ),
        remedy=made_anew(host, network, ""),
        verify=("ip route", f"docker network inspect {network.name}"),
    )


def _note(host: Host, overlaps: list[_Overlap]) -> Fault:
    first = overlaps[0]
    names = ", ".join(dict.fromkeys(f"`{overlap.network.name}`" for overlap in overlaps))
    return Fault(
        message=f"overlay network {names} has addresses inside of {first.taken}, which the host has a route to by "
        f"`{first.by}`",
        subjects=tuple(dict.fromkeys(subject(overlap.network) for overlap in overlaps)),
        evidence=(
            Evidence(first.span, "a route to a network with these addresses among others"),
            *(related(overlap.network.subnets[0].span, f"{overlap.network.name} has them") for overlap in overlaps[:3]),
        ),
        remedy=made_anew(host, first.network, ""),
        verify=("ip route",),
        severity=Severity.NOTE,
    )
