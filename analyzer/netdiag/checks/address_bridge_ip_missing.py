"""Docker bridge lost its gateway address.

## What it finds
A bridge that does not carry any address of its network's subnet, IPv4 or IPv6.

## Why it matters
The gateway is the way out of every container on the network: they cannot leave it, and the host cannot reach them,
because the connected route went with the address.

## How it is decided
Gates: the engine is here; the network is a local bridge that is meant to have an address, its device exists, and the
addresses of the host were collected. The gateway is `IPAM.Config[].Gateway`; where the engine does not print it, the
gateway of an endpoint on the network. A bridge that has another address of the subnet is `address-bridge-ip-mismatch`.

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

from netdiag.checks._addresses import Carried, bridges_with_subnets
from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import addition, other_networks, related, restart, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress
from netdiag.model import Host
from netdiag.model.gates import whole


@check(
    Severity.ERROR,
    layer="address",
    symptom_of=("link-bridge-down", "ipv6-disabled-host", "link-nm-or-networkd-managed"),
)
def address_bridge_ip_missing(host: Host) -> Verdicts:
    found, others = bridges_with_subnets(host)
    yield from others
    yield from other_networks(host)
    for carried in found:
        if carried.addresses:
            continue
        if host.root.links.whole:
            yield _fault(host, carried, host.gateway_of(carried.bridge.network, carried.subnet))
        else:
            yield unjudged(whole(host.root.links, f"which addresses {carried.link.name} has"))


def _fault(host: Host, carried: Carried, gateway: IpAddress | None) -> Fault:
    link, network, subnet = carried.link, carried.bridge.network, carried.subnet
    wanted = str(gateway) if gateway else f"an address of {subnet.subnet}"
    held = ", ".join(str(address.address) for address in link.addresses) or "no address"
    return Fault(
        message=f"bridge `{link.name}` does not carry {wanted}, the gateway of network `{network.name}`",
        subjects=(*carried.bridge.subjects, *((Subject("address", str(gateway)),) if gateway else ())),
        evidence=(
            Evidence(link.span, f"this bridge has {held}"),
            related(subnet.span, f"network {network.name} has gateway {gateway or 'not told'}"),
        ),
        remedy=(addition(gateway, subnet.subnet.prefixlen, link.name),) if gateway else restart(host),
        verify=(sh("ip addr show dev {}", link.name), sh("ip route show dev {}", link.name)),
        affects=carried.affects,
    )
