"""Tables as CSV (RFC 4180), and the report as such a table.

Several things in a cell have a line each. Text that a spreadsheet would take for a formula has an apostrophe before it,
as such programs write it themselves.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from netdiag.finding import Finding, Outcome, Role, Verdict
from netdiag.report.visible import visible
from netdiag.results import Analysis

Cell: TypeAlias = "str | int | tuple[str, ...] | None"

_COLUMNS = (
    "outcome",
    "severity",
    "confidence",
    "layer",
    "check",
    "message",
    "subjects",
    "source",
    "line",
    "command",
    "remedy",
    "verify",
    "status",
    "ask",
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(analysis: Analysis, *, pedantic: bool) -> str:
    """A row for each finding, worst first, then for each check that found nothing what became of it.

    A check that could not judge all has a row for that beside those of its findings.
    """
    known = analysis.known or ()
    status = "" if analysis.known is None else "new"
    rows = [
        *(_finding(analysis, each, "known" if each in known else status) for each in analysis.shown(pedantic=pedantic)),
        *(
            _finding(analysis, each.finding, f"suppressed until {each.until}: {each.reason}")
            for each in analysis.suppressed
        ),
        *_outcomes(analysis),
    ]
    return table(_COLUMNS, rows)


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Rows under the names of their columns."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([text(cell) for cell in row] for row in rows)
    return made.getvalue()


def text(cell: Cell) -> str:
    """A cell as a spreadsheet may have it."""
    if cell is None or isinstance(cell, int):
        return "" if cell is None else str(cell)
    lines = cell if isinstance(cell, tuple) else (cell,)
    made = "\n".join(visible(line) for line in lines)
    return f"'{made}" if made.startswith(_FORMULA) else made


def _finding(analysis: Analysis, finding: Finding, status: str) -> tuple[Cell, ...]:
    span = next(item.span for item in finding.evidence if item.role is Role.PRIMARY)
    return (
        Verdict.FINDING.value,
        finding.severity.value,
        finding.confidence.value,
        _layer(analysis, finding.check),
        finding.check,
        " ".join(finding.message.split()),
        tuple(f"{subject.kind} {subject.name}" for subject in finding.subjects),
        span.source.path,
        span.line,
        span.source.command,
        finding.remedy,
        finding.verify,
        status,
        (),
    )


def _outcomes(analysis: Analysis) -> Iterator[tuple[Cell, ...]]:
    for outcome in sorted(analysis.outcomes, key=lambda outcome: outcome.check):
        if outcome.verdict is not Verdict.FINDING or outcome.reason:
            yield _outcome(analysis, outcome)


def _outcome(analysis: Analysis, outcome: Outcome) -> tuple[Cell, ...]:
    in_part = "judged only in part: " if outcome.verdict is Verdict.FINDING else ""
    told = f"{in_part}{' '.join(outcome.reason.split())}"
    before = (outcome.verdict.value, "", "", _layer(analysis, outcome.check), outcome.check, told)
    return (*before, *([""] * (len(_COLUMNS) - len(before) - 1)), outcome.ask)


def _layer(analysis: Analysis, check: str) -> str:
    card = analysis.cards.get(check)
    return card.layer if card else ""
