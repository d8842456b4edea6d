"""Folded stacks: for each path its names, separated by semicolons, and how much time or weight it has itself.

Stacks are written as inferno 0.12 (`inferno-collapse-perf`) writes them, which a comparison with the program showed:
the task first, with underscores for blanks, functions without the types of their arguments, and a file's name in
brackets where there is no symbol. That program counts the first event of a file only and reads none with fields; here
each event has its stacks, below its name when there are several.
"""

from collections.abc import Iterator, Sequence

from netdiag.journeys.callgraph import CallGraph
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView
from netdiag.report.visible import visible

_NAMESPACE = "(anonymous namespace)"


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    """All trees of all traces, each in alphabetical order."""
    del look, kind
    graphs = [graph for view in found for graph in view.graphs]
    several = len(graphs) > 1
    return (line for graph in graphs for line in sorted(_lines(graph, several=several)))


def _lines(graph: CallGraph, *, several: bool) -> Iterator[str]:
    tree = graph.tree
    sampled = tree.unit != "ns"
    above = [visible(graph.of).replace(";", ":")] if several else []
    labels = [tidy(name) if sampled else _in_line(name) for name in tree.names]
    paths: list[list[str]] = [above]
    for index, node in tree.nodes():
        name = labels[int(tree.function[index])]
        if sampled and node.depth == 0:
            name = visible(node.name).replace(" ", "_")
        paths.append([*paths[int(tree.parent[index])], name])
        if node.own > 0:
            yield f"{';'.join(paths[index])} {node.own}\n"


def tidy(name: str) -> str:
    """A function without its arguments: `ns::f<int>` of `ns::f<int>(char const*)`.

    Brackets that belong to a name stay: `net/http.(*Client).Do` (Go), `(anonymous namespace)`, `{lambda(int)#1}`.
    """
    name = _in_line(name)
    depth = 0
    for place, character in enumerate(name):
        if character in "<{":
            depth += 1
        elif character in ">}":
            depth -= 1
        elif character == "(" and depth <= 0 and not _belongs_to_name(name, place):
            return name[:place]
    return name


def _belongs_to_name(name: str, place: int) -> bool:
    return not place or name[place - 1] == "." or name.startswith(_NAMESPACE, place)


def _in_line(name: str) -> str:
    """A name that keeps the line in order."""
    return visible(name).replace(";", ":")
