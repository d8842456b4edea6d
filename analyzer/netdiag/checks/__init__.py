"""The checks: each looks at the host model for one bad thing. None knows another; this page finds them and runs them.

A check is found because its file is here: `netdiag/checks/<name>.py` holds a check of the same name (underscores for
dashes). Modules whose name begins with an underscore are shared by them.
"""

import traceback
from collections.abc import Collection, Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdiag.checks._base import HEADINGS, Check, Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._causes import Found, with_symptoms_folded
from netdiag.checks._races import with_races_marked
from netdiag.finding import Finding, Outcome, Verdict
from netdiag.model import Host
from netdiag.model.knowledge import joined_reasons

__all__ = ["HEADINGS", "Check", "Fault", "NotApplicable", "Unjudged", "Verdicts", "all_checks", "check", "run"]


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(getattr(import_module(f"{__name__}.{name}"), name) for name in names)


def run(checks: Iterable[Check], host: Host) -> tuple[tuple[Finding, ...], tuple[Outcome, ...]]:
    """Run the checks. One that raises gets the outcome `crashed` with its reason; the others run all the same.

    What is a symptom of another finding is evidence of that one, and no finding of its own.
    """
    found: list[Found] = []
    said: list[tuple[Check, list[Fault | Unjudged | NotApplicable] | Outcome]] = []
    for each in checks:
        try:
            verdicts = list(each.run(host))
            found += [Found(each, fault, _finding(each, fault)) for fault in verdicts if isinstance(fault, Fault)]
            said.append((each, verdicts))
        except Exception as error:  # whatever a check does wrong must not cost the other checks
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"the check failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
            said.append((each, Outcome(each.name, Verdict.CRASHED, reason)))
    folded, causes = with_symptoms_folded(found)
    findings = with_races_marked(folded, host)
    findings.sort(key=lambda f: (f.severity.rank, f.check, [(s.kind, s.name) for s in f.subjects], f.message))
    outcomes = (
        answer if isinstance(answer, Outcome) else _outcome(each, answer, causes.get(each.name, ()))
        for each, answer in said
    )
    return tuple(findings), tuple(outcomes)


def _finding(each: Check, fault: Fault) -> Finding:
    return Finding(
        check=each.name,
        severity=fault.severity or each.severity,
        confidence=fault.confidence,
        title=each.title,
        message=fault.message,
        subjects=fault.subjects,
        evidence=fault.evidence,
        why=each.why,
        remedy=fault.remedy,
        verify=fault.verify,
    )


def _outcome(each: Check, verdicts: list[Fault | Unjudged | NotApplicable], causes: Collection[str] = ()) -> Outcome:
    """`causes` are the checks that findings of this one were folded into."""
    open_questions = [verdict for verdict in verdicts if isinstance(verdict, Unjudged)]
    reason = joined_reasons((question.reason, question.because) for question in open_questions)
    missing = tuple(dict.fromkeys(name for question in open_questions for name in question.missing))
    ask = tuple(dict.fromkeys(command for question in open_questions for command in question.ask))
    if any(isinstance(verdict, Fault) for verdict in verdicts):
        folded = f"counted with {', '.join(causes)}" if causes else ""
        return Outcome(each.name, Verdict.FINDING, "; ".join(filter(None, (folded, reason))), missing, ask)
    if open_questions:
        return Outcome(each.name, Verdict.UNKNOWN, reason, missing, ask)
    absent = [verdict.reason for verdict in verdicts if isinstance(verdict, NotApplicable)]
    if absent:
        return Outcome(each.name, Verdict.NOT_APPLICABLE, "; ".join(dict.fromkeys(absent)))
    return Outcome(each.name, Verdict.CLEAN)
