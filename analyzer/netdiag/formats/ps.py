"""`ps`: the processes of a host, with their command lines."""

from collections.abc import Sequence
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import Grammar, line_span, may_be_heading, read_part
from netdiag.formats.records import ProcessLine
from netdiag.spans import Source

#: Columns that `ps` heads differently from option to option.
_SAME = {"CMD": "COMMAND", "UID": "USER"}


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A heading as the names of its columns, a row as its words."""

    def heading(self, *columns: Token) -> tuple[str, ...]:
        return tuple(_SAME.get(str(column), str(column)) for column in columns)

    def row(self, *words: Token) -> tuple[Token, ...]:
        return words


_MEANING = _Meaning()


def read(source: Source) -> Document:
    """Every process; never raises. A heading tells the columns: all but the command, the last, are single words."""
    found: list[ProcessLine] = []
    unread: list[Unread] = []
    columns: tuple[str, ...] = ()
    parts = Grammar(FORMAT.name, ("heading", "row"))
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            continue
        heading = read_part(parts, "heading", line, _MEANING) if may_be_heading(line) else None
        if isinstance(heading, tuple):
            columns = heading
            continue
        words = read_part(parts, "row", line, _MEANING)
        cells = words if isinstance(words, str) else _cells(columns, words, line)
        if isinstance(cells, str):
            unread.append(Unread(number, cells))
            continue
        found.append(
            ProcessLine(
                pid=int(cells["PID"]),
                command=cells["COMMAND"],
                span=line_span(source, number),
                netns=_number(cells.get("NETNS", "")),
                user=cells.get("USER"),
                parent=_number(cells.get("PPID", "")),
            )
        )
    return Document(source, FORMAT.name, tuple(found), tuple(unread))


def _cells(columns: Sequence[str], words: Sequence[Token], line: str) -> dict[str, str] | str:
    """A row's cells by column, or the reason why it has none."""
    if "PID" not in columns or columns[-1] != "COMMAND":
        return "no heading above it with PID first and the command last"
    if len(words) < len(columns):
        return f"{len(words)} words below {len(columns)} headings"
    *before, first_of_command = words[: len(columns)]
    cells = dict(zip(columns, map(str, before), strict=False))
    cells["COMMAND"] = line[(first_of_command.column or 1) - 1 :].rstrip()
    return cells if _number(cells["PID"]) is not None else f"no number below PID: {cells['PID']!r}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


FORMAT = Format(
    name="ps",
    title="processes (ps)",
    commands=("ps -ww -C docker-proxy -o pid,netns,args", "ps -ef", "ps aux"),
    read=read,
)
