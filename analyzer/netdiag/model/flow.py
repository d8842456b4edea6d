"""First-match evaluation of a flow against a chain of rules, three-valued.

A rule whose conditions cannot be judged from what is known of the flow may match or not: both ways are followed, and
the answer tells which rules were decisive. Order and jumps are those of iptables(8): first match decides, `RETURN` and
the end of a chain go back, a `goto` does not come back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from netdiag.formats.records import IpNetwork, Match, Rule
from netdiag.model.firewall import FirewallTable, in_ports
from netdiag.model.knowledge import Truth

_DEEPEST_JUMP = 32


class Fate(Enum):
    """What becomes of a packet in a chain. `PASSES` means that it comes back from the chain undecided."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    PASSES = "passes"


_TERMINAL = {"ACCEPT": Fate.ACCEPTED, "DROP": Fate.DROPPED, "REJECT": Fate.DROPPED}


@dataclass(frozen=True)
class Flow:
    """The packets of one direction of one connection. None stands for "any": a rule that asks for it may match or
    not.
    """

    protocol: str | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    source: IPv4Address | None = None
    destination: IPv4Address | None = None
    destination_port: int | None = None
    original_destination_port: int | None = None
    state: str = "NEW"


@dataclass(frozen=True)
class Decision:
    """One way that the flow may take: its fate, the rule that decides it, and the first rule that only may have matched
    before.
    """

    fate: Fate
    rule: Rule | None = None
    depends_on: Rule | None = None

    @property
    def certain(self) -> bool:
        return self.depends_on is None


def decide(table: FirewallTable, chain: str, flow: Flow) -> tuple[Decision, ...]:
    """All ways that the flow may take through the chain; just one when every rule on its way could be judged."""
    return tuple(_walk(table, chain, flow, None, 0))


def _walk(table: FirewallTable, chain: str, flow: Flow, doubt: Rule | None, depth: int) -> Iterator[Decision]:
    """The ways through one chain. `doubt` is the rule before it that may not have matched."""
    found = table.chains.get(chain)
    if depth > _DEEPEST_JUMP:
        return
    for rule in found.rules if found else ():
        truth = rule_matches(rule, flow)
        if truth is Truth.NO:
            continue
        this_doubt = doubt or (rule if truth is Truth.UNKNOWN else None)
        if rule.target in _TERMINAL:
            yield Decision(_TERMINAL[rule.target], rule, this_doubt)
        elif rule.target == "RETURN":
            yield Decision(Fate.PASSES, rule, this_doubt)
        elif rule.target is not None and rule.target in table.chains:
            came_back = False
            for decision in _walk(table, rule.target, flow, this_doubt, depth + 1):
                if decision.fate is Fate.PASSES and not rule.goto:
                    came_back = True
                    this_doubt = decision.depends_on or this_doubt
                else:
                    yield decision
            if not came_back and truth is Truth.YES:
                return
            doubt = this_doubt if came_back or truth is Truth.UNKNOWN else doubt
            continue
        else:
            continue  # a target that lets the packet go on: none, LOG, MARK ...
        if truth is Truth.YES:
            return
        doubt = this_doubt
    yield Decision(Fate.PASSES, None, doubt)


def rule_matches(rule: Rule, flow: Flow) -> Truth:
    """Whether the rule takes the flow."""
    answers = (
        Truth.UNKNOWN if rule.not_understood or rule.fragment else Truth.YES,
        _same(rule.protocol, flow.protocol, negated=rule.protocol_negated),
        _interface(rule.in_interface, flow.in_interface, negated=rule.in_interface_negated),
        _interface(rule.out_interface, flow.out_interface, negated=rule.out_interface_negated),
        _network(rule.source, flow.source, negated=rule.source_negated),
        _network(rule.destination, flow.destination, negated=rule.destination_negated),
        *(_condition(match, flow) for match in rule.matches),
    )
    if Truth.NO in answers:
        return Truth.NO
    return Truth.UNKNOWN if Truth.UNKNOWN in answers else Truth.YES


def _truth(holds: bool, *, negated: bool) -> Truth:  # noqa: FBT001 - the one value this is about
    return Truth.YES if holds is not negated else Truth.NO


def _same(wanted: str | None, actual: str | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    return Truth.UNKNOWN if actual is None else _truth(wanted == actual, negated=negated)


def _interface(wanted: str | None, actual: str | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    if actual is None:
        return Truth.UNKNOWN
    fits = actual.startswith(wanted[:-1]) if wanted.endswith("+") else wanted == actual
    return _truth(fits, negated=negated)


def _network(wanted: IpNetwork | None, actual: IPv4Address | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    return Truth.UNKNOWN if actual is None else _truth(actual in wanted, negated=negated)


def _condition(match: Match, flow: Flow) -> Truth:
    match match.option:
        case "comment":
            return Truth.YES
        case "ctstate" | "state":
            return _truth(flow.state in match.value.split(","), negated=match.negated)
        case "dport" | "dports":
            return _port(match, flow.destination_port)
        case "ctorigdstport":
            return _port(match, flow.original_destination_port)
        case _:
            return Truth.UNKNOWN


def _port(match: Match, actual: int | None) -> Truth:
    return Truth.UNKNOWN if actual is None else _truth(in_ports(match.value, actual), negated=match.negated)
