"""Which events belong to the same packet: all rows of a trace at once, with numpy.

An skb address names a packet only until the skb is freed, which most traces do not show; then the kernel gives it to
the next packet that needs one. So two events of one address that follow each other are one packet only if the second is
what the kernel does next with it: on the same device a later step, from device to device within the same call (the
same CPU and task, at once), with the length that fits. Whatever does not fit begins a new packet. A join that is missed
shows as a packet that goes no further; a wrong one would show a way that no packet took.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from netdiag.finding import Confidence
from netdiag.journeys.observed._events import FIRST_END, FIRST_RECEIVING, Phase
from netdiag.journeys.observed.facts import Join
from netdiag.traces import numbered

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.signedinteger[Any]]]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

_MICROSECOND, _MILLISECOND, _SECOND = 1_000, 1_000_000, 1_000_000_000

# A limit in time stands only where the trace does not show what would end a packet's life, and it is long: what tells
# is which step comes next, on which device, CPU and task. Where a slow machine makes each step long, limits grow with
# the time of a step.

#: One call chain of the kernel passes a packet on within this time or so many steps, as long as nothing interrupts it
#: for long; where the trace shows when a call returns, that counts instead.
_AT_ONCE = 1 * _MILLISECOND
_STEPS_AT_ONCE = 500
#: What was received is sent on within so many times the time of a step; a program that reads it and sends as much takes
#: longer, and may do so as the very task in which it was received. With something else between, half of it.
_STEPS_TO_FORWARD = 20
_LEAST_TO_FORWARD = 20 * _MICROSECOND
#: Nobody sees when the address of what waits in a socket is given to another packet: it is taken for the same so long.
_WAITING = 1 * _SECOND
#: What waits for its device, in a queue or in the backlog of a CPU, or for a neighbour keeps its address meanwhile.
REMEMBERED = 100 * _SECOND
#: A clock that steps back by more is that of another recording.
_JITTER = 1 * _MILLISECOND

ETHERNET_HEADER = 14
#: An Ethernet header with a VLAN tag.
_LONGEST_HEADER = 18
#: What is put before a packet that is sent on: nothing by a tun device, a header by the others.
_HEADERS = (0, ETHERNET_HEADER, _LONGEST_HEADER)
#: What tunnels put around a packet: at most so much.
_ENCAPSULATION = 120
_VLAN_TAG = 4
#: A request for a neighbour's address as it is sent, and what tells one as it is received: ARP (RFC 826), maybe filled
#: up to the least frame of Ethernet, and neighbour solicitation and advertisement (RFC 4861).
_ASKS = (ETHERNET_HEADER + 28, ETHERNET_HEADER + 72)
_TELLS = (28, 46, 64, 72)

_JOINS = list(Join)
CODE = {join: number for number, join in enumerate(_JOINS)}
#: By the code of a join how much in doubt it is: not, somewhat, or more than that.
DOUBTS = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)
DOUBT = np.array([DOUBTS.index(join.confidence) for join in _JOINS])


def join_of(code: int) -> Join:
    return _JOINS[code]


@dataclass
class Rows:
    """Events of packets as columns, in the order of the source. `task`, `device`, `event`, `reason` and `location` are
    numbers of texts; device 0 is one that is not told.

    `line`, `time`, `length` and `rc`, with which one calculates, have 64 bits; what is only compared may have fewer.
    """

    line: Ints
    time: Ints
    cpu: Ints
    pid: Ints
    task: Ints
    event: Ints
    phase: Ints
    order: Ints
    device: Ints
    skb: "np.ndarray[Any, np.dtype[np.uint64]]"
    length: Ints
    rc: Ints
    reason: Ints
    location: Ints
    protocol: Ints

    def __len__(self) -> int:
        return len(self.line)

    def take(self, rows: Ints) -> "Rows":
        return Rows(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def together(cls, parts: "Sequence[Rows]") -> "Rows":
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


class Wiring:
    """Pairs of devices, by their numbers: what the model knows, and what the trace itself has shown so far.

    `upper` are pairs of a device and one below it (a bridge and its port), `veths` pairs of ends, both ways around.
    `entered` are devices that packets enter from outside of the machine's stack, which no bridge is. `namespaces` are
    those in which there is a device of that name, `mtus` what devices of that name send at most.
    """

    def __init__(
        self,
        upper: Iterable[tuple[int, int]] = (),
        veths: Iterable[tuple[int, int]] = (),
        namespaces: Mapping[int, Set[str]] | None = None,
        mtus: Mapping[int, Set[int]] | None = None,
    ) -> None:
        self._namespaces = namespaces or {}
        self.mtus = mtus or {}
        self.upper = _pairs(upper)
        self.known_veths = _pairs(veths)
        self.veths = self.known_veths
        self.entered = np.zeros(0, dtype=np.int64)

    @property
    def uppers(self) -> Ints:
        return np.unique(self.upper >> 32)

    def lead_on(self, one: Ints, other: Ints) -> Mask:
        """Whether what a container's end of a veth has sent may be sent next by another device: by a port of the same
        bridge, or by one with an end of its own in the bridge's namespace.
        """
        ends: dict[int, list[int]] = defaultdict(list)
        for pair in self.known_veths.tolist():
            ends[pair >> 32].append(pair & 0xFFFFFFFF)
        uppers = {*self.uppers.tolist()}
        pairs, inverse = np.unique(pair_of(one, other), return_inverse=True)
        found = []
        for pair in pairs.tolist():
            left, right = pair >> 32, pair & 0xFFFFFFFF
            peers = np.array([each for each in ends[left] if each != right], dtype=np.int64)
            same = np.full(len(peers), right)
            beside = self.are_ports_of_one(peers, same)
            beyond = self.may_be_together(peers, same) & (right not in ends) & (right in self._namespaces)
            found.append(left != right and right not in uppers and bool(np.any(beside | beyond)))
        return np.array(found, dtype=bool)[inverse]

    def are_ports_of_one(self, one: Ints, other: Ints) -> Mask:
        """Whether two devices are below the same upper one."""
        above: dict[int, set[int]] = defaultdict(set)
        for pair in self.upper.tolist():
            above[pair & 0xFFFFFFFF].add(pair >> 32)
        pairs, inverse = np.unique(pair_of(one, other), return_inverse=True)
        same = [
            left != right and not above[left].isdisjoint(above[right])
            for left, right in ((pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist())
        ]
        return np.array(same, dtype=bool)[inverse]

    @property
    def sides(self) -> Ints:
        """The devices that have another end."""
        return np.unique(self.veths >> 32)

    def learn_upper(self, upper: Ints, below: Ints) -> None:
        told = (upper > 0) & (below > 0)  # a device without a name shows nothing
        self.upper = np.union1d(self.upper, np.unique(pair_of(upper[told], below[told])))

    def learn_veths(self, one: Ints, other: Ints) -> None:
        told = (one > 0) & (other > 0)
        pairs = np.unique(pair_of(one[told], other[told]))
        self.veths = np.union1d(self.veths, np.concatenate([pairs, pairs >> 32 | (pairs & 0xFFFFFFFF) << 32]))

    def may_be_together(self, one: Ints, other: Ints) -> Mask:
        """Whether two devices may be in one namespace: the model has one with both, or does not know one of them."""
        pairs, inverse = np.unique(pair_of(one, other), return_inverse=True)
        known = ((self._namespaces.get(each >> 32), self._namespaces.get(each & 0xFFFFFFFF)) for each in pairs.tolist())
        return np.array([not a or not b or bool(a & b) for a, b in known], dtype=bool)[inverse]

    def learn_entered(self, devices: Ints) -> None:
        self.entered = np.union1d(self.entered, devices)


def pair_of(one: Ints, other: Ints) -> Ints:
    """Two numbers of texts as one."""
    return (one.astype(np.int64) << 32) | other.astype(np.int64)


def _pairs(pairs: Iterable[tuple[int, int]]) -> Ints:
    found = np.array([*pairs], dtype=np.int64).reshape(-1, 2)
    return np.unique(pair_of(found[:, 0], found[:, 1]))


@dataclass(frozen=True)
class Waits:
    """What drops tell of how long their packets may have waited.

    By the number of a reason: `at_once`, the kernel drops for it only in the call that received or sent the packet, and
    `kept_for_reason`, it drops so what it had kept itself; `kept_at_place` is the latter by the number of a place.
    """

    at_once: Mask
    kept_for_reason: Mask
    kept_at_place: Mask


@dataclass
class Joined:
    """The packets of some rows.

    `packet` numbers the packet of each row, `join` says why the row belongs to it (a code of `CODE`). `sent` is for
    each row of a sending device the row of the `net_dev_xmit` that ends it, else -1, and `begun` the other way around.
    `origin` is for each row that begins a packet a row of the packet that it is a copy of, else -1. `last_of_address`
    are the last rows of each skb address.

    By the numbers of packets: `first` and `last` are their first and last rows but those in `begun`, `preceding` the
    row before the first one with the same address, or -1. `before` and `after` are the rows of one address that follow
    each other, `neighbour` for each row the one before it at the same place, or -1. `in_line` are all rows but those in
    `begun`, packet after packet.
    """

    packet: Ints
    join: Ints
    sent: Ints
    begun: Ints
    origin: Ints
    last_of_address: Ints
    orders: "_Orders"
    in_line: Ints
    first: Ints
    last: Ints
    preceding: Ints
    before: Ints
    after: Ints
    neighbour: Ints

    @cached_property
    def is_last(self) -> Mask:
        """Whether a row is the last one of its packet."""
        found = np.zeros(len(self.packet), dtype=bool)
        found[self.last] = True
        return found


def join(rows: Rows, wiring: Wiring, waits: Waits) -> Joined:
    """The packets of the rows; `wiring` learns what they show of the devices."""
    orders = _Orders(rows)
    sent, begun = _sendings(rows, orders)
    joins = np.full(len(rows), CODE[Join.SAME_DEVICE], dtype=np.int8)
    in_line = orders.by_skb[np.flatnonzero(begun[orders.by_skb] < 0)]
    joins[in_line] = CODE[Join.NEVER]
    skb = orders.skb[in_line]
    follows = np.flatnonzero(skb[1:] == skb[:-1])
    before, after = in_line[follows], in_line[follows + 1]
    neighbour = orders.before_in_line(begun)
    pace = _judge(_Steps.of(rows, orders, before, after, sent, neighbour), joins, wiring, waits)

    packet = np.empty(len(rows), dtype=np.int64)
    is_first = joins[in_line] == CODE[Join.NEVER]
    begins = np.flatnonzero(is_first)
    packet[in_line] = np.cumsum(is_first) - 1
    late = np.flatnonzero(begun >= 0)
    packet[late] = packet[begun[late]]
    origin = _origins(rows, orders, packet, joins, sent, wiring, pace)
    preceding = np.full(len(in_line), -1)
    preceding[follows + 1] = before
    is_last_of_address = np.ones(len(in_line), dtype=bool)
    is_last_of_address[follows] = False
    return Joined(
        packet=packet,
        join=joins,
        sent=sent,
        begun=begun,
        origin=origin,
        last_of_address=in_line[np.flatnonzero(is_last_of_address)],
        orders=orders,
        in_line=in_line,
        first=in_line[begins],
        last=in_line[np.append(begins[1:], len(in_line)) - 1] if len(begins) else begins,
        preceding=preceding[begins],
        before=before,
        after=after,
        neighbour=neighbour,
    )


def stable_order(codes: Ints, below: int) -> Ints:
    """The stable order of numbers from 0 to `below`, by digits of 16 bits, which numpy sorts by radix."""
    order = np.argsort((codes & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while below >> shift:
        digits = ((codes >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
        shift += 16
    return np.asarray(order)


class _Orders:
    """The rows in the orders that are asked for again and again."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.skb, self.addresses = _numbered(rows.skb)
        self.by_skb = stable_order(self.skb, self.addresses)
        #: The CPU; where the trace does not tell it, the task stands for it.
        self.place, places = _numbered(np.where(rows.cpu >= 0, rows.cpu, -2 - rows.pid.astype(np.int64)))
        self.by_place = stable_order(self.place, places)

    def before_in_line(self, begun: Ints) -> Ints:
        """The row before each row at the same place that is no `net_dev_xmit` of something begun; or -1."""
        before = np.full(len(self._rows), -1)
        order = self.by_place[np.flatnonzero(begun[self.by_place] < 0)]
        place = self.place[order]
        before[order[1:]] = np.where(place[1:] == place[:-1], order[:-1], -1)
        return before

    @cached_property
    def last_received(self) -> Ints:
        """For each row the last one of `netif_receive_skb` before it at the same place; or -1."""
        return self._last(Phase.RECEIVE)

    @cached_property
    def last_returned(self) -> Ints:
        """For each row the last one before it at the same place that tells that what was received is done with."""
        return self._last(Phase.RETURNED)

    def _last(self, phase: Phase) -> Ints:
        order = self.by_place
        at = np.arange(len(order))
        place = self.place[order]
        begins = np.append(True, place[1:] != place[:-1])[: len(order)]
        of_phase = np.maximum.accumulate(np.where(self._rows.phase[order] == phase, at, -1))
        first = np.maximum.accumulate(np.where(begins, at, 0))
        found = np.full(len(order), -1)
        found[order] = np.where(of_phase >= first, order[of_phase], -1)
        return found

    @cached_property
    def returns_are_told(self) -> bool:
        """Whether the trace has the events that tell that what was received is done with."""
        return bool(np.any(self._rows.phase == Phase.RETURNED))


def _numbered(values: Any) -> tuple[Ints, int]:
    """The values as numbers from 0, and how many there are."""
    codes, distinct = numbered(values)
    return codes, len(distinct)


# --- what belongs to what ---------------------------------------------------------------------------------------------


def _sendings(rows: Rows, orders: _Orders) -> tuple[Ints, Ints]:
    """For each row of a sending device the row of the `net_dev_xmit` that ends it, and the other way around; or -1.

    The event comes when the driver has returned. By then the packet may have gone on, and even have been freed and its
    address been given away, so it is no step of the packet's own order.
    """
    sent, begun = np.full(len(rows), -1), np.full(len(rows), -1)
    sending = np.flatnonzero(rows.phase <= Phase.SENT)
    devices = int(rows.device.max(initial=0)) + 1
    order = sending[stable_order(orders.skb[sending] * devices + rows.device[sending], orders.addresses * devices)]
    returns = rows.phase[order] == Phase.SENT
    at = np.flatnonzero(returns[1:] & ~returns[:-1])
    one, next_one = order[at], order[at + 1]
    gap = rows.time[next_one] - rows.time[one]
    ends = (orders.skb[one] == orders.skb[next_one]) & (rows.device[one] == rows.device[next_one])
    # a driver returns to the task that called it, and nothing is received on that CPU while it sends
    returned = (rows.cpu[one] == rows.cpu[next_one]) & (rows.pid[one] == rows.pid[next_one]) & (gap <= _WAITING)
    returned &= (orders.last_received[next_one] < one) | (rows.cpu[one] < 0)
    # only what was queued may be sent by another one, later
    later = (rows.phase[one] == Phase.QUEUE) & (not np.any(rows.phase == Phase.START))
    ends &= (later | returned) & (gap >= -_JITTER) & (gap <= REMEMBERED)
    ends = np.flatnonzero(ends & (np.abs(rows.length[one] - rows.length[next_one]) <= _VLAN_TAG))
    one, next_one = one[ends], next_one[ends]
    sent[one], begun[next_one] = next_one, one
    return sent, begun


@dataclass
class _Steps:
    """Pairs of rows of one skb address that follow each other, and what is asked of the two.

    For each pair: `gap` in ns, `grown` in octets, `together`, both were on one CPU in one task. For each row: `sent` is
    that of the `net_dev_xmit` that ends the sending, `neighbour` the one before it at the same place; or -1.
    """

    rows: Rows
    orders: _Orders
    sent: Ints
    neighbour: Ints
    before: Ints
    after: Ints
    gap: Ints
    grown: Ints
    phase_before: Ints
    phase_after: Ints
    device_before: Ints
    device_after: Ints
    together: Mask

    @classmethod
    def of(cls, rows: Rows, orders: _Orders, before: Ints, after: Ints, sent: Ints, neighbour: Ints) -> "_Steps":
        return cls(
            *(rows, orders, sent, neighbour, before, after),
            gap=rows.time[after] - rows.time[before],
            grown=rows.length[after] - rows.length[before],
            phase_before=rows.phase[before],
            phase_after=rows.phase[after],
            device_before=rows.device[before],
            device_after=rows.device[after],
            together=(rows.cpu[before] == rows.cpu[after]) & (rows.pid[before] == rows.pid[after]),
        )

    def take(self, found: Mask) -> "_Steps":
        at = np.flatnonzero(found)
        shared = (self.rows, self.orders, self.sent, self.neighbour)
        return _Steps(*shared, *(getattr(self, each.name)[at] for each in fields(self)[len(shared) :]))

    @cached_property
    def same_device(self) -> Mask:
        return np.asarray(self.device_before == self.device_after)

    @cached_property
    def sends_before(self) -> Mask:
        return self.phase_before <= Phase.SENT

    @cached_property
    def sends_after(self) -> Mask:
        return self.phase_after <= Phase.SENT

    @cached_property
    def receives_before(self) -> Mask:
        return (self.phase_before >= FIRST_RECEIVING) & (self.phase_before < FIRST_END)

    @cached_property
    def receives_after(self) -> Mask:
        return (self.phase_after >= FIRST_RECEIVING) & (self.phase_after < FIRST_END)

    @cached_property
    def contiguous(self) -> Mask:
        """Nothing else of the network was between them there."""
        return np.asarray(self.together & (self.neighbour[self.after] == self.before))

    @cached_property
    def in_one_call(self) -> Mask:
        """Both were on one CPU in one task, and whatever had been received there was not done with between them. False
        where the trace does not tell.
        """
        if not self.orders.returns_are_told:
            return np.zeros(len(self.after), dtype=bool)
        return np.asarray(self.together & (self.orders.last_returned[self.after] < self.before))

    @cached_property
    def surely_open(self) -> Mask:
        """The sending of the row before is seen to end after the second row."""
        return np.asarray(self.sent[self.before] > self.after)

    @cached_property
    def perhaps_open(self) -> Mask:
        """Its end is not in the trace."""
        return np.asarray(self.sent[self.before] < 0)


def _judge(steps: _Steps, joins: Ints, wiring: Wiring, waits: Waits) -> "_Pace":
    """Put the reason to join each pair into `joins`, by the second row; where there is none, it stays as it is. Gives
    the pace of the steps.
    """

    def put(left: _Steps, found: Mask, why: Join) -> None:
        joins[left.after[np.flatnonzero(found)]] = CODE[why]

    # which rules there are for a pair depends on what each of its two rows is
    timely = steps.gap >= -_JITTER
    sending = steps.take(timely & steps.sends_before & steps.sends_after)
    crossing = steps.take(timely & steps.sends_before & steps.receives_after)
    receiving = steps.take(timely & steps.receives_before & steps.receives_after)
    forwarding = steps.take(timely & (steps.phase_before == Phase.RECEIVE) & (steps.phase_after == Phase.QUEUE))
    ending = steps.take(timely & (steps.phase_before <= Phase.COPIED) & (steps.phase_after >= FIRST_END))

    sent, received = _sent_further(sending), _received_further(receiving)
    pace = _Pace([sending.take(sent), receiving.take(received)])
    put(sending, sent, Join.SAME_DEVICE)
    put(receiving, received, Join.SAME_DEVICE)
    sending, receiving = sending.take(~sent), receiving.take(~received)
    found = _within_send(sending, pace)
    wiring.learn_upper(sending.device_before[found], sending.device_after[found])
    put(sending, found, Join.WITHIN_SEND)
    if not _tells_more_than_sending(steps.rows):
        put(sending, ~found & _sent_next(sending, wiring, pace), Join.NEXT_SENT)

    found = _crossed(crossing, pace)
    wiring.learn_veths(crossing.device_before[found], crossing.device_after[found])
    put(crossing, found, Join.CROSSED)
    crossing = crossing.take(~found)
    put(crossing, _peers(crossing, wiring), Join.PEERS)

    drivers = np.flatnonzero((steps.rows.phase == Phase.ENTER) | (steps.rows.phase == Phase.GRO))
    wiring.learn_entered(np.unique(steps.rows.device[drivers]))
    found = _handed_up(receiving, wiring, pace)
    put(receiving, found, Join.HANDED_UP)
    receiving = receiving.take(~found)
    put(receiving, _passed_up(receiving, wiring, pace), Join.PASSED_UP)

    fits = _forwarded(forwarding, wiring)
    next_there = fits & forwarding.contiguous & _in_time(forwarding, pace)
    later = fits & ~next_there & _with_others_between(forwarding, pace)
    put(forwarding, next_there, Join.FORWARDED)
    put(forwarding, later, Join.SENT_ON)
    forwarding = forwarding.take(~(next_there | later))
    asked, waited = _kept_for_neighbour(forwarding, wiring)
    put(forwarding, asked, Join.ASKED)
    put(forwarding, waited & ~asked, Join.WAITED)

    fits = _ended(ending)
    at_once = fits & ending.together & _still_there(ending, pace)
    put(ending, at_once, Join.ENDED)
    put(ending, fits & ~at_once & _may_have_waited(ending, waits), Join.ENDED_LATER)
    return pace


class _Pace:
    """How long steps take on this machine, by the median of steps that surely are some; times in ns."""

    def __init__(self, surely: Iterable[_Steps]) -> None:
        gaps = np.concatenate([steps.gap[np.flatnonzero(steps.contiguous & (steps.gap > 0))] for steps in surely])
        step = int(np.median(gaps)) if len(gaps) else 0
        self.soon = max(_LEAST_TO_FORWARD, _STEPS_TO_FORWARD * step)
        self.at_once = max(_AT_ONCE, _STEPS_AT_ONCE * step)


def _still_there(steps: _Steps, pace: _Pace) -> Mask:
    """Whether the second row is of the call of the first: as the trace tells, or by the time."""
    return np.asarray((steps.gap <= pace.at_once) | (steps.in_one_call & (steps.gap <= _WAITING)))


def _in_time(steps: _Steps, pace: _Pace) -> Mask:
    """Whether what was received may have been sent on by the next step there.

    The idle task is no program that could read and send; nor could any, as long as the call goes on that received it.
    """
    in_call = (steps.rows.pid[steps.after] == 0) & (steps.gap <= pace.at_once)
    if steps.orders.returns_are_told:
        in_call |= steps.in_one_call & (steps.gap <= _WAITING)
    return np.asarray((steps.gap <= pace.soon) | in_call)


def _with_others_between(steps: _Steps, pace: _Pace) -> Mask:
    """The same where other packets were handled in the meantime, as of a list that was received.

    From the backlog of a CPU one is taken after the other.
    """
    rows, orders = steps.rows, steps.orders
    found = steps.gap <= pace.soon // 2
    one_by_one = np.isin(steps.device_before, np.unique(rows.device[rows.phase == Phase.ENTER]))
    found &= ~one_by_one | (orders.last_received[steps.after] == steps.before)
    return np.asarray(found & steps.in_one_call if orders.returns_are_told else found)


def _sent_further(steps: _Steps) -> Mask:
    """The later steps of a device that sends: queued and sent."""
    again = (steps.phase_before == Phase.START) & (steps.phase_after == Phase.START) & _was_busy(steps)
    resized = np.abs(steps.grown) <= _VLAN_TAG
    return np.asarray(steps.same_device & resized & (_is_forward(steps) | again) & (steps.gap <= REMEMBERED))


def _received_further(steps: _Steps) -> Mask:
    """The later steps of a device that receives: entered and received."""
    # what GRO put together is longer than its first part
    merged = (steps.phase_before == Phase.GRO) & (steps.grown > 0)
    resized = np.abs(steps.grown) <= _VLAN_TAG
    return np.asarray(steps.same_device & (resized | merged) & _is_forward(steps) & (steps.gap <= REMEMBERED))


def _is_forward(steps: _Steps) -> Mask:
    return np.asarray(steps.rows.order[steps.after] > steps.rows.order[steps.before])


#: NETDEV_TX_BUSY of include/linux/netdevice.h: the packet goes back to the queue.
BUSY = 16


def _was_busy(steps: _Steps) -> Mask:
    """Whether the device refused the packet for now, so that it is sent once more."""
    busy = (steps.rows.phase == Phase.SENT) & (steps.rows.rc == BUSY)
    returned = steps.sent[steps.before]
    return np.asarray((returned >= 0) & busy[returned])


def _within_send(steps: _Steps, pace: _Pace) -> Mask:
    """A bridge, VLAN or tunnel hands the packet to a device below while it is still sending."""
    found = ~steps.same_device & steps.together
    found &= (steps.phase_after != Phase.SENT) & (steps.phase_before != Phase.SENT)
    # where net_dev_xmit is missing, only the very next step is taken for one within the sending
    found &= steps.surely_open | (steps.perhaps_open & steps.contiguous & (steps.gap <= pace.soon))
    return np.asarray(found & (steps.gap <= _WAITING) & (steps.grown >= -_VLAN_TAG) & (steps.grown <= _ENCAPSULATION))


def _crossed(steps: _Steps, pace: _Pace) -> Mask:
    """A veth, or the loopback device, receives the packet at its other end while it is still sending."""
    found = steps.together & (steps.gap <= _WAITING)
    next_step = steps.perhaps_open & steps.contiguous & (steps.gap <= pace.soon) & (steps.phase_after == Phase.ENTER)
    return np.asarray(
        found & (steps.phase_before != Phase.SENT) & (steps.surely_open | next_step) & _lost_a_header(steps)
    )


def _lost_a_header(steps: _Steps) -> Mask:
    return np.isin(-steps.grown, _HEADERS)


def _peers(steps: _Steps, wiring: Wiring) -> Mask:
    """A veth that receives by NAPI does so after it was sent, on its own."""
    found = ~steps.same_device & _lost_a_header(steps)
    found &= np.isin(pair_of(steps.device_before, steps.device_after), wiring.veths)
    # what goes into a backlog does so while it is being sent
    found &= (steps.phase_before != Phase.SENT) | (steps.phase_after != Phase.ENTER)
    return np.asarray(found & (steps.gap <= REMEMBERED))


def _handed_up(steps: _Steps, wiring: Wiring, pace: _Pace) -> Mask:
    """A bridge receives what its port has received, a VLAN or tunnel device what is inside."""
    found = _received_twice(steps, pace) & np.isin(pair_of(steps.device_after, steps.device_before), wiring.upper)
    return np.asarray(found & (steps.grown <= 0) & (steps.grown >= -_ENCAPSULATION))


def _passed_up(steps: _Steps, wiring: Wiring, pace: _Pace) -> Mask:
    """The same where nothing else shows that the device is a bridge, and nothing speaks against it."""
    found = _received_twice(steps, pace) & ~np.isin(steps.device_after, wiring.entered)
    return np.asarray(found & (steps.phase_after == Phase.RECEIVE) & (steps.grown == 0) & steps.contiguous)


def _received_twice(steps: _Steps, pace: _Pace) -> Mask:
    found = (steps.phase_before == Phase.RECEIVE) & ~steps.same_device
    return np.asarray(found & steps.together & _still_there(steps, pace))


def _forwarded(steps: _Steps, wiring: Wiring) -> Mask:
    """What was received is sent on by the next device: with a header of its own before it, or inside a tunnel.

    Back through the same device it goes only if that is a bridge (or another upper device); the answer of a program
    may well get the address that its question had.
    """
    found = ~steps.same_device | np.isin(steps.device_after, wiring.uppers)
    return _among_neighbours(steps, wiring, found & steps.together & np.isin(steps.grown, _HEADERS))


def _among_neighbours(steps: _Steps, wiring: Wiring, found: Mask) -> Mask:
    """Those of the pairs whose devices may be in one namespace."""
    places = np.flatnonzero(found)
    found[places] = wiring.may_be_together(steps.device_before[places], steps.device_after[places])
    return np.asarray(found)


def _tells_more_than_sending(rows: Rows) -> bool:
    """Whether any event but `net_dev_xmit` tells of a device."""
    return bool(np.any((rows.phase < FIRST_END) & (rows.phase != Phase.SENT)))


def _sent_next(steps: _Steps, wiring: Wiring, pace: _Pace) -> Mask:
    """With nothing but `net_dev_xmit`: the next device that returned with the same address and length, where the model
    knows the two as neighbours.
    """
    found = (steps.phase_before == Phase.SENT) & (steps.phase_after == Phase.SENT) & ~steps.same_device
    found &= steps.together & (steps.grown == 0) & (np.abs(steps.gap) <= pace.soon)
    places = np.flatnonzero(found)
    one, other = steps.device_before[places], steps.device_after[places]
    found[places] = np.isin(pair_of(one, other), wiring.upper) | wiring.lead_on(one, other)
    return np.asarray(found)


def outer_first(rows: Rows, wiring: Wiring) -> Rows:
    """With nothing but `net_dev_xmit`: put the row of a bridge before that of its port, which returns first."""
    order = np.arange(len(rows))
    if _tells_more_than_sending(rows) or len(rows) < 2:
        return rows
    same = (rows.skb[1:] == rows.skb[:-1]) & (rows.length[1:] == rows.length[:-1]) & (rows.skb[1:] != 0)
    same &= (rows.pid[1:] == rows.pid[:-1]) & (rows.cpu[1:] == rows.cpu[:-1])
    same &= (rows.phase[1:] == Phase.SENT) & (rows.phase[:-1] == Phase.SENT)
    inner = np.flatnonzero(same & np.isin(pair_of(rows.device[1:], rows.device[:-1]), wiring.upper))
    order[inner], order[inner + 1] = inner + 1, inner
    return rows.take(order)


def _kept_for_neighbour(steps: _Steps, wiring: Wiring) -> tuple[Mask, Mask]:
    """What was received, could not be sent on for want of the next hop's address, and is sent when that is told.

    The kernel keeps such packets, and sends them all as it receives what tells the address, on the device by which it
    had asked. The first of them made it ask at once; the second mask has those that came while it waited.
    """
    rows, orders = steps.rows, steps.orders
    found = ~steps.same_device & (steps.grown == ETHERNET_HEADER)
    asked, waited = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=bool)
    if not found.any():
        return asked, waited
    told_by = orders.last_received[steps.after]
    found &= (told_by > steps.before) & np.isin(rows.length[told_by], _TELLS)
    found &= (rows.device[told_by] == steps.device_after) & (rows.pid[told_by] == rows.pid[steps.after])
    if orders.returns_are_told:
        found &= orders.last_returned[steps.after] < told_by
    places = np.flatnonzero(_among_neighbours(steps, wiring, found))
    if not len(places):
        return asked, waited
    next_there = np.full(len(rows), -1)
    known = steps.neighbour >= 0
    next_there[steps.neighbour[known]] = np.flatnonzero(known)
    asks = (rows.phase == Phase.QUEUE) & np.isin(rows.length, _ASKS)
    tells = (rows.phase == Phase.RECEIVE) & np.isin(rows.length, _TELLS)
    for at in places.tolist():
        received, device = int(steps.before[at]), int(steps.device_after[at])
        after = int(next_there[received])
        is_request = (
            after >= 0 and asks[after] and rows.device[after] == device and rows.cpu[after] == rows.cpu[received]
        )
        on_device = np.flatnonzero((rows.device == device) & (asks | tells))
        between = on_device[(on_device > received) & (rows.skb[on_device] != rows.skb[told_by[at]])]
        between = between[between < told_by[at]]
        answered = bool(tells[between].any())
        earlier = on_device[on_device < received]
        asked[at] = bool(is_request) and not answered
        waited[at] = (
            not answered and len(earlier) > 0 and bool(asks[earlier[-1]]) and not _went_on(steps, after, received)
        )
    return asked, waited


def _went_on(steps: _Steps, after: int, received: int) -> bool:
    """Whether something was sent in the call that received a packet, an answer maybe."""
    rows, orders = steps.rows, steps.orders
    if after < 0 or rows.phase[after] != Phase.QUEUE:
        return False
    return not orders.returns_are_told or bool(orders.last_returned[after] < received)


def _ended(steps: _Steps) -> Mask:
    """Freed, or read by a process. What was read is freed afterwards; what was freed is another packet then."""
    protocol, before = steps.rows.protocol[steps.after], steps.rows.protocol[steps.before]
    # skbs of Unix sockets and netlink have no protocol, and are freed by the same functions
    foreign = (protocol == 0) | ((protocol > 0) & (before > 0) & (protocol != before))
    read = (steps.phase_after == Phase.COPIED) & (steps.phase_before < Phase.COPIED)
    # a program reads what came in, at most all of it
    return np.asarray(~foreign & (~read | (steps.receives_before & (steps.grown <= 0))))


def _may_have_waited(steps: _Steps, waits: Waits) -> Mask:
    """Whether a packet may have been in a queue or in a socket until it was freed or read.

    Where the trace has every end of a packet, its address is its own until then. Where it has not, only what the kernel
    drops because it has kept it for too long is surely the packet that came before.
    """
    rows = steps.rows
    reason, place = rows.reason[steps.after], rows.location[steps.after]
    dropped = steps.phase_after == Phase.DROPPED
    kept = dropped & (waits.kept_for_reason[reason] | waits.kept_at_place[place])
    every_end = bool(np.any(rows.phase == Phase.FREED))
    in_time = (steps.gap <= _WAITING) | every_end
    # where the beginning of a sending is missing, more may be: nobody knows what became of the packet until then
    if np.any(rows.phase < Phase.SENT):
        in_time &= steps.phase_before != Phase.SENT
    return np.asarray(kept | (in_time & (~dropped | ~waits.at_once[reason])))


# --- copies -----------------------------------------------------------------------------------------------------------


def _origins(rows: Rows, orders: _Orders, packet: Ints, joins: Ints, sent: Ints, wiring: Wiring, pace: _Pace) -> Ints:
    """For rows that begin a packet the row whose packet this one is a copy of, else -1: a bridge floods copies."""
    origin = np.full(len(rows), -1)
    starts = np.flatnonzero((joins == CODE[Join.NEVER]) & (rows.phase == Phase.QUEUE))
    around = _sending_around(rows, orders, sent, starts, pace)
    inside = np.flatnonzero(around >= 0)
    one, other = around[inside], starts[inside]
    known = np.isin(pair_of(rows.device[one], rows.device[other]), wiring.upper) | (rows.cpu[other] >= 0)
    flooded = known & (rows.device[one] != rows.device[other]) & (rows.length[one] == rows.length[other])
    kept = np.flatnonzero(flooded & (packet[one] != packet[other]) & (rows.pid[one] == rows.pid[other]))
    origin[other[kept]] = one[kept]

    received = orders.last_received[starts]
    others = np.flatnonzero((received >= 0) & (origin[starts] < 0))
    one, other = received[others], starts[others]
    close = (rows.time[other] - rows.time[one] <= pace.at_once) & (rows.pid[one] == rows.pid[other])
    close &= (rows.length[other] - rows.length[one] == ETHERNET_HEADER) & (packet[one] != packet[other])
    one, other = one[close], other[close]
    beside = np.flatnonzero(wiring.are_ports_of_one(rows.device[one], rows.device[other]))
    origin[other[beside]] = one[beside]
    return origin


_DEEPEST = 16


def _sending_around(rows: Rows, orders: _Orders, sent: Ints, asked: Ints, pace: _Pace) -> Ints:
    """For each row that is asked for the row of the innermost device that was sending around it on its CPU; or -1."""
    sending = np.flatnonzero(sent >= 0)
    returns = sent[sending]
    # what waited in a queue was not being sent all the time
    soon = rows.time[returns] - rows.time[sending] <= pace.at_once
    here = np.flatnonzero(soon & (orders.place[sending] == orders.place[returns]))
    step = np.zeros(len(rows), dtype=np.int8)
    step[sending[here]] = 1
    step[returns[here]] = -1
    concerned = step != 0
    concerned[asked] = True
    order = orders.by_place[np.flatnonzero(concerned[orders.by_place])]
    steps = step[order]
    opens = steps == 1
    depth = np.cumsum(steps, dtype=np.int32) - opens  # around the row: a row that opens is not around itself
    is_asked = np.zeros(len(rows), dtype=bool)
    is_asked[asked] = True
    is_asked = is_asked[order]
    around = np.full(len(rows), -1)
    for level in range(_DEEPEST):
        opening = np.flatnonzero(opens & (depth == level))
        inside = np.flatnonzero(is_asked & (depth == level + 1))
        if not len(opening) or not len(inside):
            break
        outer = np.searchsorted(opening, inside) - 1
        known = outer >= 0
        around[order[inside[known]]] = order[opening[outer[known]]]
    found = around[asked]
    return np.where((found >= 0) & (sent[found] > asked), found, -1)
