"""The table of a trace whose lines were read into records."""

import sys

from netdiag.formats import Document
from netdiag.traces._columns import Store, batch_of
from netdiag.traces.table import MOST_UNREAD, Rows, TraceTable


def table_of(document: Document) -> TraceTable:
    """The table of a trace that was read into records. Each value is what the record says, or not told."""
    rows = Rows()
    for record in document.records:
        rows.add(record)
    store = Store(sys.maxsize)  # the records took more memory than their columns will
    for name, kept in rows.tables():
        store.add(name, batch_of(name, kept, store.categories))
    return TraceTable(
        source=document.source,
        format=document.format,
        lines=document.lines,
        read=document.read,
        unread=tuple((entry.line, entry.reason) for entry in document.unread[:MOST_UNREAD]),
        event_batches=lambda: store.batches("events"),
        call_batches=lambda: store.batches("calls"),
        loss_batches=lambda: store.batches("losses"),
        stacks=rows.book.stacks(),
        ways={"records": document.read},
    )
