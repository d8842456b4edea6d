"""Networks are not kept apart: containers of one reach those of another.

## What it finds
Bridge networks between which packets are forwarded, although the engine keeps its networks apart: rules of isolation
are gone, or a rule before them lets everything pass.

## Why it matters
Networks are how tenants, tests and databases are kept from each other. A container that should reach only its
neighbours reaches every port of every container on the host.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has two local bridge networks or more; its rule dialect
is known; all rules of the filter table were collected. A new connection from each network to the next one, and the
answer to it, are sent through all chains on their way, with the policies and in all backends. It is a fault when both
pass for sure, and rules by which the engine isolates networks are gone, or a rule that asks for nothing accepts all
packets or ends the chains of isolation too early.

## Not a problem when
An administrator's rule lets one network reach another one by name or address. Networks in gateway mode nat-unprotected
are open on purpose.

## Repair
Put the rules back where they were, or delete the rule that lets everything pass. What else the host is to forward gets
a rule of its own in DOCKER-USER.

## Verify
A container of one network gets no answer from a container of another.

## References
moby libnetwork/drivers/bridge/setup_ip_tables.go; moby integration/network/bridge/iptablesdoc.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, attachments, deletion, docker_networks, related, sh
from netdiag.checks._rules import evidence_of, forward_unless_open, gone, remedy_of, subject_of_chain, text_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Rule
from netdiag.model import Host, Truth
from netdiag.model.expected import Expected, Purpose
from netdiag.model.flow import Fate, Flow
from netdiag.model.gates import bridge_option, dialect_known, manages_iptables, table_known
from netdiag.model.hooks import base_chains, passage, ways_through

_KEEPS_APART = (Purpose.ISOLATION, Purpose.ENTRY, Purpose.WIRING)

#: A port that no rule names.
_SOME_SERVICE = 9999
_EPHEMERAL = 50000

_STAGES = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-ISOLATION")


@dataclass(frozen=True)
class _Pair:
    """A network and the next one, a connection between containers of both, and the answer to it."""

    source: BridgeNetwork
    goal: BridgeNetwork
    flow: Flow

    @property
    def answer(self) -> Flow:
        asked = self.flow
        return Flow(
            asked.protocol,
            asked.out_interface,
            asked.in_interface,
            asked.destination,
            asked.source,
            _EPHEMERAL,
            state="ESTABLISHED",
            source_port=asked.destination_port,
        )


@check(
    Severity.WARNING,
    layer="filter",
    symptom_of=("filter-docker-chains-missing", "filter-docker-jump-missing", "bundle-two-daemons"),
)
def filter_isolation_off(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host), dialect_known(host))
    yield from others
    if not bridges:
        return
    closed = [each for each in bridges if bridge_option(each.network, "gateway_mode_ipv4") != "nat-unprotected"]
    if len(closed) < 2:
        yield NotApplicable("there is only one bridge network that is kept apart from others")
        return
    reached = [pair for pair in _ring(host, closed) if _passes(host, pair.flow) and _passes(host, pair.answer)]
    if reached:
        missing = [each for each in gone(host).of(*_KEEPS_APART) if each.rule.family == "ipv4"]
        accepting = _accepting(host, reached[0].flow)
        if missing:
            yield _rules_gone(host, reached, missing)
        elif accepting:
            yield _let_through(host, reached, accepting)
    yield from gone(host).doubts_about("filter")


def _ring(host: Host, bridges: Sequence[BridgeNetwork]) -> Iterator[_Pair]:
    """Each network with the next one, the last with the first: so each is asked as the source and as the goal."""
    addresses: dict[str, IpAddress] = {}
    for attachment in attachments(host, list(bridges)):
        if attachment.endpoint.address:
            addresses.setdefault(attachment.bridge.device, attachment.endpoint.address.ip)
    for source, goal in pairwise([*bridges, bridges[0]]):
        start, end = _some_address(addresses, source), _some_address(addresses, goal)
        if start and end:
            flow = Flow("tcp", source.device, goal.device, start, end, _SOME_SERVICE)
            yield _Pair(source, goal, flow)


def _some_address(addresses: dict[str, IpAddress], bridge: BridgeNetwork) -> IpAddress | None:
    """The address of a container on a network, else one that a container may get."""
    if bridge.device in addresses:
        return addresses[bridge.device]
    subnets = (each.subnet for each in bridge.network.subnets if each.subnet.version == 4)
    return next((subnet.broadcast_address - 1 for subnet in subnets if subnet.num_addresses > 3), None)


def _passes(host: Host, flow: Flow) -> bool:
    """The flow is forwarded for sure."""
    return all(passage(host.root, hook, flow).truth is Truth.YES for hook in ("PREROUTING", "FORWARD"))


def _accepting(host: Host, flow: Flow) -> Rule | None:
    """The rule of iptables that lets the flow pass in FORWARD, when it lets everything pass; else one that ends a chain
    of isolation before its rules.
    """
    for chain in base_chains(host.root, "FORWARD", flow.version):
        for way in ways_through(chain, flow, host.root.ground):
            rule = way.rule
            if way.fate is Fate.ACCEPTED and isinstance(rule, Rule) and _takes_everything(rule):
                return rule
    return next(_early_ends(host), None)


def _early_ends(host: Host) -> Iterator[Rule]:
    for table in host.root.tables("filter"):
        for name in _STAGES:
            rules = table.chains[name].rules if name in table.chains else ()
            end = next(
                (rule for rule in rules if rule.target in ("RETURN", "ACCEPT") and _takes_everything(rule)), None
            )
            if end and any(rule.target in ("DROP", *_STAGES) for rule in rules if rule.position > end.position):
                yield end


def _takes_everything(rule: Rule) -> bool:
    asked = (rule.source, rule.destination, rule.in_interface, rule.out_interface, rule.protocol)
    conditions = [match for match in rule.matches if match.option != "comment"]
    return all(each is None for each in asked) and not conditions and not rule.not_understood


def _names(pairs: Sequence[_Pair]) -> str:
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.source.network.name, pair.goal.network.name)))
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _subjects(pairs: Sequence[_Pair]) -> tuple[Subject, ...]:
    names = dict.fromkeys(name for pair in pairs for name in (pair.source.network.name, pair.goal.network.name))
    return tuple(Subject("network", name) for name in names)


def _verify(pairs: Sequence[_Pair]) -> tuple[str, ...]:
    return ("iptables -S FORWARD", sh("iptables -S | grep -e {} -e {}", pairs[0].source.device, pairs[0].goal.device))


def _rules_gone(host: Host, pairs: Sequence[_Pair], missing: Sequence[Expected]) -> Fault:
    places = dict.fromkeys((each.rule.family, each.rule.table, each.rule.chain) for each in missing)
    what = text_of(missing[0].rule) if len(missing) == 1 else f"{len(missing)} rules that keep them apart"
    return Fault(
        message=f"networks {_names(pairs)} reach each other: {what} gone",
        subjects=(*_subjects(pairs), *(subject_of_chain(*place) for place in places)),
        evidence=evidence_of(host, missing),
        remedy=remedy_of(host, missing),
        verify=_verify(pairs),
    )


def _let_through(host: Host, pairs: Sequence[_Pair], rule: Rule) -> Fault:
    return Fault(
        message=f"networks {_names(pairs)} reach each other: rule {rule.position} of {rule.chain} lets everything pass",
        subjects=(*_subjects(pairs), Subject("rule", f"{rule.table} {rule.chain} {rule.position}")),
        evidence=(
            Evidence(rule.span, "this rule comes before those of the engine"),
            related(pairs[0].goal.network.span, f"network {pairs[0].goal.network.name} is one of them"),
        ),
        remedy=(deletion(rule),),
        verify=_verify(pairs),
        affects=forward_unless_open(host),
    )
