"""Published ports with the bridge network that carries each of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import Attachment, BridgeNetwork, attachments
from netdiag.formats.records import Container, IpAddress, PublishedPort, Rule
from netdiag.model import Host
from netdiag.model.firewall import port_matches, target_option
from netdiag.model.gates import unknown
from netdiag.model.proxies import PortProxy


@dataclass(frozen=True)
class CarriedPort:
    """A port of IPv4 that a running container publishes, and the endpoint that the engine leads it to."""

    port: PublishedPort
    attachment: Attachment

    @property
    def container(self) -> Container:
        return self.attachment.container

    @property
    def bridge(self) -> BridgeNetwork:
        return self.attachment.bridge

    @property
    def address(self) -> IPv4Address | None:
        """The container's address on the network that carries the port."""
        address = self.attachment.endpoint.address
        return address.ip if address else None

    @property
    def name(self) -> str:
        """The host's port as people write it."""
        return f"{self.port.host_port}/{self.port.protocol}"

    @property
    def host_address(self) -> IpAddress | None:
        """The host's one address on which the port is published, None for all of them."""
        address = self.port.host_address
        return None if address is None or address.is_unspecified else address

    @property
    def answers_on_loopback(self) -> bool:
        """The port is published on 127.0.0.1, by itself or among all addresses."""
        return self.host_address is None or self.host_address.is_loopback


def carried_ports(host: Host, bridges: list[BridgeNetwork]) -> list[CarriedPort]:
    """The published IPv4 ports of containers on these networks.

    Of a container on several networks the one carries its ports that a DNAT rule of the engine leads to, else the
    first that is not internal.
    """
    on_bridges: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attachments(host, bridges):
        if attachment.endpoint.address and not attachment.bridge.network.internal:
            on_bridges[attachment.container.id].append(attachment)
    translations = translations_by_goal(host)
    return [
        CarriedPort(port, _carrier(port, candidates, translations))
        for candidates in on_bridges.values()
        for port in candidates[0].container.ports
        if port.host_address is None or port.host_address.version == 4
    ]


def _carrier(port: PublishedPort, candidates: list[Attachment], translations: Mapping[str, list[Rule]]) -> Attachment:
    for attachment in candidates if len(candidates) > 1 else ():
        address = attachment.endpoint.address
        goal = f"{address.ip}:{port.container_port}" if address else ""
        if any(
            rule.protocol == port.protocol and port_matches(rule, port.host_port) for rule in translations.get(goal, ())
        ):
            return attachment
    return candidates[0]


def translations_by_goal(host: Host) -> dict[str, list[Rule]]:
    """The engine's DNAT rules by their goal."""
    found: dict[str, list[Rule]] = defaultdict(list)
    for table in host.root.tables("nat"):
        for rule in table.chains["DOCKER"].rules if "DOCKER" in table.chains else ():
            if rule.target == "DNAT":
                found[target_option(rule, "to-destination")].append(rule)
    return found


def why_no_ports(host: Host, reason: str) -> NotApplicable | Unjudged:
    """What to say of a host without a published port: that it has none, or that the bundle does not tell."""
    if host.containers.whole:
        return NotApplicable(reason)
    return unjudged(unknown("which ports are published", "docker_inspect", because=host.containers.why))


def proxies(host: Host) -> Mapping[tuple[int | None, str | None], PortProxy]:
    """The docker-proxies that may answer on published ports, by port and protocol."""
    return {(proxy.host_port, proxy.protocol): proxy for proxy in host.proxies if proxy.listens is not False}
