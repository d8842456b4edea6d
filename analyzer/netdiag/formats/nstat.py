"""`nstat -az`: the counters of a namespace's network stack by their names in the kernel's MIBs."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import KernelCounter
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a counter that waits for its span."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, _: Token) -> None:
        return None

    def counter(self, name: Token, value: Token, rate: Token) -> partial[KernelCounter]:
        return partial(KernelCounter, str(name), int(value), rate=float(rate))


def read(source: Source) -> Document:
    """Every counter; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="nstat",
    title="counters of the network stack (nstat)",
    commands=("nstat -asz", "nstat -az", "nstat"),
    read=read,
)
