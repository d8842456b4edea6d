"""What the parts of lines mean: the grammar reads each distinct part once, in a line made for it.

Lines of a trace differ in their numbers most of all. A line's shape is its text without the numbers that were cut out
of it. The rules of a grammar cannot see which digit stands in such a number, nor does what stands behind the time hang
on the head before it. So a line made of a known head, other numbers and the shape in question is read as all lines of
that shape are. If those numbers come out in the columns where they belong and nowhere else, they are put there for
every line of the shape; if not, its lines are read one by one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdiag import formats
from netdiag.formats import Record
from netdiag.formats.records import Frame, TraceEvent
from netdiag.spans import Source
from netdiag.traces._arrow import codes, of_numbers
from netdiag.traces._chunk import Chunk, Flags, Ints
from netdiag.traces._columns import TABLES, Categories, Column, dtype_of
from netdiag.traces._cuts import Kind, Number
from netdiag.traces.table import Row, Rows, StackBook, absent, fitting

# three codes and five flags fit into a key of 63 bits
_CODE_BITS = 19
#: So many distinct parts are kept at most; then all are forgotten and read anew.
MOST_PARTS = 1 << _CODE_BITS
#: Of so many lines in one chunk even all different ones are not more parts.
MOST_LINES = MOST_PARTS // 4

# the column of each kind of number, and what stands for the number in a line that is made
_PROBES: dict[int, tuple[str, str, int]] = {
    Kind.DURATION: ("duration", "98765.432", 98_765_432),
    Kind.SKB: ("skb", "f9e1d2c3b4a59687", 0xF9E1D2C3B4A59687),
    Kind.LENGTH: ("length", "54321", 54_321),
    Kind.PERIOD: ("period", "87654321", 87_654_321),
    Kind.INDENT: ("depth", " " * 16, 7),
    Kind.PID: ("pid", "765432", 765_432),
}


@dataclass(frozen=True)
class _Standard:
    """A line of a format that is surely read: `line` has places for head and body."""

    line: str
    head: str
    body: str
    frame: str


_STANDARDS = {
    "trace_cmd_report": _Standard(
        "{head}7654321.123456{body}", "probe-77 [003] ", ": probed: a=1", "=> probed (ffffffff81)"
    ),
    "perf_script": _Standard(
        "{head}7654321.123456{body}", "probe 77 [003] ", ": a:probed: a=1", " ffffffff81 probed (probe)"
    ),
    "perf_trace": _Standard(
        "76543.212{head}{body}", " probe/77", " a:probed(a: 1)", "    probed (probe)"
    ),
}  # fmt: skip

EVENTS, CALLS = 1, 2
TABLE_OF = {EVENTS: "events", CALLS: "calls"}

COLUMN_OF_KIND = {kind: name for kind, (name, _, _) in _PROBES.items()}

#: The columns that a line's head tells; its body tells the others, but for line and time.
OF_HEAD = {"events": ("cpu", "pid", "tgid", "task", "duration"), "calls": ("cpu", "pid", "task")}
OF_BODY = {
    table: tuple(name for name in TABLES[table] if name not in (*OF_HEAD[table], "line", "time")) for table in OF_HEAD
}


class Parts:
    """The distinct texts among parts of lines, with codes in the order of their appearance; 0 is the empty text."""

    def __init__(self) -> None:
        self._codes = {b"": 0}
        self._texts = [b""]

    def __len__(self) -> int:
        return len(self._texts)

    def codes_of(self, distinct: Sequence[bytes]) -> Ints:
        # not by Arrow's index_in, which would put all known texts into a new hash table each time
        known = list(map(self._codes.get, distinct))
        if None in known:
            for place in [place for place, code in enumerate(known) if code is None]:
                known[place] = self._codes[distinct[place]] = len(self._texts)
                self._texts.append(distinct[place])
        return np.array(known, np.int64)

    def text(self, code: int) -> bytes:
        """The text of a code, which may have other bits above it."""
        return self._texts[code & (1 << _CODE_BITS) - 1]

    def texts_from(self, first: int) -> list[bytes]:
        """The texts of all codes from one on."""
        return self._texts[first:]


class Told:
    """What some parts tell, in columns: one row for each part."""

    def __init__(self, kinds: dict[str, np.dtype[Any]]) -> None:
        self._new: list[Sequence[int]] = []
        self._columns: dict[str, np.ndarray[Any, Any]] = {name: np.array([], kind) for name, kind in kinds.items()}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Sequence[int]) -> None:
        self._count += 1
        self._new.append(row)

    def column(self, name: str) -> np.ndarray[Any, Any]:
        if self._new:
            for (known, old), new in zip(self._columns.items(), zip(*self._new, strict=True), strict=True):
                self._columns[known] = np.concatenate([old, np.array(new, old.dtype)])
            self._new = []
        return self._columns[name]

    def values(self, name: str, parts: Ints) -> Column:
        """What the parts of some lines tell."""
        column = self.column(name)
        if (column == column[0]).all():
            return int(column[0])
        values: Column = column[parts]
        return values


Read = list[tuple[str, Row, Record]]


class ProbeReader:
    """Reads lines that are made to be read."""

    def __init__(self, format_name: str) -> None:
        self._format = formats.get(format_name)
        self._made = _STANDARDS[format_name]
        alone, framed = self.read([[self.line()], [self.line(), self._made.frame]])
        if not alone or not framed:
            raise AssertionError(f"{format_name} does not read its own standard line")
        self._row = alone[0][1]
        self.frame = _stack(framed[0][2])

    def line(self, *, head: bytes | None = None, body: bytes | None = None) -> str:
        """A line with this head or this body."""
        return self._made.line.format(
            head=self._made.head if head is None else as_lines(head),
            body=self._made.body if body is None else as_lines(body),
        )

    def line_and_frame(self, *, body: bytes) -> list[str]:
        return [self.line(body=body), self._made.frame]

    def is_standard(self, row: Row, names: Sequence[str]) -> bool:
        """Whether these columns say what the standard line says, and the time as well."""
        return all(row.get(name) == self._row.get(name) for name in ("time", *names))

    def read(self, texts: Sequence[Sequence[str]]) -> list[Read | None]:
        """What each of these texts, of some lines, tells; None for one with a line that is not read."""
        lines: list[str] = []
        owner: list[int] = []
        for number, text in enumerate(texts):
            lines += [*text, ""]  # a blank line keeps a frame from the next text
            owner += [number] * (len(text) + 1)
        document = self._format.read(Source("", "\n".join(lines)))
        told: list[Read] = [[] for _ in texts]
        rows = Rows()
        for record in document.records:
            rows.add(record)
            told[owner[record.span.line - 1]] += [(table, made.pop(), record) for table, made in rows.tables() if made]
        unread = {owner[entry.line - 1] for entry in document.unread}
        return [None if number in unread else read for number, read in enumerate(told)]


def as_lines(text: bytes) -> str:
    """Text of a chunk for a source, which would drop a carriage return before a line feed."""
    decoded = text.decode("utf-8", "surrogatepass")
    if "\r" in decoded:
        decoded = decoded.replace("\r\n", "\r\r\n")
    return decoded + "\r" if decoded.endswith("\r") else decoded


def _stack(record: Record) -> tuple[Frame, ...]:
    return record.stack if isinstance(record, TraceEvent) else ()


# what stands before the number of a task, that number (not that of `:-1`, which is below zero), and what may stand
# behind it: the CPU and the flags
_PID = re.compile(
    rb"(.+?)(?<![0-9])(?<! -)([0-9]{1,8})((?: +\[[0-9]{3}\])?(?: +[0-9]{0,4}[.dDbBXN][^ ]{3,5})? *)", re.DOTALL
)


class Heads:
    """What the heads of lines tell: each distinct one has a number."""

    def __init__(self, reader: ProbeReader, categories: Categories) -> None:
        self._reader = reader
        self._categories = categories
        self._clear()

    def _clear(self) -> None:
        self._parts = Parts()
        # what a head tells by the texts before and behind the number of its task, if it has one
        self._shapes: dict[tuple[bytes, bytes | None], list[int]] = {}
        self.told = Told({"good": np.dtype(bool)} | {name: _dtype("events", name) for name in OF_HEAD["events"]})

    def numbers(self, chunk: Chunk, start: Ints, end: Ints) -> Ints:
        """The number of each line's head."""
        texts, which = chunk.pieces([start, end])
        if len(self._parts) + len(texts) > MOST_PARTS:
            self._clear()
        found = self._parts.codes_of(texts)[which[:, 0]]
        self._read(self._parts.texts_from(len(self.told)))
        return found

    def _read(self, heads: Sequence[bytes]) -> None:
        if not heads:
            return
        cuts = [_PID.fullmatch(head) for head in heads]
        keys = [(cut[1], cut[3]) if cut else (head, None) for head, cut in zip(heads, cuts, strict=True)]
        new = [key for key in dict.fromkeys(keys) if key not in self._shapes]
        kinds = [Kind.NONE if behind is None else Kind.PID for _, behind in new]
        made = [before + _probe(kind) + (behind or b"") for (before, behind), kind in zip(new, kinds, strict=True)]
        told = self._reader.read([[self._reader.line(head=head)] for head in made])
        for key, kind, read in zip(new, kinds, told, strict=True):
            row: Row = read[0][1] if read and len(read) == 1 else {}
            good = bool(row) and self._reader.is_standard(row, OF_BODY["events"]) and _in_place(row, [kind])
            self._shapes[key] = [good, *_coded("events", OF_HEAD["events"], row if good else {}, self._categories)]
        place = 1 + OF_HEAD["events"].index("pid")
        for key, cut in zip(keys, cuts, strict=True):
            row_of_shape = self._shapes[key]
            self.told.add([*row_of_shape[:place], int(cut[2]), *row_of_shape[place + 1 :]] if cut else row_of_shape)


class Keys:
    """Numbers for keys in the order of their appearance."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def numbers(self, keys: Ints) -> tuple[Ints, list[int]]:
        """The number of each key, and the keys that are new."""
        encoded = of_numbers(keys).dictionary_encode()
        known = self._numbers
        distinct: list[int] = encoded.dictionary.to_pylist()
        new = [key for key in distinct if key not in known]
        known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
        found: Ints = np.array([known[key] for key in distinct], np.int64)[codes(encoded)]
        return found, new


#: The kinds of numbers that a group may have: their place here is part of the keys of shapes.
_GROUPS = ((Kind.DURATION, Kind.INDENT), (Kind.SKB, Kind.LENGTH), (Kind.PERIOD,))


class Bodies:
    """What the bodies of lines tell: the shape of each has a number."""

    SLOW = 0
    #: the stack of a body that has the frames below it
    BELOW = -2

    def __init__(self, reader: ProbeReader, categories: Categories, book: StackBook) -> None:
        self._reader = reader
        self._categories = categories
        self._book = book
        self._clear()

    def _clear(self) -> None:
        self._parts = Parts()
        self._keys = Keys()
        #: for each shape its table, and its number among the shapes of that table
        self.places = Told({"table": np.dtype(np.int8), "place": np.dtype(np.int32)})
        self.told = {table: Told({name: _dtype(table, name) for name in names}) for table, names in OF_BODY.items()}

    def numbers(self, chunk: Chunk, start: Ints, end: Ints, numbers: Sequence[Number], framed: Flags) -> Ints:
        """The number of each line's shape; `framed` tells which lines have frames below them."""
        bounds = [start, *(bound for number in numbers for bound in (number.start, number.end)), end]
        texts, which = chunk.pieces(bounds)
        if len(self._parts) + len(texts) > MOST_PARTS:
            self._clear()
        codes = self._parts.codes_of(texts)[which]
        keys = framed + 8 * _GROUPS.index(tuple(number.kind for number in numbers))
        for flag, number in zip((2, 4), numbers, strict=False):
            keys += flag * number.there
        for code in codes.T:
            keys = keys << _CODE_BITS | code
        keys <<= _CODE_BITS * (3 - codes.shape[1])
        found, new = self._keys.numbers(keys)
        self._read(new)
        return found

    def _read(self, keys: Sequence[int]) -> None:
        if not keys:
            return
        shapes = [self._shape(key) for key in keys]
        made = [(self._reader.line_and_frame if framed else self._alone)(body=body) for body, _, framed in shapes]
        for (_, kinds, framed), read in zip(shapes, self._reader.read(made), strict=True):
            table, row = self._row(read, kinds, framed=framed)
            place = 0
            if table != self.SLOW:
                name = TABLE_OF[table]
                place = len(self.told[name])
                self.told[name].add(_coded(name, OF_BODY[name], row, self._categories))
            self.places.add((table, place))

    def _alone(self, *, body: bytes) -> list[str]:
        return [self._reader.line(body=body)]

    def _shape(self, key: int) -> tuple[bytes, list[int], bool]:
        """A body of the shape, the kinds of its numbers, and whether frames are below it."""
        flags = key >> 3 * _CODE_BITS
        group = _GROUPS[flags >> 3]
        kinds = [kind if flags & flag else Kind.NONE for flag, kind in zip((2, 4), (*group, Kind.NONE), strict=False)]
        before, between, behind = (self._parts.text(key >> shift * _CODE_BITS) for shift in (2, 1, 0))
        return before + _probe(kinds[0]) + between + _probe(kinds[1]) + behind, kinds, bool(flags & 1)

    def _row(self, read: Read | None, kinds: Sequence[int], *, framed: bool) -> tuple[int, Row]:
        """The table of a shape and what it says there, if its numbers stand where they belong and nowhere else."""
        if not read or len(read) != 1 or read[0][0] not in OF_BODY:
            return self.SLOW, {}
        table, row, record = read[0]
        if not self._reader.is_standard(row, OF_HEAD[table]):
            return self.SLOW, {}
        if not _in_place(row, kinds):
            return self.SLOW, {}
        if table == "calls":
            return CALLS, row
        stack = _stack(record)
        below = framed and stack == self._reader.frame
        return EVENTS, row | {"stack": self.BELOW if below else self._book.stack_of(stack)}


def _probe(kind: int) -> bytes:
    return _PROBES[kind][1].encode() if kind else b""


def _in_place(row: Row, kinds: Sequence[int]) -> bool:
    """Whether the numbers of a line that was made are in their columns and nowhere else."""
    texts = [value for value in row.values() if isinstance(value, str)]
    for kind in filter(None, kinds):
        name, probe, value = _PROBES[kind]
        if row.get(name) != value or (probe.strip() and any(probe in text for text in texts)):
            return False
    return True


def _dtype(table: str, name: str) -> np.dtype[Any]:
    return dtype_of(TABLES[table][name])


def _coded(table: str, names: Sequence[str], row: Row, categories: Categories) -> list[int]:
    """The values of some columns, texts as codes."""
    made = []
    for name in names:
        kind = TABLES[table][name]
        value: Any = row[name] if name in row else absent(name, kind)
        made.append(categories.of(name).code(value) if kind == "category" else fitting(name, kind, value))
    return made
