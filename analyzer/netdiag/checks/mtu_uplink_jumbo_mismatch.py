"""Uplink jumbo 9000, docker 1500.

## What it finds
Running containers with an MTU of 1500 or less on a host whose way out has jumbo frames.

## Why it matters
Everything works, and the containers need six times as many packets as the host for what they send into the same
network.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge that reaches outside; the routes
and links of the host were collected. The link is the one that the host's routing gives for packets of the container; it
has an MTU of 9000 or more.

## Not a problem when
Nobody waits for the network, or not everything on the path takes jumbo frames.

## Repair
Give the containers the MTU of the link, if the whole path to their peers takes it. For good, make the networks with the
option `com.docker.network.driver.mtu`, and set `"mtu"` in daemon.json for the default network.

## Verify
A datagram of that size passes (`ping -M do -s 8972`).

## References
moby/moby#42781; docs.docker.com/engine/network/drivers/bridge (com.docker.network.driver.mtu).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._mtu import WayOut, set_mtu, way_out
from netdiag.checks._veths import ContainerPort, container_ports, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import collected

_JUMBO = 9000
_ORDINARY = 1500
_MOST_SHOWN = 6


@check(Severity.NOTE, layer="mtu")
def mtu_uplink_jumbo_mismatch(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if ports and not collected(host.root.routes, "where packets leave the host").yes:
        yield unjudged(collected(host.root.routes, "where packets leave the host"))
        return
    smaller = [
        (port, way)
        for port in ports
        if (way := way_out(host, port))
        and (way.link.mtu or 0) >= _JUMBO
        and port.inner.mtu is not None
        and port.inner.mtu <= _ORDINARY
    ]
    if smaller:
        yield _fault(smaller)


def _fault(smaller: list[tuple[ContainerPort, WayOut]]) -> Fault:
    way = smaller[0][1]
    ports = [port for port, _ in smaller]
    networks = sorted({port.network for port in ports})
    named = ", ".join(f"`{name}`" for name in networks[:_MOST_SHOWN])
    more = f" and {len(networks) - _MOST_SHOWN} more" if len(networks) > _MOST_SHOWN else ""
    first = ports[0]
    return Fault(
        message=f"`{way.link.name}` takes packets of {way.link.mtu} bytes, the containers on {named}{more} do not",
        subjects=(Subject("interface", way.link.name), *(Subject("network", name) for name in networks)),
        evidence=(
            Evidence(words_of(way.link.span, f"mtu {way.link.mtu}"), f"packets leave by {way.link.name}"),
            related(words_of(first.inner.span, f"mtu {first.inner.mtu}"), f"container {first.container}"),
            related(way.route.span, "the route that they take"),
        ),
        remedy=set_mtu(ports, way.link.mtu or _JUMBO),
        verify=("ip link",),
    )
