"""The facts of one host, joined from all documents. Facts only: what is wrong with them is for the checks to say.

Every fact keeps the span it was read from; every list says how complete it is (`Facts.extent`).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Address

from netdiag.formats.records import (
    BridgePort,
    BridgeVlan,
    ConntrackStatistics,
    Container,
    FdbEntry,
    HostNames,
    IpAddress,
    IpSet,
    KernelCounter,
    Link,
    NameServer,
    Neighbour,
    Network,
    NextHopObject,
    PolicyRule,
    Qdisc,
    ResolverSetting,
    Route,
    Socket,
    SoftnetCounters,
    Subnet,
    Sysctl,
)
from netdiag.model.engine import Engine, Podman
from netdiag.model.firewall import FirewallTable
from netdiag.model.knowledge import Facts
from netdiag.model.movement import Movement
from netdiag.model.nftables import NativeTable
from netdiag.model.packets import Ground
from netdiag.model.routing import Routing


@dataclass(frozen=True)
class Namespace:
    """One network namespace. `id` is `host` or `netns:<container id>`; `containers` are the ids of those that live in
    it. `routes` and `rules` are those of IPv4.

    `counters` are those of the kernel's protocols (`nstat`), `name_servers`, `resolver` and `names` what its processes
    read in resolv.conf and hosts.
    """

    id: str
    name: str
    containers: tuple[str, ...] = ()
    links: Facts[Link] = field(default_factory=Facts)
    addresses_known: bool = False
    routes: Facts[Route] = field(default_factory=Facts)
    rules: Facts[PolicyRule] = field(default_factory=Facts)
    ipv6_routes: Facts[Route] = field(default_factory=Facts)
    ipv6_rules: Facts[PolicyRule] = field(default_factory=Facts)
    nexthops: Facts[NextHopObject] = field(default_factory=Facts)
    neighbours: Facts[Neighbour] = field(default_factory=Facts)
    bridge_ports: Facts[BridgePort] = field(default_factory=Facts)
    bridge_vlans: Facts[BridgeVlan] = field(default_factory=Facts)
    fdb: Facts[FdbEntry] = field(default_factory=Facts)
    sockets: Facts[Socket] = field(default_factory=Facts)
    sysctls: Facts[Sysctl] = field(default_factory=Facts)
    qdiscs: Facts[Qdisc] = field(default_factory=Facts)
    counters: Facts[KernelCounter] = field(default_factory=Facts)
    name_servers: Facts[NameServer] = field(default_factory=Facts)
    resolver: Facts[ResolverSetting] = field(default_factory=Facts)
    names: Facts[HostNames] = field(default_factory=Facts)
    firewall: Facts[FirewallTable] = field(default_factory=Facts)
    nftables: Facts[NativeTable] = field(default_factory=Facts)
    ipsets: Facts[IpSet] = field(default_factory=Facts)

    @cached_property
    def ground(self) -> Ground:
        """What firewall rules ask of the namespace rather than of the packet."""
        addresses = [address for link in self.links for address in link.addresses]
        return Ground(
            local=frozenset(each.address.ip for each in addresses) if self.addresses_known else None,
            broadcast=frozenset(each.broadcast for each in addresses if each.broadcast),
            ipsets={each.name: each for each in self.ipsets},
        )

    @cached_property
    def _link_by_name(self) -> Mapping[str, Link]:
        return {link.name: link for link in reversed(self.links.items)}

    def link(self, name: str) -> Link | None:
        return self._link_by_name.get(name)

    @cached_property
    def _sysctl_by_key(self) -> Mapping[str, Sysctl]:
        return {sysctl.key: sysctl for sysctl in reversed(self.sysctls.items)}

    def sysctl(self, key: str) -> Sysctl | None:
        return self._sysctl_by_key.get(key)

    @cached_property
    def _counter_by_name(self) -> Mapping[str, KernelCounter]:
        return {counter.name: counter for counter in reversed(self.counters.items)}

    def counter(self, name: str) -> KernelCounter | None:
        return self._counter_by_name.get(name)

    @cached_property
    def routing(self) -> Routing:
        """Where packets go from here."""
        return Routing(self)

    def tables(self, name: str, family: str = "ipv4") -> tuple[FirewallTable, ...]:
        """The tables of this name in every backend that was collected."""
        return tuple(table for table in self.firewall if table.name == name and table.family == family)


@dataclass(frozen=True)
class VethPair:
    """A veth of the host and its other end in another namespace, joined because each names the other's ifindex."""

    outer: Link
    inner: Link
    namespace: str


@dataclass(frozen=True)
class Host:
    """One host. `namespaces` has the host's own namespace first. `containers` and `networks` are those of every
    engine; `engine` is Docker.

    `softnet` has a line for each CPU, `conntrack` the counters of connection tracking, likewise.

    `collected_from` is when the collection began by the host's own clock, None when the bundle does not tell.
    `movement` is what moved while it went on, None when the collector did not look twice.
    """

    name: str
    namespaces: tuple[Namespace, ...]
    containers: Facts[Container]
    networks: Facts[Network]
    engine: Engine
    podman: Podman = field(default_factory=Podman)
    veth_pairs: tuple[VethPair, ...] = ()
    softnet: Facts[SoftnetCounters] = field(default_factory=Facts)
    conntrack: Facts[ConntrackStatistics] = field(default_factory=Facts)
    collected_from: datetime | None = None
    movement: Movement | None = None

    @property
    def root(self) -> Namespace:
        """The host's own network namespace."""
        return self.namespaces[0]

    @cached_property
    def _namespace_by_container(self) -> Mapping[str, Namespace]:
        return {container: netns for netns in reversed(self.namespaces) for container in netns.containers}

    @cached_property
    def _network_by_id(self) -> Mapping[str, Network]:
        return {network.id: network for network in reversed(self.networks.items)}

    @cached_property
    def _container_by_id(self) -> Mapping[str, Container]:
        return {container.id: container for container in reversed(self.containers.items)}

    @cached_property
    def networks_in_use(self) -> frozenset[str]:
        """The ids of the networks that a running container is on, as far as the containers are known."""
        return frozenset(
            endpoint.network_id
            for container in self.containers
            if container.state in ("running", "paused")
            for endpoint in container.endpoints
        )

    @cached_property
    def _pair_by_inner(self) -> Mapping[tuple[str, str], VethPair]:
        return {(pair.namespace, pair.inner.name): pair for pair in self.veth_pairs}

    @cached_property
    def _addresses_by_container(self) -> Mapping[str, tuple[IPv4Address, ...]]:
        found: dict[str, dict[IPv4Address, None]] = defaultdict(dict)
        for container in self.containers:
            for endpoint in container.endpoints:
                if endpoint.address:
                    found[container.id][endpoint.address.ip] = None
        for network in self.networks:
            for member in network.members or ():
                if member.address:
                    found[member.container_id][member.address.ip] = None
        return {container: tuple(addresses) for container, addresses in found.items()}

    @cached_property
    def _gateways_of_endpoints(self) -> Mapping[tuple[str, int], IpAddress]:
        found: dict[tuple[str, int], IpAddress] = {}
        for container in self.containers:
            for endpoint in container.endpoints:
                for gateway in (endpoint.gateway, endpoint.gateway6):
                    if gateway:
                        found.setdefault((endpoint.network_id, gateway.version), gateway)
        return found

    def gateway_of(self, network: Network, subnet: Subnet) -> IpAddress | None:
        """The gateway of a subnet; where the network's own record does not have it (Docker 20.10 leaves out one that
        nobody chose), that of an endpoint.
        """
        return subnet.gateway or self._gateways_of_endpoints.get((network.id, subnet.subnet.version))

    def namespace_of(self, container: Container) -> Namespace | None:
        """The namespace that the container lives in, None when it was not collected."""
        return self._namespace_by_container.get(container.id)

    def network(self, network_id: str) -> Network | None:
        return self._network_by_id.get(network_id)

    def container(self, container_id: str) -> Container | None:
        return self._container_by_id.get(container_id)

    def veth_pair_of(self, netns: Namespace, inner: Link) -> VethPair | None:
        """The pair that a link of a namespace is the inner end of."""
        return self._pair_by_inner.get((netns.id, inner.name))

    def addresses_of(self, container: Container) -> tuple[IPv4Address, ...]:
        """The container's IPv4 addresses on every network, also on those that only list it as a member (the gateway
        bridge of swarm).
        """
        return self._addresses_by_container.get(container.id, ())
