"""Call trees for speedscope (https://www.speedscope.app), in its own file format.

A file has frames once, and profiles that refer to them. Each tree is a `sampled` profile: stacks from the outermost
frame to the innermost, each with the time that was spent in it alone, which adds up to the whole.
"""

import json
from collections.abc import Iterator, Sequence

from netdiag import __version__
from netdiag.journeys.callgraph import CallGraph
from netdiag.plain import Json
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView
from netdiag.report.visible import visible

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    del look, kind
    numbers: dict[str, int] = {}
    profiles: list[Json] = [_profile(graph, numbers) for view in found for graph in view.graphs]
    frames: list[Json] = [{"name": visible(name)} for name in numbers]
    yield json.dumps(
        {
            "$schema": _SCHEMA,
            "exporter": f"netdiag@{__version__}",
            "name": ", ".join(visible(view.table.source.path) for view in found),
            "shared": {"frames": frames},
            "profiles": profiles,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _profile(graph: CallGraph, numbers: dict[str, int]) -> Json:
    tree = graph.tree
    paths: list[list[Json]] = [[]]
    samples: list[Json] = []
    weights: list[Json] = []
    for index, node in tree.nodes():
        number = numbers.setdefault(node.name, len(numbers))
        paths.append([*paths[int(tree.parent[index])], number])
        if node.own > 0:
            samples.append(paths[index])
            weights.append(node.own)
    return {
        "type": "sampled",
        "name": visible(f"{graph.source}: {graph.of}"),
        "unit": "nanoseconds" if tree.unit == "ns" else "none",
        "startValue": 0,
        "endValue": tree.whole,
        "samples": samples,
        "weights": weights,
    }
