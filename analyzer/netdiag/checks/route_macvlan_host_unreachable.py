"""Host cannot reach its own macvlan or ipvlan containers, by design.

## What it finds
Running containers on a macvlan or ipvlan network to which the host's own packets leave by the network's parent.

## Why it matters
The driver never hands a frame from the parent to a container, or back: the LAN reaches the container, its own host does
not. Monitoring, proxies and name servers on the host are surprised by that.

## How it is decided
Gates: the engine is here, links and routes of the host were collected. The way to each container's address is looked up
as the kernel does it: it is out of reach when the packet leaves by the parent itself without a gateway.

## Not a problem when
Nothing on the host has to talk to the container; the host has an interface of its own on the parent (a shim) with a
route to the container; ipvlan in mode l3 has routes of its own.

## Repair
Give the host a macvlan interface on the same parent, and a route to the containers by it; ifupdown or networkd must
make it again at each start.

## Verify
`ip route get` answers with the shim, and the container answers.

## References
docs.docker.com/engine/network/drivers/macvlan; kernel drivers/net/macvlan.c.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._lans import LanNetwork, lan_networks
from netdiag.checks._routes import route_asked
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Endpoint, IpAddress
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup, Outcome

_SHIM = "macvlan-shim"
_MOST_SHOWN = 5


@dataclass(frozen=True)
class _Cut:
    """A container that the host does not reach."""

    lan: LanNetwork
    container: Container
    endpoint: Endpoint
    address: IpAddress
    lookup: Lookup


@check(Severity.NOTE, layer="route")
def route_macvlan_host_unreachable(host: Host) -> Verdicts:
    lans, others = lan_networks(host)
    yield from others
    routes = collected(host.root.routes, "the routes of the host")
    if lans and routes.unknown:
        yield unjudged(routes)
        return
    cut = [each for lan in lans if not lan.mode.startswith("l3") for each in _cut_off(host, lan)]
    if cut:
        yield _fault(host, cut)


def _cut_off(host: Host, lan: LanNetwork) -> Iterator[_Cut]:
    for container, endpoint in lan.running:
        if endpoint.address:
            lookup = host.root.routing.look_up(Packet(endpoint.address.ip))
            if lookup.outcome is Outcome.UNICAST and lookup.device == lan.parent and lookup.gateway is None:
                yield _Cut(lan, container, endpoint, endpoint.address.ip, lookup)


def _fault(host: Host, cut: list[_Cut]) -> Fault:
    names = [each.container.name for each in cut]
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    parents = list(dict.fromkeys(each.lan.parent for each in cut))
    routes = list({id(each.lookup.route): each.lookup.route for each in cut if each.lookup.route}.values())
    return Fault(
        message=(
            f"the host does not reach {', '.join(f'`{name}`' for name in names[:_MOST_SHOWN])}{more}, "
            f"whose networks share its link {', '.join(f'`{parent}`' for parent in parents)}"
        ),
        subjects=(
            *dict.fromkeys(each.lan.subject for each in cut),
            *(Subject("container", name) for name in dict.fromkeys(names)),
        ),
        evidence=(
            *(Evidence(route.span, "the host's packets take this way, by the parent") for route in routes),
            *(
                related(each.endpoint.place.at("IPAddress").span, f"{each.container.name} is behind {each.lan.parent}")
                for each in cut[:_MOST_SHOWN]
            ),
        ),
        remedy=_remedy(host, cut),
        verify=(route_asked(cut[0].address), sh("ping -c1 {}", cut[0].address)),
    )


def _remedy(host: Host, cut: list[_Cut]) -> tuple[str, ...]:
    """A shim for the first parent: unnumbered for macvlan, since the host's address on the parent serves as well."""
    lan = cut[0].lan
    if lan.network.driver != "macvlan" or host.root.link(_SHIM):
        return ()
    ranges = dict.fromkeys(
        str(subnet.range) if subnet.range else f"{each.address}/32"
        for each in cut
        if each.lan.parent == lan.parent
        for subnet in each.lan.network.subnets
        if each.address in subnet.subnet
    )
    return (
        sh("ip link add {} link {} type macvlan mode {}", _SHIM, lan.parent, lan.mode),
        sh("ip link set dev {} up", _SHIM),
        *(sh("ip route add {} dev {}", each, _SHIM) for each in ranges),
    )
