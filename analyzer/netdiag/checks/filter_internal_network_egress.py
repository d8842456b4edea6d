"""Containers that have internal networks only: no way out, and no published ports.

## What it finds
A running container all of whose networks are `--internal`.

## Why it matters
Updates, time and name servers outside are out of reach, and ports that were to be published are not, without an error
from the engine.

## How it is decided
The container runs in a namespace of its own, and every network that it is on is a local bridge that is known to be
internal. All such containers are one note. That it asks for ports, which are then ignored, is told beside.

## Not a problem when
It is meant, as for a database: this note only explains.

## Repair
Connect the container to a network that is not internal, or reach it by a proxy that is on both.

## Verify
The container has a default route.

## References
docs.docker.com/engine/network (`--internal`); moby
integration/network/bridge/iptablesdoc/generated/usernet-internal.md.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, bridge_networks, other_networks, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host

_MOST_SHOWN = 6


@check(Severity.NOTE, layer="filter")
def filter_internal_network_egress(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host)
    yield from others
    yield from other_networks(host)
    if not bridges:
        return
    shut: dict[str, Attachment] = {}
    for attachment in attachments(host, bridges):
        networks = [host.network(endpoint.network_id) for endpoint in attachment.container.endpoints]
        if networks and all(network and network.internal for network in networks):
            shut.setdefault(attachment.container.id, attachment)
    if shut:
        open_ = [each.network.name for each in bridges if each.network.internal is False]
        yield _note(list(shut.values()), open_[0] if open_ else "bridge")


def _note(shut: list[Attachment], way_out: str) -> Fault:
    shown = shut[:_MOST_SHOWN]
    names = ", ".join(f"`{each.container.name}`" for each in shown)
    more = f" and {len(shut) - len(shown)} more" if len(shut) > len(shown) else ""
    asking = [each.container for each in shown if each.container.wanted_ports and not each.container.ports]
    return Fault(
        message=f"no way out of container {names}{more}: its networks are internal"
        if len(shut) == 1
        else f"no way out of containers {names}{more}: their networks are internal",
        subjects=tuple(Subject("container", each.container.name) for each in shown),
        evidence=(
            *(Evidence(each.endpoint.span, f"container {each.container.name} is on it") for each in shown),
            related(shown[0].bridge.network.span, f"network {shown[0].bridge.network.name} is internal"),
            *(
                related((container.wanted_ports or ())[0].span, f"container {container.name} asks for it in vain")
                for container in asking
            ),
        ),
        remedy=tuple(sh("docker network connect {} {}", way_out, each.container.name) for each in shown),
        verify=(sh("docker exec {} ip route", shown[0].container.name),),
    )
