"""The log of netdiag's collector: what it could not collect, and why."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import LogLine
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a line of the log that waits for its span."""

    def line(self, time: Token, message: Token) -> partial[LogLine]:
        return partial(LogLine, str(time), str(message))


def read(source: Source) -> Document:
    """Every line; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="collector_log",
    title="log of netdiag's collector",
    commands=("python3 netdiag_collect.py", "cat logs/collector.log"),
    read=read,
)
