"""Whether two tables say the same."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from netdiag import formats
from netdiag.spans import Source, StoredSource
from netdiag.traces import TraceTable, read_table, table_of

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "formats"
FORMATS = ("perf_script", "perf_trace", "trace_cmd_report", "tracefs_trace")
TRACES = [path for name in FORMATS for path in sorted((SAMPLES / name).glob("*.txt"))]


def text_of(trace: Path) -> str:
    return trace.read_bytes().decode("utf-8", "backslashreplace")


def stored(path: Path, name: str) -> StoredSource:
    return StoredSource(path.name, "", format=name, open=lambda: path.open("rb"), size=path.stat().st_size)


def cells(table: TraceTable) -> Iterator[tuple[str, str, list[Any]]]:
    """All that a table says: categories as their texts, stacks as their frames."""
    known = table.stacks
    frames = [(known.names[number], known.modules[number]) for number in known.frames.tolist()]
    stacks = [tuple(frames[start:end]) for start, end in pairwise(known.offsets.tolist())]
    for name, rows in (("events", table.events()), ("calls", table.calls()), ("losses", table.losses.frame())):
        for column in rows:
            kind = str(rows[column].dtype)
            values = rows[column].tolist()
            yield (
                f"{name}.{column}",
                kind,
                [stacks[n] if n >= 0 else () for n in values] if column == "stack" else values,
            )


def said(table: TraceTable) -> list[Any]:
    return [table.format, table.lines, table.read, sorted(table.unread), *cells(table)]


def both(name: str, text: str) -> tuple[list[Any], list[Any]]:
    source = Source("trace.txt", text, format=name)
    return said(read_table(source)), said(table_of(formats.get(name).read(source)))
