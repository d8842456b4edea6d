"""Permanent neighbour entry with a wrong MAC address.

## What it finds
A permanent entry of a neighbour table, of the host for a container's address or of a container for its gateway or
another container, that has another MAC address than the one that really has the address.

## Why it matters
The kernel never asks again who has the address: frames go to a MAC address that nobody has, and one container is dead
from one place only.

## How it is decided
Gates: the network is a local bridge, the neighbour tables were collected. The true MAC address is that of the
interface in the container's namespace or of the bridge; where that was not collected, the one of the engine's record.

## Not a problem when
The entry stands in a sandbox of an overlay network, where the engine writes such entries for peers on other hosts.

## Repair
Delete the entry; the kernel then asks for the address. Scripts that set it (hardening, pipework) must not assume MAC
addresses that begin with 02:42: from Docker 28 on they are random.

## Verify
The neighbour table has the MAC address of the owner.

## References
man ip-neighbour(8); moby v28.0.0 drivers/bridge (GenerateRandomMAC).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from netdiag.checks._addresses import inside, seats
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, attachments, bridge_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, IpAddress, Neighbour
from netdiag.model import Host, Namespace
from netdiag.model.gates import collected
from netdiag.spans import Span

#: The word of `ip neigh`, and the letter of `arp -n`.
_PERMANENT = {"PERMANENT", "M"}


@dataclass(frozen=True)
class _Owner:
    """Who has an address on a bridge, with the MAC address that is true for it."""

    name: str
    kind: str
    mac: str
    span: Span


@check(Severity.ERROR, layer="route")
def route_permanent_neigh_wrong(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.neighbours, "the neighbour table of the host"))
    yield from others
    owners, devices = _owners(host, bridges), {bridge.network.id: bridge.device for bridge in bridges}
    for entry in _permanent(host.root):
        owner = owners.get((entry.device, entry.address))
        if owner and entry.mac != owner.mac:
            yield _fault(entry, owner, None)
    for seat in seats(host)[0]:
        device = devices.get(seat.endpoint.network_id)
        for entry in _permanent(seat.netns) if device and seat.link else ():
            owner = owners.get((device or "", entry.address))
            if owner and seat.link and entry.device == seat.link.name and entry.mac != owner.mac:
                yield _fault(entry, owner, seat.container)


def _permanent(netns: Namespace) -> Iterable[Neighbour]:
    """The permanent entries, each once: `ip neigh` and `arp -n` tell the same."""
    found: dict[tuple[str, IpAddress], Neighbour] = {}
    for entry in netns.neighbours:
        if entry.mac and ({entry.state} | set(entry.flags)) & _PERMANENT:
            found.setdefault((entry.device, entry.address), entry)
    return found.values()


def _owners(host: Host, bridges: list[BridgeNetwork]) -> dict[tuple[str, IpAddress], _Owner]:
    """Who has which address on which bridge."""
    found: dict[tuple[str, IpAddress], _Owner] = {}
    for bridge in bridges:
        link = host.root.link(bridge.device)
        if link and link.mac:
            for address in link.addresses:
                found[link.name, address.address.ip] = _Owner(link.name, "bridge", link.mac, link.span)
    for attachment in attachments(host, bridges):
        endpoint, netns = attachment.endpoint, host.namespace_of(attachment.container)
        link = netns.link_of(endpoint) if netns else None
        mac, span = (link.mac, link.span) if link else (endpoint.mac, endpoint.place.at("MacAddress").span)
        for given in (endpoint.address, endpoint.address6):
            if given and mac:
                found[attachment.bridge.device, given.ip] = _Owner(attachment.container.name, "container", mac, span)
    return found


def _fault(entry: Neighbour, owner: _Owner, container: Container | None) -> Fault:
    where = f"container `{container.name}`" if container else "the host"
    command = sh("ip neigh del {} dev {}", entry.address, entry.device)
    shown = sh("ip neigh show to {}", entry.address)
    return Fault(
        message=(
            f"a permanent entry of {where} takes {entry.address} of `{owner.name}` for {entry.mac}, not {owner.mac}"
        ),
        subjects=(
            Subject(owner.kind, owner.name),
            Subject("address", str(entry.address)),
            *((Subject("container", container.name),) if container else ()),
        ),
        evidence=(
            Evidence(entry.span, f"nobody has {entry.mac} for this address"),
            related(owner.span, f"{owner.name} has {owner.mac}"),
        ),
        remedy=(inside(container, command) if container else command,),
        verify=(f"ping -c1 {entry.address}", inside(container, shown) if container else shown),
    )
