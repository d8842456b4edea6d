"""Standalone container and swarm ingress want the same port.

## What it finds
A port that a container publishes and for which swarm's ingress has a DNAT rule too.

## Why it matters
The rules of chain DOCKER-INGRESS come first: clients are led to the service of swarm and never to the container, whose
port seems to be published all the same.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the nat table was collected. PREROUTING leads to
DOCKER-INGRESS, and a DNAT rule there has the protocol and the host port of a port that a running container publishes
on an IPv4 address.

## Not a problem when
The container is a task of the service itself that publishes in host mode: then the ingress has no rule for the port.

## Repair
Publish one of the two on another port. The command takes the ingress' rule away until swarm programs it again.

## Verify
The port leads to the container.

## References
moby libnetwork/service_linux.go (programIngress); docs.docker.com/engine/swarm/ingress.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, published_ports, related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, PublishedPort, Rule
from netdiag.model import Host
from netdiag.model.firewall import matched
from netdiag.model.gates import manages_iptables, table_known
from netdiag.model.knowledge import all_of

_CHAIN = "DOCKER-INGRESS"


@check(Severity.ERROR, layer="port")
def port_swarm_ingress_conflict(host: Host) -> Verdicts:
    gate = all_of(manages_iptables(host), table_known(host, "nat"))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    rules = [
        rule
        for table in host.root.tables("nat")
        if _CHAIN in table.chains and table.reaches("PREROUTING", _CHAIN)
        for rule in table.chains[_CHAIN].rules
        if rule.target == "DNAT"
    ]
    if not rules:
        yield NotApplicable("swarm publishes no port on this host")
        return
    ingress = {(rule.protocol, matched(rule, "dport")): rule for rule in reversed(rules)}
    for container, port in published_ports(host, "docker"):
        rule = ingress.get((port.protocol, str(port.host_port)))
        if rule and (port.host_address is None or port.host_address.version == 4):
            yield _fault(container, port, rule)


def _fault(container: Container, port: PublishedPort, rule: Rule) -> Fault:
    name = f"{port.host_port}/{port.protocol}"
    return Fault(
        message=f"swarm leads port {name}, which container `{container.name}` publishes, to a service of its own",
        subjects=(Subject("port", name), Subject("container", container.name)),
        evidence=(
            Evidence(rule.span, "this rule comes before the container's"),
            related(port.span, f"container {container.name} publishes it"),
        ),
        remedy=(deletion(rule),),
        verify=("docker service ls", "iptables -t nat -L DOCKER-INGRESS -v -n -x"),
    )
