"""`journalctl`: what a service wrote, one record a line."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import JournalLine
from netdiag.spans import Source, Span


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line as a record that waits for its span; None for a mark such as that of a boot."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def boot(self, _: Token | None) -> None:
        return None

    def entry(
        self, time: Token, _host: Token, program: Token, pid: Token | None, text: Token | None
    ) -> Callable[..., JournalLine]:
        # the default format tells no year and no zone
        moment = datetime.fromisoformat(str(time)) if time.type == "ISO_TIME" else None

        def record(span: Span) -> JournalLine:
            return JournalLine(str(program), str(text or ""), span, int(pid) if pid else None, moment)

        return record


def read(source: Source) -> Document:
    """Every line of the log; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="journal",
    title="log of a service (journalctl)",
    commands=("journalctl --no-pager -o short-iso -n 200 -u docker.service",),
    read=read,
)
