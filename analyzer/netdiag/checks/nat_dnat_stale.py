"""DNAT to an IP that belongs to no running container (or to another one).

## What it finds
A rule of nat chain DOCKER that leads to an address that no running container has, or to a container that does not
publish the port.

## Why it matters
Connections to the port go to nobody or to the wrong service, and the port may be taken when a container wants to
publish it again.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the list of containers is whole (`docker inspect` of all of
them). Only rules in chain DOCKER are looked at, because only the engine writes there.

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

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, published_ports, related
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Rule
from netdiag.model import Host
from netdiag.model.firewall import matched, port_matches, target_option
from netdiag.model.gates import collected, is_running, manages_iptables, unknown, whole
from netdiag.model.knowledge import all_of


@check(Severity.ERROR, layer="nat")
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
    for rule in translations:
        yield from _judge(host, rule)


def _judge(host: Host, rule: Rule) -> Verdicts:
    goal, port = target_option(rule, "to-destination"), matched(rule, "dport")
    address = goal.rpartition(":")[0] or goal
    owner = next((container for container in host.containers if _has_address(container, address)), None)
    if owner is None:
        yield _fault(host, rule, port, f"to {goal}, which no running container has", ())
    elif not any(port_matches(rule, p.host_port) for c, p in published_ports(host) if c.id == owner.id):
        evidence = (related(owner.span, f"{address} is container {owner.name}, which does not publish it"),)
        yield _fault(host, rule, port, f"to {goal} of container `{owner.name}`, which does not publish it", evidence)


def _has_address(container: Container, address: str) -> bool:
    running = not is_running(container).no
    return running and any(str(e.address.ip) == address for e in container.endpoints if e.address)


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
