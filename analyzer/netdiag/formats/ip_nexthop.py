"""`ip nexthop`: the next hop objects that routes name by `nhid`."""

from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import IpAddress, NextHopMember, NextHopObject
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a next hop that waits for its span."""

    def member(self, number: Token, weight: Token | None = None) -> NextHopMember:
        return NextHopMember(int(number), int(weight) if weight else 1)

    def group(self, *members: NextHopMember) -> list[NextHopMember]:
        return list(members)

    def via(self, *words: Token) -> IpAddress:
        return as_address(words[-1])

    def encap(self, key: Token, *words: Token) -> tuple[str, str]:
        return str(key), " ".join(words)

    def flag(self, word: Token) -> str:
        return str(word)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def line(self, number: Token, *words: Any) -> partial[NextHopObject]:
        pairs: dict[str, str] = dict(word for word in words if isinstance(word, tuple))
        return partial(
            NextHopObject,
            int(number),
            gateway=next((word for word in words if isinstance(word, IPv4Address | IPv6Address)), None),
            device=pairs.pop("dev", None),
            group=tuple(member for word in words if isinstance(word, list) for member in word),
            protocol=pairs.pop("proto", None),
            scope=pairs.pop("scope", None),
            flags=tuple(word for word in words if isinstance(word, str)),
            details=pairs,
        )


def read(source: Source) -> Document:
    """Every next hop object; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ip_nexthop",
    title="next hop objects (ip nexthop)",
    commands=("ip nexthop", "ip -d nexthop"),
    read=read,
)
