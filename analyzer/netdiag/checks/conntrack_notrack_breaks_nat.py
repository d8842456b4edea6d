"""NOTRACK/CT --notrack on published flows.

## What it finds
A rule of the raw table that takes connections to a published port, or what containers send outside, out of connection
tracking.

## Why it matters
What is not tracked is not translated: connections to the port stay with the host, where at most docker-proxy answers
them, and packets of containers leave with their own addresses. The rules of the nat table are all there and their
counters stay at 0.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; the raw table and the uplinks
are known. The first packet of somebody far away to each published port, and what a container of each translated network
asks outside, are sent through every chain at the hook PREROUTING that comes before connection tracking (priority -200).
A rule with `CT --notrack`, `NOTRACK` or `notrack` of nftables must take them for certain. A port on which docker-proxy
listens is a warning.

## Not a problem when
The rule is for other ports (DNS, BGP) or interfaces; `-j CT` assigns a helper or a zone.

## Repair
Delete the rule, or exempt the port from it.

## Verify
The counter of the engine's rule grows.

## References
iptables-extensions(8) (CT, NOTRACK); nft(8) (notrack); kernel include/uapi/linux/netfilter_ipv4.h
(NF_IP_PRI_CONNTRACK).
"""

from dataclasses import dataclass, replace

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, docker_networks, related
from netdiag.checks._flows import incoming, members_address, outgoing
from netdiag.checks._nat import name_of
from netdiag.checks._ports import carried_ports, proxies
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import NftRule, NftStatement, Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.firewall import FirewallChain
from netdiag.model.flow import AnyRule, AnyTable, Fate, Flow
from netdiag.model.gates import manages_iptables, table_known, translates_addresses, unknown, uplinks
from netdiag.model.hooks import BaseChain, base_chains, ways_through
from netdiag.model.nftables import NativeChain
from netdiag.spans import Span

_CONNTRACK = -200
_HOOK = "PREROUTING"


@dataclass(frozen=True)
class _Hit:
    """What a rule takes out of tracking, whose it is, and whether docker-proxy answers all the same."""

    what: str
    subjects: tuple[Subject, ...]
    proof: Span
    served: bool


@check(Severity.ERROR, layer="conntrack")
def conntrack_notrack_breaks_nat(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "raw"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    if not uplinks(host) or not host.root.addresses_known:
        yield unjudged(unknown("by which link clients come in", "ip_route", "ip_addr"))
        return
    chains = [_marked(chain) for chain in base_chains(host.root, _HOOK) if chain.priority < _CONNTRACK]
    found: dict[Span, tuple[AnyRule, list[_Hit]]] = {}
    if any(chain.rules for chain in chains):
        answering = proxies(host)
        for packet in incoming(host, carried_ports(host, bridges)):
            carried = packet.carried
            rule = _untracking(chains, packet.before, host)
            if rule:
                subjects = (Subject("port", carried.name), Subject("container", carried.container.name))
                served = (carried.port.host_port, carried.port.protocol) in answering
                hit = _Hit(f"connections to published port {carried.name}", subjects, carried.port.span, served)
                found.setdefault(rule.span, (rule, []))[1].append(hit)
        for bridge in bridges:
            source = members_address(bridge.network) if translates_addresses(bridge.network).yes else None
            for flow in outgoing(host, bridge, source) if source else ():
                rule = _untracking(chains, flow, host)
                if rule:
                    what = f"what network `{bridge.network.name}` asks outside"
                    hit = _Hit(what, bridge.subjects, bridge.network.span, served=False)
                    found.setdefault(rule.span, (rule, []))[1].append(hit)
    for rule, hits in found.values():
        yield _fault(host, rule, hits)


@dataclass(frozen=True)
class _Marked:
    """A base chain whose rules that take packets out of tracking end their way, and these rules by what they became."""

    chain: BaseChain
    rules: dict[Span, AnyRule]


def _marked(chain: BaseChain) -> _Marked:
    rules = {rule.span: rule for each in chain.table.chains.values() for rule in each.rules if _untracks(rule)}
    return _Marked(replace(chain, table=_ending_at(chain.table, rules)) if rules else chain, rules)


def _ending_at(table: AnyTable, rules: dict[Span, AnyRule]) -> AnyTable:
    """The table with an end of the packet's way in the place of each of these rules' own doing."""
    if isinstance(table, FirewallTable):
        ended = {
            name: FirewallChain(chain.head, tuple(_ended(rule) if rule.span in rules else rule for rule in chain.rules))
            for name, chain in table.chains.items()
        }
        return replace(table, chains=ended)
    native = {
        name: NativeChain(
            chain.head, tuple(_ended_native(rule) if rule.span in rules else rule for rule in chain.rules)
        )
        for name, chain in table.chains.items()
    }
    return replace(table, chains=native)


def _ended(rule: Rule) -> Rule:
    return replace(rule, target="DROP", target_options=())


def _ended_native(rule: NftRule) -> NftRule:
    statements = (NftStatement("drop") if _is_notrack(each) else each for each in rule.statements)
    return replace(rule, statements=tuple(statements))


def _untracks(rule: AnyRule) -> bool:
    if isinstance(rule, NftRule):
        return any(_is_notrack(each) for each in rule.statements)
    return rule.target == "NOTRACK" or (
        rule.target == "CT" and any(option.option == "notrack" for option in rule.target_options)
    )


def _is_notrack(statement: object) -> bool:
    return isinstance(statement, NftStatement) and statement.name == "notrack"


def _untracking(chains: list[_Marked], flow: Flow, host: Host) -> AnyRule | None:
    """The rule that takes the flow out of tracking for certain."""
    for marked in chains:
        if not marked.rules:
            continue
        way, *more = ways_through(marked.chain, flow, host.root.ground)
        if not more and way.certain and way.fate is Fate.DROPPED and way.rule and way.rule.span in marked.rules:
            return marked.rules[way.rule.span]
    return None


def _fault(host: Host, rule: AnyRule, hits: list[_Hit]) -> Fault:
    what = list(dict.fromkeys(hit.what for hit in hits))
    more = f" and {len(what) - 4} more" if len(what) > 4 else ""
    served = all(hit.served for hit in hits)
    packets = f"; {rule.counters.packets} packets so far" if isinstance(rule, Rule) and rule.counters else ""
    asks = {hit.proof: hit for hit in reversed(hits)}
    return Fault(
        message=f"a rule takes out of connection tracking, and so out of translation: {', '.join(what[:4])}{more}"
        + (" (docker-proxy answers, and hides the clients)" if served else ""),
        subjects=(Subject("rule", name_of(rule)), *dict.fromkeys(each for hit in hits for each in hit.subjects)),
        evidence=(
            Evidence(rule.span, f"this rule takes them out{packets}"),
            *(related(span, hit.what) for span, hit in list(reversed(asks.items()))[:3]),
        ),
        remedy=(deletion(rule),),
        verify=("iptables -t raw -L -v -n -x", "iptables -t nat -L DOCKER -v -n -x"),
        severity=Severity.WARNING if served else Severity.ERROR,
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
