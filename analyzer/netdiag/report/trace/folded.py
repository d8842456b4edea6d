"""Folded stacks: for each path its names, separated by semicolons, and how much time or weight it has itself.

Call stacks of events are folded as inferno 0.12 (`inferno-collapse-perf`) folds them (`netdiag.traces.folded`). That
program counts the first event of a file only and reads none with fields; here each event has its stacks, below its name
when there are several. Call trees of function_graph, and what was called within one function, are written likewise.
"""

from collections.abc import Iterator, Sequence

from netdiag.journeys.callgraph import CallGraph, Only, function_graphs
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView
from netdiag.report.visible import visible
from netdiag.traces.folded import folded_by_event, tidy


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    """All stacks of all traces, those of each event in alphabetical order."""
    del look, kind
    parts = [part for view in found for part in _parts(view)]
    for event, lines in parts:
        above = f"{_in_line(event)};" if len(parts) > 1 else ""
        yield from sorted(f"{above}{line}\n" for line in lines)


def _parts(view: TraceView) -> Iterator[tuple[str, Iterator[str]]]:
    """What stacks are of, and their lines."""
    if view.function is not None:
        yield from ((graph.of, _of_tree(graph)) for graph in view.graphs)
        return
    for graph in function_graphs(view.table, view.only):
        yield graph.of, _of_tree(graph)
    for event, stacks in folded_by_event(view.table, None if view.only == Only() else view.only.of).items():
        yield event, (f"{visible(stack)} {weight}" for stack, weight in stacks.items())


def _of_tree(graph: CallGraph) -> Iterator[str]:
    tree = graph.tree
    sampled = tree.unit != "ns"
    labels = [_in_line(tidy(name) if sampled else name) for name in tree.names]
    paths: list[list[str]] = [[]]
    for index, node in tree.nodes():
        name = labels[int(tree.function[index])]
        if sampled and node.depth == 0:
            name = visible(node.name).replace(" ", "_")
        paths.append([*paths[int(tree.parent[index])], name])
        if node.own > 0:
            yield f"{';'.join(paths[index])} {node.own}"


def _in_line(name: str) -> str:
    """A name that keeps the line in order."""
    return visible(name).replace(";", ":")
