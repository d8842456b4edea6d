"""The tables of nftables that iptables does not show, and where their rules send a packet.

A rule is conditions and statements in the order in which the kernel runs them (nft(8)): a condition that does not hold
ends it, so does a verdict. What is not understood makes the answer unknown, never a plain yes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import ip_network

from netdiag.bundle import NotCollected
from netdiag.formats import Document
from netdiag.formats.records import IpAddress, NftChain, NftElement, NftMatch, NftRule, NftSet, NftStatement, NftTable
from netdiag.model.knowledge import Extent, Facts, Truth, not_whole
from netdiag.model.packets import (
    Flow,
    Ground,
    Values,
    all_hold,
    any_holds,
    has_status,
    has_tcp_flags,
    in_direction,
    in_range,
    in_state,
    interface_fits,
    inverted,
    is_icmp_code,
    is_icmp_type,
    is_of_type,
    truth,
    value_range,
)
from netdiag.model.sieve import Key, Sieve
from netdiag.model.turns import Fate, Turn

#: Ends of the collector's reason for leaving the ruleset out because there is none.
_NOTHING_LOADED = "is not loaded"

#: The tables that iptables-nft makes, which iptables-save shows with more meaning.
_OF_IPTABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})
_FAMILY_OF_IPTABLES = {"ip": "ipv4", "ip6": "ipv6"}


@dataclass(frozen=True)
class NativeChain:
    """A chain of nftables with its rules in order; one without a hook is reached by jumps only."""

    head: NftChain
    rules: tuple[NftRule, ...]

    @property
    def name(self) -> str:
        return self.head.name

    @cached_property
    def sieve(self) -> Sieve[NftRule]:
        return Sieve((rule, _asked_for(rule)) for rule in self.rules)


@dataclass(frozen=True)
class NativeTable:
    """A table of nftables. `family` is nft's word (`ip`, `ip6`, `inet`, `bridge`, `arp`, `netdev`)."""

    head: NftTable
    chains: Mapping[str, NativeChain] = field(default_factory=dict)
    sets: Mapping[str, NftSet] = field(default_factory=dict)

    @property
    def family(self) -> str:
        return self.head.family

    @property
    def name(self) -> str:
        return self.head.name

    @property
    def dormant(self) -> bool:
        """The table is switched off: its chains are at no hook."""
        return "dormant" in self.head.flags

    def sees(self, version: int) -> bool:
        """Whether its chains meet packets of IPv4 (4) or IPv6 (6) at the hooks of the IP layer."""
        return self.family in ("inet", "ip6" if version == 6 else "ip")

    @cached_property
    def _values(self) -> dict[str, Values | None]:
        return {}

    def values(self, name: str) -> Values | None:
        """The elements of a set of addresses, ports or ranges of them; None for a set of anything else."""
        if name not in self._values:
            found = self.sets.get(name)
            self._values[name] = Values.of(element.key for element in found.elements) if found else None
        return self._values[name]

    @cached_property
    def _elements(self) -> dict[str, dict[str, NftElement]]:
        return {}

    def elements(self, name: str) -> Mapping[str, NftElement]:
        """The elements of a set or map by their keys; empty for one that the bundle does not show."""
        if name not in self._elements:
            found = self.sets.get(name)
            self._elements[name] = {element.key: element for element in found.elements} if found else {}
        return self._elements[name]


def build_nftables(
    documents: Sequence[Document], left_out: Sequence[NotCollected], of_iptables: Iterable[tuple[str, str]]
) -> Facts[NativeTable]:
    """The tables of a namespace that are not those of iptables-nft; `of_iptables` are families and names of these."""
    missing = ("nft_ruleset",)
    if not documents:
        reason = next((each.reason for each in left_out), "")
        if _NOTHING_LOADED in reason:
            return Facts((), Extent.WHOLE)
        return Facts((), Extent.NONE, reason or "the bundle has no output of nft_ruleset", missing)
    shown = set(of_iptables)
    tables = [
        table
        for table in tables_of(documents[0])
        if (_FAMILY_OF_IPTABLES.get(table.family, ""), table.name) not in shown or table.name not in _OF_IPTABLES
    ]
    doubt = not_whole(documents[0])
    return Facts(tuple(tables), Extent.PART if doubt else Extent.WHOLE, doubt, missing if doubt else ())


def tables_of(document: Document) -> Iterator[NativeTable]:
    """All tables of one output of `nft list ruleset`."""
    rules: dict[tuple[str, str, str], list[NftRule]] = {}
    chains: dict[tuple[str, str], list[NftChain]] = {}
    sets: dict[tuple[str, str], dict[str, NftSet]] = {}
    for record in document.records:
        match record:
            case NftRule():
                rules.setdefault((record.family, record.table, record.chain), []).append(record)
            case NftChain():
                chains.setdefault((record.family, record.table), []).append(record)
            case NftSet():
                sets.setdefault((record.family, record.table), {})[record.name] = record
    for head in document.records:
        if isinstance(head, NftTable):
            place = (head.family, head.name)
            found = {
                each.name: NativeChain(each, tuple(rules.get((*place, each.name), ())))
                for each in chains.get(place, ())
            }
            yield NativeTable(head, found, sets.get(place, {}))


# --- where a rule sends a packet --------------------------------------------------------------------------------------

_VERDICTS = {
    "accept": Fate.ACCEPTED,
    "drop": Fate.DROPPED,
    "reject": Fate.DROPPED,
    "return": Fate.PASSES,
    "dnat": Fate.TRANSLATED,
    "snat": Fate.TRANSLATED,
    "masquerade": Fate.TRANSLATED,
    "redirect": Fate.TRANSLATED,
}
#: A program, a proxy or another interface takes the packet.
_ELSEWHERE = frozenset({"queue", "tproxy", "synproxy", "fwd"})
#: Statements that may end the rule, as how much came before decides.
_CONDITIONAL = frozenset({"limit", "quota", "ct count"})


def turns(table: NativeTable, rule: NftRule, flow: Flow, ground: Ground) -> tuple[Turn, ...]:
    """The turns that the packet may take at a rule, in order; none when it goes on to the next rule for sure."""
    comes = Truth.UNKNOWN if rule.not_understood else Truth.YES
    found: list[Turn] = []
    for statement in rule.statements:
        if isinstance(statement, NftMatch):
            comes = all_hold((comes, holds(statement, table, flow, ground)))
            if comes is Truth.NO:
                return tuple(found)
        elif statement.name in _CONDITIONAL:
            comes = Truth.UNKNOWN
        elif statement.name == "vmap":
            for turn in _by_map(statement, table, flow, ground):
                found.append(Turn(all_hold((comes, turn.truth)), turn.fate, turn.chain, turn.goto))
                if turn.truth is Truth.YES:
                    return tuple(found)
        elif turn_of := _turn(statement, comes):
            return (*found, turn_of)
        elif statement.name == "continue":
            return tuple(found)
    if rule.not_understood and not found:
        found.append(Turn(Truth.UNKNOWN, elsewhere=True))
    return tuple(found)


def _turn(statement: NftStatement, comes: Truth) -> Turn | None:
    if statement.name in _VERDICTS:
        return Turn(comes, _VERDICTS[statement.name])
    if statement.name in ("jump", "goto"):
        return Turn(comes, chain=statement.details["target"], goto=statement.name == "goto")
    return Turn(comes, elsewhere=True) if statement.name in _ELSEWHERE else None


def _by_map(statement: NftStatement, table: NativeTable, flow: Flow, ground: Ground) -> Iterator[Turn]:
    """The turns that a verdict map leads to: just one when the key is known and the map has it."""
    key, name = statement.details["key"], statement.details.get("map", "")
    if not _is_asked_of(key, flow):
        return
    elements = table.elements(name.removeprefix("@")) if name else {each.key: each for each in statement.elements}
    if name and name.removeprefix("@") not in table.sets:
        yield Turn(Truth.UNKNOWN, elsewhere=True)
        return
    interface = _interface_of(key, flow)
    if interface is not None and interface in elements:  # the usual case, and a map of many bridges
        yield from _turn_of_element(elements[interface], Truth.YES)
        return
    for element in elements.values():
        answer = _holds_for(key, (element.key,), table, flow, ground)
        if answer is not Truth.NO:
            yield from _turn_of_element(element, answer)


def _turn_of_element(element: NftElement, answer: Truth) -> Iterator[Turn]:
    verb, _, target = (element.value or "").partition(" ")
    if verb == "continue":
        return
    details = {"target": target} if target else {}
    yield _turn(NftStatement(verb, details), answer) or Turn(Truth.UNKNOWN, elsewhere=True)


# --- conditions -------------------------------------------------------------------------------------------------------

_ADDRESSES = {"ip saddr": 4, "ip daddr": 4, "ip6 saddr": 6, "ip6 daddr": 6}
_PORTS = ("sport", "dport")
_PROTOCOLS = {"icmpv6": "ipv6-icmp", "1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "132": "sctp"}
_VERSION_OF = {"ip": 4, "icmp": 4, "ip6": 6, "icmpv6": 6}
_VERSIONS = {"ipv4": 4, "ip": 4, "4": 4, "ipv6": 6, "ip6": 6, "6": 6, "arp": 0}
_COMPARISONS = frozenset({"<", ">", "<=", ">="})


def holds(match: NftMatch, table: NativeTable, flow: Flow, ground: Ground) -> Truth:
    """Whether a condition holds for the flow."""
    if not _is_asked_of(match.left, flow):  # then the rule ends, negated or not
        return Truth.NO
    if match.operator in _COMPARISONS:
        return _compared(match, flow)
    if match.operator not in ("==", "!="):
        return Truth.UNKNOWN
    answer = _holds_for(match.left, match.values, table, flow, ground)
    return inverted(answer, negated=match.operator == "!=")


def _is_asked_of(left: str, flow: Flow) -> bool:
    """Whether the packet has what is looked at: not the IPv6 source of IPv4, not the TCP port of UDP."""
    for part in left.split(" . "):
        first, _, rest = part.partition(" ")
        if _VERSION_OF.get(first, flow.version) != flow.version:
            return False
        asks_protocol = first in ("icmp", "icmpv6", "tcp") or (rest in _PORTS and first != "th")
        if asks_protocol and flow.protocol not in (None, _PROTOCOLS.get(first, first)):
            return False
    return True


def _holds_for(left: str, values: Sequence[str], table: NativeTable, flow: Flow, ground: Ground) -> Truth:
    """Whether what is looked at is one of the values, each of which may name a set."""
    if any(value.startswith("@") and value[1:] not in table.sets for value in values):
        return Truth.UNKNOWN
    parts = [left] if left.startswith("fib ") else left.split(" . ")
    key = _key(left, flow) if len(parts) == 1 else _NOT_A_KEY
    if key is not _NOT_A_KEY:
        return _among(key, values, table)
    texts = (text for value in values for text in _keys(value, table))
    if len(parts) > 1:
        return any_holds(_concatenation(parts, text, table, flow, ground) for text in texts)
    return any_holds(_single(left, text, flow, ground) for text in texts)


def _keys(value: str, table: NativeTable) -> Iterable[str]:
    return table.elements(value[1:]) if value.startswith("@") else (value,)


def _concatenation(parts: Sequence[str], text: str, table: NativeTable, flow: Flow, ground: Ground) -> Truth:
    values = text.split(" . ")
    if len(values) != len(parts):
        return Truth.UNKNOWN
    return all_hold(_holds_for(part, (value,), table, flow, ground) for part, value in zip(parts, values, strict=True))


_NOT_A_KEY = "no address or port"


def _key(left: str, flow: Flow) -> IpAddress | int | str | None:
    """The address or the port that is looked at, None when the flow does not tell it."""
    first, _, rest = left.partition(" ")
    if left in _ADDRESSES:
        return flow.source if rest == "saddr" else flow.destination
    if rest in _PORTS:
        if first not in ("th", flow.protocol):
            return None
        return flow.source_port if rest == "sport" else flow.destination_port
    match left:
        case "ct original ip daddr" | "ct original ip6 daddr" | "ct original daddr":
            return flow.original_destination
        case "ct original proto-dst":
            return flow.original_destination_port
    return _NOT_A_KEY


@lru_cache(maxsize=4096)
def _anonymous(values: tuple[str, ...]) -> Values | None:
    return Values.of(values)


def _among(key: IpAddress | int | str | None, values: Sequence[str], table: NativeTable) -> Truth:
    if key is None:
        return Truth.UNKNOWN
    named = [value for value in values if value.startswith("@")]
    plain = tuple(value for value in values if not value.startswith("@"))
    sets = [table.values(name[1:]) for name in named] + ([_anonymous(plain)] if plain else [])
    return any_holds(Truth.UNKNOWN if known is None else truth(key in known) for known in sets)


def _interface_of(left: str, flow: Flow) -> str | None:
    if left in ("iifname", "iif"):
        return flow.in_interface
    return flow.out_interface if left in ("oifname", "oif") else None


def _single(left: str, value: str, flow: Flow, ground: Ground) -> Truth:
    """The answer about what is neither an address nor a port."""
    if left in _QUESTIONS:
        return _QUESTIONS[left](value, flow, ground)
    if left.startswith("tcp flags & "):
        mask = left.removeprefix("tcp flags & ").strip("()").split(" | ")
        return has_tcp_flags(mask, value.split(" | "), flow)
    return Truth.UNKNOWN


def _is_interface(wanted: str, actual: str | None) -> Truth:
    if actual is None:
        return Truth.UNKNOWN
    return truth(interface_fits(wanted.removesuffix("*") + "+" if wanted.endswith("*") else wanted, actual))


def _is_index(wanted: str, actual: str | None) -> Truth:
    """`iif` compares the index of an interface, which nft prints as its name while it is there."""
    return Truth.UNKNOWN if wanted.isdecimal() else _is_interface(wanted, actual)


def _is_protocol(wanted: str, flow: Flow, _ground: Ground) -> Truth:
    return Truth.UNKNOWN if flow.protocol is None else truth(_PROTOCOLS.get(wanted, wanted) == flow.protocol)


def _is_version(wanted: str, flow: Flow, _ground: Ground) -> Truth:
    return truth(_VERSIONS.get(wanted) == flow.version)


def _has_flag(wanted: str, flow: Flow, _ground: Ground) -> Truth:
    return truth(wanted == "syn") if flow.state == "NEW" else Truth.UNKNOWN


_QUESTIONS: Mapping[str, Callable[[str, Flow, Ground], Truth]] = {
    "iifname": lambda value, flow, _: _is_interface(value, flow.in_interface),
    "oifname": lambda value, flow, _: _is_interface(value, flow.out_interface),
    "iif": lambda value, flow, _: _is_index(value, flow.in_interface),
    "oif": lambda value, flow, _: _is_index(value, flow.out_interface),
    "meta l4proto": _is_protocol,
    "ip protocol": _is_protocol,
    "ip6 nexthdr": _is_protocol,
    "meta nfproto": _is_version,
    "meta protocol": _is_version,
    "ether type": _is_version,
    "ip version": _is_version,
    "ip6 version": _is_version,
    "ct state": lambda value, flow, _: in_state((value,), flow),
    "ct status": lambda value, flow, _: has_status((value,), flow),
    "ct direction": lambda value, flow, _: in_direction(value, flow),
    "fib daddr type": lambda value, flow, ground: is_of_type(flow.destination, (value,), ground),
    "fib saddr type": lambda value, flow, ground: is_of_type(flow.source, (value,), ground),
    "icmp type": lambda value, flow, _: is_icmp_type(value, flow),
    "icmpv6 type": lambda value, flow, _: is_icmp_type(value, flow),
    "icmp code": lambda value, flow, _: is_icmp_code(value, flow),
    "tcp flags": _has_flag,
}


def _compared(match: NftMatch, flow: Flow) -> Truth:
    """`tcp dport > 1023`."""
    key = _key(match.left, flow)
    if not isinstance(key, int) or len(match.values) != 1 or not match.values[0].isdecimal():
        return Truth.UNKNOWN
    limit = int(match.values[0])
    low, high = {
        "<": (0, limit - 1),
        "<=": (0, limit),
        ">": (limit + 1, 0xFFFF),
        ">=": (limit, 0xFFFF),
    }[match.operator]
    return in_range(key, f"{low}-{high}") if low <= high else Truth.NO


def _asked_for(rule: NftRule) -> Key | None:
    """The one thing without which the rule does not take a packet, by which a chain's rules are sorted."""
    for statement in rule.statements:
        if not isinstance(statement, NftMatch):
            return None  # a statement that comes first may be a verdict
        if statement.operator == "==" and len(statement.values) == 1:
            key = _sieve_key(statement.left, statement.values[0])
            if key:
                return key
    return None


def _sieve_key(left: str, value: str) -> Key | None:
    if value.startswith("@") or value.endswith("*"):
        return None
    if left in _ADDRESSES or left.endswith(" dport"):
        known = value_range(value)
        if known is None or "-" in value:
            return None
        if left not in _ADDRESSES:
            return "destination_port", known.first
        return "source" if left.endswith("saddr") else "destination", ip_network(value, strict=False)
    names = {"iifname": "in_interface", "oifname": "out_interface"}
    return (names[left], value) if left in names else None
