"""The functions of the kernel at the addresses that a trace has, as the collector looks them up in /proc/kallsyms."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import KernelFunction
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a function that waits for its span."""

    def line(self, address: Token, name: Token, offset: Token, module: Token | None = None) -> partial[KernelFunction]:
        return partial(
            KernelFunction, int(address, 16), str(name), int(offset, 16), module=module[1:-1] if module else ""
        )


def read(source: Source) -> Document:
    """Every function; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="kernel_functions",
    title="functions of the kernel at the addresses that a trace has",
    commands=("python3 netdiag_collect.py --trace SECONDS", "cat trace/drop-places.txt"),
    read=read,
)
