"""The table of `podman network ls`. It tells of a network its id, name and driver; all else stays untold.

Podman 3 with CNI prints no ids, and the plugins in place of the driver, which is the first of them.
"""

from collections.abc import Callable
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import Network
from netdiag.spans import Source, Span


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a network that waits for its span; None for a heading."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self) -> None:
        return None

    def cni_heading(self) -> None:
        return None

    def network(self, identity: Token, name: Token, driver: Token) -> Callable[..., Network]:
        def record(span: Span) -> Network:
            return Network(str(identity), str(name), span, driver=str(driver), engine="podman")

        return record

    def cni_network(self, name: Token, _version: Token, driver: Token, *_plugins: Token) -> Callable[..., Network]:
        def record(span: Span) -> Network:
            return Network("", str(name), span, driver=str(driver), engine="podman")

        return record


def read(source: Source) -> Document:
    """Every network; its id has 12 digits unless `--no-trunc` was given. Never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="podman_network_ls",
    title="list of networks (podman network ls)",
    commands=("podman network ls --no-trunc", "podman network ls"),
    read=read,
)
