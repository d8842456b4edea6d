"""Docker subnet has no route by its bridge.

## What it finds
A bridge network whose bridge is up and has the gateway's address, and no route of the host that leads there.

## Why it matters
The host and published ports do not reach the containers, and answers from outside do not come back to them: they leave
by the default route. Containers on the one bridge still reach each other.

## How it is decided
Gates: the engine is here; the network is a local bridge that is meant to have an address and whose device exists and is
up; the routes of the host were collected. The way to each running container is looked up as the kernel does it; for a
network without any, that to an address of its subnet, which is a warning then.

## Not a problem when
The bridge has no address on purpose (`inhibit_ipv4`, gateway mode `isolated`), or is in a VRF, whose table has the
route. The word `linkdown` behind the route of a bridge without running containers is right.

## Repair
Add the connected route. It goes with the address, so what removed it alone (`ip route flush`, a network manager) will
do so again.

## Verify
`ip route get` to a container answers with the bridge.

## References
kernel net/ipv4/fib_frontend.c (fib_add_ifaddr); man ip-address(8) (noprefixroute).
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, interface_of, other_networks, related, sh
from netdiag.checks._routes import Astray, Cause, astray, containers_of, route_asked, routed_networks, tool
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Link, Subnet
from netdiag.model import Host

_CAUSES = (
    "link-bridge-missing",
    "link-bridge-down",
    "address-bridge-ip-missing",
    "address-bridge-ip-mismatch",
    "link-container-iface-down",
    "link-container-iface-missing",
)


@check(Severity.ERROR, layer="route", symptom_of=_CAUSES)
def route_bridge_subnet_missing(host: Host) -> Verdicts:
    yield from routed_networks(host)[1]
    yield from other_networks(host)
    throwing = [route.destination for route in host.root.routes if route.type == "throw"]
    lost: dict[tuple[str, Subnet], list[Astray]] = defaultdict(list)
    for each in astray(host):
        if each.cause is Cause.NO_ROUTE and not any(each.address in destination for destination in throwing):
            lost[each.bridge.device, each.subnet].append(each)
    for found in lost.values():
        link = host.root.link(found[0].bridge.device)
        if link:
            yield _fault(host, found, link)


def _fault(host: Host, found: list[Astray], link: Link) -> Fault:
    bridge, network, subnet, lookup = found[0].bridge, found[0].bridge.network, found[0].subnet, found[0].lookup
    names = containers_of(found)
    to = f"to {', '.join(f'`{name}`' for name in names)} " if names else ""
    other = [Evidence(lookup.route.span, "the kernel takes this route instead")] if lookup.route else []
    there = Evidence(link.span, f"{bridge.device} is there and up, and no route leads to {subnet.subnet} by it")
    return Fault(
        message=(
            f"network `{network.name}` ({subnet.subnet}) has no route by `{link.name}`: packets {to}{_way(found[0])}"
        ),
        subjects=(*bridge.subjects, *(Subject("container", name) for name in names)),
        evidence=(there, *other, related(subnet.span, f"network {network.name} has {subnet.subnet}")),
        remedy=(_addition(host, bridge, subnet),),
        verify=(route_asked(found[0].address),),
        severity=None if names else Severity.WARNING,
        follows=(*bridge.subjects, *_cut_off(host, found)),
        confidence=Confidence.HIGH if lookup.certain else Confidence.MEDIUM,
    )


def _cut_off(host: Host, found: list[Astray]) -> Iterator[Subject]:
    """The interfaces without which the bridge has no carrier: those of all its containers, when none is up."""
    attached = [each.attachment for each in found if each.attachment]
    places = [(each, host.namespace_of(each.container)) for each in attached]
    links = [(each, netns.link_of(each.endpoint) if netns else None) for each, netns in places]
    if all(link is None or link.up is False for _, link in links):
        yield from (interface_of(each.container, each.endpoint) for each, _ in links)


def _way(each: Astray) -> str:
    gateway = f" via {each.lookup.gateway}" if each.lookup.gateway else ""
    return f"leave by `{each.lookup.device}`{gateway}" if each.lookup.device else "find no route"


def _addition(host: Host, bridge: BridgeNetwork, subnet: Subnet) -> str:
    """The route that the kernel makes of the bridge's address."""
    command = sh(f"{tool(subnet.subnet.version)} route add {{}} dev {{}} proto kernel", subnet.subnet, bridge.device)
    if subnet.subnet.version == 6:
        return f"{command} metric 256"
    gateway = host.gateway_of(bridge.network, subnet)
    return f"{command} scope link" + (sh(" src {}", gateway) if gateway else "")
