"""The overlay networks of a swarm as one of its nodes sees them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import sh
from netdiag.finding import Subject
from netdiag.formats.records import Container, Endpoint, IpAddress, Link, Network, NetworkPeer, Swarm
from netdiag.model import Host, Namespace
from netdiag.model.gates import engine_is_here, has_own_namespace, is_running, unknown
from netdiag.model.knowledge import all_of

#: UDP ports of the tunnels: the default, which only a manager tells otherwise.
DEFAULT_PORT = 4789

#: What VXLAN takes of the underlay's MTU (moby libnetwork/drivers/overlay: vxlanEncap).
ENCAPSULATION = 50

_DEFAULT_MTU = 1500
_MTU = "com.docker.network.driver.mtu"
_IDS = "com.docker.network.driver.overlay.vxlanid_list"

#: `<service>.<slot or node>.<task>`, as swarm names the containers of services.
_TASK = re.compile(r"(?P<service>.+)\.(?:\d+|[0-9a-z]{25})\.[0-9a-z]{25}")


@dataclass(frozen=True)
class Member:
    """A running container's endpoint on an overlay network."""

    container: Container
    endpoint: Endpoint
    network: Network


def swarm_of(host: Host) -> tuple[Swarm | None, list[Unjudged | NotApplicable]]:
    """The swarm that the engine is part of; or what to say when it is in none, or the bundle does not tell."""
    gate = engine_is_here(host)
    if gate.no:
        return None, [NotApplicable(gate.why)]
    info = host.engine.info
    if info is None:
        return None, [unjudged(unknown("whether the engine is in a swarm", "docker_info"))]
    if info.swarm is None or info.swarm_state != "active":
        return None, [NotApplicable("the engine is not in a swarm")]
    return info.swarm, []


def overlay_networks(host: Host) -> list[Network]:
    return [network for network in host.networks if network.driver == "overlay"]


def members(host: Host) -> Iterator[Member]:
    """The endpoints of running containers on overlay networks."""
    overlays = {network.id: network for network in overlay_networks(host)}
    for container in host.containers:
        if all_of(is_running(container), has_own_namespace(container)).yes:
            for endpoint in container.endpoints:
                if endpoint.network_id in overlays:
                    yield Member(container, endpoint, overlays[endpoint.network_id])


def networks_in_use(
    host: Host, *, also_ingress: bool = False
) -> tuple[Swarm | None, list[Network], list[Unjudged | NotApplicable]]:
    """The engine's swarm and the overlay networks that containers of this node are on; and what to say without them.

    The ingress network is in use on a node without containers, too.
    """
    swarm, others = swarm_of(host)
    if swarm is None:
        return None, [], others
    used = {member.network.id for member in members(host)}
    networks = [each for each in overlay_networks(host) if each.id in used or (also_ingress and each.ingress)]
    if not networks:
        return None, [], [NotApplicable("no container of this node is on an overlay network")]
    return swarm, networks, []


def service_of(container: Container) -> str | None:
    """The name of the service that the container is a task of."""
    found = _TASK.fullmatch(container.name)
    return found["service"] if found else None


def own_addresses(host: Host, swarm: Swarm) -> frozenset[IpAddress]:
    """The addresses of this node that the others send its tunnels' packets to."""
    local = host.root.ground.local or frozenset()
    told = (peer.address for network in overlay_networks(host) for peer in network.peers if peer.address in local)
    return frozenset((*told, *((swarm.node_address,) if swarm.node_address else ())))


def other_peers(host: Host, swarm: Swarm) -> list[NetworkPeer]:
    """The other nodes that have endpoints on overlay networks, each once."""
    own = own_addresses(host, swarm)
    found = {peer.address: peer for network in overlay_networks(host) for peer in network.peers}
    return [peer for address, peer in found.items() if address not in own]


def is_alone(host: Host, swarm: Swarm) -> bool:
    """No other node is to be seen."""
    own = own_addresses(host, swarm)
    others = any(manager not in own for manager in swarm.managers)
    return not others and not other_peers(host, swarm) and (swarm.nodes is None or swarm.nodes < 2)


def underlay(host: Host, swarm: Swarm) -> Link | None:
    """The link that carries the tunnels."""
    own = own_addresses(host, swarm)
    found = (link for link in host.root.links if any(address.address.ip in own for address in link.addresses))
    return next(found, None)


def outer_mtu(network: Network) -> int:
    """The MTU that the underlay must have for an overlay network."""
    text = (network.options or {}).get(_MTU, "")
    return int(text) if text.isdecimal() else _DEFAULT_MTU


def chose_mtu(network: Network) -> bool:
    """Somebody set the network's MTU."""
    return _MTU in (network.options or {})


def vxlan_ids(network: Network) -> list[str]:
    return [text for text in (network.options or {}).get(_IDS, "").split(",") if text]


def is_encrypted(network: Network) -> bool:
    return "encrypted" in (network.options or {})


def sandbox_of(host: Host, network: Network) -> Namespace | None:
    """The engine's namespace of an overlay network, with its bridge and its tunnels."""
    name = f"1-{network.id[:10]}"
    return next((netns for netns in host.namespaces if netns.name == name), None)


def in_sandbox(network: Network) -> str:
    """What to write before a command that shall run in the namespace of an overlay network."""
    return sh("nsenter --net=/run/docker/netns/{} ", f"1-{network.id[:10]}")


def subject(network: Network) -> Subject:
    return Subject("network", network.name)


def made_anew(host: Host, network: Network, options: str) -> tuple[str, ...]:
    """The commands that make an overlay network again with other options, and move its containers there."""
    if network.ingress:
        return (
            f"echo y | docker network rm {network.name}",
            _until_it_has_gone(network),
            sh(f"docker network create -d overlay --ingress {options} {{}}", network.name),
        )
    here = [member for member in members(host) if member.network.id == network.id]
    services = sorted({service for member in here if (service := service_of(member.container))})
    alone = [member.container.name for member in here if not service_of(member.container)]
    new = network.name if not services else f"{network.name}-new"
    attachable = "--attachable " if network.attachable else ""
    create = sh(f"docker network create -d overlay {attachable}{options} {{}}", new).replace("  ", " ")
    if services:
        moves = (
            sh("docker service update --network-rm {} --network-add {} {}", network.name, new, each)
            for each in services
        )
        return (create, *moves)
    leave = (sh("docker network disconnect {} {}", network.name, name) for name in alone)
    join = (sh("docker network connect {} {}", new, name) for name in alone)
    return (*leave, sh("docker network rm {}", network.name), _until_it_has_gone(network), create, *join)


def _until_it_has_gone(network: Network) -> str:
    """A manager says that it removes a network before it has done so, and until then refuses another of that name. It
    waits half a minute, not for ever: a network that is still in use does not go.
    """
    return sh("for i in $(seq 30); do docker network inspect {} >/dev/null 2>&1 || break; sleep 1; done", network.name)
