"""The few shapes that the drawings are made of, as SVG text. Every text goes through `shown` and is escaped here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from netdiag.report.visible import columns, visible

# The light palette of the page, by the classes that its style sheet knows.
_PAINT = {
    "d-ink": "#1b1f24",
    "d-soft": "#57606a",
    "d-faint": "#8c959f",
    "d-paper": "#ffffff",
    "d-panel": "#f6f8fa",
    "d-error": "#b42318",
    "d-warning": "#8a5a00",
    "d-note": "#0b5cad",
    "d-good": "#1a7f37",
    # networks: none is taken for a severity, neighbours differ in lightness as well
    "d-net0": "#0f766e",
    "d-net1": "#7c3aed",
    "d-net2": "#5b7a0c",
    "d-net3": "#a21caf",
    "d-net4": "#0e7490",
    "d-net5": "#4f46e5",
    "d-net6": "#52606d",
    "d-net7": "#be185d",
}
NETWORK_COLOURS = 8
MONOSPACE = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
SANS = "system-ui, 'DejaVu Sans', sans-serif"
_ESCAPES = {chr(0x2400 + code): f"\\x{code:02x}" for code in range(0x20)} | {"\u2421": "\\x7f"}
_CONTROL_PICTURE = re.compile("[\u2400-\u241f\u2421]")
# The advance of a character in the widest of these typefaces (DejaVu Sans Mono) by its size.
_ADVANCE = 0.602


def shown(text: str) -> str:
    r"""`text` made visible, with control characters as escapes (`\x1b`): few typefaces have pictures of them."""
    return without_pictures(visible(text))


def without_pictures(text: str) -> str:
    r"""`text` with each picture of a control character (`␛`) as the escape for that character (`\x1b`)."""
    return _CONTROL_PICTURE.sub(lambda found: _ESCAPES[found[0]], text)


def text_width(text: str, size: float) -> float:
    """The most that a line of monospaced text takes; a wide (CJK) character counts as two."""
    return columns(text) * _ADVANCE * size


def fit(text: str, size: float, width: float) -> str:
    """`text`, made visible, without its middle when it is wider than `width`: names differ at both ends."""
    whole = shown(text)
    if text_width(whole, size) <= width:
        return whole
    room = int(width / (_ADVANCE * size)) - 1
    tail = _clip(whole[::-1], room // 3)[::-1]
    return _clip(whole, room - columns(tail)) + "…" + tail


def _clip(text: str, room: int) -> str:
    kept = ""
    for character in text[: max(room, 0)]:
        if columns(kept + character) > room:
            break
        kept += character
    return kept


@dataclass(frozen=True)
class Box:
    """A rectangle in user units."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def element(name: str, content: Iterable[Markup] | Markup = (), **attributes: object) -> Markup:
    """An element. `class_`, `stroke_width` become `class`, `stroke-width`; attributes that are None are left out."""
    inner = content if isinstance(content, Markup) else Markup().join(content)
    words = Markup().join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{}{}>{}</{}>").format(name, words, inner, name) if inner else Markup("<{}{}/>").format(name, words)


def _value(value: object) -> object:
    if isinstance(value, float):
        return number(value)
    return shown(value) if isinstance(value, str) else value


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{float(value):.1f}".removesuffix(".0")


def label(
    text: str,
    x: float,
    y: float,
    *,
    size: float = 11,
    paint: str = "d-ink",
    bold: bool = False,
    anchor: str | None = None,
    family: str = MONOSPACE,
) -> Markup:
    """A line of text with its baseline at `y`."""
    return element(
        "text",
        escape(shown(text)),
        x=x,
        y=y,
        font_size=size,
        font_family=family,
        font_weight="bold" if bold else None,
        text_anchor=anchor,
        fill=_PAINT[paint],
        class_=f"{paint} d-text",
    )


def rectangle(
    box: Box,
    kind: str,
    *,
    fill: str = "d-paper",
    stroke: str = "d-faint",
    dashed: bool = False,
    thick: bool = False,
    radius: float = 5,
) -> Markup:
    """An outlined rectangle; `kind` is a class that says what it stands for."""
    return element(
        "rect",
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        rx=radius,
        fill=_PAINT[fill],
        stroke=_PAINT[stroke],
        stroke_width=2 if thick else 1,
        stroke_dasharray="4 3" if dashed else None,
        class_=f"d-box d-{kind} {fill}-fill {stroke}-line",
    )


def wire(path: str, *, stroke: str = "d-soft", dashed: bool = False, thick: bool = False) -> Markup:
    return element(
        "path",
        d=path,
        fill="none",
        stroke=_PAINT[stroke],
        stroke_width=2 if thick else 1.2,
        stroke_dasharray="4 3" if dashed else None,
        class_=f"d-wire {stroke}-line",
    )


def bar(x: float, top: float, bottom: float, stroke: str) -> Markup:
    """A bridge as a bar that its ports are tapped into."""
    return element(
        "path",
        d=f"M{number(x)} {number(top)}V{number(bottom)}",
        fill="none",
        stroke=_PAINT[stroke],
        stroke_width=6,
        class_=f"d-bar {stroke}-line",
    )


def part(name: str, net: int | None, content: Iterable[Markup]) -> Markup:
    """A group of shapes that belong to one object, on its way over a network if that is given."""
    return element("g", content, class_="d-part", data_part=name, data_net=net)


def link(href: str, content: Iterable[Markup], title: str) -> Markup:
    """`content` that leads somewhere; `title` is what a pointer or a screen reader is told."""
    return element("a", [element("title", escape(shown(title))), *content], href=href)


def shape(path: str, *, fill: str, stroke: str) -> Markup:
    """A filled outline."""
    return element("path", d=path, fill=_PAINT[fill], stroke=_PAINT[stroke], class_=f"{fill}-fill {stroke}-line")


def stroke(path: str, paint: str) -> Markup:
    """A line of 2 units width with round ends."""
    return element(
        "path",
        d=path,
        fill="none",
        stroke=_PAINT[paint],
        stroke_width=2,
        stroke_linecap="round",
        class_=f"{paint}-line",
    )
