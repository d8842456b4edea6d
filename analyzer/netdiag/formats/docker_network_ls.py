"""The table of `docker network ls`. It tells of a network its id, name, driver and scope; all else stays untold."""

from collections.abc import Callable
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import Network
from netdiag.spans import Source, Span


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a network that waits for its span; None for the heading."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self) -> None:
        return None

    def network(
        self, identity: Token, name: Token, driver: Token, scope: Token | None = None
    ) -> Callable[..., Network]:
        def record(span: Span) -> Network:
            return Network(str(identity), str(name), span, driver=str(driver), scope=str(scope) if scope else None)

        return record


def read(source: Source) -> Document:
    """Every network; its id has 12 digits unless `--no-trunc` was given. Never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="docker_network_ls",
    title="list of networks (docker network ls)",
    commands=("docker network ls --no-trunc", "docker network ls"),
    read=read,
)
