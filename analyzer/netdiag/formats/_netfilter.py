"""What the two readings of an iptables ruleset share: a listing and an `iptables-save` of one state give equal rules.

What the two print in different words has one form here, that of `iptables-save`, completed by the defaults that only
one of them prints. Where a save has one word for several things the module's name tells them apart: `--mark` of
connmark is `connmark`, `--label` and `--set` of connlabel are `connlabel` and `connlabel-set`, and the flags of socket
and rpfilter are one match (`socket`, `transparent nowildcard`). Several comments of a rule are joined. What a listing
cannot tell (the name of a hashlimit table) is left out of both.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, NetmaskValueError
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TypeAlias

from netdiag.formats._document import Record
from netdiag.formats.records import Chain, Counters, IpNetwork, Match, Rule, RulesetHead
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class TargetOption:
    """An option of the rule's target; conditions are plain `Match`es."""

    option: str
    value: str = ""


@dataclass(frozen=True)
class Comment:
    text: str


@dataclass(frozen=True)
class NotUnderstood:
    text: str


Piece: TypeAlias = Match | TargetOption | Comment | NotUnderstood


@dataclass(frozen=True)
class End:
    """Source or destination of a rule. `odd` is the text of one that is no network: a host name, a mask with holes."""

    network: IpNetwork | None = None
    negated: bool = False
    family: str | None = None
    odd: str | None = None


@dataclass(frozen=True)
class Interface:
    name: str | None = None
    negated: bool = False


@dataclass(frozen=True)
class RuleText:
    """A rule as one line tells it: all but its place in the ruleset."""

    target: str | None = None
    goto: bool = False
    protocol: str | None = None
    protocol_negated: bool = False
    fragment: bool | None = None
    source: End = End()
    destination: End = End()
    input: Interface = Interface()
    output: Interface = Interface()
    counters: Counters | None = None
    pieces: tuple[Piece, ...] = ()

    @property
    def family(self) -> str | None:
        """`ipv4` or `ipv6` when something in the rule can only be said of that one."""
        for end in (self.source, self.destination):
            if end.family:
                return end.family
        if self.protocol == "ipv6-icmp":
            return "ipv6"
        return "ipv4" if self.protocol == "icmp" else None

    def as_record(self, family: str, table: str, chain: str, position: int, span: Span) -> Rule:
        ends = (("-s", self.source), ("-d", self.destination))
        odd = [f"{'! ' if end.negated else ''}{option} {end.odd}" for option, end in ends if end.odd]
        comments = [piece.text for piece in self.pieces if isinstance(piece, Comment)]
        options = [Match(piece.option, piece.value) for piece in self.pieces if isinstance(piece, TargetOption)]
        return Rule(
            family=family,
            table=table,
            chain=chain,
            position=position,
            span=span,
            counters=self.counters,
            protocol=self.protocol,
            protocol_negated=self.protocol_negated,
            source=self.source.network,
            source_negated=self.source.negated and self.source.network is not None,
            destination=self.destination.network,
            destination_negated=self.destination.negated and self.destination.network is not None,
            in_interface=self.input.name,
            in_interface_negated=self.input.negated,
            out_interface=self.output.name,
            out_interface_negated=self.output.negated,
            fragment=self.fragment,
            matches=_sorted(_completed([piece for piece in self.pieces if isinstance(piece, Match)])),
            # the older name of the same target, which newer versions print in a save and not in a listing
            target="CT" if self.target == "NOTRACK" else self.target,
            goto=self.goto,
            target_options=_sorted(_completed_of_target(options, self.target)),
            comment=" ".join(comments) if comments else None,
            not_understood=(*odd, *(piece.text for piece in self.pieces if isinstance(piece, NotUnderstood))),
        )


def _sorted(matches: Iterable[Match]) -> tuple[Match, ...]:
    return tuple(sorted(matches, key=lambda match: (match.option, match.value, match.negated)))


# the ends of what has no end: of the text that `string` looks through, of the time that the kernel's 32 bits can tell
_UNBOUNDED = (("to", "65535"), ("datestop", "2038-01-19T03:14:07"))


def _completed(matches: list[Match]) -> list[Match]:
    """With the defaults that only one of the two prints, or only some versions of it."""
    options = {match.option for match in matches}
    if "limit" in options and "limit-burst" not in options:
        matches.append(Match("limit-burst", "5"))
    if "every" in options and "packet" not in options:
        matches.append(Match("packet", "0"))
    return [match for match in matches if (match.option, match.value) not in _UNBOUNDED]


def _completed_of_target(options: list[Match], target: str | None) -> list[Match]:
    names = {option.option for option in options}
    if target == "LOG" and "log-level" not in names:
        options.append(Match("log-level", "4"))
    if target == "NOTRACK" and "notrack" not in names:
        options.append(Match("notrack", ""))
    if names & {"save-mark", "restore-mark"}:
        options.extend(Match(mask, "0xffffffff") for mask in ("nfmask", "ctmask") if mask not in names)
    return options


# Numbers and names of /etc/protocols: a listing may print the one where `iptables-save` prints the other.
PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipencap",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    43: "ipv6-route",
    44: "ipv6-frag",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    59: "ipv6-nonxt",
    60: "ipv6-opts",
    88: "eigrp",
    89: "ospf",
    94: "ipip",
    97: "etherip",
    98: "encap",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    124: "isis",
    132: "sctp",
    135: "mobility-header",
    136: "udplite",
    137: "mpls-in-ip",
}
_OTHER_NAMES = {"icmpv6": "ipv6-icmp", "ipv6-mh": "mobility-header", "mh": "mobility-header"}


def protocol(text: str) -> str | None:
    """A protocol by its usual name, None for any. Raises `ValueError` for a number above 255."""
    name = text.lower()
    if name.isdecimal():
        number = int(name)
        if number > 255:
            raise ValueError(f"protocol {text}")
        name = PROTOCOLS.get(number, name)
    return None if name in ("all", "ip", "0") else _OTHER_NAMES.get(name, name)


@lru_cache(maxsize=4096)
def end(text: str, *, negated: bool) -> End:
    """An address with or without a prefix length or a mask. Raises `ValueError` when it is out of range."""
    network = IPv6Network if ":" in text else IPv4Network
    family = "ipv6" if network is IPv6Network else "ipv4"
    try:
        found = network(text, strict=False)
    except NetmaskValueError:
        if "/" not in text or text.rpartition("/")[2].isdecimal():
            raise
        return End(negated=negated, family=family, odd=text)
    # a negated "any" is kept: such a rule matches nothing
    return End(found if found.prefixlen or negated else None, negated, family)


def name_as_end(text: str, *, negated: bool) -> End:
    """A host or network name, which no offline reader can turn into an address."""
    return End(negated=negated, odd=text)


_SUFFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def counters(packets: str, octets: str) -> Counters:
    """Raises `ValueError` above 64 bits."""
    return Counters(_number(packets), _number(octets), exact=packets[-1].isdigit() and octets[-1].isdigit())


def _number(text: str) -> int:
    number = int(text.rstrip("KMGTP")) * _SUFFIXES.get(text[-1], 1)
    if number >= 2**64:
        raise ValueError(f"counter {text}")
    return number


_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def tcp_flags(mask: str, compared: str, *, negated: bool = False) -> Match:
    """Both as `0x17` or as `FIN,SYN,RST,ACK`."""
    return Match("tcp-flags", f"{_flag_names(mask)} {_flag_names(compared)}", negated)


def _flag_names(text: str) -> str:
    if text == "ALL":
        return ",".join(_TCP_FLAGS)
    if not text.startswith("0x"):
        return text
    number = int(text, 16)
    return ",".join(name for bit, name in enumerate(_TCP_FLAGS) if number & 1 << bit) or "NONE"


_ALL_BITS = 0xFFFFFFFF


def set_xmark(verb: str, value: str) -> TargetOption:
    """MARK and CONNMARK: `set 0x1`, `xset 0x1/0xff`, `and 0xff`, `or 0x4000`, `xor 0x1` as `--set-xmark VALUE/MASK`."""
    number, _, of_mask = value.partition("/")
    bits = int(number, 0)
    mask = int(of_mask, 0) if of_mask else _ALL_BITS
    if verb == "and":
        bits, mask = 0, ~bits & _ALL_BITS
    elif verb == "or":
        mask = bits
    elif verb == "xor":
        mask = 0
    elif verb == "set":
        # `--set-mark` clears the bits of the mask and then sets those of the value
        mask |= bits
    if max(bits, mask) > _ALL_BITS:
        raise ValueError(f"mark {value}")
    return TargetOption("set-xmark", f"{bits:#x}/{mask:#x}")


# the names of syslog(3), the older ones too: iptables 1.8.9 prints `warn`
_LOG_LEVELS = {
    "emerg": "0",
    "panic": "0",
    "alert": "1",
    "crit": "2",
    "err": "3",
    "error": "3",
    "warn": "4",
    "warning": "4",
    "notice": "5",
    "info": "6",
    "debug": "7",
}


def target_option(option: str, value: str = "") -> TargetOption:
    """An option of a target with its value in the one form. Raises `ValueError` when the value is out of range."""
    if option == "log-level":
        value = _LOG_LEVELS.get(value, value)
    elif option == "set-class":
        # 0000:ffff and 0:ffff are the same class
        major, _, minor = value.partition(":")
        value = f"{int(major, 16):x}:{int(minor or '0', 16):x}"
    return TargetOption(option, value)


def unquoted(text: str) -> str:
    """A value without the quotes and backslashes that `iptables-save` puts around what is no plain word."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else str(text)


def ports(text: str) -> str:
    """`80`, `1024:65535`, `80,443`, `http`: as it is. Raises `ValueError` for a number above 65535."""
    for port in text.replace(",", ":").split(":"):
        if port.isdecimal() and int(port) > 65535:
            raise ValueError(f"port {port}")
    return text


def match(option: str, value: str = "", *, negated: bool = False) -> Match:
    """A condition with its value in the one form. Raises `ValueError` when the value is out of range."""
    if option in ("dport", "sport", "dports", "sports", "ports"):
        value = ports(value)
    elif option in ("ctproto", "proto", "vproto"):
        value = protocol(value) or value
    elif option == "mac-source":
        value = value.upper()
    elif option == "hashlimit-mode":
        value = value.replace("-", ",")
    elif option == "icmp-type" and value == "255":
        value = "any"
    return Match(option, value, negated)


@dataclass(frozen=True)
class ChainHead:
    """A chain as its line tells it."""

    name: str
    policy: str | None = None
    counters: Counters | None = None
    references: int | None = None


def _words_of_iptables(command: str) -> list[str]:
    """The words of a command from the one that names an iptables program, none when it names none."""
    words = command.split()
    for place, word in enumerate(words):
        if PurePosixPath(word).name.startswith(("iptables", "ip6tables", "xtables")):
            return words[place:]
    return []


def table_of_command(command: str) -> str | None:
    """The table that an iptables command speaks of: `filter` without `-t`; None for no such command."""
    words = _words_of_iptables(command)
    for word, following in pairwise([*words, ""]):
        if word in ("-t", "--table"):
            return following or None
        if word.startswith("--table="):
            return word.removeprefix("--table=")
    return "filter" if words else None


def family_of_command(command: str) -> str | None:
    words = _words_of_iptables(command)
    name = PurePosixPath(words[0]).name if words else ""
    if name.startswith("ip6tables"):
        return "ipv6"
    return "ipv4" if name.startswith("iptables") else None


# The order in which tables list the chains that they have from the start (OUTPUT and POSTROUTING: either way).
_ORDER = {"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 3}
_TABLES = {
    frozenset({"INPUT", "FORWARD", "OUTPUT"}): "filter",
    frozenset({"PREROUTING", "OUTPUT", "POSTROUTING"}): "nat",
    frozenset({"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}): "nat",
    frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}): "mangle",
    frozenset({"PREROUTING", "OUTPUT"}): "raw",
}
_NAT_TARGETS = frozenset({"DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP"})


@dataclass
class _Table:
    """One table as its lines come. `name` is None while nothing tells it; `closed` when a line of its own told it."""

    name: str | None
    family: str | None
    closed: bool = False
    chains: list[ChainHead] = field(default_factory=list)
    lines: list[tuple[ChainHead | RuleText, str, int, Span]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def begins_another(self, chain: str) -> bool:
        if self.closed:
            return False
        if chain in (head.name for head in self.chains):
            return True
        known = [_ORDER[head.name] for head in self.chains if head.name in _ORDER]
        return chain in _ORDER and bool(known) and _ORDER[chain] < known[-1]

    def told_name(self) -> tuple[str, str | None]:
        """The table's name, and a note when it was concluded from its chains ("" when even they do not tell)."""
        if self.name is not None:
            return self.name, None
        chains = [head.name for head in self.chains if head.name in _ORDER]
        rules = [line for line, *_ in self.lines if isinstance(line, RuleText)]
        concluded = _TABLES.get(frozenset(chains))
        if concluded:
            return (
                concluded,
                f"no command says which table this is: taken as {concluded}, which has {', '.join(chains)}",
            )
        if targets := sorted({rule.target for rule in rules if rule.target in _NAT_TARGETS if rule.target}):
            return "nat", f"no command says which table this is: taken as nat, for the target {targets[0]}"
        if chains and set(chains) <= {"INPUT", "FORWARD", "OUTPUT"}:
            return "filter", f"no command says which table this is: taken as filter, for {', '.join(chains)}"
        return "", "nothing tells which table this is: its rules are kept without one"

    def told_family(self) -> str:
        rules = (line.family for line, *_ in self.lines if isinstance(line, RuleText))
        return self.family or next((family for family in rules if family), "ipv4")


class Ruleset:
    """Tables, chains and rules as their lines come, made into records when all are known.

    A loose listing names no table and no family: both are concluded from the whole table, and noted.
    """

    def __init__(self, source: Source) -> None:
        self._named = table_of_command(source.command)
        self._family = family_of_command(source.command)
        self._entries: list[RulesetHead | _Table] = []

    def add_head(self, head: RulesetHead, family: str | None) -> None:
        """The first line of an `iptables-save`: what follows is of that family."""
        self._entries.append(head)
        self._family = family or self._family

    def begin_table(self, name: str) -> None:
        self._entries.append(_Table(name, self._family, closed=True))

    def add_chain(self, head: ChainHead, span: Span) -> None:
        table = self._table()
        if table.begins_another(head.name):
            table = self._begin_unnamed()
        table.chains.append(head)
        table.lines.append((head, head.name, 0, span))

    def add_rule(self, chain: str, rule: RuleText, span: Span, number: int | None = None) -> None:
        """The next rule of `chain`; `number` is its place in the chain where the text tells it."""
        table = self._table()
        table.counts[chain] = table.counts[chain] + 1 if number is None else number
        table.lines.append((rule, chain, table.counts[chain], span))

    def miss_rule(self, chain: str) -> None:
        """A rule is there that could not be read: those behind it keep their places."""
        self._table().counts[chain] += 1

    def _table(self) -> _Table:
        if self._entries and isinstance(self._entries[-1], _Table):
            return self._entries[-1]
        return self._begin_unnamed()

    def _begin_unnamed(self) -> _Table:
        table = _Table(self._named, self._family)
        self._entries.append(table)
        return table

    def records(self) -> tuple[tuple[Record, ...], tuple[str, ...]]:
        """All records in the order of their lines, and the notes on what was concluded."""
        records: list[Record] = []
        notes: list[str] = []
        for entry in self._entries:
            if isinstance(entry, RulesetHead):
                records.append(entry)
                continue
            table, note = entry.told_name()
            notes.extend([note] if note else [])
            records.extend(_records(entry, entry.told_family(), table))
        return tuple(records), tuple(notes)


def _records(entry: _Table, family: str, table: str) -> Iterator[Record]:
    for line, chain, position, span in entry.lines:
        if isinstance(line, RuleText):
            yield line.as_record(family, table, chain, position, span)
        else:
            yield Chain(family, table, chain, span, line.policy, line.counters, line.references)
