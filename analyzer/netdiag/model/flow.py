"""First-match evaluation of a flow against chains of rules, three-valued.

A rule whose conditions cannot be judged from what is known of the flow may match or not: both ways are followed, and
the answer tells which rules were decisive. Order and jumps are those of iptables(8) and nft(8): first match decides,
`RETURN` and the end of a chain go back, a `goto` does not come back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Generic, TypeVar, overload

from netdiag.formats.records import IpNetwork, Match, NftRule, Rule
from netdiag.model import nftables
from netdiag.model.firewall import SOURCE_NAT, FirewallTable, in_ports
from netdiag.model.knowledge import Truth
from netdiag.model.nftables import NativeTable
from netdiag.model.packets import (
    Flow,
    Ground,
    all_hold,
    has_tcp_flags,
    in_direction,
    in_range,
    in_state,
    interface_fits,
    inverted,
    is_icmp_type,
    is_of_type,
    truth,
    within,
)
from netdiag.model.turns import Fate, Turn

__all__ = ["AnyRule", "AnyTable", "Decision", "Fate", "Flow", "Ground", "decide", "rule_matches"]

AnyRule = Rule | NftRule
AnyTable = FirewallTable | NativeTable

_DEEPEST_JUMP = 32

_TERMINAL = {
    "ACCEPT": Fate.ACCEPTED,
    "DROP": Fate.DROPPED,
    "REJECT": Fate.DROPPED,
    **dict.fromkeys((*SOURCE_NAT, "DNAT", "REDIRECT"), Fate.TRANSLATED),
}

#: Targets after which a packet goes on to the next rule (iptables-extensions(8)).
_GOES_ON = frozenset(
    {
        *("AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK"),
        *("IDLETIMER", "LED", "LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS"),
        *("TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG"),
    }
)


R_co = TypeVar("R_co", bound=AnyRule, covariant=True)


@dataclass(frozen=True)
class Decision(Generic[R_co]):
    """One way that the flow may take: its fate, the rule that decides it, and the first rule that only may have matched
    before.
    """

    fate: Fate
    rule: R_co | None = None
    depends_on: R_co | None = None

    @property
    def certain(self) -> bool:
        return self.depends_on is None


_NOWHERE = Ground()


@overload
def decide(table: FirewallTable, chain: str, flow: Flow, ground: Ground = ...) -> tuple[Decision[Rule], ...]: ...


@overload
def decide(table: AnyTable, chain: str, flow: Flow, ground: Ground = ...) -> tuple[Decision[AnyRule], ...]: ...


def decide(table: AnyTable, chain: str, flow: Flow, ground: Ground = _NOWHERE) -> tuple[Decision[Any], ...]:
    """All ways that the flow may take through the chain; just one when every rule on its way could be judged."""
    return _walk(table, chain, flow, ground, {}, 0)


_Walked = dict[str, tuple[Decision[Any], ...]]


def _walk(
    table: AnyTable, chain: str, flow: Flow, ground: Ground, walked: _Walked, depth: int
) -> tuple[Decision[Any], ...]:
    """The ways through one chain. `walked` keeps those through the chains seen before, so that each is walked once."""
    if chain in walked or depth > _DEEPEST_JUMP:
        return walked.get(chain, ())
    walked[chain] = ()  # a loop, which the kernel refuses to load, leads nowhere
    ways: dict[tuple[Fate, int], Decision[Any]] = {}
    doubt: AnyRule | None = None  # the first rule so far that only may have decided
    for rule, turn in _turns_in(table, chain, flow, ground):
        on_the_way = doubt or (rule if turn.truth is Truth.UNKNOWN or turn.elsewhere else None)
        inner: AnyRule | None = None  # what the way back depends on
        goes_on = ends = False
        for way in _ways_of(rule, turn, table, flow, ground, walked, depth):
            if way.fate is Fate.PASSES and turn.fate is not Fate.PASSES and not turn.goto:
                goes_on, inner = True, inner or way.depends_on
            else:
                ends = True
                _add(ways, replace(way, depends_on=on_the_way or way.depends_on))
        if turn.truth is Truth.YES and not goes_on:
            break
        doubt = (on_the_way if ends or turn.elsewhere else doubt) or inner
    else:
        _add(ways, Decision(Fate.PASSES, None, doubt))
    walked[chain] = tuple(ways.values())
    return walked[chain]


def _turns_in(table: AnyTable, chain: str, flow: Flow, ground: Ground) -> Iterable[tuple[AnyRule, Turn]]:
    """The rules of a chain that may decide about the flow, in order, with what each may do."""
    if isinstance(table, NativeTable):
        native = table.chains.get(chain)
        for each in native.sieve.may_take(flow) if native else ():
            for turn in nftables.turns(table, each, flow, ground):
                yield each, turn
        return
    found = table.chains.get(chain)
    for rule in found.sieve.may_take(flow) if found else ():
        turn_of = _turn(rule, table)
        if turn_of is None:
            continue
        answer = rule_matches(rule, flow, ground)
        if answer is not Truth.NO:
            yield rule, replace(turn_of, truth=answer)


def _turn(rule: Rule, table: FirewallTable) -> Turn | None:
    """What the rule does with a packet that it takes, None when the packet always goes on to the next rule."""
    target = rule.target
    if target is None or target in _GOES_ON:
        return None
    if target == "RETURN":
        return Turn(Truth.YES, Fate.PASSES)
    if target in _TERMINAL:
        return Turn(Truth.YES, _TERMINAL[target])
    if target in table.chains:
        return Turn(Truth.YES, chain=target, goto=rule.goto)
    return Turn(Truth.YES, elsewhere=True)


def _ways_of(
    rule: AnyRule,
    turn: Turn,
    table: AnyTable,
    flow: Flow,
    ground: Ground,
    walked: _Walked,
    depth: int,
) -> tuple[Decision[Any], ...]:
    """Where a rule sends a packet that it takes."""
    if turn.fate is not None:
        return (Decision(turn.fate, rule),)
    if turn.chain is None:  # a program, for one, may let it through here and now, or give it back
        return (Decision(Fate.ACCEPTED, rule, rule), Decision(Fate.PASSES, rule))
    return _walk(table, turn.chain, flow, ground, walked, depth + 1)


def _add(ways: dict[tuple[Fate, int], Decision[Any]], way: Decision[Any]) -> None:
    """Keep a way, the certain one when two ways end alike."""
    key = way.fate, id(way.rule)
    known = ways.get(key)
    if known is None or (way.certain and not known.certain):
        ways[key] = way


# --- conditions of iptables -------------------------------------------------------------------------------------------


def rule_matches(rule: Rule, flow: Flow, ground: Ground = _NOWHERE) -> Truth:
    """Whether the rule takes the flow."""
    if rule.family != ("ipv6" if flow.version == 6 else "ipv4"):
        return Truth.NO
    return all_hold(_answers(rule, flow, ground))


def _answers(rule: Rule, flow: Flow, ground: Ground) -> Iterable[Truth]:
    yield _interface(rule.in_interface, flow.in_interface, negated=rule.in_interface_negated)
    yield _interface(rule.out_interface, flow.out_interface, negated=rule.out_interface_negated)
    yield _network(rule.source, flow.source, negated=rule.source_negated)
    yield _network(rule.destination, flow.destination, negated=rule.destination_negated)
    yield _same(rule.protocol, flow.protocol, negated=rule.protocol_negated)
    for match in rule.matches:
        yield inverted(_condition(match, rule, flow, ground), negated=match.negated)
    if rule.not_understood or rule.fragment:
        yield Truth.UNKNOWN


def _same(wanted: str | None, actual: str | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    return Truth.UNKNOWN if actual is None else truth(wanted == actual, negated=negated)


def _interface(wanted: str | None, actual: str | None, *, negated: bool) -> Truth:
    if wanted is None:
        return Truth.YES
    if actual is None:
        return Truth.UNKNOWN
    return truth(interface_fits(wanted, actual), negated=negated)


def _network(wanted: IpNetwork | None, actual: IPv4Address | IPv6Address | None, *, negated: bool) -> Truth:
    return Truth.YES if wanted is None else inverted(within(actual, wanted), negated=negated)


def _condition(match: Match, rule: Rule, flow: Flow, ground: Ground) -> Truth:
    """Whether the condition holds, its negation left out."""
    if match.option in ("dst-type", "src-type"):
        return _address_type(match, rule, flow, ground)
    answer = _CONDITIONS.get(match.option)
    return answer(match.value, flow, ground) if answer else Truth.UNKNOWN


def _tcp_flags(value: str, flow: Flow) -> Truth:
    mask, _, wanted = value.partition(" ")
    return has_tcp_flags(mask.split(","), wanted.split(","), flow)


def _in_set(value: str, flow: Flow, ground: Ground) -> Truth:
    name, _, directions = value.partition(" ")
    return ground.in_set(name, directions, flow)


def _port(ports: str, actual: int | None) -> Truth:
    return Truth.UNKNOWN if actual is None else in_ports(ports, actual)


#: By the words of iptables-save; every other condition is one that netdiag does not judge.
_CONDITIONS: Mapping[str, Callable[[str, Flow, Ground], Truth]] = {
    "comment": lambda _value, _flow, _ground: Truth.YES,
    "ctstate": lambda value, flow, _: in_state(value.split(","), flow),
    "state": lambda value, flow, _: in_state(value.split(","), flow),
    "ctdir": lambda value, flow, _: in_direction(value, flow),
    "dport": lambda value, flow, _: _port(value, flow.destination_port),
    "dports": lambda value, flow, _: _port(value, flow.destination_port),
    "sport": lambda value, flow, _: _port(value, flow.source_port),
    "sports": lambda value, flow, _: _port(value, flow.source_port),
    "ctorigdstport": lambda value, flow, _: _port(value, flow.original_destination_port),
    "ctorigdst": lambda value, flow, _: in_range(flow.original_destination, value),
    "dst-range": lambda value, flow, _: in_range(flow.destination, value),
    "src-range": lambda value, flow, _: in_range(flow.source, value),
    "tcp-flags": lambda value, flow, _: _tcp_flags(value, flow),
    "icmp-type": lambda value, flow, _: is_icmp_type(value, flow),
    "icmpv6-type": lambda value, flow, _: is_icmp_type(value, flow),
    "match-set": _in_set,
    "physdev-is-bridged": lambda _value, flow, _ground: Truth.UNKNOWN if flow.bridged is None else truth(flow.bridged),
}


def _address_type(match: Match, rule: Rule, flow: Flow, ground: Ground) -> Truth:
    """`addrtype`; limited to an interface it asks what is local there, which the addresses alone do not tell."""
    if any(other.option.startswith("limit-iface") for other in rule.matches):
        return Truth.UNKNOWN
    return is_of_type(flow.destination if match.option == "dst-type" else flow.source, match.value.split(","), ground)
