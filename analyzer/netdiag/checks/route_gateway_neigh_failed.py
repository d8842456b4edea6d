"""Gateway of the host does not answer for its address.

## What it finds
A neighbour entry without a MAC address (FAILED, or INCOMPLETE while it is being asked for) for the gateway of the
host's way to the internet.

## Why it matters
Without the MAC address nothing can be sent there: "no route to host", from the host and from all of its containers.

## How it is decided
Gates: the engine has bridge networks here; routes and neighbour table were collected. The way to an address of the
internet is looked up as the kernel does it, in IPv4 and, where there is one, in IPv6; its gateways must all be in the
neighbour table without a MAC address, on the very link. A gateway that nobody has asked for lately has no entry, and is
not judged.

## Not a problem when
Another gateway of the same route answers; or the entry is one for a machine that is no gateway, as a scan leaves them
behind.

## Repair
Repair the link layer: the cable, the port of the switch and its VLAN, the router; in a cloud or a virtual machine its
filter of MAC addresses. The entry is then cleared so that it is asked for anew. When the only machine that answers on
the link has the first or the last address of its network, that one is taken for the true router: the default route then
has a wrong gateway.

## Verify
The entry has a MAC address, and the gateway answers a ping.

## References
kernel net/core/neighbour.c (neigh_invalidate); man ip-neighbour(8).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._routes import lone_machine, outside, routed_networks
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Neighbour
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup, Outcome


@check(Severity.ERROR, layer="route")
def route_gateway_neigh_failed(host: Host) -> Verdicts:
    bridges, others = routed_networks(host, collected(host.root.neighbours, "the neighbour table of the host"))
    yield from others
    for version in (4, 6) if bridges else ():
        lookup = host.root.routing.look_up(Packet(outside(host.root, version)))
        silent = _silent(host, lookup)
        if silent:
            yield _fault(host, lookup, silent)


def _silent(host: Host, lookup: Lookup) -> list[Neighbour]:
    """The entries of the gateways of a way, when none of them answers."""
    if lookup.outcome is not Outcome.UNICAST:
        return []
    found = [_entry(host, hop.gateway, hop.device) for hop in lookup.hops]
    return [entry for entry in found if entry] if all(entry and entry.mac is None for entry in found) else []


def _entry(host: Host, gateway: IpAddress | None, device: str | None) -> Neighbour | None:
    entries = host.root.neighbours_at(gateway) if gateway else ()
    return next((entry for entry in entries if entry.device == device), None)


def _fault(host: Host, lookup: Lookup, silent: list[Neighbour]) -> Fault:
    router = _true_router(host, silent)
    links = [link for link in (host.root.link(entry.device) for entry in silent) if link]
    where = " and ".join(f"{entry.address} on `{entry.device}` ({entry.state or 'incomplete'})" for entry in silent)
    dark = [link.name for link in links if "NO-CARRIER" in (link.flags or ())]
    carrier = f"; `{', '.join(dark)}` has no carrier" if dark else ""
    return Fault(
        message=f"the gateway of the host does not answer: {where}{carrier}",
        subjects=tuple(
            subject
            for entry in silent
            for subject in (Subject("address", str(entry.address)), Subject("interface", entry.device))
        ),
        evidence=(
            *(Evidence(entry.span, "it has no MAC address") for entry in silent),
            *([related(lookup.route.span, "the way to the internet")] if lookup.route else []),
            *(related(link.span, "the link there") for link in links),
            *([related(router.span, "the only machine that answers there")] if router else []),
        ),
        remedy=(
            *([sh("ip route replace default via {} dev {}", router.address, router.device)] if router else []),
            *(sh("ip neigh flush to {} dev {}", entry.address, entry.device) for entry in silent),
        ),
        verify=tuple(
            command
            for entry in silent
            for command in (sh("ping -c1 {}", entry.address), sh("ip neigh show to {}", entry.address))
        ),
    )


def _true_router(host: Host, silent: list[Neighbour]) -> Neighbour | None:
    """The machine that answers on the link, when the gateway's address is likely to be wrong."""
    entry = silent[0]
    link = host.root.link(entry.device)
    router = lone_machine(host, link, {entry.address}) if link and len(silent) == 1 else None
    networks = [address.address.network for address in link.addresses] if link else []
    ends = {end for network in networks if network.num_addresses > 2 for end in (network[1], network[-2])}
    return router if router and router.address in ends else None
