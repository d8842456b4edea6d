"""`nft list ruleset`: the tables of nftables with their chains, sets, objects and rules.

What a line says depends on the block that it stands in, so this module keeps the block and asks the grammar for a line
of it. A rule is read into conditions and statements as far as the grammar goes. Equal meanings have one form: `meta`
is left out before the names of interfaces and put before all else that it may precede, `tcp flags syn / syn,ack` is
`tcp flags & (syn | ack) == syn`, and `type` of `reject with icmp type X` is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Record, Unread
from netdiag.formats._lines import Grammar, Meanings, line_span
from netdiag.formats.records import (
    NftChain,
    NftElement,
    NftMatch,
    NftObject,
    NftRule,
    NftSet,
    NftStatement,
    NftTable,
)
from netdiag.spans import Source, Span

_STARTS = ("line", "in_table", "in_chain", "in_set", "in_elements", "in_object")

# nft(8), "priority"; the bridge family has its own
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_PRIORITIES_OF_BRIDGE = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}

_ALONE = frozenset({"iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"})
_META = frozenset({"mark", "iiftype", "oiftype", "skuid", "skgid", "nftrace", "rtclassid", "pkttype", "cpu", "cgroup"})


@dataclass(frozen=True)
class _Head:
    """The line that opens a block: what record it begins, in words of the grammar."""

    block: str
    name: str
    handle: int | None
    family: str = ""


@dataclass(frozen=True)
class _Close:
    pass


@dataclass(frozen=True)
class _Message:
    text: str


@dataclass(frozen=True)
class _Told:
    """Fields of the block's record; those of `details` are added to it."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Priority:
    name: str
    added: int = 0

    def number(self, family: str) -> int:
        names = _PRIORITIES_OF_BRIDGE if family == "bridge" else _PRIORITIES
        base = names.get(self.name)
        return (int(self.name) if base is None else base) + self.added


@dataclass(frozen=True)
class _Elements:
    """Some elements of a set; `closed` when their brace is closed."""

    elements: tuple[NftElement, ...]
    closed: bool


@dataclass(frozen=True)
class _Rule:
    statements: tuple[NftMatch | NftStatement, ...]
    comment: str | None
    handle: int | None
    not_understood: tuple[str, ...]


@dataclass(frozen=True)
class _Unknown:
    text: str


@dataclass(frozen=True)
class _Values:
    """The right side of a condition: the elements of an anonymous set or map, the name of a set, or one value."""

    values: tuple[str, ...]
    elements: tuple[NftElement, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class _Detail:
    name: str
    value: str


def _plain(token: str) -> str:
    return token[1:-1] if token.startswith('"') and token.endswith('"') and len(token) > 1 else str(token)


def _text(parts: Iterable[Any]) -> str:
    return " ".join(part.text if isinstance(part, _Values | _Unknown) else _plain(str(part)) for part in parts)


def _selector(words: str) -> str:
    """The one form of what is looked at: nft versions differ in where they print `meta`, and 1.1.7 prints
    `fib ... check` where 1.1.3 prints `fib ... oif`: whether there is a route.
    """
    if words.startswith("fib "):
        return words.removesuffix(" check") + " oif" if words.endswith(" check") else str(words)
    bare = words.removeprefix("meta ")
    if bare in _ALONE:
        return bare
    return f"meta {words}" if words in _META else str(words)


def _number(handle: Token | None) -> int | None:
    return int(handle.rpartition(" ")[2]) if handle else None


def _of(parts: Iterable[Any], kind: str) -> Token | None:
    return next((part for part in parts if isinstance(part, Token) and part.type == kind), None)


def _rated(parts: Iterable[Any]) -> dict[str, str]:
    """`rate`, `burst` and `over` of a limit, the amount and what is `used` of it of a quota."""
    found: dict[str, str] = {}
    amount = "burst"
    for token in parts:
        match token.type if isinstance(token, Token) else "":
            case "OVER":
                found[str(token)] = ""
            case "RATE":
                found["rate"] = str(token)
            case "USED":
                amount = "used"
            case "AMOUNT":
                found[amount if "rate" in found or amount == "used" else "amount"] = str(token)
    return found


def _verdict_text(value: Any) -> str:
    """A map's value; a verdict as nft prints it."""
    if isinstance(value, NftStatement):
        return " ".join([value.name, *value.details.values()])
    return str(value)


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above."""

    def line(self, meaning: Any) -> Any:
        return meaning

    in_table = line
    in_chain = line
    in_set = line
    in_object = line

    def message(self, text: Token) -> _Message:
        return _Message(str(text))

    def close(self) -> _Close:
        return _Close()

    # heads of blocks

    def table(self, family: Token, name: Token, handle: Token | None = None) -> _Head:
        return _Head("table", str(name), _number(handle), str(family))

    def chain(self, name: Token, handle: Token | None = None) -> _Head:
        return _Head("chain", str(name), _number(handle))

    def set(self, name: Token, handle: Token | None = None) -> _Head:
        return _Head("set", str(name), _number(handle))

    def map(self, name: Token, handle: Token | None = None) -> _Head:
        return _Head("map", str(name), _number(handle))

    def object(self, kind: Token, name: Token, handle: Token | None = None) -> _Head:
        return _Head(str(kind), str(name), _number(handle))

    # what a block says of itself

    def flags(self, flags: Token, *_: Token) -> _Told:
        return _Told({"flags": tuple(flags.split(","))})

    def comment_line(self, text: Token, *_: Token) -> _Told:
        return _Told({"comment": _plain(text)})

    def priority(self, name: Token, sign: Token | None = None, number: Token | None = None) -> _Priority:
        added = int(number or 0)
        return _Priority(str(name), -added if sign == "-" else added)

    def base(self, type_: Token, hook: Token, *others: Any) -> _Told:
        devices = tuple(_plain(part) for part in others if isinstance(part, Token))
        told: dict[str, Any] = {"chain_type": str(type_), "hook": str(hook), "devices": devices}
        for part in others:
            told |= {"priority": part} if isinstance(part, _Priority) else {}
            told |= part.fields if isinstance(part, _Told) else {}
        return _Told(told)

    def policy(self, policy: Token) -> _Told:
        return _Told({"policy": str(policy)})

    def concatenated(self, *words: Token) -> str:
        return " ".join(words)

    def selectors(self, *words: Token) -> str:
        return " ".join(map(_selector, words))

    def types(self, key: str, value: str | None = None) -> _Told:
        return _Told({"key_type": key, "value_type": value})

    typeof = types

    def attribute(self, name: Token, value: Token | None = None) -> _Told:
        return _Told(details={str(name): str(value or "")})

    def element_statements(self, *statements: _Detail) -> _Told:
        return _Told(details={statement.name: statement.value for statement in statements})

    # what an object says of itself

    def counted(self, packets: Token, octets: Token) -> _Told:
        return _Told(details={"packets": str(packets), "bytes": str(octets)})

    def rate(self, *tokens: Token) -> _Told:
        return _Told(details=_rated(tokens))

    amount = rate

    def typed(self, type_: Token, protocol: Token) -> _Told:
        return _Told(details={"type": _plain(type_), "protocol": str(protocol)})

    def pair(self, name: Token, value: Token) -> _Told:
        return _Told(details={str(name): str(value)})

    def devices(self, *names: Token) -> _Told:
        return _Told(details={"devices": ", ".join(map(_plain, names))})

    def policies(self, *policies: str) -> _Told:
        return _Told(details={"policy": ", ".join(policies)})

    def policy_of_state(self, state: Token, seconds: Token) -> str:
        return f"{state} : {seconds}"

    def flow_hook(self, hook: Token, priority: _Priority) -> _Told:
        return _Told(details={"hook": str(hook), "priority": str(priority.number("inet"))})

    def words(self, *words: Token) -> _Told:
        return _Told(details=dict.fromkeys(map(str, words), ""))

    # elements

    def elements(self, *parts: Any) -> _Elements:
        found = tuple(part for part in parts if isinstance(part, NftElement))
        return _Elements(found, closed=_of(parts, "CLOSE") is not None)

    def in_elements(self, *parts: Any) -> _Elements:
        found = tuple(part for part in parts if isinstance(part, NftElement))
        return _Elements(found, closed=_Close() in parts)

    def element(self, key: _Values, *others: Any) -> NftElement:
        details = {part.name: part.value for part in others if isinstance(part, _Detail)}
        value = next((part for part in others if isinstance(part, str)), None)
        return NftElement(key.text, value, details)

    def element_value(self, value: Any) -> str:
        return value.text if isinstance(value, _Values) else _verdict_text(value)

    def element_time(self, name: Token, value: Token) -> _Detail:
        return _Detail(str(name), str(value))

    def element_comment(self, text: Token) -> _Detail:
        return _Detail("comment", _plain(text))

    def element_statement(self, statement: NftStatement) -> _Detail:
        return _Detail(statement.name, " ".join(f"{name} {value}".strip() for name, value in statement.details.items()))

    def element_detail(self, detail: _Detail) -> _Detail:
        return detail

    # rules

    def rule(self, *parts: Any) -> _Rule:
        statements = tuple(part for part in parts if isinstance(part, NftMatch | NftStatement))
        return _Rule(
            statements,
            comment=next((part.value for part in parts if isinstance(part, _Detail)), None),
            handle=_number(_of(parts, "HANDLE")),
            not_understood=_joined(parts),
        )

    def rule_comment(self, text: Token) -> _Detail:
        return _Detail("comment", _plain(text))

    def unknown(self, word: Any) -> _Unknown:
        return _Unknown(word.text if isinstance(word, _Values) else str(word))

    def value(self, *words: Token) -> _Values:
        text = " ".join(_plain(word) if word.type != "QUOTED_RANGE" else word.replace('"', "") for word in words)
        # `established,related` are two values, any of which is enough
        several = len(words) == 1 and words[0].type == "VALUE"
        return _Values(tuple(text.split(",")) if several else (text,), text=text)

    def set_of_values(self, *elements: NftElement) -> _Values:
        told = (f"{each.key} : {each.value}" if each.value is not None else each.key for each in elements)
        return _Values(tuple(each.key for each in elements), elements, f"{{ {', '.join(told)} }}")

    def named_set(self, name: Token) -> _Values:
        return _Values((str(name),), text=str(name))

    def operand(self, *words: Token) -> str:
        return f"({' '.join(words)})" if len(words) > 1 else str(words[0])

    def looked_at(self, *words: Any) -> str:
        return " ".join(map(str, words))

    def hash(self, selectors: str, modulus: Token) -> str:
        return f"jhash {selectors} {modulus}"

    def match(self, left: str, *others: Any) -> NftMatch:
        operator = str(_of(others, "OPERATOR") or "==")
        compared = next(part for part in others if isinstance(part, _Values)).values
        mask = _of(others, "VALUE")
        if mask is None:
            return NftMatch(left, operator, compared)
        bits = mask.replace(",", " | ")
        return NftMatch(f"{left} & {f'({bits})' if ',' in mask else bits}", operator, (" | ".join(compared),))

    def vmap(self, left: str, values: _Values) -> NftStatement:
        name = {} if values.elements else {"map": values.text}
        return NftStatement("vmap", {"key": left, **name}, values.elements)

    def looked_up(self, left: str, values: _Values) -> _Values:
        text = f"{left} map {values.text}"
        return _Values((text,), text=text)

    def mangle(self, key: str, *terms: Any) -> NftStatement:
        told = (_selector(term) if isinstance(term, Token) and term.type == "SELECTOR" else term for term in terms)
        return NftStatement("set", {"key": key, "value": _text(told)})

    def counter(self, *parts: Any) -> NftStatement:
        if len(parts) == 2:
            return NftStatement("counter", {"packets": str(parts[0]), "bytes": str(parts[1])})
        return NftStatement("counter", {"name": _text(parts)} if parts else {})

    def verdict(self, word: Token) -> NftStatement:
        return NftStatement(str(word))

    def jump(self, verb: Token, chain: Token) -> NftStatement:
        return NftStatement(str(verb), {"target": str(chain)})

    def limit(self, *parts: Any) -> NftStatement:
        return NftStatement("limit", _rated(parts) or {"name": _text(parts)})

    def quota(self, *parts: Any) -> NftStatement:
        return NftStatement("quota", _rated(parts) or {"name": _text(parts)})

    def ct_count(self, *tokens: Token) -> NftStatement:
        over = {"over": ""} if _of(tokens, "OVER") else {}
        return NftStatement("ct count", {**over, "count": str(tokens[-1])})

    def last(self, *tokens: Token) -> NftStatement:
        return NftStatement("last", {"used": str(tokens[-1])} if tokens else {})

    def log(self, *tokens: Token) -> NftStatement:
        details: dict[str, str] = {}
        flags: list[str] = []
        for token in tokens:
            if token.type == "LOG_FLAGS":
                flags.append(token.removeprefix("flags "))
            elif token.type in ("PREFIX", "LOG_KEY"):
                name = str(token)
            else:
                details[name] = _plain(token)
        return NftStatement("log", {**details, **({"flags": ", ".join(flags)} if flags else {})})

    def reject(self, reason: Token | None = None) -> NftStatement:
        return NftStatement("reject", {"with": reason.replace(" type ", " ")} if reason else {})

    def nat(self, name: Token, *parts: Any) -> NftStatement:
        names = {"NAT_FAMILY": "family", "NAT_KIND": "kind", "NAT_ADDRESS": "address", "NAT_FLAGS": "flags"}
        details: dict[str, str] = {}
        for part in parts:
            if isinstance(part, _Values):
                details["address"] = part.text
            elif part.type == "NAT_PORT":
                details["port"] = part.removeprefix(":")
            elif part.type == "NAT_ADDRESS":
                details["address"] = part.replace("[", "").replace("]", "")
            else:
                details[names[part.type]] = str(part)
        return NftStatement(str(name), details)

    def queue(self, *parts: Any) -> NftStatement:
        details: dict[str, str] = {}
        for part in parts:
            is_flags = isinstance(part, Token) and part.type in ("VALUE", "QUEUE_FLAGS")
            details["flags" if is_flags else "num"] = _text([part])
        return NftStatement("queue", details)

    def dynamic(self, verb: Token, name: Token, key: str, *others: Any) -> NftStatement:
        details = {"set": str(name), "key": key}
        for part in others:
            if isinstance(part, _Detail):
                details[part.name] = part.value
            else:
                details["value"] = _text([part])
        return NftStatement(str(verb), details)

    def flow(self, name: Token) -> NftStatement:
        return NftStatement("flow", {"table": str(name)})

    def forward(self, verb: Token, *values: _Values) -> NftStatement:
        names = ("to", "device")
        return NftStatement(str(verb), {name: value.text for name, value in zip(names, values, strict=False)})

    def synproxy(self, *parts: Any) -> NftStatement:
        details: dict[str, str] = {}
        name = "name"
        for part in parts:
            if isinstance(part, Token) and part.type in ("SYNPROXY_KEY", "SYNPROXY_FLAG"):
                name = str(part)
                details[name] = ""
            else:
                details[name] = _text([part])
        return NftStatement("synproxy", details)


def _joined(parts: Iterable[Any]) -> tuple[str, ...]:
    """Unknown words, neighbours as one text."""
    texts: list[list[str]] = []
    open_ = False
    for part in parts:
        if isinstance(part, _Unknown):
            if not open_:
                texts.append([])
            texts[-1].append(part.text)
        open_ = isinstance(part, _Unknown)
    return tuple(" ".join(words) for words in texts)


_MEANING = _Meaning(visit_tokens=False)


class _Ruleset:
    """The ruleset as its lines come: the block that is open, and the records that are made."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._start = "line"
        self._table_at = 0
        self._block_at = 0
        self._position = 0
        self._elements: list[NftElement] = []
        self._records: list[Any] = []
        self.notes: list[str] = []

    @property
    def start(self) -> str:
        """By which start of the grammar the next line is to be read."""
        return self._start

    def records(self) -> tuple[Record, ...]:
        """All records; a set that is cut off has the elements that were seen."""
        self._end_set()
        return tuple(self._records)

    def take(self, meaning: Any, number: int) -> None:
        """Add what a line says. Raises `ValueError` for a value out of range."""
        match meaning:
            case _Message():
                self.notes.append(meaning.text)
            case _Head():
                self._open(meaning, line_span(self._source, number))
            case _Close():
                self._close()
            case _Elements():
                self._elements.extend(meaning.elements)
                self._start = "in_set" if meaning.closed else "in_elements"
            case _Told():
                self._tell(meaning)
            case _Rule():
                self._add_rule(meaning, line_span(self._source, number))

    def miss(self) -> None:
        """A line of a chain could not be read; it was most likely a rule."""
        self._position += self._start == "in_chain"

    def _open(self, head: _Head, span: Span) -> None:
        self._block_at = len(self._records)
        if head.block == "table":
            self._table_at = self._block_at
            self._records.append(NftTable(head.family, head.name, span, head.handle))
            self._start = "in_table"
            return
        table: NftTable = self._records[self._table_at]
        place = (table.family, table.name)
        match head.block:
            case "chain":
                self._position = 0
                self._records.append(NftChain(*place, head.name, span, head.handle))
                self._start = "in_chain"
            case "set" | "map":
                self._records.append(NftSet(*place, head.name, span, head.handle))
                self._start = "in_set"
            case kind:
                self._records.append(NftObject(*place, kind, head.name, span, head.handle))
                self._start = "in_object"

    def _close(self) -> None:
        self._end_set()
        self._start = "line" if self._start == "in_table" else "in_table"
        self._block_at = self._table_at

    def _end_set(self) -> None:
        if self._elements:
            self._records[self._block_at] = replace(self._records[self._block_at], elements=tuple(self._elements))
            self._elements.clear()

    def _tell(self, told: _Told) -> None:
        block = self._records[self._block_at]
        fields = dict(told.fields)
        details = dict(told.details)
        if isinstance(fields.get("priority"), _Priority):
            fields["priority"] = fields["priority"].number(block.family)
        if isinstance(block, NftObject) and "flags" in fields:
            details["flags"] = ",".join(fields.pop("flags"))
        if details:
            fields["details"] = {**block.details, **details}
        self._records[self._block_at] = replace(block, **fields)

    def _add_rule(self, rule: _Rule, span: Span) -> None:
        chain: NftChain = self._records[self._block_at]
        self._position += 1
        self._records.append(
            NftRule(
                family=chain.family,
                table=chain.table,
                chain=chain.name,
                position=self._position,
                span=span,
                handle=rule.handle,
                statements=rule.statements,
                comment=rule.comment,
                not_understood=rule.not_understood,
            )
        )


def read(source: Source) -> Document:
    """Tables, chains, sets, objects and rules in the order of their lines; never raises."""
    ruleset = _Ruleset(source)
    unread: list[Unread] = []
    meanings = Meanings(source, Grammar(FORMAT.name, _STARTS), _MEANING)
    for number, line in enumerate(source.lines, start=1):
        if not line or line.isspace():
            continue
        meaning = meanings.of(line, ruleset.start)
        reason = meaning if isinstance(meaning, str) else _taken(ruleset, meaning, number)
        if reason:
            unread.append(Unread(number, reason))
            ruleset.miss()
    return Document(source, FORMAT.name, ruleset.records(), tuple(unread), tuple(ruleset.notes))


def _taken(ruleset: _Ruleset, meaning: Any, number: int) -> str:
    """Why the line could not be taken, "" when it was."""
    try:
        ruleset.take(meaning, number)
    except ValueError as error:
        return f"a value out of range: {error}"
    return ""


FORMAT = Format(
    name="nft_ruleset",
    title="nftables rules (nft list ruleset)",
    commands=("nft -a list ruleset", "nft list ruleset"),
    read=read,
)
