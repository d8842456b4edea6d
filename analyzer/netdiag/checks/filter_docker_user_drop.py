"""DOCKER-USER rules drop wanted traffic.

## What it finds
A rule in DOCKER-USER, or in a chain that it leads to, that drops connections to a published port, connections of
containers to the outside, or the answers to those.

## Why it matters
DOCKER-USER comes before all of Docker's own rules, so nothing lets through what it drops. A DROP on the uplink without
an exception for RELATED,ESTABLISHED also drops the answers to what the containers ask: no name resolution, no
downloads.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the filter table was collected; FORWARD leads to
DOCKER-USER. The flows that should pass are sent through all chains on their way, first match deciding: a new connection
from the uplink to each published port (after DNAT, so with the container's address and port), a new connection (DNS,
HTTPS) from each bridge network that may reach outside and the answer to it, and a connection between two containers of
a network where br_netfilter shows it to iptables. What a rule in DOCKER-USER, or where it leads to, drops is found. The
uplink is the device of the default route. A rule that drops only some sources is a policy, and a note.

## Not a problem when
The administrator means it: the port is published for other hosts behind another interface, or only some sources may use
it.

## Repair
Delete the rule, or let the answers pass before it. Match the published port with `--ctorigdstport`, because DNAT comes
first.

## Verify
The rule's counter stops growing and the port answers.

## References
docs.docker.com/engine/network/firewall-iptables; moby/moby#22054; chaifeng/ufw-docker#156.
"""

from netdiag.checks._base import NotApplicable, Verdicts, check
from netdiag.checks._docker import deletion, docker_networks
from netdiag.checks._drops import USER_CHAIN, Drop, Owner, blocked_on, drops, fault_of, owner_of
from netdiag.finding import Severity
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.gates import manages_iptables, table_known


@check(Severity.ERROR, layer="filter")
def filter_docker_user_drop(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    if not any(table.reaches("FORWARD", USER_CHAIN) for table in host.root.firewall):
        yield NotApplicable(f"FORWARD does not lead to {USER_CHAIN}")
        return
    mine = (each for each in blocked_on(host, bridges) if owner_of(each) is Owner.USER_CHAIN)
    found, doubts = drops(mine)
    for drop in found:
        yield fault_of(drop, _remedy(drop), (f"iptables -L {USER_CHAIN} -v -n -x",))
    yield from doubts


def _remedy(drop: Drop) -> tuple[str, ...]:
    """Let the answers pass where the rule drops only those, else delete it."""
    rule = drop.rule
    if all(case.answer for case in drop.cases):
        return (f"iptables -I {USER_CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",)
    return (deletion(rule),) if isinstance(rule, Rule) else ()
