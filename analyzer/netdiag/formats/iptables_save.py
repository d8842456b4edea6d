"""`iptables-save` and `iptables -S`: the chains and rules of tables as `iptables-restore` reads them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats import _netfilter as nf
from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import Counters, RulesetHead
from netdiag.spans import Source


@dataclass(frozen=True)
class _Head:
    version: str
    backend: str
    family: str | None


@dataclass(frozen=True)
class _Table:
    name: str


@dataclass(frozen=True)
class _Message:
    text: str


@dataclass(frozen=True)
class _SavedRule:
    chain: str
    rule: nf.RuleText


@dataclass(frozen=True)
class _Extension:
    """`-m NAME`, `-j NAME` or `-g NAME`: what the options behind it belong to; `switch` is "" for those behind `-p`."""

    switch: str = ""
    name: str = ""
    known: bool = True


@dataclass(frozen=True)
class _Option:
    """An option of a module or a target; `text` is how it stands in the line."""

    name: str
    value: str
    negated: bool
    known: bool
    text: str


_LONG_NAMES = {
    "destination-port": "dport",
    "destination-ports": "dports",
    "source-port": "sport",
    "source-ports": "sports",
}
# words that one module means otherwise than the others
_OWN_NAMES = {
    ("connmark", "mark"): "connmark",
    ("connlabel", "label"): "connlabel",
    ("connlabel", "set"): "connlabel-set",
}
# without an option these say nothing: the protocol says it already
_SILENT_MODULES = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "comment"})
_FLAG_MODULES = frozenset({"socket", "rpfilter"})


def _negated(tokens: Sequence[Token]) -> bool:
    return any(token.type == "NOT" for token in tokens)


def _option(tokens: Sequence[Token], *, known: bool = True) -> _Option:
    option, *values = (token for token in tokens if token.type != "NOT")
    name = option.lstrip("-")
    return _Option(
        name=_LONG_NAMES.get(name, name),
        value=" ".join(map(nf.unquoted, values)),
        negated=_negated(tokens),
        known=known,
        text=" ".join(tokens),
    )


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above, as a chain's head, or as None when it tells nothing.

    The parts of a rule that every rule may have are given by their names in `RuleText`.
    """

    def line(self, meaning: Any) -> Any:
        return meaning

    def head(self, program: Token, version: Token, backend: Token | None = None) -> _Head:
        number = version.removeprefix("v")
        # `xtables-save` is the nft variant of iptables 1.8.0 to 1.8.2; the legacy one does not say so
        nft = backend == "(nf_tables)" or program.startswith("xtables")
        before_nft = number.startswith(tuple(f"1.{minor}." for minor in range(8)))
        return _Head(number, "nft" if nft else "" if before_nft else "legacy", nf.family_of_command(program))

    def message(self, text: Token) -> _Message:
        return _Message(str(text))

    def table(self, name: Token) -> _Table:
        return _Table(str(name))

    def commit(self) -> None:
        return None

    completed = commit

    def chain(self, name: Token, policy: Token, counters: Counters | None = None) -> nf.ChainHead:
        return nf.ChainHead(str(name)) if policy == "-" else nf.ChainHead(str(name), str(policy), counters)

    policy = chain

    def new_chain(self, name: Token) -> nf.ChainHead:
        return nf.ChainHead(str(name))

    def counters(self, packets: Token, octets: Token) -> Counters:
        return nf.counters(packets, octets)

    def rule(self, *parts: Any) -> _SavedRule:
        chain = next(str(part) for part in parts if isinstance(part, Token))
        fields: dict[str, Any] = {}
        extensions: list[tuple[_Extension, list[_Option]]] = [(_Extension(), [])]
        for part in parts:
            match part:
                case Counters():
                    fields["counters"] = part
                case dict():
                    fields.update(part)
                case _Extension():
                    extensions.append((part, []))
                case _Option():
                    extensions[-1][1].append(part)
        for extension, _ in extensions:
            if extension.switch in ("-j", "-g"):
                fields.update(target=extension.name, goto=extension.switch == "-g")
        pieces = (piece for extension, options in extensions for piece in _pieces(extension, options))
        return _SavedRule(chain, nf.RuleText(**fields, pieces=tuple(pieces)))

    def source(self, *tokens: Token) -> dict[str, Any]:
        return {"source": _end(tokens)}

    def destination(self, *tokens: Token) -> dict[str, Any]:
        return {"destination": _end(tokens)}

    def input(self, *tokens: Token) -> dict[str, Any]:
        return {"input": nf.Interface(nf.unquoted(tokens[-1]), _negated(tokens))}

    def output(self, *tokens: Token) -> dict[str, Any]:
        return {"output": nf.Interface(nf.unquoted(tokens[-1]), _negated(tokens))}

    def protocol(self, *tokens: Token) -> dict[str, Any]:
        return {"protocol": nf.protocol(tokens[-1]), "protocol_negated": _negated(tokens)}

    def fragment(self, *tokens: Token) -> dict[str, Any]:
        return {"fragment": not _negated(tokens)}

    def target(self, name: Token) -> _Extension:
        return _Extension("-j", str(name), name.type == "KNOWN_TARGET")

    def goto(self, name: Token) -> _Extension:
        return _Extension("-g", str(name), known=False)

    def module(self, name: Token) -> _Extension:
        return _Extension("-m", str(name), name.type == "KNOWN_MODULE")

    def flag(self, *tokens: Token) -> _Option:
        return _option(tokens)

    keyed = flag
    pair = flag

    def other(self, *tokens: Token) -> _Option:
        return _option(tokens, known=False)


_MEANING = _Meaning(visit_tokens=False)


def _end(tokens: Sequence[Token]) -> nf.End:
    as_end = nf.name_as_end if tokens[-1].type == "WORD" else nf.end
    return as_end(str(tokens[-1]), negated=_negated(tokens))


def _pieces(extension: _Extension, options: list[_Option]) -> Iterator[nf.Piece]:
    """What a module or a target says with its options."""
    if not extension.known:
        # a chain has no options, and the target's name is a field of the rule
        module = [f"-m {extension.name}"] if extension.switch == "-m" else []
        if module or options:
            yield nf.NotUnderstood(" ".join([*module, *(option.text for option in options)]))
    elif extension.name in _FLAG_MODULES and all(option.known for option in options):
        yield nf.match(extension.name, " ".join(option.name for option in options))
    elif not options and extension.switch == "-m" and extension.name not in _SILENT_MODULES:
        yield nf.match(extension.name)
    else:
        for option in options:
            yield from _of_option(extension, option)


def _of_option(extension: _Extension, option: _Option) -> Iterable[nf.Piece]:
    if not option.known:
        return [nf.NotUnderstood(option.text)]
    return _of_target(option) if extension.switch == "-j" else _of_module(extension.name, option)


def _of_module(module: str, option: _Option) -> Iterable[nf.Piece]:
    name = _OWN_NAMES.get((module, option.name), option.name)
    match name:
        case "comment":
            return [nf.Comment(option.value)]
        case "hashlimit-name":
            return []
        case "tcp-flags":
            return [nf.tcp_flags(*option.value.split(" ", 1), negated=option.negated)]
        case "syn":
            return [nf.tcp_flags("FIN,SYN,RST,ACK", "SYN", negated=option.negated)]
        case "bytecode":
            # begins with the number of instructions, which a listing leaves out
            return [nf.match(name, option.value.partition(",")[2], negated=option.negated)]
    return [nf.match(name, option.value, negated=option.negated)]


def _of_target(option: _Option) -> Iterable[nf.Piece]:
    match option.name:
        case "set-mark" | "and-mark" | "or-mark" | "xor-mark":
            return [nf.set_xmark(option.name.removesuffix("-mark"), option.value)]
        case "set-xmark":
            return [nf.set_xmark("xset", option.value)]
        case "mask":
            return [nf.TargetOption("nfmask", option.value), nf.TargetOption("ctmask", option.value)]
    return [nf.target_option(option.name, option.value)]


def read(source: Source) -> Document:
    """Chains and rules, each spanning its line; never raises."""
    ruleset = nf.Ruleset(source)
    messages: list[str] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _MEANING):
        span = line_span(source, number)
        match meaning:
            case Unread():
                unread.append(meaning)
            case _Head(version, backend, family):
                ruleset.add_head(RulesetHead(version, backend, span), family)
            case _Message():
                messages.append(meaning.text)
            case _Table():
                ruleset.begin_table(meaning.name)
            case nf.ChainHead():
                ruleset.add_chain(meaning, span)
            case _SavedRule():
                ruleset.add_rule(meaning.chain, meaning.rule, span)
    records, notes = ruleset.records()
    return Document(source, FORMAT.name, records, tuple(unread), (*messages, *notes))


FORMAT = Format(
    name="iptables_save",
    title="firewall rules of all tables (iptables-save)",
    commands=("iptables-save -c", "ip6tables-save -c", "iptables-save", "iptables -S"),
    read=read,
)
