"""From the numbers of a walk to what an `Observation` says."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netdiag.finding import Confidence
from netdiag.journeys.observed._events import FIRST_END, FIRST_RECEIVING, KINDS, Phase
from netdiag.journeys.observed._join import DOUBTS, Ints, Mask, join_of, stable_order
from netdiag.journeys.observed._pairs import answers, mirrored
from netdiag.journeys.observed._walk import MOST_PACKETS, NO_CODE, Packets, Walk, Whole, ending_of
from netdiag.journeys.observed._where import Places
from netdiag.journeys.observed.drops import reason_of
from netdiag.journeys.observed.facts import (
    Direction,
    Division,
    Drop,
    DropClass,
    Ending,
    Hop,
    Journey,
    Latency,
    Loss,
    Observation,
    Outcome,
    Part,
    Path,
    Reason,
    RoundTrips,
    StaticReason,
    Step,
    Stop,
    Whereabouts,
)
from netdiag.model import Host
from netdiag.traces import NOT_TOLD, TraceTable

#: What happens so shortly before the end of the capture may go on after it, longer where packets took longer.
_TAIL = 100_000_000
#: Lost events may hide what becomes of a packet for so long.
_HIDDEN = 1_000_000_000

_CUT = "the capture ended right after"
_LOST = "events were lost meanwhile"

_DIRECTIONS = (Direction.SENDS, Direction.RECEIVES)
_ENDINGS = list(Ending)


def observe(table: TraceTable, host: Host) -> Observation:
    """What a trace shows of packets, on this host."""
    places = Places(host)
    listed = host.traces.drop_reasons

    def is_used_up(reason: str, place: str) -> bool:
        return reason_of(reason, place, host.kernel, listed).kind is DropClass.CONSUMED

    wiring = (places.uppers(), places.veths(), places.namespaces(), places.mtus())
    walk = Walk(*wiring, is_used_up, listed, host.traces.functions)
    lines: list[Ints] = []
    times: list[Ints] = []
    marks = table.losses["line"]
    for batch in table.event_batches():
        walk.add(batch)
        if len(marks):
            near = np.searchsorted(batch["line"], marks)
            near = np.unique(np.clip(np.concatenate([near - 1, near]), 0, max(0, len(batch) - 1)))
            near = near[: len(batch)]
            lines.append(batch["line"][near])
            times.append(batch["time"][near])
    walk.finish()
    return _Teller(table, host, places, walk, _losses(table, lines, times)).observation()


def _losses(table: TraceTable, lines: Sequence[Ints], times: Sequence[Ints]) -> tuple[Loss, ...]:
    """The losses with their times; of one that has none the time of the last event before it."""
    known = np.concatenate([np.zeros(0, dtype=np.int64), *lines])
    time = np.concatenate([np.zeros(0, dtype=np.int64), *times])
    found = []
    columns = map(table.losses.values, ("line", "time", "cpu", "count"))
    for line, told, cpu, count in zip(*columns, strict=True):
        before = int(np.searchsorted(known, line)) - 1
        when = int(time[before]) if told == NOT_TOLD and before >= 0 else told
        found.append(Loss(line, _or_none(when), _or_none(cpu), _or_none(count)))
    return tuple(found)


def _or_none(value: int) -> int | None:
    return None if value < 0 else value


@dataclass
class _Teller:
    table: TraceTable
    host: Host
    places: Places
    walk: Walk
    losses: tuple[Loss, ...]

    def observation(self) -> Observation:
        walk = self.walk
        notes = []
        if sum(walk.endings.values()) + walk.not_in_paths > len(self.packets):
            notes.append(f"times and answers are those of the first {MOST_PACKETS} packets or fewer")
        notes += self._not_allowed()
        return Observation(
            source=self.table.source,
            format=self.table.format,
            begin=max(walk.begin, 0),
            end=max(walk.end, 0),
            events=walk.events,
            recorded=dict(sorted(walk.recorded.items())),
            losses=self.losses,
            packets=sum(walk.endings.values()) + walk.not_in_paths,
            paths=tuple(self.paths),
            not_in_paths=walk.not_in_paths,
            journeys=tuple(self.journeys()),
            drops=tuple(self.drops()),
            round_trips=tuple(self.round_trips()),
            notes=tuple(notes),
        )

    def _not_allowed(self) -> Iterator[str]:
        """What the events that were recorded cannot tell."""
        devices = self._recorded_phases
        if devices == {Phase.SENT}:
            yield (
                "of devices only net_dev_xmit was recorded: recorded events do not allow to say where packets came "
                "from or whether they were received; they are put together by address, length and order alone"
            )
        elif devices and not any(phase >= FIRST_RECEIVING for phase in devices):
            yield (
                "no netif_rx and no netif_receive_skb was recorded: recorded events do not allow to say whether "
                "packets were received"
            )

    @cached_property
    def _recorded_phases(self) -> Set[Phase]:
        """What the events that were recorded tell of devices."""
        return {kind.phase for name in self.walk.recorded if (kind := KINDS[name]).phase < FIRST_END}

    # --- shared -------------------------------------------------------------------------------------------------------

    @cached_property
    def packets(self) -> Packets:
        return self.walk.packets

    @cached_property
    def where(self) -> Sequence[tuple[Whereabouts, ...]]:
        """Whose the devices of each path are."""
        names = self.walk.reader.devices.texts
        return [
            self.places.of_path([(names[device], receives) for device, receives in path]) for path in self.walk.paths
        ]

    def ending(self, path: int, code: int) -> Ending:
        """The ending of packets of a path, when the model knows more of its last device than the trace."""
        ending = ending_of(code)
        if ending is not Ending.SENT or path < 0 or self._recorded_phases == {Phase.SENT}:
            return ending
        last = self.where[path][-1]
        number = self.walk.paths[path][-1][0]
        crosses = self.places.leads_to_a_peer(last) or (not last.namespace and self._only_crosses(number))
        if crosses and any(phase >= FIRST_RECEIVING for phase in self._recorded_phases):
            return Ending.CROSSING
        return Ending.BRIDGING if self.places.is_upper(last) else ending

    def _only_crosses(self, device: int) -> bool:
        """Without a model: the device was seen to have another end, and no packet to come in by it from outside."""
        return device in self.walk.wiring.sides and device not in self._ways_in

    @cached_property
    def _ways_in(self) -> frozenset[int]:
        return frozenset(path[0][0] for path in self.walk.paths if path[0][1])

    @cached_property
    def numbers(self) -> Mapping[int, int]:
        """The number of each path for people: the most frequent is 1."""
        counts = {path: sum(counted.values()) for path, counted in self._counted.items()}
        ranked = sorted(counts, key=lambda path: (-counts[path], self.walk.spans[path]))
        return {path: number for number, path in enumerate(ranked, 1)}

    @cached_property
    def _counted(self) -> Mapping[int, Mapping[int, int]]:
        """The endings of each path, counted by their codes."""
        found: dict[int, dict[int, int]] = defaultdict(dict)
        for (path, code), count in self.walk.endings.items():
            found[path][code] = count
        return found

    def doubt(self, first_line: int, seen: int, ending: Ending) -> str:
        """Why an unknown outcome may mean nothing."""
        if ending.outcome is not Outcome.UNKNOWN:
            return ""
        lost = (
            loss
            for loss in self.losses
            if loss.line > first_line and (loss.time is None or loss.time <= seen + _HIDDEN)
        )
        if next(lost, None):
            return _LOST
        return _CUT if self.walk.end - seen <= self._tail else ""

    @cached_property
    def _tail(self) -> int:
        """As long before the end of the capture as hardly any packet of this trace took from one hop to the next."""
        took = self.walk.latencies
        took = took[np.flatnonzero(took > 0)]
        return max(_TAIL, int(np.quantile(took, 0.99, method="higher"))) if len(took) else _TAIL

    @cached_property
    def _doubtful(self) -> Mask:
        """The same for all packets."""
        packets = self.packets
        cut = self.walk.end - packets.seen <= self._tail
        if not self.losses:
            return np.asarray(cut)
        lines = np.array([loss.line for loss in self.losses])
        times = np.array([-1 if loss.time is None else loss.time for loss in self.losses])
        soonest = np.minimum.accumulate(times[::-1])[::-1]
        at = np.searchsorted(lines, packets.line, side="right")
        lost = (at < len(lines)) & (soonest[np.minimum(at, len(lines) - 1)] <= packets.seen + _HIDDEN)
        return np.asarray(cut | lost)

    # --- paths --------------------------------------------------------------------------------------------------------

    @property
    def paths(self) -> Iterator[Path]:
        order = stable_order(self.packets.path + 1, len(self.walk.paths) + 1)
        begins = np.searchsorted(self.packets.path[order], np.arange(len(self.walk.paths) + 1, dtype=np.int32))
        hop_begin = np.cumsum(self.packets.hops) - self.packets.hops
        latencies = self.walk.latencies
        for path, number in self.numbers.items():
            rows = order[begins[path] : begins[path + 1]]
            yield self._path(path, number, rows, latencies, hop_begin[rows])

    def _path(self, path: int, number: int, rows: Ints, latencies: Ints, begins: Ints) -> Path:
        where = self.where[path]
        packets = self.packets
        endings: dict[Ending, int] = defaultdict(int)
        unknown = []
        for code, count in sorted(self._counted[path].items()):
            ending = self.ending(path, code)
            endings[ending] += count
            if ending.outcome is Outcome.UNKNOWN:
                unknown.append(code)
        doubtful = int(np.count_nonzero(np.isin(packets.ending[rows], unknown) & self._doubtful[rows]))
        to_next = _distributions(latencies[begins + np.arange(len(where) - 1)[:, np.newaxis]])
        stops = tuple(
            Stop(each, _DIRECTIONS[receives], latency)
            for each, (_, receives), latency in zip(where, self.walk.paths[path], [*to_next, None], strict=True)
        )
        lengths = packets.length[rows]
        lengths = lengths[lengths >= 0]
        first, last = self.walk.spans[path]
        return Path(
            number=number,
            stops=stops,
            count=sum(endings.values()),
            endings=dict(endings),
            doubtful=doubtful,
            copies=self.walk.copies[path],
            pieces=self.walk.pieces[path],
            first=first,
            last=last,
            time=_latency(packets.arrived[rows] - packets.start[rows]),
            lengths=(int(lengths.min()), int(lengths.max())) if len(lengths) else None,
            confidence=DOUBTS[int(packets.doubtful[rows].max(initial=0))],
            why=tuple(self._why(where[-1], stops[-1].direction, endings)),
        )

    def _why(self, where: Whereabouts, direction: Direction, endings: Mapping[Ending, int]) -> Iterator[StaticReason]:
        found: dict[str, StaticReason] = {}
        for ending in endings:
            for reason in self.places.reasons(where, direction, ending):
                found.setdefault(reason.text, reason)
        yield from found.values()

    # --- answers ------------------------------------------------------------------------------------------------------

    @cached_property
    def _answers(self) -> tuple[Ints, Ints]:
        """For each packet the row of the one that it answers, or -1, and whether that is in doubt."""
        ways: dict[tuple[object, ...], int] = {}
        back_of: dict[int, int] = {}
        keys = [
            mirrored(
                [((each.namespace, each.device), receives) for each, (_, receives) in zip(where, path, strict=True)]
            )
            for where, path in zip(self.where, self.walk.paths, strict=True)
        ]
        for number, (there, _) in enumerate(keys):
            if len(there) > 1:
                ways.setdefault(there, number)
        for number, (there, back) in enumerate(keys):
            if len(there) > 1 and back in ways and ways[there] == number and there != back:
                back_of[number] = ways[back]
        arrives = np.isin(self.packets.ending, [n for n, each in enumerate(_ENDINGS) if each.outcome in _ARRIVES])
        return answers(self.packets, back_of, arrives, self.walk.begin)

    def round_trips(self) -> Iterator[RoundTrips]:
        answered, doubt = self._answers
        packets = self.packets
        rows = np.flatnonzero(answered >= 0)
        asked = answered[rows]
        pairs: dict[tuple[int, int], list[int]] = defaultdict(list)
        ways = zip(packets.path[asked].tolist(), packets.path[rows].tolist(), strict=True)
        for at, (there, back) in enumerate(ways):
            pairs[self.numbers[there], self.numbers[back]].append(at)
        for (there, back), places in sorted(pairs.items()):
            mine, theirs = rows[places], asked[places]
            yield RoundTrips(
                there=there,
                back=back,
                count=len(places),
                doubtful=int(doubt[mine].sum()),
                time=_latency(packets.arrived[mine] - packets.start[theirs]),
                answering=_latency(packets.start[mine] - packets.arrived[theirs]),
            )

    # --- packets ------------------------------------------------------------------------------------------------------

    def journeys(self) -> Iterator[Journey]:
        answered, doubt = self._answers
        wholes = [*self.walk.whole_packets()]
        mine = np.flatnonzero(np.isin(self.packets.line, [whole.rows.line[0] for whole in wholes]))
        rows = zip(self.packets.line[mine].tolist(), answered[mine].tolist(), doubt[mine].tolist(), strict=True)
        asked = {line: (row, doubtful > 0) for line, row, doubtful in rows}
        for whole in wholes:
            yield self._journey(whole, asked.get(int(whole.rows.line[0]), (-1, False)))

    def _journey(self, whole: Whole, answered: tuple[int, bool]) -> Journey:
        """`answered` is the row of the packet that it answers, or -1, and whether that is in doubt."""
        rows, packets = whole.rows, self.packets
        asked, may_not_answer = answered
        steps = [self._step(whole, at) for at in range(len(rows))]
        where: Sequence[Whereabouts] = (
            self.where[whole.path] if whole.path >= 0 else [Whereabouts("")] * (int(whole.hop.max()) + 1)
        )
        in_line = [at for at in range(len(rows)) if not whole.late[at] and whole.hop[at] >= 0]
        arrived = max(int(rows.time[in_line[-1]]), int(rows.time[in_line[0]]))
        firsts = {int(whole.hop[at]): at for at in reversed(in_line)}
        hops = []
        for number in range(len(firsts)):
            mine = [at for at in range(len(rows)) if whole.hop[at] == number]
            start = int(rows.time[firsts[number]])
            after = int(rows.time[firsts[number + 1]]) if number + 1 in firsts else arrived
            hops.append(
                Hop(
                    where=where[number],
                    direction=_DIRECTIONS[bool(rows.order[firsts[number]] >= 10)],
                    start=start,
                    end=int(rows.time[mine].max()),
                    latency=max(0, after - start),
                    join=join_of(int(whole.join[firsts[number]])),
                    steps=tuple(steps[at] for at in mine),
                )
            )
        ends = [at for at in range(len(rows)) if whole.hop[at] < 0 and rows.phase[at] >= FIRST_END]
        ending = self.ending(whole.path, whole.ending)
        reason = self._reason(int(rows.reason[ends[-1]]), int(rows.location[ends[-1]])) if ends else None
        doubt = max(DOUBTS.index(join_of(int(code)).confidence) for code in whole.join)
        protocol = int(rows.protocol.max())
        start = int(rows.time[in_line[0]])
        part, made_of = self._part(whole), _pieces(whole, cut=False)
        return Journey(
            line=int(rows.line[0]),
            path=self.numbers.get(whole.path, 0),
            hops=tuple(hops),
            start=start,
            arrived=arrived,
            ending=ending,
            outcome=ending.outcome,
            ended=int(rows.time[ends[0]]) if ends else None,
            confidence=DOUBTS[doubt],
            length=_or_none(int(rows.length[in_line[0]])),
            protocol=_or_none(protocol),
            doubt=self.doubt(int(rows.line[0]), int(rows.time.max()), ending),
            drop=reason if ending is Ending.FREED else None,
            rc=whole.rc if whole.rc != NO_CODE else None,
            end_step=steps[ends[-1]] if ends else None,
            begins_midway=whole.midway and not (part and part.whole) and not made_of,
            copy_of=whole.origin or None,
            answers=int(packets.line[asked]) if asked >= 0 else None,
            round_trip=arrived - int(packets.start[asked]) if asked >= 0 else None,
            may_not_answer=may_not_answer,
            part=part,
            put_into=_put_into(whole),
            cut_into=_pieces(whole, cut=True),
            made_of=made_of,
        )

    def _part(self, whole: Whole) -> Part | None:
        """What it is a piece of; where there are several answers, the one that is known best."""
        line = int(whole.rows.line[0])
        mine = [
            (group, lines) for group, lines in whole.parts if line in lines[1:] and group.how is not Division.MERGED
        ]
        for group, lines in sorted(mine, key=lambda each: (not each[0].certain, each[0].whole < 0)):
            confidence = Confidence.HIGH if group.certain else self._confidence_by_lengths(whole)
            if confidence is not None:
                number = lines.index(line, 1)
                return Part(group.how, lines[0] or None, lines[1], number, len(lines) - 1, confidence)
        return None

    def _confidence_by_lengths(self, whole: Whole) -> Confidence | None:
        """How sure it is that a packet of such a length is a fragment: IP leaves no checksum of one to the device."""
        for line in whole.rows.line.tolist():
            left = _LEFT_TO_DEVICE.search(self.table.source.span(line).excerpt)
            if left:
                return Confidence.MEDIUM if left[1] == "0" else None
        return Confidence.LOW

    def _step(self, whole: Whole, at: int) -> Step:
        rows, reader = whole.rows, self.walk.reader
        return Step(
            event=reader.events[int(rows.event[at])],
            time=int(rows.time[at]),
            line=int(rows.line[at]),
            cpu=_or_none(int(rows.cpu[at])),
            pid=_or_none(int(rows.pid[at])),
            task=reader.tasks.texts[int(rows.task[at])],
            length=_or_none(int(rows.length[at])),
            rc=int(rows.rc[at]) if reader.events[int(rows.event[at])] == "net_dev_xmit" else None,
        )

    # --- drops --------------------------------------------------------------------------------------------------------

    def _reason(self, reason: int, place: int) -> Reason:
        reader = self.walk.reader
        printed, freed_at = reader.reasons.texts[reason], reader.places.texts[place]
        return reason_of(printed, freed_at, self.host.kernel, self.host.traces.drop_reasons)

    def drops(self) -> Iterator[Drop]:
        """The drops, those that matter first, then by their numbers; what never was on a network comes last of each."""
        found = [self._drop(key) for key in self.walk.drops]
        yield from sorted(
            found, key=lambda drop: (drop.reason.benign, _is_local(drop), -drop.count, drop.first, drop.lines)
        )

    def _drop(self, key: tuple[int, int, int, int, int, int]) -> Drop:
        reason, place, device, _, path, protocol = key
        counted, reader = self.walk.drops[key], self.walk.reader
        where = None
        if device >= 0:
            where = self.where[path][-1] if path >= 0 else Whereabouts(reader.devices.texts[device])
        return Drop(
            reason=self._reason(reason, place),
            printed=reader.reasons.texts[reason],
            location=reader.places.texts[place],
            where=where,
            path=self.numbers[path] if path >= 0 else None,
            protocol=_or_none(protocol),
            count=counted.count,
            first=counted.first,
            last=counted.last,
            lines=counted.lines,
        )


def _is_local(drop: Drop) -> bool:
    """Whether it has no protocol and was on no device, as what local sockets (Unix, netlink) have to say."""
    return drop.protocol == 0 and drop.where is None


def _pieces(whole: Whole, *, cut: bool) -> tuple[int, ...]:
    """The lines of the pieces into which a packet was cut, or of which it was made."""
    line, last = int(whole.rows.line[0]), int(whole.rows.line[(whole.hop >= 0) & ~whole.late].max())
    return next((lines[1:] for _, lines in whole.parts if lines[0] == line and (lines[1] > last) is cut), ())


def _put_into(whole: Whole) -> int | None:
    """The line of the packet of which GRO made it a part."""
    line = int(whole.rows.line[0])
    return next((of for group, (of, *rest) in whole.parts if group.how is Division.MERGED and line in rest), None)


#: Of `net_dev_start_xmit`: 0 where nothing is left for the device to sum up (include/linux/skbuff.h, CHECKSUM_NONE).
_LEFT_TO_DEVICE = re.compile(r"\bip_summed[:=] ?(\d+)")

_ARRIVES = (Outcome.DELIVERED, Outcome.RECEIVED)


def _latency(values: Ints) -> Latency:
    """The distribution of some times."""
    return _distributions(values[np.newaxis])[0]


def _distributions(values: Ints) -> list[Latency]:
    """The distribution of the times of each row; the percentiles are those of the nearest rank, so that they are real
    values.
    """
    rows, count = values.shape
    if not count:
        return [Latency(0, 0, 0, 0, 0)] * rows
    ranks = [0, (count - 1) // 2, -(-99 * count // 100) - 1, count - 1]
    return [Latency(count, *found) for found in np.sort(values)[:, ranks].tolist()]
