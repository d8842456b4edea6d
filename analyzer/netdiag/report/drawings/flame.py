"""A call tree as a flame graph: each call is as wide as its time, below the call that made it.

It stands still in a PDF. On the page a script (`flame.js`) adds zoom, search and the keyboard, by the `data-`
attributes that are written here.
"""

from markupsafe import Markup, escape

from netdiag.journeys.callgraph import INTERRUPT, OTHERS, ROOT, UNKNOWN, CallTree, Node
from netdiag.report.drawings import _svg
from netdiag.report.units import counted, in_share, in_time

WIDTH = 1200.0
MOST_FRAMES = 1500
MOST_ROWS = 100

_ROW = 19.0
_SIZE = 11.0
_MARGIN = 5.0
#: A frame narrower than this (of 1200 units) cannot be seen.
_NARROWEST = 0.6
_SHORTEST_TEXT = 24.0

#: Fills for dark text, by a number that a name always has; the last is for what is no function.
PALETTE = ("#ffd8a8", "#ffe68f", "#f8cdc0", "#d7e8b4", "#ffc49a", "#cde5f0", "#f2d98c", "#e4d4f0", "#dfe4ea")
_INK = "#1b1f24"
_NO_FUNCTION = len(PALETTE) - 1


def draw(tree: CallTree, title: str, *, most: int = MOST_FRAMES, rows: int = MOST_ROWS) -> Markup:
    """The tree as one SVG element, with the `most` frames that took longest, in at most so many `rows`.

    Empty when nothing in the tree took any time.
    """
    if tree.whole <= 0:
        return Markup("")
    scale = WIDTH / tree.whole
    kept = _kept(tree, most, rows, scale)
    starts = _starts(tree, kept)
    frames = [_frame(tree, index, starts[index] * scale, scale) for index in kept]
    deepest = max((int(tree.depth[index]) for index in kept), default=0)
    height = (deepest + 1) * _ROW + 2
    group = _svg.element("g", frames, font_size=_svg.number(_SIZE), font_family=_svg.MONOSPACE, fill=_INK)
    return _svg.element(
        "svg",
        [_svg.element("title", escape(_svg.shown(title))), group],
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_svg.number(WIDTH)} {_svg.number(height)}",
        role="group",
        class_="flame",
        data_width=_svg.number(WIDTH),
    )


def left_out(tree: CallTree, *, most: int = MOST_FRAMES, rows: int = MOST_ROWS) -> int:
    """How many places of the tree that took time the drawing does not show."""
    timed = int((tree.total[1:] > 0).sum())
    return timed - len(_kept(tree, most, rows, WIDTH / tree.whole)) if tree.whole > 0 else 0


def colour_of(name: str) -> int:
    """The number of the fill for a name, always the same."""
    if name in (INTERRUPT, UNKNOWN, OTHERS):
        return _NO_FUNCTION
    number = 0
    for character in name.partition(".")[0]:  # copies that a compiler made (`f.isra.0`) look like `f`
        number = (number * 31 + ord(character)) % 1_000_003
    return number % _NO_FUNCTION


def _kept(tree: CallTree, most: int, rows: int, scale: float) -> list[int]:
    """The nodes to draw, in order. What is kept has no more time than what is above it, so that is kept as well."""
    return [
        index for index in tree.largest(most) if tree.total[index] * scale >= _NARROWEST and tree.depth[index] < rows
    ]


def _starts(tree: CallTree, kept: list[int]) -> dict[int, int]:
    """For each node where it begins, in the tree's unit. Its own time comes last."""
    starts = {ROOT: 0}
    free = {ROOT: 0}
    for index in kept:
        parent = int(tree.parent[index])
        starts[index] = free[index] = free[parent]
        free[parent] += int(tree.total[index])
    return starts


def _frame(tree: CallTree, index: int, x: float, scale: float) -> Markup:
    node = tree.node(index)
    width = node.total * scale
    fill = colour_of(node.name)
    y = node.depth * _ROW + 1
    box = _svg.element(
        "rect",
        x=_exact(x),
        y=_svg.number(y),
        width=_exact(width),
        height=_svg.number(_ROW - 1),
        rx="2",
        fill=PALETTE[fill],
        stroke="#ffffff",
        stroke_width="0.6",
        class_=f"f{fill}",
    )
    parts = [_svg.element("title", escape(_svg.shown(in_words(tree, node)))), box]
    text = _svg.fit(node.name, _SIZE, width - 2 * _MARGIN) if width >= _SHORTEST_TEXT else ""
    if text:
        parts.append(
            _svg.element(
                "text",
                escape(text),
                x=_exact(x + _MARGIN),
                y=_svg.number(y + 13),
            )
        )
    return _svg.element("g", parts, class_="frame", data_name=node.name, data_depth=node.depth)


def _exact(value: float) -> str:
    """Narrow frames need more than one decimal, or they would overlap."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def in_words(tree: CallTree, node: Node) -> str:
    """What there is to say of a node: `ip_rcv: 15.500 us (93.3%), 0.928 us of its own, 3 calls of 2.000 us`."""
    if tree.unit != "ns":
        own = f", {in_share(node.own, tree.whole)} in itself" if 0 < node.own < node.total else ""
        return f"{node.name}: {counted(node.calls, 'sample')} ({in_share(node.total, tree.whole)}){own}"
    words = [f"{node.name}: {in_time(node.total)} ({in_share(node.total, tree.whole)})"]
    if node.own != node.total:
        words.append(f"{in_time(node.own)} of its own")
    words.append(counted(node.calls, "call") if node.calls or not node.cut else "")
    if node.calls > 1 and node.median is not None and node.p99 is not None:
        words.append(f"median {in_time(node.median)}, 99% within {in_time(node.p99)}")
    if node.cut:
        words.append(f"{counted(node.cut, 'call')} seen in part")
    return ", ".join(word for word in words if word)
