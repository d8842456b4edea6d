"""A route refuses packets to containers, or from them to everywhere.

## What it finds
A route of type blackhole, unreachable, prohibit or throw that is for a container's address or a part of a Docker
subnet; or such a default route that takes what containers send to the outside.

## Why it matters
Every packet to the address ends on the host: silently (blackhole), or with "network unreachable" or "permission
denied". Programs on the host get EINVAL for a blackhole, which looks like a fault of the program.

## How it is decided
Gates: the engine is here; the network is a local bridge whose device exists, is up and is meant to have an address; the
routes of the host were collected. The way is looked up as the kernel does it. It is an error when the route takes a
running container's address or what containers send to the internet, a warning when only an address that a container may
get.

## Not a problem when
The refusing route is wider than the subnet: it then ends only what has no route of its own (an aggregate of BIRD or
Calico). Routes that refuse single addresses of the internet (fail2ban) are not judged.

## Repair
Delete the route, and stop what makes it.

## Verify
`ip route get` answers with a device.

## References
man ip-route(8); kernel net/ipv4/route.c (ip_error).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, other_networks
from netdiag.checks._routes import (
    Intruder,
    containers_of,
    intruders,
    is_kernels,
    outside,
    refuses,
    route_asked,
    route_deleted,
    routed_networks,
    subject_of,
    words_of_route,
)
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Route
from netdiag.model import Host
from netdiag.model.gates import reaches_outside
from netdiag.model.policy import Packet


@check(Severity.ERROR, layer="route")
def route_blackhole(host: Host) -> Verdicts:
    bridges, others = routed_networks(host)
    yield from others
    yield from other_networks(host)
    for intruder in intruders(host, bridges):
        if refuses(intruder.route):
            yield _fault(intruder)
    outward = [bridge for bridge in bridges if reaches_outside(bridge.network).yes]
    route = _refuses_the_outside(host, outward)
    if route:
        yield _fault_of_default(host, route, outward)


def _fault(intruder: Intruder) -> Fault:
    network, route, hit = intruder.bridge.network, intruder.route, intruder.hit
    names = ", ".join(f"`{name}`" for name in containers_of(hit))
    whom = f"packets to {names}" if hit else "packets to addresses that containers may get"
    return Fault(
        message=f"route `{words_of_route(route)}` refuses {whom} on network `{network.name}`",
        subjects=(subject_of(route), *intruder.bridge.subjects),
        evidence=intruder.evidence,
        remedy=(route_deleted(route),),
        verify=(intruder.asked,),
        severity=intruder.severity,
        confidence=intruder.confidence,
        affects=intruder.affects,
    )


def _refuses_the_outside(host: Host, outward: list[BridgeNetwork]) -> Route | None:
    """The default route of the table main that refuses what containers send to the internet."""
    for bridge in outward[:1]:
        lookup = host.root.routing.route_of(Packet(outside(host.root), in_interface=bridge.device))
        if lookup.route and refuses(lookup.route) and is_kernels(lookup.rule):
            return lookup.route
    return None


def _fault_of_default(host: Host, route: Route, outward: list[BridgeNetwork]) -> Fault:
    return Fault(
        message=f"route `{words_of_route(route)}` refuses all that containers send to the outside",
        subjects=(subject_of(route), *(Subject("network", bridge.network.name) for bridge in outward)),
        evidence=(Evidence(route.span, f"the kernel takes this route to the internet ({outside(host.root)})"),),
        remedy=(route_deleted(route),),
        verify=(route_asked(outside(host.root)),),
    )
