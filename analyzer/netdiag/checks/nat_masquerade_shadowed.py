"""An earlier POSTROUTING rule prevents masquerading.

## What it finds
A bridge network whose MASQUERADE rule is there and is never reached, because a rule of nat POSTROUTING before it lets
the packets go.

## Why it matters
Packets of the containers leave the host with their own addresses, so no answer comes back. A look at the rules finds
the MASQUERADE in its place; only its counter, which stays at 0, gives it away.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the network is a local bridge that shall be masqueraded; the
nat table and the uplinks are known. Some rule must translate the whole subnet (else nat-masquerade-missing says so).
New connections of a container to somebody far away (HTTPS, DNS) are sent through every nat chain at the hook
POSTROUTING: none of them may go untranslated for certain.

## Not a problem when
The rule spares some destinations only (`-d 10.0.0.0/8`, as VPNs want it) or another network; it returns from a chain
that somebody made, and the MASQUERADE comes later.

## Repair
Put the engine's rule before the one that spares the packets, or limit that one to the destinations that it is meant
for.

## Verify
The MASQUERADE comes first and its counter grows. Connections that are tracked already keep their old treatment:
`conntrack -D -s SUBNET` ends it.

## References
moby integration/network/bridge/iptablesdoc; iptables(8) (a packet leaves a table at the first rule that accepts it).
"""

from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Network

from netdiag.checks._base import Fault, Verdicts, check, sort_out, unjudged
from netdiag.checks._docker import BridgeNetwork, deletion, docker_networks, related
from netdiag.checks._flows import members_address, outgoing
from netdiag.checks._nat import name_of, source_nat
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host, Truth
from netdiag.model.flow import AnyRule, Fate
from netdiag.model.gates import manages_iptables, table_known, translates_addresses, unknown, uplinks
from netdiag.model.hooks import translations
from netdiag.spans import Span


@check(Severity.ERROR, layer="nat")
def nat_masquerade_shadowed(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "nat"), manages_iptables(host))
    yield from others
    translated, rest = sort_out(bridges, lambda bridge: translates_addresses(bridge.network), "no bridge network")
    if bridges:
        yield from rest
    if translated and not uplinks(host):
        yield unjudged(unknown("by which link packets leave", "ip_route"))
        return
    spared: dict[Span, list[_Spared]] = defaultdict(list)
    for bridge in translated:
        found = _judge(host, bridge)
        if found:
            spared[found.rule.span].append(found)
    for alike in spared.values():
        yield _fault(host, sorted(alike, key=lambda each: each.own.position))


@dataclass(frozen=True)
class _Spared:
    """A network, the rule that lets its packets go, and the one that would translate them."""

    bridge: BridgeNetwork
    subnet: IPv4Network
    rule: AnyRule
    own: Rule


def _judge(host: Host, bridge: BridgeNetwork) -> _Spared | None:
    subnet = next((s.subnet for s in bridge.network.subnets if isinstance(s.subnet, IPv4Network)), None)
    source = members_address(bridge.network)
    if subnet is None or source is None:
        return None
    answers = [table.masquerades(subnet, bridge.device, uplinks(host)) for table in host.root.tables("nat")]
    own = next((rule for truth, rule in answers if truth is Truth.YES), None)
    for flow in outgoing(host, bridge, source) if own else ():
        way, *more = translations(host.root, "POSTROUTING", flow)
        if own and not more and way.certain and way.rule is not None and way.fate is not Fate.TRANSLATED:
            return _Spared(bridge, subnet, way.rule, own)
    return None


def _fault(host: Host, spared: list[_Spared]) -> Fault:
    rule = spared[0].rule
    names = ", ".join(f"`{each.bridge.network.name}`" for each in spared)
    moved = (
        command
        for each in spared
        for command in (deletion(each.own), f"iptables -t nat -I {source_nat(each.bridge, each.subnet)}")
        if each.own.chain == "POSTROUTING" or " -I " in command
    )
    return Fault(
        message=f"a rule before the MASQUERADE of network {names} lets packets of its containers go untranslated",
        subjects=(*(subject for each in spared for subject in each.bridge.subjects), Subject("rule", name_of(rule))),
        evidence=(
            Evidence(rule.span, "this rule comes first and lets them go"),
            *(related(each.own.span, f"this rule is never reached{_packets(each.own)}") for each in spared[:3]),
        ),
        remedy=tuple(moved),
        verify=("iptables -t nat -L POSTROUTING -v -n -x",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )


def _packets(rule: Rule) -> str:
    return f"; {rule.counters.packets} packets so far" if rule.counters else ""
