"""What became of the findings between two bundles. That nothing is found counts for fixed only where it was judged."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum

from netdiag.finding import Finding, Outcome, Verdict
from netdiag.results import Analysis

#: Subjects whose names a user gave; Docker names the others anew whenever it makes them.
_LASTING = frozenset({"container", "network", "host", "port", "sysctl", "bundle", "chain"})


class Fate(Enum):
    """What became of a finding."""

    NEW = "new"
    FIXED = "fixed"
    STILL = "still there"
    NOT_JUDGED = "not judged any more"  #: the check could not tell in the second bundle
    NOT_APPLICABLE = "does not apply any more"  #: what the check is about is gone, as the outcome says


@dataclass(frozen=True)
class FindingChange:
    """A finding, of two that are the same the later one, with what became of it. `why` is the reason of the second
    outcome, of a new one where nothing was judged before that of the first.
    """

    fate: Fate
    finding: Finding
    why: str = ""


def finding_changes(before: Analysis, after: Analysis) -> tuple[FindingChange, ...]:
    """New ones first, then those of which nothing is known any more, those that stayed, those that are fixed."""
    pairs, gone, unmatched = _matched(before.shown(), after.findings)
    new = [each for each in unmatched if each in after.shown()]
    first = {outcome.check: outcome for outcome in before.outcomes}
    second = {outcome.check: outcome for outcome in after.outcomes}
    aside = {each.finding.fingerprint: each.reason for each in after.suppressed}
    found = [FindingChange(Fate.NEW, each, _unjudged_before(first.get(each.check))) for each in new]
    found += [FindingChange(Fate.STILL, each) for _, each in pairs]
    for each in gone:
        if each.fingerprint in aside:
            found.append(FindingChange(Fate.STILL, each, f"suppressed: {aside[each.fingerprint]}"))
        else:
            found.append(_gone(each, second.get(each.check)))
    order = [Fate.NEW, Fate.NOT_JUDGED, Fate.STILL, Fate.NOT_APPLICABLE, Fate.FIXED]
    return tuple(sorted(found, key=lambda each: (order.index(each.fate), each.finding.severity.rank)))


def _matched(
    before: Sequence[Finding], after: Sequence[Finding]
) -> tuple[list[tuple[Finding, Finding]], list[Finding], list[Finding]]:
    """The same findings: those with the same subjects, else those about the same lasting names."""
    pairs, olds, news = _pairs(before, after, exact=True)
    more, olds, news = _pairs(olds, news, exact=False)
    return [*pairs, *more], olds, news


def _pairs(
    before: Sequence[Finding], after: Sequence[Finding], *, exact: bool
) -> tuple[list[tuple[Finding, Finding]], list[Finding], list[Finding]]:
    waiting: dict[Hashable, list[Finding]] = defaultdict(list)
    for each in reversed(before):
        waiting[_key(each, exact=exact)].append(each)
    pairs, news = [], []
    for each in after:
        key = _key(each, exact=exact)
        if key is not None and waiting[key]:
            pairs.append((waiting[key].pop(), each))
        else:
            news.append(each)
    taken = {id(old) for old, _ in pairs}
    return pairs, [each for each in before if id(each) not in taken], news


def _key(finding: Finding, *, exact: bool) -> Hashable:
    """What a finding is known by, None when nothing about it lasts."""
    if exact:
        return finding.fingerprint
    lasting = tuple((subject.kind, subject.name) for subject in finding.subjects if subject.kind in _LASTING)
    return (finding.check, lasting) if lasting else None


def _gone(finding: Finding, outcome: Outcome | None) -> FindingChange:
    """What became of a finding that the second bundle does not have."""
    if outcome is None:
        return FindingChange(Fate.NOT_JUDGED, finding, "the check is not among those of the second result")
    if outcome.verdict is Verdict.CLEAN or (outcome.verdict is Verdict.FINDING and not outcome.reason):
        return FindingChange(Fate.FIXED, finding)
    if outcome.verdict is Verdict.NOT_APPLICABLE:
        return FindingChange(Fate.NOT_APPLICABLE, finding, outcome.reason)
    return FindingChange(Fate.NOT_JUDGED, finding, outcome.reason)


def _unjudged_before(outcome: Outcome | None) -> str:
    """Why the finding may be older than the first bundle."""
    if outcome is None:
        return "the check is not among those of the first result"
    if outcome.verdict in (Verdict.UNKNOWN, Verdict.CRASHED) or (outcome.verdict is Verdict.FINDING and outcome.reason):
        return f"the first bundle did not tell: {outcome.reason}"
    return ""
