"""Facts as JSON values: what the golden files, `netdiag parse` and the JSON report show of a dataclass."""

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, TypeAlias

from netdiag.spans import Place, Source, Span

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

#: Metadata of a field of a dataclass that is no fact to show.
NOT_SHOWN: Mapping[str, bool] = {"shown": False}

_ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)


def plain(value: object, *, with_source: bool = True) -> Json:
    """`value` as JSON: dataclasses by field name, addresses as text, a span as its lines (and its file, `with_source`).

    Raises `TypeError` for a type that has no agreed form, so that none slips into a contract unseen.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, _ADDRESSES):
        return _address(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Span):
        lines: dict[str, Json] = {"line_start": value.line, "line_end": value.line_end}
        return {"source": value.source.path, **lines} if with_source else lines
    if isinstance(value, Place):
        return plain(value.span, with_source=with_source)
    if isinstance(value, Source):
        return value.path
    if is_dataclass(value):
        named = ((f.name, getattr(value, f.name)) for f in fields(value) if is_shown(f))
        return {"span" if name == "place" else name: plain(item, with_source=with_source) for name, item in named}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item, with_source=with_source) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return [plain(item, with_source=with_source) for item in sorted(value)]
    if isinstance(value, list | tuple):
        return [plain(item, with_source=with_source) for item in value]
    raise TypeError(f"no JSON form for {type(value).__name__}")


def is_shown(each: Field[Any]) -> bool:
    """Whether `plain` shows a field."""
    return bool(each.metadata.get("shown", True))


def _address(value: IPv4Address | IPv6Address | IPv4Interface | IPv6Interface | IPv4Network | IPv6Network) -> str:
    """An address as text, the same on every Python: from 3.13 on, `str` writes mapped ones as `::ffff:127.0.0.1`."""
    mapped = value.ipv4_mapped if isinstance(value, IPv6Address) else None
    _, slash, length = str(value).partition("/")
    return f"::ffff:{mapped}{slash}{length}" if mapped else str(value)
