"""Text of JSON outputs as typed values. What is empty or malformed is None: "not told"."""

from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from netdiag.formats.records import AddressPool, IpAddress, IpNetwork


def table(value: Any) -> dict[str, Any]:
    """A JSON object, empty for null."""
    return value if isinstance(value, dict) else {}


def address(text: Any) -> IpAddress | None:
    """An address; a prefix length behind it, as Docker before 1.10 printed gateways, is dropped."""
    try:
        return ip_address(str(text).partition("/")[0]) if text else None
    except ValueError:
        return None


def address_of_pair(text: Any) -> IpAddress | None:
    """The address of `192.0.2.1:2377` or `[2001:db8::1]:2377`."""
    return address(str(text).rpartition(":")[0].strip("[]")) if text else None


def address4(text: Any) -> IPv4Address | None:
    found = address(text)
    return found if isinstance(found, IPv4Address) else None


def address6(text: Any) -> IPv6Address | None:
    found = address(text)
    return found if isinstance(found, IPv6Address) else None


def interface4(text: Any, prefix_length: int | None = None) -> IPv4Interface | None:
    try:
        found = ip_interface(f"{text}/{prefix_length}" if prefix_length is not None else text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, IPv4Interface) else None


def interface6(text: Any, prefix_length: int | None = None) -> IPv6Interface | None:
    try:
        found = ip_interface(f"{text}/{prefix_length}" if prefix_length is not None else text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, IPv6Interface) else None


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


def address_pool(base: Any, size: Any) -> AddressPool | None:
    """A pool of the engine, None when its blocks would be larger than itself."""
    found = network(base)
    if found is None or not str(size).isdecimal() or not found.prefixlen <= int(size) <= found.max_prefixlen:
        return None
    return AddressPool(found, int(size))
