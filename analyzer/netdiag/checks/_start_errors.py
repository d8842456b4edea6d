"""Why the engine could not bind a host port for a container: what `State.Error` of `docker inspect` says.

The texts are those of Docker 20.10, 26.1 and 28.5 and of podman 4 and 5.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from netdiag.finding import Evidence, Subject
from netdiag.formats.records import Container, IpAddress, Network
from netdiag.model import Host
from netdiag.model.gates import bridge_name, is_running
from netdiag.model.knowledge import once
from netdiag.spans import Span

TAKEN = re.compile(r"port is already allocated|address already in use")
NO_SUCH_ADDRESS = re.compile(r"cannot assign requested address")

#: Where the texts name what they could not bind.
_PLACES = (
    # Bind for 0.0.0.0:8080 failed: port is already allocated
    re.compile(r"Bind for (?P<address>\S*):(?P<port>\d{1,5}) failed"),
    # Error starting userland proxy: listen tcp4 0.0.0.0:8099: bind: address already in use
    re.compile(r"listen (?P<protocol>tcp|udp|sctp)[46]? (?P<address>\S*):(?P<port>\d{1,5})(?=: )"),
    # failed to bind host port for 0.0.0.0:8099:172.17.0.2:80/tcp: address already in use
    re.compile(
        r"bind host port (?:for )?(?P<address>\[[^\]]*\]|[0-9.]*):(?P<port>\d{1,5})\b"
        r"(?:\S*/(?P<protocol>tcp|udp|sctp))?"
    ),
)


@dataclass(frozen=True)
class StartError:
    """A container that was not started, and the place of the host that could not be bound for it.

    `address` is None for all of them.
    """

    container: Container
    protocol: str
    address: IpAddress | None
    port: int
    span: Span

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.span, f"why container {self.container.name} was not started")


def start_errors(host: Host, kind: re.Pattern[str]) -> Iterator[StartError]:
    """The containers that do not run because a port could not be bound for this kind of reason."""
    for container in host.containers:
        if not container.error or is_running(container).yes or not kind.search(container.error):
            continue
        found = next((match for place in _PLACES if (match := place.search(container.error))), None)
        if found:
            port = int(found["port"])
            protocol = found.groupdict().get("protocol") or _protocol(container, port)
            place = container.error_place or container.place
            yield StartError(container, protocol, _address(found["address"]), port, place.span)


def left_behind(host: Host, container: Container) -> tuple[Subject, ...]:
    """What a start that failed leaves on the bridges of the container: Docker from 28 on deletes the veth with its
    namespace, and the kernel takes its time for that.
    """
    by_name = _networks_by_name(host)
    networks = (host.network(each.network_id) or by_name.get(each.network) for each in container.endpoints)
    return tuple(_left_on(bridge_name(host, network)) for network in networks if network)


@once
def _networks_by_name(host: Host) -> Mapping[str, Network]:
    return {network.name: network for network in host.networks}


def _left_on(device: str) -> Subject:
    return Subject("interface", f"left on {device} by a start that failed")


def failed_starts(host: Host) -> Counter[Subject]:
    """How many containers were not started for want of their port, by what they leave on each bridge."""
    failed = {
        each.container.id: each.container for kind in (TAKEN, NO_SUCH_ADDRESS) for each in start_errors(host, kind)
    }
    return Counter(left for container in failed.values() for left in left_behind(host, container))


def left_on(device: str, number: int, failed: Counter[Subject]) -> tuple[Subject, ...]:
    """What the so manieth veth on a bridge that belongs to nobody follows from: not more of them than starts failed."""
    left = _left_on(device)
    return (left,) if number < failed[left] else ()


def _protocol(container: Container, port: int) -> str:
    """By what the container asks for; TCP when that does not tell."""
    protocols = {
        wanted.protocol
        for wanted in container.wanted_ports or ()
        if wanted.host_port and wanted.host_port <= port <= (wanted.last_host_port or wanted.host_port)
    }
    return protocols.pop() if len(protocols) == 1 else "tcp"


def _address(text: str) -> IpAddress | None:
    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return None if found.is_unspecified else found
