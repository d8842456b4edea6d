"""No address is left on a network.

## What it finds
A network whose range of IPv4 addresses is used up, or a container that could not be started for that reason.

## Why it matters
The next container fails to start: "no available IPv4 addresses on this network's address pools".

## How it is decided
Gates: the network was inspected. The range is `IPRange`, else the subnet without its first and its last address. Used
are the addresses of running containers, the gateway, and those of `--aux-address`. It is an error when the last start
of a container failed for that reason, else a warning. When it did although addresses seem to be left, they are free
again since, or endpoints that the engine has lost hold them: then the confidence is medium.

## Not a problem when
The network is made for a fixed number of containers that all run: a range with room for at most two of them is not
judged unless one could not start.

## Repair
Make the network anew with a larger subnet and put its containers back; or stop containers that are not needed. Static
addresses of the old subnet are lost with it. In a compose file, change `ipam` of the network and run
`docker compose up -d`.

## Verify
Another container starts on the network.

## References
moby/moby#18527; moby/moby#32484; moby/moby#21967; moby libnetwork/ipam.
"""

import re
from collections import defaultdict
from ipaddress import IPv4Network

from netdiag.checks._addresses import start_error
from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import no_networks, related, sh
from netdiag.checks._renumber import renumbered
from netdiag.checks._subnets import spare_block
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, IpAddress, Network, Subnet
from netdiag.model import Host
from netdiag.model.gates import is_running, whole

_NONE_LEFT = re.compile(r"no available IPv4 addresses on this network's address pools: \S+ \(([0-9a-f]{64})\)")

#: A range with room for no more containers than this was made so on purpose.
_FEW = 2
_LONGEST_NEW_PREFIX = 24


@check(Severity.ERROR, layer="address")
def address_subnet_full(host: Host) -> Verdicts:
    if not host.networks.items:
        yield no_networks(host)
        return
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers hold addresses"))
    refused, used = _refused(host), _used(host)
    for network in host.networks:
        for subnet in network.subnets:
            if isinstance(subnet.subnet, IPv4Network):
                yield from _judge(host, network, subnet, used[network.id], refused[network.id])


def _judge(host: Host, network: Network, subnet: Subnet, used: set[IpAddress], refused: list[Container]) -> Verdicts:
    gateway, within = host.gateway_of(network, subnet), subnet.range or subnet.subnet
    held = {each for each in (*used, *subnet.reserved, gateway) if each and each in within}
    room = within.num_addresses - sum(end in within for end in (subnet.subnet[0], subnet.subnet[-1]))
    if len(held) >= room and (refused or room > _FEW + 1):
        yield _fault(host, network, subnet, refused, f"all {room} addresses of {within} on", Confidence.HIGH)
    elif refused:
        yield _fault(
            host, network, subnet, refused, f"{len(held)} of {room} addresses of {within} on", Confidence.MEDIUM
        )


def _refused(host: Host) -> dict[str, list[Container]]:
    """The containers whose last start failed for want of an address, by the network that had none, which the engine
    names.
    """
    found: dict[str, list[Container]] = defaultdict(list)
    for container in host.containers:
        none_left = _NONE_LEFT.search(container.error or "")
        if none_left and is_running(container).no:
            found[none_left[1]].append(container)
    return found


def _used(host: Host) -> dict[str, set[IpAddress]]:
    found: dict[str, set[IpAddress]] = defaultdict(set)
    for container in host.containers:
        for endpoint in container.endpoints:
            if endpoint.address:
                found[endpoint.network_id].add(endpoint.address.ip)
    for network in host.networks:
        found[network.id] |= {member.address.ip for member in network.members or () if member.address}
    return found


def _fault(
    host: Host, network: Network, subnet: Subnet, refused: list[Container], taken: str, confidence: Confidence
) -> Fault:
    without = f"; {', '.join(f'`{container.name}`' for container in refused)} could not start" if refused else ""
    return Fault(
        message=f"{taken} network `{network.name}` are used{without}",
        subjects=(Subject("network", network.name), *(Subject("container", container.name) for container in refused)),
        evidence=(
            Evidence(subnet.span, f"the addresses of network {network.name}"),
            *(related(start_error(container), f"{container.name} could not start") for container in refused),
        ),
        remedy=renumbered(host, network, spare_block(host, min(subnet.subnet.prefixlen - 1, _LONGEST_NEW_PREFIX))),
        verify=(sh("{} network inspect {}", network.engine, network.name),),
        severity=None if refused else Severity.WARNING,
        confidence=confidence,
    )
