"""Call graphs: who called whom, how often and for how long, from function_graph and from the stacks of events.

The room loads pandas: whoever may not need it imports it inside a function.
"""

from collections.abc import Callable
from dataclasses import dataclass

from netdiag.journeys.callgraph.function_graph import Calls, FunctionGraph, running_at_first
from netdiag.journeys.callgraph.only import Only
from netdiag.journeys.callgraph.sampled import Samples, labels_of
from netdiag.journeys.callgraph.tree import INTERRUPT, OTHERS, ROOT, UNKNOWN, CallTree, CallTreeExcerpt, Node
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
    "Node",
    "Only",
    "call_graphs",
    "labels_of",
]

FUNCTION_GRAPH = "function_graph"


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
        nodes = tuple(tree.node(index) for index in kept)
        return CallTreeExcerpt(self.source, self.of, tree.unit, self.lost, tree.whole, len(tree) - len(kept), nodes)


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
    graph = FunctionGraph(only, running=running_at_first(table.call_batches()), receive=receive)
    for batch in table.call_batches():
        graph.add(batch)
    samples = Samples(only)
    for batch in table.event_batches():
        samples.add(batch)
    trees = {FUNCTION_GRAPH: graph.finish(within=within)} | samples.finish(table.stacks, within=within)
    lost = len(table.losses)
    return tuple(CallGraph(table.source.path, of, tree, lost) for of, tree in trees.items() if len(tree))
