"""Container's default route leads to nobody's address.

## What it finds
A running container whose default route goes by an address of its network that is neither the gateway that the engine
chose, nor another container's, nor the host's.

## Why it matters
Nobody answers there: the container reaches its own network only, and clients of its published ports from other networks
get no answer.

## How it is decided
Gates: the container runs in a namespace of its own whose routes were collected, and was there before the collection
began; one of its networks is a bridge network that reaches the outside. The way to an address of the internet is looked
up in the container as the kernel does it, and must leave by the interface of an endpoint.

## Not a problem when
The container leaves by a VPN (another device), by another container that routes for it, or by the gateway of another of
its networks.

## Repair
Make the default route go by the endpoint's gateway. What changed it may do so again; a restart of the container brings
it back as well.

## Verify
`ip route get` in the container answers with a gateway of its networks.

## References
moby/moby#21741; moby/moby#30302; moby libnetwork/sandbox.go (gateway of a sandbox).
"""

from netdiag.checks._addresses import inside
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._gateways import Exit, WayOut, by_link, ways_out
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Route
from netdiag.model import Host
from netdiag.model.routing import Outcome


@check(Severity.ERROR, layer="route")
def route_container_default_wrong(host: Host) -> Verdicts:
    ways, others = ways_out(host)
    yield from others
    known = {address.address.ip for link in host.root.links for address in link.addresses}
    known |= {address for container in host.containers for address in host.addresses_of(container)}
    known |= {each.gateway for way in ways for each in way.exits}
    for way in ways:
        leaving = dict(by_link(way.exits)).get(way.lookup.device or "")
        route = way.lookup.route
        if way.lookup.outcome is not Outcome.UNICAST or leaving is None or route is None:
            continue
        if way.lookup.gateway not in known and host.containers.whole:
            yield _fault(way, leaving, route, way.lookup.gateway)


def _fault(way: WayOut, leaving: Exit, route: Route, gateway: IpAddress | None) -> Fault:
    name, endpoint = way.container.name, leaving.seat.endpoint
    goes = f"by {gateway}, which nobody has" if gateway else f"on `{way.lookup.device}` itself, without a gateway"
    seen = [
        related(entry.span, f"nobody answered for {gateway}")
        for entry in (way.netns.neighbours_at(gateway) if gateway else ())
        if entry.mac is None
    ][:1]
    return Fault(
        message=f"the default route of container `{name}` goes {goes}; its gateway is {leaving.gateway}",
        subjects=(way.subject, Subject("network", endpoint.network)),
        evidence=(
            Evidence(route.span, "this is the way to the outside"),
            *seen,
            related(endpoint.place.at("Gateway").span, f"on {endpoint.network} the way out is {leaving.gateway}"),
        ),
        remedy=(
            inside(way.container, sh("ip route replace default via {} dev {}", leaving.gateway, way.lookup.device)),
        ),
        verify=(way.asked(),),
        confidence=Confidence.HIGH if way.lookup.certain else Confidence.MEDIUM,
    )
