"""The report for programs. Its shape is a contract: `analysis.schema.json` beside this module describes every property.

The same analysis gives the same bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable

from netdiag import __version__
from netdiag.finding import Evidence, Finding, Outcome, Severity, Verdict
from netdiag.plain import Json, plain
from netdiag.report.visible import UNSAFE, excerpt
from netdiag.results import Analysis, SourceCoverage, Suppressed

SCHEMA_VERSION = "1.1"

# Of a call tree so many nodes; `netdiag trace --format json` has all.
_MOST_CALLS = 500


def render(analysis: Analysis, *, pedantic: bool) -> str:
    """The analysis as JSON text that ends with a line feed. The summary counts the findings that are in it."""
    findings = analysis.shown(pedantic=pedantic)
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "netdiag", "version": __version__},
            "bundle": {
                "name": analysis.bundle.name,
                "host": analysis.bundle.host,
                "collected_at": analysis.bundle.collected_at,
                "sha256": analysis.bundle.sha256,
            },
            "summary": {**_summary(findings, analysis.outcomes), "suppressed": len(analysis.suppressed)},
            "findings": [_finding(finding, analysis.known) for finding in findings],
            "suppressed": [_suppressed(each) for each in analysis.suppressed],
            "outcomes": [_outcome(outcome) for outcome in sorted(analysis.outcomes, key=lambda outcome: outcome.check)],
            "sources": [_source(source) for source in sorted(analysis.coverage, key=lambda source: source.path)],
            "host": plain(analysis.host),
            "journeys": [plain(each) for each in analysis.journeys],
            "call_trees": [plain(graph.excerpt(_MOST_CALLS)) for graph in analysis.call_graphs],
        }
    )


def dump(value: Json) -> str:
    r"""`value` as indented JSON text. What a terminal obeys or hides, and a lone surrogate, stands as `\uXXXX`."""
    lines = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False).split("\n")
    return "".join(f"{_escaped(line)}\n" for line in lines)


def in_one_line(value: Json) -> str:
    """The same in one line, without a line feed."""
    return _escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escaped(line: str) -> str:
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], line)


def _summary(findings: Iterable[Finding], outcomes: Iterable[Outcome]) -> dict[str, Json]:
    found = Counter(finding.severity for finding in findings)
    judged = Counter(outcome.verdict for outcome in outcomes)
    verdicts = (Verdict.CLEAN, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE, Verdict.CRASHED)
    return {
        **{severity.value: found[severity] for severity in Severity},
        **{verdict.value: judged[verdict] for verdict in verdicts},
    }


def _suppressed(suppressed: Suppressed) -> dict[str, Json]:
    return {
        "finding": _finding(suppressed.finding, None),
        "reason": suppressed.reason,
        "until": suppressed.until.isoformat(),
        "origin": suppressed.origin,
    }


def _finding(finding: Finding, known: frozenset[Finding] | None) -> dict[str, Json]:
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "title": finding.title,
        "message": finding.message,
        "subjects": [{"kind": subject.kind, "name": subject.name} for subject in finding.subjects],
        "evidence": [_evidence(item) for item in finding.evidence],
        "why": finding.why,
        "remedy": list(finding.remedy),
        "verify": list(finding.verify),
        "fingerprint": finding.fingerprint,
        "baseline": None if known is None else "known" if finding in known else "new",
    }


def _evidence(evidence: Evidence) -> dict[str, Json]:
    span = evidence.span
    return {
        "source": span.source.path,
        "command": span.source.command,
        "line_start": span.line,
        "line_end": span.line_end,
        "excerpt": excerpt(span),
        "label": evidence.label,
        "role": evidence.role.value,
    }


def _outcome(outcome: Outcome) -> dict[str, Json]:
    return {
        "check": outcome.check,
        "outcome": outcome.verdict.value,
        "reason": outcome.reason,
        "missing": list(outcome.missing),
        "ask": list(outcome.ask),
    }


def _source(source: SourceCoverage) -> dict[str, Json]:
    return {
        "path": source.path,
        "format": source.format,
        "lines": source.lines,
        "read": source.read,
        "unread": source.unread_count,
        "unread_lines": [*sorted(line for line, _ in source.unread)],
        "skipped": source.skipped,
    }
