"""nat PREROUTING/OUTPUT no longer jumps to DOCKER.

## What it finds
A nat table in which PREROUTING or OUTPUT does not lead to chain DOCKER, or which has no chain DOCKER at all. When
neither leads there and the chain is empty, the table was flushed, and what else is missing in it is part of that.

## Why it matters
No published port is translated any more. With the userland proxy on, connections are still answered, but by the proxy:
slower, and the container sees the bridge's gateway as the client. With the proxy off they hang.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; the nat table was collected.
Any jump that PREROUTING (OUTPUT) can reach will do. The missing OUTPUT jump is a warning while the userland proxy is
on, because the proxy answers local clients then. Without any published port a missing jump is a warning.

## Not a problem when
The daemon runs with `iptables: false` or with its nftables backend.

## Repair
Append the jump again; restart the engine when the chain itself is gone or the table was flushed.

## Verify
The jump is there; `Chain DOCKER` has references again.

## References
moby/moby#15948; moby/moby#16816; moby/moby#14073; moby integration/network/bridge/iptablesdoc.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, chain_span, docker_networks, published_ports, related, restart
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import FirewallTable, Host
from netdiag.model.gates import manages_iptables, table_known, uses_proxy

_JUMP_FROM = ("PREROUTING", "OUTPUT")
_MATCH = "-m addrtype --dst-type LOCAL -j DOCKER"


@check(Severity.ERROR, layer="nat", symptom_of=("filter-docker-chains-missing", "bundle-two-daemons"))
def nat_docker_jump_missing(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "nat"), manages_iptables(host))
    if not bridges:
        yield from others
        return
    tables = host.root.tables("nat")
    with_docker = [table for table in tables if "DOCKER" in table.chains]
    if not with_docker:
        yield _no_chain(host, bridges, tables)
        return
    without = [chain for chain in _JUMP_FROM if not any(table.reaches(chain, "DOCKER") for table in with_docker)]
    if len(without) == len(_JUMP_FROM) and not any(table.chains["DOCKER"].rules for table in with_docker):
        yield _flushed(host, bridges, with_docker[0])
        return
    for chain in without:
        yield _no_jump(host, with_docker[0], chain)


def _flushed(host: Host, bridges: list[BridgeNetwork], table: FirewallTable) -> Fault:
    chains = (*_JUMP_FROM, "DOCKER")
    heads = [table.chains[name].head.span for name in chains if name in table.chains]
    published = published_ports(host, "docker")
    return Fault(
        message="the nat table was flushed: nothing leads to chain DOCKER, which is empty",
        subjects=tuple(Subject("chain", f"nat {name}") for name in chains),
        evidence=(
            *(Evidence(span, "without the engine's rules") for span in heads),
            *(related(port.span, f"published by {container.name}") for container, port in published[:3]),
        ),
        remedy=restart(host),
        verify=("iptables -t nat -S",),
        severity=_severity(host, "PREROUTING"),
        confidence=_confidence(host),
        affects=_all_translated(host, bridges),
    )


def _all_translated(host: Host, bridges: list[BridgeNetwork]) -> tuple[Subject, ...]:
    """What rules of the nat table are about: the networks, and the containers that publish ports."""
    networks = (Subject("network", bridge.network.name) for bridge in bridges)
    containers = (Subject("container", container.name) for container, _ in published_ports(host, "docker"))
    return tuple(dict.fromkeys((*networks, *containers)))


def _no_chain(host: Host, bridges: list[BridgeNetwork], tables: tuple[FirewallTable, ...]) -> Fault:
    heads = [chain.head.span for table in tables for chain in table.chains.values()][:1]
    spans = heads or [table.head.span for each in host.root.firewall for table in each.chains.values()][:1]
    what = "the nat table has no chain DOCKER" if tables else "there is no nat table"
    network = bridges[0].network
    needs_it = f"network {network.name} needs it"
    return Fault(
        message=f"{what}, so no published port is translated",
        subjects=(Subject("chain", "nat DOCKER"),),
        evidence=(
            (*(Evidence(span, what) for span in spans), related(network.span, needs_it))
            if spans
            else (Evidence(network.span, f"{needs_it}, and there are no iptables rules at all"),)
        ),
        remedy=restart(host),
        verify=("iptables -t nat -L DOCKER -v -n",),
        severity=_severity(host, "PREROUTING"),
        confidence=_confidence(host),
        affects=_all_translated(host, bridges),
    )


def _no_jump(host: Host, table: FirewallTable, chain: str) -> Fault:
    docker, start = table.chains["DOCKER"], table.chains.get(chain)
    spares_loopback = chain == "OUTPUT" and not uses_proxy(host).no
    rule = f"{chain} {'! -d 127.0.0.0/8 ' if spares_loopback else ''}{_MATCH}"
    evidence = [Evidence(chain_span(start), f"no rule of nat {chain} leads to DOCKER")] if start else []
    evidence.append(related(docker.head.span, "the chain is there") if start else Evidence(docker.head.span, "no jump"))
    evidence += [
        related(port.span, f"published by {container.name}") for container, port in published_ports(host, "docker")[:3]
    ]
    return Fault(
        message=f"nat {chain} does not jump to chain DOCKER, so published ports are not translated there",
        subjects=(Subject("chain", f"nat {chain}"),),
        evidence=tuple(evidence),
        remedy=(f"iptables -t nat -A {rule}",),
        verify=(f"iptables -t nat -C {rule}",),
        severity=_severity(host, chain),
        confidence=_confidence(host),
    )


def _severity(host: Host, chain: str) -> Severity:
    proxy_answers = chain == "OUTPUT" and uses_proxy(host).yes
    return Severity.WARNING if proxy_answers or not published_ports(host, "docker") else Severity.ERROR


def _confidence(host: Host) -> Confidence:
    return Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM
