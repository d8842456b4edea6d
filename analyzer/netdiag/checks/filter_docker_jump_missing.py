"""FORWARD no longer leads to Docker's rules.

## What it finds
Rules of the engine that are gone from the chain FORWARD itself, while the chains of the engine are there: the jumps to
them and, up to 28.0.0, the rules of each bridge.

## Why it matters
What the engine lets through meets the policy of FORWARD instead. With policy DROP nothing is forwarded any more; with
policy ACCEPT all goes on, but networks are no longer kept apart and from 28 on unpublished ports are open to whoever
routes to them.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; its rule dialect is known;
all rules of the filter table were collected. Expected are, with DOCKER-USER left to filter-docker-user-jump-missing:
the jumps to DOCKER-ISOLATION (up to 17.12) or DOCKER-ISOLATION-STAGE-1 and four rules of each bridge (18 to 27); the
jumps with the set docker-ext-bridges (28.0.0); the jump to DOCKER-FORWARD (28.0.1 on). A rule counts as there when any
backend has it. It is an error when a flow that should pass (to a published port, from a network to the outside, the
answer, or between two containers of a network) is dropped by a policy or by a rule of the engine, else a warning.

## Not a problem when
The daemon runs with `iptables: false`, with its nftables backend, or rootless. An internal network has fewer rules.
Where a network's bridge is gone as well, that its rules are gone is part of link-bridge-missing.

## Repair
Put the rules back where they were; a restart of the engine does the same, and without live-restore stops the
containers. Find out what removed them: `iptables -F FORWARD`, `iptables-restore` of a saved rule set, a firewall
reload.

## Verify
FORWARD begins with the jumps, and the flows pass.

## References
moby integration/network/bridge/iptablesdoc; moby/moby#49518.
"""

from collections import defaultdict
from collections.abc import Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, docker_networks, is_without_bridge, related
from netdiag.checks._drops import hit_by_default, named
from netdiag.checks._rules import evidence_of, gone, gone_from_forward, remedy_of, subject_of_chain, subjects_of
from netdiag.finding import Severity
from netdiag.model import Host
from netdiag.model.expected import Expected, Purpose
from netdiag.model.gates import dialect_known, manages_iptables, table_known


@check(
    Severity.ERROR,
    layer="filter",
    symptom_of=("filter-docker-chains-missing", "link-bridge-missing", "bundle-two-daemons"),
)
def filter_docker_jump_missing(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host), dialect_known(host))
    yield from others
    if not bridges:
        return
    without_bridge = {each.network.id: each for each in bridges if is_without_bridge(host, each)}
    lost: dict[tuple[str, str], list[Expected]] = defaultdict(list)
    for each in gone_from_forward(host):
        network = each.network.id if each.network and each.network.id in without_bridge else ""
        lost[network, each.rule.family].append(each)
    for (network, family), rules in sorted(lost.items()):
        yield _fault(host, family, rules, without_bridge.get(network))
    yield from gone(host).doubts_about("filter")


def _fault(host: Host, family: str, rules: Sequence[Expected], without_bridge: BridgeNetwork | None) -> Fault:
    """`without_bridge` is the network whose rules these are when its bridge is gone as well."""
    networks = {each.network.name for each in rules if each.network}
    whole = any(each.network is None for each in rules)
    hit = hit_by_default(host, None if whole else networks, 6 if family == "ipv6" else 4)
    count = f"{len(rules)} rules of the engine are" if len(rules) > 1 else "a rule of the engine is"
    effect = f", so that {named(hit.cases)} are dropped" if hit else ""
    heads = [(hit.chain.head.span, f"FORWARD drops what no rule takes: {named(hit.cases)}")] if hit else []
    tool = "ip6tables" if family == "ipv6" else "iptables"
    user_jump = [each for each in gone(host).of(Purpose.USER_JUMP) if each.rule.family == family]  # it is hit as well
    return Fault(
        message=f"{count} gone from chain FORWARD{' of ip6tables' if family == 'ipv6' else ''}{effect}",
        subjects=(
            subject_of_chain(family, "filter", "FORWARD"),
            *(without_bridge.subjects if without_bridge else ()),
        ),
        evidence=(*evidence_of(host, rules), *(related(span, label) for span, label in heads)),
        remedy=remedy_of(host, [*user_jump, *rules]),
        verify=(f"{tool} -S FORWARD",),
        severity=Severity.ERROR if hit else Severity.WARNING,
        affects=tuple(dict.fromkeys(subjects_of(rules))),
    )
