"""Bridge device of a Docker network does not exist.

## What it finds
A bridge network of the engine whose device is not among the links of the host.

## Why it matters
Every container on the network is cut off from the others, from the host and from the outside, and no container can be
started on the network any more (`could not find bridge`).

## How it is decided
Gates: the engine is here (not rootless, not Docker Desktop, not another host); the network is a local bridge. The
device is named by the option `com.docker.network.bridge.name`, it is `docker0` for the default network, else `br-` and
the first 12 digits of the network's id. Confidence is high when the list of links is whole (`ip -d addr`). From an
excerpt of `ifconfig` it is only said when another link carries the network's gateway address, and then with medium
confidence.

## Not a problem when
The daemon runs with `"bridge": "none"` (then there is no network `bridge` either). Networks of the drivers macvlan,
ipvlan, overlay, host and none have no bridge of their own, and configuration-only networks have no device.

## Repair
Make the bridge again with its address and put the veths of its containers back; or restart the engine, which does the
same.

## Verify
The device is there, is up, and has its ports.

## References
moby libnetwork/drivers/bridge/setup_device_linux.go; moby/moby#40170; docs.docker.com/engine/daemon/troubleshoot.
"""

from netdiag.checks._base import Fault, Verdicts, check, confidence_of_absence, unjudged
from netdiag.checks._docker import (
    BridgeNetwork,
    addition,
    attachments,
    bridge_networks,
    is_without_bridge,
    other_networks,
    related,
    restart,
    sh,
    veth_of,
)
from netdiag.checks._rules import gone_from_forward
from netdiag.checks._veths import enslave
from netdiag.finding import Evidence, Severity
from netdiag.model import Host
from netdiag.model.gates import carrier_of_gateway, collected, whole


@check(Severity.ERROR, layer="link", symptom_of=("bundle-two-daemons",))
def link_bridge_missing(host: Host) -> Verdicts:
    links = host.root.links
    bridges, others = bridge_networks(host, collected(links, "the links of the host"))
    yield from others
    yield from other_networks(host)
    for bridge in bridges:
        if is_without_bridge(host, bridge):
            yield _fault(host, bridge)
        elif not host.root.link(bridge.device):
            yield unjudged(whole(links, f"whether {bridge.device} exists"))


def _fault(host: Host, bridge: BridgeNetwork) -> Fault:
    links, device = host.root.links, bridge.device
    message = f"network `{bridge.network.name}` has no bridge `{device}`"
    evidence = [Evidence(bridge.network.span, f"this network needs {device}")]
    carrier = carrier_of_gateway(host, bridge.network)
    if carrier:
        evidence.append(related(carrier.span, f"its gateway address is on {carrier.name}"))
        message += f"; its gateway address is on `{carrier.name}`"
    elif links.items:
        evidence.append(related(links.items[0].span, f"{device} is not among the {len(links)} links from here on"))
    return Fault(
        message=message if links.whole else f"{message} (the list of links is not complete)",
        subjects=bridge.subjects,
        evidence=tuple(evidence),
        remedy=_remedy(host, bridge),
        verify=(sh("ip -d link show dev {}", device), sh("bridge link show | grep -w {}", device)),
        confidence=confidence_of_absence(links),
    )


def _remedy(host: Host, bridge: BridgeNetwork) -> tuple[str, ...]:
    """The bridge as the engine made it: device, address, ports; when not all of that is known, or the engine has taken
    away its rules too, a restart of the engine.

    Nothing as long as the bridge may be there all the same.
    """
    if not host.root.links.whole:
        return ()
    device = bridge.device
    told = ((host.gateway_of(bridge.network, subnet), subnet.subnet.prefixlen) for subnet in bridge.network.subnets)
    gateways = [(gateway, length) for gateway, length in told if gateway]
    pairs = [veth_of(host, attachment) for attachment in attachments(host, [bridge])]
    ports = [pair.outer.name for pair in pairs if pair]
    if not gateways or len(ports) < len(pairs) or gone_from_forward(host, bridge.network):
        return restart(host, bridge.network.engine)
    return (
        sh("ip link add name {} type bridge", device),
        *_as_the_engine_sets(host, device),
        *(addition(gateway, length, device) for gateway, length in gateways),
        sh("ip link set dev {} up", device),
        *enslave(host, ports, device),
    )


def _as_the_engine_sets(host: Host, device: str) -> tuple[str, ...]:
    """Docker accepts no router advertisements on a bridge that it makes (since 19.03.11, CVE-2020-13401)."""
    known = host.root.sysctl("net.ipv6.conf.default.accept_ra")
    return (sh("sysctl -w net.ipv6.conf.{}.accept_ra=0", device),) if known else ()
