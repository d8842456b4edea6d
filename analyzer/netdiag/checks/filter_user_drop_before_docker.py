"""DROP/REJECT before Docker's rules.

## What it finds
A rule of iptables that is neither the engine's nor in DOCKER-USER, and that drops connections to published ports,
connections of containers to the outside, the answers to those, or connections between containers of a network.

## Why it matters
What a rule drops before the engine's rules come, they cannot let through. The usual case is the rule with which the
firewall of Red Hat systems ends, `-A FORWARD -j REJECT --reject-with icmp-host-prohibited`, when the engine's rules
were written behind it: nothing is forwarded at all.

## How it is decided
Gates: an engine programs the firewall of this namespace for its bridge networks; the filter table was collected. The
flows that should pass are sent through every chain on their way (PREROUTING before and after the translation of
destinations, FORWARD, POSTROUTING), of the tables raw, mangle, filter and security, in every backend; the first match
decides. A rule that drops only some addresses is a policy, and a note. Where iptables-nft shows a rule without a
condition that nft shows, the rule is not judged.

## Not a problem when
The administrator means it: the rule closes a port that is published for somebody else. Rules in DOCKER-USER are for
filter-docker-user-drop.

## Repair
Move a general rule behind those of the engine, or into DOCKER-USER with conditions that spare what is wanted; delete
one that is not needed.

## Verify
The rule's counter stops growing and the port answers.

## References
moby/moby#13381; moby/moby#16137; docs.docker.com/engine/network/firewall-iptables.
"""

from dataclasses import replace

from netdiag.checks._base import Verdicts, check
from netdiag.checks._docker import deletion, firewalled_networks
from netdiag.checks._drops import Drop, Owner, blocked_on, drops, fault_of, owner_of
from netdiag.finding import Severity
from netdiag.formats.records import Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.flow import Fate, decide
from netdiag.model.gates import table_known


@check(Severity.ERROR, layer="filter", symptom_of=("nat-legacy-nft-split",))
def filter_user_drop_before_docker(host: Host) -> Verdicts:
    bridges, others = firewalled_networks(host, table_known(host, "filter"))
    yield from others
    if not bridges:
        return
    mine = (each for each in blocked_on(host, bridges) if owner_of(each) is Owner.OTHER_RULE)
    found, doubts = drops(mine)
    for drop in found:
        yield fault_of(drop, _remedy(host, drop), _verify(drop))
    yield from doubts


def _verify(drop: Drop) -> tuple[str, ...]:
    rule = drop.rule
    tool = "ip6tables" if isinstance(rule, Rule) and rule.family == "ipv6" else "iptables"
    return (f"{tool} -t {drop.obstacle.chain.table.name} -L {drop.obstacle.chain.name} -v -n -x --line-numbers",)


def _remedy(host: Host, drop: Drop) -> tuple[str, ...]:
    """Move the rule to the end of FORWARD when all that should pass does so then, else delete it."""
    rule, table = drop.rule, drop.obstacle.chain.table
    if not isinstance(rule, Rule) or not isinstance(table, FirewallTable):
        return ()
    delete = deletion(rule)
    moved = delete.replace(" -D FORWARD ", " -A FORWARD ", 1)
    if rule.chain == "FORWARD" and table.name == "filter" and moved != delete and _passes_when_last(host, drop, table):
        return delete, moved
    return (delete,)


def _passes_when_last(host: Host, drop: Drop, table: FirewallTable) -> bool:
    forward = table.chains["FORWARD"]
    rules = (*(rule for rule in forward.rules if rule is not drop.rule), *(r for r in forward.rules if r is drop.rule))
    changed = replace(table, chains={**table.chains, "FORWARD": replace(forward, rules=rules)})
    flows = {case.forwarded for case in drop.cases}
    ways = (way for flow in flows for way in decide(changed, "FORWARD", flow, host.root.ground))
    return all(way.fate is not Fate.DROPPED for way in ways)
