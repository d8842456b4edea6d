"""One fault, one finding: what follows from a fault is evidence of the finding that names the cause."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netdiag.checks._base import Check, Fault
from netdiag.finding import Confidence, Evidence, Finding, Role, Subject

#: Symptoms shown with a cause; a bridge that is gone may have a thousand.
_MOST_SHOWN = 10


@dataclass(frozen=True)
class Found:
    """What a check said, and the finding that it is made to."""

    check: Check
    fault: Fault
    finding: Finding


def with_symptoms_folded(found: Sequence[Found]) -> tuple[list[Finding], Mapping[str, Sequence[str]]]:
    """The findings without those that are symptoms of others, and for each check the checks that its findings were
    folded into.

    A symptom of a symptom is folded into the first cause, which is then as grave as the gravest of them. Findings that
    name each other as their cause stay apart, and nothing is folded into a finding that is hidden for its low
    confidence.
    """
    causes = _Causes(found)
    symptoms: dict[int, list[Found]] = defaultdict(list)
    folded_into: dict[str, dict[str, None]] = defaultdict(dict)
    for number, each in enumerate(found):
        root = causes.root_of(number)
        if root != number:
            symptoms[root].append(each)
            folded_into[each.check.name][found[root].check.name] = None
    kept = [_with(each.finding, symptoms[number]) for number, each in enumerate(found) if causes.is_root(number)]
    return kept, {name: tuple(into) for name, into in folded_into.items()}


def _with(finding: Finding, symptoms: Sequence[Found]) -> Finding:
    severity = min((finding.severity, *(each.finding.severity for each in symptoms)), key=lambda s: s.rank)
    return replace(finding, severity=severity, evidence=(*finding.evidence, *_evidence(symptoms)))


class _Causes:
    """Which finding each finding follows from."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._found = found
        self._about: dict[tuple[str, Subject], int] = {}
        self._everywhere: dict[str, int] = {}
        for number, each in reversed(list(enumerate(found))):
            if each.finding.confidence is Confidence.LOW:
                continue
            for subject in (*each.fault.subjects, *each.fault.affects):
                self._about[each.check.name, subject] = number
                if subject in each.fault.affects and subject.kind == "host":
                    self._everywhere[each.check.name] = number

    def is_root(self, number: int) -> bool:
        return self.root_of(number) == number

    def root_of(self, number: int) -> int:
        """The finding that has no cause among the others; the finding itself when its causes go round in a circle."""
        seen, current = {number}, number
        while (cause := next(self._causes_of(current), None)) is not None:
            if cause in seen:
                return number
            seen.add(cause)
            current = cause
        return current

    def _causes_of(self, number: int) -> Iterator[int]:
        each = self._found[number]
        follows = each.fault.subjects if each.fault.follows is None else each.fault.follows
        for name in each.check.symptom_of:
            if name in self._everywhere:
                yield self._everywhere[name]
            for subject in follows:
                if (name, subject) in self._about:
                    yield self._about[name, subject]


def _evidence(symptoms: Sequence[Found]) -> Iterator[Evidence]:
    for each in symptoms[:_MOST_SHOWN]:
        first = next(item for item in each.finding.evidence if item.role is Role.PRIMARY)
        yield Evidence(first.span, f"follows: {each.finding.message}", Role.RELATED)
