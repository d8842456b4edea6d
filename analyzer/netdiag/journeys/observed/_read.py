"""From the batches of a trace's table to rows of packets' events, with texts as numbers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from netdiag.formats.records import KernelFunction
from netdiag.journeys.observed._events import KINDS, Phase
from netdiag.journeys.observed._join import Ints, Mask, Rows, Waits
from netdiag.journeys.observed.drops import comes_at_once, comes_of_waiting
from netdiag.traces import Columns


class Texts:
    """Texts by numbers that stay the same over all batches. Number 0 is the empty text.

    The batches of a trace share one dictionary of categories, which only grows: each category is looked up once, and
    kept as what it `means`.
    """

    def __init__(self, means: Callable[[str], str] = str) -> None:
        self._means = means
        self._numbers: dict[str, int] = {"": 0}
        self.texts: list[str] = [""]
        #: By the code of a category.
        self._of_category = np.zeros(0, dtype=np.int32)

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def numbers(self, batch: Columns, name: str, rows: "Ints | slice") -> Ints:
        """The numbers of some rows of a column of categories."""
        categories = batch.texts[name]
        new = len(self._of_category)
        if new > len(categories) or (new and self._of_category[new - 1] != self._number_of(categories[new - 1])):
            new = 0  # another dictionary than before
        if new < len(categories) or not new:
            more = [self._number_of(each) for each in categories[new:]]
            self._of_category = np.array([*self._of_category[:new], *more], dtype=np.int32)
        return np.asarray(self._of_category[batch[name][rows]])

    def _number_of(self, category: str) -> int:
        return self.number(self._means(category))


#: Of a place in the kernel, as Linux 6.1 prints it.
_ADDRESS = re.compile("0x[0-9a-f]{8,16}")

#: perf 7.2 prints where the kernel keeps a device's name instead of the name: an address, as a decimal number.
_ADDRESS_DIGITS = 10


class Reader:
    """Makes rows of batches, and remembers the texts of all of them."""

    def __init__(self, drop_reasons: Mapping[int, str] | None, functions: Mapping[int, KernelFunction]) -> None:
        self._drop_reasons = drop_reasons
        self.tasks, self.devices, self.reasons = Texts(), Texts(), Texts()
        self.places = Texts(partial(_named, functions))
        self.events: Sequence[str] = [*KINDS]
        self._phase = np.array([kind.phase for kind in KINDS.values()], dtype=np.int8)
        self._order = np.array([kind.order for kind in KINDS.values()], dtype=np.int8)
        self._number = {name: number for number, name in enumerate(KINDS)}
        self._nameless: set[int] = set()

    def read(self, batch: Columns) -> Rows:
        """The events of packets in a batch: those that are known, have a time, and name an skb, or tell that what was
        received is done with.
        """
        kinds = np.array([self._number.get(name, -1) for name in batch.texts["name"]], np.int8)
        event = kinds[batch["name"]]
        skb = batch["skb"]
        known = (event >= 0) & ((skb != 0) | (self._phase[event] == Phase.RETURNED))
        known &= batch["time"] >= 0
        rows = slice(None) if known.all() else np.flatnonzero(known)  # of all no copy is made
        event = event[rows]

        def numbers(name: str) -> Ints:
            return np.asarray(batch[name][rows])

        return Rows(
            line=numbers("line"),
            time=numbers("time"),
            cpu=numbers("cpu"),
            pid=numbers("pid"),
            task=self.tasks.numbers(batch, "task", rows),
            event=event,
            phase=self._phase[event],
            order=self._order[event],
            device=self._devices(batch, rows),
            skb=skb[rows],
            length=numbers("length").astype(np.int64),
            rc=numbers("rc").astype(np.int64),
            reason=self.reasons.numbers(batch, "reason", rows),
            location=self.places.numbers(batch, "location", rows),
            protocol=numbers("protocol"),
        )

    def waits(self) -> Waits:
        """What the reasons and places of drops so far tell of how long the packets may have waited."""
        listed = self._drop_reasons
        return Waits(
            at_once=_mask(comes_at_once(text, listed) for text in self.reasons.texts),
            kept_for_reason=_mask(comes_of_waiting(text, "", listed) for text in self.reasons.texts),
            kept_at_place=_mask(comes_of_waiting("", text, listed) for text in self.places.texts),
        )

    def _devices(self, batch: Columns, rows: "Ints | slice") -> Ints:
        known = len(self.devices.texts)
        found = self.devices.numbers(batch, "device", rows)
        for number, text in enumerate(self.devices.texts[known:], known):
            if len(text) >= _ADDRESS_DIGITS and text.isdecimal():
                self._nameless.add(number)
        if self._nameless:
            found[np.isin(found, [*self._nameless])] = 0
        return found

    def pairs(self, names: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
        return [(self.devices.number(one), self.devices.number(other)) for one, other in names]


def _named(functions: Mapping[int, KernelFunction], place: str) -> str:
    """A place by its function, if it is an address that is known."""
    found = functions.get(int(place, 16)) if _ADDRESS.fullmatch(place) else None
    return found.place if found else place


def _mask(truths: Iterable[bool]) -> Mask:
    return np.array([*truths], dtype=bool)


def counts(batch: Columns) -> Mapping[str, int]:
    """How often each event of packets stands in a batch."""
    names = batch.texts["name"]
    number = np.bincount(batch["name"], minlength=len(names))
    return {name: int(each) for name, each in zip(names, number, strict=True) if each and name in KINDS}
