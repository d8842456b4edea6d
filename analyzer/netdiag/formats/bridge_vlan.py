"""`bridge vlan`: which VLANs the ports of the bridges of a namespace carry."""

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import BridgeVlan
from netdiag.spans import Source


@dataclass(frozen=True)
class _Heading:
    pass


@dataclass(frozen=True)
class _Vlan:
    """A VLAN of the port that is named, or else of the one above."""

    device: str | None
    first: int
    last: int
    flags: tuple[str, ...]


@dataclass(frozen=True)
class _NoVlan:
    """A port that carries no VLAN."""

    device: str


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above, or as more words on the VLAN above."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self) -> _Heading:
        return _Heading()

    def bare_port(self, device: Token) -> _NoVlan:
        return _NoVlan(str(device))

    def flag(self, word: Token) -> str:
        return str(word)

    def range(self, first: Token, last: Token | None = None) -> tuple[int, int]:
        return int(first), int(last or first)

    def port(self, device: Token, vlan: tuple[int, int], *flags: str) -> _Vlan:
        return _Vlan(str(device), *vlan, flags)

    def vlan(self, vlan: tuple[int, int], *flags: str) -> _Vlan:
        return _Vlan(None, *vlan, flags)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def details(self, *pairs: tuple[str, str]) -> dict[str, str]:
        return dict(pairs)

    def counters(self, direction: Token, octets: Token, packets: Token) -> dict[str, str]:
        prefix = str(direction).rstrip(":").lower()
        return {f"{prefix}.bytes": str(octets), f"{prefix}.packets": str(packets)}


def read(source: Source) -> Document:
    """Every VLAN of every port, below a heading; never raises."""
    vlans: list[BridgeVlan] = []
    unread: list[Unread] = []
    below_heading = False
    device: str | None = None
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Heading):
            below_heading = True
        elif not below_heading:
            unread.append(Unread(number, "no heading above it"))
        elif isinstance(meaning, _NoVlan):
            device = meaning.device
        elif isinstance(meaning, _Vlan) and (device := meaning.device or device):
            span = line_span(source, number)
            vlans.append(BridgeVlan(device, meaning.first, meaning.last, span, meaning.flags))
        elif isinstance(meaning, dict) and vlans:
            vlans[-1] = replace(vlans[-1], details={**vlans[-1].details, **meaning})
        else:
            unread.append(Unread(number, "no port above it"))
    return Document(source, FORMAT.name, tuple(vlans), tuple(unread))


FORMAT = Format(
    name="bridge_vlan",
    title="VLANs of bridge ports (bridge vlan)",
    commands=("bridge vlan", "bridge -d vlan", "bridge -s vlan"),
    read=read,
)
