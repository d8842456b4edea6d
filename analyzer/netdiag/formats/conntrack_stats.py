"""`conntrack -S`: the counters of connection tracking, a line for each CPU."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import ConntrackStatistics
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a CPU's counters that wait for their span."""

    def counter(self, key: Token, number: Token) -> tuple[str, int]:
        return key.removesuffix("="), int(number)

    def line(self, cpu: Token, *counters: tuple[str, int]) -> partial[ConntrackStatistics]:
        return partial(ConntrackStatistics, int(cpu), dict(counters))


def read(source: Source) -> Document:
    """The counters of every CPU; never raises."""
    return read_records(source, FORMAT.name, _Meaning(visit_tokens=False))


FORMAT = Format(
    name="conntrack_stats",
    title="counters of connection tracking (conntrack -S)",
    commands=("conntrack -S",),
    read=read,
)
