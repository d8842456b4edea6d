"""Call stacks that were written down when something happened, to call trees that count them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netdiag.journeys.callgraph.growing import Growing, Names
from netdiag.journeys.callgraph.only import Only
from netdiag.journeys.callgraph.tree import ROOT, UNKNOWN, CallTree
from netdiag.traces import NOT_TOLD, Columns, Stacks

Ints = NDArray[np.int64]

#: Frames of a stack that are told apart, from the outermost on. The kernel's own limit is 127 unless it was raised.
_MOST_FRAMES = 2048


class Samples:
    """Grows a call tree for each kind of event from batches of events (`TraceTable.event_batches`).

    Below the root stands the task, then the frames from the outermost to the innermost one. Each event with a stack is
    one sample, and weighs as much as its period where it has one: so far did the counter count since the sample before.
    A frame without a symbol has the name of its file, in brackets.
    """

    def __init__(self, only: Only | None = None) -> None:
        self._only = only or Only()
        self._names = Names()
        self._counts: dict[tuple[int, int, int], tuple[int, int]] = {}  # event, task, stack: samples and weight

    def add(self, batch: Columns) -> None:
        sampled = batch.take(np.flatnonzero((batch["stack"] >= 0) & self._only.of(batch)))
        if not len(sampled):
            return
        columns = [*(self._names.of(sampled, name) for name in ("system", "name", "task")), sampled["stack"]]
        order = np.lexsort(columns[::-1])
        keys = np.array(columns)[:, order]
        first = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
        period = sampled["period"][order]
        sizes = np.diff(np.append(first, len(order))).tolist()
        weights = np.add.reduceat(np.where(period == NOT_TOLD, 1, period), first).tolist()
        for (system, name, task, stack), size, weight in zip(keys[:, first].T.tolist(), sizes, weights, strict=True):
            event = ":".join(filter(None, (self._names.all[system], self._names.all[name])))
            key = (self._names.number(event), task, stack)
            before = self._counts.get(key, (0, 0))
            self._counts[key] = (before[0] + size, before[1] + weight)

    def finish(self, stacks: Stacks, *, within: str | None = None) -> dict[str, CallTree]:
        """The trees by the name of their event, in alphabetical order."""
        labels = np.array([self._names.number(label) for label in labels_of(stacks)], dtype=np.int64)
        by_event: dict[int, list[tuple[int, ...]]] = {}
        for (event, *place), amounts in self._counts.items():
            by_event.setdefault(event, []).append((*place, *amounts))
        made = {
            self._names.all[event]: self._tree(samples, stacks, labels, within) for event, samples in by_event.items()
        }
        return dict(sorted(made.items()))

    def _tree(self, samples: list[tuple[int, ...]], stacks: Stacks, labels: Ints, within: str | None) -> CallTree:
        task, stack, count, weight = np.array(samples, dtype=np.int64).T
        growing = Growing("samples" if (count == weight).all() else "weight", self._names)
        node = growing.children(np.full(len(task), ROOT, dtype=np.int64), task)
        growing.samples(node, count, weight)
        last = stacks.offsets[stack + 1] - 1
        size = np.minimum(stacks.offsets[stack + 1] - stacks.offsets[stack], _MOST_FRAMES)
        for depth in range(int(size.max(initial=0))):
            reaching = np.flatnonzero(size > depth)
            node[reaching] = growing.children(node[reaching], labels[stacks.frames[last[reaching] - depth]], depth)
            growing.samples(node[reaching], count[reaching], weight[reaching])
        return growing.tree(within=within)


def labels_of(stacks: Stacks) -> Sequence[str]:
    """What each frame is called: its symbol, or where there is none the last part of its module's path in brackets."""
    return [
        _without_symbol(module) if name == UNKNOWN or name.startswith("[0x") else name
        for name, module in zip(stacks.names, stacks.modules, strict=True)
    ]


def _without_symbol(module: str) -> str:
    name = module.rpartition("/")[2]
    return f"[{name}]" if name else UNKNOWN
