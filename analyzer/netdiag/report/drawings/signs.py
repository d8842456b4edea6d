"""Small signs of a severity or a verdict: the shape and the mark in it tell what the colour tells."""

from markupsafe import Markup

from netdiag.finding import Severity, Verdict
from netdiag.report.drawings import _svg

_CIRCLE, _DIAMOND = "M0-8A8 8 0 1 1 0 8A8 8 0 1 1 0-8Z", "M0-9L9 0L0 9L-9 0Z"
_SHAPES = {
    Severity.ERROR: (_CIRCLE, "M-3-3L3 3M3-3L-3 3"),
    Severity.WARNING: ("M0-8.5L9.5 7.5H-9.5Z", "M0-3V2M0 4.4V4.6"),
    Severity.NOTE: ("M-7.5-7.5H7.5V7.5H-7.5Z", "M0-1V4M0-4.2V-4"),
    Verdict.CLEAN: (_CIRCLE, "M-3.5 0.5L-1 3L3.5-2.5"),
    # not in a diamond, which would be the sign of a character that could not be read
    Verdict.UNKNOWN: (_CIRCLE, "M-2.2-2A2.2 2.2 0 1 1 0 0.8V1.6M0 4.4V4.6"),
    Verdict.NOT_APPLICABLE: (_CIRCLE, "M-3.5 0H3.5"),
    Verdict.CRASHED: (_DIAMOND, "M0-4V1M0 4V4.2"),
}
_PAINT = {
    Verdict.CLEAN: "d-good",
    Verdict.UNKNOWN: "d-soft",
    Verdict.NOT_APPLICABLE: "d-soft",
    Verdict.CRASHED: "d-error",
}


def sign(meaning: Severity | Verdict, title: Markup | None = None) -> Markup:
    """A sign as an SVG element of its own. It is hidden from screen readers: a word must stand beside it.

    `title` is for PDF/UA, which demands one of every figure.
    """
    return _svg.element(
        "svg",
        [*([_svg.element("title", title)] if title else []), badge(meaning, 0, 0)],
        xmlns="http://www.w3.org/2000/svg",
        viewBox="-10 -10 20 20",
        width=16,
        height=16,
        class_="sign",
        aria_hidden="true",
    )


def badge(meaning: Severity | Verdict, x: float, y: float) -> Markup:
    """A sign within a drawing, centred at a point."""
    paint = f"d-{meaning.value}" if isinstance(meaning, Severity) else _PAINT[meaning]
    outline, mark = _SHAPES[meaning]
    return _svg.element(
        "g",
        [_svg.shape(outline, fill=paint, stroke="d-paper"), _svg.stroke(mark, "d-paper")],
        transform=f"translate({_svg.number(x)} {_svg.number(y)})",
        class_="d-badge",
    )
