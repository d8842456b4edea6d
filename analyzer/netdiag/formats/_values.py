"""Text of JSON outputs as typed values. What is empty or malformed is None: "not told"."""

from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from netdiag.formats.records import IpAddress, IpNetwork


def table(value: Any) -> dict[str, Any]:
    """A JSON object, empty for null."""
    return value if isinstance(value, dict) else {}


def address(text: Any) -> IpAddress | None:
    try:
        return ip_address(text) if text else None
    except ValueError:
        return None


def address4(text: Any) -> IPv4Address | None:
    """An IPv4 address; a prefix length behind it, as Docker before 1.10 printed gateways, is dropped."""
    try:
        return IPv4Address(text) if text else None
    except ValueError:
        found = interface4(text)
        return found.ip if found else None


def interface4(text: Any, prefix_length: int | None = None) -> IPv4Interface | None:
    try:
        found = ip_interface(f"{text}/{prefix_length}" if prefix_length is not None else text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, IPv4Interface) else None


def interface6(text: Any, prefix_length: int | None) -> IPv6Interface | None:
    found = address(text)
    if not isinstance(found, IPv6Address):
        return None
    return IPv6Interface((found, prefix_length if prefix_length is not None else 128))


def moment(text: Any) -> datetime | None:
    """A moment as Docker prints it: RFC 3339 with nanoseconds. The zero time, for "never", is None."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None
    return found if found and found.tzinfo and found.year > 1 else None


def network(text: Any) -> IpNetwork | None:
    try:
        return ip_network(text, strict=False) if text else None
    except ValueError:
        return None
