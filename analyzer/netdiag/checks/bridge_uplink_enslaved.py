"""Physical NIC enslaved to a Docker bridge / Docker using a LAN bridge.

## What it finds
An interface of the host that leads outside and is a port of a Docker network's bridge.

## Why it matters
What comes in by a port of a bridge goes to the bridge, and the engine's rules take it for traffic of that network:
published ports are not translated, and what other networks' containers ask for or are answered is dropped. Even without
an address on it, every machine of the LAN is on the containers' segment from then on, sees their broadcasts and reaches
them past all rules for published ports.

## How it is decided
Gates: the engine is here; the network is a local bridge; the links of the host were collected. A port is an uplink when
a default route uses it, or when it is neither a veth nor one of the kinds that virtual machines and tunnels have
(physical, bond, team or VLAN by `ip -d link`). It is an error when a default route uses the port or it carries an IPv4
address. Else it is a warning, on a bridge that the engine named (`docker0`, `br-<id>`).

## Not a problem when
The administrator has made the bridge for it (`--bridge=br0`, option `com.docker.network.bridge.name`), and the address
is on the bridge.

## Repair
Take the interface out of the bridge. For containers that shall be in the LAN use a macvlan network.

## Verify
The interface has no master, and the gateway answers.

## References
docs.docker.com/engine/network/drivers/bridge; moby/moby#13381; kernel net/bridge/br_input.c (br_handle_frame).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, other_networks, related, sh
from netdiag.checks._veths import words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, Link
from netdiag.model import Host
from netdiag.model.gates import collected, uplinks

_OF_UPLINKS = {"bond", "team", "vlan"}
_DEFAULT_DEVICE = "docker0"


@check(Severity.ERROR, layer="bridge")
def bridge_uplink_enslaved(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    yield from other_networks(host)
    outward = uplinks(host)
    details = any(link.kind for link in host.root.links)
    for bridge in bridges:
        for port in host.root.ports_of(bridge.device):
            address = next((each for each in port.addresses if each.address.version == 4), None)
            if port.name in outward or (address and port.kind != "veth"):
                yield _fault(host, bridge, port, address)
            elif _leads_outside(port, details=details) and _named_by_engine(bridge):
                yield _fault(host, bridge, port, None)


def _leads_outside(port: Link, *, details: bool) -> bool:
    """By its kind; a physical interface has neither a kind nor a peer, where the list of links tells kinds at all."""
    alone = port.peer_index is None and port.peer_name is None
    return port.kind in _OF_UPLINKS or (port.kind is None and alone and details)


def _named_by_engine(bridge: BridgeNetwork) -> bool:
    return bridge.device in (_DEFAULT_DEVICE, f"br-{bridge.network.id[:12]}")


def _fault(host: Host, bridge: BridgeNetwork, port: Link, address: Address | None) -> Fault:
    evidence = [Evidence(words_of(port.span, f"master {bridge.device}"), f"a port of {bridge.device}")]
    if address:
        evidence.append(related(address.span, f"its address; what is sent to it comes in by {bridge.device}"))
    routes = (
        route
        for route in host.root.routes
        if route.destination.prefixlen == 0 and any(hop.device == port.name for hop in route.next_hops)
    )
    route = next(routes, None)
    if route:
        evidence.append(related(route.span, "a default route uses it"))
    evidence.append(related(bridge.network.span, f"network {bridge.network.name} uses this bridge"))
    return Fault(
        message=f"`{port.name}` is a port of bridge `{bridge.device}` of network `{bridge.network.name}`",
        subjects=(Subject("interface", port.name), *bridge.subjects),
        evidence=tuple(evidence),
        remedy=(sh("ip link set dev {} nomaster", port.name),),
        verify=(sh("ip link show dev {}", port.name), "ip route get 1.1.1.1"),
        severity=None if address or route else Severity.WARNING,
    )
