"""Host has no default route.

## What it finds
A host with bridge networks that reach the outside, and without any way to the internet.

## Why it matters
Containers and the host reach the networks that the host is on and nothing else: no downloads, often no names.

## How it is decided
Gates: the engine is here, and one of its bridge networks is meant to reach the outside; the routes of the host were
collected, all tables and the policy rules. The way to an address of the internet is looked up as the kernel does it. It
is an error when a name server of the host is behind no route either, or the uplink has its address from DHCP, which
gives a default route with it; else it is a note, because a host may be kept off the internet on purpose.

## Not a problem when
The host is meant to reach certain networks only, each by a route of its own.

## Repair
Add the route by the router, or have the network's configuration (netplan, networkd, NetworkManager, ifupdown) do it
again. The router is taken from the neighbour table when only one machine on the uplink's network is known.

## Verify
`ip route get` answers with the router.

## References
man ip-route(8); man systemd.network(5).
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, outward_networks, related, sh
from netdiag.checks._routes import is_kernels, lone_machine, outside, route_asked, routed_networks
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Address, Link, NameServer, Neighbour
from netdiag.model import Host
from netdiag.model.gates import bridge_name, unknown
from netdiag.model.policy import Packet
from netdiag.model.routing import Outcome


@check(Severity.ERROR, layer="route")
def route_host_default_missing(host: Host) -> Verdicts:
    outward, others = outward_networks(routed_networks(host))
    yield from others
    if not outward:
        return
    lookup = host.root.routing.look_up(Packet(outside(host.root)))
    if lookup.outcome is not Outcome.NO_ROUTE or not is_kernels(lookup.rule):
        return
    if not lookup.certain and any(not is_kernels(rule) for rule in host.root.rules):
        yield unjudged(unknown("whether another table has a default route", "ip_route", because=lookup.doubt))
        return
    yield _fault(host, outward)


def _fault(host: Host, outward: list[BridgeNetwork]) -> Fault:
    lost = [server for server in host.root.name_servers if _is_out_of_reach(host, server)]
    uplinks = list(_uplinks(host, outward))
    leased = [(link, address) for link, address in uplinks if "dynamic" in address.flags]
    evidence = [Evidence(server.span, "this name server cannot be reached") for server in lost]
    evidence += [Evidence(address.span, f"{link.name} has its address from DHCP") for link, address in leased]
    route = next((route for route in host.root.routes if route.table in (None, "main")), None)
    shown = route.span if route else outward[0].network.span
    label = "the routes of the host: none is a default route" if route else "this network shall reach the outside"
    evidence.append(related(shown, label) if evidence else Evidence(shown, label))
    names = f"; name server {lost[0].address} is out of reach" if lost else ""
    routers = [router for link, _ in uplinks if (router := lone_machine(host, link))]
    return Fault(
        message=f"the host has no default route{names}",
        subjects=(Subject("host", "host"), *(Subject("interface", link.name) for link, _ in uplinks[:1])),
        evidence=tuple(evidence),
        remedy=_remedy(routers, leased),
        verify=(route_asked(outside(host.root)), "ip route show default"),
        severity=None if lost or leased else Severity.NOTE,
        confidence=Confidence.HIGH if host.root.rules.whole else Confidence.MEDIUM,
    )


def _is_out_of_reach(host: Host, server: NameServer) -> bool:
    if server.address.version == 6 or server.address.is_loopback or server.device:
        return False
    return host.root.routing.look_up(Packet(server.address)).outcome is Outcome.NO_ROUTE


def _uplinks(host: Host, outward: list[BridgeNetwork]) -> Iterator[tuple[Link, Address]]:
    """The links that are neither bridges of the engine nor ports of a bridge, with their IPv4 addresses."""
    bridges = {bridge_name(host, network) for network in host.networks} | {bridge.device for bridge in outward}
    for link in host.root.links:
        for address in link.addresses:
            inner = link.name in bridges or link.master or link.kind == "bridge" or address.address.ip.is_loopback
            if address.address.version == 4 and address.scope in (None, "global") and not inner:
                yield link, address


def _remedy(routers: list[Neighbour], leased: list[tuple[Link, Address]]) -> tuple[str, ...]:
    if len(routers) == 1:
        return (sh("ip route add default via {} dev {}", routers[0].address, routers[0].device),)
    return tuple(sh("dhclient -v {}", link.name) for link, _ in leased[:1])
