"""Lines of two outputs held against each other: rules and routes, of which there may be thousands."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from netdiag.spans import Place


@dataclass(frozen=True)
class Line:
    """A rule or a route. `text` is what it says, `canonical` the same with the names that a user gave; lines of one
    `key` mean the same.
    """

    key: Hashable
    text: str
    canonical: str
    place: Place


Pair = tuple[Line, Line]


@dataclass(frozen=True)
class Matched:
    """Which lines are the same. `renumbered` say the same by other numbers; `moved` stand in another place among those
    that stayed.
    """

    still: tuple[Pair, ...]
    renumbered: tuple[Pair, ...]
    removed: tuple[Line, ...]
    added: tuple[Line, ...]
    moved: tuple[Pair, ...]


def match(before: Iterable[Line], after: Iterable[Line]) -> Matched:
    """Match each line with one of the same key, else with one that says the same. Linear but for a logarithm."""
    olds, news = list(before), list(after)
    still, left, right = _pairs(olds, news, lambda line: line.key)
    renumbered, removed, added = _pairs(left, right, lambda line: line.canonical)
    moved = _out_of_order([*still, *renumbered])
    return Matched(
        still=tuple((old, new) for _, old, _, new in still),
        renumbered=tuple((old, new) for _, old, _, new in renumbered),
        removed=tuple(line for _, line in removed),
        added=tuple(line for _, line in added),
        moved=tuple(moved),
    )


_Numbered = tuple[int, Line]
_Matched = tuple[int, Line, int, Line]


def _pairs(
    before: Sequence[Line] | Sequence[_Numbered],
    after: Sequence[Line] | Sequence[_Numbered],
    key: Callable[[Line], Hashable],
) -> tuple[list[_Matched], list[_Numbered], list[_Numbered]]:
    """Those with the same key, in the order of `after`, and what is left of both, each with its number in its list."""
    olds, news = list(_numbered(before)), list(_numbered(after))
    waiting: dict[Hashable, deque[_Numbered]] = defaultdict(deque)
    for number, line in olds:
        waiting[key(line)].append((number, line))
    pairs, added = [], []
    for number, line in news:
        same = waiting.get(key(line))
        if same:
            pairs.append((*same.popleft(), number, line))
        else:
            added.append((number, line))
    taken = {old for old, _, _, _ in pairs}
    return pairs, [each for each in olds if each[0] not in taken], added


def _numbered(lines: Sequence[Line] | Sequence[_Numbered]) -> Iterator[_Numbered]:
    for number, each in enumerate(lines):
        yield each if isinstance(each, tuple) else (number, each)


def _out_of_order(pairs: Iterable[_Matched]) -> Iterator[Pair]:
    """The fewest lines that would have to be moved to give the old order: all but a longest rising sequence."""
    ordered = sorted(pairs, key=lambda pair: pair[2])
    ends: list[int] = []  # the lowest old number at which a rising sequence of each length can end
    at: list[int] = []  # which pair that is
    came_from: list[int] = []
    for number, (old, _, _, _) in enumerate(ordered):
        length = bisect_left(ends, old)
        came_from.append(at[length - 1] if length else -1)
        if length == len(ends):
            ends.append(old)
            at.append(number)
        else:
            ends[length], at[length] = old, number
    rising, number = set(), at[-1] if at else -1
    while number >= 0:
        rising.add(number)
        number = came_from[number]
    return ((old, new) for number, (_, old, _, new) in enumerate(ordered) if number not in rising)
