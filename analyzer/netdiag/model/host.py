"""The facts of one host, joined from all documents. Facts only: what is wrong with them is for the checks to say.

Every fact keeps the span it was read from; every list says how complete it is (`Facts.extent`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from ipaddress import IPv4Address
from typing import TypeVar

from netdiag.formats.records import (
    BridgePort,
    BridgeVlan,
    ConntrackEntry,
    ConntrackStatistics,
    Container,
    Endpoint,
    FdbEntry,
    HostNames,
    IpAddress,
    IpSet,
    IptablesVersion,
    KernelCounter,
    KernelMessage,
    Link,
    LogLine,
    ManagedLink,
    NamedNamespace,
    NameServer,
    NamespaceInUse,
    Neighbour,
    Network,
    NextHopObject,
    PolicyRule,
    ProcessLine,
    Qdisc,
    ResolverRemark,
    ResolverSetting,
    Route,
    Socket,
    SoftnetCounters,
    Subnet,
    Sysctl,
)
from netdiag.model.bridges import Bridge
from netdiag.model.ebtables import FrameTable
from netdiag.model.engine import Engine, Podman
from netdiag.model.firewall import FirewallTable
from netdiag.model.gaps import Gap
from netdiag.model.knowledge import Facts
from netdiag.model.movement import Movement
from netdiag.model.nftables import NativeTable
from netdiag.model.nics import Nic
from netdiag.model.packets import Ground
from netdiag.model.peers import VethPair
from netdiag.model.proxies import PortProxy
from netdiag.model.routing import Routing
from netdiag.model.traces import Traces
from netdiag.plain import NOT_SHOWN

T = TypeVar("T")
K = TypeVar("K")


class NamespaceKind(Enum):
    """Whose a network namespace is, as far as the place tells by which it was entered."""

    HOST = "host"
    CONTAINER = "container"
    ENGINE = "engine"  #: a sandbox of Docker's that is no running container's: `ingress_sbox`, `1-...`, a leaked one
    NAMED = "named"  #: one of `ip netns`, as CNI plug-ins and podman make them
    PROCESS = "process"  #: known by a process in it only
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Namespace:
    """One network namespace. `id` is `host`, `netns:<container id>`, or `netns:<name>` of one that is no container's;
    `containers` are the ids of those that live in it. `routes` and `rules` are those of IPv4. `proxied` are the IPv6
    addresses of others that it answers for.

    `path` is the file by which it was entered (empty for the host's), `number` the inode by which the kernel knows it,
    `in_use` its row of `lsns`. `bridges` are those of the other outputs, with their ports.

    `counters` are those of the kernel's protocols (`nstat`), `connections` what the kernel tracks, `name_servers`,
    `resolver` and `names` what its processes read in resolv.conf and hosts, `resolver_remarks` what Docker notes there.
    `nics` are devices by what their drivers say (`ethtool`).
    """

    id: str
    name: str
    containers: tuple[str, ...] = ()
    kind: NamespaceKind = NamespaceKind.UNKNOWN
    path: str = ""
    number: int | None = None
    in_use: NamespaceInUse | None = None
    links: Facts[Link] = field(default_factory=Facts)
    addresses_known: bool = False
    routes: Facts[Route] = field(default_factory=Facts)
    rules: Facts[PolicyRule] = field(default_factory=Facts)
    ipv6_routes: Facts[Route] = field(default_factory=Facts)
    ipv6_rules: Facts[PolicyRule] = field(default_factory=Facts)
    nexthops: Facts[NextHopObject] = field(default_factory=Facts)
    neighbours: Facts[Neighbour] = field(default_factory=Facts)
    proxied: Facts[Neighbour] = field(default_factory=Facts)
    bridge_ports: Facts[BridgePort] = field(default_factory=Facts)
    bridge_vlans: Facts[BridgeVlan] = field(default_factory=Facts)
    fdb: Facts[FdbEntry] = field(default_factory=Facts)
    sockets: Facts[Socket] = field(default_factory=Facts)
    sysctls: Facts[Sysctl] = field(default_factory=Facts)
    qdiscs: Facts[Qdisc] = field(default_factory=Facts)
    nics: Facts[Nic] = field(default_factory=Facts)
    counters: Facts[KernelCounter] = field(default_factory=Facts)
    connections: Facts[ConntrackEntry] = field(default_factory=Facts)
    name_servers: Facts[NameServer] = field(default_factory=Facts)
    resolver: Facts[ResolverSetting] = field(default_factory=Facts)
    resolver_remarks: Facts[ResolverRemark] = field(default_factory=Facts)
    names: Facts[HostNames] = field(default_factory=Facts)
    firewall: Facts[FirewallTable] = field(default_factory=Facts)
    nftables: Facts[NativeTable] = field(default_factory=Facts)
    ipsets: Facts[IpSet] = field(default_factory=Facts)
    ebtables: Facts[FrameTable] = field(default_factory=Facts)
    bridges: tuple[Bridge, ...] = ()

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

    def link_of(self, endpoint: Endpoint) -> Link | None:
        """The interface of an endpoint: the one with its address, else the one that alone has its MAC address."""
        wanted = {address.ip for address in (endpoint.address, endpoint.address6) if address}
        by_address = (link for link in self.links if any(each.address.ip in wanted for each in link.addresses))
        by_mac = [link for link in self.links if endpoint.mac and link.mac == endpoint.mac.lower()]
        return next(by_address, by_mac[0] if len(by_mac) == 1 else None)

    @property
    def holds_outer_ends(self) -> bool:
        """Whether the outer ends of containers' veths are in it: the host's, and the sandboxes of overlay networks."""
        return self.kind in (NamespaceKind.HOST, NamespaceKind.ENGINE)

    @cached_property
    def _bridge_by_name(self) -> Mapping[str, Bridge]:
        return {bridge.name: bridge for bridge in self.bridges}

    def bridge(self, name: str) -> Bridge | None:
        return self._bridge_by_name.get(name)

    def runs_stp(self, name: str) -> bool | None:
        """Whether a bridge runs the spanning tree protocol, None where nothing tells."""
        found = self.bridge(name)
        return found.stp if found else None

    @cached_property
    def _learned_by_mac(self) -> Mapping[str, Sequence[FdbEntry]]:
        return _grouped((entry.mac.lower(), entry) for entry in self.fdb if not {"permanent", "self"} & {*entry.flags})

    def learned(self, mac: str) -> Sequence[FdbEntry]:
        """Where bridges have learned a MAC address, or were told it by hand."""
        return self._learned_by_mac.get(mac.lower(), ())

    @cached_property
    def _neighbours_by_address(self) -> Mapping[IpAddress, Sequence[Neighbour]]:
        return _grouped((neighbour.address, neighbour) for neighbour in self.neighbours)

    def neighbours_at(self, address: IpAddress) -> Sequence[Neighbour]:
        """What is known of the MAC address of a neighbour, on every interface."""
        return self._neighbours_by_address.get(address, ())

    @cached_property
    def _links_by_master(self) -> Mapping[str, tuple[Link, ...]]:
        found: dict[str, list[Link]] = defaultdict(list)
        for link in self.links:
            if link.master:
                found[link.master].append(link)
        return {master: tuple(links) for master, links in found.items()}

    def ports_of(self, master: str) -> tuple[Link, ...]:
        """The links that are ports of this bridge, or otherwise below this link."""
        return self._links_by_master.get(master, ())

    def nic(self, name: str) -> Nic | None:
        return next((nic for nic in self.nics if nic.name == name), None)

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


def _grouped(pairs: Iterable[tuple[K, T]]) -> Mapping[K, Sequence[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


@dataclass(frozen=True)
class Host:
    """One host. `namespaces` has the host's own namespace first. `containers` and `networks` are those of every
    engine; `engine` is Docker.

    `veth_pairs` have their outer end on the host, `sandbox_pairs` in a sandbox of the engine (overlay networks).
    `namespaces_in_use` is what `lsns` lists and `named_namespaces` what `ip netns` does, of which not all were entered.
    `network_managers` are the processes of systemd-networkd and NetworkManager in the host's namespace,
    `managed_links` what they say of its links. `proxies` are the docker-proxy processes, `upstream_servers` the servers
    that a resolver of the host asks (systemd-resolved, NetworkManager's or another dnsmasq). `softnet` has a line for
    each CPU, `conntrack` the counters of connection tracking, likewise. `kernel_log` is what the kernel complained
    about since the system began, as far as its log still has it.
    `iptables` are the commands iptables and ip6tables, with the backend that each uses, `ipsec` the counters of
    /proc/net/xfrm_stat.

    `kernel` is its release as the engine or the collector tells, empty when neither does.
    `collected_from` is when the collection began by the host's own clock, None when the bundle does not tell. `log` is
    the collector's: what it did not get, and what commands complained about.
    `movement` is what moved while it went on, None when the collector did not look twice. `gaps` are the outputs that
    are missing or not whole, None when the collector did not make the bundle.
    """

    name: str
    namespaces: tuple[Namespace, ...]
    containers: Facts[Container]
    networks: Facts[Network]
    engine: Engine
    podman: Podman = field(default_factory=Podman)
    veth_pairs: tuple[VethPair, ...] = ()
    sandbox_pairs: tuple[VethPair, ...] = ()
    namespaces_in_use: Facts[NamespaceInUse] = field(default_factory=Facts)
    named_namespaces: Facts[NamedNamespace] = field(default_factory=Facts)
    proxies: Facts[PortProxy] = field(default_factory=Facts)
    upstream_servers: Facts[NameServer] = field(default_factory=Facts)
    network_managers: Facts[ProcessLine] = field(default_factory=Facts)
    managed_links: Facts[ManagedLink] = field(default_factory=Facts)
    softnet: Facts[SoftnetCounters] = field(default_factory=Facts)
    conntrack: Facts[ConntrackStatistics] = field(default_factory=Facts)
    kernel_log: Facts[KernelMessage] = field(default_factory=Facts)
    iptables: Facts[IptablesVersion] = field(default_factory=Facts)
    ipsec: Facts[KernelCounter] = field(default_factory=Facts)
    kernel: str = ""
    collected_from: datetime | None = None
    log: Facts[LogLine] = field(default_factory=Facts)
    movement: Movement | None = None
    gaps: tuple[Gap, ...] | None = None
    traces: Traces = field(default_factory=Traces, compare=False, metadata=NOT_SHOWN)

    @property
    def root(self) -> Namespace:
        """The host's own network namespace."""
        return self.namespaces[0]

    @cached_property
    def _namespace_by_container(self) -> Mapping[str, Namespace]:
        return {container: netns for netns in reversed(self.namespaces) for container in netns.containers}

    @property
    def namespaces_not_seen(self) -> tuple[NamespaceInUse, ...]:
        """Those of `lsns` that were not collected."""
        seen = {netns.number for netns in self.namespaces}
        return tuple(row for row in self.namespaces_in_use if row.type in ("net", None) and row.inode not in seen)

    @cached_property
    def _in_use_by_file(self) -> Mapping[str, NamespaceInUse]:
        return {without_var(file): row for row in self.namespaces_in_use for file in row.files}

    def namespace_with_file(self, path: str) -> NamespaceInUse | None:
        """The row of `lsns` that has this file, such as the SandboxKey of a container."""
        return self._in_use_by_file.get(without_var(path))

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

    @cached_property
    def _endpoints_by_address(self) -> Mapping[IpAddress, Sequence[tuple[Container, Endpoint]]]:
        return _grouped(
            (address.ip, (container, endpoint))
            for container in self.containers
            for endpoint in container.endpoints
            for address in (endpoint.address, endpoint.address6)
            if address
        )

    def endpoints_at(self, address: IpAddress) -> Sequence[tuple[Container, Endpoint]]:
        """The endpoints that the engine gave this address."""
        return self._endpoints_by_address.get(address, ())

    @cached_property
    def _endpoints_by_mac(self) -> Mapping[str, Sequence[tuple[Container, Endpoint]]]:
        return _grouped(
            (endpoint.mac.lower(), (container, endpoint))
            for container in self.containers
            for endpoint in container.endpoints
            if endpoint.mac
        )

    def endpoints_with(self, mac: str) -> Sequence[tuple[Container, Endpoint]]:
        """The endpoints that the engine gave this MAC address."""
        return self._endpoints_by_mac.get(mac.lower(), ())

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


def without_var(path: str) -> str:
    """/var/run is a link to /run: inspect prints one, the kernel the other."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
