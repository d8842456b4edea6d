"""DOCKER-USER rules drop wanted traffic.

## What it finds
A rule in DOCKER-USER, or in a chain that it leads to, that drops connections to a published port, connections of
containers to the outside, or the answers to those.

## Why it matters
DOCKER-USER comes before all of Docker's own rules, so nothing lets through what it drops. A DROP on the uplink without
an exception for RELATED,ESTABLISHED also drops the answers to what the containers ask: no name resolution, no
downloads.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the filter table was collected; FORWARD leads to
DOCKER-USER. Three kinds of flows are sent through the chain, first match deciding: a new connection from the uplink to
each published port (after DNAT, so with the container's address and port), a new connection (DNS, HTTPS) from each
bridge network that may reach outside, and the answer to it. The uplink is the device of the default route. A rule that
drops only some sources is a policy, and a note.

## Not a problem when
The administrator means it: the port is published for other hosts behind another interface, or only some sources may use
it.

## Repair
Delete the rule, or let the answers pass before it. Match the published port with `--ctorigdstport`, because DNAT comes
first.

## Verify
The rule's counter stops growing and the port answers.

## References
docs.docker.com/engine/network/firewall-iptables; moby/moby#22054; chaifeng/ufw-docker#156.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._docker import (
    Attachment,
    BridgeNetwork,
    attachments,
    deletion,
    docker_networks,
    published_ports,
    related,
)
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.flow import Decision, Fate, Flow, decide, told_apart
from netdiag.model.gates import manages_iptables, reaches_outside, table_known
from netdiag.spans import Span

_CHAIN = "DOCKER-USER"

#: What nearly every container asks outside: a name, and something by HTTPS; the answer comes to a port like the last
#: one.
_ASKED_OUTSIDE = (("udp", 53), ("tcp", 443))
_EPHEMERAL = 50000

_MOST_NAMED = 4


@dataclass(frozen=True)
class _Case:
    """A flow that should pass, whose it is, and where the bundle says that it is wanted."""

    what: str
    flow: Flow
    subject: Subject
    wanted: Span
    incoming: bool


@check(Severity.ERROR, layer="filter")
def filter_docker_user_drop(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    if not bridges:
        yield from others
        return
    tables = host.root.tables("filter")
    effective = [table for table in tables if table.reaches("FORWARD", _CHAIN)]
    if not effective:
        yield NotApplicable(f"FORWARD does not lead to {_CHAIN}")
        return
    for table in effective:
        yield from _judge(list(_cases(host, bridges)), table)


def _cases(host: Host, bridges: list[BridgeNetwork]) -> Iterator[_Case]:
    uplink = _uplink(host)
    attached = list(attachments(host, bridges))
    by_container: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attached:
        by_container[attachment.container.id].append(attachment)
    for container, port in published_ports(host, "docker"):
        if port.host_address is not None and (port.host_address.version != 4 or port.host_address.is_loopback):
            continue
        for attachment in by_container[container.id]:
            address = attachment.endpoint.address
            if address is None:
                continue
            yield _Case(
                f"connections to published port {port.host_port}/{port.protocol}",
                Flow(
                    protocol=port.protocol,
                    in_interface=uplink,
                    out_interface=attachment.bridge.device,
                    destination=address.ip,
                    destination_port=port.container_port,
                    original_destination_port=port.host_port,
                ),
                Subject("container", container.name),
                port.span,
                incoming=True,
            )
            break
    for attachment in attached:
        if reaches_outside(attachment.bridge.network).yes and attachment.endpoint.address:
            yield from _ways_out(attachment.container, attachment.bridge, attachment.endpoint.address.ip, uplink)


def _ways_out(container: Container, bridge: BridgeNetwork, address: IPv4Address, uplink: str | None) -> Iterator[_Case]:
    subject, name = Subject("network", bridge.network.name), bridge.network.name
    for protocol, port in _ASKED_OUTSIDE:
        out = Flow(protocol, bridge.device, uplink, source=address, destination_port=port)
        answer = Flow(
            protocol, uplink, bridge.device, destination=address, destination_port=_EPHEMERAL, state="ESTABLISHED"
        )
        yield _Case(f"connections of network {name} to the outside", out, subject, container.span, incoming=False)
        yield _Case(f"answers to what network {name} asks outside", answer, subject, container.span, incoming=False)


def _uplink(host: Host) -> str | None:
    """The device of the IPv4 default route."""
    for route in host.root.routes:
        default = route.destination.version == 4 and route.destination.prefixlen == 0 and route.type == "unicast"
        if default and route.table in (None, "main") and route.next_hops:
            return route.next_hops[0].device
    return None


def _judge(cases: list[_Case], table: FirewallTable) -> Verdicts:
    kinds: dict[Hashable, list[_Case]] = defaultdict(list)
    kind_of = told_apart(table, _CHAIN)
    for case in cases:
        kinds[kind_of(case.flow)].append(case)
    dropped: dict[Rule, list[Hashable]] = defaultdict(list)
    sometimes: dict[Rule, list[Hashable]] = defaultdict(list)
    doubts: dict[Rule, str] = {}
    for kind, alike in kinds.items():
        for decision in decide(table, _CHAIN, alike[0].flow):
            if decision.fate is not Fate.DROPPED or decision.rule is None:
                continue
            if decision.certain:
                dropped[decision.rule].append(kind)
            elif _depends_on_address_only(decision):
                sometimes[decision.rule].append(kind)
            else:
                doubts.setdefault(decision.rule, alike[0].what)
    for rule, hit in dropped.items():
        yield _fault(rule, [case for kind in hit for case in kinds[kind]])
    for same, rules in _of_one_policy({rule: hit for rule, hit in sometimes.items() if rule not in dropped}):
        yield _policy(rules, [case for kind in same for case in kinds[kind]])
    for rule, what in doubts.items():
        if rule not in dropped and rule not in sometimes:
            where = f"{rule.span.source.path}:{rule.span.line}"
            yield Unjudged(f"whether the rule at {where} drops {what}", "its conditions cannot be judged")


def _of_one_policy(rules: Mapping[Rule, list[Hashable]]) -> Iterable[tuple[tuple[Hashable, ...], list[Rule]]]:
    """The rules that drop some of the same kinds of flows, together."""
    policies: dict[tuple[Hashable, ...], list[Rule]] = defaultdict(list)
    for rule, kinds in rules.items():
        policies[tuple(kinds)].append(rule)
    return policies.items()


def _depends_on_address_only(decision: Decision[Rule]) -> bool:
    """The doubt is just about who the other side is: the rule asks for addresses, and for nothing that is not known."""
    rule = decision.depends_on
    if rule is None or rule.not_understood:
        return False
    known = {"comment", "ctstate", "state", "dport", "dports", "ctorigdstport"}
    return (rule.source is not None or rule.destination is not None) and all(m.option in known for m in rule.matches)


def _named(cases: list[_Case]) -> str:
    names = list(dict.fromkeys(case.what for case in cases))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _subjects(cases: list[_Case], rule: Rule) -> tuple[Subject, ...]:
    return (
        *dict.fromkeys(case.subject for case in cases),
        Subject("rule", f"{rule.table} {rule.chain} {rule.position}"),
    )


def _evidence(cases: list[_Case], rule: Rule, label: str) -> tuple[Evidence, ...]:
    packets = f"; {rule.counters.packets} packets so far" if rule.counters else ""
    wanted = {case.wanted: case.what for case in reversed(cases) if case.incoming}
    shown = [related(span, what.removeprefix("connections to ")) for span, what in list(wanted.items())[:3]]
    return (Evidence(rule.span, label + packets), *shown)


def _fault(rule: Rule, cases: list[_Case]) -> Fault:
    only_answers = all(case.flow.state == "ESTABLISHED" for case in cases)
    let_answers_pass = f"iptables -I {_CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    return Fault(
        message=f"a rule in {rule.chain} drops {_named(cases)}",
        subjects=_subjects(cases, rule),
        evidence=_evidence(cases, rule, "this rule drops them"),
        remedy=(let_answers_pass if only_answers else deletion(rule),),
        verify=(f"iptables -L {_CHAIN} -v -n -x",),
    )


def _policy(rules: list[Rule], cases: list[_Case]) -> Fault:
    """One note for all rules that drop the same for some addresses, such as the thousands of a list of banned ones."""
    rule, *others = rules
    fault = _fault(rule, cases)
    who = f"{len(rules)} rules in {rule.chain} drop" if others else f"a rule in {rule.chain} drops"
    return replace(
        fault,
        message=f"{who} {_named(cases)} for some addresses",
        evidence=(
            *_evidence(cases, rule, "this rule drops some of them"),
            *(related(other.span, "so does this rule") for other in others[:_MOST_NAMED]),
        ),
        severity=Severity.NOTE,
        confidence=Confidence.MEDIUM,
    )
