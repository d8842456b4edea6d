"""First-match evaluation of a flow against chains of rules, three-valued.

A rule whose conditions cannot be judged from what is known of the flow may match or not: both ways are followed, and
the answer tells which rules were decisive. Order and jumps are those of iptables(8) and nft(8): first match decides,
`RETURN` and the end of a chain go back, a `goto` does not come back.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, overload

from netdiag.formats.records import Match, NftRule, Rule
from netdiag.model import nftables
from netdiag.model.firewall import SOURCE_NAT, FirewallTable, in_ports
from netdiag.model.knowledge import Truth, once
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
    return tuple(_Walk(table, chain, flow, ground).through(chain, 0).found.values())


_Found = Mapping[tuple[Fate, int], Decision[Any]]


class _Ways:
    """The ways through a chain. What those ask that lead to it is answered once: rules of thousands of banned addresses
    are as many ways.
    """

    def __init__(self, found: _Found) -> None:
        self.found = found

    @cached_property
    def ending(self) -> _Found:
        """Those that do not come back."""
        return {key: way for key, way in self.found.items() if way.fate is not Fate.PASSES}

    @cached_property
    def comes_back(self) -> bool:
        return len(self.ending) < len(self.found)

    @cached_property
    def doubt(self) -> AnyRule | None:
        """What the way back depends on."""
        doubts = (way.depends_on for way in self.found.values() if way.fate is Fate.PASSES)
        return next((doubt for doubt in doubts if doubt), None)


_NO_WAYS = _Ways({})


class _Walk:
    """One flow on its way through the chains of a table. Each chain is walked once."""

    def __init__(self, table: AnyTable, start: str, flow: Flow, ground: Ground) -> None:
        self._table = table
        self._flow = flow
        self._ground = ground
        self._walked: dict[str, _Ways] = {}
        # without loops and cuts the ways through a chain do not depend on where the flow comes from
        self._memory = _memory(table) if isinstance(table, FirewallTable) and _asked_after(table, start) else None

    def through(self, chain: str, depth: int) -> _Ways:
        """The ways through one chain."""
        if chain in self._walked or depth > _DEEPEST_JUMP:
            return self._walked.get(chain, _NO_WAYS)
        self._walked[chain] = _NO_WAYS  # a loop, which the kernel refuses to load, leads nowhere
        asked = _asked_after(self._table, chain) if isinstance(self._table, FirewallTable) else None
        if self._memory is None or asked is None:
            self._walked[chain] = self._ways_through(chain, depth)
            return self._walked[chain]
        known, key = self._memory.of(chain, self._ground), asked.told_by(self._flow)
        if key not in known:
            known[key] = self._ways_through(chain, depth)
        self._walked[chain] = known[key]
        return known[key]

    def _ways_through(self, chain: str, depth: int) -> _Ways:
        ways: dict[tuple[Fate, int], Decision[Any]] = {}
        doubt: AnyRule | None = None  # the first rule so far that only may have decided
        for rule, turn in _turns_in(self._table, chain, self._flow, self._ground):
            on_the_way = doubt or (rule if turn.truth is Truth.UNKNOWN or turn.elsewhere else None)
            inner: AnyRule | None = None  # what the way back depends on
            goes_on = False
            if turn.fate is not None:
                ended: _Found = _one(Decision(turn.fate, rule))
            elif turn.chain is None:  # a program, for one, may let it through here and now, or give it back
                ended, goes_on = _one(Decision(Fate.ACCEPTED, rule, rule)), True
            else:
                led = self.through(turn.chain, depth + 1)
                ended = led.found if turn.goto else led.ending
                if led.comes_back and not turn.goto:
                    goes_on, inner = True, led.doubt
            if on_the_way or ways:
                for way in ended.values():
                    _add(ways, replace(way, depends_on=on_the_way) if on_the_way else way)
            else:
                ways.update(ended)
            if turn.truth is Truth.YES and not goes_on:
                break
            doubt = (on_the_way if ended or turn.elsewhere else doubt) or inner
        else:
            _add(ways, Decision(Fate.PASSES, None, doubt))
        return _Ways(ways)


def _one(way: Decision[Any]) -> _Found:
    return {(way.fate, id(way.rule)): way}


def _add(ways: dict[tuple[Fate, int], Decision[Any]], way: Decision[Any]) -> None:
    """Keep a way, the certain one when two ways end alike."""
    key = way.fate, id(way.rule)
    known = ways.get(key)
    if known is None or (way.certain and not known.certain):
        ways[key] = way


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
        if rule.target is None or rule.target in _GOES_ON:
            continue
        answer = rule_matches(rule, flow, ground)
        if answer is not Truth.NO:
            yield rule, _turn(answer, rule.target, is_chain=rule.target in table.chains, goto=rule.goto)


@lru_cache(maxsize=4096)
def _turn(answer: Truth, target: str, *, is_chain: bool, goto: bool) -> Turn:
    """What a rule with this target does with a packet that it takes, or may take."""
    if target == "RETURN":
        return Turn(answer, Fate.PASSES)
    if target in _TERMINAL:
        return Turn(answer, _TERMINAL[target])
    return Turn(answer, chain=target, goto=goto) if is_chain else Turn(answer, elsewhere=True)


# --- what is remembered of a table ------------------------------------------------------------------------------------


class _Asked:
    """What of a flow the rules of a chain ask for, and those of the chains that it leads to, `height` jumps down at
    most.
    """

    def __init__(self, fields: Iterable[str], height: int) -> None:
        self.fields = frozenset(fields)
        self.height = height
        #: Flows for which this is equal take the same ways.
        self.told_by: Callable[[Flow], Hashable] = attrgetter(*sorted(self.fields))


@once
def _all_asked(_table: FirewallTable) -> dict[str, _Asked | None]:
    return {}


def _asked_after(table: FirewallTable, chain: str, depth: int = 0) -> _Asked | None:
    """None for a chain that leads back to itself, or farther than packets go."""
    known = _all_asked(table)
    if chain in known or depth > _DEEPEST_JUMP:
        return known.get(chain)
    known[chain] = None
    found = table.chains.get(chain)
    rules = found.rules if found else ()
    fields, height = {"version"}, 0
    for rule in rules:
        fields.update(_fields_asked(rule))
    targets = (rule.target for rule in rules if rule.target is not None and rule.target in table.chains)
    for target in dict.fromkeys(targets):
        inner = _asked_after(table, target, depth + 1)
        if inner is None or inner.height >= _DEEPEST_JUMP:
            return None
        fields |= inner.fields
        height = max(height, inner.height + 1)
    known[chain] = _Asked(fields, height)
    return known[chain]


def _fields_asked(rule: Rule) -> Iterator[str]:
    for field in ("in_interface", "out_interface", "source", "destination", "protocol"):
        if getattr(rule, field) is not None:
            yield field
    for match in rule.matches:
        condition = _CONDITIONS.get(match.option)
        yield from condition.asks if condition else ()


class _Memory:
    """The ways of flows through the chains of a table, by what the rules there ask for. Thousands of flows differ only
    in what other chains ask for.
    """

    _MOST = 32768

    def __init__(self) -> None:
        self._ways: dict[tuple[str, int], dict[Hashable, _Ways]] = defaultdict(dict)
        self._grounds: dict[int, Ground] = {}  # kept alive, so that no other gets the same id

    def of(self, chain: str, ground: Ground) -> dict[Hashable, _Ways]:
        self._grounds[id(ground)] = ground
        found = self._ways[chain, id(ground)]
        if len(found) >= self._MOST:
            found.clear()
        return found


@once
def _memory(_table: FirewallTable) -> _Memory:
    return _Memory()


# --- conditions of iptables -------------------------------------------------------------------------------------------


def rule_matches(rule: Rule, flow: Flow, ground: Ground = _NOWHERE) -> Truth:
    """Whether the rule takes the flow."""
    if rule.family != ("ipv6" if flow.version == 6 else "ipv4"):
        return Truth.NO
    return all_hold(_answers(rule, flow, ground))


def _answers(rule: Rule, flow: Flow, ground: Ground) -> Iterable[Truth]:
    if rule.in_interface is not None:
        yield _interface(rule.in_interface, flow.in_interface, negated=rule.in_interface_negated)
    if rule.out_interface is not None:
        yield _interface(rule.out_interface, flow.out_interface, negated=rule.out_interface_negated)
    if rule.source is not None:
        yield inverted(within(flow.source, rule.source), negated=rule.source_negated)
    if rule.destination is not None:
        yield inverted(within(flow.destination, rule.destination), negated=rule.destination_negated)
    if rule.protocol is not None:
        yield _same(rule.protocol, flow.protocol, negated=rule.protocol_negated)
    for match in rule.matches:
        yield inverted(_condition(match, rule, flow, ground), negated=match.negated)
    if rule.not_understood or rule.fragment:
        yield Truth.UNKNOWN


def _same(wanted: str, actual: str | None, *, negated: bool) -> Truth:
    return Truth.UNKNOWN if actual is None else truth(wanted == actual, negated=negated)


def _interface(wanted: str, actual: str | None, *, negated: bool) -> Truth:
    return Truth.UNKNOWN if actual is None else truth(interface_fits(wanted, actual), negated=negated)


def _condition(match: Match, rule: Rule, flow: Flow, ground: Ground) -> Truth:
    """Whether the condition holds, its negation left out."""
    if match.option in _TYPES and any(other.option.startswith("limit-iface") for other in rule.matches):
        return Truth.UNKNOWN  # what is local to one interface the addresses alone do not tell
    condition = _CONDITIONS.get(match.option)
    return condition.holds(match.value, flow, ground) if condition else Truth.UNKNOWN


def _tcp_flags(value: str, flow: Flow) -> Truth:
    mask, _, wanted = value.partition(" ")
    return has_tcp_flags(mask.split(","), wanted.split(","), flow)


def _in_set(value: str, flow: Flow, ground: Ground) -> Truth:
    name, _, directions = value.partition(" ")
    return ground.in_set(name, directions, flow)


def _port(ports: str, actual: int | None) -> Truth:
    return Truth.UNKNOWN if actual is None else in_ports(ports, actual)


@dataclass(frozen=True)
class _Condition:
    """A condition of iptables: what of the flow it asks for, and whether the flow fulfils it."""

    asks: tuple[str, ...]
    holds: Callable[[str, Flow, Ground], Truth]


_TYPES = ("dst-type", "src-type")
_IN_STATE = _Condition(("state", "translated"), lambda value, flow, _: in_state(value.split(","), flow))
_TO_PORT = _Condition(("destination_port",), lambda value, flow, _: _port(value, flow.destination_port))
_FROM_PORT = _Condition(("source_port",), lambda value, flow, _: _port(value, flow.source_port))
_ICMP = _Condition(("icmp_type", "icmp_code", "version"), lambda value, flow, _: is_icmp_type(value, flow))

#: By the words of iptables-save; every other condition is one that netdiag does not judge.
_CONDITIONS: Mapping[str, _Condition] = {
    "comment": _Condition((), lambda _value, _flow, _ground: Truth.YES),
    "ctstate": _IN_STATE,
    "state": _IN_STATE,
    "ctdir": _Condition(("state",), lambda value, flow, _: in_direction(value, flow)),
    "dport": _TO_PORT,
    "dports": _TO_PORT,
    "sport": _FROM_PORT,
    "sports": _FROM_PORT,
    "ctorigdstport": _Condition(
        ("original_destination_port",), lambda value, flow, _: _port(value, flow.original_destination_port)
    ),
    "ctorigdst": _Condition(
        ("original_destination",), lambda value, flow, _: in_range(flow.original_destination, value)
    ),
    "dst-range": _Condition(("destination",), lambda value, flow, _: in_range(flow.destination, value)),
    "src-range": _Condition(("source",), lambda value, flow, _: in_range(flow.source, value)),
    "dst-type": _Condition(
        ("destination",), lambda value, flow, ground: is_of_type(flow.destination, value.split(","), ground)
    ),
    "src-type": _Condition(("source",), lambda value, flow, ground: is_of_type(flow.source, value.split(","), ground)),
    "tcp-flags": _Condition(("state",), lambda value, flow, _: _tcp_flags(value, flow)),
    "icmp-type": _ICMP,
    "icmpv6-type": _ICMP,
    "match-set": _Condition(("source", "destination", "source_port", "destination_port"), _in_set),
    "physdev-is-bridged": _Condition(
        ("bridged",), lambda _value, flow, _ground: Truth.UNKNOWN if flow.bridged is None else truth(flow.bridged)
    ),
}
