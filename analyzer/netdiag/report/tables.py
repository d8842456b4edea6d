"""The facts of a host as tables, for whoever wants to look before anything is judged.

A cell is None where the bundle does not tell, and empty where there is nothing; a tuple holds several things. Rows
stand in the order of the outputs, so that a table can be compared with what the host printed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TypeAlias, TypeVar

from netdiag.formats.records import (
    Container,
    IpAddress,
    Link,
    Network,
    NftRule,
    PublishedPort,
    Route,
    Socket,
)
from netdiag.model import Extent, Facts, FirewallTable, Host, Namespace, Truth
from netdiag.model.firewall import printed
from netdiag.model.gates import bridge_name, is_local_bridge
from netdiag.model.nftables import NativeTable
from netdiag.report.as_csv import Cell
from netdiag.results import Reading, SourceCoverage

Row: TypeAlias = tuple[Cell, ...]
T = TypeVar("T")

_SHORT_ID = 12
#: The kernel makes this table of the addresses of links: it says nothing of its own.
_TABLE_OF_ADDRESSES = "local"
_LISTENING = ("LISTEN", "UNCONN")


@dataclass(frozen=True)
class Table:
    """A table. `columns` are names for programs, with underscores; `numeric` are those that hold numbers.

    The first `grouped` columns say of what the other ones speak: rows that share them stand together. `remarks` tell
    what the table does not show, and why.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    numeric: frozenset[str] = frozenset()
    grouped: int = 0


def table(reading: Reading, name: str) -> Table:
    """One of `TABLES`."""
    return TABLES[name](reading)


# --- containers and networks ------------------------------------------------------------------------------------------


def _containers(reading: Reading) -> Table:
    host = reading.host
    columns = ("name", "state", "image", "health", "addresses", "ports", "links", "restarts", "id")
    rows = tuple(_container(host, container) for container in host.containers)
    remarks = tuple(_gap(host.containers, "containers"))
    return Table("containers", "Containers", columns, rows, remarks, frozenset({"restarts"}))


def _container(host: Host, container: Container) -> Row:
    addresses = [
        f"{endpoint.network} {' '.join(str(a.ip) for a in (endpoint.address, endpoint.address6) if a)}".rstrip()
        for endpoint in container.endpoints
    ]
    return (
        container.name,
        container.state,
        container.image,
        container.health or "",
        tuple(addresses) if container.endpoints else ((container.network_mode or "")[: _SHORT_ID + len("container:")],),
        tuple(_published(port) for port in container.ports) if container.ports_told else None,
        tuple(_host_ends(host, container)),
        container.restarts,
        container.id[:_SHORT_ID],
    )


def _host_ends(host: Host, container: Container) -> Iterator[str]:
    """The container's own links with the ends of their veths on the host."""
    netns = host.namespace_of(container)
    for link in netns.links if netns else ():
        pair = host.veth_pair_of(netns, link) if netns else None
        if pair:
            yield f"{link.name} {pair.outer.name}"


def _published(port: PublishedPort) -> str:
    return f"{_socket_address(port.host_address, port.host_port)}->{port.container_port}/{port.protocol}"


def _socket_address(address: IpAddress | None, port: int | None) -> str:
    number = "*" if port is None else str(port)
    if address is None:
        return f"*:{number}"
    return f"[{address}]:{number}" if isinstance(address, IPv6Address) else f"{address}:{number}"


def _networks(reading: Reading) -> Table:
    host = reading.host
    columns = ("name", "driver", "subnets", "gateways", "bridge", "containers", "options", "id")
    rows = tuple(_network(host, network) for network in host.networks)
    return Table("networks", "Networks", columns, rows, tuple(_gap(host.networks, "networks")))


def _network(host: Host, network: Network) -> Row:
    gateways = [host.gateway_of(network, subnet) for subnet in network.subnets]
    members = {
        container.name: None
        for container in host.containers
        if any(endpoint.network_id == network.id for endpoint in container.endpoints)
    } | {member.name: None for member in network.members or ()}
    switches = {"internal": network.internal, "attachable": network.attachable, "ingress": network.ingress}
    options = [name for name, on in switches.items() if on]
    options += [
        f"{name.removeprefix('com.docker.network.').removeprefix('bridge.')}={value}"
        for name, value in (network.options or {}).items()
    ]
    told = network.members is not None or host.containers.extent is not Extent.NONE
    return (
        network.name,
        network.driver,
        tuple(str(subnet.subnet) for subnet in network.subnets),
        tuple(str(gateway) for gateway in gateways if gateway),
        "" if is_local_bridge(host, network).truth is Truth.NO else bridge_name(host, network),
        tuple(members) if told else None,
        tuple(options),
        network.id[:_SHORT_ID],
    )


# --- links and routes -------------------------------------------------------------------------------------------------


def _links(reading: Reading) -> Table:
    host = reading.host
    columns = ("namespace", "name", "kind", "state", "mtu", "addresses", "master", "peer", "lost", "mac", "index")
    names = {netns.id: netns.name for netns in host.namespaces}
    peers = {pair.outer.name: f"{pair.inner.name} in {names[pair.namespace]}" for pair in host.veth_pairs}
    rows = tuple(
        _link(netns, link, peers.get(link.name) if netns is host.root else None)
        for netns in host.namespaces
        for link in netns.links
    )
    remarks = tuple(_gaps(host, lambda netns: netns.links, "links"))
    return Table("links", "Links", columns, rows, remarks, frozenset({"mtu", "lost", "index"}), 1)


def _link(netns: Namespace, link: Link, peer: str | None) -> Row:
    counted = [
        int(text)
        for name in ("rx.errors", "rx.dropped", "tx.errors", "tx.dropped")
        if (text := link.details.get(name, "")).isdecimal()
    ]
    return (
        netns.name,
        link.name,
        link.kind or "",
        _state(link),
        link.mtu,
        tuple(str(address.address) for address in link.addresses) if netns.addresses_known else None,
        link.master or "",
        peer or link.peer_name or "",
        sum(counted) if counted else None,
        link.mac or "",
        link.index,
    )


def _state(link: Link) -> str | None:
    """The word of `ip`; `down` where nobody switched it on, which is another thing than to have no carrier."""
    if link.up is False:
        return "off"
    if link.flags is not None and "NO-CARRIER" in link.flags:
        return "no carrier"
    return link.state.lower() if link.state else None


def _routes(reading: Reading) -> Table:
    host = reading.host
    columns = ("namespace", "destination", "via", "device", "source", "metric", "table", "protocol", "kind")
    every = [(netns, route) for netns in host.namespaces for route in (*netns.routes, *netns.ipv6_routes)]
    shown = tuple(row for netns, route in every if route.table != _TABLE_OF_ADDRESSES for row in _route(netns, route))
    left = sum(route.table == _TABLE_OF_ADDRESSES for _, route in every)
    remarks = [f"{left} routes of the table local are left out: the kernel makes them of the links' addresses"]
    remarks = [*(remarks if left else ()), *_gaps(host, lambda netns: netns.routes, "routes of IPv4")]
    return Table("routes", "Routes", columns, shown, tuple(remarks), frozenset({"metric"}), 1)


def _route(netns: Namespace, route: Route) -> Iterator[Row]:
    """A row for each way of the route; one without ways for a route that leads nowhere."""
    whole = route.destination.prefixlen == 0
    destination = "default" if whole and route.destination.version == 4 else str(route.destination)
    source = str(route.source) if route.source else ""
    ways = [(str(hop.gateway) if hop.gateway else "", hop.device or "") for hop in route.next_hops] or [("", "")]
    for via, device in ways:
        yield (
            netns.name,
            destination,
            via,
            device,
            source,
            "" if route.metric is None else route.metric,
            route.table or "",
            route.protocol or "",
            "" if route.type == "unicast" else route.type,
        )


# --- rules ------------------------------------------------------------------------------------------------------------


def _rules(reading: Reading) -> Table:
    host = reading.host
    columns = ("namespace", "family", "table", "chain", "number", "packets", "rule")
    rows = tuple(
        (netns.name, *row)
        for netns in host.namespaces
        for part in (*(_iptables(t) for t in netns.firewall), *(_nftables(t) for t in netns.nftables))
        for row in part
    )
    remarks = tuple(_gaps(host, lambda netns: netns.firewall, "rules of iptables"))
    return Table("rules", "Firewall rules", columns, rows, remarks, frozenset({"number", "packets"}), 4)


def _iptables(found: FirewallTable) -> Iterator[Row]:
    family = f"{found.family} {found.backend}".rstrip()
    for chain in found.chains.values():
        packets = chain.head.counters.packets if chain.head.counters else None
        if chain.head.policy:
            yield family, found.name, chain.name, "", packets, f"policy {chain.head.policy}"
        for rule in chain.rules:
            counted = rule.counters.packets if rule.counters else None
            yield family, found.name, chain.name, rule.position, counted, printed(rule)


def _nftables(found: NativeTable) -> Iterator[Row]:
    for chain in found.chains.values():
        if chain.head.hook:
            policy = f"hook {chain.head.hook} priority {chain.head.priority} policy {chain.head.policy or 'accept'}"
            yield f"nft {found.family}", found.name, chain.name, "", "", policy
        for rule in chain.rules:
            text = " ".join(rule.span.excerpt.split())
            yield f"nft {found.family}", found.name, chain.name, rule.position, _packets(rule), text


def _packets(rule: NftRule) -> int | str:
    """What the rule's counter says; not every rule of nftables has one."""
    for statement in rule.statements:
        counted = getattr(statement, "details", {}).get("packets", "")
        if counted.isdecimal():
            return int(counted)
    return ""


# --- ports and sources ------------------------------------------------------------------------------------------------


def _ports(reading: Reading) -> Table:
    host = reading.host
    columns = ("namespace", "protocol", "address", "leads_to", "listener")
    rows = [*_published_ports(host), *_listeners(host)]
    remarks = [*_gap(host.containers, "containers"), *_gaps(host, lambda netns: netns.sockets, "sockets")]
    return Table("ports", "Ports", columns, tuple(rows), tuple(remarks), grouped=1)


def _published_ports(host: Host) -> Iterator[Row]:
    listeners = {
        (socket.protocol, socket.port, _listening_at(socket)): _processes(socket)
        for socket in host.root.sockets
        if socket.state in _LISTENING
    }
    known = host.root.sockets.extent is not Extent.NONE
    for container in host.containers:
        for port in container.ports:
            address = _socket_address(port.host_address, port.host_port)
            listener = listeners.get((port.protocol, port.host_port, address), "") if known else None
            yield host.root.name, port.protocol, address, f"{container.name}:{port.container_port}", listener


def _listeners(host: Host) -> Iterator[Row]:
    """What listens, but for docker-proxy, which stands beside its published port."""
    taken = {(port.protocol, port.host_port) for container in host.containers for port in container.ports}
    for netns in host.namespaces:
        for socket in netns.sockets:
            if socket.state in _LISTENING and not (netns is host.root and (socket.protocol, socket.port) in taken):
                yield netns.name, socket.protocol, _listening_at(socket), "", _processes(socket)


def _listening_at(socket: Socket) -> str:
    port = socket.details.get("service", "*") if socket.port is None else str(socket.port)
    if socket.address is not None:
        return f"[{socket.address}]:{port}" if socket.address.version == 6 else f"{socket.address}:{port}"
    anywhere = {"ipv4": "0.0.0.0", "ipv6": "[::]"}.get(socket.family or "", "*")  # noqa: S104 - shown, not bound to
    return f"{anywhere}:{port}"


def _processes(socket: Socket) -> str:
    return ", ".join(dict.fromkeys(f"{process.name} {process.pid}" for process in socket.processes))


def _sources(reading: Reading) -> Table:
    columns = ("path", "format", "lines", "unread", "remark", "command")
    rows = tuple(_source(each) for each in reading.coverage)
    missing = len(reading.bundle.not_collected)
    remarks = (f"{missing} outputs were not collected; `netdiag verify` says why",) if missing else ()
    return Table("sources", "Sources", columns, rows, remarks, frozenset({"lines", "unread"}))


def _source(source: SourceCoverage) -> Row:
    trouble = source.source.trouble if source.source else ""
    remark = "; ".join(filter(None, (source.skipped, trouble, *source.notes)))
    return source.path, source.format, source.lines, source.unread_count, remark, source.command


# --- what is not there ------------------------------------------------------------------------------------------------


def _gap(facts: Facts[T], what: str, whose: str = "") -> Iterator[str]:
    """Why a list is not whole, nothing when it is."""
    of = f" of {whose}" if whose else ""
    why = f": {facts.why}" if facts.why else ""
    if facts.extent is Extent.NONE:
        yield f"no {what}{of} were collected{why}"
    elif facts.extent is Extent.PART:
        yield f"not all {what}{of} may be here{why}"


def _gaps(host: Host, facts_of: Callable[[Namespace], Facts[T]], what: str) -> Iterator[str]:
    """The same for each namespace: the host's by itself, those of containers counted."""
    yield from _gap(facts_of(host.root), what, host.root.name)
    lacking = [netns.name for netns in host.namespaces[1:] if not facts_of(netns).whole]
    if lacking:
        few = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
        yield f"not all {what} of {_count(lacking, 'other namespace')} may be here ({few})"


def _count(things: Iterable[object], noun: str) -> str:
    number = len(list(things))
    return f"{number} {noun}{'' if number == 1 else 's'}"


TABLES: dict[str, Callable[[Reading], Table]] = {
    "containers": _containers,
    "networks": _networks,
    "links": _links,
    "routes": _routes,
    "rules": _rules,
    "ports": _ports,
    "sources": _sources,
}
