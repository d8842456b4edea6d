"""What the page and the PDF show, in the order in which they show it: values for the templates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from markupsafe import Markup

from netdiag import __version__
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Severity, Verdict
from netdiag.report import _anchors
from netdiag.report._listing import Listing, excerpt, list_sources
from netdiag.report.drawings.wiring import Wiring, wiring
from netdiag.results import Analysis, SourceCoverage
from netdiag.spans import Place, Source, Span

_VERDICT_WORDS = {
    Verdict.FINDING: "found",
    Verdict.CRASHED: "crashed",
    Verdict.UNKNOWN: "could not be judged",
    Verdict.CLEAN: "clean",
    Verdict.NOT_APPLICABLE: "does not apply",
}
# To find where a container stands in a large inspect output takes time for each: above this many none is linked.
_MOST_LINKED = 150
MOST_UNREAD = 50


@dataclass(frozen=True)
class ExcerptView:
    """A piece of evidence."""

    place: str
    href: str
    command: str
    role: Role
    lines: Markup


@dataclass(frozen=True)
class FindingView:
    """A finding with its id on the page."""

    finding: Finding
    anchor: str
    evidence: tuple[ExcerptView, ...]

    @property
    def doubtful(self) -> bool:
        return self.finding.confidence is not Confidence.HIGH


@dataclass(frozen=True)
class CheckView:
    """A check with its outcome, and its findings if it has any."""

    outcome: Outcome
    anchor: str
    findings: tuple[FindingView, ...]

    @property
    def word(self) -> str:
        return _VERDICT_WORDS[self.outcome.verdict]

    @property
    def rank(self) -> int:
        """That of the worst finding shown; a check without one comes behind."""
        return min((view.finding.severity.rank for view in self.findings), default=len(Severity))


@dataclass(frozen=True)
class SourceView:
    """A source with how much of it was read. `listing` is None when its text is not at hand."""

    coverage: SourceCoverage
    listing: Listing | None

    @property
    def trouble(self) -> str:
        return self.coverage.source.trouble if self.coverage.source else ""

    @property
    def remarkable(self) -> bool:
        """Something other than that no format reads it."""
        c = self.coverage
        return bool(c.unread or c.notes or self.trouble)

    def unread(self) -> Iterator[tuple[int, str, str, str]]:
        """The first lines that no grammar reads: number, link, reason and text."""
        for line, reason in self.coverage.unread[:MOST_UNREAD]:
            text = self.listing.source.lines[line - 1] if self.listing and line <= self.listing.lines else ""
            yield line, self.listing.href(line) if self.listing else "", reason, text[:200]


class Page:
    """Everything that the templates ask for. `with_sources`: the raw sources stand on it, for evidence to link to."""

    def __init__(self, analysis: Analysis, *, pedantic: bool, with_sources: bool) -> None:
        self.analysis = analysis
        self.version = __version__
        self._with_sources = with_sources
        self._shown = analysis.shown(pedantic=pedantic)
        self.hidden = len(analysis.findings) - len(self._shown)

    # --- the head ---

    @cached_property
    def name(self) -> str:
        bundle = self.analysis.bundle
        return bundle.host or bundle.name

    @cached_property
    def numbers(self) -> tuple[tuple[str, str, int, Severity | Verdict], ...]:
        """The four numbers of the head: the word, where it leads, how many, its sign."""
        found = [
            (_plural(count, severity.value), "wrong", count, severity)
            for severity in Severity
            for count in [sum(finding.severity is severity for finding in self._shown)]
        ]
        unknown = self.analysis.outcome_count(Verdict.UNKNOWN)
        return (*found, ("unknown", "unjudged", unknown, Verdict.UNKNOWN))

    @cached_property
    def headline(self) -> str:
        """What was found and how far that can be trusted, in one sentence."""
        found = [f"{count} {word}" for word, _, count, kind in self.numbers if count and isinstance(kind, Severity)]
        first = f"{_listed(found)} found" if found else "Nothing wrong was found"
        judged, unknown, crashed = (
            sum(self.analysis.outcome_count(verdict) for verdict in verdicts)
            for verdicts in ((Verdict.FINDING, Verdict.CLEAN), (Verdict.UNKNOWN,), (Verdict.CRASHED,))
        )
        failed = [f"{unknown} could not be judged"] if unknown else []
        failed += [f"{crashed} crashed"] if crashed else []
        every = _checks(judged + unknown + crashed)
        return f"{first}; of {every}, {_listed(failed)}." if failed else f"{first}; {every} judged."

    @cached_property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the bundle says of itself. What it does not say is left out."""
        bundle, engine = self.analysis.bundle, self.analysis.host.engine
        manifest: Mapping[str, Any] = bundle.manifest or {}
        told = {
            "Collected": _moment(bundle.collected_at),
            "Engine": f"Docker {engine.version.version}" if engine.version else "",
            "System": manifest.get("os_release"),
            "Kernel": manifest.get("kernel"),
            "Bundle": bundle.name,
            "SHA-256": bundle.sha256,
            "Masked": _in_words(manifest.get("redaction", {})),
            "Collector": manifest.get("collector", {}).get("version"),
            "netdiag": self.version,
        }
        return tuple((name, str(value)) for name, value in told.items() if value)

    # --- findings ---

    @cached_property
    def findings(self) -> tuple[FindingView, ...]:
        anchors = _anchors.of_findings(self._shown)
        return tuple(
            FindingView(finding, anchor, tuple(self._excerpt(item) for item in _primary_first(finding.evidence)))
            for finding, anchor in zip(self._shown, anchors, strict=True)
        )

    def _excerpt(self, evidence: Evidence) -> ExcerptView:
        span = evidence.span
        column = f":{span.column}" if span.column > 1 else ""
        return ExcerptView(
            place=f"{span.source.path}:{span.line}{column}",
            href=self.href(span),
            command=span.source.command,
            role=evidence.role,
            lines=excerpt(evidence),
        )

    @cached_property
    def unjudged(self) -> tuple[CheckView, ...]:
        """Checks that judged nothing, crashed ones first, and those that found something but did not judge all."""
        verdicts = (Verdict.CRASHED, Verdict.UNKNOWN, Verdict.FINDING)
        found = [
            check
            for check in self.checks
            if check.outcome.verdict in verdicts[:2]
            or (check.outcome.verdict is Verdict.FINDING and check.outcome.reason)
        ]
        return tuple(sorted(found, key=lambda check: verdicts.index(check.outcome.verdict)))

    @cached_property
    def ask(self) -> tuple[str, ...]:
        """The commands whose output would tell, each once."""
        return tuple(dict.fromkeys(command for check in self.unjudged for command in check.outcome.ask))

    # --- coverage ---

    @cached_property
    def checks(self) -> tuple[CheckView, ...]:
        order = list(_VERDICT_WORDS)
        views = [
            CheckView(o, _anchors.of_check(o.check), tuple(f for f in self.findings if f.finding.check == o.check))
            for o in self.analysis.outcomes
        ]
        return tuple(sorted(views, key=lambda view: (order.index(view.outcome.verdict), view.rank, view.outcome.check)))

    @cached_property
    def verdicts(self) -> tuple[tuple[str, int, Verdict], ...]:
        """How many checks ended how."""
        counted = ((word, self.analysis.outcome_count(verdict), verdict) for verdict, word in _VERDICT_WORDS.items())
        return tuple(item for item in counted if item[1])

    @cached_property
    def sources(self) -> tuple[SourceView, ...]:
        return tuple(SourceView(c, self._listings.get(c.source) if c.source else None) for c in self.analysis.coverage)

    @cached_property
    def remarkable_sources(self) -> tuple[SourceView, ...]:
        return tuple(source for source in self.sources if source.remarkable)

    @cached_property
    def read_whole(self) -> int:
        """How many sources were read to the last line."""
        return sum(not c.unread and not c.skipped for c in self.analysis.coverage)

    @cached_property
    def skipped(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The paths of the sources that were not read, by the reason."""
        return _grouped((c.skipped, c.path) for c in self.analysis.coverage if c.skipped)

    @cached_property
    def not_collected(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The outputs that were not collected, by the reason."""
        missing = self.analysis.bundle.not_collected
        return _grouped((item.reason, f"{item.artifact} ({self.scope_in_words(item.scope)})") for item in missing)

    # --- the host ---

    def scope_in_words(self, scope: str) -> str:
        """A namespace by the name of its container, as far as that is known."""
        kind, _, netns = scope.partition(":")
        if kind != "netns":
            return scope
        return f"container {self._names[netns]}" if netns in self._names else f"namespace {netns}"

    @cached_property
    def _names(self) -> dict[str, str]:
        """The names of the containers by their ids, whole and as short as Docker prints them."""
        containers = self.analysis.host.containers
        return {name: c.name for c in containers for name in (c.id, c.id[:12])}

    @cached_property
    def wiring(self) -> Wiring:
        return wiring(self.analysis.host)

    def href(self, place: Place) -> str:
        """The link to the line of a place, empty when its source is not on the page."""
        span = place.span
        listing = self._listings.get(span.source)
        return listing.href(span.line) if listing else ""

    def href_of_record(self, place: Place) -> str:
        """The same for a record of the model."""
        few = isinstance(place, Span) or len(self.analysis.host.containers) <= _MOST_LINKED
        return self.href(place) if few else ""

    # --- sources ---

    @cached_property
    def _listings(self) -> dict[Source, Listing]:
        wanted = {c.source: set[int]() for c in self.analysis.coverage if c.source and self._with_sources}
        for span in (item.span for finding in self._shown for item in finding.evidence):
            if span.source in wanted:
                wanted[span.source] |= {span.line, span.line_end}
        for c in self.analysis.coverage:
            if c.source in wanted:
                wanted[c.source] |= {line for line, _ in c.unread[:MOST_UNREAD]}
        return {listing.source: listing for listing in list_sources(wanted)}


def _primary_first(evidence: Sequence[Evidence]) -> list[Evidence]:
    return sorted(evidence, key=lambda item: item.role is not Role.PRIMARY)


def _grouped(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The second words by the first, in the order of their first mention."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return tuple((key, tuple(values)) for key, values in groups.items())


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _checks(count: int) -> str:
    return f"{count} {_plural(count, 'check')}"


def _moment(iso: str) -> str:
    """`2026-11-24 01:50:41 UTC`; what is no ISO 8601 time is shown as it is."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return iso


def _in_words(ledger: Mapping[str, int]) -> str:
    """`environment 3, sysctl 4` from what was masked, in numbers."""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in ledger.items())
