"""DNAT to an IP that belongs to no running container (or to another one).

## What it finds
A rule of nat chain DOCKER that leads to an address that no running container has, or to a container that does not
publish the port.

## Why it matters
Connections to the port go to nobody or to the wrong service, and the port may be taken when a container wants to
publish it again.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the list of containers is whole (`docker inspect` of all of
them). Only rules in chain DOCKER are looked at, because only the engine writes there. An address that a network lists
for a member that is no container (the ingress sandbox of swarm) is nothing to judge.

## Not a problem when
Swarm publishes the port: its rules are in chain DOCKER-INGRESS and lead to the ingress sandbox. Rules of Kubernetes,
libvirt or a person are in chains of their own.

## Repair
Delete the rule.

## Verify
The rule is gone.

## References
moby/moby#10354; moby integration/network/bridge/iptablesdoc/generated/usernet-portmap.md.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, related
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Rule
from netdiag.model import Host
from netdiag.model.firewall import matched, port_matches, target_option
from netdiag.model.gates import collected, is_running, manages_iptables, unknown, whole
from netdiag.model.knowledge import all_of


@check(Severity.ERROR, layer="nat", symptom_of=("nat-legacy-nft-split", "bundle-two-daemons"))
def nat_dnat_stale(host: Host) -> Verdicts:
    gate = all_of(collected(host.root.firewall, "the nat rules"), manages_iptables(host))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    tables = host.root.tables("nat")
    if not tables and not host.root.firewall.whole:
        yield unjudged(unknown("the nat table", "iptables_save", because="not collected"))
        return
    rules = [rule for table in tables if "DOCKER" in table.chains for rule in table.rules_after("DOCKER")]
    translations = [rule for rule in rules if rule.target == "DNAT" and rule.chain == "DOCKER"]
    if not translations:
        return
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "to whom the DNAT rules lead"))
        return
    owners, foreign = _owners(host), _members_that_are_no_containers(host)
    for rule in translations:
        goal = target_option(rule, "to-destination")
        address = goal.rpartition(":")[0] or goal
        if address not in foreign:
            yield from _judge(host, rule, goal, owners.get(address, ()))


def _judge(host: Host, rule: Rule, goal: str, owners: Sequence[Container]) -> Verdicts:
    port = matched(rule, "dport")
    if not owners:
        yield _fault(host, rule, port, f"to {goal}, which no running container has", ())
    elif not any(port_matches(rule, each.host_port) for owner in owners for each in owner.ports):
        owner = owners[0]
        evidence = (related(owner.span, f"container {owner.name} has the address and does not publish it"),)
        yield _fault(host, rule, port, f"to {goal} of container `{owner.name}`, which does not publish it", evidence)


def _owners(host: Host) -> Mapping[str, Sequence[Container]]:
    """The running containers of each address; isolated networks may have the same addresses."""
    found: dict[str, list[Container]] = defaultdict(list)
    for container in host.containers:
        for address in () if is_running(container).no else host.addresses_of(container):
            found[str(address)].append(container)
    return found


def _members_that_are_no_containers(host: Host) -> set[str]:
    """The addresses of what networks list beside containers, such as the ingress sandbox of swarm."""
    known = {container.id for container in host.containers}
    members = (member for network in host.networks for member in network.members or ())
    return {str(member.address.ip) for member in members if member.address and member.container_id not in known}


def _fault(host: Host, rule: Rule, port: str, where: str, more: tuple[Evidence, ...]) -> Fault:
    name = f"{port}/{rule.protocol}"
    return Fault(
        message=f"host port {name} is translated {where}",
        subjects=(Subject("port", name), Subject("rule", f"nat {rule.chain} {rule.position}")),
        evidence=(Evidence(rule.span, "this rule leads nowhere" if not more else "this rule leads to another"), *more),
        remedy=(deletion(rule),),
        verify=("iptables -t nat -L DOCKER -v -n -x --line-numbers",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
