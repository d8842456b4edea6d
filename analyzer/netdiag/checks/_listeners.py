"""Who listens: on the host for its published ports, and in containers on the ports that these lead to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from netdiag.checks._base import NotApplicable, Unjudged, sort_out, unjudged
from netdiag.checks._docker import no_containers, other_containers, published_ports, related, sh
from netdiag.checks._ways_in import goal, goals_of_host
from netdiag.finding import Evidence, Subject
from netdiag.formats.records import Container, IpAddress, PublishedPort, Rule, Socket
from netdiag.model import Facts, Gate, Host, Namespace, Truth
from netdiag.model.firewall import target_option
from netdiag.model.flow import Flow
from netdiag.model.gates import is_run_here, unknown
from netdiag.model.hooks import translations
from netdiag.model.knowledge import YES
from netdiag.model.turns import Fate

#: Docker's own resolver in containers, which answers nobody outside of them.
_RESOLVER = IPv4Address("127.0.0.11")

#: The runtimes that keep their sockets in a kernel of their own.
_OWN_KERNEL = ("kata", "runsc", "gvisor")

#: So many ports in a row are a pool of which a server opens what it needs (FTP, RTP, TURN).
_POOL = 3


class Listeners:
    """The sockets of a namespace that wait for connections or packets, by protocol and port."""

    def __init__(self, sockets: Facts[Socket]) -> None:
        self._found: dict[tuple[str, int], list[Socket]] = defaultdict(list)
        self.unnamed = False  #: there are sockets whose port is told by the name of a service only
        for socket in sockets:
            if socket.state not in ("LISTEN", "UNCONN") or socket.address == _RESOLVER:
                continue
            if socket.port is not None:
                self._found[socket.protocol, socket.port].append(socket)
            elif "service" in socket.details:
                self.unnamed = True

    def on(self, protocol: str, port: int) -> Sequence[Socket]:
        return self._found.get((protocol, port), ())

    def reached(self, protocol: str, port: int, address: IpAddress) -> Socket | None:
        """The first socket that packets for a port of an address come to."""
        return next((socket for socket in self.on(protocol, port) if reaches(socket, address)), None)

    def others(self, protocol: str, ports: Iterable[int]) -> Iterator[Socket]:
        """What listens for others than the namespace itself, on other ports than these."""
        without = set(ports)
        for (found, port), sockets in self._found.items():
            if found == protocol and port not in without:
                yield from (socket for socket in sockets if not _is_loopback(socket))


def reaches(socket: Socket, address: IpAddress) -> bool:
    """Whether packets for the address come to the socket."""
    if socket.address is None:
        return socket.family in (None, "any", f"ipv{address.version}")
    mapped = socket.address.ipv4_mapped if isinstance(socket.address, IPv6Address) else None
    return address in (socket.address, mapped)


def is_for(socket: Socket, port: PublishedPort) -> bool:
    """Whether a socket of the host is bound where a port is published; where the tool does not tell the address, any
    is.
    """
    address = port.host_address
    if address is None:
        return True
    if address.is_unspecified:
        return socket.address is None and socket.family in (None, "any", f"ipv{address.version}")
    return reaches(socket, address)


def _is_loopback(socket: Socket) -> bool:
    address = socket.address
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return bool(address and address.is_loopback) or bool(mapped and mapped.is_loopback)


class Answer(Enum):
    """Who answers on a container's port."""

    SOMEBODY = "somebody"
    LOOPBACK = "only for the container itself"
    OTHER_ADDRESS = "only on another address"
    OTHER_FAMILY = "only for the other version of IP"
    OTHER_PROTOCOL = "only for the other protocol"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Service:
    """A container's port that the host publishes, and who answers there.

    `address` is where the published port leads to, `sockets` what listens but is not reached, or is.
    """

    container: Container
    netns: Namespace
    ports: tuple[PublishedPort, ...]
    address: IpAddress
    answer: Answer
    sockets: tuple[Socket, ...] = ()

    @property
    def protocol(self) -> str:
        return self.ports[0].protocol

    @property
    def container_port(self) -> int:
        return self.ports[0].container_port

    @property
    def name(self) -> str:
        """The container's port: `80/tcp`."""
        return f"{self.container_port}/{self.protocol}"

    @property
    def host_ports(self) -> tuple[str, ...]:
        """The host's ports as the user knows them: `8080/tcp`."""
        return tuple(f"{number}/{self.protocol}" for number in sorted({port.host_port for port in self.ports}))

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return Subject("container", self.container.name), *(Subject("port", name) for name in self.host_ports)

    @property
    def published(self) -> Evidence:
        """The line that publishes it."""
        return related(self.ports[0].span, f"published as {' and '.join(self.host_ports)}, leads to {self.address}")


@dataclass(frozen=True)
class _Inside:
    """A container, its published ports and what listens in its namespace. `translated` are the protocols and goals of
    the host's DNAT.
    """

    container: Container
    ports: Sequence[PublishedPort]
    netns: Namespace
    listeners: Listeners
    translated: frozenset[tuple[str | None, str]]

    def offers(self, protocol: str, address: IpAddress, port: int) -> bool:
        """Whether the world outside can ask for a port of the container, published or led to by a rule."""
        published = any((each.protocol, each.container_port) == (protocol, port) for each in self.ports)
        return published or self.is_led_to(protocol, address, port)

    def is_led_to(self, protocol: str, address: IpAddress, port: int) -> bool:
        """Whether a DNAT rule of the host leads there."""
        return (protocol, goal(address, port)) in self.translated


def entrance(container: Container) -> str:
    """The file by which the network namespace of a container is entered."""
    return container.sandbox_key or f"/proc/{container.pid}/ns/net"


def relay(service: Service, loopback: IpAddress) -> str:
    """The command that leads a port of a container to one of its own addresses, of whichever version of IP."""
    protocol, port, version = service.protocol.upper(), service.container_port, service.address.version
    bound = f"[{service.address}]" if version == 6 else str(service.address)
    listen = f"{protocol}{version}-LISTEN:{port},bind={bound},fork"
    there = f"{protocol}{loopback.version}:{goal(loopback, port)}"
    return sh("nsenter --net={} socat {} {} &", entrance(service.container), listen, there)


def services(host: Host) -> tuple[list[Service], list[Unjudged | NotApplicable]]:
    """The published ports of running containers with who answers there, and what to say of those that cannot be
    judged.
    """
    ports: dict[str, list[PublishedPort]] = defaultdict(list)
    owners: dict[str, Container] = {}
    for container, port in published_ports(host):
        owners[container.id] = container
        ports[container.id].append(port)
    if not ports:
        return [], [no_containers(host, "no running container publishes a port", "which ports are published")]
    translated = goals_of_host(host)
    found: list[Service] = []
    here, questions = sort_out(owners.values(), lambda container: is_run_here(host, container), "")
    questions += other_containers(host, "which other ports are published")
    listeners: dict[str, Listeners] = {}
    for container in here:
        netns = host.namespace_of(container)
        gate = who_listens_is_known(container, netns)
        if netns is None or not gate.yes:
            questions.append(unjudged(gate))
            continue
        if netns.id not in listeners:
            listeners[netns.id] = Listeners(netns.sockets)
        inside = _Inside(container, ports[container.id], netns, listeners[netns.id], translated)
        questions += _not_shown(container, ports[container.id])
        found += _services_of(host, inside)
    return found, questions


def who_listens_is_known(container: Container, netns: Namespace | None) -> Gate:
    """Whether all sockets of the container are in the bundle."""
    what = f"who listens in container {container.name}"
    if any(word in (container.runtime or "") for word in _OWN_KERNEL):
        return Gate(Truth.UNKNOWN, what, f"its runtime {container.runtime} has a network of its own")
    if netns is None or not netns.sockets.whole:
        because = netns.sockets.why if netns else "its network namespace was not collected"
        return Gate(Truth.UNKNOWN, what, because, ("ss",), (sh("nsenter --net={} ss -tulpn", entrance(container)),))
    if Listeners(netns.sockets).unnamed:
        return unknown(what, "ss", because="ports are told by the names of services only")
    return YES


def _not_shown(container: Container, ports: Sequence[PublishedPort]) -> Iterator[Unjudged]:
    """`ss -tulpn` lists the listeners of TCP and UDP only."""
    other = sorted({port.protocol for port in ports} - {"tcp", "udp"})
    if other:
        ask = sh("nsenter --net={} ss -lnp", entrance(container))
        yield Unjudged(f"who listens for {', '.join(other)} in container {container.name}", "", ("ss",), (ask,))


def _services_of(host: Host, inside: _Inside) -> Iterator[Service]:
    by_port: dict[tuple[str, int], list[PublishedPort]] = defaultdict(list)
    for port in inside.ports:
        if port.protocol in ("tcp", "udp"):
            by_port[port.protocol, port.container_port].append(port)
    of_version: Mapping[int, Sequence[IpAddress]] = {
        4: host.addresses_of(inside.container),
        6: [endpoint.address6.ip for endpoint in inside.container.endpoints if endpoint.address6],
    }
    for (protocol, number), published in by_port.items():
        answers = [
            _best([(address, *_answer(inside, protocol, number, address)) for address in candidates])
            for version in _versions(published, of_version)
            if (candidates := _candidates(inside, protocol, number, of_version[version]))
        ]
        unserved = [each for each in answers if each[1] is not Answer.SOMEBODY]
        for address, answer, sockets in (unserved or answers)[:1]:
            yield Service(inside.container, inside.netns, tuple(published), address, answer, tuple(sockets))


def _versions(published: Sequence[PublishedPort], addresses: Mapping[int, Sequence[IpAddress]]) -> list[int]:
    """The versions of IP in which the port leads to the container: in IPv6 where it is published and the container has
    it, else in IPv4, which the userland proxy makes of it.
    """
    asked = {port.host_address.version if port.host_address else 4 for port in published}
    return [version for version in (4, 6) if addresses[version] and (version in asked or not addresses[10 - version])]


def _candidates(inside: _Inside, protocol: str, port: int, addresses: Sequence[IpAddress]) -> Sequence[IpAddress]:
    """The address that the host's DNAT leads to, else all of them: any network may carry the port."""
    return [address for address in addresses if inside.is_led_to(protocol, address, port)] or addresses


_Found = tuple[IpAddress, Answer, Sequence[Socket]]


def _best(answers: Sequence[_Found]) -> _Found:
    return next((each for each in answers if each[1] is Answer.SOMEBODY), answers[0])


def _answer(inside: _Inside, protocol: str, port: int, address: IpAddress) -> tuple[Answer, Sequence[Socket]]:
    there = _leads_inside(inside.netns, protocol, port, address)
    if there is None:
        return Answer.SOMEBODY, ()  # a proxy in the container takes what comes, and listens where it wants
    goal_address, goal_port = there
    sockets = inside.listeners.on(protocol, goal_port)
    reached = [socket for socket in sockets if reaches(socket, goal_address)]
    if reached:
        return Answer.SOMEBODY, reached
    if sockets and all(map(_is_loopback, sockets)):
        return Answer.LOOPBACK, sockets
    if any(socket.address is None for socket in sockets):
        return Answer.OTHER_FAMILY, sockets
    if sockets:
        return Answer.OTHER_ADDRESS, sockets
    other = inside.listeners.on("udp" if protocol == "tcp" else "tcp", port)
    if any(reaches(socket, address) for socket in other):
        return (Answer.SOMEBODY if inside.offers(other[0].protocol, address, port) else Answer.OTHER_PROTOCOL), other
    return Answer.NOBODY, ()


def _leads_inside(netns: Namespace, protocol: str, port: int, address: IpAddress) -> tuple[IpAddress, int] | None:
    """Where the namespace's own rules lead a packet for a port; None when that cannot be told."""
    flow = Flow(protocol, destination=address, destination_port=port)
    ways = translations(netns, "PREROUTING", flow)
    if not ways or all(way.fate is not Fate.TRANSLATED for way in ways):
        return address, port
    rule = ways[0].rule
    if len(ways) > 1 or not isinstance(rule, Rule):
        return None
    if rule.target == "REDIRECT":
        number = target_option(rule, "to-ports") or str(port)
        return (address, int(number)) if number.isdecimal() else None
    if rule.target == "DNAT":
        there, _, number = target_option(rule, "to-destination").rpartition(":")
        own = IPv4Address("127.0.0.1"), *(each.address.ip for link in netns.links for each in link.addresses)
        found = next((address for address in own if str(address) == there.strip("[]")), None)
        return (found, int(number)) if found and number.isdecimal() else None
    return None


def without_pools(found: Sequence[Service]) -> list[Service]:
    """The services of one container where nobody answers at its address, without the ports of a pool from which a
    server opens what it needs, as long as somebody answers on another port.
    """
    keys = {(service.protocol, service.container_port) for service in found}
    pools = _runs(keys) if any(service.answer is Answer.SOMEBODY for service in found) else set()
    return [
        service
        for service in found
        if service.answer is Answer.OTHER_ADDRESS
        or (service.answer is Answer.NOBODY and (service.protocol, service.container_port) not in pools)
    ]


def _runs(ports: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """The ports that stand in a row with so many others."""
    found: set[tuple[str, int]] = set()
    row: list[tuple[str, int]] = []
    for protocol, number in sorted(ports):
        if row and row[-1] != (protocol, number - 1):
            row = []
        row.append((protocol, number))
        if len(row) >= _POOL:
            found.update(row if len(row) == _POOL else row[-1:])
    return found


def by_container(found: Iterable[Service]) -> Mapping[str, Sequence[Service]]:
    groups: dict[str, list[Service]] = defaultdict(list)
    for service in found:
        groups[service.container.id].append(service)
    return groups
