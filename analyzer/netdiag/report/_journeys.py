"""What the page and the PDF show of packets in traces: values for the template `_journeys.html.jinja`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from markupsafe import Markup

from netdiag.journeys.observed import Drop, Journey, Observation, Path
from netdiag.report.drawings import journeys as drawing
from netdiag.report.journeys_text import headline, notable
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


PAGE = Room(traces=8, paths=30, drops=30, drawings=12)
PAPER = Room(traces=2, paths=8, drops=8, drawings=3)


@dataclass(frozen=True)
class PathView:
    """A path with its numbers in words."""

    path: Path
    median: str
    slowest: str
    endings: str
    answered: str


@dataclass(frozen=True, eq=False)
class PacketView:
    """A packet, with the one that answers it, drawn."""

    journeys: tuple[Journey, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(f"Line {journey.line}: {headline(journey)}." for journey in self.journeys)

    @cached_property
    def drawing(self) -> Markup:
        return drawing.draw(self.journeys, " ".join(self.sentences))


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
        return tuple(
            PathView(
                path=path,
                median=in_time(path.time.median),
                slowest=in_time(path.time.most),
                endings=", ".join(f"{count:,} {ending.value}" for ending, count in path.endings.items()),
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
    def packets(self) -> tuple[PacketView, ...]:
        """Packets that are worth a look, each with its answer beside it."""
        chosen = notable(self.observation, self.room.drawings)
        kept = {journey.line: journey for journey in self.observation.journeys}
        answer = {each.answers: each for each in self.observation.journeys if each.answers in kept}
        pairs: list[tuple[Journey, ...]] = []
        drawn: set[int] = set()
        for journey in chosen:
            first = kept.get(journey.answers or 0, journey)
            if first.line in drawn or journey.line in drawn:
                continue
            reply = answer.get(first.line)
            pairs.append((first, reply) if reply else (first,))
            drawn |= {each.line for each in pairs[-1]}
        return tuple(PacketView(pair) for pair in pairs)


def views(analysis: "Analysis", room: Room) -> tuple[JourneysView, ...]:
    """The traces with packets, in the order of the bundle."""
    return tuple(
        JourneysView(observation, f"journeys-{number}", room)
        for number, observation in enumerate(analysis.journeys[: room.traces], start=1)
    )
