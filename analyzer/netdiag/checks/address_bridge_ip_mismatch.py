"""Docker bridge has another address than the gateway of its network.

## What it finds
A bridge with an address of its network's subnet that is not the gateway's, or is the gateway's with another prefix
length.

## Why it matters
Containers send to a gateway that nobody owns: they do not leave their network, and nothing from outside gets an answer.
With another prefix length the host takes a part of the subnet for somebody else's.

## How it is decided
Gates: the engine is here; the network is a local bridge that is meant to have an address, its device exists, and the
addresses of the host were collected. The gateway is that of the network's record, else that of an endpoint. A bridge
without any address of the subnet is `address-bridge-ip-missing`.

## Not a problem when
The gateway stands beside other addresses; the option `inhibit_ipv4` or the gateway mode `isolated` is set; the daemon
has a `default-gateway` for the default network.

## Repair
Take the wrong address away and give the bridge that of the gateway. What changed it (a new `bip` with live-restore, a
network manager) shall not do so again.

## Verify
The address and the route are there.

## References
moby libnetwork/drivers/bridge/setup_ipv4_linux.go (setupBridgeIPv4, setupVerifyAndReconcile).
"""

from netdiag.checks._addresses import Carried, bridges_with_subnets
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import addition, other_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, IpAddress
from netdiag.model import Host


@check(Severity.ERROR, layer="address")
def address_bridge_ip_mismatch(host: Host) -> Verdicts:
    found, others = bridges_with_subnets(host)
    yield from others
    yield from other_networks(host)
    for carried in found:
        gateway = host.gateway_of(carried.bridge.network, carried.subnet)
        if gateway and carried.addresses and not carried.has(gateway):
            yield _fault(carried, gateway)


def _fault(carried: Carried, gateway: IpAddress) -> Fault:
    link, network, length = carried.link, carried.bridge.network, carried.subnet.subnet.prefixlen
    held = ", ".join(str(address.address) for address in carried.addresses)
    return Fault(
        message=f"bridge `{link.name}` has {held}, not {gateway}/{length}, the gateway of network `{network.name}`",
        subjects=(*carried.bridge.subjects, Subject("address", str(gateway))),
        evidence=(
            *(Evidence(address.span, f"an address of {carried.subnet.subnet}") for address in carried.addresses),
            related(carried.subnet.span, f"network {network.name} has gateway {gateway}"),
        ),
        remedy=(
            *(_removal(address, link.name) for address in carried.addresses),
            addition(gateway, length, link.name),
        ),
        verify=(sh("ip addr show dev {}", link.name), sh("ip route show dev {}", link.name)),
        affects=carried.affects,
    )


def _removal(address: Address, device: str) -> str:
    return sh("ip addr del {} dev {}", address.address, device)
