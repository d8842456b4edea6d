"""The report for a case system: plain text of at most 15 lines, which can be pasted into a comment.

Three findings with their proof and the first command of their repair; how many more there are; what to ask for.
"""

from collections.abc import Iterator, Sequence

from netdiag.finding import Finding, Role, Verdict
from netdiag.report.terminal import collected_when, count_words
from netdiag.report.visible import shorten, visible
from netdiag.results import Analysis

MOST_LINES = 15
_MOST_FINDINGS = 3
# A message may hold a name of any length, a command is never cut: it is there to be copied.
_LONGEST = 240


def render(analysis: Analysis, *, unicode: bool, pedantic: bool) -> str:
    """The text. It ends with the command that tells more."""
    findings = analysis.shown_new(pedantic=pedantic)
    lines = [
        *_head(analysis, analysis.shown(pedantic=pedantic)),
        *_findings(findings),
        *_open(analysis),
        *_more(findings),
    ]
    return "".join(f"{visible(line, unicode=unicode)}\n" for line in lines)


def _head(analysis: Analysis, shown: Sequence[Finding]) -> Iterator[str]:
    bundle, host = analysis.bundle, analysis.host
    engine = f", Docker {host.engine.version.version}" if host.engine.version else ""
    kernel = f", Linux {host.kernel}" if host.kernel else ""
    yield _cut(f"netdiag: {bundle.host or bundle.name}{collected_when(bundle.collected_at)}{engine}{kernel}")
    yield count_words(analysis, shown)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for number, finding in enumerate(findings[:_MOST_FINDINGS], start=1):
        span = next(item.span for item in finding.evidence if item.role is Role.PRIMARY)
        yield _cut(f"{number}. {finding.severity.value}: {' '.join(finding.message.split())} [{finding.check}]")
        command = f" ($ {span.source.command})" if span.source.command else ""
        yield _cut(f"   proof: {span.source.path}:{span.line}{command}")
        if finding.remedy:
            more = f"   (and {len(finding.remedy) - 1} more)" if len(finding.remedy) > 1 else ""
            yield f"   repair: {finding.remedy[0]}{more}"
    if len(findings) > _MOST_FINDINGS:
        checks = dict.fromkeys(finding.check for finding in findings[_MOST_FINDINGS:])
        yield _cut(f"and {len(findings) - _MOST_FINDINGS} more: {', '.join(checks)}")


def _open(analysis: Analysis) -> Iterator[str]:
    """How much was not judged, and the command that most checks wait for."""
    waiting = [o for o in analysis.outcomes if o.reason and o.verdict in (Verdict.UNKNOWN, Verdict.FINDING)]
    asked = [command for outcome in waiting for command in outcome.ask]
    if asked:
        first = max(dict.fromkeys(asked), key=asked.count)
        others = len(set(asked)) - 1
        yield f"not judged: {len(waiting)} checks; please send the output of: {first}" + (
            f"   (and {others} more)" if others else ""
        )


def _more(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield f"more: netdiag explain {findings[0].check}"


def _cut(line: str) -> str:
    return shorten(line, _LONGEST, "...")
