"""What every format module gives and takes: a `Format` reads a `Source` into a `Document` of records with spans."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from netdiag.spans import Source, Span


class Record(Protocol):
    """One fact of a document. The records themselves are the frozen dataclasses of `netdiag.formats.records`."""

    @property
    def span(self) -> Span: ...


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that no rule of the grammar reads. It costs that line only, and is shown in the report."""

    line: int
    reason: str


@dataclass(frozen=True)
class Document:
    """All that a format made of a source. Every line is either read or in `unread`; `notes` tell how odd input was
    taken.
    """

    source: Source
    format: str
    records: tuple[Record, ...]
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        return len(self.source.lines)

    @property
    def read(self) -> int:
        return self.lines - len(self.unread)

    @property
    def unread_count(self) -> int:
        """How many lines are not read: more than are in `unread` where a trace has very many."""
        return self.lines - self.read


@dataclass(frozen=True)
class Format:
    """One command output that netdiag reads.

    `name` is the module's name and the manifest's `format`; `commands` are what a person types to get such text, the
    first one the best to ask for. `read` never raises on bad input.
    """

    name: str
    title: str
    commands: tuple[str, ...]
    read: Callable[[Source], Document]
