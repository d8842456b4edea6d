"""The rules of a chain sorted by what they ask for, so that a packet need not be held against thousands of rules for
other containers.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from heapq import merge
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeVar

from netdiag.model.packets import Flow

T = TypeVar("T")

#: A field of `Flow` and the value without which a rule does not take a packet; of an address the network around it.
Key = tuple[str, Hashable]


class Sieve(Generic[T]):
    """Rules in order, each with its key or None."""

    def __init__(self, rules: Iterable[tuple[T, Key | None]]) -> None:
        self._always: list[tuple[int, T]] = []
        self._keyed: dict[str, dict[Hashable, list[tuple[int, T]]]] = defaultdict(lambda: defaultdict(list))
        # by field, version of IP and the bits behind the prefix; of the rest the number
        self._within: dict[tuple[str, int, int], dict[int, list[tuple[int, T]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for place, (rule, key) in enumerate(rules):
            self._place_of(key).append((place, rule))

    def _place_of(self, key: Key | None) -> list[tuple[int, T]]:
        if key is None:
            return self._always
        name, value = key
        if not isinstance(value, IPv4Network | IPv6Network):
            return self._keyed[name][value]
        bits = value.max_prefixlen - value.prefixlen
        return self._within[name, value.version, bits][int(value.network_address) >> bits]

    def may_take(self, flow: Flow) -> Iterator[T]:
        """The rules that are not ruled out by their key, in order; what the flow does not tell rules out nothing."""
        parts = [self._always]
        for name, by_value in self._keyed.items():
            value = getattr(flow, name)
            parts += by_value.values() if value is None else [by_value.get(value, [])]
        for (name, version, bits), by_number in self._within.items():
            address = getattr(flow, name)
            if address is None:
                parts += by_number.values()
            elif address.version == version:
                parts.append(by_number.get(int(address) >> bits, []))
        return (rule for _, rule in merge(*parts, key=lambda each: each[0]))
