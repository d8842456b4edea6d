"""/proc/net/softnet_stat: what each CPU did with the packets that came in."""

from collections.abc import Callable
from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import SoftnetCounters
from netdiag.spans import Source

# after the unused ones; the two parts of the backlog are not kept
_NEWER = ("received_rps", "flow_limit", "backlog", "cpu")


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as counters that wait for their span."""

    def unused(self, *_: Token) -> None:
        return None

    def cpu(
        self, processed: Token, dropped: Token, squeezed: Token, _: None, *newer: Token
    ) -> Callable[..., SoftnetCounters]:
        told: dict[str, Any] = {name: int(number, 16) for name, number in zip(_NEWER, newer, strict=False)}
        return partial(SoftnetCounters, int(processed, 16), int(dropped, 16), int(squeezed, 16), **told)


def read(source: Source) -> Document:
    """The counters of each CPU; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="proc_net_softnet_stat",
    title="incoming packets of each CPU (/proc/net/softnet_stat)",
    commands=("cat /proc/net/softnet_stat",),
    read=read,
)
