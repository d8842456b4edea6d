"""First-match evaluation of a flow against a chain of rules, three-valued.

A rule whose conditions cannot be judged from what is known of the flow may match or not: both ways are followed, and
the answer tells which rules were decisive. Order and jumps are those of iptables(8): first match decides, `RETURN` and
the end of a chain go back, a `goto` does not come back.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address

from netdiag.formats.records import IpNetwork, Match, Rule
from netdiag.model.firewall import FirewallTable, in_ports, interface_fits
from netdiag.model.knowledge import Truth

_DEEPEST_JUMP = 32
_PORT_OPTIONS = frozenset({"dport", "dports", "ctorigdstport"})


class Fate(Enum):
    """What becomes of a packet in a chain. `PASSES` means that it comes back from the chain undecided."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    PASSES = "passes"


_TERMINAL = {"ACCEPT": Fate.ACCEPTED, "DROP": Fate.DROPPED, "REJECT": Fate.DROPPED}

#: A program decides.
_ELSEWHERE = frozenset({"QUEUE", "NFQUEUE"})


@dataclass(frozen=True)
class Flow:
    """The packets of one direction of one connection. None stands for "any": a rule that asks for it may match or
    not. `original_destination_port` is the port before DNAT, of translated connections only.
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
    return _walk(table, chain, flow, {}, 0)


def told_apart(table: FirewallTable, chain: str) -> Callable[[Flow], Hashable]:
    """A key for flows: two flows with the same key meet the same answer of every rule that the chain leads to.

    With it a question about thousands of flows is answered once for each kind of them.
    """
    rules = list(table.rules_after(chain))
    networks: dict[int, set[int]] = defaultdict(set)
    for network in (end for rule in rules for end in (rule.source, rule.destination) if end is not None):
        networks[int(network.netmask)].add(int(network.network_address))
    ports = {match.value for rule in rules for match in rule.matches if match.option in _PORT_OPTIONS}
    lists = sorted(value for value in ports if not value.isdecimal())

    def of_address(address: IPv4Address | None) -> Hashable:
        if address is None:
            return None
        return tuple((mask, int(address) & mask) for mask, found in networks.items() if int(address) & mask in found)

    def of_port(port: int | None) -> Hashable:
        if port is None:
            return None
        return str(port) if str(port) in ports else "", tuple(in_ports(value, port) for value in lists)

    def key(flow: Flow) -> Hashable:
        ends = of_address(flow.source), of_address(flow.destination)
        asked = of_port(flow.destination_port), of_port(flow.original_destination_port)
        return flow.protocol, flow.in_interface, flow.out_interface, flow.state, ends, asked

    return key


def _walk(
    table: FirewallTable, chain: str, flow: Flow, walked: dict[str, tuple[Decision, ...]], depth: int
) -> tuple[Decision, ...]:
    """The ways through one chain. `walked` keeps those through the chains seen before, so that each is walked once."""
    if chain in walked or depth > _DEEPEST_JUMP:
        return walked.get(chain, ())
    walked[chain] = ()  # a loop, which iptables refuses to make, leads nowhere
    ways: dict[tuple[Fate, Rule | None], Decision] = {}
    doubt: Rule | None = None  # the first rule so far that only may have decided
    found = table.chains.get(chain)
    for rule in found.rules if found else ():
        truth = rule_matches(rule, flow)
        if truth is Truth.NO or not _may_decide(rule, table):
            continue
        on_the_way = doubt or (rule if truth is Truth.UNKNOWN or rule.target in _ELSEWHERE else None)
        back: list[Decision] = []
        gone: list[Decision] = []
        for way in _ways_of(rule, table, flow, walked, depth):
            comes_back = way.fate is Fate.PASSES and rule.target != "RETURN" and not rule.goto
            (back if comes_back else gone).append(replace(way, depends_on=on_the_way or way.depends_on))
        for way in gone:
            _add(ways, way)
        if truth is Truth.YES and not back:
            break
        if gone or rule.target in _ELSEWHERE:
            doubt = next((way.depends_on for way in back if way.depends_on), on_the_way)
    else:
        _add(ways, Decision(Fate.PASSES, None, doubt))
    walked[chain] = tuple(ways.values())
    return walked[chain]


def _may_decide(rule: Rule, table: FirewallTable) -> bool:
    """Whether the target is not one that always lets the packet go on: none, LOG, MARK ..."""
    target = rule.target or ""
    return target in _TERMINAL or target in _ELSEWHERE or target == "RETURN" or target in table.chains


def _ways_of(
    rule: Rule, table: FirewallTable, flow: Flow, walked: dict[str, tuple[Decision, ...]], depth: int
) -> tuple[Decision, ...]:
    """Where a rule sends a packet that it takes."""
    if rule.target in _TERMINAL:
        return (Decision(_TERMINAL[rule.target], rule),)
    if rule.target is None or rule.target == "RETURN" or rule.target in _ELSEWHERE:
        return (Decision(Fate.PASSES, rule),)
    return _walk(table, rule.target, flow, walked, depth + 1)


def _add(ways: dict[tuple[Fate, Rule | None], Decision], way: Decision) -> None:
    """Keep a way, the certain one when two ways end alike."""
    known = ways.get((way.fate, way.rule))
    if known is None or (way.certain and not known.certain):
        ways[way.fate, way.rule] = way


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
    return _truth(interface_fits(wanted, actual), negated=negated)


def _network(wanted: IpNetwork | None, actual: IPv4Address | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    return Truth.UNKNOWN if actual is None else _truth(actual in wanted, negated=negated)


def _condition(match: Match, flow: Flow) -> Truth:
    match match.option:
        case "comment":
            return Truth.YES
        case "ctstate" | "state":
            return _state(match, flow)
        case "dport" | "dports":
            return _port(match, flow.destination_port)
        case "ctorigdstport":
            return _port(match, flow.original_destination_port)
        case _:
            return Truth.UNKNOWN


def _state(match: Match, flow: Flow) -> Truth:
    """Besides the states proper, `ctstate` tells connections with another destination (DNAT) or source (SNAT)."""
    wanted = match.value.split(",")
    translated = "DNAT" in wanted and flow.original_destination_port is not None
    if "SNAT" in wanted and flow.state not in wanted and not translated:
        return Truth.UNKNOWN
    return _truth(flow.state in wanted or translated, negated=match.negated)


def _port(match: Match, actual: int | None) -> Truth:
    answer = Truth.UNKNOWN if actual is None else in_ports(match.value, actual)
    return answer if answer is Truth.UNKNOWN else _truth(answer is Truth.YES, negated=match.negated)
