"""What several checks ask of the ranges that networks take: which are taken, and where there is room for another."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Generic, TypeVar

from netdiag.formats.records import AddressPool, IpNetwork, Link, Route
from netdiag.model import Host
from netdiag.spans import Span

T = TypeVar("T")

#: Where a new network is looked for, in this order.
_SPARE: dict[int, tuple[IpNetwork, ...]] = {
    4: (IPv4Network("10.192.0.0/11"), IPv4Network("192.168.192.0/18"), IPv4Network("172.16.0.0/12")),
    6: (IPv6Network("fd6e:6574:6469::/48"),),
}


@dataclass(frozen=True)
class Taken:
    """A range that is somebody's, who that is, and where the bundle says so."""

    range: IpNetwork
    who: str
    span: Span


def taken_by_networks(host: Host) -> list[Taken]:
    """The subnets of all networks of the engine."""
    return [
        Taken(subnet.subnet, f"network {network.name}", subnet.span)
        for network in host.networks
        for subnet in network.subnets
    ]


def main_routes(host: Host, version: int = 4) -> Iterator[Route]:
    """The routes of the host's table main that lead somewhere, but default routes, also one in two halves."""
    for route in host.root.routes if version == 4 else host.root.ipv6_routes:
        if route.table in (None, "main") and route.type == "unicast" and route.destination.prefixlen > 1:
            yield route


def is_on_link(route: Route) -> bool:
    """The destination is on the link itself, as that of an address of the host is."""
    return bool(route.next_hops) and all(hop.gateway is None for hop in route.next_hops)


def idle_bridges(host: Host, route: Route, subnet: IpNetwork) -> list[Link]:
    """The bridges without ports by which a route of the host leads to a subnet a second time: a connected route of the
    same prefix. That is `link-dual-connected-route`.
    """
    if route.protocol != "kernel" or route.type != "unicast" or subnet.version != 4 or route.destination != subnet:
        return []
    links = (host.root.link(hop.device) for hop in route.next_hops if hop.device)
    return [link for link in links if link and link.kind == "bridge" and not host.root.ports_of(link.name)]


def overlap(one: IpNetwork, other: IpNetwork) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


class Ranges(Generic[T]):
    """Things that have ranges, found by a range that overlaps theirs: a step for each length of prefix, and for each
    find.
    """

    def __init__(self, owned: Iterable[tuple[IpNetwork, T]]) -> None:
        self._by_range: dict[tuple[int, int, int], list[T]] = defaultdict(list)
        for network, owner in owned:
            self._by_range[network.version, int(network.network_address), network.prefixlen].append(owner)
        self._order = sorted(self._by_range)
        self._lengths = {version: sorted({key[2] for key in self._order if key[0] == version}) for version in (4, 6)}

    def overlapping(self, network: IpNetwork) -> Iterator[T]:
        """Those whose range lies around the network, equals it or lies in it."""
        version, bits = network.version, network.max_prefixlen
        first, last = int(network.network_address), int(network.broadcast_address)
        for length in self._lengths[version]:
            if length < network.prefixlen:
                start = first >> (bits - length) << (bits - length)
                yield from self._by_range.get((version, start, length), ())
        for place in range(bisect_left(self._order, (version, first, 0)), len(self._order)):
            key = self._order[place]
            if key[0] != version or key[1] > last:
                return
            if key[2] >= network.prefixlen:
                yield from self._by_range[key]


def free_blocks(pool: AddressPool, taken: Iterable[IpNetwork]) -> Iterator[IpNetwork]:
    """The blocks of a pool that overlap nothing that is taken, in order. A step for each of the taken ranges, however
    many blocks the pool has.
    """
    base, step = pool.base, 1 << (pool.base.max_prefixlen - pool.size)
    start, end = int(base.network_address), int(base.broadcast_address) + 1
    ranges = sorted((int(t.network_address), int(t.broadcast_address) + 1) for t in taken if t.version == base.version)
    for first, last in [*ranges, (end, end)]:
        while start + step <= min(first, end):
            yield ip_network((start, pool.size))
            start += step
        if last > start:
            start += -(-(last - start) // step) * step


def spare_block(host: Host, length: int, version: int = 4) -> IpNetwork | None:
    """A range of this prefix length that neither a network nor a route of the host has."""
    taken = [each.range for each in taken_by_networks(host)]
    taken += [route.destination for route in main_routes(host, version)]
    blocks = (block for base in _SPARE[version] for block in free_blocks(AddressPool(base, length), taken))
    return next(blocks, None)


def spare_like(host: Host, subnet: IpNetwork) -> IpNetwork | None:
    """A free range in the place of a subnet: of 256 addresses in IPv4 unless the subnet has fewer, of 64 bits in
    IPv6.
    """
    return spare_block(host, max(subnet.prefixlen, 24 if subnet.version == 4 else 64), subnet.version)
