"""Docker bridge is administratively DOWN.

## What it finds
The device of a bridge network without the UP flag.

## Why it matters
All containers of the network are cut off from each other, from the host and from the outside. The kernel has taken away
the network's connected route, so packets for it leave by the default route.

## How it is decided
Gates: the engine is here; the network is a local bridge; its device is in the list of links. The flag `UP` between the
angle brackets decides, never the word after `state`.

## Not a problem when
The device shows `NO-CARRIER ... UP ... state DOWN`: that is how a bridge looks while no container runs on it.

## Repair
Set the device up. Its address and the engine's rules have stayed, and the route comes back by itself.

## Verify
The flags have UP again and the route is back.

## References
moby libnetwork/drivers/bridge setupDeviceUp; moby/moby#40170; moby/moby#13381.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import bridge_networks, other_networks, related, sh
from netdiag.finding import Evidence, Severity
from netdiag.model import Host
from netdiag.model.gates import collected, unknown, whole


@check(Severity.ERROR, layer="link")
def link_bridge_down(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    yield from other_networks(host)
    for bridge in bridges:
        link = host.root.link(bridge.device)
        if link is None or not (link.flags or host.root.links.whole):
            if not host.root.links.whole:
                yield unjudged(whole(host.root.links, f"whether {bridge.device} is up"))
            continue
        if link.up is None:
            yield unjudged(unknown(f"whether {link.name} is up", "ip_addr", because="its flags are not in the bundle"))
        elif not link.up:
            yield Fault(
                message=f"bridge `{link.name}` of network `{bridge.network.name}` is down",
                subjects=bridge.subjects,
                evidence=(
                    Evidence(link.span, "the flag UP is missing"),
                    related(bridge.network.span, f"network {bridge.network.name} uses this bridge"),
                ),
                remedy=(sh("ip link set dev {} up", link.name),),
                verify=(sh("ip link show dev {}", link.name), sh("ip route show dev {}", link.name)),
            )
