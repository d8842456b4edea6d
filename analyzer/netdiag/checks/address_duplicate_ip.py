"""Same IPv4 on two containers (or container and host).

## What it finds
An IPv4 address that two namespaces on one bridge have, or that the engine gave to two endpoints of one network.

## Why it matters
Whoever answers an ARP request last gets the packets: connections work every second time, or reach the wrong container.

## How it is decided
Gates: the network is a local bridge; the namespaces of its running containers were collected. An address counts for the
bridge that the interface's veth is a port of. The neighbour table of the host is shown where it gives the address
another MAC address than its owner's.

## Not a problem when
The two are on different networks; or swarm gives a service's virtual address to each of its tasks (on the loopback
interface).

## Repair
Take the address away from the one that the engine did not give it to.

## Verify
Only one namespace has the address.

## References
moby/moby#27404; moby/moby#29610; moby/moby#47211.
"""

from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import attachments, bridge_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import collected, unknown
from netdiag.spans import Span


@dataclass(frozen=True)
class _Holder:
    """Somebody who has an address on a bridge. `container_id` is empty for the host itself."""

    name: str
    container_id: str
    device: str
    address: IPv4Interface
    mac: str | None
    span: Span


@check(Severity.ERROR, layer="address")
def address_duplicate_ip(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    attached = list(attachments(host, bridges))
    if not attached and not others:
        yield NotApplicable("no running container is on a bridge network")
    not_seen = dict.fromkeys(each.container.name for each in attached if host.namespace_of(each.container) is None)
    if not_seen:
        yield unjudged(unknown(f"the real addresses of {', '.join(not_seen)}", "ip_addr", because="not collected"))
    shared = {
        place: holders
        for place, holders in sorted(_holders(host).items())
        if len({holder.container_id for holder in holders}) > 1
    }
    for (bridge, address), holders in shared.items():
        yield _fault(host, bridge, address, holders)
    given = defaultdict(list)
    for each in attached:
        if each.endpoint.address:
            given[each.bridge.device, each.endpoint.address.ip].append(each)
    for (device, ip), owners in given.items():
        if len(owners) > 1 and (device, ip) not in shared:
            names = [owner.container.name for owner in owners]
            yield Fault(
                message=f"the engine gave {ip} on network `{owners[0].endpoint.network}` to {' and '.join(names)}",
                subjects=(Subject("address", str(ip)), *(Subject("container", name) for name in names)),
                evidence=tuple(
                    Evidence(o.endpoint.place.at("IPAddress").span, f"of {o.container.name}") for o in owners
                ),
                remedy=(sh("{} restart {}", owners[-1].container.engine, names[-1]),),
                verify=(sh("{} network inspect {}", owners[0].container.engine, owners[0].endpoint.network),),
            )


def _holders(host: Host) -> dict[tuple[str, IPv4Address], list[_Holder]]:
    """Who has which address on which bridge, as the namespaces themselves tell."""
    found: dict[tuple[str, IPv4Address], list[_Holder]] = defaultdict(list)
    for link in host.root.links:
        for address in link.addresses:
            if isinstance(address.address, IPv4Interface):
                holder = _Holder("the host", "", link.name, address.address, link.mac, address.span)
                found[link.name, address.address.ip].append(holder)
    namespaces = {netns.id: netns for netns in host.namespaces}
    for pair in host.veth_pairs:
        netns = namespaces[pair.namespace]
        for address in pair.inner.addresses:
            if pair.outer.master and isinstance(address.address, IPv4Interface):
                identity = netns.containers[0] if netns.containers else netns.id
                holder = _Holder(netns.name, identity, pair.inner.name, address.address, pair.inner.mac, address.span)
                found[pair.outer.master, address.address.ip].append(holder)
    return found


def _fault(host: Host, bridge: str, address: IPv4Address, holders: list[_Holder]) -> Fault:
    intruders = [holder for holder in holders if not _was_given(host, holder, address)] or holders[1:]
    names = [holder.name for holder in holders]
    evidence = [Evidence(holder.span, f"{holder.name} has {address}") for holder in holders]
    evidence += [
        related(entry.span, "the host's neighbour table takes it for " + entry.mac)
        for entry in host.root.neighbours
        if entry.address == address and entry.device == bridge and entry.mac
    ]
    return Fault(
        message=f"{address} on bridge `{bridge}` is held by {' and '.join(f'`{name}`' for name in names)}",
        subjects=(Subject("address", str(address)), *_subjects(names)),
        evidence=tuple(evidence),
        remedy=tuple(_removal(host, intruder) for intruder in intruders),
        verify=(f"ip neigh flush to {address}", f"ping -c1 {address}", f"ip neigh show to {address}"),
    )


def _subjects(names: list[str]) -> tuple[Subject, ...]:
    return tuple(Subject("host", "host") if name == "the host" else Subject("container", name) for name in names)


def _was_given(host: Host, holder: _Holder, address: IPv4Address) -> bool:
    """Whether the engine's record has the address for this holder: an endpoint's, or the gateway for the host."""
    if not holder.container_id:
        return any(subnet.gateway == address for network in host.networks for subnet in network.subnets)
    owner = host.container(holder.container_id)
    return owner is not None and any(e.address and e.address.ip == address for e in owner.endpoints)


def _removal(host: Host, intruder: _Holder) -> str:
    command = sh("ip addr del {} dev {}", intruder.address, intruder.device)
    if not intruder.container_id:
        return command
    container = host.container(intruder.container_id)
    return f"nsenter -t {container.pid} -n {command}" if container and container.pid else command
