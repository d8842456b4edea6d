"""Requests and their answers: a packet goes a way, and the next one comes back the same way.

Events tell neither addresses nor ports, so only what is beyond doubt is paired: the answer begins where the request
arrived, and no other packet of that way was waiting for one. Where many are on their way at once, none is paired.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from netdiag.journeys.observed._join import Ints, Mask
from netdiag.journeys.observed._walk import Packets

#: An answer that comes later is taken for a packet of its own.
_LATEST = 5_000_000_000
#: With an older unanswered packet waiting, the later one is meant if it came so many times closer.
_CLOSER = 10


def mirrored(path: Sequence[tuple[object, bool]]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """The devices of a path there and back."""
    there = tuple(device for at, (device, _) in enumerate(path) if at == 0 or path[at - 1][0] != device)
    return there, there[::-1]


def answers(packets: Packets, back_of: Mapping[int, int], arrives: Mask, begin: int) -> tuple[Ints, Ints]:
    """For each packet the row of the one that it answers, or -1, and whether that is in doubt.

    `back_of` has for a path the one that leads back, `arrives` is whether each packet arrived at the end of its path,
    `begin` the time of the trace's first event.
    """
    answered, doubt = np.full(len(packets), -1), np.zeros(len(packets), dtype=np.int64)
    # the two ways of a pair are one group, by the lower of their numbers
    group = np.full(max([*back_of, -1]) + 2, -1)
    for there, back in back_of.items():
        group[there] = min(there, back)
    wanted = np.flatnonzero((packets.path >= 0) & (packets.path < len(group)) & (packets.origin == 0) & arrives)
    groups = group[packets.path[wanted]]
    order = np.argsort(groups, kind="stable")
    wanted, groups = wanted[order], groups[order]
    if not len(wanted):
        return answered, doubt
    numbers, begins = np.unique(groups, return_index=True)
    for number, rows in zip(numbers, np.split(wanted, begins[1:]), strict=True):
        if number < 0:
            continue
        protocols = packets.protocol[rows]
        told = bool((protocols >= 0).all())
        for protocol in np.unique(protocols) if told else [-1]:
            _pair(packets, rows[(protocols == protocol) | (not told)], begin, answered, doubt)
    return answered, doubt


def _pair(packets: Packets, rows: Ints, begin: int, answered: Ints, doubt: Ints) -> None:
    """Pair the packets of two ways that lead back and forth."""
    rows = rows[np.argsort(packets.start[rows], kind="stable")]
    path, start, arrived = packets.path[rows], packets.start[rows], packets.arrived[rows]
    begins = np.append(0, np.flatnonzero(np.diff(path) != 0) + 1)  # the first packet of each run of one way
    if len(begins) < 2:
        return
    length = np.diff(np.append(begins, len(rows)))
    gap = np.full(len(begins), _LATEST + 1)
    gap[1:] = start[begins[1:]] - arrived[begins[1:] - 1]
    at = np.flatnonzero(_is_answer(length, gap, int(start[0]) - begin))
    first, before = begins[at], begins[at] - 1
    good = (gap[at] >= 0) & (gap[at] <= _LATEST)
    waiting = length[at - 1] > 1
    older = np.where(waiting, np.maximum(before - 1, 0), before)
    good &= ~waiting | (start[first] - arrived[older] >= _CLOSER * np.maximum(gap[at], 1))
    unlike = packets.length[rows[first]] != packets.length[rows[before]]
    answered[rows[first[good]]] = rows[before[good]]
    doubt[rows[first[good]]] = (waiting | unlike)[good]


def _is_answer(length: Ints, gap: Ints, since_begin: int) -> Mask:
    """Whether the first packet of each run answers the last one of the run before.

    `length` is how many packets each run of one way has, `gap` how long each run came after the one before. An answer
    that was the only packet of its run leaves nothing to be answered by the next. The very first packet is taken for a
    question, unless the capture began only just before it and the other reading has far shorter answers.
    """
    run = np.arange(len(length))
    certain = np.append(False, length[:-1] != 1)
    anchor = np.maximum.accumulate(np.where(certain, run, 0))
    odd = (run - anchor) % 2 == 1
    found = np.where(anchor > 0, ~odd, odd)
    opening = (anchor == 0) & (run > 0)
    answers_if_question, answers_if_answer = gap[opening & odd], gap[opening & ~odd]
    begun_midway = len(answers_if_answer) > 0 and since_begin <= 2 * answers_if_answer.max()
    if begun_midway and answers_if_answer.max() * _CLOSER < answers_if_question.min():
        found[opening] = ~odd[opening]
    return np.asarray(found)
