"""Stale UDP conntrack entry keeps an old (non-)NAT decision.

## What it finds
A tracked UDP flow that goes where the rules of today would not send it: to a published port without translation, to an
address that the container had before, or from a container to the outside without masquerading.

## Why it matters
Rules are asked for the first packet of a flow only. A client that never stops sending from the same port (syslog, VoIP,
WireGuard, a resolver) keeps its entry alive, and with it the decision of the time when the container was down: it is
cut off until it stops for 30 seconds, while every new client is served.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; the nat table and the tracked
UDP flows were collected. Three kinds of entries are stale: to a published port, answered by another address than its
container's; to such a port, untranslated and without an answer, while the engine's rule for it is there and no
docker-proxy listens; from a container, untranslated and without an answer, while the rules would translate it for
certain.

## Not a problem when
docker-proxy serves the flow, or the entry has no other packets to come: it goes by itself.

## Repair
Delete the entries; the next packet makes a new one.

## Verify
The client is served; its entry shows the container's address as the source of the answer.

## References
moby/moby#8795; moby/moby#53384; containernetworking/plugins#123; conntrack(8); moby libnetwork/drivers/bridge
(clearConntrackEntries).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.checks._ports import CarriedPort, carried_ports, proxies, translations_by_goal
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import ConntrackEntry, IpAddress
from netdiag.model import Host
from netdiag.model.flow import Fate, Flow
from netdiag.model.gates import collected, manages_iptables, table_known, translates_addresses, uplinks
from netdiag.model.hooks import translations

_UDP = "udp"

#: Entries from containers that are sent through the rules; a busy resolver has thousands that are right.
_MOST_JUDGED = 500
_MOST_DELETED = 5


@dataclass(frozen=True)
class _Stale:
    entry: ConntrackEntry
    message: str
    label: str
    subjects: tuple[Subject, ...]
    proof: Evidence


@check(Severity.ERROR, layer="conntrack")
def conntrack_stale_udp(host: Host) -> Verdicts:
    known = collected(host.root.connections, "the tracked UDP flows")
    bridges, others = docker_networks(host, known, table_known(host, "nat"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    found: dict[str, list[_Stale]] = defaultdict(list)
    for stale in (*_to_ports(host, bridges), *islice(_from_containers(host, bridges), _MOST_JUDGED)):
        found[stale.message].append(stale)
    for alike in found.values():
        yield _fault(alike)


def _udp_entries(host: Host) -> Iterator[ConntrackEntry]:
    return (entry for entry in host.root.connections if entry.protocol == _UDP)


def _to_ports(host: Host, bridges: list[BridgeNetwork]) -> Iterator[_Stale]:
    ports = {
        carried.port.host_port: carried
        for carried in carried_ports(host, bridges)
        if carried.port.protocol == _UDP and carried.address
    }
    if not ports:
        return
    local, rules, answering = host.root.ground.local, translations_by_goal(host), proxies(host)
    for entry in _udp_entries(host):
        carried = ports.get(entry.original.destination_port or 0)
        if carried is None or (local is not None and entry.original.destination not in local):
            continue
        untranslated = entry.reply.source == entry.original.destination
        if untranslated:
            ruled = f"{carried.address}:{carried.port.container_port}" in rules
            served = (carried.port.host_port, _UDP) in answering
            if ruled and not served and "UNREPLIED" in entry.flags:
                yield _of_port(entry, carried, "without translation, to the host itself")
        elif entry.reply.source != carried.address:
            yield _of_port(entry, carried, f"to {entry.reply.source}, which is not the container's address")


def _of_port(entry: ConntrackEntry, carried: CarriedPort, where: str) -> _Stale:
    name = carried.container.name
    return _Stale(
        entry,
        f"clients of published port {carried.name} of container `{name}` are still led by old entries {where}",
        "the entry of a client",
        (Subject("port", carried.name), Subject("container", name)),
        related(carried.port.span, f"container {name} publishes the port for {carried.address}"),
    )


def _from_containers(host: Host, bridges: list[BridgeNetwork]) -> Iterator[_Stale]:
    bridge_of = _bridge_of(bridges)
    for entry in _udp_entries(host):
        if "UNREPLIED" not in entry.flags or entry.reply.destination != entry.original.source:
            continue
        bridge = bridge_of(entry.original.source)
        if bridge and entry.reply.source == entry.original.destination and _would_be_translated(host, bridge, entry):
            name = bridge.network.name
            yield _Stale(
                entry,
                f"flows of network `{name}` to the outside still are not masqueraded, because of old entries",
                "the answer is expected at the container's own address",
                bridge.subjects,
                related(bridge.network.span, f"network {name} is masqueraded"),
            )


def _bridge_of(bridges: list[BridgeNetwork]) -> Callable[[IpAddress], BridgeNetwork | None]:
    masqueraded = [bridge for bridge in bridges if translates_addresses(bridge.network).yes]
    subnets = [(subnet.subnet, bridge) for bridge in masqueraded for subnet in bridge.network.subnets]
    return lambda address: next((bridge for subnet, bridge in subnets if address in subnet), None)


def _would_be_translated(host: Host, bridge: BridgeNetwork, entry: ConntrackEntry) -> bool:
    """Whether the rules would translate the flow if it were new, by whichever uplink it leaves."""
    ground, original = host.root.ground, entry.original
    subnets = (subnet.subnet for network in host.networks for subnet in network.subnets)
    stays_here = any(original.destination in subnet for subnet in subnets)
    if stays_here or ground.type_of(original.destination) != "UNICAST":
        return False
    for uplink in uplinks(host):
        flow = Flow(
            protocol=_UDP,
            in_interface=bridge.device,
            out_interface=uplink,
            source=original.source,
            source_port=original.source_port,
            destination=original.destination,
            destination_port=original.destination_port,
        )
        way, *more = translations(host.root, "POSTROUTING", flow)
        if more or not way.certain or way.fate is not Fate.TRANSLATED:
            return False
    return bool(uplinks(host))


def _fault(alike: list[_Stale]) -> Fault:
    first = alike[0]
    return Fault(
        message=first.message,
        subjects=first.subjects,
        evidence=(
            Evidence(first.entry.span, first.label),
            *(related(stale.entry.span, "another one") for stale in alike[1:3]),
            first.proof,
        ),
        remedy=tuple(_deletions([stale.entry for stale in alike])),
        verify=("conntrack -L -p udp",),
    )


def _deletions(entries: list[ConntrackEntry]) -> Iterator[str]:
    """The commands that delete the entries, of many those of each source and port at once."""
    if len(entries) <= _MOST_DELETED:
        for entry in entries:
            ends = entry.original
            yield sh(
                "conntrack -D -p udp -s {} -d {} --sport {} --dport {}",
                *(ends.source, ends.destination, ends.source_port, ends.destination_port),
            )
        return
    ports = dict.fromkeys((entry.original.destination, entry.original.destination_port) for entry in entries)
    for destination, port in islice(ports, 2 * _MOST_DELETED):
        yield sh("conntrack -D -p udp -d {} --dport {}", destination, port)
