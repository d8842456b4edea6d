"""What the page and the PDF show of packets in traces: values for the template `_journeys.html.jinja`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from markupsafe import Markup

from netdiag.finding import Confidence
from netdiag.journeys.observed import Drop, Ending, Join, Journey, Observation, Outcome, Path, RoundTrips
from netdiag.report.drawings import journeys as drawing
from netdiag.report.journeys_text import endings, headline, usual_drops
from netdiag.report.units import counted, in_time

if TYPE_CHECKING:
    from netdiag.results import Analysis


@dataclass(frozen=True)
class Room:
    """How much there is room for in each trace."""

    traces: int
    paths: int
    drops: int
    drawings: int


# A packet is slow that took so many times the median of its path, and so many nanoseconds, where it is one of several.
_SLOW, _SLOW_AT_LEAST, _FEWEST_FOR_SLOW = 10, 50_000, 5

PAGE = Room(traces=8, paths=30, drops=30, drawings=12)
PAPER = Room(traces=2, paths=8, drops=8, drawings=3)


class Kind(Enum):
    """How packets that are alike stand out, the most worth a look first."""

    LOST = "lost"
    SLOW = "slow"
    DOUBTFUL = "doubtful"
    USUAL = "usual"


@dataclass(frozen=True)
class PathView:
    """A path with its numbers in words."""

    path: Path
    least: str
    median: str
    most: str
    endings: str
    answered: str


@dataclass(frozen=True, eq=False)
class AlikeView:
    """Packets that took one path and of which the same became, one of them drawn with the packet that answers it.

    `kept` are those of them that are known hop by hop, `count` is how many there are; when `more` is set there may be
    more than that. `trips` are the round trips of the path.
    """

    kind: Kind
    path: Path
    kept: tuple[Journey, ...]
    count: int
    more: bool
    drawn: tuple[Journey, ...]
    trips: RoundTrips | None = None
    back: Path | None = None

    @property
    def title(self) -> str:
        """How many they are and what became of them, with how long it took them."""
        first = self.kept[0]
        number = f"{'at least ' if self.more else ''}{counted(self.count, 'packet')}"
        said = f"{number} {first.outcome.value if first.outcome is not Outcome.UNKNOWN else 'not seen to arrive'}"
        if first.drop:
            said += f": {first.drop.text}"
        elif first.outcome is Outcome.UNKNOWN:
            said += f": last seen {first.ending.value}"
        if self.kind is Kind.SLOW:
            said += f", but slowly: the median of this way is {in_time(self.path.time.median)}"
        return f"{said} ({first.doubt})" if first.doubt else said

    @property
    def spread(self) -> str:
        """The least, median and longest time of several packets, empty for one."""
        if self.count == 1:
            return ""
        if len(self.kept) == self.count or self.kind is not Kind.USUAL:
            times = sorted(journey.took for journey in self.kept)
            least, median, most, measured = times[0], times[_middle(times)], times[-1], len(times)
        else:
            time = self.path.time
            least, median, most, measured = time.least, time.median, time.most, time.measured
        of = f" (of the {measured:,} that were measured)" if measured < self.count else ""
        return f"{in_time(least)} to {in_time(most)}, median {in_time(median)}{of}"

    @property
    def answers(self) -> str:
        """How many were answered, and how long that took; empty when no answer is drawn."""
        if self.trips is None or self.back is None:
            return ""
        time = self.trips.time
        doubt = f", {self.trips.doubtful:,} of them perhaps" if self.trips.doubtful else ""
        took = f"{in_time(time.least)} to {in_time(time.most)}, median {in_time(time.median)}"
        took = took if self.trips.count > 1 else in_time(time.median)
        return f"{self.trips.count:,} answered by {self.back.text}{doubt}; there and back in {took}"

    @property
    def unsure(self) -> str:
        """Why it is not certain that these events are of one packet, empty when it is."""
        doubts = (hop.join.value for journey in self.drawn for hop in journey.hops)
        certain = all(journey.confidence is Confidence.HIGH for journey in self.drawn)
        weak = dict.fromkeys(
            join.value for join in Join if join.confidence is not Confidence.HIGH and join.value in {*doubts}
        )
        return "" if certain else ", ".join(weak) or "a device of it is not surely of that namespace"

    def sentence(self, journey: Journey) -> str:
        return f"{headline(journey)}."

    @cached_property
    def drawing(self) -> Markup:
        return drawing.draw(self.drawn, " ".join(f"Line {each.line}: {self.sentence(each)}" for each in self.drawn))


@dataclass(frozen=True, eq=False)
class JourneysView:
    """The packets of one trace."""

    observation: Observation
    anchor: str
    room: Room

    @property
    def amount(self) -> str:
        seen = self.observation
        span = in_time(seen.end - seen.begin)
        return f"{counted(seen.packets, 'packet')} on {counted(len(seen.paths), 'path')} in {span}"

    @property
    def doubts(self) -> tuple[str, ...]:
        lost = len(self.observation.losses)
        places = (
            f"Events are missing at {counted(lost, 'place')} of the trace: what is not seen may have happened there."
        )
        return (*([places] if lost else []), *(f"{note[:1].upper()}{note[1:]}." for note in self.observation.notes))

    @cached_property
    def paths(self) -> tuple[PathView, ...]:
        trips = {each.there: each for each in self.observation.round_trips}
        usual = usual_drops(self.observation)
        return tuple(
            PathView(
                path=path,
                least=in_time(path.time.least),
                median=in_time(path.time.median),
                most=in_time(path.time.most),
                endings=", ".join(endings(path.endings, usual[path.number])),
                answered=(
                    f"{trips[path.number].count:,} in {in_time(trips[path.number].time.median)}"
                    if path.number in trips
                    else ""
                ),
            )
            for path in self.observation.paths[: self.room.paths]
        )

    @property
    def more_paths(self) -> int:
        return max(0, len(self.observation.paths) - self.room.paths)

    @property
    def drops(self) -> Sequence[Drop]:
        return self.observation.drops[: self.room.drops]

    @cached_property
    def alike(self) -> tuple[AlikeView, ...]:
        """The packets by what is alike, one of each drawn: what got lost first, then what was slow or is in doubt."""
        return tuple(_alike(self.observation, self.room.drawings))

    @property
    def notable(self) -> tuple[AlikeView, ...]:
        return tuple(view for view in self.alike if view.kind is not Kind.USUAL)

    @property
    def usual(self) -> tuple[AlikeView, ...]:
        return tuple(view for view in self.alike if view.kind is Kind.USUAL)


#: What packets that are alike have in common: kind, path, the last that is seen of them, and why they were dropped.
_Likeness = tuple[Kind, int, Ending, str]


def _alike(seen: Observation, most: int) -> Iterator[AlikeView]:
    """At most so many groups of packets. An answer that is drawn beside its question is not drawn again."""
    paths = {path.number: path for path in seen.paths}
    groups: dict[_Likeness, list[Journey]] = {}
    for journey in seen.journeys:
        if journey.path in paths:
            groups.setdefault(_likeness(journey, paths[journey.path]), []).append(journey)
    order = list(Kind)
    trips = {each.there: each for each in seen.round_trips}
    answer = {each.answers: each for each in seen.journeys if each.answers is not None and each.path in paths}
    shown: set[_Likeness] = set()
    left = most
    for likeness, journeys in sorted(
        groups.items(),
        key=lambda item: (
            order.index(item[0][0]),
            item[1][0].outcome is Outcome.DROPPED,
            -paths[item[0][1]].count,
            item[1][0].line,
        ),
    ):
        kind, number, _, _ = likeness
        if left == 0:
            return
        if likeness in shown:
            continue
        left -= 1
        count = _count(seen, paths[number], kind, journeys, groups)
        trip = trips.get(number) if kind is Kind.USUAL else None
        drawn = _example(journeys, answer if trip else {})
        back = paths[drawn[1].path] if len(drawn) > 1 else None
        shown |= {like for each in drawn[1:] if (like := _likeness(each, paths[each.path]))[0] is Kind.USUAL}
        more = count is None
        yield AlikeView(
            kind, paths[number], tuple(journeys), count or len(journeys), more, drawn, trip if back else None, back
        )


def _likeness(journey: Journey, path: Path) -> _Likeness:
    return _kind(journey, path), journey.path, journey.ending, journey.drop.text if journey.drop else ""


def _kind(journey: Journey, path: Path) -> Kind:
    if journey.doubt:
        return Kind.DOUBTFUL
    if journey.outcome is Outcome.UNKNOWN:
        return Kind.LOST
    if journey.outcome is Outcome.DROPPED:
        return Kind.USUAL if journey.drop and journey.drop.benign else Kind.LOST
    usual = path.time.median
    slow = path.count >= _FEWEST_FOR_SLOW and journey.time >= max(_SLOW * usual, _SLOW_AT_LEAST)
    return Kind.SLOW if slow else Kind.USUAL


def _count(
    seen: Observation,
    path: Path,
    kind: Kind,
    journeys: Sequence[Journey],
    groups: Mapping[_Likeness, Sequence[Journey]],
) -> int | None:
    """How many packets a group has, also those that were not kept whole; None when that is not known."""
    first = journeys[0]
    if seen.packets == len(seen.journeys):
        return len(journeys)
    if first.drop:
        return sum(drop.count for drop in seen.drops if drop.path == path.number and drop.reason == first.drop) or None
    if kind is Kind.USUAL:
        slow = groups.get((Kind.SLOW, path.number, first.ending, ""), ())
        return path.endings[first.ending] - len(slow)
    lost = sum(count for ending, count in path.endings.items() if ending.outcome is Outcome.UNKNOWN)
    if first.outcome is Outcome.UNKNOWN and lost == path.endings[first.ending]:
        return path.doubtful if kind is Kind.DOUBTFUL else lost - path.doubtful
    return None


def _example(journeys: Sequence[Journey], answer: Mapping[int, Journey]) -> tuple[Journey, ...]:
    """The packet in the middle of a group, of those with an answer if there are any, and its answer."""
    answered = [journey for journey in journeys if journey.line in answer and not answer[journey.line].may_not_answer]
    answered = answered or [journey for journey in journeys if journey.line in answer]
    if answered:
        by_trip = sorted(answered, key=lambda journey: answer[journey.line].round_trip or 0)
        first = by_trip[_middle(by_trip)]
        return first, answer[first.line]
    by_time = sorted(journeys, key=lambda journey: journey.took)
    return (by_time[_middle(by_time)],)


def _middle(ordered: Sequence[object]) -> int:
    return (len(ordered) - 1) // 2


def views(analysis: "Analysis", room: Room) -> tuple[JourneysView, ...]:
    """The traces with packets, in the order of the bundle."""
    return tuple(
        JourneysView(observation, f"journeys-{number}", room)
        for number, observation in enumerate(analysis.journeys[: room.traces], start=1)
    )
