"""Batches of rows as columns of numbers, and the texts that the numbers of categories stand for."""

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any

import numpy as np

from netdiag.traces.table import CALL_COLUMNS, EVENT_COLUMNS, LOSS_COLUMNS, Columns, Row, numbers

#: The tables of a trace and their columns.
TABLES: Mapping[str, Mapping[str, str]] = {"events": EVENT_COLUMNS, "calls": CALL_COLUMNS, "losses": LOSS_COLUMNS}

#: A column, or the one value that all rows of the batch have.
Column = np.ndarray[Any, Any] | int


class Texts:
    """The texts of one category: a text's code is its place in the order of first appearance, 0 is the empty text."""

    def __init__(self) -> None:
        self._codes = {"": 0}

    def code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))

    def all(self) -> list[str]:
        return list(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


@dataclass
class Batch:
    """Rows of one table in the order of their lines. `columns` has all columns of the table, categories as codes."""

    rows: int
    columns: dict[str, Column]


class Categories:
    """The texts of all columns that are categories; the tables share them."""

    def __init__(self) -> None:
        columns = {name: kind for table in TABLES.values() for name, kind in table.items()}
        self._texts = {name: Texts() for name, kind in columns.items() if kind == "category"}

    def of(self, column: str) -> Texts:
        return self._texts[column]

    def names(self) -> list[str]:
        return list(self._texts)


def dtype_of(kind: str) -> np.dtype[Any]:
    return np.dtype("int32" if kind == "category" else kind)


def batch_of(table: str, rows: Sequence[Row], categories: Categories) -> Batch:
    columns: dict[str, Column] = {}
    for name, kind in TABLES[table].items():
        if kind == "category":
            code = categories.of(name).code
            columns[name] = np.array([code(row.get(name, "")) for row in rows], np.int32)
        else:
            columns[name] = numbers(name, kind, rows)
    return Batch(len(rows), columns)


def merged(table: str, batches: Sequence[Batch]) -> Batch:
    """The rows of several batches in the order of their lines."""
    if len(batches) == 1:
        return batches[0]
    lines = np.concatenate([batch.columns["line"] for batch in batches])
    order = np.argsort(lines, kind="stable")
    columns: dict[str, Column] = {}
    for name, kind in TABLES[table].items():
        parts = [batch.columns[name] for batch in batches]
        if len({part if isinstance(part, int) else None for part in parts}) == 1 and isinstance(parts[0], int):
            columns[name] = parts[0]
        else:
            dtype = dtype_of(kind)
            whole = [
                np.broadcast_to(np.asarray(part, dtype), batch.rows) for part, batch in zip(parts, batches, strict=True)
            ]
            columns[name] = np.concatenate(whole)[order]
    return Batch(len(order), columns)


@dataclass(frozen=True)
class Kept:
    """A column in a file: where it begins, in bytes, and what it is an array of.

    `codes`, if there are any, are what its numbers stand for; so much is to be added to it.
    """

    offset: int
    kind: np.dtype[Any]
    rows: int
    file: IO[bytes] | None = None
    codes: np.ndarray[Any, Any] | None = None
    plus: int = 0

    def read(self) -> np.ndarray[Any, Any]:
        if self.file is None:
            raise ValueError("the column of another process")
        data = os.pread(self.file.fileno(), self.rows * self.kind.itemsize, self.offset)
        column: np.ndarray[Any, Any] = np.frombuffer(data, self.kind)
        if self.codes is not None:
            column = self.codes[column]
        return column + self.plus if self.plus else column


#: The rows of a batch, and its columns in memory or in a file.
Stored = tuple[int, dict[str, Column | Kept]]


class Store:
    """All batches of a trace. Those beyond so many bytes are kept in a file without a name, as plain arrays; if there
    is a file already, all of them.

    A column that has one value in a batch takes no room, so the batches differ in what they hold; that is why they are
    not in a format of tables.
    """

    def __init__(self, budget: int, file: IO[bytes] | None = None) -> None:
        self.categories = Categories()
        self._budget = budget
        self._batches: dict[str, list[Stored]] = {table: [] for table in TABLES}
        self._bytes = 0
        self._file = file

    def add(self, table: str, batch: Batch) -> None:
        if not batch.rows:
            return
        columns: dict[str, Column | Kept] = {**batch.columns}
        self._batches[table].append((batch.rows, columns))
        self._bytes += sum(column.nbytes for column in batch.columns.values() if isinstance(column, np.ndarray))
        if self._file is not None:
            _move(columns, self._file)
        elif self._bytes > self._budget:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the table is in use
            weakref.finalize(self, self._file.close)
            for batches in self._batches.values():
                for _, kept in batches:
                    _move(kept, self._file)

    def handed_over(self) -> dict[str, list[Stored]]:
        """All batches, for another process: their columns are in the file that the store was given. None is left."""
        handed = {table: [(rows, _without_file(columns)) for rows, columns in self._batches[table]] for table in TABLES}
        self._batches = {table: [] for table in TABLES}
        return handed

    def go_on_in(self, file: IO[bytes]) -> None:
        """What comes from now on is kept in another file."""
        self._file = file

    def absorb(
        self,
        batches: Mapping[str, list[Stored]],
        file: IO[bytes],
        codes: Mapping[str, np.ndarray[Any, Any]],
        lines: int,
    ) -> None:
        """Add the batches of another process, which are in its file, with the codes that this one has for its own.

        So many lines stand before them.
        """
        for table, stored in batches.items():
            for rows, columns in stored:
                ours: dict[str, Column | Kept] = {}
                for name, column in columns.items():
                    plus = lines if name == "line" else 0
                    known = codes.get(name)
                    if isinstance(column, Kept):
                        ours[name] = replace(column, file=file, codes=known, plus=plus)
                    else:
                        ours[name] = int(column if known is None else known[column])
                self._batches[table].append((rows, ours))

    def batches(self, table: str) -> Iterator[Columns]:
        """The batches of a table; one without rows if there are none."""
        if self._file is not None:
            self._file.flush()
        names = tuple(TABLES[table])
        texts = {name: self.categories.of(name).all() for name in names if TABLES[table][name] == "category"}
        for rows, columns in self._batches[table] or (self._none(table),):
            yield Columns(names, texts, rows, partial(_column, table, rows, columns))

    def _none(self, table: str) -> Stored:
        return 0, {**batch_of(table, [], self.categories).columns}


def _column(table: str, rows: int, columns: Mapping[str, Column | Kept], name: str) -> np.ndarray[Any, Any]:
    column = columns[name]
    if isinstance(column, Kept):
        return column.read()
    return np.broadcast_to(np.asarray(column, dtype_of(TABLES[table][name])), rows)


def _move(columns: dict[str, Column | Kept], file: IO[bytes]) -> None:
    """Columns that are in memory go to a file."""
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            columns[name] = Kept(file.tell(), column.dtype, len(column), file)
            file.write(column.data)


def _without_file(columns: dict[str, Column | Kept]) -> dict[str, Column | Kept]:
    """Columns as another process can be told of them."""
    return {name: replace(each, file=None) if isinstance(each, Kept) else each for name, each in columns.items()}
