"""What several checks ask of networks whose containers are on a LAN by themselves: macvlan and ipvlan."""

from dataclasses import dataclass

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import no_networks
from netdiag.finding import Subject
from netdiag.formats.records import Container, Endpoint, Network
from netdiag.model import Host
from netdiag.model.gates import collected, is_managed_here, is_running

_DRIVERS = ("macvlan", "ipvlan")

#: Docker makes a parent of its own for a network without one, and names it after the network's id.
_MADE_BY_DOCKER = ("dm-", "di-")


@dataclass(frozen=True)
class LanNetwork:
    """A macvlan or ipvlan network, its parent on the host, and the running containers on it."""

    network: Network
    parent: str
    running: tuple[tuple[Container, Endpoint], ...]

    @property
    def subject(self) -> Subject:
        return Subject("network", self.network.name)

    @property
    def shares_mac(self) -> bool:
        """Its containers have the parent's MAC address."""
        return self.network.driver == "ipvlan"

    @property
    def mode(self) -> str:
        """Of macvlan `bridge` unless told, of ipvlan `l2`."""
        driver = self.network.driver or ""
        return (self.network.options or {}).get(f"{driver}_mode") or ("bridge" if driver == "macvlan" else "l2")


def lan_networks(host: Host) -> tuple[list[LanNetwork], list[Unjudged | NotApplicable]]:
    """The networks with a parent that the user chose; and what to say when there is none."""
    if not host.networks.items:
        return [], [no_networks(host)]
    gate = collected(host.root.links, "the links of the host")
    if gate.unknown:
        return [], [unjudged(gate)]
    running: dict[str, list[tuple[Container, Endpoint]]] = {}
    for container in host.containers:
        for endpoint in container.endpoints if is_running(container).yes else ():
            running.setdefault(endpoint.network_id, []).append((container, endpoint))
    found = []
    for network in host.networks:
        if network.driver not in _DRIVERS or network.config_only or not is_managed_here(host, network).yes:
            continue
        parent = (network.options or {}).get("network_interface" if network.engine == "podman" else "parent", "")
        if parent and not parent.startswith(_MADE_BY_DOCKER):
            found.append(LanNetwork(network, parent, tuple(running.get(network.id, ()))))
    return found, [] if found else [NotApplicable("no engine here has a macvlan or ipvlan network")]
