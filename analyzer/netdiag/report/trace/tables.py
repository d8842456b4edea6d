"""The rows of a trace as one table, for a spreadsheet (CSV) or for pandas, DuckDB and the like (Parquet)."""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from netdiag.errors import ReportUnavailable
from netdiag.report import as_csv
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView
from netdiag.report.visible import visible
from netdiag.traces import NOT_TOLD, Phase

_PHASES = {phase.value: phase.name.lower() for phase in Phase}


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[bytes]:
    """Every row that is wanted; the first column names the trace when there are several.

    Of traces with events these, else the calls. What a trace does not tell is empty.
    """
    del look
    of_events = any(len(batch) for view in found for batch in view.table.event_batches())
    parts = (part for view in found for part in _rows(view, of_events=of_events, named=len(found) > 1))
    return _as_csv(parts) if kind == "csv" else _as_parquet(parts)


def _as_csv(parts: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    for number, part in enumerate(parts):
        shown = part.apply(lambda column: column if is_numeric_dtype(column) else column.map(as_csv.text))
        yield shown.to_csv(index=False, header=not number, lineterminator="\r\n").encode("utf-8")


def _as_parquet(parts: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    made = io.BytesIO()
    try:
        pd.concat(list(parts), ignore_index=True).to_parquet(made, index=False)
    except ImportError:
        raise ReportUnavailable("no Parquet: pyarrow is not installed; pip install pyarrow") from None
    yield made.getvalue()


def _rows(view: TraceView, *, of_events: bool, named: bool) -> Iterator[pd.DataFrame]:
    for batch in view.table.event_batches() if of_events else view.table.call_batches():
        part = _told(batch.take(view.only.of(batch)).frame())
        if named:
            part.insert(0, "trace", visible(view.table.source.path))
        yield part


def _told(part: pd.DataFrame) -> pd.DataFrame:
    """The rows with text as text, and nothing where the trace does not tell."""
    made = {}
    for name in map(str, part):
        column = part[name]
        if name == "phase":
            made[name] = column.map(_PHASES).astype(object)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            made[name] = column.astype(object)
        elif name == "skb":
            made[name] = pd.Series([f"{value:#x}" if value else "" for value in column], index=part.index, dtype=object)
        elif name == "rc" or not np.issubdtype(column.to_numpy().dtype, np.integer):
            made[name] = column
        else:
            made[name] = column.astype("Int64").mask(column == NOT_TOLD)
    return pd.DataFrame(made)
