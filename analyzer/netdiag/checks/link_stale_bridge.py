"""Bridge `br-<12 digits>` exists but no Docker network has that id.

## What it finds
A bridge whose name was made of a network id that no network of the engine has.

## Why it matters
Its address and route stay: a new network may get the same range (`Pool overlaps with other one on this address space`),
and packets for that range go to a bridge that nobody uses.

## How it is decided
Gates: the engine is here; the list of networks is whole (`docker network inspect` of all of them). A bridge whose name
is the option `com.docker.network.bridge.name` of a network is that network's. The finding is an error instead of a
warning when the bridge holds an address in the range of a network that has another bridge. When the list of networks is
not whole, it is only said of a bridge that carries the gateway address of a network with another id, and with medium
confidence.

## Not a problem when
A second engine manages the same host (a snap beside a package, Docker in Docker with the host's network): its networks
own the bridge. A bridge with ports, whose addresses no other network has, is a note for that reason.

## Repair
Delete the bridge when no container is attached to it.

## Verify
The bridge is gone and the networks still work.

## References
docker/for-linux#123; moby deleteNetwork ("Failed to remove bridge interface"); moby/moby#17217.
"""

import re

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, confidence_of_absence, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link, Network
from netdiag.model import Host
from netdiag.model.gates import bridge_name, collected, engine_is_here, whole
from netdiag.model.knowledge import all_of

_MADE_BY_DOCKER = re.compile(r"br-([0-9a-f]{12})")


@check(Severity.WARNING, layer="link", symptom_of=("bundle-two-daemons",))
def link_stale_bridge(host: Host) -> Verdicts:
    gate = all_of(
        engine_is_here(host),
        collected(host.root.links, "the links of the host"),
        collected(host.networks, "the networks"),
    )
    if gate.unknown:
        yield unjudged(gate)
        return
    if gate.no:
        yield NotApplicable(gate.why)
        return
    named = {bridge_name(host, network) for network in host.networks}
    for link in host.root.links:
        if not _MADE_BY_DOCKER.fullmatch(link.name) or link.kind not in ("bridge", None) or link.name in named:
            continue
        rival = _network_of_the_same_range(host, link)
        if host.networks.whole or rival:
            yield _fault(host, link, rival)
        else:
            yield unjudged(whole(host.networks, f"whether a network owns {link.name}"))
    if not host.root.links.whole:
        yield unjudged(whole(host.root.links, "whether there are more bridges"))


def _network_of_the_same_range(host: Host, link: Link) -> Network | None:
    """A network with another bridge in whose range the link has an address."""
    addresses = [address.address.ip for address in link.addresses]
    return next((n for n in host.networks for s in n.subnets if any(ip in s.subnet for ip in addresses)), None)


def _fault(host: Host, link: Link, rival: Network | None) -> Fault:
    evidence = [Evidence(link.span, f"no network has an id that begins with {link.name[3:]}")]
    message = f"bridge `{link.name}` belongs to no network in the bundle"
    if rival:
        message += f", but has an address of network `{rival.name}` ({rival.id[:12]})"
        evidence.append(related(rival.span, f"network {rival.name} has the id {rival.id[:12]}"))
        evidence += [related(address.span, "the address") for address in link.addresses if address.span != link.span]
    ports = host.root.ports_of(link.name)
    unused = host.root.links.whole and host.networks.whole and not ports
    if ports:
        message += f"; it has {len(ports)} port{'s' if len(ports) > 1 else ''}, so somebody uses it"
        evidence.append(related(ports[0].span, "a port of it"))
    severity = Severity.ERROR if rival and host.networks.whole else None
    return Fault(
        message=message,
        subjects=(Subject("bridge", link.name),),
        evidence=tuple(evidence),
        remedy=(sh("ip link delete {} type bridge", link.name) if unused else sh("ip link show master {}", link.name),),
        verify=("docker network ls --no-trunc", sh("bridge link show | grep -w {}", link.name)),
        severity=Severity.NOTE if ports and not rival else severity,
        confidence=confidence_of_absence(host.networks),
    )
