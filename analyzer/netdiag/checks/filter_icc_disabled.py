"""Containers of one network are kept from each other on purpose.

## What it finds
A network with `enable_icc=false` (`--icc=false` for the default network) and at least two running containers.

## Why it matters
The containers have addresses in one subnet and names that resolve, and still no connection between them comes about.
Who does not know of the option looks everywhere else first.

## How it is decided
The network is a local bridge and not swarm's docker_gwbridge, which always has the option; two containers or more run
on it; and iptables sees what its bridge carries (`net.bridge.bridge-nf-call-iptables`, or the bridge's own setting),
without which the option has no effect. All such networks are one note.

## Not a problem when
It is meant: this note only explains.

## Repair
Put containers that belong together on a network of their own.

## Verify
The containers reach each other by their names on the new network.

## References
moby/moby#12071; moby/moby#31453; moby integration/network/bridge/iptablesdoc/generated/usernet-portmap-noicc.md.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, docker_networks, other_networks, related, sh
from netdiag.checks._wanted import filters_bridged
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import bridge_option

_GATEWAY_BRIDGE = "docker_gwbridge"


@check(Severity.NOTE, layer="filter")
def filter_icc_disabled(host: Host) -> Verdicts:
    bridges, others = docker_networks(host)
    yield from others
    yield from other_networks(host)
    if not bridges:
        return
    apart = [each for each in bridges if bridge_option(each.network, "enable_icc") == "false"]
    members: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attachments(host, apart):
        if attachment.bridge.network.name != _GATEWAY_BRIDGE and filters_bridged(host, attachment.bridge.device):
            members[attachment.bridge.network.name].append(attachment)
    hit = {name: found for name, found in members.items() if len(found) > 1}
    if hit:
        yield _note(hit)


def _note(hit: dict[str, list[Attachment]]) -> Fault:
    names = ", ".join(f"`{name}`" for name in hit)
    first = next(iter(hit.values()))
    one, other = first[0].container, first[1].container
    return Fault(
        message=f"containers on network {names} do not reach each other: enable_icc=false",
        subjects=tuple(Subject("network", name) for name in hit),
        evidence=(
            *(Evidence(found[0].bridge.network.span, f"network {name} has the option") for name, found in hit.items()),
            related(first[0].endpoint.span, f"container {one.name} is on it"),
            related(first[1].endpoint.span, f"container {other.name} is on it"),
        ),
        remedy=(
            "docker network create together",
            *(sh("docker network connect together {}", container.name) for container in (one, other)),
        ),
        verify=(sh("docker network inspect {}", next(iter(hit))),),
    )
