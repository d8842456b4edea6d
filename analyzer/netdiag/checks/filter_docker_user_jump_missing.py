"""FORWARD does not lead to DOCKER-USER, so that the administrator's rules are bypassed.

## What it finds
A FORWARD chain without a jump to DOCKER-USER, or with a rule before it that lets everything pass which the rules of
DOCKER-USER should see.

## Why it matters
Block and allow rules in DOCKER-USER have no effect, without any word from the engine: ports that the administrator
believes closed are open.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; its rule dialect is known and
has the chain (17.06 on); all rules of the filter table were collected. Any way from FORWARD to DOCKER-USER will do. It
is an error when DOCKER-USER holds rules of somebody's own, else a warning: the next rule put there would have no
effect. A jump that stands behind a rule is found when new connections to published ports are accepted by that rule, and
DOCKER-USER holds rules of somebody's own. Up to 20.10 and in 25.0 before 25.0.7, 26 and 27 before 27.4 the engine makes
the jump only when a network is created or firewalld reloads. With live-restore no network is created at a restart, so a
flush of the rules loses the jump for good.

## Not a problem when
The daemon runs with `iptables: false` or with its nftables backend, which has no such chain. A rule before the jump
that lets pass what comes in by one interface, or belongs to other connections, bypasses nothing that matters here.

## Repair
Insert the jump at the top of FORWARD; upgrade to a fixed version.

## Verify
`Chain DOCKER-USER` has a reference again.

## References
moby/moby#48560; moby/moby#48577; moby/moby#35043; docker/for-linux#1152; chaifeng/ufw-docker#41.
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import docker_networks, related, sh
from netdiag.checks._drops import USER_CHAIN
from netdiag.checks._rules import chains, evidence_of, forward_unless_open, gone, subject_of_chain, user_chain_joined
from netdiag.checks._wanted import wanted_flows
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Dialect, FirewallTable, Host
from netdiag.model.expected import Expected, Purpose, specification
from netdiag.model.flow import Fate, decide
from netdiag.model.gates import dialect_known, manages_iptables, table_known


@check(
    Severity.ERROR,
    layer="filter",
    symptom_of=("filter-docker-chains-missing", "filter-docker-jump-missing", "bundle-two-daemons"),
)
def filter_docker_user_jump_missing(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host), dialect_known(host))
    yield from others
    if not bridges:
        return
    if host.engine.dialect is Dialect.UP_TO_17:
        yield NotApplicable("the engine has no chain DOCKER-USER before 17.06")
        return
    tables = [table for table in host.root.tables("filter") if "FORWARD" in table.chains]
    missing = gone(host).of(Purpose.USER_JUMP)
    if missing and not any(table.reaches("FORWARD", USER_CHAIN) for table in tables):
        yield _no_jump(host, missing[0])
    for table in tables:
        yield from _bypassed(host, table)
    yield from gone(host).doubts_about("filter")


def _own_rules(host: Host) -> list[Rule]:
    """What somebody wrote into DOCKER-USER; the engine itself only ends it with a RETURN."""
    rules = (rule for chain in chains(host, "ipv4", "filter", USER_CHAIN) for rule in chain.rules)
    return [rule for rule in rules if specification(rule) != "-j RETURN"]


def _no_jump(host: Host, missing: Expected) -> Fault:
    own = _own_rules(host)
    count = f"the {len(own)} rules" if len(own) > 1 else "the rule"
    effect = f"{count} of DOCKER-USER have no effect" if len(own) > 1 else f"{count} of DOCKER-USER has no effect"
    return Fault(
        message="FORWARD does not jump to DOCKER-USER: " + (effect if own else "rules put there would have no effect"),
        subjects=(Subject("chain", f"filter {USER_CHAIN}"), subject_of_chain("ipv4", "filter", "FORWARD")),
        evidence=(*evidence_of(host, [missing]), *(related(rule.span, "no packet comes here") for rule in own[:4])),
        remedy=user_chain_joined(host),
        verify=("iptables -C FORWARD -j DOCKER-USER", "iptables -L DOCKER-USER -v -n -x"),
        severity=Severity.ERROR if own else Severity.WARNING,
    )


def _bypassed(host: Host, table: FirewallTable) -> Iterator[Fault]:
    """Rules before the jump that accept new connections to published ports."""
    own = _own_rules(host)
    forward = table.chains["FORWARD"].rules
    jump = next((rule for rule in forward if rule.target == USER_CHAIN), None)
    if not own or jump is None:
        return
    seen: dict[int, Rule] = {}
    asked: set[str] = set()
    for wanted in wanted_flows(host):
        flow = wanted.forwarded
        if not wanted.incoming or flow.version != 4 or wanted.network.device in asked:
            continue
        asked.add(wanted.network.device)
        for way in decide(table, "FORWARD", flow, host.root.ground):
            rule = way.rule
            if way.fate is Fate.ACCEPTED and way.certain and rule in forward and rule.position < jump.position:
                seen[rule.position] = rule
    for rule in seen.values():
        yield Fault(
            message=f"rule {rule.position} of FORWARD lets new connections pass before DOCKER-USER sees them",
            subjects=(Subject("chain", f"filter {USER_CHAIN}"), Subject("rule", f"filter FORWARD {rule.position}")),
            evidence=(
                Evidence(rule.span, "this rule comes first"),
                related(jump.span, "the jump to DOCKER-USER"),
                *(related(each.span, "this rule is bypassed") for each in own[:4]),
            ),
            remedy=("iptables -D FORWARD -j DOCKER-USER", "iptables -I FORWARD -j DOCKER-USER"),
            verify=(sh("iptables -L FORWARD -v -n -x --line-numbers"),),
            affects=forward_unless_open(host),
        )
