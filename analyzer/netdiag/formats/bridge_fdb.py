"""`bridge fdb`: the forwarding tables of bridges, and the remote ends of vxlan devices."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import FdbEntry
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an entry that waits for its span."""

    def master(self, bridge: Token | None = None) -> str | dict[str, Any]:
        return {"bridge": str(bridge)} if bridge else "master"

    def vlan(self, number: Token) -> dict[str, Any]:
        return {"vlan": int(number)}

    def flag(self, word: Token) -> str:
        return str(word)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return str(key), str(value)

    def line(self, mac: Token, device: Token, *rest: Any) -> partial[FdbEntry]:
        told: dict[str, Any] = {}
        for part in rest:
            told |= part if isinstance(part, dict) else {}
        return partial(
            FdbEntry,
            str(mac).lower(),
            str(device),
            flags=tuple(part for part in rest if isinstance(part, str)),
            details=dict(part for part in rest if isinstance(part, tuple)),
            **told,
        )


def read(source: Source) -> Document:
    """Every entry; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="bridge_fdb",
    title="bridge forwarding table (bridge fdb)",
    commands=("bridge fdb", "bridge -s fdb"),
    read=read,
)
