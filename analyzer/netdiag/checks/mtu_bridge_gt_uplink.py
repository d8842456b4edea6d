"""Docker network MTU larger than the egress path MTU.

## What it finds
Running containers whose interface has a larger MTU than the link by which their packets leave the host, and no rule
that clamps the segment size of their TCP connections.

## Why it matters
The containers tell their peers to send segments that are too large for the last link. It works as long as every router
and the host itself may say so by ICMP; where anybody drops that, small requests work, and TLS handshakes, `git clone`
and `apt` hang.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge that reaches outside; the routes
and links of the host were collected. The link is the one that the host's routing gives for packets of the container to
an address of each half of the Internet, policy rules and VPNs included. The MTU is that of the interface in the
container, not of the bridge, which follows its ports. A rule with the target TCPMSS in the tables filter or mangle, or
`tcp option maxseg size set` of nftables, that takes the container's SYN on its way out makes it right.

## Not a problem when
The segment size is clamped, or the network is internal. (IPv6 and UDP still need the ICMP messages.)

## Repair
Clamp the segment size now. For good give the networks the MTU of the link: `"mtu"` in daemon.json for the default
network, option `com.docker.network.driver.mtu` (or `default-network-opts`) for others, which must be made anew.

## Verify
A large download by a container comes through.

## References
moby/moby#20178; moby/moby#22028; moby/moby#22297; docker/for-linux#1426; moby/moby#12565; iptables-extensions(8)
TCPMSS.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._mtu import WayOut, clamps_segments, way_out
from netdiag.checks._veths import ContainerPort, container_ports, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host, Truth
from netdiag.model.gates import collected

_MOST_SHOWN = 6


@check(Severity.WARNING, layer="mtu")
def mtu_bridge_gt_uplink(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if ports and not collected(host.root.routes, "where packets leave the host").yes:
        yield unjudged(collected(host.root.routes, "where packets leave the host"))
        return
    too_large: dict[str, list[tuple[ContainerPort, WayOut]]] = defaultdict(list)
    doubts: dict[str, Unjudged] = {}
    for port in ports:
        way = way_out(host, port)
        if way is None or port.inner.mtu is None or way.link.mtu is None or port.inner.mtu <= way.link.mtu:
            continue
        clamped = clamps_segments(host, port, way)
        if clamped is Truth.UNKNOWN:
            what = f"whether the segment size of connections of network {port.network} is clamped"
            doubts.setdefault(port.network, Unjudged(what, "not all firewall rules can be judged", ("iptables-save",)))
        elif clamped is Truth.NO:
            too_large[way.link.name].append((port, way))
    for found in too_large.values():
        yield _fault(found)
    yield from doubts.values()


def _fault(found: list[tuple[ContainerPort, WayOut]]) -> Fault:
    """One finding for a link, which is the cause for all networks."""
    way = found[0][1]
    firsts = {port.network: port for port, _ in reversed(found)}
    networks = sorted(firsts)
    largest = max(port.inner.mtu or 0 for port, _ in found)
    named = ", ".join(f"`{name}`" for name in networks[:_MOST_SHOWN])
    more = f" and {len(networks) - _MOST_SHOWN} more" if len(networks) > _MOST_SHOWN else ""
    return Fault(
        message=(
            f"containers on {named}{more} have MTU {largest}, and `{way.link.name}`, their way out, has {way.link.mtu}"
        ),
        subjects=(
            Subject("interface", way.link.name),
            *(Subject("network", name) for name in networks),
        ),
        evidence=(
            Evidence(words_of(way.link.span, f"mtu {way.link.mtu}"), f"packets leave by {way.link.name}"),
            *(
                Evidence(words_of(port.inner.span, f"mtu {port.inner.mtu}"), f"container {port.container} on {name}")
                for name, port in sorted(firsts.items())[:_MOST_SHOWN]
            ),
            related(way.route.span, "the route that they take"),
        ),
        remedy=("iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",),
        verify=("iptables -t mangle -L FORWARD -v -n -x",),
    )
