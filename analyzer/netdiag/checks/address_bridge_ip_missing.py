"""Docker bridge lost its gateway IPv4.

## What it finds
A bridge that does not carry the gateway address of its network.

## Why it matters
The gateway is the way out of every container on the network: they cannot leave it, and the host cannot reach them,
because the connected route went with the address.

## How it is decided
Gates: the engine is here; the network is a local bridge with IPv4 whose device exists, and the addresses of the host
were collected. The gateway is `IPAM.Config[].Gateway`; where the engine does not print it, the gateway of an endpoint
on the network; where there is no endpoint either, any address of the subnet will do.

## Not a problem when
The bridge shall have no address: option `inhibit_ipv4`, gateway mode `isolated`, a network without IPv4, or a daemon
with its own `default-gateway` for the default network.

## Repair
Put the address back; the connected route comes with it.

## Verify
The address and the route are there.

## References
moby/moby#40217; moby/moby#40170; moby libnetwork/drivers/bridge setupBridgeIPv4;
docs.docker.com/engine/daemon/troubleshoot.
"""

from ipaddress import IPv4Network

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, bridge_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Link, Network, Subnet
from netdiag.model import Gate, Host, Truth
from netdiag.model.gates import bridge_option, collected, unknown, whole
from netdiag.model.knowledge import YES


@check(Severity.ERROR, layer="address")
def address_bridge_ip_missing(host: Host) -> Verdicts:
    addresses = YES if host.root.addresses_known else unknown("the addresses of the host", "ip_addr")
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"), addresses)
    yield from others
    for bridge in bridges:
        link = host.root.link(bridge.device)
        if link is None:
            if not host.root.links.whole:
                yield unjudged(whole(host.root.links, f"which addresses {bridge.device} has"))
            continue
        if not _wants_address(host, bridge.network).yes:
            continue
        for subnet in bridge.network.subnets:
            gateway = subnet.gateway or _gateway_of_endpoints(host, bridge.network)
            if not isinstance(subnet.subnet, IPv4Network) or _carries(link, gateway, subnet):
                continue
            if host.root.links.whole:
                yield _fault(bridge, link, subnet, gateway)
            else:
                yield unjudged(whole(host.root.links, f"which addresses {bridge.device} has"))


def _wants_address(host: Host, network: Network) -> Gate:
    without = (
        bridge_option(network, "inhibit_ipv4") == "true"
        or bridge_option(network, "gateway_mode_ipv4") == "isolated"
        or network.enable_ipv4 is False
        or (network.name == "bridge" and host.engine.setting("default-gateway") is not None)
    )
    return Gate(Truth.NO, f"the bridge of network {network.name} shall have no address") if without else YES


def _gateway_of_endpoints(host: Host, network: Network) -> IpAddress | None:
    endpoints = (endpoint for container in host.containers for endpoint in container.endpoints)
    return next((e.gateway for e in endpoints if e.network_id == network.id and e.gateway), None)


def _carries(link: Link, gateway: IpAddress | None, subnet: Subnet) -> bool:
    addresses = [address.address.ip for address in link.addresses]
    return gateway in addresses if gateway else any(address in subnet.subnet for address in addresses)


def _fault(bridge: BridgeNetwork, link: Link, subnet: Subnet, gateway: IpAddress | None) -> Fault:
    wanted = str(gateway) if gateway else f"an address of {subnet.subnet}"
    held = ", ".join(str(address.address) for address in link.addresses) or "no address"
    repair = (
        (sh("ip addr add {}/{} brd + dev {}", gateway, subnet.subnet.prefixlen, link.name),)
        if gateway
        else ("systemctl restart docker",)
    )
    return Fault(
        message=f"bridge `{link.name}` does not carry {wanted}, the gateway of network `{bridge.network.name}`",
        subjects=(*bridge.subjects, *((Subject("address", str(gateway)),) if gateway else ())),
        evidence=(
            Evidence(link.span, f"this bridge has {held}"),
            related(subnet.span, f"network {bridge.network.name} has gateway {gateway or 'not told'}"),
        ),
        remedy=repair,
        verify=(sh("ip addr show dev {}", link.name), sh("ip route show dev {}", link.name)),
    )
