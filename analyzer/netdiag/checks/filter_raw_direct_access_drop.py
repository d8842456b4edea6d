"""Packets from outside to containers' own addresses were dropped (Docker 28 on).

## What it finds
The rules by which the engine keeps packets from outside from the addresses of its containers, with counters that show
that somebody sent such packets.

## Why it matters
Up to 27, other hosts, VPN clients and other networks of the engine could use a container's address by a route to its
network. From 28 on they cannot: after an upgrade this looks like a lost route, while published ports work.

## How it is decided
Gates: the engine manages the firewall of this namespace. The rules stand in raw PREROUTING, one of each container (`-d
ADDRESS ! -i BRIDGE -j DROP`, 28.2 on) or of each published port (28.0 and 28.1); with nftables in chain raw-PREROUTING
of table docker-bridges. A counter above zero for an address of a running container is told, all in one note. Packets
from another bridge network of this host count here as well. When the host has a WireGuard or TUN device, whose clients
are the usual ones to use such addresses, it is told beside.

## Not a problem when
Nobody is meant to use these addresses: the engine closes them on purpose.

## Repair
Publish the port; or create the network with `-o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected` (or
routed), or with `-o com.docker.network.bridge.trusted_host_interfaces=IF`; or start the daemon with
`--allow-direct-routing`. The command below opens an address until the container stops.

## Verify
The counter stops growing.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby/moby#49498; moby/moby#51015.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, docker_networks, related, sh
from netdiag.checks._drops import nft_set, packets_of
from netdiag.checks._wanted import uplink
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Link, NftMatch, NftRule, Rule
from netdiag.model import Host
from netdiag.model.flow import AnyRule
from netdiag.model.gates import manages_firewall

_MOST_SHOWN = 5
_TUNNELS = frozenset({"wireguard", "tun"})


@dataclass(frozen=True)
class _Hit:
    rule: AnyRule
    attachment: Attachment
    packets: int


@check(Severity.NOTE, layer="filter")
def filter_raw_direct_access_drop(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, manages_firewall(host))
    yield from others
    if not bridges:
        return
    by_address: dict[IpAddress, Attachment] = {}
    for each in attachments(host, bridges):
        if each.endpoint.address:
            by_address[each.endpoint.address.ip] = each
    hit = [
        _Hit(rule, by_address[address], packets)
        for rule, address in _guards(host)
        if address in by_address and (packets := packets_of(rule) or 0)
    ]
    if hit:
        yield _note(host, sorted(hit, key=lambda each: -each.packets))


def _guards(host: Host) -> Iterator[tuple[AnyRule, IpAddress]]:
    """The rules that guard an address, with the address."""
    for table in host.root.tables("raw"):
        for rule in table.chains["PREROUTING"].rules if "PREROUTING" in table.chains else ():
            network = rule.destination
            one = network is not None and network.num_addresses == 1 and not rule.destination_negated
            if network and one and rule.target == "DROP" and rule.in_interface and rule.in_interface_negated:
                yield rule, network.network_address
    for native in host.root.nftables:
        chain = native.chains.get("raw-PREROUTING") if native.name == "docker-bridges" else None
        for told in chain.rules if chain else ():
            yield from _guard(told)


def _guard(rule: NftRule) -> Iterator[tuple[AnyRule, IpAddress]]:
    for statement in rule.statements:
        if isinstance(statement, NftMatch) and statement.left == "ip daddr" and len(statement.values) == 1:
            try:
                yield rule, ip_address(statement.values[0])
            except ValueError:
                return


def _note(host: Host, hit: Sequence[_Hit]) -> Fault:
    shown = hit[:_MOST_SHOWN]
    names = ", ".join(f"`{each.attachment.container.name}`" for each in shown)
    more = f" and {len(hit) - len(shown)} more" if len(hit) > len(shown) else ""
    total = sum(each.packets for each in hit)
    tunnels = [link for link in host.root.links if link.kind in _TUNNELS]
    return Fault(
        message=f"{total} packets to the own address of container {names}{more} were dropped, as Docker 28 on does",
        subjects=tuple(Subject("container", each.attachment.container.name) for each in shown),
        evidence=(
            *(Evidence(each.rule.span, f"{each.packets} packets did not come by its bridge") for each in shown),
            *(related(each.attachment.endpoint.span, "this address") for each in shown[:2]),
            *(related(link.span, "clients of a VPN may have sent them") for link in tunnels[:1]),
        ),
        remedy=tuple(_remedy(host, shown, tunnels)),
        verify=("iptables -t raw -L PREROUTING -v -n -x",),
    )


def _remedy(host: Host, shown: Sequence[_Hit], tunnels: Sequence[Link]) -> Iterator[str]:
    device = tunnels[0].name if tunnels else uplink(host) or "eth0"
    for each in shown:
        address = each.attachment.endpoint.address
        if isinstance(each.rule, Rule):
            yield sh("iptables -t raw -I PREROUTING -i {} -d {} -j ACCEPT", device, address.ip if address else "")
        else:
            came = f"iifname {nft_set([device])} " if nft_set([device]) else ""
            words = f"insert rule ip docker-bridges raw-PREROUTING {came}ip daddr"
            yield sh("nft {}", f"{words} {address.ip if address else ''} accept")
