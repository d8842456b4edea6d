"""`bridge mdb`: which ports of bridges want which multicast groups, and where multicast routers are."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, read_records
from netdiag.formats.records import IpAddress, MdbEntry, MulticastRouterPorts
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an entry, or as the ports of routers, that waits for its span."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def flag(self, word: Token) -> str:
        return str(word)

    def source(self, address: Token) -> IpAddress:
        return as_address(address)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def entry(self, device: Token, port: Token, group: Token, *rest: Any) -> partial[MdbEntry]:
        words = [part for part in rest if type(part) is str]
        timers = [float(part) for part in rest if isinstance(part, Token)]
        pairs = [part for part in rest if isinstance(part, tuple)]
        sources = [part for part in rest if not isinstance(part, (str, tuple))]
        return partial(
            MdbEntry,
            str(group).lower() if group.type == "MAC" else as_address(group),
            str(device),
            str(port),
            source=next(iter(sources), None),
            flags=tuple(words),
            timer=next(iter(timers), None),
            details=dict(pairs),
        )

    def router_ports(self, bridge: Token, *rest: Token) -> partial[MulticastRouterPorts]:
        told = {token.type: str(token) for token in rest if token.type != "IFNAME"}
        return partial(
            MulticastRouterPorts,
            str(bridge),
            tuple(str(token) for token in rest if token.type == "IFNAME"),
            flag=told.get("FLAG"),
            timer=float(told["TIMER"]) if "TIMER" in told else None,
        )


def read(source: Source) -> Document:
    """Every entry; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="bridge_mdb",
    title="multicast groups of bridges (bridge mdb)",
    commands=("bridge -d mdb", "bridge mdb", "bridge -d -s mdb"),
    read=read,
)
