"""Stale vxlan device/VNI conflict.

## What it finds
A VXLAN device in the host's own namespace with the number and the port of an overlay network, or one that the engine
left there.

## Why it matters
The kernel allows one device of a number and port: the engine cannot make the one of its network, and no container
starts on it (`error creating vxlan interface: file exists`, `attaching to network failed`). What runs already goes on
working.

## How it is decided
Gates: the engine is in a swarm. The engine makes the device in the host's namespace and moves it into one of its own;
what is found on the host is left over, or another program's. It conflicts when its id is one of an overlay network's
(`vxlanid_list`) and its port is that of the swarm. A device that is named as the engine names them (`vx-...`) and does
not conflict is a warning.

## Not a problem when
The device has another port, as flannel's (8472).

## Repair
Delete the device.

## Verify
A container starts on the network.

## References
moby/libnetwork#1765; moby/libnetwork#945; moby/libnetwork#751; moby/moby#28559; ip-link(8) (vxlan).
"""

import re

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import DEFAULT_PORT, overlay_networks, subject, swarm_of, vxlan_ids
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link, Network
from netdiag.model import Host
from netdiag.model.gates import collected

_NAMED_BY_ENGINE = re.compile(r"vx-[0-9a-f]{6}-\w+")


@check(Severity.ERROR, layer="overlay")
def overlay_vxlan_vni_stale(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    known = collected(host.root.links, "which VXLAN devices the host has")
    if not known.yes:
        yield unjudged(known)
        return
    by_id = {number: network for network in overlay_networks(host) for number in vxlan_ids(network)}
    port = str(swarm.data_path_port or DEFAULT_PORT)
    for link in host.root.links:
        if link.kind != "vxlan":
            continue
        same_port = link.details.get("vxlan.dstport") in (port, None)
        network = by_id.get(link.details.get("vxlan.id", "")) if same_port else None
        if network or _NAMED_BY_ENGINE.fullmatch(link.name):
            yield _fault(link, network)


def _fault(link: Link, network: Network | None) -> Fault:
    number = link.details.get("vxlan.id", "")
    problem = f"so that no container starts on overlay network `{network.name}`" if network else "left by the engine"
    return Fault(
        message=f"VXLAN device `{link.name}` of number {number} is in the host's own namespace, {problem}",
        subjects=(Subject("interface", link.name), *((subject(network),) if network else ())),
        evidence=(
            Evidence(link.span, f"has the number {number}"),
            *((related(network.span, f"network {network.name} has it, too"),) if network else ()),
        ),
        remedy=(sh("ip link del {}", link.name),),
        verify=("ip -d link show type vxlan",),
        severity=Severity.ERROR if network else Severity.WARNING,
    )
