"""`route -n` and `netstat -rn`: the routes of the table main as net-tools and busybox print them.

Both know less than `ip route`: no source address, one way of a multipath route, one flag (`!`) for all that is
rejected, and a blackhole looks like a route without an interface. Without `-n` names stand for addresses: a gateway's
is kept, a destination's costs the line, since its address is not told.
"""

from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_address, as_network, line_span, read_lines
from netdiag.formats.records import IpAddress, IpNetwork, NextHop, Route
from netdiag.spans import Source, Span

_NUMBERS = ("metric", "ref", "use")
_NUMBERS_OF_NETSTAT = ("mss", "window", "irtt")
# of Debian's /etc/networks; nothing listens at 0.0.0.0 here, it is every network
_NETWORKS = {"default": "0.0.0.0", "link-local": "169.254.0.0", "loopback": "127.0.0.0"}  # noqa: S104
# what `route -ee` prints of an interface's name at most ("%-6.6s" in net-tools' lib/inet_gr.c)
_NAME_LENGTH = 6
_NAMED = "a name stands for the address of the destination: `route -n` prints the address"


@dataclass(frozen=True)
class _Row:
    destination: IpNetwork
    gateway: IpAddress | str | None
    flags: tuple[str, ...]
    numbers: tuple[int | None, ...]
    device: str | None

    @property
    def may_be_cut(self) -> bool:
        return len(self.numbers) > len(_NUMBERS) and len(self.device or "") == _NAME_LENGTH

    def record(self, names: tuple[str, ...], span: Span) -> Route:
        told = names if len(names) == len(self.numbers) else _NUMBERS + _NUMBERS_OF_NETSTAT
        numbers = {name: number for name, number in zip(told, self.numbers, strict=False) if number is not None}
        metric = numbers.pop("metric", None)
        details = {name: str(number) for name, number in numbers.items()}
        next_hops: tuple[NextHop, ...] = ()
        if isinstance(self.gateway, str):
            details |= {"gateway": self.gateway, "device": self.device or ""}
        elif "!" not in self.flags and (self.gateway or self.device):
            next_hops = (NextHop(self.gateway, self.device),)
        return Route(
            destination=self.destination,
            next_hops=next_hops,
            span=span,
            type="reject" if "!" in self.flags else "unicast",
            # net-tools and busybox print the kernel's unsigned metric as a signed number
            metric=metric % 2**32 if metric is not None else None,
            flags=self.flags,
            details=details,
        )


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a row, or as the names of the numbers in the rows below a heading."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def title(self) -> None:
        return None

    def heading(self) -> tuple[str, ...]:
        return _NUMBERS

    heading6 = heading

    def netstat_heading(self) -> tuple[str, ...]:
        return _NUMBERS_OF_NETSTAT

    def long_heading(self) -> tuple[str, ...]:
        return _NUMBERS + _NUMBERS_OF_NETSTAT

    def destination(self, address: Token) -> str:
        return _NETWORKS.get(address, str(address))

    def gateway(self, address: Token) -> IpAddress | str | None:
        if address.type == "NAME":
            return str(address)
        return None if address.type == "NONE" or (found := as_address(address)).is_unspecified else found

    def number(self, text: Token) -> int | None:
        return None if text.type == "NONE" else int(text)

    def device(self, name: Token) -> str | None:
        return None if name.type == "NONE" else str(name)

    def row(self, destination: str, gateway: IpAddress | str | None, mask: Token, flags: Token, *rest: Any) -> _Row:
        first, second, third, device, *more = rest
        network = as_network(f"{destination}/{mask}")
        return _Row(network, gateway, tuple(flags), (first, second, third, *more), device)

    long_row = row

    def named(self, *_: Any) -> str:
        return _NAMED

    named6 = named

    def row6(self, destination: Token, gateway: IpAddress | str | None, flags: Token, *rest: Any) -> _Row:
        *numbers, device = rest
        network = as_network(destination.replace("[", "").replace("]", ""))
        return _Row(network, gateway, tuple(flags), tuple(numbers), device)


def read(source: Source) -> Document:
    """Every row as a route; never raises."""
    routes: list[Route] = []
    unread: list[Unread] = []
    names = _NUMBERS
    cut: list[str] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Row):
            routes.append(meaning.record(names, line_span(source, number)))
            if meaning.may_be_cut:
                cut.append(meaning.device or "")
        elif meaning:
            names = meaning
    return Document(source, FORMAT.name, tuple(routes), tuple(unread), _notes(cut))


def _notes(cut: list[str]) -> tuple[str, ...]:
    if not cut:
        return ()
    return (f"route -ee prints {_NAME_LENGTH} characters of a name: {cut[0]} may be the beginning of a longer one",)


FORMAT = Format(
    name="route_n",
    title="routes (route -n)",
    commands=("route -n", "netstat -rn", "route -6 -n", "route"),
    read=read,
)
