"""Which packets are pieces of others: cut by a device's driver interface (GSO), by IP, or put together again.

No event tells that. What does is the order of events on one device, CPU and task, and lengths that add up: each piece
has a header of its own, so that all pieces together are longer than the whole by one header less than there are pieces.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from netdiag.journeys.observed._events import FIRST_END, Phase
from netdiag.journeys.observed._join import ETHERNET_HEADER, Ints, Joined, Mask, Rows
from netdiag.journeys.observed.facts import Division

#: Octets of headers before the data of a packet that GSO cuts or GRO puts together: at least IP and UDP (by a tun), at
#: most Ethernet with a VLAN tag, IPv6, TCP with all options, and a tunnel around it.
_LEAST_HEADERS, _MOST_HEADERS = 28, 238
#: All fragments but the last carry a multiple of so many octets.
_UNIT = 8
#: Packets are cut to what every host takes (576 octets, RFC 791) or longer: shorter ones may add up by chance.
_LEAST_PIECE = 576 - 20 - _UNIT
#: What IP puts before each fragment, and how much of that the whole has, too (RFC 791, RFC 8200).
_IP_HEADERS = ((20, 20), (48, 40))
#: A datagram has at most 64 kB, which is so many fragments of the least MTU that is met in practice.
_MOST_PIECES = 128


@dataclass(frozen=True)
class Group:
    """Packets, by their numbers, that are the pieces of one. `whole` is that one, -1 where no event shows it; `certain`
    is whether more than lengths and order tells it.
    """

    how: Division
    whole: int
    pieces: tuple[int, ...]
    certain: bool = True


def groups(rows: Rows, joined: Joined, mtus: Mapping[int, Set[int]]) -> list[Group]:
    """All groups of pieces among the packets of some rows; `mtus` are those of devices, by their numbers."""
    found = [*_segments(rows, joined), *_merged(rows, joined), *_put_together(rows, joined)]
    return [*found, *_fragments(rows, joined, mtus)]


# --- GSO and GRO ------------------------------------------------------------------------------------------------------


def _segments(rows: Rows, joined: Joined) -> Iterator[Group]:
    """A device that takes no long packets is given one, and sends pieces that nobody gave to it."""
    begins = Phase.START if np.any(rows.phase == Phase.START) else Phase.SENT
    unsent = joined.last[rows.phase[joined.last] == Phase.QUEUE]
    orphans = joined.first[rows.phase[joined.first] == begins]
    if not len(unsent) or not len(orphans):
        return
    orphans = np.sort(orphans[np.isin(rows.device[orphans], rows.device[unsent])])
    unsent = np.sort(unsent[np.isin(rows.device[unsent], rows.device[orphans])])
    # without a queue the pieces are sent at once, in the same call
    for group in _cut(rows, joined, unsent, orphans, joined.orders.place):
        yield group
        unsent = unsent[joined.packet[unsent] != group.whole]
        orphans = orphans[~np.isin(joined.packet[orphans], group.pieces)]
    # with one, in the order in which the packets were given to it
    yield from _cut(rows, joined, unsent, orphans, np.zeros(len(rows), dtype=np.int64))


def _cut(rows: Rows, joined: Joined, unsent: Ints, orphans: Ints, place: Ints) -> list[Group]:
    """The groups in which the pieces follow the whole at one place of a device."""
    wholes: dict[tuple[int, int], list[int]] = defaultdict(list)
    pieces: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, of in ((unsent, wholes), (orphans, pieces)):
        keys = zip(rows.device[row].tolist(), place[row].tolist(), strict=True)
        for key, each in zip(keys, row.tolist(), strict=True):
            of[key].append(each)
    found = []
    for key, given in wholes.items():
        sent, at = pieces.get(key, []), 0
        for whole in given:
            at = max(at, bisect_right(sent, whole))
            lengths = rows.length[sent[at : at + _MOST_PIECES]].tolist()
            number = _segments_of(int(rows.length[whole]), lengths)
            if number:
                of_whole = joined.packet[sent[at : at + number]]
                found.append(Group(Division.SEGMENT, int(joined.packet[whole]), tuple(of_whole.tolist())))
                at += number
    return found


def _segments_of(whole: int, lengths: Sequence[int]) -> int:
    """How many of the next pieces are those of a whole of that length; 0 where they do not fit.

    All pieces are equally long but the last, and each has the headers of the whole. Without a last one that is short
    the others may fit, too, with shorter headers.
    """
    total = found = 0
    for number, length in enumerate(lengths, start=1):
        if not _LEAST_PIECE <= lengths[0] < whole or length > lengths[0]:
            break
        total += length
        over = total - whole
        if number > 1 and over > 0 and over % (number - 1) == 0 and _is_header(over // (number - 1), length):
            found = number
        if length < lengths[0]:
            break
    return found


def _is_header(octets: int, length: int) -> bool:
    return _LEAST_HEADERS <= octets <= _MOST_HEADERS and octets < length


def _merged(rows: Rows, joined: Joined) -> Iterator[Group]:
    """GRO got several packets and passed on one, which is longer by the data of the others."""
    waiting = np.sort(joined.last[rows.phase[joined.last] == Phase.GRO])
    if not len(waiting):
        return
    by_key: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in waiting.tolist():
        by_key[int(rows.device[row]), int(joined.orders.place[row])].append(row)
    grown = (rows.phase[joined.before] == Phase.GRO) & (rows.length[joined.after] > rows.length[joined.before])
    for head, passed_on in zip(joined.before[grown].tolist(), joined.after[grown].tolist(), strict=True):
        if joined.packet[head] != joined.packet[passed_on]:
            continue
        others = by_key.get((int(rows.device[head]), int(joined.orders.place[head])), [])
        others = others[bisect_right(others, head) : bisect_left(others, passed_on)]
        more = int(rows.length[passed_on] - rows.length[head])
        over = int(rows.length[others].sum()) - more if others else 0
        long = rows.length[head] >= _LEAST_PIECE
        if others and long and over % len(others) == 0 and _is_header(over // len(others), int(rows.length[head])):
            yield Group(Division.MERGED, int(joined.packet[head]), tuple(joined.packet[others].tolist()))


# --- fragments of IP --------------------------------------------------------------------------------------------------


def _put_together(rows: Rows, joined: Joined) -> Iterator[Group]:
    """Connection tracking puts the fragments together that come in by a port: its bridge gets the whole.

    The whole has the address of the fragment that came last.
    """
    received = rows.phase[joined.first] == Phase.RECEIVE
    wholes = joined.first[received & (joined.preceding >= 0)]
    last = joined.preceding[received & (joined.preceding >= 0)]
    fits = (rows.phase[last] == Phase.RECEIVE) & (rows.device[last] != rows.device[wholes])
    fits &= (rows.length[wholes] > rows.length[last]) & (joined.orders.place[last] == joined.orders.place[wholes])
    wholes, last = wholes[fits], last[fits]
    if not len(wholes):
        return
    on_device = np.flatnonzero((rows.phase < FIRST_END) & (joined.begun < 0))
    arrival = np.full(len(joined.first), -1)
    np.maximum.at(arrival, joined.packet[on_device], on_device)
    ended = np.sort(arrival[(arrival >= 0) & (rows.phase[arrival] == Phase.RECEIVE)])
    by_device = {device: ended[rows.device[ended] == device] for device in np.unique(rows.device[last]).tolist()}
    for whole, newest in zip(wholes.tolist(), last.tolist(), strict=True):
        same = by_device[int(rows.device[newest])]
        until = int(np.searchsorted(same, newest, side="right"))
        candidates = same[max(0, until - _MOST_PIECES) : until][::-1]
        lengths = rows.length[candidates].tolist()
        number = _fragments_of(int(rows.length[whole]), lengths, 0)
        if number and candidates[0] == newest:
            pieces = joined.packet[candidates[:number][::-1]]
            yield Group(Division.FRAGMENT, int(joined.packet[whole]), tuple(pieces.tolist()))


def _fragments_of(whole: int, lengths: Sequence[int], before: int) -> int:
    """How many of these are the fragments of a packet of that length, in whichever order; 0 where they do not fit.

    `before` is the length of what stands before the IP header of each.
    """
    for of_each, of_whole in _IP_HEADERS:
        data = 0
        for number, length in enumerate(lengths, start=1):
            data += length - before - of_each
            if data + of_whole >= whole:
                known = number > 1 and max(lengths[:number]) >= before + _LEAST_PIECE
                if data + of_whole == whole and known and _in_units(lengths[:number], before + of_each):
                    return number
                break
    return 0


def _in_units(lengths: Sequence[int], headers: int) -> bool:
    """Whether all but one carry a multiple of 8 octets."""
    return sum((length - headers) % _UNIT != 0 for length in lengths) <= 1


def _fragments(rows: Rows, joined: Joined, mtus: Mapping[int, Set[int]]) -> Iterator[Group]:
    """A packet that is too long for a device is sent by it in pieces, one after the other in one call."""
    begins = np.zeros(len(rows), dtype=bool)
    begins[joined.first] = (rows.phase[joined.first] == Phase.QUEUE) & (joined.origin[joined.first] < 0)
    by_place = joined.orders.by_place
    starts = by_place[np.flatnonzero(begins[by_place])]
    one, other = starts[:-1], starts[1:]
    likely = (joined.orders.place[one] == joined.orders.place[other]) & (rows.device[one] == rows.device[other])
    likely &= (rows.pid[one] == rows.pid[other]) & (rows.length[other] <= rows.length[one])
    data = rows.length[one] - ETHERNET_HEADER
    likely &= ((data - 20) % _UNIT == 0) | ((data - 48) % _UNIT == 0)
    received = joined.orders.last_received[one] if likely.any() else one
    from_longer = (received >= 0) & (rows.length[received] > data)
    likely &= _fills(rows, one, mtus) | from_longer
    places = np.flatnonzero(likely)
    if not len(places):
        return
    position = np.empty(len(rows), dtype=np.int64)
    position[by_place] = np.arange(len(rows))
    taken: set[int] = set()
    for first in one[places].tolist():
        if first in taken:
            continue
        pieces = _in_a_row(rows, joined, position, first)
        taken.update(pieces)
        group = _sent_in_pieces(rows, joined, pieces, mtus)
        if group:
            yield group


def _fills(rows: Rows, sent: Ints, mtus: Mapping[int, Set[int]]) -> Mask:
    """Whether packets are as long as fragments that fill what their device may send."""
    found = np.zeros(len(sent), dtype=bool)
    devices: dict[int, list[int]] = defaultdict(list)
    for device, of_device in mtus.items():
        for mtu in of_device:
            devices[mtu].append(device)
    length = rows.length[sent] - ETHERNET_HEADER
    for mtu, having in devices.items():
        found |= np.isin(rows.device[sent], having) & (length <= mtu) & (length > mtu - _UNIT)
    return found


def _in_a_row(rows: Rows, joined: Joined, position: Ints, first: int) -> list[int]:
    """The rows in which pieces are given to the device, from the first one on: equally long, the last one shorter."""
    by_place, place = joined.orders.by_place, joined.orders.place
    pieces, packet = [first], joined.packet[first]
    for at in range(int(position[first]) + 1, len(by_place)):
        row = int(by_place[at])
        if place[row] != place[first] or len(pieces) >= _MOST_PIECES:
            break
        original = joined.origin[joined.first[joined.packet[row]]]
        if rows.phase[row] == Phase.RETURNED or packet in (
            joined.packet[row],
            joined.packet[original] if original >= 0 else -1,
        ):
            continue  # copies for other ports are made on the way
        follows = rows.phase[row] == Phase.QUEUE and rows.device[row] == rows.device[first]
        if not follows or rows.pid[row] != rows.pid[first] or rows.length[row] > rows.length[first]:
            break
        if rows.length[pieces[-1]] < rows.length[first]:
            break
        pieces.append(row)
        packet = joined.packet[row]
    return pieces


def _sent_in_pieces(rows: Rows, joined: Joined, pieces: Sequence[int], mtus: Mapping[int, Set[int]]) -> Group | None:
    lengths = rows.length[[*pieces]].tolist()
    packets = tuple(joined.packet[[*pieces]].tolist())
    if len(pieces) < 2:
        return None
    received = int(joined.orders.last_received[pieces[0]])
    if received >= 0 and joined.is_last[received] and joined.neighbour[pieces[0]] == received:
        number = _fragments_of(int(rows.length[received]), lengths, ETHERNET_HEADER)
        if number:
            return Group(Division.FRAGMENT, int(joined.packet[received]), packets[:number])
    full = bool(_fills(rows, np.array(pieces[:1]), mtus)[0])
    ordered = lengths[-1] < lengths[0] and any(_in_units(lengths, ETHERNET_HEADER + each) for each, _ in _IP_HEADERS)
    return Group(Division.FRAGMENT, -1, packets, certain=False) if full and ordered else None
