"""The policy DROP of FORWARD cuts off machines that are not the engine's.

## What it finds
Virtual machines, other containers or VPN clients behind a bridge or a tunnel of this host, which are meant to reach the
outside through it, and whose packets the policy of FORWARD drops.

## Why it matters
The engine sets the policy to DROP when it switches forwarding on, and lets only its own networks pass. Whatever else
the host forwards (KVM, LXD, VirtualBox, a VPN) is cut off when Docker is installed or started first.

## How it is decided
Gates: the engine manages the rules of this namespace; the filter table was collected. Others that the host forwards for
are: a bridge that belongs to none of the engine's networks, has a port and an IPv4 address, or a WireGuard or TUN
device with an IPv4 address, when the rules translate packets from there (MASQUERADE, SNAT) that leave by the uplink;
and a bridge with two ports or more whose packets iptables sees (`bridge-nf-call-iptables`). A packet from there to the
outside, the answer to it, or one from port to port is sent through all chains of FORWARD. It is a fault when a policy
drops it for sure.

## Not a problem when
libvirt's or LXD's own rules let the packets pass; nothing translates them, so that the link is not meant to reach the
outside.

## Repair
Let them pass in DOCKER-USER, which the engine leaves alone; or switch forwarding on before the engine starts, or set
`"ip-forward-no-drop": true` (28 on).

## Verify
The machine behind the bridge reaches the outside.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; docker/for-linux#949; moby/moby#39439; moby/moby#52612.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import docker_networks, related, sh
from netdiag.checks._drops import USER_CHAIN, nft_accepts, nft_set
from netdiag.checks._wanted import filters_bridged, uplink
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link, Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.flow import AnyRule, Fate, Flow
from netdiag.model.gates import manages_firewall, table_known, whole
from netdiag.model.hooks import BaseChain, base_chains, obstacles, translations
from netdiag.model.nftables import NativeTable

_TUNNELS = frozenset({"wireguard", "tun"})
_GATEWAY_BRIDGE = "docker_gwbridge"


@dataclass(frozen=True)
class _Forwarder:
    """A link that others are behind, a flow from there, and what shows that it is meant to be forwarded."""

    link: Link
    flows: tuple[Flow, ...]
    proof: AnyRule | Link


@check(Severity.ERROR, layer="filter")
def filter_forward_policy_drop_unserved(host: Host) -> Verdicts:
    links = whole(host.root.links, "which links there are")
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_firewall(host), links)
    yield from others
    if not bridges:
        return
    own = {bridge.device for bridge in bridges} | {_GATEWAY_BRIDGE}
    found = list(_forwarders(host, own))
    if not found:
        yield NotApplicable("the host forwards for nobody but the engine's networks")
        return
    chains = [chain for chain in base_chains(host.root, "FORWARD") if chain.kind == "filter"]
    for forwarder in found:
        for flow in forwarder.flows:
            hit = next((each for each in obstacles(chains, flow, host.root.ground) if each.certain), None)
            if hit and hit.rule is None and _is_shared(hit.chain):
                yield _fault(forwarder, hit.chain)
                break


def _is_shared(chain: BaseChain) -> bool:
    """The chain is one whose policy the engine sets."""
    table = chain.table
    return table.name == "docker-bridges" if isinstance(table, NativeTable) else table.name == "filter"


def _forwarders(host: Host, own: set[str]) -> Iterator[_Forwarder]:
    ports: dict[str, list[Link]] = defaultdict(list)
    for link in host.root.links:
        if link.master:
            ports[link.master].append(link)
    out = uplink(host)
    for link in host.root.links:
        if link.name in own or not link.up or link.kind not in (*_TUNNELS, "bridge"):
            continue
        routed = _routed(host, link, ports, out)
        if routed:
            yield routed
        elif link.kind == "bridge" and len(ports[link.name]) > 1 and filters_bridged(host, link.name):
            yield _Forwarder(link, (Flow("tcp", link.name, link.name, destination_port=443, bridged=True),), link)


def _routed(host: Host, link: Link, ports: Mapping[str, Sequence[Link]], out: str | None) -> _Forwarder | None:
    """Others behind the link whose packets are translated on their way out."""
    if out is None or link.name == out or (link.kind == "bridge" and not ports[link.name]):
        return None
    for address in link.addresses:
        subnet = address.address.network
        if address.address.version != 4 or subnet.num_addresses < 3:
            continue
        member = next(each for each in subnet.hosts() if each != address.address.ip)
        asks = Flow("tcp", link.name, out, source=member, destination=_SOMEBODY, destination_port=443)
        ways = translations(host.root, "POSTROUTING", asks)
        if len(ways) == 1 and ways[0].fate is Fate.TRANSLATED and ways[0].rule:
            answers = Flow("tcp", out, link.name, _SOMEBODY, member, 50000, state="ESTABLISHED")
            return _Forwarder(link, (asks, answers), ways[0].rule)
    return None


#: Somebody outside, in no range that rules usually name.
_SOMEBODY = IPv4Address("23.145.67.89")


def _fault(forwarder: _Forwarder, chain: BaseChain) -> Fault:
    link, proof = forwarder.link, forwarder.proof
    routed = not isinstance(proof, Link)
    label = "their packets are to leave by the uplink" if routed else "iptables sees what this bridge carries"
    what = "packets from and to it" if routed else "packets between its ports"
    return Fault(
        message=f"the policy of FORWARD drops what `{link.name}` forwards: no rule lets {what} pass",
        subjects=(Subject("bridge" if link.kind == "bridge" else "interface", link.name),),
        evidence=(
            Evidence(chain.head.span, "what no rule takes is dropped"),
            related(link.span, "others are behind this link"),
            *([related(proof.span, label)] if isinstance(proof, Rule) else []),
        ),
        remedy=tuple(_remedy(link, chain, routed=routed)),
        verify=("iptables -L FORWARD -v -n -x",),
    )


def _remedy(link: Link, chain: BaseChain, *, routed: bool) -> Iterator[str]:
    table = chain.table
    if not isinstance(table, FirewallTable):
        for word in ("iifname", "oifname") if nft_set([link.name]) else ():
            yield nft_accepts(chain, f"{word} {nft_set([link.name])}")
        return
    place = USER_CHAIN if table.reaches("FORWARD", USER_CHAIN) else "FORWARD"
    if not routed:
        yield sh("iptables -I {} -i {} -o {} -j ACCEPT", place, link.name, link.name)
        return
    yield sh("iptables -I {} -i {} -j ACCEPT", place, link.name)
    yield sh("iptables -I {} -o {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", place, link.name)
