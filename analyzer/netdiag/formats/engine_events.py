"""`docker events`, `podman events`: what came and went, as the engine remembers it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import EngineEvent
from netdiag.spans import Source

#: What a template of Go's prints for nothing.
_NOTHING = "<nil>"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an event that waits for its span."""

    def time(self, text: Token) -> datetime:
        if text.type in ("SECONDS", "NANOSECONDS"):
            return _EPOCH + timedelta(microseconds=int(text.ljust(19, "0")) // 1000)
        words = text.split()
        return datetime.fromisoformat("T".join(words[:2]) + words[2] if text.type == "GO_TIME" else str(text))

    def attribute(self, key: Token, value: Token | str = "") -> tuple[str, str]:
        return key[:-1], str(value)

    def attributes(self, *pairs: tuple[str, str]) -> dict[str, str]:
        return dict(pairs)

    def line(
        self, time: datetime, kind: Token, action: Token, whose: Token | None, name: Token | None, more: Any = None
    ) -> partial[EngineEvent]:
        told = {"name": str(name or ""), **(more or {})}
        told = {key: value for key, value in told.items() if value not in ("", _NOTHING)}
        return partial(EngineEvent, time, str(kind), str(action), str(whose or ""), attributes=told)


def read(source: Source) -> Document:
    """Every event; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="engine_events",
    title="events of an engine (docker events, podman events)",
    commands=("docker events --since 24h --until 0s", "podman events --since 24h --stream=false"),
    read=read,
)
