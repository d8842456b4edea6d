"""Parent of a macvlan or ipvlan network is missing or down.

## What it finds
A macvlan or ipvlan network whose parent is no link of the host, is administratively down, or has no carrier.

## Why it matters
Its containers have an address and nobody to talk to; without the parent no container can be started on the network.

## How it is decided
Gates: the engine is here, and the links of the host were collected. A parent that is missing is an error when a
container is on the network, a warning when none is; one that is down matters only to containers. When a container's
interface hangs on another link than the name says, that link has been renamed.

## Not a problem when
The network has no parent: the engine then makes one of its own, and the network is internal.

## Repair
Switch the parent on; make the VLAN's link again; or make the network anew on the link that has taken its place. Drivers
of virtual machines and clouds drop frames of MAC addresses that they do not know: there, allow promiscuous mode and
forged transmits, or use ipvlan.

## Verify
The parent is up and has a carrier.

## References
docs.docker.com/engine/network/drivers/macvlan; moby libnetwork/drivers/macvlan (parentExists, createVlanLink).
"""

import re

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._lans import LanNetwork, lan_networks
from netdiag.checks._renumber import on_parent
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import uplinks, whole

_VLAN = re.compile(r"(.+)\.(\d{1,4})")


@check(Severity.ERROR, layer="route")
def route_macvlan_parent_bad(host: Host) -> Verdicts:
    lans, others = lan_networks(host)
    yield from others
    on = {endpoint.network_id for container in host.containers for endpoint in container.endpoints}
    for lan in lans:
        link, used = host.root.link(lan.parent), lan.network.id in on
        if link is None:
            known = whole(host.root.links, f"whether {lan.parent} exists")
            yield unjudged(known) if known.unknown else _missing(host, lan, used=used)
        elif used and link.up is False:
            yield _down(lan, link, "is down")
        elif used and "NO-CARRIER" in (link.flags or ()):
            yield _down(lan, link, "has no carrier")


def _down(lan: LanNetwork, link: Link, state: str) -> Fault:
    return Fault(
        message=f"`{link.name}`, the parent of {lan.network.driver} network `{lan.network.name}`, {state}",
        subjects=(lan.subject, Subject("interface", link.name)),
        evidence=(
            Evidence(link.span, f"this link {state}"),
            related(lan.network.span, f"network {lan.network.name} has this parent"),
            *(related(endpoint.span, f"{container.name} is on it") for container, endpoint in lan.running[:3]),
        ),
        remedy=(sh("ip link set dev {} up", link.name),),
        verify=(sh("ip link show dev {}", link.name),),
        affects=tuple(Subject("container", container.name) for container, _ in lan.running),
    )


def _missing(host: Host, lan: LanNetwork, *, used: bool) -> Fault:
    renamed = _holder(host, lan)
    now = f"; the interfaces of its containers hang on `{renamed.name}`" if renamed else ""
    return Fault(
        message=f"`{lan.parent}`, the parent of {lan.network.driver} network `{lan.network.name}`, does not exist{now}",
        subjects=(lan.subject, Subject("interface", lan.parent)),
        evidence=(
            Evidence(lan.network.span, f"network {lan.network.name} has the parent {lan.parent}"),
            *([related(renamed.span, "this link has taken its place")] if renamed else []),
            *(related(link.span, "the links of the host, from here on") for link in host.root.links.items[:1]),
        ),
        remedy=_remedy(host, lan, renamed),
        verify=("ip link show", sh("docker network inspect {}", lan.network.name)),
        severity=None if used else Severity.WARNING,
        affects=tuple(Subject("container", container.name) for container, _ in lan.running),
    )


def _holder(host: Host, lan: LanNetwork) -> Link | None:
    """The link of the host that the interfaces of the network's containers hang on: they name its ifindex."""
    by_index = {link.index: link for link in host.root.links if link.index is not None}
    for container, endpoint in lan.running:
        netns = host.namespace_of(container)
        for link in netns.links if netns else ():
            if link.kind == lan.network.driver and link.mac == endpoint.mac and link.peer_index in by_index:
                return by_index[link.peer_index]
    return None


def _remedy(host: Host, lan: LanNetwork, renamed: Link | None) -> tuple[str, ...]:
    vlan = _VLAN.fullmatch(lan.parent)
    if renamed:
        return on_parent(host, lan.network, renamed.name)
    if vlan and host.root.link(vlan[1]):
        return (
            sh("ip link add link {} name {} type vlan id {}", vlan[1], lan.parent, vlan[2]),
            sh("ip link set dev {} up", lan.parent),
        )
    ways = sorted(uplinks(host))
    return on_parent(host, lan.network, ways[0]) if len(ways) == 1 else ()
