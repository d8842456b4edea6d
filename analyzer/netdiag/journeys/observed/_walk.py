"""Through a trace, batch by batch: packets that are over are counted and let go, those that may go on are kept.

What stays of a packet is one row of numbers; whole packets stay only of the first ones, of each path a few, the
slowest, and some of those that did not arrive.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from netdiag.formats.records import KernelFunction
from netdiag.journeys.observed._events import ENDING_OF_PHASE, FIRST_END, FIRST_RECEIVING, Phase
from netdiag.journeys.observed._join import (
    BUSY,
    DOUBT,
    REMEMBERED,
    Ints,
    Joined,
    Mask,
    Rows,
    Wiring,
    join,
    outer_first,
    pair_of,
    stable_order,
)
from netdiag.journeys.observed._parts import Group, groups
from netdiag.journeys.observed._read import Reader, counts
from netdiag.journeys.observed.facts import Ending
from netdiag.traces import Columns, numbered

#: Packets of which a row of numbers is kept, for distributions and answers. More are only counted.
MOST_PACKETS = 3_000_000
#: Paths that are kept apart: a trace of noise has no two alike.
MOST_PATHS = 5_000
#: Packets that are kept whole, by what they are kept for; of a path, and of each way to get lost on it, only a few.
MOST_KEPT = {"first": 60, "path": 120, "lost": 120, "slow": 20}
KEPT_OF_EACH = 2
#: Rows of packets that may go on. Only a trace that names a new address all the time comes to so many.
_MOST_OPEN = 1_000_000
_OPEN_SENDING = 1_000_000_000
#: Rows at the end of a batch whose packets wait for the next one: pieces of a packet follow each other that closely.
_PIECES_APART = 1_000
#: New rows that are worth a round of joining.
_ENOUGH = 50_000

_ENDINGS = list(Ending)
_ENDING_CODE = {ending: number for number, ending in enumerate(_ENDINGS)}
_BY_PHASE = np.array([_ENDING_CODE[ENDING_OF_PHASE[phase]] for phase in ENDING_OF_PHASE], dtype=np.int8)
_LOST = [_ENDING_CODE[each] for each in Ending if each.outcome.value in ("unknown", "dropped")]

#: One hop of a path: the number of the device, and whether it receives.
PathHop = tuple[int, bool]
Path = tuple[PathHop, ...]


def ending_of(code: int) -> Ending:
    return _ENDINGS[code]


@dataclass
class Packets:
    """A row of each packet. `origin` is the line of the packet that it is a copy of, or 0; `ended` and `rc` -1 where
    there is none; `seen` the time of its last event. `hops` are the numbers of its hops; `piece` is 1 where it surely
    is a piece of another.
    """

    line: Ints
    path: Ints
    start: Ints
    arrived: Ints
    seen: Ints
    ended: Ints
    ending: Ints
    length: Ints
    protocol: Ints
    doubtful: Ints
    origin: Ints
    hops: Ints
    piece: Ints

    def __len__(self) -> int:
        return len(self.line)

    @classmethod
    def together(cls, parts: "Iterable[Packets]") -> "Packets":
        kept = [*parts]
        empty = np.zeros(0, dtype=np.int64)
        return cls(*(np.concatenate([getattr(part, each.name) for part in kept] or [empty]) for each in fields(cls)))


@dataclass(frozen=True)
class Whole:
    """A packet that is kept with all its events. `hop` numbers the hop of each row, -1 for what comes after them;
    `late` marks the rows of `net_dev_xmit`, `origin` is the line of the packet that it is a copy of, or 0. `parts` are
    the groups of pieces to which it belongs, each with the lines at which the whole (or 0) and the pieces begin.
    """

    rows: Rows
    hop: Ints
    join: Ints
    late: Mask
    path: int
    ending: int
    rc: int
    origin: int
    midway: bool
    parts: tuple[tuple[Group, tuple[int, ...]], ...]


@dataclass
class _DropCount:
    count: int = 0
    first: int = 0
    last: int = 0
    lines: tuple[int, ...] = ()


_MOST_LINES = 5
_MOST_DROPS = 1_000

#: A drop by reason, place, device and direction of the last hop (device -1: none), path (-1: none) and protocol.
DropKey = tuple[int, int, int, int, int, int]


class Walk:
    """What a walk through a trace has found so far."""

    def __init__(
        self,
        uppers: Iterable[tuple[str, str]],
        veths: Iterable[tuple[str, str]],
        namespaces: Mapping[str, Set[str]],
        mtus: Mapping[str, Set[int]],
        is_used_up: Callable[[str, str], bool],
        drop_reasons: Mapping[int, str] | None,
        functions: Mapping[int, KernelFunction],
    ) -> None:
        """`is_used_up` tells of the reason and the place of a `kfree_skb` whether the packet had done its duty;
        `drop_reasons` are the names of the numbers of reasons, if the kernel listed them, and `functions` those of the
        addresses of places.
        """
        self.reader = Reader(drop_reasons, functions)
        self._is_used_up = cache(is_used_up)
        within = {self.reader.devices.number(name): found for name, found in namespaces.items()}
        sends = {self.reader.devices.number(name): found for name, found in mtus.items()}
        self.wiring = Wiring(self.reader.pairs(uppers), self.reader.pairs(veths), within, sends)
        self.recorded: Counter[str] = Counter()
        self.events, self.begin, self.end = 0, -1, -1
        self.paths: list[Path] = []
        self.endings: Counter[tuple[int, int]] = Counter()
        self.copies: Counter[int] = Counter()
        self.pieces: Counter[int] = Counter()
        self.spans: dict[int, tuple[int, int]] = {}
        self.not_in_paths = 0
        self.whole: list[Whole] = []
        self.drops: dict[DropKey, _DropCount] = {}
        self._parts: list[Packets] = []
        self._latencies: list[Ints] = []
        self._kept_packets = 0
        self._numbers: dict[int, int] = {}
        self._whole_of: Counter[tuple[int, int]] = Counter()
        self._slowest: dict[int, int] = {}
        self._kept_for: Counter[str] = Counter()
        self._kept_lines: set[int] = set()
        self._new: list[Rows] = []
        self._still_open = 0

    @property
    def packets(self) -> Packets:
        return Packets.together(self._parts)

    @property
    def latencies(self) -> Ints:
        """The times from hop to hop, of all packets in their order; the last hop of each has -1."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *self._latencies])

    def add(self, batch: Columns) -> None:
        self.events += len(batch)
        self.recorded.update(counts(batch))
        times = batch["time"]
        times = times[times >= 0]
        if len(times):
            self.begin = int(times.min()) if self.begin < 0 else min(self.begin, int(times.min()))
            self.end = max(self.end, int(times.max()))
        self._new.append(self.reader.read(batch))
        # never many times the same open rows for a few new ones
        if sum(map(len, self._new)) >= self._still_open + max(_ENOUGH, self._still_open):
            self._join(finish=False)

    def finish(self) -> None:
        """Take what is still open for over."""
        if self._new:
            self._join(finish=True)

    def _join(self, *, finish: bool) -> None:
        rows = outer_first(Rows.together(self._new), self.wiring)
        self._new = []
        if not len(rows):
            return
        joined = join(rows, self.wiring, self.reader.waits())
        found = groups(rows, joined, self.wiring.mtus)
        over = np.ones(len(rows), dtype=bool) if finish else ~self._may_go_on(rows, joined, found)
        self._new = [rows.take(np.flatnonzero(~over))]
        self._still_open = len(self._new[0])
        self._count(rows, joined, over, found)

    def _may_go_on(self, rows: Rows, joined: Joined, found_groups: list[Group]) -> Mask:
        """Rows of packets to which the next batch may add something."""
        now = int(rows.time.max())
        packets = int(joined.packet.max()) + 1
        goes_on = np.zeros(packets, dtype=bool)
        last = joined.last_of_address
        goes_on[joined.packet[last[rows.phase[last] < Phase.FREED]]] = True
        sends = Phase.START if self.recorded["net_dev_start_xmit"] else Phase.QUEUE
        unsent = (rows.phase == sends) & (joined.sent < 0) & (now - rows.time <= _OPEN_SENDING)
        if self.recorded["net_dev_xmit"]:
            goes_on[joined.packet[unsent]] = True
        latest = np.zeros(packets, dtype=np.int64)
        np.maximum.at(latest, joined.packet, rows.time)
        goes_on &= now - latest <= REMEMBERED
        goes_on[joined.packet[-_PIECES_APART:]] = True
        _hold_together(goes_on, found_groups, [_is_cut(rows, joined, group) for group in found_groups])
        found = goes_on[joined.packet]
        if np.count_nonzero(found) > _MOST_OPEN:
            found &= joined.packet >= np.sort(joined.packet[found])[-_MOST_OPEN]
        return np.asarray(found | _returns_after(rows, joined, found))

    def _count(self, rows: Rows, joined: Joined, over: Mask, found: list[Group]) -> None:
        hops = _hops(rows, joined, over)
        if not len(hops.first):
            self._note_drops(rows, hops, None)
            return
        path = self._path_numbers(rows, hops)
        packets = self._packets(rows, joined, hops, path, found)
        self._tally(packets)
        self._note_drops(rows, hops, packets)
        self._keep(rows, joined, hops, packets, _by_packet(found))
        room = max(0, MOST_PACKETS - self._kept_packets)
        if len(packets) <= room:
            self._parts.append(packets)
            self._latencies.append(hops.latency)
            self._kept_packets += len(packets)

    # --- the parts of a packet ----------------------------------------------------------------------------------------

    def _path_numbers(self, rows: Rows, hops: "_Hops") -> Ints:
        """The number of each packet's path, -1 beyond the most."""
        receives = rows.phase[hops.start] >= FIRST_RECEIVING
        codes = (rows.device[hops.start] << 1) | receives
        place = np.arange(len(codes)) - np.repeat(hops.first_hop, hops.number)
        hashes = np.add.reduceat(_mixed(codes, place), hops.first_hop)
        distinct, index, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        numbers = np.full(len(distinct), -1, dtype=np.int32)
        for at in np.argsort(index, kind="stable"):
            code = int(distinct[at])
            number = self._numbers.get(code)
            if number is None and len(self.paths) < MOST_PATHS:
                first = hops.first_hop[index[at]]
                span = slice(first, first + hops.number[index[at]])
                number = self._numbers[code] = len(self.paths)
                self.paths.append(tuple((int(each >> 1), bool(each & 1)) for each in codes[span]))
            numbers[at] = -1 if number is None else number
        return np.asarray(numbers[inverse])

    def _packets(self, rows: Rows, joined: Joined, hops: "_Hops", path: Ints, found: list[Group]) -> Packets:
        ending = self._endings(rows, hops)
        cut = [group.whole for group in found if _is_cut(rows, joined, group)]
        ending[np.isin(hops.packet, cut)] = _ENDING_CODE[Ending.CUT]
        pieces = [piece for group in found if group.certain for piece in group.pieces]
        return Packets(
            line=rows.line[hops.first],
            path=path,
            start=rows.time[hops.first],
            # a bridge that stands before its port returns after it
            arrived=np.maximum(rows.time[hops.arrival], rows.time[hops.first]),
            seen=rows.time[hops.last],
            ended=np.where(hops.end >= 0, rows.time[hops.end], -1),
            ending=ending,
            length=rows.length[hops.first],
            protocol=hops.protocol,
            doubtful=hops.doubtful,
            origin=np.where(joined.origin[hops.first] >= 0, _line_of_origin(rows, joined, hops), 0),
            hops=hops.number.astype(np.int32),
            piece=np.isin(hops.packet, pieces).astype(np.int8),
        )

    def _endings(self, rows: Rows, hops: "_Hops") -> Ints:
        ending = _BY_PHASE[rows.phase[hops.last]].copy()
        sends = rows.phase[hops.arrival] <= Phase.SENT
        rc = hops.rc
        unended = rows.phase[hops.last] < FIRST_END
        sent = sends & unended & (rc != NO_CODE)
        if not self.recorded["net_dev_xmit"]:
            sent |= unended & (rows.phase[hops.last] == Phase.START)
        ending[sent] = _ENDING_CODE[Ending.SENT]
        ending[sent & (rc == BUSY)] = _ENDING_CODE[Ending.QUEUED]
        refused = sent & (rc != 0) & (rc != BUSY) & (rc != NO_CODE)
        ending[refused] = _ENDING_CODE[Ending.REFUSED]
        # a driver that has sent a packet frees it
        ending[sends & (rows.phase[hops.last] == Phase.FREED)] = _ENDING_CODE[Ending.SENT]
        freed = sends & (rows.phase[hops.last] == Phase.DROPPED) & (rc == 0)
        freed &= np.isin(rows.reason[hops.last], [self.reader.reasons.number(name) for name in _NO_REASONS])
        ending[freed] = _ENDING_CODE[Ending.SENT]
        dropped = np.flatnonzero(ending == _ENDING_CODE[Ending.FREED])
        ending[dropped[self._used_up(rows, hops.last[dropped])]] = _ENDING_CODE[Ending.CONSUMED]
        ending[hops.copied] = _ENDING_CODE[Ending.COPIED]
        return ending

    def _used_up(self, rows: Rows, dropped: Ints) -> Mask:
        reasons, places = self.reader.reasons.texts, self.reader.places.texts
        pairs, inverse = np.unique(pair_of(rows.reason[dropped], rows.location[dropped]), return_inverse=True)
        used = [self._is_used_up(reasons[each >> 32], places[each & 0xFFFFFFFF]) for each in pairs.tolist()]
        return np.array(used, dtype=bool)[inverse]

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _tally(self, packets: Packets) -> None:
        pairs, number = np.unique(packets.path * len(_ENDINGS) + packets.ending, return_counts=True)
        for pair, count in zip(pairs.tolist(), number.tolist(), strict=True):
            path, ending = divmod(pair, len(_ENDINGS))
            if path < 0:
                self.not_in_paths += count
            else:
                self.endings[path, ending] += count
        for path, count in zip(*np.unique(packets.path[packets.origin > 0], return_counts=True), strict=True):
            self.copies[int(path)] += int(count)
        for path, count in zip(*np.unique(packets.path[packets.piece > 0], return_counts=True), strict=True):
            self.pieces[int(path)] += int(count)
        known = np.flatnonzero(packets.path >= 0)
        first, last = np.full(len(self.paths), np.iinfo(np.int64).max), np.full(len(self.paths), -1)
        np.minimum.at(first, packets.path[known], packets.start[known])
        np.maximum.at(last, packets.path[known], packets.start[known])
        for path in np.flatnonzero(last >= 0).tolist():
            begin, end = self.spans.get(path, (int(first[path]), int(last[path])))
            self.spans[path] = min(begin, int(first[path])), max(end, int(last[path]))

    def _note_drops(self, rows: Rows, hops: "_Hops", packets: Packets | None) -> None:
        if not len(hops.dropped):
            return
        owner = hops.owner_of_drop
        known = owner >= 0
        device, direction, on_path = (np.full(len(owner), -1) for _ in range(3))
        if packets is not None and known.any():
            known &= packets.ending[owner] != _ENDING_CODE[Ending.SENT]
            mine = owner[known]
            device[known] = rows.device[hops.arrival[mine]]
            direction[known] = rows.phase[hops.arrival[mine]] >= FIRST_RECEIVING
            on_path[known] = packets.path[mine]
            sent = (owner >= 0) & ~known
        else:
            sent = np.zeros(len(owner), dtype=bool)
        at = hops.dropped
        columns = (rows.reason[at], rows.location[at], device, direction, on_path, rows.protocol[at])
        order = np.lexsort(columns)
        order = order[np.flatnonzero(~sent[order])]
        begins = np.logical_or.reduce([_changes(column[order]) for column in columns])
        alike = np.split(order, np.flatnonzero(begins)[1:]) if len(order) else []
        for these in sorted(alike, key=lambda those: int(those[0])):
            reason, place, *rest = (int(column[these[0]]) for column in columns)
            self._note((reason, place, rest[0], rest[1], rest[2], rest[3]), rows, at[these])

    def _note(self, key: DropKey, rows: Rows, at: Ints) -> None:
        if key not in self.drops and len(self.drops) >= _MOST_DROPS:
            key = (*key[:2], -1, -1, -1, -1)
        found = self.drops.setdefault(key, _DropCount(first=int(rows.time[at[0]])))
        found.count += len(at)
        found.first = min(found.first, int(rows.time[at].min()))
        found.last = max(found.last, int(rows.time[at].max()))
        found.lines = tuple(sorted((*found.lines, *np.sort(rows.line[at])[:_MOST_LINES].tolist()))[:_MOST_LINES])

    def _keep(
        self, rows: Rows, joined: Joined, hops: "_Hops", packets: Packets, found: Mapping[int, list[Group]]
    ) -> None:
        """Keep some packets whole: the first of all, of each path, and of each way to get lost; the slowest."""
        wanted = [why for why, most in MOST_KEPT.items() if self._kept_for[why] < most]
        if not wanted:
            return
        order = np.argsort(packets.start, kind="stable")
        for why in wanted:
            for at in _candidates(why, packets, order).tolist():
                if self._kept_for[why] >= MOST_KEPT[why]:
                    break
                whole = self._keep_one(why, rows, joined, hops, packets, at)
                if whole is not None:
                    number = int(hops.packet[at])
                    self.whole.append(replace(whole, parts=_with_lines(rows, joined, found.get(number, []))))

    def _keep_one(self, why: str, rows: Rows, joined: Joined, hops: "_Hops", packets: Packets, at: int) -> Whole | None:
        line, path, took = int(packets.line[at]), int(packets.path[at]), int(packets.arrived[at] - packets.start[at])
        key = (path, int(packets.ending[at]) if why == "lost" else -1)
        enough = why in ("path", "lost") and self._whole_of[key] >= KEPT_OF_EACH
        if line in self._kept_lines or enough or (why == "slow" and took <= self._slowest.get(path, -1)):
            return None
        self._kept_lines.add(line)
        self._kept_for[why] += 1
        for counted in ((path, -1), (path, int(packets.ending[at]))):
            self._whole_of[counted] += 1
        self._slowest[path] = max(took, self._slowest.get(path, -1))
        return self._whole(rows, joined, hops, packets, at)

    def _whole(self, rows: Rows, joined: Joined, hops: "_Hops", packets: Packets, at: int) -> Whole:
        number = hops.packet[at]
        mine = np.flatnonzero(joined.packet == number)
        first = rows.phase[hops.first[at]]
        known = np.union1d(self.wiring.sides, self.wiring.uppers)
        midway = first in (Phase.START, Phase.SENT) and bool(self.recorded["net_dev_queue"])
        midway |= bool(first == Phase.RECEIVE and rows.device[hops.first[at]] in known)
        return Whole(
            rows=rows.take(mine),
            hop=hops.hop_of_row[mine] - hops.first_hop[at],
            join=joined.join[mine],
            late=joined.begun[mine] >= 0,
            path=int(packets.path[at]),
            ending=int(packets.ending[at]),
            rc=int(hops.rc[at]),
            origin=int(packets.origin[at]),
            midway=midway and not packets.origin[at],
            parts=(),
        )

    def whole_packets(self) -> Iterator[Whole]:
        """The packets that were kept whole, in the order of their first events."""
        return iter(sorted(self.whole, key=lambda whole: int(whole.rows.line[0])))


# --- pieces -----------------------------------------------------------------------------------------------------------


def _is_cut(rows: Rows, joined: Joined, group: Group) -> bool:
    """Whether the whole of a group was cut into its pieces, and was not put together of them."""
    return group.whole >= 0 and bool(rows.line[joined.last[group.whole]] < rows.line[joined.first[group.pieces[0]]])


def _by_packet(found: Iterable[Group]) -> Mapping[int, list[Group]]:
    """The groups to which each packet belongs."""
    by_packet: dict[int, list[Group]] = defaultdict(list)
    for group in found:
        for packet in {group.whole, *group.pieces} - {-1}:
            by_packet[packet].append(group)
    return by_packet


def _with_lines(rows: Rows, joined: Joined, found: Iterable[Group]) -> tuple[tuple[Group, tuple[int, ...]], ...]:
    def line(packet: int) -> int:
        return int(rows.line[joined.first[packet]]) if packet >= 0 else 0

    return tuple((group, (line(group.whole), *map(line, group.pieces))) for group in found)


def _hold_together(goes_on: Mask, found: Sequence[Group], is_cut: Sequence[bool]) -> None:
    """A group is over as one. What was cut goes no further by itself, nor do pieces that were put together."""
    members = [[each for each in (group.whole, *group.pieces) if each >= 0] for group in found]
    for group, cut, packets in zip(found, is_cut, members, strict=True):
        if group.whole >= 0:
            goes_on[packets] = goes_on[[*group.pieces] if cut else [group.whole]].any()
    for packets in reversed(members):
        goes_on[packets] = goes_on[packets].any()


def _returns_after(rows: Rows, joined: Joined, kept: Mask) -> Mask:
    """The rows that tell that the call in which a row that is kept was received is done with."""
    order = joined.orders.by_place
    returned = np.flatnonzero(rows.phase[order] == Phase.RETURNED)
    until = np.cumsum(kept[order])[returned]
    found = np.zeros(len(rows), dtype=bool)
    found[order[returned[np.diff(until, prepend=0) > 0]]] = True
    return found


NO_CODE = -(2**31) - 1
#: The reasons of a driver that frees what it has sent as if it had dropped it.
_NO_REASONS = ("", "NOT_SPECIFIED", "2", "1")


def _line_of_origin(rows: Rows, joined: Joined, hops: "_Hops") -> Ints:
    """The first line of the packet that a packet is a copy of."""
    return np.asarray(rows.line[joined.first[joined.packet[joined.origin[hops.first]]]])


def _candidates(why: str, packets: Packets, order: Ints) -> Ints:
    """The packets that may be kept whole for a reason of `MOST_KEPT`, in this order."""
    if why == "first":
        return order[: MOST_KEPT["first"]]
    if why == "path":
        return order[_ranks(packets.path[order]) < KEPT_OF_EACH]
    if why == "lost":
        lost = order[np.isin(packets.ending[order], _LOST)]
        return lost[_ranks(packets.path[lost] * len(_ENDINGS) + packets.ending[lost]) < KEPT_OF_EACH]
    took = (packets.arrived - packets.start)[order]
    return order[np.sort(np.argsort(-took, kind="stable")[: MOST_KEPT["slow"]])]


def _ranks(values: Ints) -> Ints:
    """Of each value how often it was there before."""
    codes, distinct = numbered(values)
    order = stable_order(codes, len(distinct))
    begins = np.flatnonzero(_changes(codes[order]))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    return ranks


@dataclass
class _Hops:
    """The hops of the packets that are over, packet after packet.

    Of each packet: `packet` its number in the rows joined, `first` its first row, `arrival` the last row of a device,
    `last` its last row, `end` the first row after its hops (or -1), `first_hop` and `number` of its hops, `protocol`,
    `doubtful` how much in doubt a join is, `copied` whether a process read it, `rc` what the last device answered to
    the sending (`NO_CODE` where the trace does not show it). Of each hop: `start`, its first row, and `latency` to the
    next one (-1 for the last). `devices` are the rows of the hops, `hop` the hop of each, `begun` that of `Joined`.

    `dropped` are the rows of `kfree_skb`, `owner_of_drop` the place of their packets in the columns above, or -1.
    """

    packet: Ints
    first: Ints
    arrival: Ints
    last: Ints
    end: Ints
    first_hop: Ints
    number: Ints
    protocol: Ints
    doubtful: Ints
    copied: Mask
    start: Ints
    latency: Ints
    devices: Ints
    hop: Ints
    begun: Ints
    rc: Ints
    dropped: Ints
    owner_of_drop: Ints

    @cached_property
    def hop_of_row(self) -> Ints:
        """The hop of each row, -1 for rows that belong to none."""
        found = np.full(len(self.begun), -1)
        found[self.devices] = self.hop
        late = np.flatnonzero(self.begun >= 0)
        found[late] = found[self.begun[late]]
        return found


def _changes(values: "np.ndarray[Any, Any]") -> Mask:
    """Whether each value is another one than that before it; the first one is."""
    found = np.ones(len(values), dtype=bool)
    found[1:] = values[1:] != values[:-1]
    return found


def _hops(rows: Rows, joined: Joined, over: Mask) -> _Hops:
    in_line = joined.in_line[np.flatnonzero(over[joined.in_line])]
    packet = joined.packet[in_line]
    on_way = rows.phase[in_line] < FIRST_END
    at = np.flatnonzero(on_way)
    devices, owner = in_line[at], packet[at]
    begins = _changes(owner)
    changes = begins | _changes(rows.device[devices]) | _changes(rows.phase[devices] >= FIRST_RECEIVING)
    hop = np.cumsum(changes) - 1
    start = devices[np.flatnonzero(changes)]
    begin_at = np.flatnonzero(begins)
    first_hop = hop[begin_at] if len(devices) else np.zeros(0, dtype=np.int64)
    number = np.diff(np.append(first_hop, len(start)))
    packets = owner[begin_at]
    ends_at = np.append(begin_at[1:], len(devices)) - 1 if len(devices) else np.zeros(0, dtype=np.int64)
    place = np.full(int(joined.packet.max()) + 1 if len(rows) else 0, -1)
    place[packets] = np.arange(len(packets))

    latency = np.full(len(start), -1)
    if len(start) > 1:
        latency[:-1] = np.maximum(0, np.diff(rows.time[start]))
        latency[first_hop[1:] - 1] = -1

    at = np.flatnonzero(~on_way)
    after, owner_after = in_line[at], place[packet[at]]
    count = len(packets)
    end, last = np.full(count, -1), devices[ends_at].copy()
    mine = owner_after >= 0
    end[owner_after[mine][::-1]] = after[mine][::-1]  # the first of each wins
    last[owner_after[mine]] = after[mine]
    copied = np.zeros(count, dtype=bool)
    copied[owner_after[mine & (rows.phase[after] == Phase.COPIED)]] = True
    group = np.flatnonzero(_changes(packet))
    whose = place[packet[group]] >= 0
    protocol = np.maximum.reduceat(rows.protocol[in_line], group)[whose] if count else np.zeros(0, dtype=np.int64)
    doubtful = np.maximum.reduceat(DOUBT[joined.join[in_line]], group)[whose] if count else protocol
    dropped = rows.phase[after] == Phase.DROPPED
    arrival = devices[ends_at]
    own, returned = rows.phase[arrival] == Phase.SENT, joined.sent[arrival]
    return _Hops(
        packet=packets,
        first=devices[begin_at],
        arrival=arrival,
        last=last,
        end=end,
        first_hop=first_hop,
        number=number,
        protocol=protocol,
        doubtful=doubtful,
        copied=copied,
        start=start,
        latency=latency,
        devices=devices,
        hop=hop,
        begun=joined.begun,
        rc=np.where(own, rows.rc[arrival], np.where(returned >= 0, rows.rc[returned], NO_CODE)),
        dropped=after[dropped],
        owner_of_drop=owner_after[dropped],
    )


_UINT64: Any = np.uint64


def _mixed(codes: Ints, place: Ints) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """A number for each hop at its place that hardly any other has (splitmix64 of Steele, Lea and Flood)."""
    with np.errstate(over="ignore"):
        mixed = codes.astype(np.uint64) * _UINT64(0x9E3779B97F4A7C15) + place.astype(np.uint64) * _UINT64(
            0xD1B54A32D192ED03
        )
        mixed = (mixed ^ (mixed >> _UINT64(30))) * _UINT64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> _UINT64(27))) * _UINT64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> _UINT64(31)))
