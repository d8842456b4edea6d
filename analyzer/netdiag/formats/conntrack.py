"""`conntrack -L` and /proc/net/nf_conntrack: the connections that the kernel tracks."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import as_address, port_number, read_records
from netdiag.formats.records import ConntrackEntry, ConntrackTuple
from netdiag.spans import Source

_PORTS = {"sport": "source_port", "dport": "destination_port"}


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an entry that waits for its span, or None for the line that counts them."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def summary(self, _text: Token) -> None:
        return None

    def protocol(self, name: Token, number: Token) -> str:
        return str(number) if name == "unknown" else str(name)

    def pair(self, key: Token, value: Token) -> tuple[str, str]:
        return key.removesuffix("="), str(value)

    attribute = pair

    def tuple(self, source: Token, destination: Token, *pairs: Any) -> ConntrackTuple:
        told: dict[str, str] = dict(pairs)
        fields: dict[str, Any] = {_PORTS[key]: port_number(told.pop(key)) for key in _PORTS if key in told}
        fields |= {key: int(told.pop(key)) for key in ("packets", "bytes") if key in told}
        return ConntrackTuple(as_address(source), as_address(destination), **fields, details=told)

    def entry(self, *parts: Any) -> partial[ConntrackEntry]:
        protocol = next(part for part in parts if isinstance(part, str) and not isinstance(part, Token))
        behind = parts[parts.index(protocol) + 1 :]
        tokens = [part for part in behind if isinstance(part, Token)]
        original, reply = (part for part in parts if isinstance(part, ConntrackTuple))
        told: dict[str, str] = dict(part for part in parts if isinstance(part, tuple))
        numbers: dict[str, Any] = {key: int(told.pop(key)) for key in ("mark", "zone") if key in told}
        stamps = [token.strip("[]") for token in tokens if token.type == "STAMP"]
        return partial(
            ConntrackEntry,
            protocol,
            original,
            reply,
            timeout=next((int(token) for token in tokens if token.type == "INT"), None),
            state=next((str(token) for token in tokens if token.type == "STATE"), None),
            flags=tuple(token.strip("[]") for token in tokens if token.type == "FLAG"),
            details={**told, **({"stamps": " ".join(stamps)} if stamps else {})},
            **numbers,
        )


def read(source: Source) -> Document:
    """Every tracked connection; never raises."""
    return read_records(source, FORMAT.name, _Meaning(visit_tokens=False))


FORMAT = Format(
    name="conntrack",
    title="tracked connections (conntrack -L)",
    commands=("conntrack -L", "conntrack -L -o extended", "cat /proc/net/nf_conntrack"),
    read=read,
)
