"""Batches of rows as columns of numbers, and the texts that the numbers of categories stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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


@dataclass
class Store:
    """All batches of a trace."""

    categories: Categories = field(default_factory=Categories)
    _batches: dict[str, list[Batch]] = field(default_factory=lambda: {table: [] for table in TABLES})

    def add(self, table: str, batch: Batch) -> None:
        if batch.rows:
            self._batches[table].append(batch)

    def frames(self, table: str) -> Iterator[pd.DataFrame]:
        """The batches as data frames; one without rows if there are none."""
        dtypes = self.categories.dtypes()
        for batch in self._batches[table] or [batch_of(table, [], self.categories)]:
            yield self._frame(table, batch, dtypes)

    def whole(self, table: str) -> pd.DataFrame:
        return pd.concat(list(self.frames(table)), ignore_index=True)

    @staticmethod
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
