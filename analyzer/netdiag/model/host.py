"""The facts of one host, joined from all documents. Facts only: what is wrong with them is for the checks to say.

Every fact keeps the span it was read from; every list says how complete it is (`Facts.extent`).
"""

from dataclasses import dataclass, field
from datetime import datetime

from netdiag.formats.records import (
    BridgePort,
    Container,
    FdbEntry,
    Link,
    Neighbour,
    Network,
    PolicyRule,
    Route,
    Socket,
    Sysctl,
)
from netdiag.model.engine import Engine
from netdiag.model.firewall import FirewallTable
from netdiag.model.knowledge import Facts


@dataclass(frozen=True)
class Namespace:
    """One network namespace. `id` is `host` or `netns:<container id>`; `containers` are the ids of those that live in
    it.
    """

    id: str
    name: str
    containers: tuple[str, ...] = ()
    links: Facts[Link] = field(default_factory=Facts)
    addresses_known: bool = False
    routes: Facts[Route] = field(default_factory=Facts)
    rules: Facts[PolicyRule] = field(default_factory=Facts)
    neighbours: Facts[Neighbour] = field(default_factory=Facts)
    bridge_ports: Facts[BridgePort] = field(default_factory=Facts)
    fdb: Facts[FdbEntry] = field(default_factory=Facts)
    sockets: Facts[Socket] = field(default_factory=Facts)
    sysctls: Facts[Sysctl] = field(default_factory=Facts)
    firewall: Facts[FirewallTable] = field(default_factory=Facts)

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)

    def sysctl(self, key: str) -> Sysctl | None:
        return next((sysctl for sysctl in self.sysctls if sysctl.key == key), None)

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
    """One host. `namespaces` has the host's own namespace first.

    `collected_from` is when the collection began by the host's own clock, None when the bundle does not tell.
    """

    name: str
    namespaces: tuple[Namespace, ...]
    containers: Facts[Container]
    networks: Facts[Network]
    engine: Engine
    veth_pairs: tuple[VethPair, ...] = ()
    collected_from: datetime | None = None

    @property
    def root(self) -> Namespace:
        """The host's own network namespace."""
        return self.namespaces[0]

    def namespace_of(self, container: Container) -> Namespace | None:
        """The namespace that the container lives in, None when it was not collected."""
        return next((netns for netns in self.namespaces if container.id in netns.containers), None)

    def network(self, network_id: str) -> Network | None:
        return next((network for network in self.networks if network.id == network_id), None)
