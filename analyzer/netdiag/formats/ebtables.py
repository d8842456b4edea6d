"""`ebtables -L`: the chains and rules of a bridge's tables."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Record, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import Counters, EbtablesChain, EbtablesRule, Match
from netdiag.spans import Source


@dataclass(frozen=True)
class _Table:
    name: str


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as the name of a table, or as a chain or a rule that waits for its place."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def table(self, name: Token) -> _Table:
        return _Table(str(name))

    def chain(self, name: Token, entries: Token, policy: Token) -> Callable[..., Record]:
        return partial(EbtablesChain, name=str(name), entries=int(entries), policy=str(policy))

    def option(self, *tokens: Token) -> Match:
        negated = any(token.type == "NOT" for token in tokens)
        option, *values = (token for token in tokens if token.type != "NOT")
        return Match(option.lstrip("-"), " ".join(value.strip('"') for value in values), negated)

    def target(self, name: Token, *options: Match) -> dict[str, Any]:
        return {"target": str(name), "target_options": options}

    def counters(self, packets: Token, octets: Token) -> dict[str, Any]:
        return {"counters": Counters(int(packets), int(octets))}

    def rule(self, *parts: Any) -> Callable[..., Record]:
        told: dict[str, Any] = {"matches": tuple(part for part in parts if isinstance(part, Match))}
        for part in parts:
            told |= part if isinstance(part, dict) else {}
        return partial(EbtablesRule, **told)


def read(source: Source) -> Document:
    """Chains and rules, each spanning its line; never raises."""
    records: list[Record] = []
    unread: list[Unread] = []
    table, chain, position = "", "", 0
    for number, meaning in read_lines(source, FORMAT.name, _Meaning(visit_tokens=False)):
        span = line_span(source, number)
        match meaning:
            case Unread():
                unread.append(meaning)
                position += 1
            case _Table():
                table, chain = meaning.name, ""
            case partial(func=func) if func is EbtablesChain:
                record = meaning(table=table, span=span)
                chain, position = record.name, 0
                records.append(record)
            case _ if not chain:
                unread.append(Unread(number, "no chain above it"))
            case _:
                position += 1
                records.append(meaning(table=table, chain=chain, position=position, span=span))
    return Document(source, FORMAT.name, tuple(records), tuple(unread))


FORMAT = Format(
    name="ebtables",
    title="firewall rules of bridges (ebtables -L)",
    commands=("ebtables -t filter -L --Lc --Ln", "ebtables -t nat -L --Lc --Ln", "ebtables -L"),
    read=read,
)
