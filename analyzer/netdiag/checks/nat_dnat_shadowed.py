"""Another PREROUTING/DOCKER rule takes the port first.

## What it finds
A published port whose DNAT rule is there and is never reached, because a rule before it sends the connection elsewhere
or lets it go untranslated.

## Why it matters
Clients reach another service than the one that was published, or nothing at all. Everything of the engine is in order,
so the container and its logs show no trace of them.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the nat table, the addresses and the default route are
known; the engine's rule for the port is there (else nat-dnat-missing says so). The first packet of a far client is sent
through every nat chain at the hook PREROUTING, as it comes in by each uplink; the first rule that takes it decides.
Rules of all backends and of nftables count. What applies to some clients only is a policy and no finding.

## Not a problem when
The rule is for another address of the host, for another interface or for some clients; `-i BRIDGE -j RETURN`, which the
engine itself writes, is about containers.

## Repair
Delete the rule, or publish the container on another port.

## Verify
The port answers from outside, and the counter of the engine's rule grows.

## References
moby integration/network/bridge/iptablesdoc/generated/usernet-portmap.md; iptables-extensions(8) (DNAT, REDIRECT).
"""

from collections.abc import Mapping

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._docker import deletion, related
from netdiag.checks._flows import Incoming, incoming, ports_for_outsiders
from netdiag.checks._nat import goal_of, name_of
from netdiag.checks._ports import CarriedPort, translations_by_goal
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.firewall import port_matches
from netdiag.model.flow import AnyRule, Decision, Fate
from netdiag.model.hooks import base_chains, translations_of


@check(
    Severity.ERROR, layer="nat", symptom_of=("nat-dnat-stale", "nat-legacy-nft-split", "port-swarm-ingress-conflict")
)
def nat_dnat_shadowed(host: Host) -> Verdicts:
    ports, others = ports_for_outsiders(host)
    yield from others
    engines, chains = translations_by_goal(host), base_chains(host.root, "PREROUTING")
    for packet in incoming(host, ports):
        rule = _of_engine(packet.carried, engines)
        if rule:
            yield from _judge(host, packet, rule, translations_of(chains, packet.before, host.root.ground))


def _of_engine(carried: CarriedPort, engines: Mapping[str, list[Rule]]) -> Rule | None:
    """The engine's own rule for the port."""
    for rule in engines.get(_goal(carried), ()):
        if rule.protocol == carried.port.protocol and port_matches(rule, carried.port.host_port):
            return rule
    return None


def _goal(carried: CarriedPort) -> str:
    return f"{carried.address}:{carried.port.container_port}"


def _judge(host: Host, packet: Incoming, own: Rule, ways: tuple[Decision[AnyRule], ...]) -> Verdicts:
    strangers = [way for way in ways if not _leads_home(way.rule, packet.carried)]
    if not strangers:
        return
    first = strangers[0]
    if len(strangers) == len(ways) and first.certain and first.rule is not None:
        yield _fault(host, packet, first.rule, own, translated=first.fate is Fate.TRANSLATED)
    elif first.fate is Fate.TRANSLATED and first.depends_on is not None:
        rule = first.depends_on
        where = f"{rule.span.source.path}:{rule.span.line}"
        yield Unjudged(f"whether the rule at {where} takes port {packet.carried.name}", "it has conditions")


def _leads_home(rule: AnyRule | None, carried: CarriedPort) -> bool:
    return rule is not None and _goal(carried) in goal_of(rule).split()


def _fault(host: Host, packet: Incoming, rule: AnyRule, own: Rule, *, translated: bool) -> Fault:
    carried = packet.carried
    instead = f"leads it to {goal_of(rule)}" if translated else "lets it go untranslated"
    packets = f"; {own.counters.packets} packets so far" if own.counters else ""
    return Fault(
        message=f"a rule before the engine's takes published port {carried.name} of container "
        f"`{carried.container.name}` and {instead}",
        subjects=(
            Subject("container", carried.container.name),
            Subject("port", carried.name),
            Subject("rule", name_of(rule)),
        ),
        evidence=(
            Evidence(rule.span, f"this rule comes first and {instead}"),
            related(own.span, f"the engine's rule is never reached{packets}"),
            related(carried.port.span, f"container {carried.container.name} publishes the port"),
        ),
        remedy=(deletion(rule),),
        verify=("iptables -t nat -L PREROUTING -v -n -x", "iptables -t nat -L DOCKER -v -n -x"),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
