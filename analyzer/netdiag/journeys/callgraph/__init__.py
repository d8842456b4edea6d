"""Call graphs: who called whom, how often and for how long, from function_graph and from the stacks of events.

The room loads numpy: whoever may not need it imports it inside a function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from netdiag import garbage
from netdiag.journeys.callgraph.dead_ends import DeadEnd, find_dead_ends
from netdiag.journeys.callgraph.function_graph import Calls, FunctionGraph, running_at_first
from netdiag.journeys.callgraph.only import Only
from netdiag.journeys.callgraph.sampled import Samples, labels_of
from netdiag.journeys.callgraph.tree import INTERRUPT, OTHERS, ROOT, UNKNOWN, CallTree, Node
from netdiag.traces import TraceTable

__all__ = [
    "FUNCTION_GRAPH",
    "INTERRUPT",
    "OTHERS",
    "ROOT",
    "UNKNOWN",
    "CallGraph",
    "CallTree",
    "CallTreeExcerpt",
    "Calls",
    "DeadEnd",
    "Node",
    "Only",
    "call_graphs",
    "function_graphs",
    "labels_of",
]

FUNCTION_GRAPH = "function_graph"


@dataclass(frozen=True)
class CallTreeExcerpt:
    """A call tree of a trace, as far as it is told: the nodes that took most, each followed by those below it.

    `of` is `function_graph`, or the event at which the stacks were taken. `unit` is that of the amounts: `ns`,
    `samples`, or `weight` (the periods of a counter). `losses` is how often events are missing in the trace, `left_out`
    how many nodes are not here. `dead_ends` are steps of packets after which they did not go on.
    """

    source: str
    of: str
    unit: str
    losses: int
    total: int
    left_out: int
    nodes: tuple[Node, ...]
    dead_ends: tuple[DeadEnd, ...]


@dataclass(frozen=True)
class CallGraph:
    """The call tree of a trace. `of` is FUNCTION_GRAPH, or the event at which the stacks were taken.

    `lost` is how often events are missing in the trace: nothing was joined across these places.
    """

    source: str
    of: str
    tree: CallTree
    lost: int = 0

    def excerpt(self, most: int | None = None) -> CallTreeExcerpt:
        """The tree, or the `most` nodes of it that took most."""
        tree = self.tree
        kept = tree.largest(len(tree) if most is None else most)
        return CallTreeExcerpt(
            source=self.source,
            of=self.of,
            unit=tree.unit,
            losses=self.lost,
            total=tree.whole,
            left_out=len(tree) - len(kept),
            nodes=tuple(tree.node(index) for index in kept),
            dead_ends=self.dead_ends,
        )

    @cached_property
    def dead_ends(self) -> tuple[DeadEnd, ...]:
        """Where the work on packets stopped. Stacks do not tell: they show one moment of a call."""
        return find_dead_ends(self.tree) if self.of == FUNCTION_GRAPH else ()


def call_graphs(
    table: TraceTable,
    only: Only | None = None,
    *,
    within: str | None = None,
    receive: Callable[[Calls], None] | None = None,
) -> tuple[CallGraph, ...]:
    """The call trees of a trace: that of function_graph first, then one for each event with stacks.

    `within` a function: only its calls, and what they called. `receive` gets the calls of function_graph that ended.
    """
    with garbage.collected_seldom():
        samples = Samples(only)
        for batch in table.event_batches():
            samples.add(batch)
        trees = samples.finish(table.stacks, within=within)
    return function_graphs(table, only, within=within, receive=receive) + _with_calls(table, trees)


def function_graphs(
    table: TraceTable,
    only: Only | None = None,
    *,
    within: str | None = None,
    receive: Callable[[Calls], None] | None = None,
) -> tuple[CallGraph, ...]:
    """The call tree of function_graph, if the trace has calls; otherwise as `call_graphs`."""
    with garbage.collected_seldom():
        graph = FunctionGraph(only, running=running_at_first(table.call_batches()), receive=receive)
        for batch in table.call_batches():
            graph.add(batch)
        return _with_calls(table, {FUNCTION_GRAPH: graph.finish(within=within)})


def _with_calls(table: TraceTable, trees: Mapping[str, CallTree]) -> tuple[CallGraph, ...]:
    lost = len(table.losses)
    return tuple(CallGraph(table.source.path, of, tree, lost) for of, tree in trees.items() if len(tree))
