"""`iptables -L -v -n` and its kin: the chains and rules of a table as a person lists them.

A listing without `-v` leaves out for which interfaces a rule is. Such a rule has that in `not_understood`, so that
nobody takes it for a rule that matches on all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from lark import Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from netdiag.formats import _netfilter as nf
from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, load, read_lines
from netdiag.formats.records import Match
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class _Table:
    name: str


@dataclass(frozen=True)
class _Heading:
    """Which of the columns that may be missing are there."""

    numbered: bool
    counted: bool


@dataclass(frozen=True)
class _Message:
    text: str


@dataclass(frozen=True)
class _Goto:
    pass


@dataclass(frozen=True)
class _NatTo:
    """Where a NAT target sends a packet: which option that is depends on the target."""

    value: str


@dataclass(frozen=True)
class _Word:
    """A word that no rule of the grammar knows, and where it stands."""

    text: str
    start: int
    end: int

    def joined(self, following: "_Word") -> "_Word":
        gap = " " * (following.start - self.end)
        return _Word(f"{self.text}{gap}{following.text}", self.start, following.end)


@dataclass(frozen=True)
class _Columns:
    number: int | None
    rule: nf.RuleText


@dataclass(frozen=True)
class _ListedRule:
    number: int | None
    rule: nf.RuleText

    def fits(self, heading: _Heading) -> bool:
        return heading == _Heading(numbered=self.number is not None, counted=self.rule.counters is not None)


_Name: TypeAlias = tuple[str, bool]

_NO_INTERFACES = nf.NotUnderstood("(interfaces: listed with -v only)")
_NAT_OPTIONS = {"DNAT": "to-destination", "SNAT": "to-source", "NETMAP": "to"}
_FRAGMENT = {"--": None, "-f": True, "!f": False}
_COMPARISONS = {"==": ("eq", False), "!=": ("eq", True), "<": ("lt", False), ">": ("gt", False)}
_LOG_FLAGS = {1: "log-tcp-sequence", 2: "log-tcp-options", 4: "log-ip-options", 8: "log-uid", 32: "log-macdecode"}


# keywords that could not be named after their option, for another keyword of this name
_OPTIONS = {
    "CT_NOTRACK": "notrack",
    "ENTRY_TIMEOUT": "timeout",
    "HELPER_NAME": "helper",
    "ICMP": "icmp-type",
    "ICMPV6": "icmpv6-type",
    "STATISTIC_NTH": "nth",
    "STATISTIC_RANDOM": "random",
    "SYNPROXY_MSS": "mss",
    "TO_OFFSET": "to",
}


# terminals that read the names of options, and what `iptables-save` puts before such a name
_NAMES = {
    "ACTION": "",
    "ACTION_ALONE": "",
    "CONDITION": "",
    "CONDITION_ALONE": "",
    "HASHLIMIT": "hashlimit-",
    "LOG": "log-",
    "RPFILTER_FLAG": "",
    "SET_ACTION": "",
    "SET_FLAG": "",
    "SOCKET_FLAG": "",
}


def _option(keyword: Token) -> str:
    """The grammar names its keywords after the options of `iptables-save`, or tells which are such an option's name."""
    if keyword.type in _NAMES:
        return _NAMES[keyword.type] + keyword.removeprefix("--")
    return _OPTIONS.get(keyword.type, keyword.type.lower().replace("_", "-"))


def _pairs(tokens: Iterable[Token]) -> list[tuple[str, str]]:
    """Options with their values, "" for one without; a date and its time are one value."""
    found: list[tuple[str, str]] = []
    for token in tokens:
        if token.type == "WORD":
            option, value = found[-1]
            found[-1] = (option, f"{value}T{token}" if value else str(token))
        else:
            found.append((_option(token), ""))
    return found


def _split(tokens: tuple[Token, ...]) -> tuple[bool, list[Token]]:
    """Whether a `!` stands among the tokens, and the others."""
    others = [token for token in tokens if token.type != "NOT"]
    return len(others) < len(tokens), others


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above, or as a chain's head."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def chain(self, name: Token, *told: Any) -> nf.ChainHead:
        return replace(told[0], name=str(name)) if told else nf.ChainHead(str(name))

    def policy(self, policy: Token, *numbers: Token) -> nf.ChainHead:
        return nf.ChainHead("", str(policy), nf.counters(*numbers) if numbers else None)

    def references(self, number: Token) -> nf.ChainHead:
        return nf.ChainHead("", references=int(number))

    def table(self, name: Token) -> _Table:
        return _Table(str(name))

    def heading(self, *columns: Token) -> _Heading:
        found = {column.type for column in columns}
        return _Heading("NUMBER_COLUMN" in found, "COUNT_COLUMNS" in found)

    def message(self, text: Token) -> _Message:
        return _Message(str(text))

    # the columns

    def word(self, *tokens: Token) -> _Name:
        return str(tokens[-1]), len(tokens) > 1

    def address(self, *tokens: Token) -> nf.End:
        text, negated = str(tokens[-1]), len(tokens) > 1
        if tokens[-1].type == "ANYWHERE":
            return nf.End(negated=negated, odd=text if negated else None)
        if tokens[-1].type == "WORD":
            return nf.name_as_end(text, negated=negated)
        return nf.end(text, negated=negated)

    def target_to_opt(self, *columns: Any) -> tuple[list[_Name], bool | None]:
        *names, opt = columns
        return names, _FRAGMENT[str(opt)]

    def columns(self, *columns: Any) -> _Columns:
        *numbers, (names, fragment), incoming, outgoing, source, destination = columns
        return _columns(numbers, names, source, destination, fragment=fragment, interfaces=(incoming, outgoing))

    def short_columns(self, *columns: Any) -> _Columns:
        *numbers, (names, fragment), source, destination = columns
        return _columns(numbers, names, source, destination, fragment=fragment)

    def bare_columns(self, *columns: Any) -> _Columns:
        *first, incoming, outgoing, source, destination = columns
        numbers, names = _numbers_and_names(first)
        return _columns(numbers, names, source, destination, interfaces=(incoming, outgoing))

    def short_bare_columns(self, *columns: Any) -> _Columns:
        *first, source, destination = columns
        numbers, names = _numbers_and_names(first)
        return _columns(numbers, names, source, destination)

    def rule(self, columns: _Columns, *extensions: Any) -> _ListedRule:
        rule = columns.rule
        found = [
            item for extension in extensions for item in (extension if isinstance(extension, list) else [extension])
        ]
        pieces = (*rule.pieces, *_pieces([item for item in found if item != _Goto()], rule.target))
        return _ListedRule(columns.number, replace(rule, goto=_Goto() in found, pieces=pieces))

    # extensions: conditions

    def unknown(self, *tokens: Token) -> _Word:
        start, end = tokens[0].start_pos or 0, tokens[-1].end_pos or 0
        gap = " " * (end - start - sum(len(token) for token in tokens))
        return _Word(gap.join(tokens), start, end)

    def comment(self, text: Token) -> nf.Comment:
        return nf.Comment(str(text)[3:-3])

    def goto(self, _text: Token) -> _Goto:
        return _Goto()

    def negated(self, _not: Token, condition: Any) -> Any:
        first, *others = condition if isinstance(condition, list) else [condition]
        return [replace(first, negated=True), *others]

    def keyed(self, keyword: Token, *value: Token) -> Match:
        negated, (text,) = _split(value)
        option = _option(keyword)
        # a listing has one word for the two options
        if option == "cgroup" and not text.isdecimal():
            option = "path"
        return nf.match(option, str(text), negated=negated)

    def flag(self, keyword: Token) -> Match:
        return nf.match(_option(keyword))

    def module(self, module: Token, *flags: Token) -> Match:
        return nf.match(_option(module), " ".join(map(_option, flags)))

    def tcp_flags(self, *tokens: Token) -> Match:
        negated, (mask, compared) = _split(tokens)
        return nf.tcp_flags(mask, compared, negated=negated)

    def icmp(self, keyword: Token, *tokens: Token) -> Match:
        negated, numbers = _split(tokens)
        return nf.match(_option(keyword), "/".join(numbers), negated=negated)

    def security_index(self, module: Token, *index: Token) -> Match:
        if not index:
            return nf.match(_option(module))
        negated, (text,) = _split(index)
        return nf.match(f"{_option(module)}spi", str(text), negated=negated)

    def match_set(self, keyword: Token, name: Token, directions: Token) -> Match:
        return nf.match(_option(keyword), f"{name} {directions}")

    def connlimit(self, side: Token, length: Token, limit: Token, number: Token) -> list[Match]:
        return [nf.match(_option(side)), nf.match("connlimit-mask", str(length)), nf.match(_option(limit), str(number))]

    def ttl(self, keyword: Token, comparison: Token, number: Token) -> Match:
        word, negated = _COMPARISONS[str(comparison)]
        return nf.match(f"{_option(keyword)}-{word}", str(number), negated=negated)

    def pkttype(self, keyword: Token, *tokens: Token) -> Match:
        return nf.match(_option(keyword), str(tokens[-1]), negated=len(tokens) > 1)

    def string(self, *tokens: Token) -> list[Match]:
        negated, (quoted, *others) = _split(tokens)
        text = nf.unquoted(quoted)
        option = "hex-string" if text.startswith("|") and text.endswith("|") else "string"
        return [nf.match(option, text, negated=negated), *(nf.match(*pair) for pair in _pairs(others))]

    def helper(self, keyword: Token, *tokens: Token) -> Match:
        negated, (text,) = _split(tokens)
        return nf.match(_option(keyword), nf.unquoted(text), negated=negated)

    u32 = helper

    def bytecode(self, keyword: Token, text: Token) -> Match:
        return nf.match(_option(keyword), text.strip(" \0,"))

    def connlabel(self, keyword: Token, *tokens: Token) -> list[Match]:
        negated, (label, *setting) = _split(tokens)
        return [nf.match(_option(keyword), str(label), negated=negated), *(nf.match(_option(word)) for word in setting)]

    def statistic(self, mode: Token, *tokens: Token) -> list[Match]:
        negated, others = _split(tokens)
        (option, value), *packet = _pairs(others)
        return [
            nf.match("mode", _option(mode)),
            nf.match(option, value, negated=negated),
            *(nf.match(*pair) for pair in packet),
        ]

    def recent(self, *tokens: Token) -> list[Match]:
        return [nf.match(*pair) for pair in _pairs(tokens)]

    def time(self, *tokens: Token) -> list[Match]:
        found = [nf.match(*pair) for pair in _pairs(token for token in tokens if token.type != "UTC")]
        zone = [] if any(token.type == "UTC" for token in tokens) else [nf.match("kerneltz")]
        return [*found, *zone]

    def monthdays(self, *days: Token) -> Token:
        return Token("WORD", ",".join(days))

    # extensions: targets

    def nat_to(self, value: Token) -> _NatTo:
        return _NatTo(str(value))

    def option(self, keyword: Token, value: Token) -> nf.TargetOption:
        return nf.target_option(_option(keyword), str(value))

    def option_flag(self, keyword: Token) -> nf.TargetOption:
        return nf.TargetOption(_option(keyword))

    def log(self, *tokens: Token) -> list[nf.TargetOption]:
        return [option for token in tokens for option in _log_options(token)]

    def nflog_prefix(self, keyword: Token, text: Token) -> nf.TargetOption:
        return nf.TargetOption(_option(keyword), nf.unquoted(text))

    def mark_target(self, verb: Token, value: Token) -> nf.TargetOption:
        return nf.set_xmark(str(verb), str(value))

    def connmark_copy(self, keyword: Token, *masks: Token) -> list[nf.TargetOption]:
        values = {"NFMASK": "0xffffffff", "CTMASK": "0xffffffff"}
        for name, value in zip(masks[::2], masks[1::2], strict=True):
            both = name.type == "COPY_MASK"
            values.update(dict.fromkeys(values, str(value)) if both else {name.type: str(value)})
        return [
            nf.TargetOption(_option(keyword)),
            *(nf.TargetOption(name.lower(), value) for name, value in values.items()),
        ]

    def tproxy(self, address: Token, port: Token, mark: Token) -> list[nf.TargetOption]:
        values = {"on-ip": address, "on-port": nf.ports(port), "tproxy-mark": mark}
        return [nf.TargetOption(option, str(value)) for option, value in values.items()]

    def set_target(self, keyword: Token, name: Token, directions: Token, *tokens: Token) -> list[nf.TargetOption]:
        return [
            nf.TargetOption(_option(keyword), f"{name} {directions}"),
            *(nf.TargetOption(*pair) for pair in _pairs(tokens)),
        ]


def _columns(
    numbers: Sequence[Token],
    names: Sequence[_Name],
    source: nf.End,
    destination: nf.End,
    *,
    fragment: bool | None = None,
    interfaces: tuple[_Name, _Name] | None = None,
) -> _Columns:
    """`numbers` are none, the rule's own, packets and bytes, or all three; `names` the protocol, a target before it."""
    *target, (protocol, protocol_negated) = names
    if any(negated for _, negated in target):
        raise ValueError("a target with a !")
    incoming, outgoing = (_interface(name) for name in interfaces) if interfaces else (nf.Interface(), nf.Interface())
    rule = nf.RuleText(
        target=target[0][0] if target else None,
        protocol=nf.protocol(protocol),
        protocol_negated=protocol_negated,
        fragment=fragment,
        source=source,
        destination=destination,
        input=incoming,
        output=outgoing,
        counters=nf.counters(*numbers[-2:]) if len(numbers) > 1 else None,
        pieces=() if interfaces else (_NO_INTERFACES,),
    )
    return _Columns(int(numbers[0]) if len(numbers) % 2 else None, rule)


def _interface(column: _Name) -> nf.Interface:
    name, negated = column
    return nf.Interface(None if name in ("*", "any") else name, negated)


def _numbers_and_names(columns: Sequence[Token | _Name]) -> tuple[list[Token], list[_Name]]:
    """The first columns where `opt` is blank: the last one is the protocol, even when it is a number."""
    *first, protocol = columns
    numbers = [column for column in first if isinstance(column, Token)]
    target = [column for column in first if not isinstance(column, Token)]
    return numbers, [*target, (str(protocol), False) if isinstance(protocol, Token) else protocol]


def _log_options(token: Token) -> list[nf.TargetOption]:
    if token.type == "COUNT":
        bits = int(token)
        return [nf.TargetOption(option) for bit, option in _LOG_FLAGS.items() if bits & bit]
    if token.type == "WORD":
        return [nf.target_option("log-level", str(token))]
    if token.type == "LOG_PREFIX":
        return [nf.TargetOption("log-prefix", str(token).removeprefix("prefix ")[1:-1])]
    return [nf.TargetOption(_option(token))]


def _pieces(items: Iterable[Any], target: str | None) -> Iterator[nf.Piece]:
    """What the extensions say, with neighbouring unknown words as one text."""
    unknown: _Word | None = None
    for item in items:
        if isinstance(item, _Word):
            unknown = unknown.joined(item) if unknown else item
            continue
        if unknown:
            yield nf.NotUnderstood(unknown.text)
            unknown = None
        yield _of_target(item, target) if isinstance(item, _NatTo) else item
    if unknown:
        yield nf.NotUnderstood(unknown.text)


def _of_target(nat: _NatTo, target: str | None) -> nf.Piece:
    option = _NAT_OPTIONS.get(target or "")
    return nf.TargetOption(option, nat.value) if option else nf.NotUnderstood(f"to:{nat.value}")


_MEANING = _Meaning(visit_tokens=False)


class _Listing:
    """The listing as its lines come."""

    def __init__(self, source: Source) -> None:
        self.ruleset = nf.Ruleset(source)
        self.messages: list[str] = []
        self.without_interfaces = False
        self._chain: str | None = None
        self._heading: _Heading | None = None

    def take(self, meaning: Any, span: Span) -> str | None:
        """Add what a line says, or give the reason why it cannot be said here."""
        match meaning:
            case _Table():
                self.ruleset.begin_table(meaning.name)
            case nf.ChainHead():
                self._chain = meaning.name
                self.ruleset.add_chain(meaning, span)
            case _Heading():
                self._heading = meaning
            case _Message():
                self.messages.append(meaning.text)
            case _ListedRule():
                return self._take_rule(meaning, span)
        return None

    def _take_rule(self, listed: _ListedRule, span: Span) -> str | None:
        if self._chain is None:
            return "no chain above it"
        if self._heading and not listed.fits(self._heading):
            return "not the columns of the heading above it"
        self.without_interfaces |= _NO_INTERFACES in listed.rule.pieces
        self.ruleset.add_rule(self._chain, listed.rule, span, listed.number)
        return None

    def miss(self) -> None:
        """A line of the chain could not be read; it was most likely a rule."""
        if self._chain is not None:
            self.ruleset.miss_rule(self._chain)


def _columns_alone(line: str) -> _ListedRule | None:
    """The rule of a line that no rule of the grammar reads, if only what stands behind its columns is to blame."""
    try:
        load(FORMAT.name).parse(line)
    except UnexpectedInput:
        with suppress(UnexpectedInput, VisitError):
            rule: _ListedRule = _MEANING.transform(load(FORMAT.name, "verbatim_rule").parse(line))
            return rule
    return None


def read(source: Source) -> Document:
    """Chains and rules, each spanning its line; never raises."""
    listing = _Listing(source)
    unread: list[Unread] = []
    for number, found in read_lines(source, FORMAT.name, _MEANING):
        meaning = (_columns_alone(source.lines[number - 1]) or found) if isinstance(found, Unread) else found
        reason = meaning.reason if isinstance(meaning, Unread) else listing.take(meaning, line_span(source, number))
        if reason:
            unread.append(Unread(number, reason))
            listing.miss()
    records, notes = listing.ruleset.records()
    if listing.without_interfaces:
        notes += ("listed without -v: for which interfaces the rules are is not known",)
    return Document(source, FORMAT.name, records, tuple(unread), (*listing.messages, *notes))


FORMAT = Format(
    name="iptables_list",
    title="firewall rules of a table (iptables -L)",
    commands=(
        "iptables -t nat -L -v -n -x",
        "iptables -t filter -L -v -n -x",
        "iptables -L -v -n",
        "ip6tables -t nat -L -v -n -x",
        "iptables -L",
    ),
    read=read,
)
