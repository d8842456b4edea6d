"""A route takes packets away from a Docker network.

## What it finds
A route of the host into a subnet of a bridge network that leads elsewhere: one for a part of the subnet, or one for all
of it that the kernel prefers to the bridge's own.

## Why it matters
Packets to the containers in that range leave by the other link: neither the host nor published ports reach them, and
answers from outside never come back to them.

## How it is decided
Gates: the engine is here; the network is a local bridge whose device exists, is up and is meant to have an address; the
routes of the host were collected. The way to each running container is looked up as the kernel does it, with policy
rules, prefixes and metrics. It is an error when the route takes a running container's address, a warning when only one
that a container may get. Routes that the kernel made for another link's address are `address-subnet-overlap-host` or
`link-dual-connected-route`, those that refuse are `route-blackhole`.

## Not a problem when
The range is outside of the network's `--ip-range`; or the route leads to the bridge itself.

## Repair
Delete the route, and have its maker (a VPN's profile, a file of static routes) leave it out; or give the network
another subnet.

## Verify
`ip route get` to the container answers with the bridge.

## References
docker/for-win#5319; docksal/docksal#696; moby/libnetwork#2001.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import other_networks
from netdiag.checks._routes import (
    Intruder,
    containers_of,
    intruders,
    refuses,
    route_deleted,
    routed_networks,
    subject_of,
    words_of_route,
)
from netdiag.finding import Severity, Subject
from netdiag.model import Host


@check(Severity.ERROR, layer="route")
def route_shadowed(host: Host) -> Verdicts:
    bridges, others = routed_networks(host)
    yield from others
    yield from other_networks(host)
    for intruder in intruders(host, bridges):
        if intruder.route.protocol != "kernel" and not refuses(intruder.route):
            yield _fault(intruder)


def _fault(intruder: Intruder) -> Fault:
    network, subnet, route, hit = intruder.bridge.network, intruder.subnet, intruder.route, intruder.hit
    names = containers_of(hit)
    takes = f", and {', '.join(f'`{name}`' for name in names)} with it" if names else ", where no container is yet"
    return Fault(
        message=(
            f"route `{words_of_route(route)}` takes a part of network `{network.name}` ({subnet.subnet}) away "
            f"from `{intruder.bridge.device}`{takes}"
        ),
        subjects=(subject_of(route), *intruder.bridge.subjects),
        evidence=intruder.evidence,
        remedy=(route_deleted(route),),
        verify=(intruder.asked,),
        severity=intruder.severity,
        confidence=intruder.confidence,
        affects=(*intruder.affects, *(Subject("address", str(each.address)) for each in hit)),
    )
