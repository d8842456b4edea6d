"""Takes a trace as blocks of lines and makes the rows of its tables.

There are three ways from a line to its row, each slower and less choosy than the one before: cut and looked up among
the shapes that the grammar has read (`_cuts`, `_shapes`), by the patterns derived from the grammar, and by the grammar
itself (`netdiag.formats`). A line that one way does not take goes to the next.
"""

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np

from netdiag import formats
from netdiag.formats._derive import item_reader, line_reader
from netdiag.spans import Source
from netdiag.traces._chunk import Chunk, Flags, Ints
from netdiag.traces._columns import TABLES, Batch, Categories, Column, Store, Stored, batch_of, merged
from netdiag.traces._cuts import ALL, CUTS, UNCUT, Group, Lines, Places
from netdiag.traces._frames import Frames
from netdiag.traces._shapes import (
    COLUMN_OF_KIND,
    MOST_LINES,
    OF_BODY,
    OF_HEAD,
    TABLE_OF,
    Bodies,
    Heads,
    ProbeReader,
    as_lines,
)
from netdiag.traces.table import MOST_UNREAD, NOT_TOLD, Rows, StackBook, TraceTable

# bytes of columns that are held in memory
_BUDGET = 64 * 1024 * 1024
# bytes of a text that has enough lines to be worth the patterns of its grammar
_MANY_LINES = 256 * 1024
# an event and the lines below it are kept in one piece up to this size
_LONGEST_GROUP = 64 * 1024 * 1024


@dataclass(frozen=True)
class Piece:
    """What a process read of a piece of a trace: its columns are in a file, and lines count from where it begins.

    `unread` are the first of the lines that were not read. `known` is how many texts of each column, frames and stacks
    the process knew behind it.
    """

    batches: Mapping[str, list[Stored]]
    lines: int
    read: int
    unread: list[tuple[int, str]]
    known: Mapping[str, int]


@dataclass(frozen=True)
class Part:
    """All that a process read of a trace: pieces by their numbers, and what the codes in them stand for."""

    pieces: Mapping[int, Piece]
    texts: Mapping[str, list[str]]
    frames: list[tuple[str, str]]
    stacks: list[bytes]
    ways: Mapping[str, int]


class Translation:
    """What the codes of another process are among those of a reader that absorbs its pieces in the order of the text.

    What a piece is the first to tell gets its code then, so that codes are as if one process had read everything.
    """

    def __init__(self, part: Part, file: IO[bytes], categories: Categories, book: StackBook) -> None:
        self.file = file
        self._part = part
        self._categories = categories
        self._book = book
        sizes = {name: len(texts) for name, texts in part.texts.items()}
        sizes |= {"frame": len(part.frames), "stack": len(part.stacks)}
        self.codes = {name: np.full(size + 1, NOT_TOLD, np.int32) for name, size in sizes.items()}
        self._known = dict.fromkeys(sizes, 0)

    def learn(self, known: Mapping[str, int]) -> None:
        """Give codes to so many texts, frames and stacks."""
        part, codes = self._part, self.codes
        new = {name: range(self._known[name], known[name]) for name in known}
        for name, texts in part.texts.items():
            code = self._categories.of(name).code
            for number in new[name]:
                codes[name][number] = code(texts[number])
        for number in new["frame"]:
            codes["frame"][number] = self._book.named(*part.frames[number])
        for number in new["stack"]:
            frames = codes["frame"][np.frombuffer(part.stacks[number], np.int32)]
            codes["stack"][number] = self._book.stack(frames.tobytes())
        self._known.update(known)


@dataclass(frozen=True)
class _Groups:
    """Which lines belong together. All are numbers of lines of the chunk, from 0.

    The lines right below a line with a time, up to `end`, belong to it. `loose` are the others that are not blank.
    """

    end: Ints
    loose: Ints

    @classmethod
    def of(cls, chunk: Chunk, line: Ints) -> "_Groups":
        count = len(chunk.line_ends)
        following = np.append(line[1:], count)
        if len(line) == count:
            return cls(following, np.array([], np.int64))
        blank = chunk.line_starts == chunk.line_ends
        blanks = np.append(np.flatnonzero(blank), count)
        end = np.minimum(following, blanks[np.searchsorted(blanks, line)]) if len(line) else following[:0]
        inside = np.zeros(count + 1, np.int8)
        inside[line] = 1
        inside[end] -= 1
        return cls(end, np.flatnonzero((np.cumsum(inside[:-1]) == 0) & ~blank))


class Reader:
    """Takes a trace as blocks of whole lines and fills a store with its rows."""

    def __init__(self, format_name: str, file: IO[bytes] | None = None) -> None:
        self._format = formats.get(format_name)
        self._cut = CUTS.get(format_name, UNCUT)
        self._waiting: list[bytes] = []
        self._size = self._enough = 0
        self.lines = 0
        self._read_lines = 0
        self._unread: list[tuple[int, str]] = []
        self._ways = dict.fromkeys(("columns", "pattern", "grammar"), 0)
        self._book = StackBook()
        self._store = Store(_BUDGET, file)
        if format_name in CUTS:
            probes = ProbeReader(format_name)
            self._heads = Heads(probes, self._store.categories)
            self._bodies = Bodies(probes, self._store.categories, self._book)
            self._frames = Frames(format_name, self._book)

    def read(self, blocks: Iterable[bytes]) -> None:
        """Read all of a text, or of a range that ends where a line with a time begins."""
        last = b""
        for block in blocks:
            if last:
                self.feed(last)
            last = block
        self._take(last)
        self.finish()

    def _take(self, block: bytes) -> None:
        if len(block) > _MANY_LINES:
            for reader in (line_reader(self._format.name), item_reader("trace_fields"), item_reader("trace_arguments")):
                reader.expect_many()
        self._waiting.append(block)
        self._size += len(block)

    def feed(self, block: bytes) -> None:
        """Read whole lines. The last line with a time waits for what the next block may have below it."""
        self._take(block)
        if self._size < self._enough:
            return
        chunk = Chunk(*self._waiting)
        lines = self._cut.lines(chunk)
        last = int(lines.line[-1]) if len(lines) else 0
        if last:
            self._wait(chunk.cut_off(last))
            self._read(chunk, lines.before_last())
        elif self._size > _LONGEST_GROUP:
            self._wait()
            self._read(chunk, lines)
        else:
            self._enough = 2 * self._size

    def finish(self) -> None:
        """Read what waits."""
        chunk = Chunk(*self._waiting)
        self._wait()
        self._read(chunk, self._cut.lines(chunk))

    def _wait(self, *blocks: bytes) -> None:
        """So much waits for what comes after it."""
        self._waiting = [*blocks]
        self._size = sum(map(len, blocks))
        self._enough = 0

    def table(self, source: Source) -> TraceTable:
        store = self._store
        return TraceTable(
            source=source,
            format=self._format.name,
            lines=self.lines,
            read=self._read_lines,
            unread=tuple(self._unread),
            event_batches=lambda: store.batches("events"),
            call_batches=lambda: store.batches("calls"),
            loss_batches=lambda: store.batches("losses"),
            stacks=self._book.stacks(),
            ways=self._ways,
        )

    def piece(self) -> Piece:
        """What was read since the last piece, for another process."""
        categories = self._store.categories
        known = {name: len(categories.of(name)) for name in categories.names()}
        known["frame"], known["stack"] = self._book.counts()
        piece = Piece(self._store.handed_over(), self.lines, self._read_lines, self._unread, known)
        self.lines, self._read_lines, self._unread = 0, 0, []
        return piece

    def part(self, pieces: Mapping[int, Piece]) -> Part:
        """What the codes of all pieces stand for, for another process."""
        categories = self._store.categories
        texts = {name: categories.of(name).all() for name in categories.names()}
        return Part(pieces, texts, self._book.frames(), self._book.all(), self._ways)

    def go_on_in(self, file: IO[bytes]) -> None:
        """Begin a part of its own, with all that is known."""
        self._store.go_on_in(file)
        self._ways = dict.fromkeys(self._ways, 0)

    def translation(self, part: Part, file: IO[bytes]) -> Translation:
        """For `absorb`; `file` has the columns, and is closed when nobody wants them any more."""
        for way, count in part.ways.items():
            self._ways[way] += count
        weakref.finalize(self._store, file.close)
        return Translation(part, file, self._store.categories, self._book)

    def absorb(self, piece: Piece, translation: Translation) -> None:
        """Add what another process read behind what was read here."""
        translation.learn(piece.known)
        self._store.absorb(piece.batches, translation.file, translation.codes, self.lines)
        self._keep_unread([(line + self.lines, reason) for line, reason in piece.unread])
        self.lines += piece.lines
        self._read_lines += piece.read

    def _keep_unread(self, unread: list[tuple[int, str]]) -> None:
        """The first of all that were not read."""
        self._unread += unread[: MOST_UNREAD - len(self._unread)]

    def _read(self, chunk: Chunk, lines: Lines) -> None:
        groups = _Groups.of(chunk, lines.line)
        slow = np.ones(len(lines), bool)
        batches: list[tuple[str, Batch]] = []
        if 0 < len(lines) <= MOST_LINES:
            batches = self._by_shapes(chunk, lines, groups, slow)
        self._ways["columns"] += int((groups.end - lines.line)[~slow].sum())
        first = np.concatenate([lines.line[slow], groups.loose])
        if len(first):
            order = np.argsort(first, kind="stable")
            end = np.concatenate([groups.end[slow], groups.loose + 1])[order]
            batches += self._by_records(chunk, first[order], end)
        for table in dict.fromkeys(table for table, _ in batches):
            self._store.add(table, merged(table, [batch for name, batch in batches if name == table]))
        self.lines += len(chunk.line_ends)
        self._read_lines += len(chunk.line_ends)

    def _by_shapes(self, chunk: Chunk, lines: Lines, groups: _Groups, slow: Flags) -> list[tuple[str, Batch]]:
        """The rows of the lines whose shapes are known; those are not `slow` any more."""
        head = self._heads.numbers(chunk, lines.head, lines.head_end)
        good = lines.sound & self._heads.told.column("good")[head]
        framed = groups.end > lines.line + 1
        below = np.full(len(framed), NOT_TOLD)
        if framed.any():
            below[framed] = self._frames.stacks(chunk, lines.line[framed] + 1, groups.end[framed])
            good &= below != Frames.BAD
        batches = []
        for group in self._cut.groups(chunk, lines):
            rows = group.rows
            body = lines.body[rows]
            if len(body):
                shape = self._bodies.numbers(chunk, body, lines.end[rows], group.numbers, framed[rows])
                table = self._bodies.places.column("table")[shape]
                slow[rows] = ~good[rows] | (table == Bodies.SLOW)
                for number, name in TABLE_OF.items():
                    ours = good[rows] & (table == number)
                    if ours.any():
                        places = ALL if ours.all() else np.flatnonzero(ours)
                        batches.append((name, self._batch(name, lines, group, places, head, shape, below)))
        return batches

    def _batch(
        self, table: str, lines: Lines, group: Group, ours: Places, head: Ints, shape: Ints, below: Ints
    ) -> Batch:
        """The rows of a table that are `ours` in a group. `head` and `below` are those of all lines."""
        rows = ours if isinstance(group.rows, slice) else group.rows[ours]
        columns: dict[str, Column] = {"line": lines.line[rows] + (self.lines + 1), "time": lines.time[rows]}
        head, below = head[rows], below[rows]
        for name in OF_HEAD[table]:
            columns[name] = self._heads.told.values(name, head)
        place = self._bodies.places.column("place")[shape[ours]]
        for name in OF_BODY[table]:
            columns[name] = self._bodies.told[table].values(name, place)
        for number in group.numbers:
            there = number.there[ours]
            if there.any():
                name = COLUMN_OF_KIND[number.kind]
                dtype = TABLES[table][name]
                value = number.value[ours].astype(dtype)
                columns[name] = value if there.all() else np.where(there, value, columns[name]).astype(dtype)
        if table == "events" and (below != NOT_TOLD).any():
            columns["stack"] = np.where(columns["stack"] == Bodies.BELOW, below, columns["stack"]).astype(np.int32)
        return Batch(len(head), columns)

    def _by_records(self, chunk: Chunk, first: Ints, end: Ints) -> list[tuple[str, Batch]]:
        """The rows of groups of lines, as the format reads them. A blank line keeps groups apart that were not next to
        each other.
        """
        joined = first[1:] == end[:-1]
        texts: list[str] = []
        numbers: list[int] = []
        for start, stop, next_to in zip(first.tolist(), end.tolist(), [*joined.tolist(), True], strict=True):
            text = chunk.text(int(chunk.line_starts[start]), int(chunk.line_ends[stop - 1]))
            texts.append(as_lines(text))
            numbers += range(self.lines + start + 1, self.lines + stop + 1)
            if not next_to:
                texts.append("")
                numbers.append(0)
        reader = line_reader(self._format.name)
        before = reader.by_pattern, reader.by_grammar
        document = self._format.read(Source("", "\n".join(texts)))
        self._ways["pattern"] += reader.by_pattern - before[0]
        self._ways["grammar"] += reader.by_grammar - before[1]
        self._read_lines -= len(document.unread)
        self._keep_unread([(numbers[unread.line - 1], unread.reason) for unread in document.unread[:MOST_UNREAD]])
        rows = Rows(self._book)
        for record in document.records:
            rows.add(record)
        batches = []
        for table, kept in rows.tables():
            for row in kept:
                row["line"] = numbers[row["line"] - 1]
            if kept:
                batches.append((table, batch_of(table, kept, self._store.categories)))
        return batches
