"""What netavark, podman's network backend, programs for networks and published ports, and what of it is not there.

With iptables (seen with netavark 1.4): nat PREROUTING and OUTPUT lead local destinations to NETAVARK-HOSTPORT-DNAT and
on to a chain NETAVARK-DN-<hash> for each network, POSTROUTING to a chain NETAVARK-<hash> that masquerades its subnet,
and filter FORWARD to NETAVARK_FORWARD, which accepts it. With nftables (seen with 1.14): the same as base chains of its
own in table `inet netavark`. With firewalld the rules are firewalld's.

The names of chains and their order change between versions. So what is asked is not whether a rule is there, but
whether packets still get what it gives them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from netdiag.formats.records import Container, IpAddress, Network, NftMatch, PublishedPort, Rule
from netdiag.model.flow import AnyRule, Fate, Flow
from netdiag.model.gates import bridge_name, has_own_namespace, is_local_bridge, is_running, uplinks
from netdiag.model.hooks import BaseChain, passage, translations
from netdiag.model.host import Host
from netdiag.model.knowledge import Truth, all_of

#: An address outside of every host, of a range kept for documents (RFC 5737).
_OUTSIDE = IPv4Address("192.0.2.1")

#: A network that netavark leaves alone but for its addresses (`podman network create --opt mode=unmanaged`).
_UNMANAGED = "unmanaged"


class Service(Enum):
    """What a rule of netavark gives to packets."""

    MASQUERADE = "the host's address for what leaves the network"
    TRANSLATION = "the way from a published port to its container"
    FORWARDING = "leave to pass through the host"


@dataclass(frozen=True)
class Lost:
    """A service that no rule gives any more, and the policy that drops packets in its place. `surely` is False when a
    rule that cannot be judged may give it.
    """

    service: Service
    network: Network
    container: Container | None = None
    port: PublishedPort | None = None
    dropped_by: BaseChain | None = None
    surely: bool = True


def lost_services(host: Host) -> Iterator[Lost]:
    """What podman's networks and published ports do not get, of IPv4."""
    networks = {
        network.id: network
        for network in host.networks
        if network.engine == "podman" and _is_served(network) and is_local_bridge(host, network).yes
    }
    for network in networks.values():
        yield from _of_network(host, network)
    for container in host.containers:
        if container.engine != "podman" or not all_of(is_running(container), has_own_namespace(container)).yes:
            continue
        served = [networks[each.network_id] for each in container.endpoints if each.network_id in networks]
        for port in container.ports if served else ():
            yield from _of_port(host, served[0], container, port)


def _is_served(network: Network) -> bool:
    """Internal networks have no way out and in; of a network that is not told whether it is one nothing is asked."""
    return network.internal is False and (network.options or {}).get("mode") != _UNMANAGED


def _uplink(host: Host) -> str | None:
    return min(uplinks(host), default=None)


def _of_network(host: Host, network: Network) -> Iterator[Lost]:
    in_nftables = any(table.name == "netavark" for table in host.root.nftables)
    subnets = (each.subnet for each in network.subnets if isinstance(each.subnet, IPv4Network))
    for subnet in subnets:
        leaving = Flow(
            protocol="tcp",
            in_interface=bridge_name(host, network),
            out_interface=_uplink(host),
            source=subnet.broadcast_address - 1,
            destination=_OUTSIDE,
            destination_port=443,
        )
        given = _translates(host, "POSTROUTING", leaving)
        if given is not Truth.YES:
            yield Lost(Service.MASQUERADE, network, surely=given is Truth.NO)
        way = passage(host.root, "FORWARD", leaving)
        by_policy = way.truth is Truth.NO and way.rule is None
        if by_policy and way.chain and way.chain.backend != "nftables" and not in_nftables:
            yield Lost(Service.FORWARDING, network, dropped_by=way.chain)


def _of_port(host: Host, network: Network, container: Container, port: PublishedPort) -> Iterator[Lost]:
    asked = port.host_address
    if asked is None or asked.is_unspecified:
        asked = next(_own_addresses(host), None)
    if not isinstance(asked, IPv4Address):
        return
    on_the_host = asked.is_loopback
    coming = Flow(
        protocol=port.protocol,
        in_interface="" if on_the_host else _uplink(host),
        source=asked if on_the_host else _OUTSIDE,
        destination=asked,
        destination_port=port.host_port,
    )
    given = _translates(host, "OUTPUT" if on_the_host else "PREROUTING", coming)
    if given is not Truth.YES:
        yield Lost(Service.TRANSLATION, network, container, port, surely=given is Truth.NO)


def _own_addresses(host: Host) -> Iterator[IpAddress]:
    """Addresses by which others reach the host, those of its uplink first."""
    first = _uplink(host)
    for link in sorted(host.root.links, key=lambda link: link.name != first):
        if link.kind != "bridge":
            yield from (a.address.ip for a in link.addresses if a.address.version == 4 and not a.address.ip.is_loopback)


def _translates(host: Host, hook: str, flow: Flow) -> Truth:
    """Whether a nat rule of the hook gives the flow another address.

    Netavark masquerades marked packets first. New ones have no mark, so a rule that asks for one does not take them.
    """
    ways = translations(host.root, hook, flow)
    by_rule = [way for way in ways if way.fate is Fate.TRANSLATED and not _asks_for_mark(way.rule)]
    if any(way.depends_on is not way.rule for way in by_rule):
        return Truth.YES
    if by_rule:
        return Truth.UNKNOWN
    undecided = [way for way in ways if way.depends_on and not _asks_for_mark(way.depends_on)]
    return Truth.UNKNOWN if undecided else Truth.NO


def _asks_for_mark(rule: AnyRule | None) -> bool:
    if rule is None:
        return False
    if isinstance(rule, Rule):
        return any(match.option == "mark" for match in rule.matches)
    return any(isinstance(each, NftMatch) and each.left.startswith("meta mark") for each in rule.statements)
