"""Batches of rows as columns of numbers, and the texts that the numbers of categories stand for."""

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pandas as pd

from netdiag.traces.table import CALL_COLUMNS, EVENT_COLUMNS, LOSS_COLUMNS, Row, numbers

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

    def dtypes(self) -> Mapping[str, pd.CategoricalDtype]:
        return {name: pd.CategoricalDtype(pd.Index(texts.all(), dtype=object)) for name, texts in self._texts.items()}


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
class _Kept:
    """A column in a file: where it begins, in bytes, and what it is an array of."""

    offset: int
    kind: np.dtype[Any]
    rows: int


class Store:
    """All batches of a trace. Those beyond so many bytes are kept in a file without a name, as plain arrays.

    A column that has one value in a batch takes no room, so the batches differ in what they hold; that is why they are
    not in a format of tables.
    """

    def __init__(self, budget: int) -> None:
        self.categories = Categories()
        self._budget = budget
        self._batches: dict[str, list[tuple[int, dict[str, Column | _Kept]]]] = {table: [] for table in TABLES}
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, table: str, batch: Batch) -> None:
        if not batch.rows:
            return
        columns: dict[str, Column | _Kept] = {**batch.columns}
        self._batches[table].append((batch.rows, columns))
        self._bytes += sum(column.nbytes for column in batch.columns.values() if isinstance(column, np.ndarray))
        if self._file is not None:
            self._move(columns)
        elif self._bytes > self._budget:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the table is in use
            weakref.finalize(self, self._file.close)
            for batches in self._batches.values():
                for _, kept in batches:
                    self._move(kept)

    def _move(self, columns: dict[str, Column | _Kept]) -> None:
        if self._file is not None:
            for name, column in columns.items():
                if isinstance(column, np.ndarray):
                    columns[name] = _Kept(self._file.tell(), column.dtype, len(column))
                    self._file.write(column.data)

    def batches(self, table: str) -> Iterator[Batch]:
        if self._file is not None:
            self._file.flush()
        for rows, columns in self._batches[table]:
            yield Batch(rows, {name: self._column(column) for name, column in columns.items()})

    def _column(self, column: Column | _Kept) -> Column:
        if not isinstance(column, _Kept) or self._file is None:
            return column  # type: ignore[return-value]
        data = os.pread(self._file.fileno(), column.rows * column.kind.itemsize, column.offset)
        return np.frombuffer(data, column.kind)

    def frames(self, table: str) -> Iterator[pd.DataFrame]:
        """The batches as data frames; one without rows if there are none."""
        dtypes = self.categories.dtypes()
        if not self._batches[table]:
            yield _frame(table, batch_of(table, [], self.categories), dtypes)
        for batch in self.batches(table):
            yield _frame(table, batch, dtypes)

    def whole(self, table: str) -> pd.DataFrame:
        return pd.concat(list(self.frames(table)), ignore_index=True)


def _frame(table: str, batch: Batch, dtypes: Mapping[str, pd.CategoricalDtype]) -> pd.DataFrame:
    made: dict[str, Any] = {}
    for name, kind in TABLES[table].items():
        column = batch.columns[name]
        values = column if isinstance(column, np.ndarray) else np.full(batch.rows, column, dtype_of(kind))
        if kind == "category":
            made[name] = pd.Categorical.from_codes(values, dtype=dtypes[name], validate=False)
        else:
            made[name] = values
    return pd.DataFrame(made, copy=False)
