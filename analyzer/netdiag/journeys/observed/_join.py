"""Which events belong to the same packet: all rows of a trace at once, with numpy.

An skb address names a packet only until the skb is freed, which most traces do not show; then the kernel gives it to
the next packet that needs one. So two events of one address that follow each other are one packet only if the second is
what the kernel does next with it: on the same device a later step, from device to device within the same call (the
same CPU and task, at once), with the length that fits. Whatever does not fit begins a new packet. A join that is missed
shows as a packet that goes no further; a wrong one would show a way that no packet took.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from netdiag.journeys.observed._events import FIRST_END, FIRST_RECEIVING, Phase
from netdiag.journeys.observed.facts import Join

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

_MICROSECOND, _MILLISECOND, _SECOND = 1_000, 1_000_000, 1_000_000_000

#: One call chain of the kernel passes a packet on within this time, as long as nothing interrupts it for long.
_AT_ONCE = 1 * _MILLISECOND
#: What was received is sent on within so many times the time of a step; a program that reads it and sends as much takes
#: longer, and may do so as the very task in which it was received. With something else between, half of it.
_STEPS_TO_FORWARD = 20
_LEAST_TO_FORWARD = 20 * _MICROSECOND
#: A packet waits at most so long in the backlog of a CPU, or in a socket, to be taken for the same.
_WAITING = 1 * _SECOND
#: In the queue of a slow device it may wait longer.
QUEUED_AT_MOST = 10 * _SECOND
#: A clock that steps back by more is that of another recording.
_JITTER = 1 * _MILLISECOND

_ETHERNET_HEADER = 14
#: An Ethernet header with a VLAN tag.
_LONGEST_HEADER = 18
#: What is put before a packet that is sent on: nothing by a tun device, a header by the others.
_HEADERS = (0, _ETHERNET_HEADER, _LONGEST_HEADER)
#: What tunnels put around a packet: at most so much.
_ENCAPSULATION = 120
_VLAN_TAG = 4

_JOINS = list(Join)
CODE = {join: number for number, join in enumerate(_JOINS)}
DOUBTFUL = np.array([join.confidence.value != "high" for join in _JOINS])


def join_of(code: int) -> Join:
    return _JOINS[code]


@dataclass
class Rows:
    """Events of packets as columns, in the order of the source. `task`, `device`, `event`, `reason` and `location` are
    numbers of texts; device 0 is one that is not told.
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

    def take(self, rows: "Mask | Ints") -> "Rows":
        return Rows(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def together(cls, parts: "Sequence[Rows]") -> "Rows":
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


class Wiring:
    """Pairs of devices, by their numbers: what the model knows, and what the trace itself has shown so far.

    `upper` are pairs of a device and one below it (a bridge and its port), `veths` pairs of ends, both ways around.
    `entered` are devices that packets enter from outside of the machine's stack, which no bridge is. `namespaces` are
    those in which there is a device of that name.
    """

    def __init__(
        self,
        upper: Iterable[tuple[int, int]] = (),
        veths: Iterable[tuple[int, int]] = (),
        namespaces: Mapping[int, Set[str]] | None = None,
    ) -> None:
        self._namespaces = namespaces or {}
        self.upper = _pairs(upper)
        self.known_veths = _pairs(veths)
        self.veths = self.known_veths
        self.entered = np.zeros(0, dtype=np.int64)

    @property
    def uppers(self) -> Ints:
        return np.unique(self.upper >> 32)

    @property
    def sides(self) -> Ints:
        """The devices that have another end."""
        return np.unique(self.veths >> 32)

    def learn_upper(self, upper: Ints, below: Ints) -> None:
        self.upper = np.union1d(self.upper, _pair(upper, below))

    def learn_veths(self, one: Ints, other: Ints) -> None:
        self.veths = np.union1d(self.veths, np.concatenate([_pair(one, other), _pair(other, one)]))

    def may_be_together(self, one: Ints, other: Ints) -> Mask:
        """Whether two devices may be in one namespace: the model has one with both, or does not know one of them."""
        pairs, inverse = np.unique(_pair(one, other), return_inverse=True)
        known = ((self._namespaces.get(each >> 32), self._namespaces.get(each & 0xFFFFFFFF)) for each in pairs.tolist())
        return np.array([not a or not b or bool(a & b) for a, b in known], dtype=bool)[inverse]

    def learn_entered(self, devices: Ints) -> None:
        self.entered = np.union1d(self.entered, devices)


def _pair(one: Ints, other: Ints) -> Ints:
    return (one.astype(np.int64) << 32) | other.astype(np.int64)


def _pairs(pairs: Iterable[tuple[int, int]]) -> Ints:
    found = np.array([*pairs], dtype=np.int64).reshape(-1, 2)
    return np.unique(_pair(found[:, 0], found[:, 1]))


@dataclass
class Joined:
    """The packets of some rows.

    `packet` numbers the packet of each row, `join` says why the row belongs to it (a code of `CODE`). `sent` is for
    each row of a sending device the row of the `net_dev_xmit` that ends it, else -1, and `begun` the other way around.
    `origin` is for each row that begins a packet a row of the packet that it is a copy of, else -1.
    """

    packet: Ints
    join: Ints
    sent: Ints
    begun: Ints
    origin: Ints


def join(rows: Rows, wiring: Wiring) -> Joined:
    """The packets of the rows; `wiring` learns what they show of the devices."""
    sent, begun = _sendings(rows)
    in_line = np.flatnonzero(begun < 0)
    steps = _steps(rows, in_line, sent)
    joins = _same_device(rows, steps)
    _put(joins, _within_send(rows, steps), Join.WITHIN_SEND)
    _put(joins, _crossed(rows, steps), Join.CROSSED)
    _learn(rows, steps, joins, wiring)
    _put(joins, _peers(rows, steps, wiring), Join.PEERS)
    _put(joins, _handed_up(rows, steps, wiring), Join.HANDED_UP)
    _put(joins, _passed_up(rows, steps, wiring), Join.PASSED_UP)
    forwarded = _forwarded(rows, steps, wiring)
    soon = _soon(steps, joins)
    _put(joins, forwarded & steps.contiguous & (steps.gap <= soon), Join.FORWARDED)
    _put(joins, forwarded & (steps.gap <= soon // 2), Join.SENT_ON)
    ended = _ended(rows, steps)
    _put(joins, ended & steps.together & (steps.gap <= _AT_ONCE), Join.ENDED)
    _put(joins, ended, Join.ENDED_LATER)
    joins[(steps.gap < -_JITTER) | (steps.before < 0)] = CODE[Join.NEVER]

    packet = np.empty(len(rows), dtype=np.int64)
    packet[steps.after] = np.cumsum(joins == CODE[Join.NEVER]) - 1
    late = np.flatnonzero(begun >= 0)
    packet[late] = packet[begun[late]]
    all_joins = np.full(len(rows), CODE[Join.SAME_DEVICE])
    all_joins[steps.after] = joins
    origin = _origins(rows, packet, all_joins, sent, wiring)
    return Joined(packet, all_joins, sent, begun, origin)


# --- what belongs to what ---------------------------------------------------------------------------------------------


def _sendings(rows: Rows) -> tuple[Ints, Ints]:
    """For each row of a sending device the row of the `net_dev_xmit` that ends it, and the other way around; or -1.

    The event comes when the driver has returned. By then the packet may have gone on, and even have been freed and its
    address been given away, so it is no step of the packet's own order.
    """
    sent, begun = np.full(len(rows), -1), np.full(len(rows), -1)
    sending = np.flatnonzero(rows.phase <= Phase.SENT)
    packet_and_device = _numbers(rows.skb[sending]) << 32 | rows.device[sending]
    order = sending[np.argsort(packet_and_device, kind="stable")]
    one, next_one = order[:-1], order[1:]
    ends = (rows.phase[next_one] == Phase.SENT) & (rows.phase[one] != Phase.SENT)
    ends &= (rows.skb[one] == rows.skb[next_one]) & (rows.device[one] == rows.device[next_one])
    gap = rows.time[next_one] - rows.time[one]
    # a driver returns to the task that called it; only what was queued may be sent by another one, later
    returned = _equal(rows.cpu, one, next_one) & _equal(rows.pid, one, next_one) & (gap <= 10 * _AT_ONCE)
    later = (rows.phase[one] == Phase.QUEUE) & (not np.any(rows.phase == Phase.START))
    # nothing is received on that CPU while it sends
    received = _last_received(rows)[next_one] > one
    ends &= later | (returned & ~(received & (rows.cpu[one] >= 0)))
    ends &= (gap >= -_JITTER) & (gap <= QUEUED_AT_MOST)
    ends &= np.abs(rows.length[one] - rows.length[next_one]) <= _VLAN_TAG
    sent[one[ends]] = next_one[ends]
    begun[next_one[ends]] = one[ends]
    return sent, begun


def _numbers(values: Any) -> Ints:
    """The values as small numbers."""
    return np.asarray(pd.factorize(values)[0], dtype=np.int64)


@dataclass
class _Steps:
    """Rows and the row before each of the same skb address (-1 for the first), with what is often asked of the two.

    `together` is whether both were on one CPU in one task, `contiguous` whether nothing else of the network was between
    them there. `open` is whether the sending of the row before was still going on, `surely_open` whether it is seen
    to end after the row.
    """

    after: Ints
    before: Ints
    gap: Ints
    grown: Ints
    together: Mask
    contiguous: Mask
    open: Mask
    surely_open: Mask
    same_device: Mask
    sends_before: Mask
    sends_after: Mask
    receives_before: Mask
    receives_after: Mask


def _steps(rows: Rows, in_line: Ints, sent: Ints) -> _Steps:
    after = in_line[np.argsort(_numbers(rows.skb[in_line]), kind="stable")]
    before = np.roll(after, 1)
    if len(after):
        before[0] = after[0]
    first = rows.skb[before] != rows.skb[after]
    first[:1] = True
    together = _equal(rows.cpu, before, after) & _equal(rows.pid, before, after)
    phase_before, phase_after = rows.phase[before], rows.phase[after]
    returned = sent[before]
    steps = _Steps(
        after=after,
        before=np.where(first, -1, before),
        gap=rows.time[after] - rows.time[before],
        grown=rows.length[after] - rows.length[before],
        together=together,
        contiguous=together & (_neighbours(rows, in_line)[after] == before),
        open=returned > after,
        surely_open=returned > after,
        same_device=rows.device[before] == rows.device[after],
        sends_before=phase_before <= Phase.SENT,
        sends_after=phase_after <= Phase.SENT,
        receives_before=(phase_before >= FIRST_RECEIVING) & (phase_before < FIRST_END),
        receives_after=(phase_after >= FIRST_RECEIVING) & (phase_after < FIRST_END),
    )
    # where net_dev_xmit is missing, only the very next step is taken for one within the sending
    soon = _soon(steps, _same_device(rows, steps))
    steps.open = steps.surely_open | ((returned < 0) & steps.contiguous & (steps.gap <= soon))
    return steps


def _equal(column: Ints, one: Ints, other: Ints) -> Mask:
    """Whether two rows have the same value, where both tell it."""
    left, right = column[one], column[other]
    return np.asarray((left == right) | (left < 0) | (right < 0))


def _neighbours(rows: Rows, in_line: Ints) -> Ints:
    """The row before each row on the same CPU, or of the same task where the trace does not tell the CPU; or -1."""
    place = np.where(rows.cpu[in_line] >= 0, rows.cpu[in_line], -2 - rows.pid[in_line])
    order = in_line[np.argsort(place, kind="stable")]
    before = np.full(len(rows), -1)
    if len(order):
        places = np.sort(place, kind="stable")
        before[order[1:]] = np.where(places[1:] == places[:-1], order[:-1], -1)
    return before


def _put(joins: Ints, found: Mask, join: Join) -> None:
    joins[found & (joins == CODE[Join.NEVER])] = CODE[join]


def _same_device(rows: Rows, steps: _Steps) -> Ints:
    """Joins of the later steps of one device: queued and sent, entered and received."""
    joins = np.full(len(steps.after), CODE[Join.NEVER])
    forward = rows.order[steps.after] > rows.order[steps.before]
    resized = np.abs(steps.grown) <= _VLAN_TAG
    sends = steps.sends_before & steps.sends_after & resized & (steps.gap <= QUEUED_AT_MOST)
    again = (
        (rows.phase[steps.before] == Phase.START) & (rows.phase[steps.after] == Phase.START) & _was_busy(rows, steps)
    )
    # what GRO put together is longer than its first part
    merged = (rows.phase[steps.before] == Phase.GRO) & (steps.grown > 0)
    receives = steps.receives_before & steps.receives_after & (resized | merged) & (steps.gap <= _WAITING)
    found = steps.same_device & ((sends & (forward | again)) | (receives & forward))
    joins[found] = CODE[Join.SAME_DEVICE]
    return joins


#: NETDEV_TX_BUSY of include/linux/netdevice.h: the packet goes back to the queue.
BUSY = 16


def _was_busy(rows: Rows, steps: _Steps) -> Mask:
    """Whether the device refused the packet for now, so that it is sent once more."""
    busy = np.zeros(len(rows) + 1, dtype=bool)
    busy[:-1] = (rows.phase == Phase.SENT) & (rows.rc == BUSY)
    skb_and_time = _numbers(rows.skb)
    count = np.zeros(len(rows), dtype=np.int64)
    order = np.argsort(skb_and_time, kind="stable")
    count[order] = np.cumsum(busy[:-1][order])
    return np.asarray(count[steps.after] > count[steps.before])


def _within_send(rows: Rows, steps: _Steps) -> Mask:
    """A bridge, VLAN or tunnel hands the packet to a device below while it is still sending."""
    found = steps.sends_before & steps.sends_after & ~steps.same_device & steps.open & steps.together
    found &= rows.phase[steps.after] != Phase.SENT
    found &= rows.phase[steps.before] != Phase.SENT
    return np.asarray(found & (steps.gap <= _AT_ONCE) & (steps.grown >= -_VLAN_TAG) & (steps.grown <= _ENCAPSULATION))


def _crossed(rows: Rows, steps: _Steps) -> Mask:
    """A veth, or the loopback device, receives the packet at its other end while it is still sending."""
    found = steps.sends_before & steps.receives_after & steps.open & steps.together & (steps.gap <= _AT_ONCE)
    found &= steps.surely_open | (rows.phase[steps.after] == Phase.ENTER)
    return np.asarray(found & (rows.phase[steps.before] != Phase.SENT) & _lost_a_header(steps))


def _lost_a_header(steps: _Steps) -> Mask:
    return np.isin(-steps.grown, _HEADERS)


def _learn(rows: Rows, steps: _Steps, joins: Ints, wiring: Wiring) -> None:
    """What the safe joins show of the devices. A device without a name shows nothing."""

    def devices(join: Join) -> tuple[Ints, Ints]:
        found = (joins == CODE[join]) & (steps.before >= 0) & (steps.gap >= -_JITTER)
        one, other = rows.device[steps.before[found]], rows.device[steps.after[found]]
        told = (one > 0) & (other > 0)
        return one[told], other[told]

    wiring.learn_upper(*devices(Join.WITHIN_SEND))
    one, other = devices(Join.CROSSED)
    wiring.learn_veths(one, other)
    drivers = (rows.phase == Phase.ENTER) | (rows.phase == Phase.GRO)
    wiring.learn_entered(np.unique(rows.device[drivers]))


def _peers(rows: Rows, steps: _Steps, wiring: Wiring) -> Mask:
    """A veth that receives by NAPI does so after it was sent, on its own."""
    pairs = _pair(rows.device[steps.before], rows.device[steps.after])
    found = steps.sends_before & steps.receives_after & ~steps.same_device & np.isin(pairs, wiring.veths)
    return np.asarray(found & _lost_a_header(steps) & (steps.gap <= _WAITING))


def _handed_up(rows: Rows, steps: _Steps, wiring: Wiring) -> Mask:
    """A bridge receives what its port has received, a VLAN or tunnel device what is inside."""
    pairs = _pair(rows.device[steps.after], rows.device[steps.before])
    found = _received_twice(rows, steps) & np.isin(pairs, wiring.upper)
    return np.asarray(found & (steps.grown <= 0) & (steps.grown >= -_ENCAPSULATION))


def _passed_up(rows: Rows, steps: _Steps, wiring: Wiring) -> Mask:
    """The same where nothing else shows that the device is a bridge, and nothing speaks against it."""
    found = _received_twice(rows, steps) & ~np.isin(rows.device[steps.after], wiring.entered)
    return np.asarray(found & (rows.phase[steps.after] == Phase.RECEIVE) & (steps.grown == 0) & steps.contiguous)


def _received_twice(rows: Rows, steps: _Steps) -> Mask:
    found = (rows.phase[steps.before] == Phase.RECEIVE) & steps.receives_after & ~steps.same_device
    return np.asarray(found & steps.together & (steps.gap <= _AT_ONCE))


def _forwarded(rows: Rows, steps: _Steps, wiring: Wiring) -> Mask:
    """What was received is sent on by the next device: with a header of its own before it, or inside a tunnel.

    Back through the same device it goes only if that is a bridge (or another upper device); the answer of a program
    may well get the address that its question had.
    """
    found = (rows.phase[steps.before] == Phase.RECEIVE) & (rows.phase[steps.after] == Phase.QUEUE)
    found &= ~steps.same_device | np.isin(rows.device[steps.after], wiring.uppers)
    found &= steps.together & np.isin(steps.grown, _HEADERS)
    places = np.flatnonzero(found)
    found[places] = wiring.may_be_together(rows.device[steps.before[places]], rows.device[steps.after[places]])
    return np.asarray(found)


def _soon(steps: _Steps, joins: Ints) -> int:
    """The time in ns that the next step of a call chain takes at most, by the median of steps that surely are some."""
    safe = np.isin(joins, [CODE[each] for each in (Join.SAME_DEVICE, Join.WITHIN_SEND, Join.CROSSED)])
    gaps = steps.gap[safe & steps.contiguous & (steps.gap > 0)]
    return max(_LEAST_TO_FORWARD, _STEPS_TO_FORWARD * int(np.median(gaps)) if len(gaps) else 0)


def _ended(rows: Rows, steps: _Steps) -> Mask:
    """Freed, or read by a process. What was read is freed afterwards; what was freed is another packet then."""
    phase_before, phase_after = rows.phase[steps.before], rows.phase[steps.after]
    found = (phase_after >= FIRST_END) & (phase_before <= Phase.COPIED) & (steps.gap <= _WAITING)
    protocol = rows.protocol[steps.after]
    before = rows.protocol[steps.before]
    # skbs of Unix sockets and netlink have no protocol, and are freed by the same functions
    foreign = (protocol == 0) | ((protocol > 0) & (before > 0) & (protocol != before))
    read = (phase_after == Phase.COPIED) & (phase_before < Phase.COPIED)
    # a program reads what came in, at most all of it
    return np.asarray(found & ~foreign & (~read | (steps.receives_before & (steps.grown <= 0))))


# --- copies -----------------------------------------------------------------------------------------------------------


def _origins(rows: Rows, packet: Ints, joins: Ints, sent: Ints, wiring: Wiring) -> Ints:
    """For rows that begin a packet the row whose packet this one is a copy of: a bridge floods copies to its ports, and
    what a device cannot cut into segments is cut before it.
    """
    origin = np.full(len(rows), -1)
    starts = np.flatnonzero((joins == CODE[Join.NEVER]) & (rows.phase <= Phase.START))
    if not len(starts):
        return origin
    around = _sending_around(rows, sent)[starts]
    found = around >= 0
    one, other = around[found], starts[found]
    known = np.isin(_pair(rows.device[one], rows.device[other]), wiring.upper) | (rows.cpu[other] >= 0)
    flooded = known & (rows.device[one] != rows.device[other]) & (rows.phase[other] == Phase.QUEUE)
    flooded &= rows.length[one] == rows.length[other]
    kept = flooded & (packet[one] != packet[other]) & _equal(rows.pid, one, other)
    origin[other[kept]] = one[kept]

    received = _last_received(rows)[starts]
    found = (received >= 0) & (origin[starts] < 0) & (rows.phase[starts] == Phase.QUEUE)
    one, other = received[found], starts[found]
    close = (rows.time[other] - rows.time[one] <= _AT_ONCE) & _equal(rows.pid, one, other)
    close &= rows.length[other] - rows.length[one] == _ETHERNET_HEADER
    kept = close & _are_ports_of_one(rows.device[one], rows.device[other], wiring) & (packet[one] != packet[other])
    origin[other[kept]] = one[kept]
    return origin


def _are_ports_of_one(one: Ints, other: Ints, wiring: Wiring) -> Mask:
    """Whether two devices are below the same upper one."""
    same = np.zeros(len(one), dtype=bool)
    for upper in wiring.uppers:
        ports = wiring.upper[(wiring.upper >> 32) == upper] & 0xFFFFFFFF
        same |= np.isin(one, ports) & np.isin(other, ports)
    return np.asarray(same & (one != other))


_DEEPEST = 16


def _sending_around(rows: Rows, sent: Ints) -> Ints:
    """For each row the row of the innermost device that was sending around it on the same CPU; or -1."""
    place = np.where(rows.cpu >= 0, rows.cpu, -2 - rows.pid)
    order = np.argsort(place, kind="stable")
    sending = np.flatnonzero(sent >= 0)
    returns = sent[sending]
    # what waited in a queue was not being sent all the time
    here = (place[sending] == place[returns]) & (rows.time[returns] - rows.time[sending] <= _AT_ONCE)
    opens, closes = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    opens[sending[here]] = 1
    closes[returns[here]] = 1
    steps = (opens - closes)[order]
    depth = np.cumsum(steps) - opens[order]  # around the row: a row that opens is not around itself
    around = np.full(len(rows), -1)
    for level in range(_DEEPEST):
        opening = np.flatnonzero((opens[order] == 1) & (depth == level))
        inside = np.flatnonzero(depth == level + 1)
        if not len(opening) or not len(inside):
            break
        outer = np.searchsorted(opening, inside) - 1
        known = outer >= 0
        around[order[inside[known]]] = order[opening[outer[known]]]
    found = np.flatnonzero(around >= 0)
    around[found[sent[around[found]] < found]] = -1
    return around


def _last_received(rows: Rows) -> Ints:
    """For each row the last one of `netif_receive_skb` before it on the same CPU; or -1."""
    place = np.where(rows.cpu >= 0, rows.cpu, -2 - rows.pid)
    order = np.argsort(place, kind="stable")
    position = np.where(rows.phase[order] == Phase.RECEIVE, np.arange(len(order)), -1)
    latest = np.maximum.accumulate(position)
    found = np.full(len(rows), -1)
    found[order] = np.where(latest >= 0, order[latest], -1)
    known = np.flatnonzero(found >= 0)
    found[known[place[found[known]] != place[known]]] = -1
    return found
