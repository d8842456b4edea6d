"""Container has an IPv6 address and no IPv6 default route.

## What it finds
A running container with an IPv6 address on a network that reaches the outside, and no route in it to the outside.

## Why it matters
Programs try IPv6 first and fail, or wait, before they take IPv4; clients from outside get no answer by IPv6.

## How it is decided
Gates: the container runs in a namespace of its own whose IPv6 routes were collected, and was there before the
collection began. One of its networks is a bridge network that is not internal or isolated, and the engine gave the
endpoint an IPv6 gateway. The way to an address of the internet is looked up in the container as the kernel does it.

## Not a problem when
The network is internal; or its gateway is by design nobody's (gateway mode `isolated`).

## Repair
Add the default route by the endpoint's gateway. What took it away (`ip link set down`, a sysctl in the container) may
do so again; a restart of the container brings it back as well.

## Verify
`ip route get` in the container answers.

## References
moby libnetwork/osl/route_linux.go (SetGatewayIPv6).
"""

from netdiag.checks._base import Verdicts, check
from netdiag.checks._gateways import CAUSES_OF_NO_WAY_OUT, no_way_out, ways_out
from netdiag.finding import Severity
from netdiag.model import Host
from netdiag.model.routing import Outcome

#: The kernel's own IPv6 table ends with a route that refuses everything.
_NO_WAY = {Outcome.NO_ROUTE, Outcome.UNREACHABLE}


@check(Severity.WARNING, layer="ipv6", symptom_of=(*CAUSES_OF_NO_WAY_OUT, "ipv6-disabled-host"))
def ipv6_container_no_default(host: Host) -> Verdicts:
    ways, others = ways_out(host, 6)
    yield from others
    for way in ways:
        route = way.lookup.route
        if way.lookup.outcome in _NO_WAY and (route is None or not route.destination.prefixlen):
            yield no_way_out(
                way, f"container `{way.container.name}` has an IPv6 address and no IPv6 route to the outside"
            )
