"""Packets dropped by netfilter (who and where).

## What it finds
Packets of containers that a firewall rule of this host dropped while the trace ran, the device that they had come to,
and the rules whose counters grew meanwhile.

## Why it matters
This is not what a rule might do but what it did: these packets are lost.

## How it is decided
`skb:kfree_skb` with the reason NETFILTER_DROP, or, from kernels that give no reason, freed in `nft_do_chain` or
`nf_hook_slow`. The way of the packet before tells where it was: at a bridge, a veth, or inside a container. Rules
that drop or reject are named when the bundle has their counters from before and after the trace and they grew. The
place in the kernel does not tell whether iptables or nftables owns the rule, so that is not concluded from it.
Packets that only the engine's own rules took (the isolation of its networks) are a note. So are those that came in by
another device and may have been meant for the host, and only when a rule's counter grew, or counters were not read.

## Not a problem when
The rule is meant to drop them: a container that must not reach the outside, a network that is internal, invalid
packets of connections that had ended.

## Repair
Delete the rule, when just one rule dropped packets meanwhile and it is not the engine's; else look at those that did.

## Verify
A new trace of the same traffic has no such drop.

## References
Kernel include/net/dropreason-core.h; iptables(8); nft(8).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import deletion, related, sh, tool_of
from netdiag.checks._drops import grown_rules, is_of_engine
from netdiag.checks._traces import Place, evidence_at, packets, places, traces_with
from netdiag.finding import Confidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.journeys.observed.facts import Drop, DropClass, Observation
from netdiag.model import Host
from netdiag.model.movement import Grown, owner_of

_MOST_RULES = 3
_SYMPTOM_OF = (
    "filter-docker-user-drop",
    "filter-user-drop-before-docker",
    "filter-foreign-nft-drop",
    "filter-forward-policy-drop-unserved",
    "filter-docker-chains-missing",
    "filter-docker-jump-missing",
    "filter-port-accept-missing",
    "filter-isolation-cross-network",
    "filter-icc-disabled",
    "filter-internal-network-egress",
    "filter-raw-direct-access-drop",
    "filter-input-blocks-container-to-host",
    "filter-output-blocks-host-to-container",
    "filter-ufw-forward-policy-drop",
    "filter-firewalld-zone-missing",
    "bridge-ebtables-drop",
)


@dataclass(frozen=True)
class _Moved:
    """A rule that dropped packets while the trace ran."""

    rule: Rule
    grown: Grown

    @property
    def count(self) -> int:
        return self.grown.after - self.grown.before

    @property
    def text(self) -> str:
        """The rule as it was printed, or its chain where it was not printed by `iptables-save`."""
        return self.grown.owner.split(" ", 2)[2]


@check(Severity.ERROR, layer="trace", symptom_of=_SYMPTOM_OF)
def trace_drop_netfilter(host: Host) -> Verdicts:
    found, others = traces_with(host, "kfree_skb")
    yield from others
    moved = _moved(host)
    for seen in found:
        for place, drops in _by_place(host, seen):
            rules = moved if place.namespace == host.root.id else []
            if place.of_containers or rules or host.movement is None:
                yield _fault(host, seen, place, drops, rules)


def _by_place(host: Host, seen: Observation) -> Iterator[tuple[Place, Sequence[Drop]]]:
    """The drops at each device that the bundle knows."""
    where: dict[str, Place] = {}
    drops: dict[str, list[Drop]] = defaultdict(list)
    for drop in seen.drops:
        place = places(host).of(drop.where)
        if drop.reason.kind is DropClass.FILTER and not drop.reason.benign and place:
            where[place.words] = place
            drops[place.words].append(drop)
    for words, place in where.items():
        yield place, drops[words]


def _moved(host: Host) -> list[_Moved]:
    """The rules of the host that dropped packets between the two looks at the counters, the most first."""
    grown = grown_rules(host)
    rules = [rule for table in host.root.firewall for rule in table.rules()]
    found = [_Moved(rule, grown[owner]) for rule in rules if (owner := owner_of(rule)) in grown]
    return sorted(found, key=lambda each: -each.count)


def _fault(host: Host, seen: Observation, place: Place, drops: Sequence[Drop], rules: Sequence[_Moved]) -> Fault:
    count = sum(drop.count for drop in drops)
    by_engine = bool(rules) and all(is_of_engine(each.rule) for each in rules)
    by_rule = f"; meanwhile `{rules[0].text}` dropped {rules[0].count}" if rules else ""
    subjects = (*place.subjects, *(_subject(each.rule) for each in rules[:_MOST_RULES]))
    lines = (line for drop in drops for line in drop.lines)
    design = ", as the engine's own rules mean it" if by_engine else ""
    return Fault(
        message=f"a rule of the firewall dropped {packets(count)} that had come to {place.words}{by_rule}{design}",
        subjects=subjects,
        evidence=(
            *evidence_at(seen, lines, "dropped"),
            *(related(each.rule.span, f"dropped {each.count} meanwhile") for each in rules[:_MOST_RULES]),
            *place.shown,
        ),
        remedy=tuple(_remedy(rules)) if place.of_containers else tuple(_look(rules)),
        verify=("perf record -a -e skb:kfree_skb -- sleep 10 && perf script | grep NETFILTER_DROP",),
        severity=None if place.of_containers and not by_engine else Severity.NOTE,
        confidence=Confidence.HIGH,
        follows=(*subjects, Subject("host", host.name)),
    )


def _subject(rule: Rule) -> Subject:
    return Subject("rule", f"{rule.table} {rule.chain} {rule.position}")


def _remedy(rules: Sequence[_Moved]) -> Iterator[str]:
    """Delete the only rule that can have dropped the packets, unless it is the engine's; else look."""
    if len(rules) == 1 and not is_of_engine(rules[0].rule):
        yield deletion(rules[0].rule)
    else:
        yield from _look(rules)


def _look(rules: Sequence[_Moved]) -> Iterator[str]:
    if not rules:
        yield "iptables-save -c | grep -E -- '-j (DROP|REJECT)'; nft list ruleset | grep -E 'drop|reject'"
    for each in rules[:_MOST_RULES]:
        rule = each.rule
        yield sh("{} -t {} -L {} -v -n -x --line-numbers", tool_of(rule), rule.table, rule.chain)
