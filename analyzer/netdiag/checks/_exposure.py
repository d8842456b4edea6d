"""Who reaches what from outside: anybody by the uplink, neighbours by a route to the containers, and how to stop it.

What the rules and routes of the host do with a new connection is found by putting it to them, hook by hook.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import (
    Attachment,
    BridgeNetwork,
    attachments,
    docker_networks,
    no_containers,
    other_containers,
    published_ports,
    related,
    sh,
)
from netdiag.checks._drops import nft_set
from netdiag.checks._listeners import reaches
from netdiag.checks._ways_in import goal, goals_of_host
from netdiag.finding import Evidence, Subject
from netdiag.formats.records import (
    Container,
    IpAddress,
    IpNetwork,
    Network,
    NftMatch,
    NftRule,
    PublishedPort,
    Rule,
    Socket,
)
from netdiag.model import Dialect, Gate, Host, Outcome, Packet, Truth
from netdiag.model.firewall import port_matches
from netdiag.model.flow import AnyRule, Flow
from netdiag.model.gates import no, table_known, unknown, uplinks, whole
from netdiag.model.hooks import Passage, passage, translations
from netdiag.model.knowledge import YES, once
from netdiag.model.turns import Fate
from netdiag.spans import Span

# --- from outside -----------------------------------------------------------------------------------------------------

#: Addresses that stand for anybody on the Internet: public ones that no usual rule names.
_ANYBODY: dict[int, IpAddress] = {4: IPv4Address("99.0.0.1"), 6: IPv6Address("2602::1")}


@dataclass(frozen=True)
class Door:
    """An uplink of the host: the address that it has there, and the network around it.

    `anybody` is a client somewhere on the Internet, `neighbour` one in the network around.
    """

    device: str
    address: IpAddress
    network: IpNetwork
    span: Span

    @property
    def anybody(self) -> IpAddress:
        return _ANYBODY[self.address.version]

    @property
    def neighbour(self) -> IpAddress:
        last = self.network.num_addresses - 2
        return self.network[last] if last > 1 and self.network[last] != self.address else self.network[0]


def doors(host: Host, version: int = 4) -> list[Door]:
    """The links of the default routes with their first global address of a version of IP."""
    found = []
    for device in sorted(_uplinks(host, version)):
        link = host.root.link(device)
        for each in link.addresses if link else ():
            address = each.address.ip
            if address.version == version and each.scope in (None, "global") and not _is_private_ipv6(address):
                found.append(Door(device, address, each.address.network, each.span))
                break
    return found


def _uplinks(host: Host, version: int) -> frozenset[str]:
    if version == 4:
        return uplinks(host)
    defaults = (
        route for route in host.root.ipv6_routes if route.destination.prefixlen == 0 and route.type == "unicast"
    )
    return frozenset(hop.device for route in defaults for hop in route.next_hops if hop.device)


def _is_private_ipv6(address: IpAddress) -> bool:
    """Unique local (fc00::/7) and link-local addresses, which the Internet does not reach."""
    return address.version == 6 and (address.is_link_local or address in IPv6Network("fc00::/7"))


def to_container(
    host: Host, door: Door, bridge: str, target: tuple[str, IpAddress, int], *, source: IpAddress, came_for: int | None
) -> Passage:
    """Whether new connections that come in by the door pass on to a container: protocol, address and port of `target`.

    `came_for` is the host's port that they were for before DNAT, None for connections that are routed to the container.
    """
    protocol, address, port = target
    flow = Flow(
        protocol=protocol,
        in_interface=door.device,
        out_interface=bridge,
        source=source,
        destination=address,
        destination_port=port,
        original_destination=door.address if came_for else address,
        original_destination_port=came_for or port,
    )
    if came_for is None:
        before = passage(host.root, "PREROUTING", flow)
        if before.truth is not Truth.YES:
            return before
        found = host.root.routing.look_up(Packet(address, source=source, in_interface=door.device))
        if found.outcome is not Outcome.UNICAST or found.device != bridge:
            return Passage(Truth.NO)
    return passage(host.root, "FORWARD", flow)


def address_guards(host: Host) -> Iterator[tuple[AnyRule, IpAddress]]:
    """The rules by which Docker from 28 on keeps what does not come by its bridge from a container's address, each with
    the address; without those of addresses that somebody has opened by a rule before.
    """
    for table in (*host.root.tables("raw", "ipv4"), *host.root.tables("raw", "ipv6")):
        opened: set[IpAddress] = set()
        for rule in table.chains["PREROUTING"].rules if "PREROUTING" in table.chains else ():
            network = rule.destination
            if network is None or network.num_addresses != 1 or rule.destination_negated:
                continue
            address = network.network_address
            if rule.target == "ACCEPT":
                opened.add(address)
            elif rule.target == "DROP" and rule.in_interface and rule.in_interface_negated and address not in opened:
                yield rule, address
    for native in host.root.nftables:
        chain = native.chains.get("raw-PREROUTING") if native.name == "docker-bridges" else None
        for told in chain.rules if chain else ():
            yield from _guarded_by(told)


def _guarded_by(rule: NftRule) -> Iterator[tuple[AnyRule, IpAddress]]:
    for statement in rule.statements:
        if isinstance(statement, NftMatch) and statement.left in ("ip daddr", "ip6 daddr"):
            for text in statement.values[:1] if len(statement.values) == 1 else ():
                with suppress(ValueError):
                    yield rule, ip_address(text)


def guard_opened(rule: AnyRule, device: str, address: IpAddress) -> str:
    """The command that lets what comes by a device pass such a rule, until the container stops."""
    if isinstance(rule, Rule):
        tool = "ip6tables" if address.version == 6 else "iptables"
        return sh("{} -t raw -I PREROUTING -i {} -d {} -j ACCEPT", tool, device, address)
    came = f"iifname {nft_set([device])} " if nft_set([device]) else ""
    family = "ip6" if address.version == 6 else "ip"
    return sh("nft {}", f"insert rule {family} docker-bridges raw-PREROUTING {came}{family} daddr {address} accept")


def to_host(host: Host, door: Door, protocol: str, address: IpAddress, port: int, source: IpAddress) -> Passage:
    """Whether new connections that come in by the door pass to a port of the host itself."""
    flow = Flow(protocol=protocol, in_interface=door.device, source=source, destination=address, destination_port=port)
    before = passage(host.root, "PREROUTING", flow)
    return passage(host.root, "INPUT", flow) if before.truth is Truth.YES else before


def passes_before_routing(
    host: Host, door: Door, protocol: str, address: IpAddress, port: int, source: IpAddress
) -> Truth:
    """Whether PREROUTING lets pass what comes in by the door."""
    flow = Flow(protocol=protocol, in_interface=door.device, source=source, destination=address, destination_port=port)
    return passage(host.root, "PREROUTING", flow).truth


def is_translated(host: Host, door: Door, protocol: str, address: IpAddress, port: int, source: IpAddress) -> bool:
    """Whether connections for a port of the host that come in by the door are led elsewhere for sure."""
    flow = Flow(protocol=protocol, in_interface=door.device, source=source, destination=address, destination_port=port)
    ways = translations(host.root, "PREROUTING", flow)
    return bool(ways) and all(way.fate is Fate.TRANSLATED for way in ways)


def only_for_neighbours(door: Door, protocol: str, port: int) -> str:
    """The rule that lets only the network around the uplink come in for a published port."""
    tool = "ip6tables" if door.address.version == 6 else "iptables"
    return (
        sh("{} -I DOCKER-USER -i {} ! -s {}", tool, door.device, door.network)
        + f" -p {protocol} -m conntrack --ctstate NEW --ctorigdstport {port} -j DROP"
    )


@dataclass(frozen=True)
class LedPort:
    """A published port of a running container, and the address and the bridge that it leads to."""

    container: Container
    port: PublishedPort
    address: IpAddress
    bridge: BridgeNetwork

    @property
    def name(self) -> str:
        """The host's port: `8080/tcp`."""
        return f"{self.port.host_port}/{self.port.protocol}"

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        return Subject("container", self.container.name), Subject("port", self.name)

    @property
    def target(self) -> tuple[str, IpAddress, int]:
        return self.port.protocol, self.address, self.port.container_port

    @property
    def published(self) -> Evidence:
        return related(self.port.span, f"container {self.container.name} publishes {self.name}")


def led_ports(host: Host, *gates: Gate) -> tuple[list[LedPort], list[Unjudged | NotApplicable]]:
    """The ports that Docker publishes on IPv4, and what to say when they cannot be judged."""
    bridges, others = docker_networks(host, table_known(host, "filter"), table_known(host, "nat"), *gates)
    if not bridges:
        return [], others
    carriers: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attachments(host, bridges):
        if attachment.endpoint.address and not attachment.bridge.network.internal:
            carriers[attachment.container.id].append(attachment)
    led = goals_of_host(host)
    found = []
    for container, port in published_ports(host, "docker"):
        if isinstance(port.host_address, IPv6Address):
            continue
        ways = [(each.endpoint.address.ip, each.bridge) for each in carriers[container.id] if each.endpoint.address]
        by_rule = (way for way in ways if (port.protocol, goal(way[0], port.container_port)) in led)
        way = next(by_rule, ways[0] if ways else None)
        if way:
            found.append(LedPort(container, port, *way))
    if not found:
        nothing = no_containers(host, "no running container publishes a port on IPv4", "which ports are published")
        return [], [*others, nothing]
    return found, [*others, *other_containers(host, "which other ports are published")]


@dataclass(frozen=True)
class Bypass:
    """A published port that anybody reaches although the host's own rules close it; `closed` is how they do."""

    port: LedPort
    door: Door
    closed: Passage

    @property
    def named_by(self) -> Rule | None:
        """The rule that closes just this port, None when a rule for others or a policy closes it."""
        rule = self.closed.rule
        number = self.port.port.host_port
        if isinstance(rule, Rule) and any(port_matches(rule, number, option) for option in ("dport", "dports")):
            return rule
        return None


@once
def bypasses(host: Host) -> tuple[list[Bypass], list[Unjudged | NotApplicable]]:
    """The published ports that INPUT closes and FORWARD lets pass, and what to say of others."""
    ports, others = led_ports(host)
    if not ports:
        return [], others
    entrances = doors(host)
    if not entrances:
        gate = whole(host.root.routes, "by which links the outside comes in")
        return [], [NotApplicable("the host has no default route") if gate.yes else unjudged(gate)]
    found: list[Bypass] = []
    doubts: list[Unjudged | NotApplicable] = []
    for each in ports:
        for door in entrances:
            own = each.port.host_address
            own = door.address if own is None or own.is_unspecified else own
            number, protocol = each.port.host_port, each.port.protocol
            if own.is_loopback or not is_translated(host, door, protocol, own, number, door.anybody):
                continue
            closed = to_host(host, door, protocol, own, number, door.anybody)
            if closed.truth is Truth.NO and closed.chain and closed.chain.comes_before_dnat:
                continue
            inside = to_container(host, door, each.bridge.device, each.target, source=door.anybody, came_for=number)
            if closed.truth is Truth.YES or inside.truth is Truth.NO:
                continue
            unsure = next((way for way in (closed, inside) if way.truth is Truth.UNKNOWN), None)
            if unsure is None:
                found.append(Bypass(each, door, closed))
            elif not doubts:
                doubts.append(Unjudged(f"whether the host's rules close port {each.name}", _reason(unsure)))
    return found, [*others, *doubts]


def _reason(unsure: Passage) -> str:
    rule = unsure.depends_on or unsure.rule
    where = f" at {rule.span.source.path}:{rule.span.line}" if rule else ""
    return f"the conditions of the rule{where} cannot be judged"


# --- from the neighbourhood -------------------------------------------------------------------------------------------


def loopback_ports(ports: Iterable[LedPort]) -> list[LedPort]:
    """The ports that are published on a loopback address alone."""
    by_port: dict[tuple[str, str, int], list[LedPort]] = defaultdict(list)
    for each in ports:
        by_port[each.container.id, each.port.protocol, each.port.container_port].append(each)
    return [
        group[0]
        for group in by_port.values()
        if all(each.port.host_address is not None and each.port.host_address.is_loopback for each in group)
    ]


@dataclass
class Doubts:
    """What could not be judged of many ways in; one reason stands for all."""

    reason: str = ""

    def note(self, way: Passage) -> None:
        if way.truth is Truth.UNKNOWN:
            self.reason = self.reason or _reason(way)

    def verdicts(self, question: str) -> Iterator[Unjudged]:
        if self.reason:
            yield Unjudged(question, self.reason)


def routed_door(host: Host, each: LedPort, doubts: Doubts) -> Door | None:
    """The door by which a neighbour that routes to the container's own address reaches a port; None when none does."""
    for door in doors(host):
        way = to_container(host, door, each.bridge.device, each.target, source=door.neighbour, came_for=None)
        doubts.note(way)
        if way.truth is Truth.YES:
            return door
    return None


def keep_routed_out(door: Door, networks: Iterable[Network], version: int = 4) -> tuple[str, ...]:
    """The rules that drop what neighbours route to containers, as Docker has them since 28.0."""
    subnets = (each.subnet for network in networks for each in network.subnets if each.subnet.version == version)
    tool = "ip6tables" if version == 6 else "iptables"
    rule = "{} -t raw -I PREROUTING -i {} -d {} -j DROP"
    return tuple(sh(rule, tool, door.device, subnet) for subnet in dict.fromkeys(subnets))


def keep_loopback_out(door: Door) -> str:
    """The rule that drops what comes from outside for the loopback address."""
    return sh("iptables -t raw -I PREROUTING -i {} -d 127.0.0.0/8 -j DROP", door.device)


def lets_routed_in(host: Host) -> Gate:
    """Before 28.0 Docker did not drop what is routed to a container's own address."""
    if host.engine.absent:
        return no(host.engine.absent)
    if host.engine.dialect is None:
        return unknown("which rules this version of Docker programs", "docker_version")
    old = host.engine.dialect in (Dialect.UP_TO_17, Dialect.UP_TO_27)
    return YES if old else no("Docker drops what is routed to containers since 28.0")


@dataclass(frozen=True)
class OpenService:
    """A port of a container that nobody published, and that a neighbour reaches at the container's own address."""

    attachment: Attachment
    socket: Socket
    door: Door
    address: IpAddress

    @property
    def name(self) -> str:
        return f"{self.socket.port}/{self.socket.protocol} of `{self.attachment.container.name}`"


def open_services(host: Host, bridges: list[BridgeNetwork], version: int, doubts: Doubts) -> Iterator[OpenService]:
    """Of each container on these networks the first listener that a neighbour reaches although it is not published."""
    entrances, led = doors(host, version), goals_of_host(host)
    for attachment in attachments(host, bridges):
        endpoint, container = attachment.endpoint, attachment.container
        found = endpoint.address if version == 4 else endpoint.address6
        netns = host.namespace_of(container)
        if found is None or netns is None:
            continue
        published = {(port.protocol, port.container_port) for port in container.ports}
        for socket in netns.sockets:
            if socket.port is None or (socket.protocol, socket.port) in published or not _waits_for(socket, found.ip):
                continue
            if (socket.protocol, goal(found.ip, socket.port)) in led:  # somebody made a way in
                continue
            target = socket.protocol, found.ip, socket.port
            door = next((d for d in entrances if _comes_to(host, d, attachment, target, doubts)), None)
            if door:
                yield OpenService(attachment, socket, door, found.ip)
                break


def _comes_to(
    host: Host, door: Door, attachment: Attachment, target: tuple[str, IpAddress, int], doubts: Doubts
) -> bool:
    way = to_container(host, door, attachment.bridge.device, target, source=door.neighbour, came_for=None)
    doubts.note(way)
    return way.truth is Truth.YES


def _waits_for(socket: Socket, address: IpAddress) -> bool:
    return socket.state in ("LISTEN", "UNCONN") and reaches(socket, address)
