"""The address that a host takes as its own for a packet that it sends.

IPv4 as `inet_select_addr` does (net/ipv4/devinet.c), IPv6 by the rules of RFC 6724 as `ipv6_dev_get_saddr` applies them
(net/ipv6/addrconf.c), without those for mobile and temporary addresses.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from netdiag.formats.records import Address, IpAddress, Link

#: rtnetlink(7): the smaller the number, the farther an address is valid.
_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

#: The kernel's own table of labels (net/ipv6/addrlabel.c), the longest prefix first.
_LABELS = tuple(
    (IPv6Network(prefix), label)
    for prefix, label in (
        ("::1/128", 0),
        ("::/96", 3),
        ("::ffff:0:0/96", 4),
        ("2001::/32", 6),
        ("2001:10::/28", 7),
        ("2002::/16", 2),
        ("3ffe::/16", 12),
        ("fec0::/10", 11),
        ("fc00::/7", 5),
        ("::/0", 1),
    )
)
_LINK_LOCAL = 2
_NOT_USABLE = {"tentative", "dadfailed"}


def scope_number(scope: str | None) -> int:
    """The number of a scope as printed; what is not printed is global."""
    text = scope or "global"
    return _SCOPES.get(text, int(text) if text.isdecimal() else 0)


def ipv4_source(
    links: Mapping[str, Link], device: str | None, towards: IPv4Address | None, scope: str
) -> IpAddress | None:
    """The first address of the device that reaches as far as the route's scope, one in the net of the gateway
    `towards` before others; else the first such address of any device.
    """
    limit = scope_number(scope)
    link = links.get(device or "")
    candidates = [each for each in _primary(link) if min(scope_number(each.scope), _SCOPES["host"]) <= limit]
    for address in candidates:
        if towards is None or towards in address.address.network:
            return address.address.ip
    if candidates:
        return candidates[0].address.ip
    for other in links.values():
        for address in _primary(other):
            if address.scope != "link" and scope_number(address.scope) <= limit:
                return address.address.ip
    return None


def _primary(link: Link | None) -> Iterator[Address]:
    for address in link.addresses if link else ():
        if address.address.version == 4 and "secondary" not in address.flags:
            yield address


class Ipv6Sources:
    """The IPv6 addresses that a host may take as its own. Those that reach beyond their link are sorted out once: it
    has a link-local one for each of its containers.
    """

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links
        self._far = [(name, address) for name in links for address in self._of(name) if _reaches_far(address)]

    def best(self, device: str | None, destination: IPv6Address) -> IpAddress | None:
        """The best address for a destination that is reached by a device, by the rules 1, 2, 3, 5, 6 and 8 of RFC
        6724.
        """
        own = [(device, address) for address in self._of(device)]
        if destination.is_multicast or _ipv6_scope(destination) <= _LINK_LOCAL:
            return _best(own, device, destination)
        others = [(name, address) for name, address in self._far if name != device]
        found = _best([*own, *others], device, destination)
        if found is None:
            found = _best([(name, a) for name in self._links for a in self._of(name)], device, destination)
        return found

    def _of(self, name: str | None) -> Iterator[Address]:
        link = self._links.get(name or "")
        for address in link.addresses if link and link.up is not False else ():
            if address.address.version == 6 and not _NOT_USABLE & set(address.flags):
                yield address


def _reaches_far(address: Address) -> bool:
    return isinstance(address.address.ip, IPv6Address) and _ipv6_scope(address.address.ip) > _LINK_LOCAL


def _best(
    candidates: Sequence[tuple[str | None, Address]], device: str | None, destination: IPv6Address
) -> IpAddress | None:
    best: tuple[tuple[int, ...], IPv6Address] | None = None
    for name, address in candidates:
        found = address.address.ip
        if isinstance(found, IPv6Address):
            rank = _rank(address, found, destination, on_device=name == device)
            if best is None or rank > best[0]:
                best = rank, found
    return best[1] if best else None


def _rank(address: Address, found: IPv6Address, destination: IPv6Address, *, on_device: bool) -> tuple[int, ...]:
    wanted, scope = _ipv6_scope(destination), _ipv6_scope(found)
    return (
        found == destination,
        # a scope that reaches the destination before one that does not; of several the nearest
        *((1, -scope) if scope >= wanted else (0, scope)),
        "deprecated" not in address.flags,
        on_device,
        _label(found) == _label(destination),
        _common_bits(found, destination, address.address.network.prefixlen),
    )


@lru_cache(maxsize=4096)
def _ipv6_scope(address: IPv6Address) -> int:
    """RFC 4007, as the fourth hexadecimal digit of multicast addresses counts them."""
    if address.is_multicast:
        return int(address) >> 112 & 0xF
    if address.is_loopback or address.is_link_local:
        return _LINK_LOCAL
    return 5 if address.is_site_local else 14


@lru_cache(maxsize=4096)
def _label(address: IPv6Address) -> int:
    return next(label for prefix, label in _LABELS if address in prefix)


def _common_bits(one: IPv6Address, other: IPv6Address, at_most: int) -> int:
    return min(128 - (int(one) ^ int(other)).bit_length(), at_most)
