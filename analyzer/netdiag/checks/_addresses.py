"""What several checks ask of the addresses of containers and bridges: where an endpoint's interface is, which addresses
a bridge has and shall have, and how to run a command beside a container.
"""

from collections import defaultdict
from dataclasses import dataclass

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import BridgeNetwork, attachments, bridge_networks, interface_of, other_containers, sh
from netdiag.finding import Subject
from netdiag.formats.records import Address, Container, Endpoint, IpAddress, IpInterface, Link, Network, Subnet
from netdiag.model import Gate, Host, Namespace
from netdiag.model.gates import (
    bridge_name,
    bridge_option,
    collected,
    has_own_namespace,
    is_running,
    is_settled,
    no,
    unknown,
    whole,
)
from netdiag.model.knowledge import YES, all_of
from netdiag.spans import Span


@dataclass(frozen=True)
class Seat:
    """An endpoint of a running container and the namespace that it is in. `link` is its interface there, None when no
    interface there can be told to be the endpoint's.
    """

    container: Container
    endpoint: Endpoint
    netns: Namespace
    link: Link | None

    @property
    def subject(self) -> Subject:
        return Subject("container", self.container.name)

    @property
    def interface(self) -> Subject:
        """The interface, by which the findings of it belong together."""
        return interface_of(self.container, self.endpoint)

    @property
    def is_cut_off(self) -> bool:
        """The interface is down, or there is none."""
        return self.link is None or self.link.up is False

    @property
    def addresses(self) -> tuple[IpInterface, ...]:
        """The addresses that the engine gave it."""
        return tuple(address for address in (self.endpoint.address, self.endpoint.address6) if address)


def seats(host: Host) -> tuple[list[Seat], list[Unjudged | NotApplicable]]:
    """The endpoints of all running containers that have a namespace of their own and were there before the collection
    began; and what to say of others.
    """
    known = collected(host.containers, "which containers run")
    if known.unknown:
        return [], [unjudged(known)]
    found: list[Seat] = []
    others: list[Unjudged | NotApplicable] = []
    not_seen: list[str] = []
    for container in host.containers:
        if not all_of(is_running(container), has_own_namespace(container)).yes or not container.endpoints:
            continue
        settled = is_settled(host, f"container {container.name}", container.started)
        netns = host.namespace_of(container)
        if not settled.yes:
            others.append(unjudged(settled))
        elif netns is None or not netns.addresses_known:
            not_seen.append(container.name)
        else:
            found += [Seat(container, each, netns, _link_of(host, netns, each)) for each in container.endpoints]
    others += other_containers(host, "which containers run")
    if not_seen:
        what = f"which addresses {', '.join(not_seen)} really have"
        others.append(unjudged(unknown(what, "ip_addr", because="their namespaces were not collected")))
    if not found and not others:
        others.append(NotApplicable("no running container has a network of its own"))
    return found, others


def _link_of(host: Host, netns: Namespace, endpoint: Endpoint) -> Link | None:
    """The interface of an endpoint: the one with its address or MAC address, else the only one whose veth is a port of
    the network's bridge.
    """
    known = netns.link_of(endpoint)
    network = host.network(endpoint.network_id)
    if known or network is None:
        return known
    device = bridge_name(host, network)
    pairs = (host.veth_pair_of(netns, link) for link in netns.links)
    on_bridge = [pair.inner for pair in pairs if pair and pair.outer.master == device]
    return on_bridge[0] if len(on_bridge) == 1 else None


@dataclass(frozen=True)
class Carried:
    """A subnet of a bridge network, the bridge, and the addresses of the subnet that it carries."""

    bridge: BridgeNetwork
    subnet: Subnet
    link: Link
    addresses: tuple[Address, ...]
    affects: tuple[Subject, ...]

    def has(self, gateway: IpAddress) -> bool:
        """It carries the gateway's address, with the subnet's prefix length."""
        length = self.subnet.subnet.prefixlen
        return any(a.address.ip == gateway and a.address.network.prefixlen == length for a in self.addresses)


def bridges_with_subnets(host: Host) -> tuple[list[Carried], list[Unjudged | NotApplicable]]:
    """Each subnet that a bridge on the host shall carry the gateway of, when that may be judged; and what to say of
    others. A bridge that does not exist is no open question here.
    """
    links = host.root.links
    addresses = YES if host.root.addresses_known else unknown("the addresses of the host", "ip_addr")
    bridges, others = bridge_networks(host, collected(links, "the links of the host"), addresses)
    found: list[Carried] = []
    members = containers_of(host, bridges)
    for bridge in bridges:
        link = host.root.link(bridge.device)
        for subnet in bridge.network.subnets if link else ():
            if link and wants_address(host, bridge.network, subnet.subnet.version).yes:
                held = tuple(a for a in link.addresses if a.address.ip in subnet.subnet)
                found.append(Carried(bridge, subnet, link, held, members.get(bridge.network.id, ())))
        if link is None and not links.whole:
            others.append(unjudged(whole(links, f"which addresses {bridge.device} has")))
    return found, others


def containers_of(host: Host, bridges: list[BridgeNetwork]) -> dict[str, tuple[Subject, ...]]:
    """The running containers on each network, by its id."""
    found: dict[str, list[Subject]] = defaultdict(list)
    for attachment in attachments(host, bridges):
        found[attachment.endpoint.network_id].append(Subject("container", attachment.container.name))
    return {network: tuple(subjects) for network, subjects in found.items()}


def wants_address(host: Host, network: Network, version: int) -> Gate:
    """The bridge of the network is meant to carry the address of the gateway."""
    without = (
        (network.enable_ipv4 if version == 4 else network.enable_ipv6) is False
        or (version == 4 and bridge_option(network, "inhibit_ipv4") == "true")
        or bridge_option(network, f"gateway_mode_ipv{version}") == "isolated"
    )
    if network.name == "bridge":
        without = (
            without or host.engine.setting("default-gateway" if version == 4 else "default-gateway-v6") is not None
        )
    return no(f"the bridge of network {network.name} shall have no address") if without else YES


def start_error(container: Container) -> Span:
    """Where the engine says why the container could not start."""
    return (container.error_place or container.place).span


def shown(container: Container) -> str:
    """The command that shows the engine's record of a container."""
    return sh("{} inspect {}", container.engine, container.name)


def inside(container: Container, command: str) -> str:
    """The command line, run by a tool of the host in the network namespace of a container.

    The engine is asked for the process anew: by the time that somebody pastes the command, the number that the bundle
    tells may be that of another process.
    """
    process = sh("$({} inspect -f '{{{{.State.Pid}}}}' {})", container.engine, container.name)
    return f"nsenter -t {process} -n {command}"
