"""The checks: each looks at the host model for one bad thing. None knows another; this page finds them and runs them.

A check is found because its file is here: `netdiag/checks/<name>.py` holds a check of the same name (underscores for
dashes). Modules whose name begins with an underscore are shared by them. Other packages bring checks of their own by
entry points of the group `netdiag.checks`.
"""

import traceback
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdiag.checks._base import HEADINGS, LAYERS, Check, Fault, NotApplicable, NotLoaded, Unjudged, Verdicts, check
from netdiag.checks._causes import Found, with_symptoms_folded
from netdiag.checks._plugins import plugged_in
from netdiag.checks._races import with_races_marked
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Severity, Subject, Verdict
from netdiag.model import Host
from netdiag.model.knowledge import joined_reasons

__all__ = [
    "HEADINGS",
    "LAYERS",
    "Check",
    "Fault",
    "NotApplicable",
    "Unjudged",
    "Verdicts",
    "all_checks",
    "by_layer",
    "check",
    "own_checks",
    "run",
]


@cache
def own_checks() -> tuple[Check, ...]:
    """The checks of this package, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(getattr(import_module(f"{__name__}.{name}"), name) for name in names)


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, plug-ins too, in alphabetical order."""
    own = own_checks()
    found = (*own, *plugged_in({check.name for check in own}))
    return tuple(sorted(found, key=lambda check: check.name))


def by_layer(checks: Iterable[Check]) -> Mapping[str, tuple[Check, ...]]:
    """Checks by their layer, in the order of `LAYERS`; the layers that only plug-ins have come last."""
    found: dict[str, list[Check]] = {layer: [] for layer in LAYERS}
    for each in checks:
        found.setdefault(each.layer, []).append(each)
    return {layer: tuple(members) for layer, members in found.items() if members}


def run(checks: Iterable[Check], host: Host) -> tuple[tuple[Finding, ...], tuple[Outcome, ...]]:
    """Run the checks. One that raises gets the outcome `crashed` with its reason; the others run all the same.

    What is a symptom of another finding is evidence of that one, and no finding of its own.
    """
    found: list[Found] = []
    said: list[tuple[Check, list[Fault | Unjudged | NotApplicable] | Outcome]] = []
    for each in checks:
        try:
            verdicts = [_sound(verdict) for verdict in each.run(host)]
            found += [Found(each, fault, _finding(each, fault)) for fault in verdicts if isinstance(fault, Fault)]
            said.append((each, verdicts))
        except NotLoaded as error:
            said.append((each, Outcome(each.name, Verdict.CRASHED, str(error))))
        except (Exception, SystemExit) as error:  # whatever a check does wrong must not cost the other checks
            where = traceback.extract_tb(error.__traceback__)[-1]
            whose = f" of {each.origin}" if each.origin else ""
            reason = f"the check{whose} failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
            said.append((each, Outcome(each.name, Verdict.CRASHED, reason)))
    folded, causes = with_symptoms_folded(found)
    findings = with_races_marked(folded, host)
    findings.sort(key=lambda f: (f.severity.rank, f.check, [(s.kind, s.name) for s in f.subjects], f.message))
    outcomes = (
        answer if isinstance(answer, Outcome) else _outcome(each, answer, causes.get(each.name, ()))
        for each, answer in said
    )
    return tuple(findings), tuple(outcomes)


def _sound(verdict: Fault | Unjudged | NotApplicable) -> Fault | Unjudged | NotApplicable:
    """The verdict, if it is made of what it should be made of; else TypeError. Plug-ins may not know mypy."""
    match verdict:
        case NotApplicable(reason=str()):
            return verdict
        case Unjudged(reason=str(), because=str()) if _all(str, verdict.missing, verdict.ask):
            return verdict
        case Fault(message=str(), severity=Severity() | None, confidence=Confidence()) if (
            _all(Subject, verdict.subjects, verdict.affects, verdict.follows or ())
            and _all(Evidence, verdict.evidence)
            and _all(str, verdict.remedy, verdict.verify)
        ):
            return verdict
    raise TypeError(f"not a verdict: {verdict!r:.200}")


def _all(kind: type, *groups: object) -> bool:
    return all(isinstance(group, tuple) and all(isinstance(item, kind) for item in group) for group in groups)


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
