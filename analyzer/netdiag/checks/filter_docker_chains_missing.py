"""Docker's filter chains/rules flushed while containers run.

## What it finds
A filter table without the chains that the engine's version keeps there, with chains that are empty although that
version always has rules in them, or with chains that have lost the rules by which packets get through them. The finding
names each rule that is gone.

## Why it matters
What Docker lets through is not let through any more: with FORWARD policy DROP all forwarding stops, with policy ACCEPT
networks are no longer isolated from each other. The next `docker run -p` fails with `No chain/target/match by that
name`.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace, has a local bridge network, and its rule dialect is known;
all rules of the filter table were collected. Chains that must exist: DOCKER and DOCKER-ISOLATION (up to 17.12); DOCKER,
DOCKER-ISOLATION-STAGE-1 and -2 (18 to 27, 28.0.0); DOCKER-FORWARD, DOCKER-CT, DOCKER-BRIDGE, DOCKER and the isolation
chains (28.0.1 to 28.5); DOCKER-FORWARD, DOCKER-CT, DOCKER-INTERNAL, DOCKER-BRIDGE and DOCKER (29). The rules are those
that this version programs for the host's networks and for the published ports of its running containers. A chain or a
rule counts as there when any backend has it. It is an error when a flow that should pass is dropped by a policy or by a
rule of the engine, or when a chain is gone, else a warning. When the jumps to nat chain DOCKER are gone as well, the
flush took the nat table too, and what is missing there is part of this finding.

Rules that are gone from FORWARD only, single ports and single rules of isolation are for filter-docker-jump-missing,
filter-port-accept-missing and filter-isolation-off. Docker 29 with nftables is judged likewise by its table
docker-bridges: the chains of each bridge and the elements that lead to them.

## Not a problem when
The daemon runs with `iptables: false`, or rootless.

## Repair
Restart the engine, which programs its rules anew. Without live-restore this stops the containers. Single rules are put
back by themselves.

## Verify
The chains are there again and FORWARD leads to them.

## References
moby/moby#12294; moby/moby#16137; moby/moby#26494; docker/for-linux#1472; moby integration/network/bridge/iptablesdoc
and nftablesdoc.
"""

from collections.abc import Sequence

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import docker_networks, related, restart
from netdiag.checks._drops import DefaultDrop, hit_by_default, named
from netdiag.checks._rules import (
    chain_of,
    chains,
    emptied,
    evidence_of,
    gone,
    remedy_of,
    subject_of_chain,
    subjects_of,
)
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Dialect, Host
from netdiag.model.expected import Expected, Purpose, expected_rules
from netdiag.model.expected_nft import TABLE, Piece, missing_pieces, networks_of
from netdiag.model.gates import dialect_known, is_settled, manages_firewall, manages_iptables, table_known, whole
from netdiag.model.knowledge import YES
from netdiag.spans import Span

_ISOLATION = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")
_REQUIRED = {
    Dialect.UP_TO_17: ("DOCKER", "DOCKER-ISOLATION"),
    Dialect.UP_TO_27: ("DOCKER", *_ISOLATION),
    Dialect.V28_0_0: ("DOCKER", *_ISOLATION),
    Dialect.V28: ("DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE", "DOCKER", *_ISOLATION),
    Dialect.V29_IPTABLES: ("DOCKER-FORWARD", "DOCKER-CT", "DOCKER-INTERNAL", "DOCKER-BRIDGE", "DOCKER"),
}

_MOST_SHOWN = 10

#: Rules without which packets do not get from chain to chain of the engine; others have checks of their own.
_THROUGH = (Purpose.WIRING, Purpose.FORWARDING)


@check(Severity.ERROR, layer="filter", symptom_of=("bundle-two-daemons",))
def filter_docker_chains_missing(host: Host) -> Verdicts:
    dialect = host.engine.dialect
    if dialect is Dialect.V29_NFTABLES:
        yield from _of_nftables(host)
        return
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host), dialect_known(host))
    yield from others
    if not bridges:
        return
    missing = [name for name in _REQUIRED[dialect] if not chains(host, "ipv4", "filter", name)] if dialect else []
    empty = [place for place in emptied(host) if place[1] == "filter" and place[2].startswith("DOCKER")]
    rules = [each for each in gone(host).rules if each.rule.table == "filter"]
    if not missing and not empty:
        rules = [each for each in rules if each.purpose in _THROUGH and each.rule.chain != "FORWARD"]
    if missing or empty or rules:
        yield _fault(host, missing, empty, rules, bridges[0].network.span)
    yield from gone(host).doubts_about("filter")


def _fault(
    host: Host, missing: list[str], empty: list[tuple[str, str, str]], rules: Sequence[Expected], network: Span
) -> Fault:
    hit = hit_by_default(host, None)
    lost = [each for each in host.root.tables("filter") if "FORWARD" in each.chains]
    policies = [(t.chains["FORWARD"].head.span, f"FORWARD has policy {t.chains['FORWARD'].head.policy}") for t in lost]
    proof = host.engine.dialect_proof
    evidence = evidence_of(host, rules) if rules else _evidence_of_chains(host, missing, network)
    places = [*(("ipv4", "filter", name) for name in missing), *empty, *(chain_of(each.rule) for each in rules)]
    own = tuple(dict.fromkeys(subject_of_chain(*place) for place in places if place[2].startswith("DOCKER")))
    return Fault(
        message=_message(missing, empty, rules, hit),
        subjects=own,
        evidence=(
            *evidence,
            *(related(span, label) for span, label in policies),
            *([related(proof, "this version of the engine keeps them")] if proof else []),
        ),
        remedy=restart(host) if missing or not rules else remedy_of(host, rules),
        verify=("iptables -S FORWARD", "iptables -S DOCKER"),
        severity=Severity.ERROR if hit or missing else Severity.WARNING,
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
        affects=(*dict.fromkeys(subjects_of(rules)), *_everything(host)),
    )


def _message(
    missing: list[str], empty: list[tuple[str, str, str]], rules: Sequence[Expected], hit: DefaultDrop | None
) -> str:
    count = f"{len(rules)} rules are gone" if len(rules) > 1 else f"{len(rules)} rule is gone"
    effect = f"; {named(hit.cases)} are dropped" if hit else ""
    if not missing and not empty:
        where = " and ".join(dict.fromkeys(each.rule.chain for each in rules))
        return f"{count} from Docker's filter chains {where}{effect}"
    states = ((missing, "missing"), (list(dict.fromkeys(name for _, _, name in empty)), "empty"))
    parts = [f"{' and '.join(names)} {state}" for names, state in states if names]
    return f"Docker's filter chains were flushed: {', '.join(parts)}, {count} in all{effect}"


def _evidence_of_chains(host: Host, missing: list[str], network: Span) -> tuple[Evidence, ...]:
    """Where no rule is known to be gone, the chains are."""
    heads = [chain.head.span for table in host.root.firewall for chain in table.chains.values()]
    what = f"do not have {', '.join(missing)}"
    if heads:
        return (Evidence(heads[0], f"the rules begin here and {what}"),)
    return (Evidence(network, "this network needs them, and there are no iptables rules at all"),)


def _everything(host: Host) -> tuple[Subject, ...]:
    """The whole host, when what flushed the filter table flushed the nat table too."""
    jumps = [each for each in expected_rules(host) if each.purpose is Purpose.NAT_JUMP]
    lost = gone(host).of(Purpose.NAT_JUMP)
    return (Subject("host", host.name),) if jumps and len(lost) == len(jumps) else ()


# --- Docker 29 with nftables ------------------------------------------------------------------------------------------


def _of_nftables(host: Host) -> Verdicts:
    known = whole(host.root.nftables, "the rules of nftables")
    bridges, others = docker_networks(host, manages_firewall(host), known)
    yield from others
    if not bridges:
        return
    pieces: list[Piece] = []
    for piece in missing_pieces(host):
        container = piece.container
        gate = is_settled(host, f"the rules of container {container.name}", container.started) if container else YES
        if gate.yes:
            pieces.append(piece)
        else:
            yield unjudged(gate)
    if pieces:
        yield _pieces_gone(host, pieces)


def _pieces_gone(host: Host, pieces: Sequence[Piece]) -> Fault:
    tables = [piece for piece in pieces if piece.kind == "table"]
    hit = hit_by_default(host, None)
    effect = f"; {named(hit.cases)} are dropped" if hit else ""
    count = f"{len(pieces)} parts of them are" if len(pieces) > 1 else "a part of them is"
    what = " and ".join(piece.text for piece in tables)
    networks = networks_of(pieces)
    return Fault(
        message=f"the engine's {what} is gone" if tables else f"the engine's tables of nftables: {count} gone{effect}",
        subjects=tuple(
            dict.fromkeys(Subject("chain", f"{piece.family} {TABLE} {piece.chain}".strip()) for piece in pieces)
        ),
        evidence=_evidence_of_pieces(host, pieces),
        remedy=restart(host),
        verify=tuple(dict.fromkeys(f"nft list table {piece.family} {TABLE}" for piece in pieces)),
        severity=Severity.ERROR if hit or any(piece.kind != "rule" or piece.container for piece in pieces) else None,
        affects=tuple(Subject("network", network.name) for network in networks),
    )


def _evidence_of_pieces(host: Host, pieces: Sequence[Piece]) -> tuple[Evidence, ...]:
    """Where each part should stand: its chain, its table, or the line that shows what the engine uses."""
    places: dict[tuple[str, str], Span] = {}
    for table in host.root.nftables:
        if table.name == TABLE:
            places[table.family, ""] = table.head.span
            places |= {(table.family, chain.name): chain.head.span for chain in table.chains.values()}
    networks = [related(network.span, f"network {network.name} needs it") for network in networks_of(pieces)[:3]]
    proof = host.engine.dialect_proof or pieces[0].place
    found = [
        Evidence(
            places.get((piece.family, piece.chain)) or places.get((piece.family, "")) or proof, f"gone: {piece.text}"
        )
        for piece in pieces[:_MOST_SHOWN]
    ]
    return (*found, *networks)
