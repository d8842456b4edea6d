"""The tables of a trace, and what the rows of the records that lark reads are: the reference for every faster way."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netdiag.formats.records import Frame, FunctionCall, InterruptSection, TaskSwitch, TraceEvent, TraceLoss
from netdiag.spans import Source

if TYPE_CHECKING:
    import pandas as pd

#: The name of a frame whose symbol the tool did not find.
UNKNOWN = "[unknown]"

#: Of so many lines that are not read a table says which they are, and why; the others are counted.
MOST_UNREAD = 1_000

#: In a column of numbers: the trace does not tell. An address of 0, and an empty text, say the same.
NOT_TOLD = -1


class Phase(IntEnum):
    """What a row of the calls is: a line of function_graph, or what breaks the nesting of its lines."""

    ENTRY = 0
    EXIT = 1
    LEAF = 2
    SWITCH = 3
    INTERRUPT_ENTERS = 4
    INTERRUPT_LEAVES = 5
    LOST = 6


#: The columns of the events. Texts are categories; all batches of a trace share one dictionary, which only grows.
EVENT_COLUMNS: Mapping[str, str] = {
    "line": "int64",  # 1-based, in the source
    "time": "int64",  # ns of the trace's own clock
    "cpu": "int16",
    "pid": "int32",  # of the thread
    "tgid": "int32",
    "task": "category",
    "system": "category",  # "net" of net:net_dev_queue; trace-cmd and tracefs do not print it
    "name": "category",
    "device": "category",  # fields dev or name
    "skb": "uint64",  # field skbaddr
    "length": "int32",  # field len
    "rc": "int32",  # field rc; 0 when not printed, as perf trace leaves zeros out
    "reason": "category",  # of a drop: a name, or a number as perf trace prints it
    "location": "category",  # of a drop: a symbol or an address
    "protocol": "int32",  # EtherType
    "period": "int64",  # of a sample of a counter: how far that counted since the one before
    "duration": "int64",  # ns, of a system call
    "stack": "int32",  # number in the stacks
    "rest": "category",  # the fields that no column holds, as `key=value`, and the words besides
}

#: The columns of the calls: function_graph, in the order of the source.
CALL_COLUMNS: Mapping[str, str] = {
    "line": "int64",
    "time": "int64",  # ns
    "cpu": "int16",
    "pid": "int32",
    "task": "category",
    "phase": "int8",
    "depth": "int16",
    "function": "category",  # empty at an exit that does not name it
    "duration": "int64",  # ns; not told at an entry
    "next_pid": "int32",  # of a switch
    "next_task": "category",
    "returned": "category",
    "lost": "int64",  # how many events, of a LOST row
}

#: The columns of the losses: `count` events are missing there.
LOSS_COLUMNS: Mapping[str, str] = {"line": "int64", "time": "int64", "cpu": "int16", "count": "int64"}

_COLUMN_OF_FIELD = {"dev": "device", "name": "device", "skbaddr": "skb", "len": "length", "rc": "rc"} | {
    name: name for name in ("reason", "location", "protocol", "period")
}


@dataclass(frozen=True)
class Stacks:
    """Call stacks, each distinct one once: stack `n` is `frames[offsets[n]:offsets[n + 1]]`, innermost first.

    Each of these is a number of `names` and `modules`: the symbol (`[unknown]` where there is none, because an address
    is another one in each process) and the module's name (`[kernel.kallsyms]`, a path, or empty).
    """

    names: Sequence[str]
    modules: Sequence[str]
    offsets: np.ndarray[Any, np.dtype[np.int64]]
    frames: np.ndarray[Any, np.dtype[np.int32]]

    def __len__(self) -> int:
        return len(self.offsets) - 1


Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows of one table, column by column, each read when it is asked for.

    Of a category a column has codes, the places of its texts in `texts`; it may be one value, broadcast, so nobody
    writes into it.
    """

    names: Sequence[str]
    texts: Mapping[str, Sequence[str]] = field(repr=False)
    rows: int
    column: Callable[[str], Array] = field(repr=False)

    def __len__(self) -> int:
        return self.rows

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Array:
        return self.column(name)

    def take(self, rows: Array) -> "Columns":
        """Some of the rows: a flag for each, or their places."""
        count = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
        return Columns(self.names, self.texts, count, lambda name: self.column(name)[rows])

    def isin(self, name: str, values: Collection[int] | Collection[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows have one of these values there; none does in a table without such a column."""
        if name not in self.names:
            return np.zeros(self.rows, dtype=bool)
        if name not in self.texts:
            return np.isin(self[name], [*values])
        chosen: np.ndarray[Any, np.dtype[np.bool_]] = np.array(
            [text in values for text in self.texts[name]], dtype=bool
        )
        return chosen[self[name]]

    def values(self, name: str) -> list[Any]:
        """Numbers or texts, as Python has them."""
        found: list[Any] = self[name].tolist()
        return [self.texts[name][code] for code in found] if name in self.texts else found

    def tally(self, *names: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
        """What the rows say in some categories: how many say the same, and the place of the first of these."""
        keys = np.zeros(self.rows, np.int64)
        for name in names:
            keys = keys * len(self.texts[name]) + self[name]
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        texts = zip(*map(self.take(first).values, names), strict=True)
        return zip(texts, counts.tolist(), first.tolist(), strict=True)

    def frame(self) -> "pd.DataFrame":
        """The rows as pandas has them, which is loaded for it."""
        import pandas as pd  # noqa: PLC0415

        made: dict[str, Any] = {}
        for name in self.names:
            made[name] = np.ascontiguousarray(self[name])
            if name in self.texts:
                dtype = pd.CategoricalDtype(pd.Index(self.texts[name], dtype=object))
                made[name] = pd.Categorical.from_codes(made[name], dtype=dtype, validate=False)
        return pd.DataFrame(made, copy=False)


def as_one(batches: Iterable[Columns]) -> Columns:
    """Batches of one table, at least one, as one."""
    parts = [*batches]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].names}
    return Columns(parts[0].names, parts[-1].texts, sum(map(len, parts)), whole.__getitem__)


@dataclass(frozen=True, eq=False)
class TraceTable:
    """A trace as tables. `events` and `calls` give batches in the order of the source, each time anew.

    `lines` and `read` count lines of the source; `unread` are the line numbers and reasons of the others, of the first
    1,000 if there are more. `ways` says how many lines each way of reading took (`records`, `columns`, `pattern`,
    `grammar`).
    """

    source: Source
    format: str
    lines: int
    read: int
    unread: tuple[tuple[int, str], ...]
    event_batches: Callable[[], Iterator[Columns]] = field(repr=False)
    call_batches: Callable[[], Iterator[Columns]] = field(repr=False)
    loss_batches: Callable[[], Iterator[Columns]] = field(repr=False)
    stacks: Stacks = field(repr=False)
    ways: Mapping[str, int] = field(default_factory=dict)

    def events(self) -> "pd.DataFrame":
        """All events in one table: for traces that are known to be small."""
        return as_one(self.event_batches()).frame()

    def calls(self) -> "pd.DataFrame":
        return as_one(self.call_batches()).frame()

    @cached_property
    def losses(self) -> Columns:
        return as_one(self.loss_batches())


class StackBook:
    """The distinct call stacks of a trace, in the order of their first appearance."""

    def __init__(self) -> None:
        self._frames: dict[tuple[str, str], int] = {}
        self._stacks: dict[bytes, int] = {}

    def frame(self, frame: Frame) -> int:
        """The number of a frame's symbol and module."""
        return self.named(frame.symbol or UNKNOWN, frame.module or "")

    def named(self, symbol: str, module: str) -> int:
        return self._frames.setdefault((symbol, module), len(self._frames))

    def counts(self) -> tuple[int, int]:
        """How many frames and stacks have a number."""
        return len(self._frames), len(self._stacks)

    def frames(self) -> list[tuple[str, str]]:
        """The symbol and module of each frame number."""
        return list(self._frames)

    def all(self) -> list[bytes]:
        """The frames of each stack number."""
        return list(self._stacks)

    def stack(self, frames: bytes) -> int:
        """The number of the stack of these frames, which are numbers of 32 bits; not told when there are none."""
        return self._stacks.setdefault(frames, len(self._stacks)) if frames else NOT_TOLD

    def numbers(self, stacks: Sequence[bytes]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of distinct stacks, each the bytes of the numbers of its frames; none is empty."""
        known = self._stacks
        numbers = list(map(known.get, stacks))
        for place in [place for place, number in enumerate(numbers) if number is None]:
            numbers[place] = known[stacks[place]] = len(known)
        return np.array(numbers, np.int64)

    def stack_of(self, frames: Sequence[Frame]) -> int:
        return self.stack(np.array([self.frame(frame) for frame in frames], np.int32).tobytes())

    def stacks(self) -> Stacks:
        frames = np.frombuffer(b"".join(self._stacks), np.int32)
        offsets = np.zeros(len(self._stacks) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, self._stacks), np.int64) // frames.itemsize, out=offsets[1:])
        return Stacks([name for name, _ in self._frames], [module for _, module in self._frames], offsets, frames)


Row = dict[str, Any]


class Rows:
    """The rows of records: for each, the columns that it tells of. What a record does not tell is left out or -1."""

    def __init__(self, book: StackBook | None = None) -> None:
        self.book = book or StackBook()
        self.events: list[Row] = []
        self.calls: list[Row] = []
        self.losses: list[Row] = []

    def tables(self) -> tuple[tuple[str, list[Row]], ...]:
        """The rows of each table, by its name."""
        return ("events", self.events), ("calls", self.calls), ("losses", self.losses)

    def add(self, record: object) -> None:
        match record:
            case TraceEvent():
                self.events.append(self._event(record))
            case FunctionCall():
                self.calls.append(
                    _place(record)
                    | {
                        "phase": Phase[record.phase.upper()],
                        "depth": record.depth,
                        "function": record.function or "",
                        "duration": _told(record.duration),
                        "returned": record.returned or "",
                    }
                )
            case TaskSwitch():
                self.calls.append(
                    _place(record) | {"phase": Phase.SWITCH, "next_pid": record.next_pid, "next_task": record.next_task}
                )
            case InterruptSection():
                phase = Phase.INTERRUPT_ENTERS if record.enters else Phase.INTERRUPT_LEAVES
                self.calls.append(_place(record) | {"phase": phase})
            case TraceLoss():
                place = _place(record)
                self.losses.append(place | {"count": _told(record.count)})
                self.calls.append(place | {"phase": Phase.LOST, "lost": _told(record.count)})

    def _event(self, event: TraceEvent) -> Row:
        row = _place(event) | {
            "tgid": _told(event.tgid),
            "system": event.system or "",
            "name": event.name,
            "rc": 0,
            "duration": _told(event.duration),
            "stack": self.book.stack_of(event.stack),
        }
        rest = []
        for name, text in event.fields.items():
            column = _COLUMN_OF_FIELD.get(name, "")
            value = _value(column, text)
            if value is None or (column in row and column != "rc"):
                rest.append(f"{name}={text}")
            else:
                row[column] = value
        row["rest"] = " ".join([*rest, event.text] if event.text else rest)
        return row


def absent(name: str, kind: str) -> int | str:
    """What a column says of a row that does not tell it."""
    return "" if kind == "category" else 0 if name in ("skb", "rc") else NOT_TOLD


_RANGES = {kind: (np.iinfo(kind).min, np.iinfo(kind).max) for kind in ("int8", "int16", "int32", "int64", "uint64")}


def fitting(name: str, kind: str, value: int) -> int:
    """A number as a column of its kind can hold it. What it cannot is not told: the text of a trace may be anything."""
    least, most = _RANGES[kind]
    return value if least <= value <= most else int(absent(name, kind))


def numbers(name: str, kind: str, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    """A column of numbers."""
    missing = absent(name, kind)
    return np.array([fitting(name, kind, row.get(name, missing)) for row in rows], kind)


def _place(record: Any) -> Row:
    """Where and when: what all records of a trace tell, so far as each does."""
    told = {name: _told(getattr(record, name, None)) for name in ("time", "cpu", "pid")}
    return {"line": record.span.line, "task": getattr(record, "task", None) or "", **told}


def _told(value: int | None) -> int:
    return NOT_TOLD if value is None else value


#: The numbers that each column takes; a value beyond them stays text, among the rest.
_WIDEST = {
    "skb": (0, 2**64 - 1),
    "length": (0, 2**31 - 1),
    "rc": (-(2**31), 2**31 - 1),
    "protocol": (0, 2**31 - 1),
    "period": (0, 2**63 - 1),
}


def _value(column: str, text: str) -> int | str | None:
    """The value of a field in its column, None when it is not of that kind or there is no such column."""
    if column not in _WIDEST:
        return text if column else None
    digits = text.removeprefix("-")
    try:
        number = int(text, 16) if digits[:2].lower() == "0x" or column == "skb" else int(text)
    except ValueError:
        return None
    least, most = _WIDEST[column]
    return number if least <= number <= most else None
