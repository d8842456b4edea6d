"""`lsns`: the namespaces that processes live in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import Grammar, line_span, may_be_heading, read_part
from netdiag.formats.records import NamespaceInUse
from netdiag.spans import Source, Span

# the columns of the grammar's words, where they are not called alike
_COLUMNS = {"NETNS_ID": "NETNSID", "MOUNT": "NSFS"}


@dataclass(frozen=True)
class _Word:
    """A word of a line; columns are 1-based, `end` is the one after its last."""

    text: str
    start: int
    end: int


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A heading or a row as its words, a row without a heading as its cells by column."""

    def heading(self, *words: Token) -> tuple[_Word, ...]:
        return tuple(_Word(str(word), word.column or 1, word.end_column or 1) for word in words)

    cells = heading

    def command(self, text: Token) -> str:
        return str(text)

    def default(self, *words: Token) -> dict[str, str]:
        """A namespace that nobody lives in has no process."""
        inode, kind, processes, *rest = words
        cells = {"NS": str(inode), "TYPE": str(kind), "NPROCS": str(processes)}
        return cells | {_COLUMNS.get(word.type, word.type): str(word) for word in rest}


_MEANING = _Meaning()


def read(source: Source) -> Document:
    """Every namespace, spanning its first line; never raises."""
    found: list[NamespaceInUse] = []
    unread: list[Unread] = []
    columns: tuple[_Word, ...] = ()
    parts = Grammar(FORMAT.name, ("heading", "cells", "default", "command"))
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            continue
        heading = read_part(parts, "heading", line, _MEANING) if may_be_heading(line) else None
        if isinstance(heading, tuple):
            columns = heading
            continue
        cells = read_part(parts, "cells" if columns else "default", line, _MEANING)
        if isinstance(cells, tuple):
            cells = _by_column(columns, cells, line)
        if isinstance(cells, dict) and "COMMAND" in cells:
            cells["COMMAND"] = read_part(parts, "command", cells["COMMAND"], _MEANING)
        reason = cells if isinstance(cells, str) else _take(found, cells, line_span(source, number))
        if reason:
            unread.append(Unread(number, reason))
    return Document(source, FORMAT.name, tuple(found), tuple(unread))


def _by_column(columns: Sequence[_Word], words: Iterable[_Word], line: str) -> dict[str, str] | str:
    """The cells of a row, or the reason why it has none. A command is all that is left of the line, behind the branch
    of a tree.
    """
    cells: dict[str, str] = {}
    last = columns[-1]
    for word in words:
        column = next((c for c in columns if word.start == c.start or word.end == c.end), None)
        if column is None and last.text == "COMMAND" and word.start > last.start:
            column = last
        if column is None or column.text in cells:
            return f"not below any heading: {word.text!r} (column {word.start})"
        if column.text in ("COMMAND", "PATH"):
            return {**cells, column.text: line[word.start - 1 :].rstrip()}
        cells[column.text] = word.text
    return cells


def _take(found: list[NamespaceInUse], cells: dict[str, str], span: Span) -> str | None:
    """Add a row, or give the reason why it is none. A second place of a namespace has a line of its own."""
    if set(cells) == {"NSFS"} and found:
        found[-1] = replace(found[-1], files=(*found[-1].files, cells["NSFS"]))
        return None
    numbers = {name: cells[name] for name in ("NS", "NPROCS", "PID") if name in cells}
    odd = next((name for name, text in numbers.items() if not (text.isascii() and text.isdigit())), None)
    if "NS" not in cells or odd:
        return f"no number below {odd or 'NS'}"
    netns_id = cells.get("NETNSID", "")
    found.append(
        NamespaceInUse(
            inode=int(cells["NS"]),
            span=span,
            type=cells.get("TYPE"),
            processes=_number(cells.get("NPROCS")),
            pid=_number(cells.get("PID")),
            user=cells.get("USER"),
            netns_id=int(netns_id) if netns_id.isascii() and netns_id.isdigit() else None,
            files=(cells["NSFS"],) if "NSFS" in cells else (),
            command=cells.get("COMMAND"),
        )
    )
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text else None


FORMAT = Format(
    name="lsns",
    title="namespaces in use (lsns)",
    commands=("lsns -t net", "lsns", "lsns -n -t net"),
    read=read,
)
