"""`sysctl -a` and `sysctl KEY...`: the kernel's settings."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import Sysctl
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a setting that waits for its span; None for what sysctl says of a key that it cannot read."""

    def line(self, meaning: partial[Sysctl] | None) -> partial[Sysctl] | None:
        return meaning

    def trouble(self, _: Token) -> None:
        return None

    def setting(self, key: Token, value: Token | str = "") -> partial[Sysctl]:
        return partial(Sysctl, str(key), str(value))


def read(source: Source) -> Document:
    """Every setting; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="sysctl",
    title="kernel settings (sysctl)",
    commands=("sysctl -a", "sysctl net.ipv4.ip_forward"),
    read=read,
)
