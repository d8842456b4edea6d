"""/run/containers/networks/firewall/firewall-driver: by what netavark, podman's network backend, programs its rules.

Netavark keeps it since it can put rules back after a reload of firewalld (1.9).
"""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import NetavarkDriver
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """The word as a record that waits for its span."""

    def line(self, driver: Token) -> partial[NetavarkDriver]:
        return partial(NetavarkDriver, str(driver))


def read(source: Source) -> Document:
    """The driver; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="netavark_driver",
    title="firewall driver of netavark",
    commands=("cat /run/containers/networks/firewall/firewall-driver",),
    read=read,
)
