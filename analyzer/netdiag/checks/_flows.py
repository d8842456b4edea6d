"""Packets that a Docker host should handle, to be sent through its rules: from outside to published ports, and from
containers to the outside.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks
from netdiag.checks._ports import CarriedPort, carried_ports, why_no_ports
from netdiag.formats.records import IpAddress, Network
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import manages_iptables, table_known, unknown, uplinks

#: Somebody far away, in no range that rules usually name: neither private nor one of the documents' or well known.
SOMEBODY = IPv4Address("23.145.67.89")

#: What nearly every container asks outside: something by HTTPS, and a name.
ASKED_OUTSIDE = (("tcp", 443), ("udp", 53))

_EPHEMERAL = 50000


@dataclass(frozen=True)
class Incoming:
    """The first packet of somebody far away to a published port, as it comes in by an uplink."""

    carried: CarriedPort
    uplink: str
    before: Flow

    @property
    def translated(self) -> Flow:
        """The packet once the engine's rule has given it the container's address."""
        return Flow(
            protocol=self.before.protocol,
            in_interface=self.uplink,
            out_interface=self.carried.bridge.device,
            source=self.before.source,
            source_port=_EPHEMERAL,
            destination=self.carried.address,
            destination_port=self.carried.port.container_port,
            original_destination=self.before.destination,
            original_destination_port=self.before.destination_port,
        )


def ports_for_outsiders(host: Host) -> tuple[list[CarriedPort], list[Unjudged | NotApplicable]]:
    """The published IPv4 ports, when it is known how clients outside reach them and how the host translates that; and
    what to say of others.
    """
    bridges, others = docker_networks(host, table_known(host, "nat"), manages_iptables(host))
    if not bridges:
        return [], others
    ports = carried_ports(host, bridges)
    if not ports:
        return [], [*others, why_no_ports(host, "no running container publishes a port on IPv4")]
    if not uplinks(host) or not host.root.addresses_known:
        return [], [*others, unjudged(unknown("by which link clients come in", "ip_route", "ip_addr"))]
    return ports, others


def incoming(host: Host, ports: list[CarriedPort]) -> Iterator[Incoming]:
    """Packets from outside to each published port that outsiders may use, by each uplink."""
    ways = [(uplink, address) for uplink in sorted(uplinks(host)) if (address := _address_of(host, uplink))]
    for carried in ports:
        if carried.host_address and carried.host_address.is_loopback:
            continue
        for uplink, address in ways:
            packet = Flow(
                protocol=carried.port.protocol,
                in_interface=uplink,
                source=SOMEBODY,
                source_port=_EPHEMERAL,
                destination=carried.host_address or address,
                destination_port=carried.port.host_port,
            )
            yield Incoming(carried, uplink, packet)


def _address_of(host: Host, device: str) -> IpAddress | None:
    link = host.root.link(device)
    addresses = link.addresses if link else ()
    return next((each.address.ip for each in addresses if each.address.version == 4), None)


def outgoing(host: Host, bridge: BridgeNetwork, source: IpAddress) -> Iterator[Flow]:
    """What a container of a bridge network with this address asks outside, by each uplink."""
    for uplink in sorted(uplinks(host)):
        for protocol, port in ASKED_OUTSIDE:
            yield Flow(
                protocol=protocol,
                in_interface=bridge.device,
                out_interface=uplink,
                source=source,
                source_port=_EPHEMERAL,
                destination=SOMEBODY,
                destination_port=port,
            )


def answer_to(flow: Flow) -> Flow:
    """The packets that come back."""
    return replace(
        flow,
        in_interface=flow.out_interface,
        out_interface=flow.in_interface,
        source=flow.destination,
        source_port=flow.destination_port,
        destination=flow.source,
        destination_port=flow.source_port,
        state="ESTABLISHED",
    )


def members_address(network: Network) -> IPv4Address | None:
    """An address that a container of the network has, or may get."""
    for member in network.members or ():
        if member.address:
            return member.address.ip
    for subnet in network.subnets:
        first = subnet.subnet.network_address
        if isinstance(first, IPv4Address) and subnet.subnet.num_addresses > 3:
            return first + 2
    return None
