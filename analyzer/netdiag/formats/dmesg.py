"""`dmesg`, `journalctl -k`: what the kernel said."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import KernelMessage
from netdiag.spans import Source

#: syslog(2): the three low bits of the number before a line of `dmesg -r`.
_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a message that waits for its span."""

    def number(self, number: Token) -> dict[str, str]:
        return {"level": _LEVELS[int(number) % len(_LEVELS)]}

    def names(self, _: Token, severity: Token) -> dict[str, str]:
        return {"level": severity.rstrip(" :")}

    def boot(self, seconds: Token) -> dict[str, str]:
        return {"time": str(seconds)}

    calendar = boot
    iso = boot

    def syslog(self, moment: Token, *_: Token) -> dict[str, str]:
        return {"time": str(moment)}

    def note(self, _: Token) -> None:
        """What journalctl says of its own, such as that entries begin here."""
        return

    def line(self, *parts: Any) -> partial[KernelMessage]:
        told: dict[str, Any] = {"text": ""}
        for part in parts:
            told |= part if isinstance(part, dict) else {"text": str(part)}
        return partial(KernelMessage, **told)


def read(source: Source) -> Document:
    """Every message; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="dmesg",
    title="messages of the kernel (dmesg, journalctl -k)",
    commands=("dmesg", "dmesg -T", "journalctl -k"),
    read=read,
)
