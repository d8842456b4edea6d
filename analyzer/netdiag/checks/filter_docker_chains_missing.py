"""Docker's filter chains/rules flushed while containers run.

## What it finds
A filter table without the chains that the engine's version keeps there, or with chains that are empty although that
version always has rules in them.

## Why it matters
What Docker lets through is not let through any more: with FORWARD policy DROP all forwarding stops, with policy ACCEPT
networks are no longer isolated from each other. The next `docker run -p` fails with `No chain/target/match by that
name`.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace, has a local bridge network, and its rule dialect is known.
Chains that must exist: DOCKER and DOCKER-ISOLATION (up to 17.12); DOCKER, DOCKER-ISOLATION-STAGE-1 and -2 (18 to 27,
28.0.0); DOCKER-FORWARD, DOCKER-CT, DOCKER-BRIDGE, DOCKER and the isolation chains (28.0.1 to 28.5); DOCKER-FORWARD,
DOCKER-CT, DOCKER-INTERNAL, DOCKER-BRIDGE and DOCKER (29). Chains that are never empty: the isolation chains up to 27,
DOCKER-FORWARD from 28.0.1 on. A chain counts as there when any backend has it.

## Not a problem when
The daemon runs with `iptables: false`, with its nftables backend, or rootless.

## Repair
Restart the engine, which programs its rules anew. Without live-restore this stops the containers.

## Verify
The chains are there again and FORWARD leads to them.

## References
moby/moby#12294; moby/moby#16137; moby/moby#26494; docker/for-linux#1472; moby integration/network/bridge/iptablesdoc.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import docker_networks, related, restart
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Network
from netdiag.model import Dialect, FirewallTable, Host
from netdiag.model.gates import manages_iptables, table_known, unknown
from netdiag.spans import Span

_ISOLATION = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")
_REQUIRED = {
    Dialect.UP_TO_17: ("DOCKER", "DOCKER-ISOLATION"),
    Dialect.UP_TO_27: ("DOCKER", *_ISOLATION),
    Dialect.V28_0_0: ("DOCKER", *_ISOLATION),
    Dialect.V28: ("DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE", "DOCKER", *_ISOLATION),
    Dialect.V29_IPTABLES: ("DOCKER-FORWARD", "DOCKER-CT", "DOCKER-INTERNAL", "DOCKER-BRIDGE", "DOCKER"),
}
_NEVER_EMPTY = {
    Dialect.UP_TO_17: ("DOCKER-ISOLATION",),
    Dialect.UP_TO_27: _ISOLATION,
    Dialect.V28: ("DOCKER-FORWARD",),
    Dialect.V29_IPTABLES: ("DOCKER-FORWARD",),
}


@check(Severity.ERROR, layer="filter")
def filter_docker_chains_missing(host: Host) -> Verdicts:
    dialect = host.engine.dialect
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    if not bridges:
        yield from others
        return
    tables = host.root.tables("filter")
    if dialect is None:
        yield unjudged(unknown("which chains this version of the engine keeps", "docker_version"))
        return
    if dialect not in _REQUIRED:
        yield NotApplicable(f"Docker {dialect.value} keeps no iptables chains")
        return
    missing = [name for name in _REQUIRED[dialect] if not any(name in table.chains for table in tables)]
    empty = [name for name in _NEVER_EMPTY.get(dialect, ()) if name not in missing and not _has_rules(tables, name)]
    if missing or empty:
        yield _fault(host, bridges[0].network, tables, missing, empty)


def _has_rules(tables: tuple[FirewallTable, ...], name: str) -> bool:
    return any(name in table.chains and table.chains[name].rules for table in tables)


def _fault(
    host: Host, network: Network, tables: tuple[FirewallTable, ...], missing: list[str], empty: list[str]
) -> Fault:
    parts = [f"{' and '.join(names)} {state}" for names, state in ((missing, "missing"), (empty, "empty")) if names]
    proof = host.engine.dialect_proof
    evidence = [Evidence(span, label) for span, label in _spans(tables, empty)]
    if not evidence and (spans := _any_heads(host)):
        evidence = [Evidence(spans[0], f"the rules begin here and do not have {', '.join(missing)}")]
    if not evidence:
        evidence = [
            Evidence(network.span, f"network {network.name} needs them, and there are no iptables rules at all")
        ]
    evidence += [related(span, f"FORWARD has policy {policy}") for span, policy in _forward_policies(tables)]
    if proof:
        evidence.append(related(proof, "this version of the engine keeps them"))
    return Fault(
        message=f"Docker's filter chains were flushed: {', '.join(parts)}",
        subjects=tuple(Subject("chain", f"filter {name}") for name in (*missing, *empty)),
        evidence=tuple(evidence),
        remedy=restart(host),
        verify=("iptables -S FORWARD", "iptables -S DOCKER"),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )


def _spans(tables: tuple[FirewallTable, ...], names: list[str]) -> list[tuple[Span, str]]:
    found = [(table.chains[name], name) for table in tables for name in names if name in table.chains]
    return [(chain.head.span, f"{name} has no rule") for chain, name in found]


def _any_heads(host: Host) -> list[Span]:
    return [chain.head.span for table in host.root.firewall for chain in table.chains.values()]


def _forward_policies(tables: tuple[FirewallTable, ...]) -> list[tuple[Span, str]]:
    heads = [table.chains["FORWARD"].head for table in tables if "FORWARD" in table.chains]
    return [(head.span, head.policy) for head in heads if head.policy]
