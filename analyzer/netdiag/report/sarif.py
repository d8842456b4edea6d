"""The report as SARIF 2.1.0 (OASIS, errata 01), for tools that collect the results of many analysers.

A check is a rule, a finding a result; its place is the first primary evidence, all other evidence is related. What was
not judged, not read or not collected is a notification of the run. Section numbers are those of the standard.

The standard would also have a result for a check that found nothing (3.27.9: kind `pass`, `open`, `notApplicable`).
Those are written only when asked for: GitHub's code scanning takes each result for an alert, whatever its kind, and
refuses the whole file for one without a place. What became of each check stands in the properties of the run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from netdiag import __version__
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Verdict
from netdiag.plain import Json
from netdiag.report.as_json import dump
from netdiag.report.visible import excerpt, visible
from netdiag.results import Analysis, SourceCoverage, Suppressed
from netdiag.spans import Span

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE = "BUNDLE"
_FINGERPRINT = "checkAndSubjects/v1"
_LONGEST_SNIPPET = 2000
# A notification names this many lines at most; its text gives the whole number.
_MOST_LOCATIONS = 50

# 3.27.25: how much a result matters, from 0 to 100
_RANKS = {Confidence.HIGH: 90.0, Confidence.MEDIUM: 60.0, Confidence.LOW: 30.0}

# 3.27.9; a check that crashed has no result: that is a notification
_KINDS = {
    Verdict.CLEAN: "pass",
    Verdict.UNKNOWN: "open",
    Verdict.FINDING: "open",
    Verdict.NOT_APPLICABLE: "notApplicable",
}

_NOTIFICATIONS = {
    "bundle-problem": ("warning", "Something in the bundle is not as its manifest says."),
    "check-crashed": ("error", "A check failed; the fault is in netdiag, not on the host."),
    "judged-in-part": ("warning", "A check found something, but could not judge all of the host."),
    "lines-unread": ("warning", "No grammar reads these lines."),
    "not-judged": ("warning", "The bundle lacks what a check needs."),
    "not-read": ("note", "A file of the bundle was not read."),
    "output-incomplete": ("warning", "The text of an output may not be the whole answer."),
    "output-missing": ("note", "The collector left an output out or could not get it."),
}


def render(analysis: Analysis, *, pedantic: bool, every_outcome: bool = False) -> str:
    """The analysis as a SARIF log with one run. The same analysis gives the same bytes.

    With `every_outcome` a check that found nothing, or not all, has a result as well, which says what became of it.
    """
    run = _Run(analysis, pedantic=pedantic)
    return dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run.run(every_outcome=every_outcome)]})


@dataclass(frozen=True)
class _Notice:
    """A notification before it is written: `check` is the rule it is about, if any; `regions` are places in `path`."""

    kind: str
    text: str
    check: str = ""
    path: str = ""
    regions: tuple[Mapping[str, Json], ...] = ()


class _Run:
    def __init__(self, analysis: Analysis, *, pedantic: bool) -> None:
        self._analysis = analysis
        self._findings = analysis.shown(pedantic=pedantic)
        self._sources = sorted(analysis.coverage, key=lambda source: source.path)
        self._indices = {source.path: index for index, source in reversed(list(enumerate(self._sources)))}
        self._told = (*self._findings, *(each.finding for each in analysis.suppressed))
        named = {finding.check for finding in self._told} | {outcome.check for outcome in analysis.outcomes}
        self._checks = sorted(named)

    def run(self, *, every_outcome: bool) -> dict[str, Json]:
        outcomes = sorted(self._analysis.outcomes, key=lambda outcome: outcome.check)
        others = [self._other(outcome) for outcome in outcomes if self._kind(outcome)] if every_outcome else []
        bundle = self._analysis.bundle
        crashed = self._analysis.outcome_count(Verdict.CRASHED)
        return {
            "tool": {
                "driver": {
                    "name": "netdiag",
                    "version": __version__,
                    "rules": [self._rule(check) for check in self._checks],
                    "notifications": [
                        {
                            "id": kind,
                            "shortDescription": {"text": text},
                            "defaultConfiguration": {"level": level},
                        }
                        for kind, (level, text) in _NOTIFICATIONS.items()
                    ],
                }
            },
            "invocations": [
                {
                    "executionSuccessful": not crashed,
                    "toolExecutionNotifications": [self._notification(notice) for notice in _notices(self._analysis)],
                }
            ],
            "originalUriBaseIds": {_BASE: {"description": _message(f"the top directory of bundle {bundle.name}")}},
            "artifacts": [self._artifact(source) for source in self._sources],
            "results": [
                *map(self._judged, self._findings),
                *map(self._suppressed, self._analysis.suppressed),
                *others,
            ],
            "columnKind": "unicodeCodePoints",
            "properties": {
                "bundle": bundle.name,
                "host": bundle.host,
                "collected_at": bundle.collected_at,
                "sha256": bundle.sha256,
                "outcomes": {outcome.check: outcome.verdict.value for outcome in outcomes},
            },
        }

    def _rule(self, check: str) -> dict[str, Json]:
        """What the check says of itself, and its findings of how grave it is."""
        rule: dict[str, Json] = {"id": check, "help": {"text": f"netdiag explain {check}"}}
        finding = next((finding for finding in self._told if finding.check == check), None)
        card = self._analysis.cards.get(check)
        title = finding.title if finding else card.title if card else ""
        why = finding.why if finding else card.why if card else ""
        if title:
            rule["shortDescription"] = {"text": visible(title)}
        if why:
            rule["fullDescription"] = {"text": visible(why)}
        if finding:
            rule["defaultConfiguration"] = {"level": finding.severity.value}
        return rule

    def _artifact(self, source: SourceCoverage) -> dict[str, Json]:
        artifact: dict[str, Json] = {"location": self._location(source.path)}
        if source.command:
            artifact["description"] = _message(f"output of {source.command}")
        artifact["properties"] = {
            "format": source.format,
            "lines": source.lines,
            "read": source.read,
            "skipped": source.skipped,
        }
        return artifact

    def _judged(self, finding: Finding) -> dict[str, Json]:
        """A result that counts; with a baseline it says whether it is new (3.27.24)."""
        known = self._analysis.known
        if known is None:
            return self._result(finding)
        return {**self._result(finding), "baselineState": "unchanged" if finding in known else "new"}

    def _suppressed(self, suppressed: Suppressed) -> dict[str, Json]:
        """A result that somebody suppressed outside of the bundle (3.35.2)."""
        suppression: Json = {
            "kind": "external",
            "status": "accepted",
            "justification": visible(suppressed.reason),
            "properties": {"until": suppressed.until.isoformat(), "origin": visible(suppressed.origin)},
        }
        return {**self._result(suppressed.finding), "suppressions": [suppression]}

    def _result(self, finding: Finding) -> dict[str, Json]:
        first = next(item for item in finding.evidence if item.role is Role.PRIMARY)
        return {
            "ruleId": finding.check,
            "ruleIndex": self._checks.index(finding.check),
            "level": finding.severity.value,
            "rank": _RANKS[finding.confidence],
            "message": _message(finding.message),
            "locations": [self._evidence(first)],
            "relatedLocations": [self._evidence(item) for item in dict.fromkeys(finding.evidence) if item != first],
            "partialFingerprints": {_FINGERPRINT: finding.fingerprint},
            "properties": {
                "confidence": finding.confidence.value,
                "subjects": [{"kind": subject.kind, "name": subject.name} for subject in finding.subjects],
                "remedy": list(finding.remedy),
                "verify": list(finding.verify),
            },
        }

    def _kind(self, outcome: Outcome) -> str:
        """The kind of the result that says what became of a check (3.27.9), empty when other things say it all."""
        if outcome.verdict is Verdict.FINDING and not outcome.reason:
            return "" if any(finding.check == outcome.check for finding in self._told) else "review"
        return _KINDS.get(outcome.verdict, "")

    def _other(self, outcome: Outcome) -> dict[str, Json]:
        kind = self._kind(outcome)
        ask = f"; ask for the output of: {', '.join(outcome.ask)}" if outcome.ask else ""
        text = {"pass": "all was judged, nothing was found", "review": "findings of low confidence only"}.get(kind)
        return {
            "ruleId": outcome.check,
            "ruleIndex": self._checks.index(outcome.check),
            "kind": kind,
            "level": "none",
            "message": _message(text or f"{outcome.reason}{ask}"),
            "locations": [],
        }

    def _evidence(self, evidence: Evidence) -> dict[str, Json]:
        span = evidence.span
        place: dict[str, Json] = {"artifactLocation": self._location(span.source.path), "region": _region(span)}
        if span.text != span.excerpt:
            place["contextRegion"] = {
                "startLine": span.line,
                "endLine": span.line_end,
                "snippet": {"text": excerpt(span)},
            }
        return {"physicalLocation": place, "message": _message(evidence.label)}

    def _notification(self, notice: _Notice) -> dict[str, Json]:
        level, _ = _NOTIFICATIONS[notice.kind]
        notification: dict[str, Json] = {
            "descriptor": {"id": notice.kind, "index": list(_NOTIFICATIONS).index(notice.kind)},
            "level": level,
            "message": _message(notice.text),
        }
        if notice.check:
            notification["associatedRule"] = {"id": notice.check, "index": self._checks.index(notice.check)}
        if notice.path:
            location = self._location(notice.path)
            notification["locations"] = [
                {"physicalLocation": {"artifactLocation": location, **({"region": {**region}} if region else {})}}
                for region in notice.regions or ({},)
            ]
        return notification

    def _location(self, path: str) -> dict[str, Json]:
        """A relative URI reference: a colon and whatever else means something in a URI is escaped (3.10)."""
        location: dict[str, Json] = {"uri": quote(path, errors="backslashreplace"), "uriBaseId": _BASE}
        if path in self._indices:
            location["index"] = self._indices[path]
        return location


def _notices(analysis: Analysis) -> Iterator[_Notice]:
    for outcome in sorted(analysis.outcomes, key=lambda outcome: outcome.check):
        ask = f"; ask for the output of: {', '.join(outcome.ask)}" if outcome.ask else ""
        if outcome.verdict is Verdict.CRASHED:
            yield _Notice("check-crashed", f"{outcome.check} crashed: {outcome.reason}", outcome.check)
        elif outcome.verdict is Verdict.UNKNOWN:
            yield _Notice("not-judged", f"{outcome.check}: {outcome.reason}{ask}", outcome.check)
        elif outcome.verdict is Verdict.FINDING and outcome.reason:
            yield _Notice("judged-in-part", f"{outcome.check}: {outcome.reason}{ask}", outcome.check)
    for source in sorted(analysis.coverage, key=lambda source: source.path):
        yield from _of_source(source)
    for missing in analysis.bundle.not_collected:
        what = missing.command or missing.artifact
        yield _Notice("output-missing", f"{what} ({missing.scope}) was not collected: {missing.reason}")
    for problem in analysis.bundle.problems:
        yield _Notice("bundle-problem", f"{problem.path}: {problem.message}", path=problem.path)


def _of_source(source: SourceCoverage) -> Iterator[_Notice]:
    if source.skipped:
        yield _Notice("not-read", f"{source.path} was not read: {source.skipped}", path=source.path)
    if source.source and source.source.trouble:
        yield _Notice("output-incomplete", f"{source.path}: {source.source.trouble}", path=source.path)
    if source.unread:
        line, reason = source.unread[0]
        text = f"{source.path}: {source.unread_count} of {source.lines} lines not read; line {line}: {reason}"
        regions: Iterable[dict[str, Json]] = ({"startLine": line} for line, _ in source.unread[:_MOST_LOCATIONS])
        yield _Notice("lines-unread", text, path=source.path, regions=tuple(regions))


def _region(span: Span) -> dict[str, Json]:
    text = span.text
    shown = text if len(text) <= _LONGEST_SNIPPET else f"{text[:_LONGEST_SNIPPET]}…"
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.line_end,
        "endColumn": span.column_end,
        "snippet": {"text": shown},
    }


def _message(text: str) -> dict[str, Json]:
    """A message object: braces are doubled because single ones are placeholders (3.11.5)."""
    return {"text": visible(text).replace("{", "{{").replace("}", "}}")}
