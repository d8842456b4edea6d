"""DOCKER-INGRESS chains missing/not first.

## What it finds
A node of a swarm whose rules do not lead a port that a service publishes by the routing mesh to the load balancer.

## Why it matters
The port answers on no address of this node, whether a task runs here or not; on other nodes it may. Most often somebody
flushed the nat table.

## How it is decided
Gates: the engine is in a swarm and programs iptables; the nat and filter rules are known; a task of this node is on the
ingress network. The ports are those that the task's own namespace redirects (nat PREROUTING to its ingress address),
which the engine writes for each port of the mesh. For each, nat PREROUTING must lead to chain DOCKER-INGRESS with a
DNAT rule for it, and the filter table to its own DOCKER-INGRESS: from FORWARD, from 28.0.1 on from DOCKER-FORWARD.
Without IPVS the engine writes none of them, which overlay-ipvs-missing tells.

## Not a problem when
The service publishes with `mode=host`; the port is one of IPv6, which the mesh does not have.

## Repair
Restart the engine, which programs the chains anew.

## Verify
The chain has a rule for the port, and the port answers.

## References
moby libnetwork/service_linux.go (programIngress); moby
integration/network/bridge/iptablesdoc/generated/swarm-portmap.md; moby/moby#49536.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, restart
from netdiag.checks._overlay import Member, members, service_of, swarm_of
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Dialect, Host
from netdiag.model.firewall import matched, port_matches
from netdiag.model.gates import manages_iptables, table_known, unknown
from netdiag.model.knowledge import Extent, all_of

_CHAIN = "DOCKER-INGRESS"


@dataclass(frozen=True)
class _MeshPort:
    """A port of the mesh, and the rule in a task's namespace that tells it."""

    member: Member
    rule: Rule

    @property
    def port(self) -> str:
        return matched(self.rule, "dport")

    @property
    def name(self) -> str:
        return f"{self.port}/{self.rule.protocol}"


@check(Severity.ERROR, layer="overlay", symptom_of=("overlay-ipvs-missing", "filter-docker-chains-missing"))
def overlay_ingress_chain_missing(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    tasks = [member for member in members(host) if member.network.ingress and service_of(member.container)]
    if not tasks:
        yield NotApplicable("no task on this node publishes a port by the routing mesh")
        return
    gate = all_of(table_known(host, "nat"), table_known(host, "filter"), manages_iptables(host))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    for member in tasks:
        netns = host.namespace_of(member.container)
        if netns is None or netns.firewall.extent is Extent.NONE:
            yield unjudged(unknown(f"which ports {member.container.name} publishes", "iptables_save"))
    ports = {port.name: port for member in tasks for port in _mesh_ports(host, member)}
    lost = [port for port in ports.values() if not _is_translated(host, port)]
    if lost:
        yield _fault(host, lost, "nat")
    elif ports and not _is_let_through(host):
        yield _fault(host, list(ports.values()), "filter")


def _mesh_ports(host: Host, member: Member) -> Iterator[_MeshPort]:
    """What a task's namespace redirects of what comes to its address on the ingress network."""
    netns = host.namespace_of(member.container)
    address = member.endpoint.address
    for table in netns.tables("nat") if netns and address else ():
        for rule in table.chains["PREROUTING"].rules if "PREROUTING" in table.chains else ():
            to_task = rule.destination is not None and address is not None and address.ip in rule.destination
            if rule.target == "REDIRECT" and to_task and matched(rule, "dport").isdecimal():
                yield _MeshPort(member, rule)


def _is_translated(host: Host, port: _MeshPort) -> bool:
    for table in host.root.tables("nat"):
        if _CHAIN in table.chains and table.reaches("PREROUTING", _CHAIN):
            for rule in table.rules_after(_CHAIN):
                if rule.target == "DNAT" and rule.protocol == port.rule.protocol and port_matches(rule, int(port.port)):
                    return True
    return False


def _is_let_through(host: Host) -> bool:
    start = "DOCKER-FORWARD" if host.engine.dialect in (Dialect.V28, Dialect.V29_IPTABLES) else "FORWARD"
    return any(_CHAIN in table.chains and table.reaches(start, _CHAIN) for table in host.root.tables("filter"))


def _fault(host: Host, ports: list[_MeshPort], table: str) -> Fault:
    names = ", ".join(port.name for port in ports[:4]) + (" and more" if len(ports) > 4 else "")
    heads = [chain.head.span for each in host.root.tables(table) for chain in each.chains.values()][:1]
    what = "translate" if table == "nat" else "let through"
    return Fault(
        message=f"the rules of this node do not {what} ports of the routing mesh: {names}",
        subjects=(Subject("chain", f"{table} {_CHAIN}"), *(Subject("port", port.name) for port in ports)),
        evidence=(
            *(Evidence(port.rule.span, f"{port.member.container.name} serves port {port.name}") for port in ports[:3]),
            *(related(span, f"table {table} of the host does not lead to it by {_CHAIN}") for span in heads),
        ),
        remedy=restart(host),
        verify=(f"iptables -t {table} -S {_CHAIN}",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
