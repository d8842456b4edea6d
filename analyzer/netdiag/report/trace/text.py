"""Traces for a terminal: what is in them, what was dropped and lost, and where the time went."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from netdiag.journeys.callgraph import FUNCTION_GRAPH, CallGraph, CallTree, Node
from netdiag.journeys.summary import Summary
from netdiag.report import journeys_text
from netdiag.report.show import lines_of
from netdiag.report.snippet import Look
from netdiag.report.tables import Table
from netdiag.report.trace import TraceView
from netdiag.report.units import counted, in_share, in_time
from netdiag.report.visible import shorten
from netdiag.traces import TraceTable

_MOST_EVENTS = 20
_MOST_TASKS = 8
_MOST_LOSSES = 10
_MOST_PATHS = 10
_MOST_NODES = 60
_MOST_DEAD_ENDS = 10
_BETWEEN = " > "
#: A call with less than this part of the time is not worth a line.
_LEAST_SHARE = 0.002


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    """Each trace by itself."""
    del kind
    for number, view in enumerate(found):
        packets = [[*journeys_text.lines(view.journeys, look)]] if view.journeys else []
        blocks = [[*_head(view, look)], *_tables(view, look), *packets, *(_graph(graph, look) for graph in view.graphs)]
        text = "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)
        yield ("\n" if number else "") + text


def _head(view: TraceView, look: Look) -> Iterator[str]:
    table, summary = view.table, view.summary
    yield look.paint("strong", look.text(table.source.path)) + f" ({table.format})"
    if table.source.command:
        yield look.text(f"$ {table.source.command}")
    yield f"{counted(table.lines, 'line')}, {_read(table)}"
    events, calls = sum(count.count for count in summary.events), summary.calls
    amounts = [counted(number, word) for number, word in ((events, "event"), (calls, "call")) if number]
    yield f"{', '.join(amounts) or 'no events'}{_span(summary)}"
    if summary.cpus:
        tasks = ", ".join(f"{look.text(each.task)} {each.rows:,}" for each in summary.tasks[:_MOST_TASKS])
        more = f" and {len(summary.tasks) - _MOST_TASKS} more" if len(summary.tasks) > _MOST_TASKS else ""
        yield f"{counted(len(summary.cpus), 'CPU')}; tasks with their lines: {tasks or 'not told'}{more}"
    if summary.losses and view.journeys is None:
        places = counted(len(summary.losses), "place")
        yield look.paint("warning", f"events are missing at {places}: what is not seen may have happened there")


def _read(table: TraceTable) -> str:
    unread = table.lines - table.read
    return f"{counted(unread, 'line')} not understood" if unread else "all read"


def _span(summary: Summary) -> str:
    if summary.first is None or summary.last is None:
        return ""
    if summary.first == summary.last:
        return f" at {summary.first / 1e9:.6f}"
    return f" in {in_time(summary.last - summary.first)}, from {summary.first / 1e9:.6f} to {summary.last / 1e9:.6f}"


def _tables(view: TraceView, look: Look) -> Iterator[list[str]]:
    summary = view.summary
    events = tuple((each.event, each.device, each.count) for each in summary.events)
    yield _table("Events", ("event", "device", "count"), events, look, _MOST_EVENTS)
    # journeys tell of them what they mean
    drops = tuple(
        (each.reason, each.location, each.device, each.count) for each in summary.drops if view.journeys is None
    )
    yield _table("Packets given up", ("reason", "location", "device", "count"), drops, look, _MOST_EVENTS)
    lost = tuple((loss.line, loss.cpu, loss.count) for loss in summary.losses)
    yield _table("Events missing", ("line", "cpu", "count"), lost, look, _MOST_LOSSES)


def _table(
    title: str, columns: tuple[str, ...], rows: tuple[tuple[str | int | None, ...], ...], look: Look, most: int
) -> list[str]:
    if not rows:
        return []
    more = (f"and {len(rows) - most} more: --format json has all",) if len(rows) > most else ()
    numeric = frozenset({"count", "line", "cpu"})
    whole = Table(title.lower(), title, columns, rows[:most], more, numeric)
    first, *rest = lines_of(whole, look)
    return [first.replace(f"({min(most, len(rows))})", f"({len(rows)})"), *rest]


def _graph(graph: CallGraph, look: Look) -> list[str]:
    tree = graph.tree
    cut = int(tree.cut.sum())
    what = "Calls" if graph.of == FUNCTION_GRAPH else f"Call stacks at {look.text(graph.of)}"
    amount = in_time(tree.whole) if tree.unit == "ns" else counted(int(tree.calls[tree.depth == 0].sum()), "sample")
    seen = f"; {counted(cut, 'call')} seen in part (CUT) count what was seen in them" if cut else ""
    return [
        look.paint("strong", f"{what}: {amount}{seen}"),
        *_tree(tree, look),
        "",
        *_hottest(tree, look),
        *_dead_ends(graph, look),
    ]


def _tree(tree: CallTree, look: Look) -> Iterator[str]:
    """The calls within each other, so far as they matter."""
    least = max(1, int(tree.whole * _LEAST_SHARE))
    kept = [index for index in tree.largest(_MOST_NODES) if tree.total[index] >= least or tree.depth[index] == 0]
    measures = _used(tree, kept, look)
    yield look.paint("frame", " ".join(f"{heading:>{width}}" for heading, width, _ in measures) + "  CALL")
    for index in kept:
        node = tree.node(index)
        amounts = " ".join(f"{tell(node, tree):>{width}}" for _, width, tell in measures)
        line = f"{amounts}  {'  ' * min(node.depth, 20)}{look.text(node.name)}"
        yield shorten(line, look.columns, look.ellipsis)
    if len(kept) < len(tree):
        yield f"and {len(tree) - len(kept)} more places of calls: --format json has all"


def _used(tree: CallTree, kept: Sequence[int], look: Look) -> "list[_Measure]":
    """The columns in which something stands, and for a narrow page the first ones of them."""
    measures = _TIMES if tree.unit == "ns" else _SAMPLES
    nodes = [tree.node(index) for index in kept]
    used = [measure for measure in measures if any(measure[2](node, tree) for node in nodes)]
    while len(used) > 1 and sum(width + 1 for _, width, _ in used) > look.columns * 0.6:
        used.pop()
    return used


def _per_call(node: Node, time: int | None) -> str:
    """Of a single call the total tells it."""
    return in_time(time) if time is not None and node.calls > 1 else ""


_Measure: TypeAlias = "tuple[str, int, Callable[[Node, CallTree], str]]"

_TIMES: tuple[_Measure, ...] = (
    ("SHARE", 6, lambda node, tree: in_share(node.total, tree.whole)),
    ("TOTAL", 11, lambda node, _: in_time(node.total)),
    ("OWN", 11, lambda node, _: in_time(node.own) if node.own else ""),
    ("CALLS", 7, lambda node, _: f"{node.calls:,}" if node.calls else ""),
    ("CUT", 4, lambda node, _: f"{node.cut:,}" if node.cut else ""),
    ("MEDIAN", 11, lambda node, _: _per_call(node, node.median)),
    ("99%", 11, lambda node, _: _per_call(node, node.p99)),
)
_SAMPLES: tuple[_Measure, ...] = (
    ("SHARE", 6, lambda node, tree: in_share(node.total, tree.whole)),
    ("OWN", 6, lambda node, tree: in_share(node.own, tree.whole) if node.own else ""),
    ("SAMPLES", 8, lambda node, _: f"{node.calls:,}"),
)


def _hottest(tree: CallTree, look: Look) -> Iterator[str]:
    hottest = tree.hottest(_MOST_PATHS)
    if not hottest:
        return
    yield look.paint("strong", "Where the time went itself" if tree.unit == "ns" else "Where the samples were taken")
    for index in hottest:
        own = int(tree.own[index])
        amount = f"{in_time(own):>12}  " if tree.unit == "ns" else ""
        path = _BETWEEN.join(look.text(name) for name in tree.path(index))
        yield _ending(f"{in_share(own, tree.whole):>6}  {amount}", path, look)


def _dead_ends(graph: CallGraph, look: Look) -> Iterator[str]:
    certain = [end for end in graph.dead_ends if end.certain]
    if not certain:
        return
    yield ""
    yield look.paint("strong", "Where packets did not go on")
    for end in certain[:_MOST_DEAD_ENDS]:
        signs = ", ".join(f"{name} {count:,}" for name, count in end.signs.items()) or "nothing that tells why"
        yield shorten(
            look.text(f"{counted(end.ended, 'call')} of {end.calls:,} of {_BETWEEN.join(end.path)}: {signs}"),
            look.columns,
            look.ellipsis,
        )


def _ending(head: str, path: str, look: Look) -> str:
    """A path without its beginning where it is too long: its end tells more."""
    room = look.columns - len(head)
    return head + (path if len(path) <= room else look.ellipsis + path[len(path) - room + len(look.ellipsis) :])
