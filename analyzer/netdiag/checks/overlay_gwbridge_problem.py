"""docker_gwbridge missing/conflicting/ports exhausted.

## What it finds
A container on an overlay network without the second interface, on bridge docker_gwbridge, by which it reaches
everything outside of the overlay.

## Why it matters
The container reaches the others on the overlay network and nothing else: no names of the outside, no downloads, no
databases in the LAN. `docker inspect` shows nothing of it.

## How it is decided
Gates: the engine is in a swarm; a running container is on an overlay network that is not internal, and its interfaces
were collected. One of them must have an address in the subnet of network docker_gwbridge, and the engine must have that
network. Its bridge itself is judged as any other one's.

## Not a problem when
The overlay network is internal, or the container is on a bridge network as well, which is its way out then.

## Repair
Connect the container to docker_gwbridge. When the network itself is gone or has a subnet that collides, make it anew
while no container is on an overlay network (`docker network create --subnet ... -o
com.docker.network.bridge.name=docker_gwbridge -o com.docker.network.bridge.enable_icc=false docker_gwbridge`).

## Verify
The container has a default route and reaches the outside.

## References
moby/moby#31100; docs.docker.com/engine/swarm/networking (customize docker_gwbridge); moby
libnetwork/default_gateway.go.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import Member, members, subject, swarm_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Network
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown

_NAME = "docker_gwbridge"


@check(Severity.ERROR, layer="overlay")
def overlay_gwbridge_problem(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    inside = {member.container.id: member for member in members(host) if not member.network.internal}
    inside = {key: member for key, member in inside.items() if not _has_other_way(host, member)}
    if not inside:
        yield NotApplicable("no container of this node is on overlay networks alone")
        return
    gateway = next((network for network in host.networks if network.name == _NAME), None)
    if gateway is None:
        if host.networks.whole:
            yield _fault(next(iter(inside.values())), None, None)
        else:
            yield unjudged(unknown(f"whether there is a network {_NAME}", "docker_network_inspect"))
        return
    for member in inside.values():
        netns = host.namespace_of(member.container)
        if netns is None or not netns.addresses_known:
            yield unjudged(unknown(f"the interfaces of container {member.container.name}", "ip_addr"))
        elif not _is_on(netns, gateway):
            yield _fault(member, netns, gateway)


def _has_other_way(host: Host, member: Member) -> bool:
    """The container is on a network of another kind, too, that leads outside."""
    networks = (host.network(endpoint.network_id) for endpoint in member.container.endpoints)
    return any(
        network and network.driver not in ("overlay", None) and not network.internal and network.name != _NAME
        for network in networks
    )


def _is_on(netns: Namespace, gateway: Network) -> bool:
    addresses = [address.address.ip for link in netns.links for address in link.addresses]
    return any(address in subnet.subnet for address in addresses for subnet in gateway.subnets)


def _fault(member: Member, netns: Namespace | None, gateway: Network | None) -> Fault:
    name = member.container.name
    links = [link for link in netns.links if link.name != "lo"] if netns else []
    missing = "there is no such network" if gateway is None else "it has no interface there"
    return Fault(
        message=f"container `{name}` on overlay network `{member.network.name}` has no way out by {_NAME}: {missing}",
        subjects=(Subject("container", name), Subject("network", _NAME), subject(member.network)),
        evidence=(
            *([Evidence(links[0].span, f"no interface of {name} is on {_NAME}")] if links else []),
            (related if links else Evidence)(member.endpoint.span, f"{name} is on network {member.network.name}"),
            *((related(gateway.span, "its way out should be here"),) if gateway else ()),
        ),
        remedy=(sh("docker network connect {} {}", _NAME, name),)
        if gateway
        else ("systemctl restart docker", sh("docker restart {}", name)),
        verify=(sh("docker network inspect {}", _NAME),),
    )
