"""The report as a line for each finding, as editors know it: `path:line:column: severity[check] message`."""

from netdiag.finding import Finding, Role
from netdiag.report.visible import visible
from netdiag.results import Analysis


def render(analysis: Analysis, *, unicode: bool, pedantic: bool) -> str:
    """A line for each finding, worst first; the place is that of its first primary evidence. No findings, no lines."""
    return "".join(f"{visible(_line(finding), unicode=unicode)}\n" for finding in analysis.shown(pedantic=pedantic))


def _line(finding: Finding) -> str:
    span = next(item.span for item in finding.evidence if item.role is Role.PRIMARY)
    place = f"{span.source.path}:{span.line}:{span.column}"
    return f"{place}: {finding.severity.value}[{finding.check}] {finding.message}"
