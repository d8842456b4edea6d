"""A packet, and the one that answers it, on a timeline: a lane for each namespace, in it a row for each device."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from netdiag.journeys.observed import Direction, Hop, Journey, Outcome, Whereabouts
from netdiag.report.drawings import _svg
from netdiag.report.units import in_time

WIDTH = 1000.0
MOST_ROWS = 40

_NAMES, _RIGHT = 260.0, 84.0
_ROW, _LANE_GAP, _AXIS = 26.0, 12.0, 30.0
_BAR, _SHORTEST_BAR = 12.0, 4.0
_SIZE = 11.0
_TICKS = 5

_PAINT = {Direction.SENDS: "d-note", Direction.RECEIVES: "d-good"}


@dataclass(frozen=True)
class _Lane:
    """The devices of one namespace, in the order in which packets came to them."""

    name: str
    devices: tuple[Whereabouts, ...]


def draw(journeys: Sequence[Journey], title: str) -> Markup:
    """The journeys as one SVG element over their common time. Empty without hops."""
    lanes = _lanes(journeys)
    rows = _rows(lanes)
    if not rows:
        return Markup("")
    begin = min(journey.start for journey in journeys)
    ends = [max(journey.over, *(hop.end for hop in journey.hops)) for journey in journeys]
    scale = _Scale(begin, max(ends))
    bottom = max(rows.values()) + _ROW
    shapes = [*_frame(lanes, rows), *_axis(scale, bottom)]
    for journey in journeys:
        shapes += _journey(journey, rows, scale)
    return _svg.element(
        "svg",
        [_svg.element("title", escape(_svg.shown(title))), *shapes],
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_svg.number(WIDTH)} {_svg.number(bottom + _AXIS)}",
        role="img",
        class_="journey",
    )


@dataclass(frozen=True)
class _Scale:
    """From a time to its place."""

    begin: int
    end: int

    def at(self, time: int) -> float:
        span = max(1, self.end - self.begin)
        return _NAMES + (WIDTH - _NAMES - _RIGHT) * (time - self.begin) / span


def _key(where: Whereabouts) -> tuple[str, str, str]:
    return where.namespace, where.name, where.device


def _lanes(journeys: Sequence[Journey]) -> tuple[_Lane, ...]:
    """The namespaces in the order in which packets came to them, with at most `MOST_ROWS` devices in all."""
    seen: dict[tuple[str, str, str], Whereabouts] = {}
    for journey in journeys:
        for hop in journey.hops:
            if len(seen) < MOST_ROWS:
                seen.setdefault(_key(hop.where), hop.where)
    by_owner: dict[tuple[str, str], list[Whereabouts]] = {}
    for where in seen.values():
        by_owner.setdefault((where.namespace, where.name), []).append(where)
    return tuple(_Lane(name, tuple(devices)) for (_, name), devices in by_owner.items())


def _rows(lanes: Sequence[_Lane]) -> dict[tuple[str, str, str], float]:
    """The top of each device's row."""
    found: dict[tuple[str, str, str], float] = {}
    top = 0.0
    for lane in lanes:
        for where in lane.devices:
            found[_key(where)] = top
            top += _ROW
        top += _LANE_GAP
    return found


def _frame(lanes: Sequence[_Lane], rows: dict[tuple[str, str, str], float]) -> list[Markup]:
    shapes = []
    for lane in lanes:
        first, last = rows[_key(lane.devices[0])], rows[_key(lane.devices[-1])] + _ROW
        shapes.append(
            _svg.rectangle(_svg.Box(0.5, first + 0.5, WIDTH - 1, last - first - 1), "lane", fill="d-panel", radius=4)
        )
        for where in lane.devices:
            line = rows[_key(where)] + _ROW / 2 + _SIZE / 2 - 1
            name = _svg.fit(where.text, _SIZE, _NAMES - 20)
            shapes.append(_svg.label(name, 10, line, size=_SIZE))
    return shapes


def _axis(scale: _Scale, bottom: float) -> list[Markup]:
    """Times since the first event that is drawn."""
    shapes = []
    for number in range(_TICKS if scale.end > scale.begin else 1):
        time = scale.begin + (scale.end - scale.begin) * number // (_TICKS - 1)
        x = scale.at(time)
        shapes.append(_svg.wire(f"M{_svg.number(x)} {_svg.number(bottom)}v5", stroke="d-faint"))
        anchor = "end" if number == _TICKS - 1 else "middle" if number else "start"
        shapes.append(_svg.label(in_time(time - scale.begin), x, bottom + 18, size=10, paint="d-soft", anchor=anchor))
    return shapes


def _journey(journey: Journey, rows: dict[tuple[str, str, str], float], scale: _Scale) -> list[Markup]:
    shapes: list[Markup] = []
    previous: tuple[float, float] | None = None
    for number, hop in enumerate(journey.hops):
        top = rows.get(_key(hop.where))
        if top is None:
            continue
        last = number == len(journey.hops) - 1
        end = journey.over if last else hop.start + hop.latency
        x, right = scale.at(hop.start), max(scale.at(end), scale.at(hop.start) + _SHORTEST_BAR)
        middle = top + _ROW / 2
        if previous:
            shapes.append(
                _svg.wire(
                    f"M{_svg.number(previous[0])} {_svg.number(previous[1])}L{_svg.number(x)} {_svg.number(middle)}"
                )
            )
        shapes.append(_bar(hop, end, _svg.Box(x, middle - _BAR / 2, right - x, _BAR)))
        if last:
            shapes += _ending(journey, right, middle)
        previous = (min(right, scale.at(end)), middle)
    return shapes


def _bar(hop: Hop, end: int, box: _svg.Box) -> Markup:
    paint = _PAINT[hop.direction]
    events = ", ".join(dict.fromkeys(step.event for step in hop.steps))
    said = f"{hop.where.text} {hop.direction.value}: {in_time(end - hop.start)} until the next step ({events})"
    inner = [
        _svg.element("title", escape(_svg.shown(said))),
        _svg.rectangle(box, "hop", fill=paint, stroke=paint, radius=2),
    ]
    return _svg.element("g", inner)


def _ending(journey: Journey, x: float, y: float) -> list[Markup]:
    """A word behind the end; a cross where the packet was lost."""
    label = _svg.label(journey.outcome.value, x + 10, y + 4, size=10, paint="d-soft")
    if journey.outcome not in (Outcome.DROPPED, Outcome.UNKNOWN):
        return [label]
    return [_svg.stroke(f"M{_svg.number(x - 5)} {_svg.number(y - 5)}l10 10m0 -10l-10 10", "d-error"), label]
