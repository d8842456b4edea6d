"""`ip address` and `ip link`: the interfaces of a namespace with their addresses, peers, masters and kinds."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, TypeAlias

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_interface, line_span, read_lines
from netdiag.formats.records import Address, IpInterface, Link
from netdiag.spans import Source, Span

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Interface:
    """The first words on an interface: all of it that `-br` and the addresses of `-o` tell."""

    index: int | None
    name: str
    peer: int | str | None
    flags: tuple[str, ...] | None
    mtu: int | None
    attributes: Pairs


@dataclass(frozen=True)
class _BriefLink:
    mac: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class _Address:
    address: IpInterface
    peer: IpInterface | None
    broadcast: IPv4Address | None
    label: str | None
    flags: tuple[str, ...]
    attributes: Pairs


@dataclass(frozen=True)
class _Details:
    """Attributes of the interface above; `kind` when the line tells it, `mac` when it is the link layer's."""

    pairs: Pairs
    kind: str | None = None
    mac: str | None = None


@dataclass(frozen=True)
class _Lifetime:
    pairs: Pairs


@dataclass(frozen=True)
class _Columns:
    prefix: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Numbers:
    texts: tuple[str, ...]


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above."""

    def line(self, *meanings: Any) -> tuple[Any, ...]:
        """What the line says, one after the other: with -o it is several lines in one."""
        return tuple(part for meaning in meanings for part in (meaning if isinstance(meaning, tuple) else (meaning,)))

    def interface(self, index: Token, name: Token, *rest: Any) -> _Interface:
        *peer, flags, attributes = rest
        mtu = next((int(value) for key, value in attributes if key == "mtu"), None)
        return _Interface(int(index), str(name), peer[0] if peer else None, _words(flags), mtu, attributes)

    def named_address(self, index: Token, name: Token, address: _Address) -> tuple[_Interface, _Address]:
        return _Interface(int(index), str(name), None, None, None, ()), address

    def brief(self, name: Token, *rest: Any) -> tuple[Any, ...]:
        *peer, state = (part for part in rest if not isinstance(part, _Address | _BriefLink | _Details))
        link = next((part for part in rest if isinstance(part, _BriefLink)), None)
        head = _Interface(
            index=None,
            name=str(name),
            peer=peer[0] if peer else None,
            flags=link.flags if link else None,
            mtu=None,
            attributes=(("state", str(state)),),
        )
        layer = [_link_address(link.mac)] if link and link.mac else []
        return (head, *layer, *(part for part in rest if isinstance(part, _Address)))

    def brief_link(self, *words: Token) -> _BriefLink:
        *address, flags = words
        return _BriefLink(str(address[0]).lower() if address else None, _words(flags))

    def brief_address(self, *words: Token) -> _Address:
        addresses = [as_interface(word) for word in words if word.type != "WORD"]
        metric = [("metric", str(word)) for word in words if word.type == "WORD"]
        return _Address(addresses[0], addresses[1] if len(addresses) > 1 else None, None, None, (), tuple(metric))

    def peer_index(self, index: Token) -> int:
        return int(index)

    def no_peer(self) -> None:
        return None

    def peer_name(self, name: Token) -> str:
        return str(name)

    def interface_attributes(self, *pairs: tuple[str, str]) -> Pairs:
        return pairs

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    attribute = pair
    of_peer = pair
    address_attribute = pair

    def flag(self, word: Token) -> tuple[str, str]:
        return ("flags", ",".join(_words(word))) if word.type == "FLAGS" else (str(word), "")

    xdp = flag
    last_word = flag

    def source_ports(self, key: Token, low: Token, high: Token) -> tuple[str, str]:
        return str(key), f"{low} {high}"

    def remotes(self, key: Token, _: Token, *macs: Token) -> tuple[str, str]:
        return str(key), " ".join(macs).lower()

    attributes = interface_attributes
    link_attributes = interface_attributes

    def link_layer(self, layer: Token, *rest: Any) -> _Details:
        address = str(rest[0]).lower() if isinstance(rest[0], Token) else None
        kind = str(layer).removeprefix("link/")
        found = [("link", kind), *(pair for pairs in rest if isinstance(pairs, tuple) for pair in pairs)]
        if address and kind != "ether":
            found.insert(1, ("link_address", address))
        return _Details(tuple(found), mac=address if kind == "ether" else None)

    def kind(self, kind: Token, own: Pairs, of_link: Pairs = ()) -> _Details:
        return _Details((*((f"{kind}.{key}", value) for key, value in own), *of_link), kind=str(kind))

    def qos_map(self, key: Token, value: Token, of_link: Pairs = ()) -> _Details:
        return _Details(((f"vlan.{key}", str(value)), *of_link))

    def program(self, hook: Token, text: Token) -> _Details:
        return _Details(((str(hook), str(text).rstrip()),))

    def virtual_function(self, number: Token, text: Token) -> _Details:
        return _Details(((f"vf {number}", str(text).rstrip()),))

    def alias(self, text: Token) -> _Details:
        return _Details((("alias", str(text).rstrip()),))

    def altname(self, name: Token) -> _Details:
        return _Details((("altname", str(name)),))

    def local(self, own: Token, peer: Token | None = None) -> tuple[IpInterface, IpInterface | None]:
        return as_interface(own), as_interface(peer) if peer else None

    def broadcast(self, address: Token) -> IPv4Address:
        return IPv4Address(str(address))

    def address_word(self, word: Token) -> Token:
        return word

    def address(self, local: tuple[IpInterface, IpInterface | None], *rest: Any) -> _Address:
        words = [item for item in rest if isinstance(item, Token)]
        # an IPv4 address ends with its label; an IPv6 address has none
        label = str(words.pop()) if words and words[-1].type == "WORD" and local[0].version == 4 else None
        return _Address(
            address=local[0],
            peer=local[1],
            broadcast=next((item for item in rest if isinstance(item, IPv4Address)), None),
            label=label,
            flags=tuple(map(str, words)),
            attributes=tuple(item for item in rest if isinstance(item, tuple)),
        )

    def lifetime(self, *words: Token) -> _Lifetime:
        return _Lifetime(tuple((str(key), str(value)) for key, value in zip(words[::2], words[1::2], strict=True)))

    def columns(self, counters: Token, *names: Token) -> _Columns:
        return _Columns(str(counters).rstrip(":").replace(" ", "_").lower(), tuple(map(str, names)))

    def numbers(self, *numbers: Token) -> _Numbers:
        return _Numbers(tuple(map(str, numbers)))


def _words(flags: Token) -> tuple[str, ...]:
    """`<BROADCAST,UP>` as its words."""
    return tuple(str(flags).strip("<>").split(",")) if len(flags) > 2 else ()


def _link_address(text: str) -> _Details:
    """The address of `ip -br link`, which does not tell of which kind it is: a MAC is taken by its shape."""
    is_mac = text.count(":") == 5
    return _Details((), mac=text) if is_mac else _Details((("link_address", text),))


@dataclass
class _OpenLink:
    """An interface whose lines are still being read."""

    head: _Interface
    span: Span
    kind: str | None = None
    mac: str | None = None
    addresses: list[Address] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    columns: _Columns | None = None

    def take(self, meaning: Any, span: Span) -> str | None:
        """Add what a line says of the interface, or give the reason why it cannot be said here."""
        columns, self.columns = self.columns, None
        match meaning:
            case _Details():
                self._add_details(meaning)
            case _Address():
                self.addresses.append(_as_record(meaning, span))
            case _Lifetime() if self.addresses:
                last = self.addresses[-1]
                self.addresses[-1] = replace(last, details={**last.details, **dict(meaning.pairs)})
            case _Lifetime():
                return "no address above it"
            case _Columns():
                self.columns = meaning
            case _Numbers() if columns and len(columns.names) == len(meaning.texts):
                names = (f"{columns.prefix}.{name}" for name in columns.names)
                # with -h large numbers are rounded: what they were is not known
                self.details.update(
                    (key, text) for key, text in zip(names, meaning.texts, strict=True) if text.isdigit()
                )
            case _:
                return "no headings for these numbers above it"
        return None

    def _add_details(self, meaning: _Details) -> None:
        self.kind = self.kind or (meaning.kind if meaning.kind and not meaning.kind.endswith("_slave") else None)
        self.mac = self.mac or meaning.mac
        for key, value in meaning.pairs:
            # an interface may have several alternative names, one on each line
            several = key == "altname" and key in self.details
            self.details[key] = f"{self.details[key]} {value}" if several else value

    def record(self) -> Link:
        details = {**dict(self.head.attributes), **self.details}
        details.pop("mtu", None)
        state, peer = details.pop("state", None), self.head.peer
        if state is None and isinstance(peer, str):
            # busybox prints no state, and the name of an unrelated interface here for a peer in another namespace
            details["peer_as_printed"], peer = peer, None
        return Link(
            name=self.head.name,
            span=self.span,
            index=self.head.index,
            peer_index=peer if isinstance(peer, int) else None,
            peer_name=peer if isinstance(peer, str) else None,
            peer_netns=details.pop("link-netns", None) or details.pop("link-netnsid", None),
            flags=self.head.flags,
            mtu=self.head.mtu,
            state=state,
            master=details.pop("master", None),
            kind=self.kind,
            mac=self.mac,
            addresses=tuple(self.addresses),
            details=details,
        )


def _as_record(meaning: _Address, span: Span) -> Address:
    details = dict(meaning.attributes)
    return Address(
        address=meaning.address,
        span=span,
        scope=details.pop("scope", None),
        label=meaning.label,
        broadcast=meaning.broadcast,
        peer=meaning.peer,
        flags=meaning.flags,
        details=details,
    )


def read(source: Source) -> Document:
    """A link for each interface, spanning its first line; never raises."""
    links: list[_OpenLink] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        reason = "" if isinstance(meaning, Unread) else _take(links, meaning, line_span(source, number))
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif reason:
            unread.append(Unread(number, reason))
    return Document(source, FORMAT.name, tuple(link.record() for link in links), tuple(unread))


def _take(links: list[_OpenLink], meanings: tuple[Any, ...], span: Span) -> str | None:
    """Add what a line says to the last interface or to a new one, or give the reason why it cannot be said here."""
    for meaning in meanings:
        if isinstance(meaning, _Interface):
            if not (links and _goes_on(links[-1].head, meaning)):
                links.append(_OpenLink(meaning, span))
        elif not links:
            return "no interface above it"
        elif reason := links[-1].take(meaning, span):
            return reason
    return None


def _goes_on(last: _Interface, head: _Interface) -> bool:
    """`ip -o address` names the interface anew for each of its addresses."""
    return head == last and head.index is not None and head.flags is None


FORMAT = Format(
    name="ip_addr",
    title="interfaces and addresses (ip address, ip link)",
    commands=(
        "ip -d addr",
        "ip -d link",
        "ip addr",
        "ip link",
        "ip -s link",
        "ip -o addr",
        "ip -br addr",
        "ip -br link",
    ),
    read=read,
)
