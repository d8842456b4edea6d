"""`ip route`, `ip -6 route` and `ip route show table all`: the routes of a namespace."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_address, as_network, line_span, read_lines
from netdiag.formats.records import IpAddress, IpNetwork, NextHop, Route
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class _Via:
    """`foreign` when the gateway is of the other family than the route (`via inet6`)."""

    gateway: IpAddress
    foreign: bool


@dataclass(frozen=True)
class _Words:
    """What stands behind a destination, a `nexthop` or a `cache`."""

    via: _Via | None
    source: IpAddress | None
    numbers: dict[str, int]
    pairs: dict[str, str]
    flags: tuple[str, ...]

    @property
    def next_hop(self) -> NextHop | None:
        device = self.pairs.get("dev")
        if self.via is None and device is None:
            return None
        return NextHop(self.via.gateway if self.via else None, device, self.numbers.get("weight"), self.flags)

    @property
    def other_pairs(self) -> dict[str, str]:
        return {key: value for key, value in self.pairs.items() if key != "dev"}


@dataclass(frozen=True)
class _Head:
    """The first line of a route. A destination of None is the word `default`, which both families have."""

    type: str
    destination: IpNetwork | None
    words: _Words


@dataclass(frozen=True)
class _NextHop:
    words: _Words


@dataclass(frozen=True)
class _More:
    """A further line of details."""

    pairs: dict[str, str]


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above."""

    def line(self, *meanings: Any) -> tuple[Any, ...]:
        """What the line says, one after the other: with -o it is several lines in one."""
        return meanings

    def via(self, *words: Token) -> _Via:
        return _Via(as_address(words[-1]), foreign=len(words) > 1)

    def source(self, address: Token) -> IpAddress:
        return as_address(address)

    def number(self, key: Token, value: Token) -> tuple[str, int]:
        return str(key), int(value) % 2**32

    def flag(self, word: Token) -> str:
        return str(word)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def locked(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), f"lock {value}"

    def encap(self, key: Token, *words: Token) -> tuple[str, str]:
        return str(key), " ".join(words)

    def last_word(self, key: Token) -> tuple[str, str]:
        return str(key), ""

    def words(self, *words: Any) -> _Words:
        pairs = [word for word in words if isinstance(word, tuple)]
        return _Words(
            via=next((word for word in words if isinstance(word, _Via)), None),
            source=next((word for word in words if isinstance(word, IpAddress)), None),
            numbers={key: value for key, value in pairs if isinstance(value, int)},
            pairs={key: value for key, value in pairs if isinstance(value, str)},
            flags=tuple(word for word in words if isinstance(word, str)),
        )

    def destination(self, text: Token) -> tuple[IpNetwork | None]:
        return (None if text.type == "DEFAULT" else as_network(text),)

    def route(self, *parts: Any) -> _Head:
        *kind, (destination,), words = parts
        return _Head(str(kind[0]) if kind else "unicast", destination, words)

    def next_hop(self, words: _Words) -> _NextHop:
        return _NextHop(words)

    def cache(self, *parts: Any) -> _More:
        *flag, words = parts
        told = {"cache": str(flag[0]).strip("<>")} if flag else {}
        return _More({**told, **words.pairs, **{key: str(value) for key, value in words.numbers.items()}})

    def statistics(self) -> _More:
        return _More({})

    def member_packets(self, member: Token, packets: Token) -> _More:
        return _More({f"stats.{member}": str(packets)})

    def next_hop_object(self, text: Token) -> _More:
        return _More({"nh_info": str(text).rstrip()})


@dataclass
class _OpenRoute:
    """A route whose lines are still being read."""

    head: _Head
    first: int
    last: int
    next_hops: list[NextHop] = field(default_factory=list)
    foreign: bool = False
    details: dict[str, str] = field(default_factory=dict)

    def take(self, meaning: _NextHop | _More, number: int) -> None:
        self.last = number
        if isinstance(meaning, _More):
            self.details.update(meaning.pairs)
        elif hop := self._next_hop(meaning.words):
            self.next_hops.append(replace(hop, details=meaning.words.other_pairs))

    def _next_hop(self, words: _Words) -> NextHop | None:
        self.foreign = self.foreign or bool(words.via and words.via.foreign)
        return words.next_hop

    def record(self, source: Source, table: str | None) -> Route:
        """The route; `table` is the one to name when its line does not."""
        words = self.head.words
        if hop := self._next_hop(words):
            self.next_hops.append(hop)
        details = {**words.other_pairs, **self.details}
        return Route(
            destination=self.head.destination or self._default(source),
            next_hops=tuple(self.next_hops),
            span=self._span(source),
            type=self.head.type,
            table=details.pop("table", table),
            protocol=details.pop("proto", None),
            scope=details.pop("scope", None),
            source=words.source,
            metric=words.numbers.get("metric"),
            flags=() if self.next_hops else words.flags,
            details=details,
        )

    def _span(self, source: Source) -> Span:
        first, last = line_span(source, self.first), line_span(source, self.last)
        return Span(source, first.line, first.column, last.line, last.column_end)

    def _default(self, source: Source) -> IpNetwork:
        """The family of a `default`: that of its addresses, else what only IPv6 routes print or a person typed."""
        gateway = next((hop.gateway for hop in self.next_hops if hop.gateway), None)
        if gateway:
            six = (gateway.version == 6) is not self.foreign
        elif self.head.words.source:
            six = self.head.words.source.version == 6
        else:
            pairs = self.head.words.pairs
            six = "pref" in pairs or ":" in pairs.get("from", "") or " -6 " in source.command
        return IPv6Network("::/0") if six else IPv4Network("0.0.0.0/0")


def read(source: Source) -> Document:
    """A route for each destination, spanning its `nexthop` lines too; never raises."""
    routes: list[_OpenRoute] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif not routes and not isinstance(meaning[0], _Head):
            unread.append(Unread(number, "no route above it"))
        else:
            _take(routes, meaning, number)
    table = "main" if _shows_all_tables(source, routes) else None
    return Document(source, FORMAT.name, tuple(route.record(source, table) for route in routes), tuple(unread))


def _take(routes: list[_OpenRoute], meanings: tuple[Any, ...], number: int) -> None:
    for meaning in meanings:
        if isinstance(meaning, _Head):
            routes.append(_OpenRoute(meaning, number, number))
        else:
            routes[-1].take(meaning, number)


def _shows_all_tables(source: Source, routes: list[_OpenRoute]) -> bool:
    """Only a listing of all tables names tables, and in it the table main goes without saying."""
    return "table all" in source.command or any("table" in route.head.words.pairs for route in routes)


FORMAT = Format(
    name="ip_route",
    title="routes (ip route)",
    commands=("ip route show table all", "ip route", "ip -6 route"),
    read=read,
)
