"""What the page and the PDF show of call trees: values for the template `_calls.html.jinja`."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from markupsafe import Markup

from netdiag.report.units import counted, in_share, in_time

if TYPE_CHECKING:
    from netdiag.journeys.callgraph import CallGraph
    from netdiag.results import Analysis

_MOST_DEAD_ENDS = 10
_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Room:
    """How much of call trees there is room for: trees, frames and rows of each drawing, and paths beside it."""

    trees: int
    frames: int
    rows: int
    paths: int


PAGE = Room(trees=8, frames=1500, rows=100, paths=12)
PAPER = Room(trees=2, frames=300, rows=34, paths=6)


@dataclass(frozen=True)
class PathView:
    """A place of the tree with much time of its own: amounts in words, and the names from the outermost call on."""

    share: str
    own: str
    calls: str
    median: str
    path: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CallsView:
    """One call tree."""

    graph: "CallGraph"
    anchor: str
    room: Room

    @property
    def timed(self) -> bool:
        return self.graph.tree.unit == "ns"

    @cached_property
    def title(self) -> str:
        what = "Calls that were traced" if self.timed else f"Call stacks at {self.graph.of}"
        return f"{what}: {self.graph.source}"

    @cached_property
    def amount(self) -> str:
        """How much there is of it."""
        tree = self.graph.tree
        if self.timed:
            return f"{in_time(tree.whole)} in {counted(int(tree.calls.sum()), 'call')}"
        return counted(int(tree.calls[tree.depth == 0].sum()), "sample")

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What one must know to read it right."""
        cut = int(self.graph.tree.cut.sum())
        lost = self.graph.lost
        told = (
            [f"Events are missing at {counted(lost, 'place')} of the trace: nothing is joined across them."]
            if lost
            else []
        )
        if cut:
            told.append(f"{counted(cut, 'call')} seen in part count only with what was seen in them.")
        return tuple(told)

    @cached_property
    def dead_ends(self) -> tuple[tuple[str, str, str], ...]:
        """Where packets did not go on: how often, after which calls, and the functions there that may tell why."""
        return tuple(
            (
                f"{end.ended:,} of {end.calls:,}",
                " › ".join(end.path),  # noqa: RUF001 - as on the rest of the page
                ", ".join(f"{name} ({count:,})" for name, count in end.signs.items()) or "nothing that tells why",
            )
            for end in self.graph.dead_ends
            if end.certain
        )[:_MOST_DEAD_ENDS]

    @cached_property
    def drawing(self) -> Markup:
        from netdiag.report.drawings import flame  # noqa: PLC0415 - loads numpy

        return flame.draw(self.graph.tree, self.title, most=self.room.frames, rows=self.room.rows)

    @cached_property
    def left_out(self) -> int:
        from netdiag.report.drawings import flame  # noqa: PLC0415 - loads numpy

        return flame.left_out(self.graph.tree, most=self.room.frames, rows=self.room.rows)

    @cached_property
    def hottest(self) -> tuple[PathView, ...]:
        tree = self.graph.tree
        nodes = [(tree.node(index), tree.path(index)) for index in tree.hottest(self.room.paths)]
        return tuple(
            PathView(
                share=in_share(node.own, tree.whole),
                own=_in_one(node.own) if self.timed else "",
                calls=f"{node.calls:,}",
                median=_in_one(node.median) if node.median is not None else "",
                path=path,
            )
            for node, path in nodes
        )


def views(analysis: "Analysis", room: Room) -> tuple[CallsView, ...]:
    """The call trees to show: those of function_graph first, then those with the most samples."""
    graphs = sorted(
        (graph for graph in analysis.call_graphs if graph.tree.whole > 0),
        key=lambda graph: (graph.tree.unit != "ns", -int(graph.tree.calls[graph.tree.depth == 0].sum())),
    )
    return tuple(
        CallsView(graph, f"calls-{number}", room) for number, graph in enumerate(graphs[: room.trees], start=1)
    )


def not_shown(analysis: "Analysis", room: Room) -> int:
    """How many call trees there are besides."""
    return max(0, sum(graph.tree.whole > 0 for graph in analysis.call_graphs) - room.trees)


def _in_one(time: int) -> str:
    """A time that no line is broken in."""
    return in_time(time).replace(" ", _NO_BREAK)
