"""Findings about what moved while the bundle was being collected: their evidence may be from two different times."""

from collections.abc import Iterable
from dataclasses import replace

from netdiag.finding import Confidence, Finding
from netdiag.model import Host

#: Kinds of subjects that a change of the rules touches.
_OF_RULES = frozenset({"chain", "rule", "port"})


def with_races_marked(findings: Iterable[Finding], host: Host) -> list[Finding]:
    """The findings; one whose subject came, went or changed during the collection says so, and is less sure. A finding
    about the bundle itself stays as it is.
    """
    moved = host.movement.objects if host.movement else ()
    words = {(each.kind, each.name): each.words for each in moved}
    rules = next((each for each in moved if each.kind == "rule"), None)
    marked = []
    for finding in findings:
        notes = [
            f"{subject.kind} {subject.name} {words[subject.kind, subject.name]}"
            for subject in finding.subjects
            if (subject.kind, subject.name) in words
        ]
        if rules and any(subject.kind in _OF_RULES for subject in finding.subjects):
            notes.append(f"rules of {rules.name} were changed")
        of_bundle = any(subject.kind == "bundle" for subject in finding.subjects)
        marked.append(_marked(finding, notes) if notes and not of_bundle else finding)
    return marked


def _marked(finding: Finding, notes: list[str]) -> Finding:
    sure = finding.confidence is Confidence.HIGH
    return replace(
        finding,
        message=f"{finding.message} ({', '.join(notes)} while the bundle was being collected: possibly a race)",
        confidence=Confidence.MEDIUM if sure else finding.confidence,
    )
