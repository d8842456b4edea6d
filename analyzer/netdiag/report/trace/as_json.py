"""Traces for a program: what is in them, where packets went, and their call trees.

The shape is a contract: `trace.schema.json` beside this module describes every property. The same traces give the same
bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag import __version__
from netdiag.journeys.callgraph import CallTreeExcerpt
from netdiag.journeys.observed import Observation
from netdiag.journeys.summary import Summary
from netdiag.plain import plain
from netdiag.report.as_json import dump
from netdiag.report.snippet import Look
from netdiag.report.trace import TraceView

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class TraceFacts:
    """One trace, as far as it is wanted.

    `command` printed it, empty when unknown. `unread` counts the lines that no rule of the grammar reads. `journeys` is
    None when no packets are in that, or when only calls of one function are wanted.
    """

    source: str
    command: str
    format: str
    lines: int
    read: int
    unread: int
    summary: Summary
    journeys: Observation | None
    call_trees: tuple[CallTreeExcerpt, ...]


def render(found: Sequence[TraceView], *, look: Look, kind: str) -> Iterator[str]:
    del look, kind
    yield dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "netdiag", "version": __version__},
            "traces": [plain(_facts(view)) for view in found],
        }
    )


def _facts(view: TraceView) -> TraceFacts:
    table = view.table
    return TraceFacts(
        source=table.source.path,
        command=table.source.command,
        format=table.format,
        lines=table.lines,
        read=table.read,
        unread=table.lines - table.read,
        summary=view.summary,
        journeys=view.journeys,
        call_trees=tuple(graph.excerpt() for graph in view.graphs),
    )
