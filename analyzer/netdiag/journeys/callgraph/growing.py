"""A call tree while it grows: its nodes by their paths, and what was counted on them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netdiag.journeys.callgraph.tree import OTHERS, ROOT, CallTree
from netdiag.traces import NOT_TOLD, Columns, numbered

Ints = NDArray[np.int64]

#: A tree may have so many nodes; what comes from new paths then is counted on one node beside their siblings.
MOST_NODES = 500_000

_NAME_TO_COME = -2
_NO_CALL = -3
_ANY_LEVEL = -1
_SMALLEST_STORE = 1_000_000
#: Longer durations than this (ns, 18 minutes) are rare enough to be kept one by one.
_LONG = 1 << 40

_EMPTY = np.empty(0, dtype=np.int64)


class Names:
    """Numbers for names, in the order in which they came."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.all: list[str] = [*names]
        self._numbers = {name: number for number, name in enumerate(self.all)}
        self._of_categories: dict[str, tuple[Sequence[str], Ints]] = {}

    def number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.all))
        if number == len(self.all):
            self.all.append(name)
        return number

    def of(self, batch: Columns, column: str, *, empty: int | None = None) -> Ints:
        """The numbers of a column of categories; the empty name may have one that is none."""
        categories = batch.texts[column]
        known, numbers = self._of_categories.get(column, (None, _EMPTY))
        if known is not categories:  # the batches of a trace share them
            numbers = np.array(
                [self.number(name) if name or empty is None else empty for name in categories], dtype=np.int64
            )
            self._of_categories[column] = categories, numbers
        found: Ints = numbers[batch[column]]
        return found


class Growing:
    """Nodes are numbered as they come, so that each has a greater number than the one above it."""

    def __init__(self, unit: str, names: Names) -> None:
        self._unit = unit
        self._names = names
        self._others = names.number(OTHERS)
        self._parents = [ROOT]
        self._functions = [_NO_CALL]
        self._known: dict[int, tuple[Ints, Ints]] = {}  # by level: keys of a parent and a function, and their nodes
        self._others_of: dict[int, int] = {}
        self._counts = np.zeros((3, 1024), dtype=np.int64)  # calls, cut, total
        self._durations = _Durations()

    # --- nodes ---

    def children(self, parents: Ints, functions: Ints, level: int = _ANY_LEVEL) -> Ints:
        """The nodes for calls of functions within nodes; they are made when there are none yet.

        Nodes are looked for only among those of the same level, usually their depth: so few are looked through. Of two
        nodes for one path the tree makes one.
        """
        known, nodes = self._known.get(level, (_EMPTY, _EMPTY))
        codes, keys = numbered(np.concatenate([known, (parents.astype(np.int64) << 32) | functions]))
        new = keys[len(known) :]
        if len(new):
            made, others = np.split(new, [max(MOST_NODES - len(self._parents), 0)])
            nodes = np.concatenate([nodes, self._new(made >> 32, made & 0xFFFFFFFF)])
            self._known[level] = keys[: len(nodes)], nodes
            nodes = np.concatenate([nodes, self._others_in(others >> 32)])
        found: Ints = nodes[codes[len(known) :]]
        return found

    def _new(self, parents: Ints, functions: Ints) -> Ints:
        first = len(self._parents)
        self._parents += parents.tolist()
        self._functions += functions.tolist()
        return np.arange(first, len(self._parents), dtype=np.int64)

    def _others_in(self, parents: Ints) -> Ints:
        """For each node the one below it that stands for all functions for which there is no room."""
        new = np.array(
            [parent for parent in dict.fromkeys(parents.tolist()) if parent not in self._others_of], np.int64
        )
        made = self._new(new, np.full_like(new, self._others))
        self._others_of.update(zip(new.tolist(), made.tolist(), strict=True))
        return np.array([self._others_of[parent] for parent in parents.tolist()], np.int64)

    def unnamed(self, parents: Ints) -> Ints:
        """A node of its own for each call whose function may be told later; if it is not, there is no such node."""
        return self._new(parents, np.full_like(parents, _NAME_TO_COME))

    def name(self, nodes: Ints, functions: Ints) -> None:
        for node, function in zip(nodes.tolist(), functions.tolist(), strict=True):
            self._functions[node] = function

    def parents_of(self, nodes: Ints) -> Ints:
        return np.array([self._parents[node] for node in nodes.tolist()], dtype=np.int64)

    # --- what happened there ---

    def whole(self, nodes: Ints, totals: Ints) -> None:
        """Calls that were seen from beginning to end."""
        self._add(0, nodes, np.ones_like(totals))
        self._add(2, nodes, totals)
        self._durations.add(nodes, totals)

    def cut(self, nodes: Ints, totals: Ints) -> None:
        self._add(1, nodes, np.ones_like(totals))
        self._add(2, nodes, totals)

    def time(self, nodes: Ints, totals: Ints) -> None:
        """Time that was spent below nodes, without a call of their own."""
        self._add(2, nodes, totals)

    def samples(self, nodes: Ints, counts: Ints, weights: Ints) -> None:
        """Samples that were taken within nodes, and what they weigh together."""
        self._add(0, nodes, counts)
        self._add(2, nodes, weights)

    def _add(self, column: int, nodes: Ints, values: Ints) -> None:
        if self._counts.shape[1] < len(self._parents):
            more = np.zeros((3, len(self._parents)), dtype=np.int64)
            self._counts = np.concatenate([self._counts, more], axis=1)
        np.add.at(self._counts[column], nodes, values)

    # --- the tree ---

    def tree(self, *, within: str | None = None) -> CallTree:
        """The tree as it is now; `within` a function: only its calls and what they called, wherever it was called."""
        merged, parents, functions = self._merged(within)
        counts = np.zeros((3, len(parents)), dtype=np.int64)
        for row in range(3):
            np.add.at(counts[row], merged, self._counts[row, : len(merged)])
        calls, cut, total = counts
        calls[ROOT] = cut[ROOT] = total[ROOT] = 0
        inner = np.zeros(len(parents), dtype=np.int64)
        np.add.at(inner, parents[1:], total[1:])
        total[ROOT] = inner[ROOT]
        order, depth = _walk(parents, functions, total, self._names.all)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        least, median, p99 = self._durations.of(merged, len(parents))
        return CallTree(
            unit=self._unit,
            names=tuple(self._names.all),
            parent=place[parents[order]],
            function=functions[order],
            depth=depth,
            calls=calls[order],
            cut=cut[order],
            total=total[order],
            own=(total - inner)[order],
            least=least[order],
            median=median[order],
            p99=p99[order],
        )

    def _merged(self, within: str | None) -> tuple[Ints, Ints, Ints]:
        """For each node the one of the tree that it became; of these the parents and functions.

        A call whose name was never told is none: what it called goes to the node above. The root stands also for what
        is outside of a function that is asked for.
        """
        wanted = None if within is None else self._names.number(within)
        merged, parents, functions = [ROOT], [ROOT], [_NO_CALL]
        known: dict[int, int] = {}
        for parent, function in zip(self._parents[1:], self._functions[1:], strict=True):
            above = merged[parent]
            if function == _NAME_TO_COME or (wanted is not None and above == ROOT and function != wanted):
                merged.append(above)
                continue
            node = known.setdefault(above << 32 | function, len(parents))
            if node == len(parents):
                parents.append(above)
                functions.append(function)
            merged.append(node)
        return (
            np.array(merged, dtype=np.int64),
            np.array(parents, dtype=np.int64),
            np.array(functions, dtype=np.int64),
        )


def _walk(parents: Ints, functions: Ints, total: Ints, names: Sequence[str]) -> tuple[Ints, Ints]:
    """The nodes in the order of the tree, the longest of siblings first, and the depth of each; the root is at -1."""
    rank = np.empty(len(names), dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    above, sizes = parents.tolist(), [1] * len(parents)
    for node in range(len(above) - 1, ROOT, -1):
        sizes[above[node]] += sizes[node]
    places, depths = [0] * len(above), [-1] * len(above)
    free = [1] * len(above)  # the place behind what is in order of those below a node
    # each node is greater than the one above it, which so has its place before it
    for node in (np.lexsort((rank[functions[1:]], -total[1:], parents[1:])) + 1).tolist():
        parent = above[node]
        places[node] = free[parent]
        free[parent] += sizes[node]
        free[node] = places[node] + 1
        depths[node] = depths[parent] + 1
    order = np.argsort(np.array(places, dtype=np.int64))
    return order, np.array(depths, dtype=np.int64)[order]


class _Durations:
    """How often which duration was measured on which node: equal ones together, so that millions of calls fit."""

    def __init__(self) -> None:
        self._nodes: list[Ints] = []
        self._values: list[Ints] = []
        self._waiting = 0
        self._kept: tuple[Ints, Ints, Ints] = (_EMPTY, _EMPTY, _EMPTY)

    def add(self, nodes: Ints, values: Ints) -> None:
        self._nodes.append(nodes)
        self._values.append(values)
        self._waiting += len(nodes)
        if self._waiting > max(_SMALLEST_STORE, len(self._kept[0])):
            self._pack()

    def _pack(self) -> None:
        nodes, values = np.concatenate([_EMPTY, *self._nodes]), np.concatenate([_EMPTY, *self._values])
        new = _equal_together(nodes, values, np.ones_like(nodes))
        nodes, values, counts = map(np.concatenate, zip(self._kept, new, strict=True))
        self._kept = _equal_together(nodes, values, counts, nearly_sorted=True)
        self._nodes, self._values, self._waiting = [], [], 0

    def of(self, merged: Ints, size: int) -> tuple[Ints, Ints, Ints]:
        """The least, the median and the 99th percentile for each of `size` nodes, which those here became.

        They were merged in their order, so that most of their durations are in order, too. The root has none.
        """
        self._pack()
        nodes, values, counts = self._kept
        nodes = merged[nodes]
        kept = nodes != ROOT
        nodes, values, counts = _equal_together(nodes[kept], values[kept], counts[kept], nearly_sorted=True)
        found = [np.full(size, NOT_TOLD, dtype=np.int64) for _ in range(3)]
        if len(nodes):
            behind = np.cumsum(counts)
            starts = np.flatnonzero(np.append(True, nodes[1:] != nodes[:-1]))
            before = behind[starts] - counts[starts]
            sizes = np.append(before[1:], behind[-1]) - before
            for column, rank in zip(found, (np.ones_like(sizes), (sizes + 1) // 2, -(-sizes * 99 // 100)), strict=True):
                column[nodes[starts]] = values[np.searchsorted(behind, before + rank)]
        return found[0], found[1], found[2]


def _equal_together(nodes: Ints, values: Ints, counts: Ints, *, nearly_sorted: bool = False) -> tuple[Ints, Ints, Ints]:
    """The pairs sorted, each once with the sum of its counts. What comes in few sorted runs is sorted much faster."""
    if not len(nodes):
        return nodes, values, counts
    # sorting one column takes a tenth of the time of sorting by two
    if values.max() < _LONG and nodes.max() < 1 << 23:
        order = np.argsort((nodes << 40) | values, kind="stable" if nearly_sorted else "quicksort")
    else:
        order = np.lexsort((values, nodes))
    nodes, values, counts = nodes[order], values[order], counts[order]
    new = np.flatnonzero(np.append(True, (nodes[1:] != nodes[:-1]) | (values[1:] != values[:-1])))
    return nodes[new], values[new], np.add.reduceat(counts, new)
