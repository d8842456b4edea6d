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

It is an error where these rules drop the answers to what a container asks outside: its network is made with
`enable_ip_masquerade=false`, no other rule translates what leaves by the uplinks, and an answer, put to the rules of
PREROUTING, ends at the container's guard.

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

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, docker_networks, related
from netdiag.checks._drops import taken_by
from netdiag.checks._exposure import address_guards, guard_opened
from netdiag.checks._flows import answer_to, outgoing
from netdiag.checks._wanted import uplink
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Link
from netdiag.model import Host, Truth
from netdiag.model.flow import AnyRule, Fate
from netdiag.model.gates import bridge_option, manages_firewall, reaches_outside, table_known
from netdiag.model.hooks import base_chains, passage, translations_of

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
    guarded = [
        _Hit(rule, by_address[address], taken_by(host, rule) or 0)
        for rule, address in address_guards(host)
        if address in by_address
    ]
    cut_off: dict[str, list[_Hit]] = defaultdict(list)
    for one in guarded:
        if _hears_no_answer(host, one):
            cut_off[one.attachment.bridge.device].append(one)
    yield from (_fault(host, found) for found in cut_off.values())
    hit = [one for one in guarded if one.packets and one.attachment.bridge.device not in cut_off]
    if hit:
        yield _note(host, sorted(hit, key=lambda each: -each.packets))


def _hears_no_answer(host: Host, guarded: _Hit) -> bool:
    """Nobody translates what the container asks outside, so that the answers come to its own address."""
    bridge, address = guarded.attachment.bridge, guarded.attachment.endpoint.address
    asked_for = bridge_option(bridge.network, "enable_ip_masquerade") != "false"
    if address is None or asked_for or not reaches_outside(bridge.network).yes or not table_known(host, "nat").yes:
        return False
    chains = base_chains(host.root, "POSTROUTING")
    for flow in outgoing(host, bridge, address.ip):
        ways = translations_of(chains, flow, host.root.ground)
        answer = passage(host.root, "PREROUTING", answer_to(flow))
        untranslated = all(way.fate is not Fate.TRANSLATED for way in ways)
        if untranslated and answer.truth is Truth.NO and answer.rule is guarded.rule:
            return True
    return False


def _fault(host: Host, found: Sequence[_Hit]) -> Fault:
    shown, network = found[:_MOST_SHOWN], found[0].attachment.bridge.network
    names = ", ".join(dict.fromkeys(f"`{each.attachment.container.name}`" for each in shown))
    return Fault(
        message=f"answers to what {names} ask outside are dropped: network `{network.name}` is not masqueraded, and "
        "Docker 28 on lets nothing else come to a container's own address",
        subjects=(
            *found[0].attachment.bridge.subjects,
            *dict.fromkeys(Subject("container", each.attachment.container.name) for each in found),
        ),
        evidence=(
            *(Evidence(each.rule.span, f"drops the answers; {each.packets} packets so far") for each in shown),
            related(network.span, f"network {network.name} has enable_ip_masquerade=false"),
        ),
        remedy=tuple(_remedy(host, found, ())),
        verify=("iptables -t raw -L PREROUTING -v -n -x",),
        severity=Severity.ERROR,
    )


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


def _remedy(host: Host, found: Sequence[_Hit], tunnels: Sequence[Link]) -> Iterator[str]:
    device = tunnels[0].name if tunnels else uplink(host) or "eth0"
    for each in found:
        address = each.attachment.endpoint.address
        if address:
            yield guard_opened(each.rule, device, address.ip)
