"""One tree of calls, merged over everything that ran: how often, how long, and what of that was spent where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdiag.traces import NOT_TOLD

Ints = NDArray[np.int64]

ROOT = 0

#: Names of nodes that stand for no function.
INTERRUPT = "[interrupt]"
UNKNOWN = "[unknown]"
OTHERS = "[others]"


@dataclass(frozen=True)
class Node:
    """One function at one place of the tree, with all its calls there.

    Times are in ns. `calls` were seen from their beginning to their end; of the
    `cut` ones the trace lacks one of the two, and their time is that of the calls seen within them. `total` is the time
    of all of them, `own` what is left of it without the calls within. `least`, `median` and `p99` are durations of
    calls that happened (nearest rank), None when there is no whole one.

    In a tree of samples `calls` are the samples taken within, `total` is what they weigh, and `own` what those weigh
    that were taken in the function itself.
    """

    name: str
    depth: int
    calls: int
    cut: int
    total: int
    own: int
    least: int | None
    median: int | None
    p99: int | None


@dataclass(frozen=True, eq=False)
class CallTree:
    """The tree as columns. Node 0 is the whole; then each node is followed by those below it, the longest first.

    `parent` is a node's index, `function` a number of `names`; the others are those of `Node`.
    """

    unit: str  # of total and own: "ns", "samples" (each weighs one) or "weight" (the periods of a counter)
    names: Sequence[str]
    parent: Ints
    function: Ints
    depth: Ints
    calls: Ints
    cut: Ints
    total: Ints
    own: Ints
    least: Ints = field(repr=False)
    median: Ints = field(repr=False)
    p99: Ints = field(repr=False)

    def __len__(self) -> int:
        """How many nodes there are, without the root."""
        return len(self.parent) - 1

    @property
    def whole(self) -> int:
        """The time of everything in it."""
        return int(self.total[ROOT])

    def node(self, index: int) -> Node:
        return Node(
            name=self.name(index),
            depth=int(self.depth[index]),
            calls=int(self.calls[index]),
            cut=int(self.cut[index]),
            total=int(self.total[index]),
            own=int(self.own[index]),
            least=_told(self.least[index]),
            median=_told(self.median[index]),
            p99=_told(self.p99[index]),
        )

    def name(self, index: int) -> str:
        return "" if index == ROOT else self.names[int(self.function[index])]

    def path(self, index: int) -> tuple[str, ...]:
        """The names from the outermost call to this node."""
        names = []
        while index != ROOT:
            names.append(self.name(index))
            index = int(self.parent[index])
        return tuple(reversed(names))

    def nodes(self) -> Iterator[tuple[int, Node]]:
        """Every node but the root, in order."""
        return ((index, self.node(index)) for index in range(1, len(self.parent)))

    def hottest(self, most: int) -> list[int]:
        """The nodes with the most time of their own, the most first."""
        order = np.argsort(-self.own, kind="stable")
        return [int(index) for index in order[:most] if self.own[index] > 0 and index != ROOT]

    def largest(self, most: int) -> list[int]:
        """The nodes with the most time, in the order of the tree: with each of them what is above it."""
        order = sorted(range(1, len(self.parent)), key=lambda index: (-int(self.total[index]), index))
        return sorted(order[:most])


def _told(value: Any) -> int | None:
    return None if value == NOT_TOLD else int(value)
