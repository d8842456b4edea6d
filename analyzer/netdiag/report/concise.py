"""The report as a line for each finding, as editors know it: `path:line:column: severity[check] message`."""

from netdiag.finding import Finding, Role
from netdiag.report.visible import visible
from netdiag.results import Analysis


def render(analysis: Analysis, *, unicode: bool, pedantic: bool) -> str:
    """A line for each finding, worst first; the place is that of its first primary evidence. No findings, no lines.

    Those that are known already, or suppressed, come last and say so.
    """
    lines = [
        *map(_line, analysis.shown_new(pedantic=pedantic)),
        *(f"{_line(finding)} (known already)" for finding in analysis.shown_known(pedantic=pedantic)),
        *(f"{_line(each.finding)} (suppressed until {each.until}: {each.reason})" for each in analysis.suppressed),
    ]
    return "".join(f"{visible(line, unicode=unicode)}\n" for line in lines)


def _line(finding: Finding) -> str:
    span = next(item.span for item in finding.evidence if item.role is Role.PRIMARY)
    place = f"{span.source.path}:{span.line}:{span.column}"
    return f"{place}: {finding.severity.value}[{finding.check}] {finding.message}"
