"""The comparison of two bundles for a terminal, and for programs.

The JSON is a contract: `comparison.schema.json` beside this module describes every property.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netdiag import __version__
from netdiag.comparison import Change, Comparison, FindingChange, Growth, Remark, Shown
from netdiag.finding import Evidence, Severity
from netdiag.plain import Json
from netdiag.report._changes import FATES, counted, groups
from netdiag.report._grid import fold
from netdiag.report.as_json import dump
from netdiag.report.snippet import Look, draw
from netdiag.report.terminal import collected_when
from netdiag.report.visible import excerpt, wrap
from netdiag.results import Analysis
from netdiag.spans import Place, Source, Span

SCHEMA_VERSION = "1.0"

#: Of longer lists a terminal shows these many; the JSON has all.
_MOST_LINES = 12


def as_text(comparison: Comparison, look: Look) -> str:
    """What changed, what it means, and what became of the findings; last a line that counts."""
    blocks = [
        list(_head(comparison, look)),
        *_remarks(comparison.remarks, look),
        *_findings(comparison, look),
        *_changes(comparison, look),
        _listed("Counters of loss that grew", [growth.words for growth in comparison.growths], look),
        _listed("Not compared", [f"{each.what}: {each.why}" for each in comparison.not_compared], look),
        fold(counted(comparison), look.columns),
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _head(comparison: Comparison, look: Look) -> Iterator[str]:
    for which, analysis in (("before", comparison.before), ("after", comparison.after)):
        name = f"{analysis.bundle.host or analysis.bundle.name}{collected_when(analysis.bundle.collected_at)}"
        yield from fold(f"{which:8}{look.text(name)}", look.columns)
    for doubt in comparison.doubts:
        yield look.paint("warning", f"but {look.text(doubt)}")
    if comparison.seconds:
        yield f"between {duration(comparison.seconds)}"


def duration(seconds: float) -> str:
    """A time between bundles in the largest units: `3 days 4 h`, `12 min 5 s`."""
    left, words = round(seconds), []
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            words.append(f"{left // size} {'day' if (unit, left // size) == ('days', 1) else unit}")
            left %= size
    return " ".join(words[:2]) or "less than a second"


def _remarks(remarks: Iterable[Remark], look: Look) -> Iterator[list[str]]:
    for remark in remarks:
        severity = remark.severity.value
        head = f"{severity}[{remark.name}]"
        first, *rest = wrap(f"{head}: {look.text(remark.message)}", look.columns - 2)
        lines = [look.paint(severity, head) + look.paint("strong", first.removeprefix(head))]
        lines += [f"  {look.paint('strong', line)}" for line in rest]
        evidence = _evidence(remark.shown)
        if evidence:
            lines += draw(evidence, severity, look)
        head = "  = why: "
        first, *rest = wrap(remark.why, look.columns - len(head))
        yield [*lines, look.paint("frame", head) + first, *(" " * len(head) + line for line in rest)]


def _evidence(shown: Iterable[Shown]) -> list[Evidence]:
    """The places with their bundle before the path: both bundles have files of one name."""
    sources: dict[tuple[str, Source], Source] = {}
    evidence = []
    for each in shown:
        span = each.place.span
        key = each.side.value, span.source
        if key not in sources:
            sources[key] = replace(span.source, path=f"{each.side.value}: {span.source.path}")
        evidence.append(Evidence(replace(span, source=sources[key]), each.label))
    return evidence


def _findings(comparison: Comparison, look: Look) -> Iterator[list[str]]:
    for fate, heading in FATES.items():
        found = comparison.of_fate(fate)
        if found:
            lines = [look.paint("strong", f"{heading} ({len(found)}):")]
            yield [*lines, *(line for each in found for line in _finding(each, look))]


def _finding(each: FindingChange, look: Look) -> Iterator[str]:
    finding = each.finding
    head = f"{finding.severity.value}[{look.text(finding.check)}]"
    first, *rest = wrap(f"{head}: {look.text(' '.join(finding.message.split()))}", look.columns - 4)
    yield f"  {look.paint(finding.severity.value, head)}{first.removeprefix(head)}"
    yield from (f"    {line}" for line in rest)
    if each.why:
        yield from (f"    {line}" for line in wrap(f"({look.text(' '.join(each.why.split()))})", look.columns - 4))


def _changes(comparison: Comparison, look: Look) -> Iterator[list[str]]:
    for group in groups(comparison):
        lines = [look.paint("strong", f"{look.text(group.title)} ({len(group.lines)}):")]
        for sign, text in group.lines[:_MOST_LINES]:
            first, *rest = fold(look.text(text), look.columns - 4)
            lines += [f"  {sign} {first}", *(f"    {line}" for line in rest)]
        yield [*lines, *_more(len(group.lines))]


def _listed(heading: str, items: list[str], look: Look) -> list[str]:
    if not items:
        return []
    lines = [look.paint("strong", f"{heading} ({len(items)}):")]
    for item in items[:_MOST_LINES]:
        first, *rest = fold(look.text(item), look.columns - 4)
        lines += [f"  {first}", *(f"    {line}" for line in rest)]
    return [*lines, *_more(len(items))]


def _more(number: int) -> list[str]:
    return [f"  and {number - _MOST_LINES} more (--format json has all)"] if number > _MOST_LINES else []


# --- for programs -----------------------------------------------------------------------------------------------------


def as_json(comparison: Comparison) -> str:
    """The whole comparison. The same bundles give the same bytes."""
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "netdiag", "version": __version__},
            "before": _bundle(comparison.before),
            "after": _bundle(comparison.after),
            "doubts": list(comparison.doubts),
            "remarks": [_remark(each) for each in comparison.remarks],
            "findings": [_finding_change(each) for each in comparison.findings],
            "changes": [_change(each) for each in comparison.changes],
            "counters": [_growth(each) for each in comparison.growths],
            "not_compared": [{"what": each.what, "why": each.why} for each in comparison.not_compared],
        }
    )


def _bundle(analysis: Analysis) -> dict[str, Json]:
    bundle = analysis.bundle
    return {
        "name": bundle.name,
        "host": bundle.host,
        "collected_at": bundle.collected_at,
        "sha256": bundle.sha256,
        **{severity.value: analysis.count(severity) for severity in Severity},
    }


def _remark(remark: Remark) -> dict[str, Json]:
    return {
        "name": remark.name,
        "severity": remark.severity.value,
        "message": remark.message,
        "why": remark.why,
        "evidence": [{"bundle": s.side.value, **_place(s.place), "label": s.label} for s in remark.shown],
    }


def _finding_change(each: FindingChange) -> dict[str, Json]:
    finding = each.finding
    return {
        "fate": each.fate.name.lower(),
        "check": finding.check,
        "severity": finding.severity.value,
        "message": finding.message,
        "subjects": [{"kind": subject.kind, "name": subject.name} for subject in finding.subjects],
        "fingerprint": finding.fingerprint,
        "why": each.why,
    }


def _change(change: Change) -> dict[str, Json]:
    return {
        "kind": change.kind,
        "name": change.name,
        "how": change.how.name.lower(),
        "what": change.what,
        "before": change.before,
        "after": change.after,
        "before_place": _lines(change.before_place),
        "after_place": _lines(change.after_place),
    }


def _growth(growth: Growth) -> dict[str, Json]:
    return {
        "scope": growth.scope,
        "owner": growth.owner,
        "counter": growth.counter,
        "before": growth.before,
        "after": growth.after,
        "seconds": growth.seconds,
        "after_place": _lines(growth.after_span),
    }


def _lines(place: Place | None) -> Json:
    if place is None:
        return None
    span: Span = place.span
    return {"source": span.source.path, "line_start": span.line, "line_end": span.line_end}


def _place(place: Place) -> dict[str, Json]:
    span = place.span
    return {
        "source": span.source.path,
        "command": span.source.command,
        "line_start": span.line,
        "line_end": span.line_end,
        "excerpt": excerpt(span),
    }
