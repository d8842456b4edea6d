"""All that a report may show: the result of analysing one bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from netdiag.bundle import Bundle
from netdiag.finding import Confidence, Finding, Outcome, Severity, Verdict
from netdiag.formats import Document
from netdiag.journeys.observed import Observation
from netdiag.model import Host
from netdiag.spans import Source

if TYPE_CHECKING:
    from netdiag.journeys.callgraph import CallGraph


@dataclass(frozen=True)
class SourceCoverage:
    """How much of one source was understood. `format` is empty when no format recognised it; `skipped` then says so.

    `unread` are the lines that no grammar reads, with the reasons; of a trace the first thousand.
    """

    path: str
    command: str
    format: str
    lines: int
    read: int
    unread: tuple[tuple[int, str], ...]
    skipped: str = ""
    notes: tuple[str, ...] = ()
    source: Source | None = None

    @property
    def unread_count(self) -> int:
        """How many lines no grammar reads, if the source has a format."""
        return 0 if self.skipped else self.lines - self.read


@dataclass(frozen=True)
class CheckCard:
    """What a check says of itself; `exceptions` is when that which it finds is not a problem, `decision` how it comes
    to its answer.
    """

    layer: str
    title: str
    why: str = ""
    exceptions: str = ""
    decision: str = ""


@dataclass(frozen=True)
class Reading:
    """What was read of one bundle, before anybody judges it."""

    bundle: Bundle
    documents: tuple[Document, ...]
    coverage: tuple[SourceCoverage, ...]
    host: Host

    @cached_property
    def call_graphs(self) -> "tuple[CallGraph, ...]":
        """The call trees of the traces that have any, in their order. numpy is loaded only when there is a trace."""
        traces = self.host.traces.traces
        if not traces:
            return ()
        from netdiag.journeys.callgraph import call_graphs  # noqa: PLC0415 - loads numpy

        return tuple(graph for trace in traces for graph in call_graphs(trace.table))


@dataclass(frozen=True)
class Suppressed:
    """A finding that somebody decided not to act on: why, up to which day (included), and in which file that stands."""

    finding: Finding
    reason: str
    until: date
    origin: str


@dataclass(frozen=True)
class Analysis(Reading):
    """Everything known about one bundle after all checks ran. Findings stand worst first.

    `suppressed` are not among the findings. `known` are those findings that an older result has as well, None when none
    was given to compare with. `journeys` are what each trace shows of packets, `cards` are by the name of the check.
    """

    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]
    suppressed: tuple[Suppressed, ...] = ()
    known: frozenset[Finding] | None = None
    journeys: tuple[Observation, ...] = ()
    cards: Mapping[str, CheckCard] = field(default_factory=dict)

    def shown(self, *, pedantic: bool = False) -> tuple[Finding, ...]:
        """The findings to show: those of low confidence only when asked for."""
        return tuple(f for f in self.findings if pedantic or f.confidence is not Confidence.LOW)

    def shown_new(self, *, pedantic: bool = False) -> tuple[Finding, ...]:
        """Those of them that the older result does not have: all of them when there is none."""
        return tuple(f for f in self.shown(pedantic=pedantic) if f not in (self.known or ()))

    def shown_known(self, *, pedantic: bool = False) -> tuple[Finding, ...]:
        """Those of them that the older result has as well."""
        return tuple(f for f in self.shown(pedantic=pedantic) if f in (self.known or ()))

    def count(self, severity: Severity) -> int:
        """How many findings of this severity are shown by default."""
        return sum(finding.severity is severity for finding in self.shown())

    def outcome_count(self, verdict: Verdict) -> int:
        return sum(outcome.verdict is verdict for outcome in self.outcomes)
