"""`ls -l` of single files: what kind of file it is, whose, when it was written, and where a symbolic link leads."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import FileEntry
from netdiag.spans import Source, Span

_KINDS = {"-": "file", "d": "directory", "l": "link", "s": "socket", "b": "block", "c": "character", "p": "pipe"}


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as an entry that waits for its span; None for the sum."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def total(self, _: Token) -> None:
        return None

    def entry(
        self,
        mode: Token,
        _links: Token,
        owner: Token,
        group: Token,
        size: Token,
        time: Token,
        path: Token,
        target: Token | None,
    ) -> Callable[..., FileEntry]:
        written = _moment(time) if time.type == "FULL_TIME" else None

        def record(span: Span) -> FileEntry:
            return FileEntry(
                path=str(path),
                kind=_KINDS[mode[0]],
                mode=str(mode)[1:10],
                owner=str(owner),
                group=str(group),
                span=span,
                size=int(size) if size.isdecimal() else None,
                written=written,
                target=str(target) if target else None,
            )

        return record


def _moment(text: str) -> datetime:
    """The moment of `--full-time`, to the microsecond. Raises `ValueError` for a day that is none."""
    day, time, zone = text.split()
    clock, _, fraction = time.partition(".")
    return datetime.fromisoformat(f"{day}T{clock}.{fraction[:6] or '0'}{zone[:3]}:{zone[3:]}")


def read(source: Source) -> Document:
    """Every file; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ls_l",
    title="files with their owners and times (ls -l)",
    commands=("ls -ln --full-time /var/run/docker.pid /var/run/docker.sock /etc/resolv.conf",),
    read=read,
)
