"""`ifconfig -a`: the interfaces of a namespace as net-tools and busybox print them.

They know less than `ip address`: one IPv4 address for each label, no peers, no masters, no kinds. `ifconfig -s` and
`netstat -i` know less still: MTU, counters and flags.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, TypeAlias

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_interface, line_span, read_lines
from netdiag.formats.records import Address, IpAddress, IpInterface, Link
from netdiag.spans import Source, Span

Pairs: TypeAlias = tuple[tuple[str, str], ...]

# what net-tools 1.60 prints of a name at most ("%-9.9s" in its lib/interface.c)
_NAME_LENGTH = 9

# the columns of `ifconfig -s`, as the long form calls them
_COUNTERS = ("packets", "errors", "dropped", "overruns")
_SHORT_COUNTERS = tuple(f"{direction}.{counter}" for direction in ("rx", "tx") for counter in _COUNTERS)
# P stands for two flags
_FLAG_OF_LETTER = {
    "A": "ALLMULTI",
    "B": "BROADCAST",
    "D": "DEBUG",
    "L": "LOOPBACK",
    "M": "MULTICAST",
    "N": "NOTRAILERS",
    "O": "NOARP",
    "R": "RUNNING",
    "U": "UP",
    "d": "DYNAMIC",
    "m": "MASTER",
    "s": "SLAVE",
}


@dataclass(frozen=True)
class _Address:
    address: IpInterface
    scope: str | None = None
    broadcast: IpAddress | None = None
    peer: IpInterface | None = None


@dataclass(frozen=True)
class _Interface:
    """The first line of a stanza. `label` is `eth0:1` for an address of eth0 that has a stanza of its own."""

    name: str
    label: str
    more: "_More"


@dataclass(frozen=True)
class _More:
    """What a line adds to the interface above it."""

    details: Pairs = ()
    mac: str | None = None
    mtu: int | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Heading:
    """The heading of the short form. net-tools 1.60 has a column more."""

    has_metric: bool


@dataclass(frozen=True)
class _Row:
    """An interface in the short form."""

    name: str
    label: str
    mtu: int
    counters: tuple[str, ...]
    letters: str


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def name(self, name: Token, alias: Token | str = "") -> tuple[str, str]:
        return str(name), f"{name}{alias}"

    def interface(self, names: tuple[str, str], number: Token, flags: Token, mtu: Token) -> _Interface:
        words = tuple(word for word in flags.strip("<>").split(",") if word)
        return _Interface(*names, _More((("flags", str(number)),), mtu=int(mtu), flags=words))

    def old_interface(self, names: tuple[str, str], encapsulation: Token, address: Token | None = None) -> _Interface:
        return _Interface(*names, _link_layer(str(encapsulation), address))

    def title(self) -> _Heading:
        return _Heading(has_metric=False)

    def short_heading(self, metric: Token | None = None) -> _Heading:
        return _Heading(has_metric=metric is not None)

    def short(self, names: tuple[str, str], mtu: Token, *rest: Token) -> _Row:
        *counters, letters = map(str, rest)
        return _Row(*names, int(mtu), tuple(counters), letters)

    def broadcast(self, address: Token) -> dict[str, Any]:
        # 0.0.0.0 stands for an address that has none
        found = IPv4Address(str(address))
        return {} if found.is_unspecified else {"broadcast": found}

    def destination(self, address: Token) -> dict[str, Any]:
        return {"peer": as_interface(address)}

    def inet(self, address: Token, *rest: Any) -> _Address:
        """Each form puts the mask and the other addresses in its own order."""
        mask = next((part for part in rest if isinstance(part, Token)), "255.255.255.255")
        told = {key: value for part in rest if isinstance(part, dict) for key, value in part.items()}
        return _Address(as_interface(f"{address}/{mask}"), **told)

    old_inet = inet

    def inet6(self, address: Token, length: Token, _number: Token, scope: Token) -> _Address:
        return _Address(as_interface(f"{address}/{length}"), scope=str(scope).strip("<>"))

    def old_inet6(self, address: Token, scope: Token) -> _Address:
        return _Address(as_interface(address), scope=str(scope).lower())

    def link_layer(self, kind: Token, *rest: Token) -> _More:
        told = {token.type: token for token in rest}
        queue = (("txqueuelen", str(told["INT"])),) if "INT" in told else ()
        more = _link_layer(str(kind), told.get("ADDRESS"))
        return _More((*more.details, *queue), more.mac)

    def old_flags(self, *tokens: Token) -> _More:
        *flags, mtu, metric = tokens
        return _More((("metric", str(metric)),), mtu=int(mtu), flags=tuple(map(str, flags)))

    def counter(self, name: Token, number: Token) -> tuple[str, str]:
        return str(name).rstrip(":"), str(number)

    old_counter = counter

    def statistics(self, *parts: Any) -> _More:
        """Counters belong to the RX or TX before them; PARENTHESES repeat bytes in larger units."""
        direction, details = "", []
        for part in parts:
            if isinstance(part, tuple):
                details.append((direction + part[0], part[1]))
            elif part.type == "DIRECTION":
                direction = f"{part.lower()}."
        return _More(tuple(details))

    old_statistics = statistics

    def device(self, *words: Token) -> _More:
        return _More(tuple((str(key), str(value)) for key, value in zip(words[::2], words[1::2], strict=True)))


def _link_layer(kind: str, address: Token | None) -> _More:
    ethernet = kind in ("ether", "Ethernet")
    other = (("link_address", str(address).lower()),) if address and not ethernet else ()
    return _More((("link", kind), *other), mac=str(address).lower() if address and ethernet else None)


@dataclass
class _OpenLink:
    """An interface whose lines are still being read; `label` is that of the stanza they stand in."""

    name: str
    label: str
    span: Span
    mac: str | None = None
    mtu: int | None = None
    flags: tuple[str, ...] = ()
    addresses: list[Address] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)

    def take(self, meaning: _Address | _More, span: Span) -> None:
        if isinstance(meaning, _Address):
            label = self.label if meaning.address.version == 4 else None
            self.addresses.append(Address(meaning.address, span, meaning.scope, label, meaning.broadcast, meaning.peer))
            return
        self.mac = self.mac or meaning.mac
        self.mtu = self.mtu or meaning.mtu
        self.flags = self.flags or meaning.flags
        self.details.update(meaning.details)

    def record(self) -> Link:
        return Link(
            name=self.name,
            span=self.span,
            flags=self.flags,
            mtu=self.mtu,
            mac=self.mac,
            addresses=tuple(self.addresses),
            details=self.details,
        )


def read(source: Source) -> Document:
    """A link for each interface, spanning its first line; never raises."""
    links: dict[str, _OpenLink] = {}
    current: _OpenLink | None = None
    heading: _Heading | None = None
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        span = line_span(source, number)
        if isinstance(meaning, Unread):
            unread.append(meaning)
            continue
        if isinstance(meaning, _Heading):
            heading = meaning
            continue
        part = _below(heading, meaning) if isinstance(meaning, _Row) else meaning
        if isinstance(part, _Interface):
            current = links.setdefault(part.name, _OpenLink(part.name, part.label, span))
            current.label = part.label
        if part is None:
            unread.append(Unread(number, "not the columns of a heading above it"))
        elif current is None:
            unread.append(Unread(number, "no interface above it"))
        else:
            current.take(part.more if isinstance(part, _Interface) else part, span)
    records = tuple(link.record() for link in links.values())
    return Document(source, FORMAT.name, records, tuple(unread), _notes(records))


def _below(heading: _Heading | None, row: _Row) -> _Interface | None:
    """The interface of a row in the short form; None when it has not the columns of a heading above it."""
    metric = (("metric", row.counters[0]),) if heading and heading.has_metric and row.counters else ()
    counters = row.counters[len(metric) :]
    if heading is None or (counters and len(counters) != len(_SHORT_COUNTERS)):
        return None
    named = tuple(zip(_SHORT_COUNTERS, counters, strict=True)) if counters else ()
    flags = tuple(_FLAG_OF_LETTER[letter] for letter in row.letters if letter in _FLAG_OF_LETTER)
    return _Interface(row.name, row.label, _More((*metric, *named), mtu=row.mtu, flags=flags))


def _notes(links: Sequence[Link]) -> tuple[str, ...]:
    cut = [link.name for link in links if len(link.name) == _NAME_LENGTH and "flags" not in link.details]
    if not cut or any(len(link.name) > _NAME_LENGTH for link in links):
        return ()
    return (
        f"net-tools 1.60 prints {_NAME_LENGTH} characters of a name: {cut[0]} may be the beginning of a longer one",
    )


FORMAT = Format(
    name="ifconfig",
    title="interfaces and addresses (ifconfig)",
    commands=("ifconfig -a", "ifconfig", "ifconfig -s", "netstat -i"),
    read=read,
)
