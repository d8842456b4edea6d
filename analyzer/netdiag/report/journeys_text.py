"""Journeys for a terminal: the ways that packets took, what became of them, and some packets hop by hop."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from netdiag.finding import Confidence
from netdiag.journeys.observed import (
    Direction,
    Drop,
    Ending,
    Hop,
    Join,
    Journey,
    Observation,
    Outcome,
    Path,
    RoundTrips,
)
from netdiag.report.snippet import Look
from netdiag.report.units import counted, in_time
from netdiag.report.visible import columns, shorten, wrap

_ARROW = " -> "
_WIDEST_PLACE = 44
_MOST_PIECES = 4


def lines(
    observation: Observation, look: Look, *, paths: int = 12, drops: int = 12, journeys: int = 10
) -> Iterator[str]:
    """What a trace shows of packets, at most so many of each."""
    name = look.text(observation.source.path)
    span = f" in {in_time(observation.end - observation.begin)}" if observation.end > observation.begin else ""
    yield look.paint("strong", f"packets in {name}: {counted(observation.packets, 'packet')}{span}")
    if observation.losses:
        places = counted(len(observation.losses), "place")
        yield look.paint("warning", f"  events are missing at {places}: what is not seen may have happened there")
    for note in observation.notes:
        for number, line in enumerate(wrap(note, look.columns - 4)):
            yield look.paint("warning", ("    " if number else "  ") + line)
    trips = {trip.there: trip for trip in observation.round_trips}
    usual = usual_drops(observation)
    for path in observation.paths[:paths]:
        yield from _path(path, trips.get(path.number), usual[path.number], look)
    yield from _more(len(observation.paths) - paths, "path", look)
    yield from _drops(observation.drops, drops, look)
    chosen = notable(observation, journeys)
    for journey in chosen:
        yield ""
        yield from _journey(observation, journey, look)
    if len(observation.journeys) > len(chosen) > 0:
        kept = counted(observation.packets - len(chosen), "more packet")
        yield f"  and {kept}: `netdiag trace --format json` has {len(observation.journeys)} of them hop by hop"


def notable(observation: Observation, most: int) -> tuple[Journey, ...]:
    """The journeys most worth a look, in their order: what got lost, then packets with their answers, then others."""

    def rank(journey: Journey) -> tuple[int, int]:
        lost = journey.outcome is Outcome.DROPPED and not (journey.drop and journey.drop.benign)
        lost |= journey.outcome is Outcome.UNKNOWN and not journey.doubt
        return (0 if lost else 1 if journey.line in answered or journey.answers else 2), journey.line

    answered = {journey.answers for journey in observation.journeys}
    chosen = {journey.line for journey in sorted(observation.journeys, key=rank)[:most]}
    return tuple(journey for journey in observation.journeys if journey.line in chosen)


def _path(path: Path, trips: RoundTrips | None, usual: int, look: Look) -> Iterator[str]:
    """A path with what became of its packets; `usual` are the drops on it that nobody misses."""
    ends = [*endings(path.endings, usual)]
    took = f" in {in_time(path.time.median)}" if path.time.most else ""
    half = " at the median" if took and path.count > 1 else ""
    facts = [f"{counted(path.count, 'packet')}{took}{half}", ", ".join(ends)]
    if path.confidence is Confidence.LOW:
        facts.append("perhaps: by address, length and order alone")
    if path.doubtful:
        facts.append(f"{path.doubtful} of them where events are missing or the capture ends")
    if path.copies:
        facts.append(f"{path.copies:,} {'copy' if path.copies == 1 else 'copies'} of other packets")
    if path.pieces:
        facts.append(f"{counted(path.pieces, 'piece')} of other packets")
    if trips:
        facts.append(f"{trips.count:,} answered after {in_time(trips.time.median)}")
    yield from _wrapped(f"{look.text(path.text)}: {'; '.join(facts)}", look, "  ", "      ")
    for reason in path.why:
        place = f" ({look.text(reason.span.source.path)}:{reason.span.line})" if reason.span else ""
        yield from _wrapped(f"= {look.text(reason.text)}{place}", look, "      ", "        ")


def usual_drops(observation: Observation) -> Counter[int | None]:
    """How many of the drops on each path, by its number, nobody misses."""
    usual: Counter[int | None] = Counter()
    for drop in observation.drops:
        usual[drop.path] += drop.count if drop.reason.benign else 0
    return usual


def endings(path: Mapping[Ending, int], usual: int) -> Iterator[str]:
    """What became of the packets of a path; `usual` are the drops on it that nobody misses."""
    for ending, count in path.items():
        missed = count - usual if ending is Ending.FREED else count
        if missed > 0:
            yield f"{missed:,} {ending.text}"
        if missed < count:
            yield f"{min(usual, count):,} freed as usual"


def _drops(drops: Sequence[Drop], most: int, look: Look) -> Iterator[str]:
    grave = [drop for drop in drops if not drop.reason.benign]
    benign: Counter[str] = Counter()
    for drop in drops:
        if drop.reason.benign:
            benign[drop.reason.kind.value] += drop.count
    if grave:
        yield look.paint("strong", "dropped:")
    for drop in grave[:most]:
        where = f" at {look.text(drop.where.text)}" if drop.where else ""
        name = drop.reason.name or drop.printed
        what = f"{drop.count:,}{where}: {look.text(drop.reason.text)}"
        by = (
            look.text(f" ({', '.join(each for each in (name, drop.location) if each)})")
            if name or drop.location
            else ""
        )
        yield from _wrapped(what + by, look, "  ", "      ")
    yield from _more(len(grave) - most, "reason", look)
    if benign:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in benign.most_common())
        yield from _wrapped(f"freed as usual, and missed by nobody: {kinds}", look, "  ", "      ")


def _more(number: int, word: str, look: Look) -> Iterator[str]:
    if number > 0:
        yield f"  {look.ellipsis} and {counted(number, f'more {word}')}"


def headline(journey: Journey) -> str:
    """A packet and what became of it, in a sentence without a full stop."""
    length = f" of {journey.length} bytes" if journey.length is not None else ""
    ways = [hop.where.text for hop in journey.hops]
    way = ways[0] if len({*ways}) == 1 else f"{ways[0]} to {ways[-1]}"
    after = f" after {in_time(journey.took)}" if len(journey.hops) > 1 or journey.took else ""
    by = f" by {ways[-1]}" if journey.outcome is Outcome.LEFT else ""
    said = f"packet{length} from {way}: {journey.outcome.value}{by}{after}"
    if journey.waited_for_neighbour:
        perhaps = "perhaps " if any(hop.join is Join.WAITED for hop in journey.hops) else ""
        said += f", {perhaps}waited {in_time(journey.waited_for_neighbour)} for the address of its next hop (ARP or ND)"
    if journey.answers is not None:
        answers = "may answer" if journey.may_not_answer else "answers"
        said += f", {answers} line {journey.answers} (round trip {in_time(journey.round_trip or 0)})"
    said += _pieces(journey)
    if journey.copy_of is not None:
        said += f", a copy of line {journey.copy_of}"
    if journey.drop:
        said += f", {journey.drop.text}"
    elif journey.outcome is Outcome.UNKNOWN:
        said += f", last seen {journey.ending.text}"
    if journey.doubt:
        said += f" ({journey.doubt})"
    if journey.begins_midway:
        said += "; its beginning is not in the trace"
    return said


def _pieces(journey: Journey) -> str:
    """What it is a piece of, and what its own pieces are."""
    said = ""
    if part := journey.part:
        perhaps = "" if part.confidence is Confidence.HIGH else "perhaps "
        of = f"line {part.whole}" if part.whole else "one packet, by their lengths and order"
        said += f", {perhaps}{part.how.value} {part.number} of {part.of} of {of}"
    if journey.put_into:
        said += f", put into line {journey.put_into} by GRO"
    if journey.made_of:
        said += f", which has the data of {_lines(journey.made_of)} in it"
    if journey.cut_into:
        said += f", cut into {len(journey.cut_into)} pieces ({_lines(journey.cut_into)})"
    return said


def _lines(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:_MOST_PIECES]))
    return f"{'line' if len(lines) == 1 else 'lines'} {shown}{', ...' if len(lines) > _MOST_PIECES else ''}"


def _journey(observation: Observation, journey: Journey, look: Look) -> Iterator[str]:
    head = f"line {journey.line}: "
    first, *rest = wrap(look.text(headline(journey)), look.columns - len(head))
    yield look.paint("strong", head) + first
    yield from (" " * len(head) + line for line in rest)
    last = journey.end_step.event if journey.end_step else journey.ending.text
    width = min(_WIDEST_PLACE, max(columns(look.text(text)) for text in (last, *(h.where.text for h in journey.hops))))
    for hop in journey.hops:
        yield _hop(observation, hop, width, look)
    if journey.end_step:
        step = journey.end_step
        yield _row(observation, step.time, "", "ends", step.event, width, _runner(step.cpu, step.task), look)
    else:
        yield _row(observation, journey.arrived, "", "ends", journey.ending.text, width, "", look)


def _hop(observation: Observation, hop: Hop, width: int, look: Look) -> str:
    step = hop.steps[0]
    doubt = "" if hop.join.confidence is Confidence.HIGH else f"perhaps: {hop.join.value}"
    rc = next((each.rc for each in hop.steps if each.rc), None)
    notes = [f"rc={rc}"] if rc else []
    notes += [_runner(step.cpu, step.task)] if step.task or step.cpu is not None else []
    notes += [doubt] if doubt else []
    verb = "sends" if hop.direction is Direction.SENDS else "receives"
    return _row(
        observation, hop.start, f"+{hop.latency / 1e6:.3f}", verb, hop.where.text, width, ", ".join(notes), look
    )


def _runner(cpu: int | None, task: str) -> str:
    return " ".join([*([f"CPU {cpu}"] if cpu is not None else []), *([task] if task else [])])


def _row(
    observation: Observation, time: int, latency: str, verb: str, what: str, width: int, notes: str, look: Look
) -> str:
    """One line of a journey: ms since the trace began, ms until the next hop, what happens, and where."""
    shown = shorten(look.text(what), width, look.ellipsis)
    room = max(0, width - columns(shown))
    line = f"{observation.since_begin(time):12.3f} ms {latency:>9}  {verb:<8}  {shown}{' ' * room}  {look.text(notes)}"
    return shorten(line.rstrip(), look.columns, look.ellipsis)


def _wrapped(text: str, look: Look, first: str, other: str) -> Iterator[str]:
    for number, line in enumerate(wrap(text, look.columns - len(other))):
        yield (other if number else first) + line
