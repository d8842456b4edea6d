"""What the page and the PDF show, in the order in which they show it: values for the templates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from markupsafe import Markup

from netdiag import __version__
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Severity, Verdict
from netdiag.report import _anchors
from netdiag.report._asking import to_run
from netdiag.report._listing import Listing, excerpt, list_sources
from netdiag.report.drawings._marks import Spot, Spots
from netdiag.report.drawings.wiring import Wiring, wiring
from netdiag.report.visible import shorten
from netdiag.results import Analysis, CheckCard, SourceCoverage
from netdiag.spans import Place, Source, Span

T = TypeVar("T")

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
# Of a check that found the same of very many objects these many findings are shown in full, all others in brief.
MOST_ALIKE = 20
LONGEST_HEADLINE = 240
_LOOKS = {"before": "looked at before all else", "after": "looked at after all else"}


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
    """A finding with its id on the page. `cards` are the numbers of the containers that it is about, `age` is `new` or
    `known already` when there is an older result to compare with.
    """

    finding: Finding
    anchor: str
    evidence: tuple[ExcerptView, ...]
    card: CheckCard
    cards: tuple[int, ...] = ()
    age: str = ""

    @property
    def doubtful(self) -> bool:
        return self.finding.confidence is not Confidence.HIGH

    @property
    def headline(self) -> str:
        return headline(self.finding.message)


@dataclass(frozen=True)
class GroupView:
    """Findings about one object: `kind` is what it is, `name` which one, `href` leads to its facts.

    Of the findings of a group that is `brief` the first of their kind were shown in full before.
    """

    kind: str
    name: str
    href: str
    findings: tuple[FindingView, ...]
    brief: bool = False


@dataclass(frozen=True)
class CheckView:
    """A check with its outcome, and its findings if it has any."""

    outcome: Outcome
    anchor: str
    findings: tuple[FindingView, ...]
    layer: str

    @property
    def word(self) -> str:
        return _VERDICT_WORDS[self.outcome.verdict]

    @property
    def rank(self) -> int:
        """That of the worst finding shown; a check without one comes behind."""
        return min((view.finding.severity.rank for view in self.findings), default=len(Severity))


@dataclass(frozen=True)
class QuestionView:
    """The checks that one reason keeps from judging, and the outputs that would tell them."""

    reason: str
    checks: tuple[CheckView, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for check in self.checks for name in check.outcome.missing))


@dataclass(frozen=True)
class SourceView:
    """A source with how much of it was read. `listing` is None when its text is not at hand."""

    coverage: SourceCoverage
    listing: Listing | None

    @property
    def trouble(self) -> str:
        return self.coverage.source.trouble if self.coverage.source else ""

    @property
    def anchor(self) -> str:
        """The id of its text on the page, empty when the text is not there."""
        return _anchors.of_source(self.listing.number) if self.listing and self.listing.href(0) else ""

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


@dataclass(frozen=True)
class ScopeView:
    """The sources that speak of one namespace. `name` says which."""

    name: str
    sources: tuple[SourceView, ...]

    @property
    def lines(self) -> int:
        return sum(view.coverage.lines for view in self.sources)

    @property
    def read(self) -> int:
        return sum(view.coverage.read for view in self.sources)

    @property
    def unread(self) -> int:
        """How many lines no grammar reads, of the sources that have a format."""
        return sum(view.coverage.unread_count for view in self.sources)

    @property
    def skipped(self) -> int:
        return sum(bool(view.coverage.skipped) for view in self.sources)


class Page:
    """Everything that the templates ask for. `with_sources`: the raw sources stand on it, for evidence to link to."""

    def __init__(self, analysis: Analysis, *, pedantic: bool, with_sources: bool) -> None:
        self.analysis = analysis
        self.version = __version__
        self._with_sources = with_sources
        self._shown = (*analysis.shown_new(pedantic=pedantic), *analysis.shown_known(pedantic=pedantic))
        self.known = len(analysis.shown_known(pedantic=pedantic))
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
        first += f", {self.known} of them known already" if self.known else ""
        first += f", {len(self.analysis.suppressed)} suppressed" if self.analysis.suppressed else ""
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
        podman = self.analysis.host.podman
        engines = [f"Docker {engine.version.version}"] if engine.version else []
        engines += [f"Podman {podman.version.version}"] if podman.version else []
        told = {
            "Collected": _moment(bundle.collected_at),
            "Engine": ", ".join(engines),
            "System": manifest.get("os_release"),
            "Kernel": manifest.get("kernel"),
            "Collector": manifest.get("collector", {}).get("version"),
            "netdiag": self.version,
            "Bundle": bundle.name,
            "Masked": _masked(manifest.get("redaction")),
            "SHA-256": bundle.sha256,
        }
        return tuple((name, str(value)) for name, value in told.items() if value)

    # --- findings ---

    @cached_property
    def findings(self) -> tuple[FindingView, ...]:
        """The findings, worst first; those that are known already come behind."""
        spots, views = Spots(self.wiring), []
        first_known = len(self._shown) - self.known
        for number, (finding, anchor) in enumerate(zip(self._shown, _anchors.of_findings(self._shown), strict=True)):
            evidence = tuple(self._excerpt(item) for item in _primary_first(finding.evidence))
            card = self.analysis.cards.get(finding.check, CheckCard("", finding.title))
            age = "" if self.analysis.known is None else "new" if number < first_known else "known already"
            views.append(FindingView(finding, anchor, evidence, card, spots.cards(spots.of(finding)), age))
        return tuple(views)

    @cached_property
    def _crowded(self) -> Mapping[str, tuple[FindingView, ...]]:
        """By check the findings behind the first ones, of checks that found the same of very many objects."""
        by_check: dict[str, list[FindingView]] = {}
        for view in self.findings:
            by_check.setdefault(view.finding.check, []).append(view)
        return {name: tuple(views[MOST_ALIKE:]) for name, views in by_check.items() if len(views) > MOST_ALIKE}

    @cached_property
    def in_full(self) -> tuple[FindingView, ...]:
        """The findings that are shown with all that belongs to them, worst first."""
        crowded = {view.anchor for views in self._crowded.values() for view in views}
        return tuple(view for view in self.findings if view.anchor not in crowded)

    @cached_property
    def more_alike(self) -> tuple[tuple[str, int, Severity, str], ...]:
        """The findings that are shown in brief: check, how many, the worst severity, and the id of their group."""
        return tuple(
            (name, len(views), views[0].finding.severity, _anchors.of_crowd(name))
            for name, views in self._crowded.items()
        )

    @cached_property
    def groups(self) -> tuple[GroupView, ...]:
        """The findings by the object that they are about, the worst first. What is shown in brief comes last."""
        spots = Spots(self.wiring)
        groups: dict[tuple[str, str, str], list[FindingView]] = {}
        for view in self.in_full:
            groups.setdefault(self._object(spots.of(view.finding), view.cards), []).append(view)
        # Findings come worst first, so the first one of a group is the worst of it.
        found = [GroupView(*key, tuple(views)) for key, views in groups.items()]
        brief = [
            GroupView("more of check", name, f"#{_anchors.of_check(name)}", views, brief=True)
            for name, views in self._crowded.items()
        ]
        return (*found, *brief)

    def first_groups(self, most: int) -> tuple[GroupView, ...]:
        """The groups with the first findings of all that are shown in full, and no others."""
        kept = {view.anchor for view in self.in_full[:most]}
        groups = (
            replace(group, findings=tuple(view for view in group.findings if view.anchor in kept))
            for group in self.groups
            if not group.brief
        )
        return tuple(group for group in groups if group.findings)

    def _object(self, spots: Sequence[Spot], cards: Sequence[int]) -> tuple[str, str, str]:
        """Kind, name and link of what a finding is about: a container before a network before the host."""
        if len(cards) == 1:
            card = self.wiring.cards[cards[0]]
            return "container" if card.container else "", card.name, f"#{_anchors.of_container(cards[0])}"
        if cards:
            return "several containers", "", ""
        segments = [int(spot.name) for spot in spots if spot.kind == "segment"]
        if len(segments) == 1:
            segment = self.wiring.segments[segments[0]]
            kind, name = ("network", segment.network.name) if segment.network else ("bridge", segment.device)
            return kind, name, f"#{_anchors.of_segment(segments[0])}"
        return ("several networks" if segments else "the host"), "", ""

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layers that findings are of, in the order of the findings."""
        return tuple(dict.fromkeys(view.card.layer for view in self.findings if view.card.layer))

    @cached_property
    def accused(self) -> tuple[tuple[int, str], ...]:
        """Number and name of each container that a finding is about, by name."""
        numbers = {number for view in self.findings for number in view.cards}
        return tuple(sorted(((n, self.wiring.cards[n].name) for n in numbers), key=lambda item: (item[1], item[0])))

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
    def open_questions(self) -> tuple[QuestionView, ...]:
        """The same checks by what stands in their way."""
        groups = _grouped((check.outcome.reason, check) for check in self.unjudged)
        return tuple(QuestionView(reason, checks) for reason, checks in groups)

    @cached_property
    def ask(self) -> tuple[str, ...]:
        """What to run to have the output that would tell."""
        return to_run(self.analysis)

    # --- coverage ---

    @cached_property
    def checks(self) -> tuple[CheckView, ...]:
        order = list(_VERDICT_WORDS)
        found: dict[str, list[FindingView]] = {}
        for view in self.findings:
            found.setdefault(view.finding.check, []).append(view)
        views = [
            CheckView(o, _anchors.of_check(o.check), tuple(found.get(o.check, ())), self._layer(o.check))
            for o in self.analysis.outcomes
        ]
        return tuple(sorted(views, key=lambda view: (order.index(view.outcome.verdict), view.rank, view.outcome.check)))

    def _layer(self, check: str) -> str:
        return self.analysis.cards[check].layer if check in self.analysis.cards else ""

    def _with(self, verdict: Verdict) -> list[CheckView]:
        return [check for check in self.checks if check.outcome.verdict is verdict]

    @cached_property
    def found(self) -> tuple[CheckView, ...]:
        return tuple(self._with(Verdict.FINDING))

    @cached_property
    def clean(self) -> tuple[tuple[str, tuple[CheckView, ...]], ...]:
        """The checks that found nothing wrong, by their layer."""
        return _grouped((check.layer, check) for check in sorted(self._with(Verdict.CLEAN), key=lambda c: c.layer))

    @cached_property
    def not_applicable(self) -> tuple[tuple[str, tuple[CheckView, ...]], ...]:
        """The checks that do not apply, by the reason; that of most checks first."""
        groups = _grouped((check.outcome.reason, check) for check in self._with(Verdict.NOT_APPLICABLE))
        return tuple(sorted(groups, key=lambda group: -len(group[1])))

    @cached_property
    def verdicts(self) -> tuple[tuple[str, int, Verdict], ...]:
        """How many checks ended how."""
        counted = ((self.analysis.outcome_count(verdict), verdict) for verdict in _VERDICT_WORDS)
        return tuple(
            (
                "do not apply" if verdict is Verdict.NOT_APPLICABLE and count > 1 else _VERDICT_WORDS[verdict],
                count,
                verdict,
            )
            for count, verdict in counted
            if count
        )

    @cached_property
    def sources(self) -> tuple[SourceView, ...]:
        return tuple(SourceView(c, self._listings.get(c.source) if c.source else None) for c in self.analysis.coverage)

    @cached_property
    def remarkable_sources(self) -> tuple[SourceView, ...]:
        return tuple(source for source in self.sources if source.remarkable)

    @cached_property
    def scopes(self) -> tuple[ScopeView, ...]:
        """The sources by the namespace that they speak of, the host first."""
        groups = _grouped((view.coverage.source.scope if view.coverage.source else "", view) for view in self.sources)
        ordered = sorted(groups, key=lambda group: (group[0] != "host", ":" in group[0]))
        return tuple(ScopeView(self.scope_in_words(scope) or "loose files", views) for scope, views in ordered)

    @cached_property
    def unlisted(self) -> int:
        """How many sources have none of their lines on the page."""
        return sum(not view.anchor for view in self.sources)

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
        kind, _, rest = scope.partition(":")
        if kind in ("before", "after"):
            return f"{self.scope_in_words(rest)}, {_LOOKS[kind]}"
        if kind != "netns":
            return scope
        return f"container {self._names[rest]}" if rest in self._names else f"namespace {rest}"

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


def headline(message: str) -> str:
    """The message, or its beginning when it is longer than a headline may be."""
    return shorten(message, LONGEST_HEADLINE, " …")


def _primary_first(evidence: Sequence[Evidence]) -> list[Evidence]:
    return sorted(evidence, key=lambda item: item.role is not Role.PRIMARY)


def _grouped(pairs: Iterable[tuple[str, T]]) -> tuple[tuple[str, tuple[T, ...]], ...]:
    """The second ones by the first, in the order of their first mention."""
    groups: dict[str, list[T]] = {}
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


def _masked(ledger: Mapping[str, int] | None) -> str:
    """`7 values: environment 3, sysctl 4` from what was masked, in numbers; empty when the bundle does not tell."""
    if ledger is None:
        return ""
    whole = sum(ledger.values())
    rules = ", ".join(f"{name.replace('_', ' ').replace('-', ' ')} {count}" for name, count in ledger.items())
    return f"{whole} {_plural(whole, 'value')}: {rules}" if whole else "nothing"
