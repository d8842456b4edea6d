"""Overlay MTU + 50 > uplink MTU.

## What it finds
An overlay network whose packets, with the 50 bytes that the tunnel adds, are larger than the MTU of the link between
the nodes.

## Why it matters
Small packets pass, large ones do not: connections are made, and hang as soon as somebody sends much (TLS handshakes,
file transfers). The nodes may split the packets in two, which many networks between them drop.

## How it is decided
Gates: the engine is in a swarm. An overlay network is made for an underlay of its option
`com.docker.network.driver.mtu`, 1500 unless set: containers get 50 less. The link that has this node's address in the
swarm must have at least that MTU. Networks that have no container on this node are not judged. While no other node is
known it is a warning.

## Not a problem when
The swarm has one node only; the path between the nodes has a larger MTU than this link says, which cannot be.

## Repair
Raise the link's MTU where the network was made for a larger one and the switches carry it; else make the network anew
with the option set to the link's MTU.

## Verify
`ping -M do -s SIZE` from container to container, with the container's MTU less 28 as the size.

## References
moby libnetwork/drivers/overlay (maxMTU, vxlanEncap); docs.docker.com/engine/network/drivers/overlay;
moby/libnetwork#2661.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import (
    ENCAPSULATION,
    Member,
    chose_mtu,
    is_alone,
    made_anew,
    members,
    outer_mtu,
    subject,
    swarm_of,
    underlay,
)
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import unknown


@check(Severity.ERROR, layer="overlay")
def overlay_vxlan_mtu(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    by_network: dict[str, list[Member]] = defaultdict(list)
    for member in members(host):
        by_network[member.network.id].append(member)
    if not by_network:
        yield NotApplicable("no container of this node is on an overlay network")
        return
    link = underlay(host, swarm)
    if link is None or link.mtu is None:
        yield unjudged(unknown("the MTU of the link between the nodes", "ip_addr"))
        return
    for here in by_network.values():
        if outer_mtu(here[0].network) > link.mtu:
            yield _fault(host, here, link, alone=is_alone(host, swarm))


def _fault(host: Host, here: list[Member], link: Link, *, alone: bool) -> Fault:
    network, needed = here[0].network, outer_mtu(here[0].network)
    inner = (
        (member.container.name, inside)
        for member in here
        if (netns := host.namespace_of(member.container)) and (inside := netns.link_of(member.endpoint))
    )
    raise_link = (sh("ip link set {} mtu {}", link.name, needed),)
    return Fault(
        message=f"containers of overlay network `{network.name}` send packets of {needed} bytes with their tunnel, "
        f"more than the MTU {link.mtu} of `{link.name}`",
        subjects=(subject(network), Subject("interface", link.name)),
        evidence=(
            Evidence(link.span, f"the link between the nodes has MTU {link.mtu}"),
            related(network.span, f"made for an underlay of {needed}, of which the tunnel takes {ENCAPSULATION}"),
            *(related(inside.span, f"the interface of {name}") for name, inside in list(inner)[:2]),
        ),
        remedy=raise_link
        if chose_mtu(network)
        else made_anew(host, network, f"-o com.docker.network.driver.mtu={link.mtu}"),
        verify=(sh("ip link show {}", link.name),),
        severity=Severity.WARNING if alone else Severity.ERROR,
    )
