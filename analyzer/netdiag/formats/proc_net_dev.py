"""/proc/net/dev: the interfaces of a namespace and their counters, by the words of `ifconfig`, which reads this file.

It sums up what `ip -s link` tells apart: `rx.dropped` are packets dropped and missed, `rx.frame` and `tx.carrier` all
errors of their kind, `overruns` those of the FIFOs.
"""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import Link
from netdiag.spans import Source

_COUNTERS = (
    *("rx.bytes", "rx.packets", "rx.errors", "rx.dropped", "rx.overruns", "rx.frame", "rx.compressed", "rx.multicast"),
    *("tx.bytes", "tx.packets", "tx.errors", "tx.dropped", "tx.overruns", "tx.collisions", "tx.carrier"),
    "tx.compressed",
)


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an interface that waits for its span."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, *_: Any) -> None:
        return None

    columns = heading

    def device(self, name: Token, *numbers: Token) -> partial[Link]:
        return partial(Link, str(name), details=dict(zip(_COUNTERS, map(str, numbers), strict=True)))


def read(source: Source) -> Document:
    """A link for each row; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="proc_net_dev",
    title="counters of the interfaces (/proc/net/dev)",
    commands=("cat /proc/net/dev",),
    read=read,
)
