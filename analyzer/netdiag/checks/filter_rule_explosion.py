"""The same rule stands in a chain many times.

## What it finds
A chain of iptables that has one rule three times or more.

## Why it matters
A script appends its rules again whenever it runs. Each copy costs every packet time, and each start of a container too,
as the tables grow; a deletion removes one copy only, so that the rule seems to stay.

## How it is decided
Two rules are the same when table, chain, conditions and target are equal; counters and comments do not matter. Three
copies are a note, ten are a warning. Rules with conditions that netdiag does not understand count when their text is
the same. All such chains are one finding.

## Not a problem when
Published ports make many rules, but no two that are equal.

## Repair
Delete the copies, and make the script ask first (`iptables -C ... || iptables -A ...`).

## Verify
Each rule is listed once.

## References
iptables(8), `--check`.
"""

from collections import defaultdict
from collections.abc import Sequence

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh, tool_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.expected import rules_by_meaning
from netdiag.model.gates import whole

_SOME, _MANY = 3, 10
_MOST_SHOWN = 5


@check(Severity.WARNING, layer="filter")
def filter_rule_explosion(host: Host) -> Verdicts:
    repeated = []
    for alike in rules_by_meaning(host).values():
        by_tool: dict[str, list[Rule]] = defaultdict(list)
        for rule in alike if len(alike) >= _SOME else ():
            by_tool[tool_of(rule)].append(rule)
        repeated += [rules for rules in by_tool.values() if len(rules) >= _SOME]
    if repeated:
        yield _fault(sorted(repeated, key=len, reverse=True))
    all_known = whole(host.root.firewall, "whether there are more rules")
    if not all_known.yes:
        yield unjudged(all_known)


def _fault(repeated: Sequence[Sequence[Rule]]) -> Fault:
    most, shown = repeated[0], repeated[:_MOST_SHOWN]
    rule = most[0]
    more = f", and {len(repeated) - 1} more rules stand there three times or more" if len(repeated) > 1 else ""
    where = rule.chain if rule.table == "filter" else f"{rule.chain} of table {rule.table}"
    chains = dict.fromkeys(f"{each[0].table} {each[0].chain}" for each in shown)
    return Fault(
        message=f"chain {where} has the same rule {len(most)} times{more}",
        subjects=tuple(Subject("chain", name) for name in chains),
        evidence=(
            *(Evidence(each[0].span, f"the first of {len(each)}") for each in shown),
            *(related(each[-1].span, "the last of them") for each in shown),
        ),
        remedy=tuple(_deleted(each) for each in shown),
        verify=(f"iptables -t {rule.table} -S {rule.chain} | sort | uniq -d",),
        severity=Severity.WARNING if len(most) >= _MANY else Severity.NOTE,
    )


def _deleted(rules: Sequence[Rule]) -> str:
    """All copies but the first deleted, from the last one on, so that no number changes before its turn."""
    numbers = " ".join(str(rule.position) for rule in reversed(rules[1:]))
    delete = sh("{} -t {} -D {} ", tool_of(rules[0]), rules[0].table, rules[0].chain)
    return f'for number in {numbers}; do {delete}"$number"; done'
