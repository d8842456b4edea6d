"""Same address on two containers (or container and host).

## What it finds
An IPv4 or IPv6 address that two namespaces on one bridge have, or that the engine gave to two endpoints of one network.

## Why it matters
Whoever answers an ARP request last gets the packets: connections work every second time, or reach the wrong container.

## How it is decided
Gates: the network is a local bridge; the namespaces of its running containers were collected. An address counts for the
bridge that the interface's veth is a port of. Besides, a machine that is not in the bundle shows in the host's
neighbour table: an entry for a container's address that was confirmed lately (REACHABLE) and has another MAC address
than the container's, one that the bridge has learned behind another port; on the parent of a macvlan network, where no
container ever answers its own host, any entry with a MAC address.

## Not a problem when
The two are on different networks; swarm gives a service's virtual address to each of its tasks (on the loopback
interface); the kernel refused the second one (`dadfailed`), which is `ipv6-dad-failed`; or the host still remembers the
MAC address of a removed container that had the address before: the bridge forgets it with its port.

## Repair
Take the address away from the one that the engine did not give it to; when that is a machine of the LAN, connect the
container anew, and keep the engine off the LAN's addresses (`--ip-range`, `--aux-address`).

## Verify
Only one namespace has the address.

## References
moby/moby#27404; moby/moby#29610; moby/moby#47211.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from netdiag.checks._addresses import inside
from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import Attachment, attachments, bridge_networks, related, sh
from netdiag.checks._lans import lan_networks
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Address, Container, Endpoint, FdbEntry, IpAddress, IpInterface, Neighbour
from netdiag.model import Extent, Host, VethPair
from netdiag.model.gates import collected, unknown
from netdiag.spans import Span

_NOT_USED = {"tentative", "dadfailed"}


@dataclass(frozen=True)
class _Holder:
    """Somebody who has an address on a bridge. `container_id` is empty for the host itself."""

    name: str
    container_id: str
    device: str
    address: IpInterface
    mac: str | None
    span: Span


@dataclass(frozen=True)
class _Stranger:
    """Somebody who answers for a container's address, and the port of the bridge behind which that MAC address is."""

    container: Container
    endpoint: Endpoint
    entry: Neighbour
    place: FdbEntry | None = None


@check(Severity.ERROR, layer="address", symptom_of=("address-container-ip-mismatch",))
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
        for place, holders in _holders(host).items()
        if len({holder.container_id for holder in holders}) > 1
    }
    for (bridge, address), holders in shared.items():
        yield _fault(host, bridge, address, holders)
    yield from _given_twice(attached, shared.keys())
    for stranger in _strangers_on_bridges(host, attached):
        if isinstance(stranger, Unjudged):
            yield stranger
        elif (stranger.entry.device, stranger.entry.address) not in shared:
            yield _of_stranger(stranger)
    for stranger in _strangers_on_lans(host):
        yield _of_stranger(stranger)


def _given_twice(attached: list[Attachment], known: Collection[tuple[str, IpAddress]]) -> Verdicts:
    """What the engine's own record has twice."""
    given = defaultdict(list)
    for each in attached:
        for interface in (each.endpoint.address, each.endpoint.address6):
            if interface:
                given[each.bridge.device, interface.ip].append(each)
    for (device, ip), owners in given.items():
        if len(owners) > 1 and (device, ip) not in known:
            names = [owner.container.name for owner in owners]
            key = "IPAddress" if ip.version == 4 else "GlobalIPv6Address"
            yield Fault(
                message=f"the engine gave {ip} on network `{owners[0].endpoint.network}` to {' and '.join(names)}",
                subjects=(Subject("address", str(ip)), *(Subject("container", name) for name in names)),
                evidence=tuple(Evidence(o.endpoint.place.at(key).span, f"of {o.container.name}") for o in owners),
                remedy=(sh("{} restart {}", owners[-1].container.engine, names[-1]),),
                verify=(sh("{} network inspect {}", owners[0].container.engine, owners[0].endpoint.network),),
            )


def _holders(host: Host) -> dict[tuple[str, IpAddress], list[_Holder]]:
    """Who has which address on which bridge, as the namespaces themselves tell."""
    found: dict[tuple[str, IpAddress], list[_Holder]] = defaultdict(list)
    for link in host.root.links:
        for address in filter(_counts, link.addresses):
            holder = _Holder("the host", "", link.name, address.address, link.mac, address.span)
            found[link.name, address.address.ip].append(holder)
    namespaces = {netns.id: netns for netns in host.namespaces}
    for pair in host.veth_pairs:
        netns = namespaces[pair.namespace]
        container = host.container(netns.containers[0]) if netns.containers else None
        name, identity = (container.name, container.id) if container else (netns.name, netns.id)
        for address in filter(_counts, pair.inner.addresses):
            if pair.outer.master:
                holder = _Holder(name, identity, pair.inner.name, address.address, pair.inner.mac, address.span)
                found[pair.outer.master, address.address.ip].append(holder)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][1].version, int(item[0][1]))))


def _counts(address: Address) -> bool:
    """The kernel does not use an IPv6 address before it has asked for other owners, nor when there is one."""
    return not address.address.ip.is_link_local and not _NOT_USED & set(address.flags)


def _fault(host: Host, bridge: str, address: IpAddress, holders: list[_Holder]) -> Fault:
    intruders = [holder for holder in holders if not _was_given(host, holder, address)] or holders[1:]
    names = [holder.name for holder in holders]
    evidence = [Evidence(holder.span, f"{holder.name} has {address}") for holder in holders]
    evidence += [
        related(entry.span, f"the host's neighbour table takes it for {entry.mac}")
        for entry in host.root.neighbours_at(address)
        if entry.device == bridge and entry.mac
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


def _was_given(host: Host, holder: _Holder, address: IpAddress) -> bool:
    """Whether the engine's record has the address for this holder: an endpoint's, or the gateway for the host."""
    if not holder.container_id:
        return any(host.gateway_of(network, s) == address for network in host.networks for s in network.subnets)
    owner = host.container(holder.container_id)
    given = ((e.address, e.address6) for e in owner.endpoints) if owner else ()
    return any(interface and interface.ip == address for pair in given for interface in pair)


def _removal(host: Host, intruder: _Holder) -> str:
    command = sh("ip addr del {} dev {}", intruder.address, intruder.device)
    container = host.container(intruder.container_id)
    return inside(container, command) if container else command


def _strangers_on_bridges(host: Host, attached: list[Attachment]) -> Iterator[_Stranger | Unjudged]:
    """Entries of the host's neighbour table for a container's address that are not the container's."""
    for each in attached:
        netns = host.namespace_of(each.container)
        link = netns.link_of(each.endpoint) if netns else None
        address = each.endpoint.address
        if not (netns and link and address):
            continue
        own = host.veth_pair_of(netns, link)
        for entry in host.root.neighbours_at(address.ip):
            confirmed = entry.device == each.bridge.device and entry.state == "REACHABLE"
            if not confirmed or entry.mac in (None, link.mac, each.endpoint.mac):
                continue
            if host.root.fdb.extent is Extent.NONE:
                what = f"whether {entry.mac} is still on `{entry.device}`"
                yield unjudged(unknown(what, "bridge_fdb", because=host.root.fdb.why))
            elif place := _behind_another_port(host, entry, own):
                yield _Stranger(each.container, each.endpoint, entry, place)


def _behind_another_port(host: Host, entry: Neighbour, own: VethPair | None) -> FdbEntry | None:
    """Where the entry's bridge has learned its MAC address, but for the container's own port."""
    learned = (place for place in host.root.learned(entry.mac or "") if place.bridge == entry.device)
    return next((place for place in learned if own is None or place.device != own.outer.name), None)


def _strangers_on_lans(host: Host) -> Iterator[_Stranger]:
    for lan in lan_networks(host)[0]:
        for container, endpoint in lan.running if not lan.shares_mac else ():
            entries = host.root.neighbours_at(endpoint.address.ip) if endpoint.address else ()
            # `ip neigh` and `arp -n` tell the same
            others = (e for e in entries if e.device == lan.parent and e.mac not in (None, endpoint.mac))
            found = next((each for each in others if each.state != "PERMANENT" and "M" not in each.flags), None)
            if found:
                yield _Stranger(container, endpoint, found)


def _of_stranger(stranger: _Stranger) -> Fault:
    container, endpoint, entry, place = stranger.container, stranger.endpoint, stranger.entry, stranger.place
    words = container.engine, endpoint.network, container.name
    learned = (related(place.span, f"`{entry.device}` has learned it behind `{place.device}`"),) if place else ()
    return Fault(
        message=(
            f"{entry.address} of container `{container.name}` on network `{endpoint.network}` is also "
            f"that of {entry.mac}, which answers on `{entry.device}`"
        ),
        subjects=(Subject("address", str(entry.address)), Subject("container", container.name)),
        evidence=(
            Evidence(entry.span, f"{entry.mac} answers for it"),
            *learned,
            related(endpoint.place.at("IPAddress").span, f"the engine gave it to {container.name}"),
            related(endpoint.place.at("MacAddress").span, f"whose MAC address is {endpoint.mac}"),
        ),
        remedy=(sh("{} network disconnect {} {}", *words), sh("{} network connect {} {}", *words)),
        verify=(f"ip neigh flush to {entry.address}", f"ping -c1 {entry.address}", f"ip neigh show to {entry.address}"),
        confidence=Confidence.MEDIUM,
    )
