"""The rules of a chain sorted by what they ask for, so that a packet need not be held against thousands of rules for
other containers.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from heapq import merge
from typing import Generic, TypeVar

from netdiag.model.packets import Flow

T = TypeVar("T")

#: A field of `Flow` and the value without which a rule does not take a packet.
Key = tuple[str, Hashable]


class Sieve(Generic[T]):
    """Rules in order, each with its key or None."""

    def __init__(self, rules: Iterable[tuple[T, Key | None]]) -> None:
        self._always: list[tuple[int, T]] = []
        self._keyed: dict[str, dict[Hashable, list[tuple[int, T]]]] = defaultdict(lambda: defaultdict(list))
        for place, (rule, key) in enumerate(rules):
            (self._keyed[key[0]][key[1]] if key else self._always).append((place, rule))

    def may_take(self, flow: Flow) -> Iterator[T]:
        """The rules that are not ruled out by their key, in order; what the flow does not tell rules out nothing."""
        parts = [self._always]
        for name, by_value in self._keyed.items():
            value = getattr(flow, name)
            parts += by_value.values() if value is None else [by_value.get(value, [])]
        return (rule for _, rule in merge(*parts, key=lambda each: each[0]))
