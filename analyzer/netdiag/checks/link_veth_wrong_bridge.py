"""Container veth is enslaved to another network's bridge.

## What it finds
The host end of a running container's veth pair that is a port of another device than its network's bridge.

## Why it matters
The container has the right address on the wrong network: its gateway does not answer ARP, nothing reaches it, and its
broadcasts go to containers that it shall be kept apart from.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge whose device exists; both the
host's links and those of the container's namespace were collected. The interface in the container is the one with the
endpoint's address or MAC address, never the one of its number; its peer's `master` is compared with the device that the
network's id or its option `com.docker.network.bridge.name` tells.

## Not a problem when
The container is on several networks: each of its interfaces belongs to one of them, and neither `eth0`, `eth1` nor the
order in `docker inspect` tells to which.

## Repair
Make the veth a port of its own bridge.

## Verify
`bridge link` lists the veth with the right master, and the container's gateway answers.

## References
moby/moby#26492; moby libnetwork/drivers/bridge addToBridge; ip-link(8).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, enslave, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import bridge_name


@check(Severity.ERROR, layer="link")
def link_veth_wrong_bridge(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    for port in ports:
        if port.outer.master not in (None, port.bridge) and host.root.link(port.bridge):
            yield _fault(host, port)


def _fault(host: Host, port: ContainerPort) -> Fault:
    veth, master = port.outer.name, port.outer.master
    owner = next((network.name for network in host.networks if bridge_name(host, network) == master), "")
    whose = f", the bridge of network `{owner}`" if owner else ""
    where = f"`{master}`{whose}"
    return Fault(
        message=f"`{veth}` of container `{port.container}` is a port of {where}, not of `{port.bridge}`",
        subjects=(*port.subjects, Subject("network", port.network)),
        evidence=(
            Evidence(words_of(port.outer.span, f"master {master}"), f"it is a port of {master}"),
            related(port.inner.span, f"its other end, in container {port.container}"),
            related(port.attachment.endpoint.span, f"the container is on network {port.network}, so on {port.bridge}"),
        ),
        remedy=enslave(host, [veth], port.bridge),
        verify=(sh("bridge link show dev {}", veth),),
    )
