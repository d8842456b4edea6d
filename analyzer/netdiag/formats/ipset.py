"""`ipset list`: the sets that iptables rules name with `--match-set`."""

from dataclasses import dataclass, field
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import read_lines
from netdiag.formats.records import IpSet, IpSetMember
from netdiag.spans import Source


@dataclass
class _Block:
    """A set as its lines come, from `first` to `last`."""

    name: str
    first: int
    last: int
    details: dict[str, str] = field(default_factory=dict)
    members: list[IpSetMember] | None = None

    def record(self, source: Source) -> IpSet:
        details = dict(self.details)
        type_ = details.pop("Type", None)
        members = None if self.members is None else tuple(self.members)
        return IpSet(self.name, source.span_of_lines(self.first, self.last), type_, members, details)


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass(frozen=True)
class _Field:
    key: str
    value: str


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a name, a field, the beginning of the members (True) or a member."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def name(self, text: Token) -> _Name:
        return _Name(str(text))

    def field(self, key: Token, value: Token | None = None) -> _Field:
        return _Field(key.removesuffix(":"), str(value or ""))

    def members(self, _text: Token) -> bool:
        return True

    def member(self, element: Token, *tokens: Token) -> IpSetMember:
        details: dict[str, str] = {}
        for token in tokens:
            if token.type in ("KEY", "FLAG"):
                key = str(token)
                details[key] = ""
            else:
                details[key] = token.strip('"')
        return IpSetMember(str(element), details)


def read(source: Source) -> Document:
    """Every set, spanning its lines; never raises."""
    blocks: list[_Block] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning(visit_tokens=False)):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Name):
            blocks.append(_Block(meaning.text, number, number))
        elif reason := _added(blocks, meaning, number):
            unread.append(Unread(number, reason))
    return Document(source, FORMAT.name, tuple(block.record(source) for block in blocks), tuple(unread))


def _added(blocks: list[_Block], meaning: Any, number: int) -> str:
    """Add what a line says to the last set; why that cannot be, "" when it was."""
    if not blocks:
        return "no set above it"
    block = blocks[-1]
    if isinstance(meaning, _Field):
        block.details[meaning.key] = meaning.value
    elif meaning is True:
        block.members = []
    elif block.members is None:
        return "no `Members:` above it"
    else:
        block.members.append(meaning)
    block.last = number
    return ""


FORMAT = Format(
    name="ipset",
    title="sets of addresses (ipset list)",
    commands=("ipset list",),
    read=read,
)
