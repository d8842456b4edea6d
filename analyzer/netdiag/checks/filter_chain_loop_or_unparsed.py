"""Rules made by nft stand in the tables of iptables, which shows them wrongly or no table at all.

## What it finds
Rules in the tables that iptables-nft keeps (`ip filter`, `ip nat`, ...) which `nft` made, and which iptables cannot
express: it prints them without their conditions, or leaves the whole table out.

## Why it matters
Traffic is not affected, yet: the kernel has the rules as they were made. But whoever saves the rules with iptables-save
and loads them again, as netfilter-persistent does at every start, loads what was printed: a rule for two addresses
comes back as a rule that drops everything (seen with iptables 1.8.9), and a table that was left out comes back empty.
Whoever reads `iptables -S` is misled, and so is every tool that does; checks that depend on such a table are open
questions.

## How it is decided
The bundle has the output of iptables-save of the nft backend and of `nft list ruleset`. A rule that both show, chains
of the same length compared rule by rule, is found when nft prints a condition that iptables does not. A table of
iptables that only nft shows is found when iptables says that it is incompatible; the rules told are those that do not
count packets, which those of iptables always do.

## Not a problem when
The tables belong to nft alone: a host without iptables-nft may call its table `ip filter`.

## Repair
Keep rules that nft makes in a table of their own. The commands below delete them and, where they stand in a chain that
packets come to first, make them again in the table `inet site`.

## Verify
`iptables-save` shows the table, and no rule without its conditions.

## References
wiki.nftables.org (Legacy xtables tools); iptables-nft(8); moby/moby#48411.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh, tool_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import NftRule, NftStatement, Rule
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.knowledge import all_of
from netdiag.model.nftables import NativeTable
from netdiag.spans import Span

#: How compatibility is told in what is not understood of a rule: see `netdiag.model.compat`.
_UNTOLD = "nft: "
_FAMILIES = {"ip": "ipv4", "ip6": "ipv6"}
_HOOKS = {"INPUT": "input", "FORWARD": "forward", "OUTPUT": "output"}
_HANDLE = re.compile(r"\s*# handle \d+\s*$")
_MOST_SHOWN = 6


@dataclass(frozen=True)
class _Foreign:
    """A rule of nft in a table of iptables. `text` is what makes it again elsewhere, empty when that is not known."""

    table: str
    chain: str
    span: Span
    label: str
    delete: str
    text: str


@check(Severity.WARNING, layer="bundle", symptom_of=("nat-table-unavailable",))
def filter_chain_loop_or_unparsed(host: Host) -> Verdicts:
    gate = all_of(
        collected(host.root.firewall, "the rules of iptables"), collected(host.root.nftables, "the rules of nftables")
    )
    if not gate.yes:
        yield unjudged(gate)
        return
    if not any(table.backend == "nft" for table in host.root.firewall) and not _left_out(host):
        yield NotApplicable("iptables has no rules in nftables")
        return
    found = list(_shown_wrongly(host))
    for table in _left_out(host):
        found += _not_of_iptables(table)
    if found:
        yield _fault(host, found)


def _shown_wrongly(host: Host) -> Iterator[_Foreign]:
    for table in host.root.firewall:
        for rule in table.rules():
            untold = [text.removeprefix(_UNTOLD) for text in rule.not_understood if text.startswith(_UNTOLD)]
            if untold:
                delete = sh("{} -t {} -D {} {}", tool_of(rule), rule.table, rule.chain, rule.position)
                label = f"iptables leaves out: {'; '.join(untold)}"
                yield _Foreign(rule.table, rule.chain, rule.span, label, delete, _rewritten(rule, untold))


def _rewritten(rule: Rule, untold: Sequence[str]) -> str:
    """The rule in the words of nft, when it has no condition but those that iptables left out."""
    asked = (rule.protocol, rule.source, rule.destination, rule.in_interface, rule.out_interface)
    verdict = (rule.target or "").lower()
    if any(each is not None for each in asked) or rule.matches or verdict not in ("drop", "accept", "reject"):
        return ""
    words = []
    for text in untold:
        left, operator, values = _parts(text)
        if not values:
            return ""
        words.append(" ".join(filter(None, (left, operator if operator != "==" else "", f"{{ {values} }}"))))
    return " ".join([*words, verdict])


def _parts(text: str) -> tuple[str, str, str]:
    for operator in ("==", "!="):
        left, found, values = text.partition(f" {operator} ")
        if found:
            return left, operator, values
    return text, "", ""


def _left_out(host: Host) -> list[NativeTable]:
    """The tables of iptables that iptables itself calls incompatible, as nft shows them."""
    doubts = [host.root.firewall.why, *(table.doubt for table in host.root.firewall)]
    names = {name for doubt in doubts for name in re.findall(r"able [`'](\w+)' is incompatible", doubt)}
    return [table for table in host.root.nftables if table.family in _FAMILIES and table.name in names]


def _not_of_iptables(table: NativeTable) -> Iterator[_Foreign]:
    for chain in table.chains.values():
        for rule in chain.rules:
            if not _counts(rule):
                delete = sh("nft delete rule {} {} {} handle {}", table.family, table.name, chain.name, rule.handle)
                text = _HANDLE.sub("", rule.span.text.strip())
                yield _Foreign(
                    table.name, chain.name, rule.span, "made by nft: it does not count packets", delete, text
                )


def _counts(rule: NftRule) -> bool:
    return any(isinstance(each, NftStatement) and each.name == "counter" for each in rule.statements)


def _fault(host: Host, found: Sequence[_Foreign]) -> Fault:
    left_out = _left_out(host)
    shown = found[:_MOST_SHOWN]
    places = dict.fromkeys(f"{each.table} {each.chain}" for each in shown)
    many = f"{len(found)} rules that nft made stand" if len(found) > 1 else "a rule that nft made stands"
    effect = (
        "iptables shows them without their conditions" if len(found) > 1 else "iptables shows it without conditions"
    )
    if left_out:
        effect = f"iptables leaves out table {' and '.join(table.name for table in left_out)}"
    return Fault(
        message=f"{many} in a table of iptables: {effect}",
        subjects=tuple(Subject("chain", place) for place in places),
        evidence=(
            *(Evidence(each.span, each.label) for each in shown),
            *(related(table.head.span, "only nft shows this table") for table in left_out),
        ),
        remedy=tuple(_remedy(shown)),
        verify=("iptables-save", "nft -a list ruleset"),
    )


def _remedy(found: Sequence[_Foreign]) -> Iterator[str]:
    """First the rules in a table of their own, then without them where they were: the last one first, as numbers
    change behind it.
    """
    again = [(e, _HOOKS[e.chain]) for e in found if e.text and e.table == "filter" and e.chain in _HOOKS]
    if again:
        yield "nft add table inet site"
    for hook in dict.fromkeys(hook for _, hook in again):
        yield sh("nft {}", f"add chain inet site {hook} {{ type filter hook {hook} priority -1; }}")
    for each, hook in again:
        yield sh("nft {}", f"add rule inet site {hook} {each.text}")
    for each in reversed(found):
        yield each.delete
