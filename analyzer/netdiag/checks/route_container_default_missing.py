"""Container has no default route.

## What it finds
A running container on a network that reaches the outside, and no route in it to the outside.

## Why it matters
Programs in the container get "network is unreachable". Clients of its published ports from other networks get no
answer, while the host itself, whose address is on the link, still reaches it.

## How it is decided
Gates: the container runs in a namespace of its own whose routes were collected, and was there before the collection
began. One of its networks is a bridge network that is not internal or isolated, and the engine gave the endpoint a
gateway. The way to an address of the internet is looked up in the container as the kernel does it.

## Not a problem when
The network is internal (up to Docker 24 such a container has a default route all the same), or its bridge has no
address (`inhibit_ipv4`); a VPN in the container has routes for both halves of the internet.

## Repair
Add the default route by the endpoint's gateway. What took it away (a VPN client, `ip link set down` in the container)
may do so again; a restart of the container brings it back as well.

## Verify
`ip route get` in the container answers.

## References
moby libnetwork/drivers/bridge (Join, SetGateway only if not internal since 25.0); moby/moby#47145.
"""

from netdiag.checks._base import Verdicts, check
from netdiag.checks._gateways import CAUSES_OF_NO_WAY_OUT, no_way_out, ways_out
from netdiag.finding import Severity
from netdiag.model import Host
from netdiag.model.routing import Outcome


@check(Severity.ERROR, layer="route", symptom_of=CAUSES_OF_NO_WAY_OUT)
def route_container_default_missing(host: Host) -> Verdicts:
    ways, others = ways_out(host)
    yield from others
    for way in ways:
        if way.lookup.outcome is Outcome.NO_ROUTE:
            networks = ", ".join(f"`{each.seat.endpoint.network}`" for each in way.exits)
            yield no_way_out(
                way, f"container `{way.container.name}` has no route to the outside, though its network {networks} has"
            )
