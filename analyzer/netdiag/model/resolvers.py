"""How containers resolve names: the servers in their resolv.conf, and those that the engine's own resolver asks for
them.

A container on Docker's default bridge gets the host's servers less those on a loopback address; when none is left,
Google's. One on another network asks Docker's resolver at 127.0.0.11, which asks the servers of the host's file: those
on a loopback address from the host's namespace, others from the container's. From 25 on Docker notes both in the file;
before, they follow from its settings and the host's file. A container of podman asks aardvark-dns at its gateways.
Seen on Docker 20.10, 26.1 and 28.5 and on podman 4.3 and 5.4; moby libnetwork/internal/resolvconf.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address

from netdiag.formats.records import Container, IpAddress, Mount, NameServer, ResolverRemark
from netdiag.model.engine import Dialect
from netdiag.model.gates import is_running
from netdiag.model.host import Host, Namespace, NamespaceKind
from netdiag.spans import Span

#: Docker's resolver in the namespace of a container.
EMBEDDED = IPv4Address("127.0.0.11")

#: What systemd-resolved writes into /etc/resolv.conf.
STUB = IPv4Address("127.0.0.53")

#: The servers that Docker takes when the host has none that a container can ask.
DEFAULTS = frozenset(
    {
        IPv4Address("8.8.8.8"),
        IPv4Address("8.8.4.4"),
        IPv6Address("2001:4860:4860::8888"),
        IPv6Address("2001:4860:4860::8844"),
    }
)


class Origin(Enum):
    """Where the servers of a container come from."""

    ASKED = "asked for"  #: by --dns, or the daemon's setting
    HOST = "the host's file"
    DEFAULTS = "the engine's own"
    NOWHERE = "nowhere"  #: Docker has none to ask
    MOUNTED = "a mounted file"
    PODMAN = "podman"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Server:
    """A server that the look-ups of a container end up at, asked from the host's namespace or from the container's."""

    address: IpAddress
    span: Span
    from_host: bool = False


@dataclass(frozen=True)
class Resolver:
    """How the container of a namespace resolves names.

    `listed` are the lines of its file; `servers` those that are asked in the end, which differ when Docker's resolver
    is among the listed. `servers_known` is whether all of them are known. `mount` is what lies on its file.
    """

    container: Container
    netns: Namespace
    listed: tuple[NameServer, ...]
    servers: tuple[Server, ...]
    origin: Origin
    servers_known: bool = True
    mount: Mount | None = None

    @property
    def embedded(self) -> bool:
        """It asks Docker's resolver."""
        return any(each.address == EMBEDDED for each in self.listed)

    def remark(self, topic: str) -> ResolverRemark | None:
        return remark_of(self.netns, topic)


def remark_of(netns: Namespace, topic: str) -> ResolverRemark | None:
    """What Docker notes of a topic in the file."""
    return next((each for each in netns.resolver_remarks if each.topic == topic), None)


def resolvers(host: Host) -> Iterator[Resolver]:
    """That of each running container with a namespace of its own whose file was collected."""
    for netns in host.namespaces:
        container = host.container(netns.id.partition(":")[2]) if netns.kind is NamespaceKind.CONTAINER else None
        if container and netns.name_servers.whole and is_running(container).yes:
            yield _resolver(host, container, netns)


def host_servers(host: Host) -> tuple[NameServer, ...]:
    """The servers of the host's file that a container can ask as well."""
    return tuple(each for each in host.root.name_servers if not each.address.is_loopback)


def asked_of_daemon(host: Host) -> tuple[IpAddress, ...]:
    """The servers that the daemon was told to give to containers."""
    values = (json.loads(setting.value) for setting in host.engine.settings if setting.name == "dns")
    texts = (text for value in values for text in (value if isinstance(value, list) else [value]))
    return tuple(found for text in texts if (found := _address(text)))


def _resolver(host: Host, container: Container, netns: Namespace) -> Resolver:
    listed = netns.name_servers.items
    mount = next((each for each in container.mounts if each.destination == "/etc/resolv.conf"), None)
    itself = tuple(Server(each.address, each.span) for each in listed if each.address != EMBEDDED)
    if mount:
        return Resolver(container, netns, listed, itself, Origin.MOUNTED, mount=mount)
    if container.engine == "podman":
        return Resolver(container, netns, listed, itself, Origin.PODMAN)
    origin = _origin(host, container, netns)
    if len(itself) == len(listed):
        return Resolver(container, netns, listed, itself, origin)
    external = remark_of(netns, "external")
    if external:
        servers = tuple(_noted(external))
        return Resolver(container, netns, listed, (*itself, *servers), origin, len(servers) == len(external.values))
    if remark_of(netns, "host file"):
        return Resolver(container, netns, listed, itself, origin)
    derived, known = _derived(host, container)
    return Resolver(container, netns, listed, (*itself, *derived), origin, known)


def _origin(host: Host, container: Container, netns: Namespace) -> Origin:
    if remark_of(netns, "no external"):
        return Origin.NOWHERE
    if remark_of(netns, "defaults"):
        return Origin.DEFAULTS
    overrides = remark_of(netns, "overrides")
    if overrides:
        return Origin.ASKED if "nameservers" in overrides.values else Origin.HOST
    if container.dns or asked_of_daemon(host):
        return Origin.ASKED
    if container.dns is None or not host.engine.settings.whole:
        return Origin.UNKNOWN
    listed = {each.address for each in netns.name_servers}
    if listed and listed <= DEFAULTS and not listed & {each.address for each in host.root.name_servers}:
        return Origin.DEFAULTS
    if EMBEDDED in listed and host.root.name_servers.whole and not host.root.name_servers.items:
        return Origin.DEFAULTS if host.engine.dialect in (Dialect.UP_TO_17, Dialect.UP_TO_27) else Origin.NOWHERE
    return Origin.HOST


def _noted(remark: ResolverRemark) -> Iterator[Server]:
    for word in remark.values:
        on_host = word.startswith("host(") and word.endswith(")")
        found = _address(word[5:-1] if on_host else word)
        if found:
            yield Server(found, remark.span, from_host=on_host)


def _derived(host: Host, container: Container) -> tuple[tuple[Server, ...], bool]:
    """What an engine before 25 asks; it does not say so anywhere."""
    if container.dns:
        span = container.span_at("HostConfig", "Dns", 0)
        return tuple(Server(address, span) for address in container.dns), True
    told = next((setting for setting in host.engine.settings if setting.name == "dns"), None)
    if told:
        return tuple(Server(address, told.span) for address in asked_of_daemon(host)), True
    known = container.dns is not None and host.engine.settings.whole and host.root.name_servers.whole
    servers = (Server(each.address, each.span, each.address.is_loopback) for each in host.root.name_servers)
    return tuple(servers), known


def _address(text: object) -> IpAddress | None:
    try:
        return ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None
