"""Overlay sandbox lacks FDB/neigh for a remote peer.

## What it finds
A container on another node of which the engine's namespace of an overlay network knows only half: the MAC address that
belongs to its address, or the node that it is on.

## Why it matters
The tunnel asks nobody: it answers ARP requests from the list of neighbours and sends to the node that the forwarding
entry names. Without either of them this one container cannot be reached from this node, and all others can.

## How it is decided
Gates: the engine is in a swarm; the engine's namespaces (`1-...`) were collected. Each neighbour that the engine
entered on the tunnel must have a forwarding entry with the address of a node, and the other way round; MAC addresses on
overlay networks are made of the IPv4 address (`02:42:` and its four bytes).

## Not a problem when
The other node has no container on the network, or is gone: then both entries are.

## Repair
Enter what is missing, where the node is known; else restart the engine of this node, which learns it anew. Find out why
it was not learned: 7946 blocked between the nodes.

## Verify
The container is reached; both entries are there.

## References
moby/moby#32195; moby libnetwork/drivers/overlay (peerdb.go, ov_endpoint.go); bridge(8) (fdb).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, restart, sh
from netdiag.checks._overlay import in_sandbox, networks_in_use, other_peers, sandbox_of, subject
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Network, NetworkPeer
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown
from netdiag.model.knowledge import Extent
from netdiag.spans import Span


@dataclass(frozen=True)
class _Half:
    """A container elsewhere of which tunnel `device` knows one half: its address and MAC, or the node that it is on."""

    device: str
    address: IPv4Address
    mac: str
    span: Span
    node_known: bool


@check(Severity.ERROR, layer="overlay")
def overlay_peer_fdb_missing(host: Host) -> Verdicts:
    swarm, networks, others = networks_in_use(host)
    yield from others
    if swarm is None:
        return
    for network in networks:
        netns = sandbox_of(host, network)
        if netns is None or Extent.NONE in (netns.fdb.extent, netns.neighbours.extent):
            yield unjudged(unknown(f"the tunnels of network {network.name}", "bridge_fdb", "ip_neigh"))
            continue
        for half in _halves(netns):
            yield _fault(host, network, half, other_peers(host, swarm))


def _halves(netns: Namespace) -> Iterator[_Half]:
    tunnels = {link.name for link in netns.links if link.kind == "vxlan"}
    entries = {(e.device, e.mac.lower()): e for e in netns.fdb if e.device in tunnels and "dst" in e.details}
    neighbours = {
        (each.device, each.mac.lower()): each
        for each in netns.neighbours
        if each.device in tunnels and each.mac and each.state == "PERMANENT"
    }
    for key in sorted(entries.keys() ^ neighbours.keys()):
        device, mac = key
        address = neighbours[key].address if key in neighbours else _address_of(mac)
        if isinstance(address, IPv4Address):
            span = neighbours[key].span if key in neighbours else entries[key].span
            yield _Half(device, address, mac, span, node_known=key in entries)


def _address_of(mac: str) -> IPv4Address | None:
    """The address that the engine made a MAC address of."""
    digits = mac.split(":")
    return IPv4Address(bytes.fromhex("".join(digits[2:]))) if digits[:2] == ["02", "42"] else None


def _fault(host: Host, network: Network, half: _Half, peers: list[NetworkPeer]) -> Fault:
    lacks = "its MAC address" if half.node_known else "which node it is on"
    return Fault(
        message=f"the tunnel of overlay network `{network.name}` does not know of {half.address} {lacks}",
        subjects=(subject(network), Subject("address", str(half.address))),
        evidence=(
            Evidence(half.span, "this half is known"),
            related(network.span, f"network {network.name} on this node"),
            *(related(peer.span, "a node that may have it") for peer in peers[:3]),
        ),
        remedy=_remedy(host, network, half, peers),
        verify=(f"{in_sandbox(network)}bridge fdb show dev {half.device}", f"{in_sandbox(network)}ip neigh"),
    )


def _remedy(host: Host, network: Network, half: _Half, peers: list[NetworkPeer]) -> tuple[str, ...]:
    enter = in_sandbox(network)
    if half.node_known:
        return (enter + sh("ip neigh replace {} lladdr {} nud permanent dev {}", half.address, half.mac, half.device),)
    if len(peers) == 1:
        where = sh("dst {} self permanent", peers[0].address)
        return (enter + sh("bridge fdb replace {} dev {} ", half.mac, half.device) + where,)
    return restart(host)
