"""The comparison of two analyses."""

from dataclasses import dataclass

from netdiag.comparison.counters import Growth, growths, seconds_between
from netdiag.comparison.facts import Change, NotCompared, changes, two
from netdiag.comparison.findings import Fate, FindingChange, finding_changes
from netdiag.comparison.remarks import Remark, remarks
from netdiag.comparison.rules import chains, rule_changes
from netdiag.finding import Severity
from netdiag.results import Analysis


@dataclass(frozen=True)
class Comparison:
    """Two analyses held against each other.

    `doubts` are what speaks against comparing them at all; `seconds` is the time between them, None where it is not
    told.
    """

    before: Analysis
    after: Analysis
    remarks: tuple[Remark, ...]
    findings: tuple[FindingChange, ...]
    changes: tuple[Change, ...]
    growths: tuple[Growth, ...]
    not_compared: tuple[NotCompared, ...]
    doubts: tuple[str, ...]
    seconds: float | None = None

    def of_fate(self, fate: Fate) -> tuple[FindingChange, ...]:
        return tuple(each for each in self.findings if each.fate is fate)

    def is_worse(self, severity: Severity) -> bool:
        """Whether there is a new finding, or a remark, of this severity or a graver one."""
        new = [each.finding.severity for each in self.of_fate(Fate.NEW)]
        return any(each.rank <= severity.rank for each in [*new, *(remark.severity for remark in self.remarks)])


def compare(before: Analysis, after: Analysis) -> Comparison:
    """Hold the second bundle against the first."""
    both = two(before.host, after.host)
    pairs = tuple(chains(both))
    found = [*changes(both), *rule_changes(both, pairs)]
    changed = tuple(each for each in found if isinstance(each, Change))
    seconds = seconds_between(before.bundle.collected_at, after.bundle.collected_at)
    grown = growths(before, after, both, seconds)
    return Comparison(
        before=before,
        after=after,
        remarks=remarks(both, changed, pairs, grown),
        findings=finding_changes(before, after),
        changes=changed,
        growths=tuple(each for each in grown if each.is_loss),
        not_compared=tuple(dict.fromkeys(each for each in found if isinstance(each, NotCompared))),
        doubts=tuple(_doubts(before, after)),
        seconds=seconds,
    )


def _doubts(before: Analysis, after: Analysis) -> list[str]:
    doubts = []
    hosts = before.bundle.host, after.bundle.host
    if all(hosts) and hosts[0] != hosts[1]:
        doubts.append(f"the bundles are of two hosts, {hosts[0]} and {hosts[1]}")
    times = before.bundle.collected_at, after.bundle.collected_at
    if all(times) and times[0] > times[1]:
        doubts.append("the first bundle is the later one")
    return doubts
