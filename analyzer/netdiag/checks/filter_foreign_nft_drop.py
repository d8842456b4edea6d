"""A table of nftables beside the engine's drops what the engine lets through.

## What it finds
A base chain of nftables that is neither the engine's nor iptables', and whose policy or rules drop connections to
published ports, connections of containers to the outside, the answers to those, or connections between containers of a
network.

## Why it matters
In nftables an accept in one base chain is not final: the packet goes on to the next chain of the hook, and a drop there
is the end. So nothing that the engine writes can help. `iptables -L` does not show such a table at all.

## How it is decided
Gates: an engine programs the firewall of this namespace for its bridge networks; `nft list ruleset` was collected. The
flows that should pass are sent through every base chain on their way (prerouting before and after the translation of
destinations, forward, postrouting) in the order of priorities, with each chain's own policy. Chains of the family
bridge are for bridge-ebtables-drop. A rule that drops only some addresses is a policy, and a note.

## Not a problem when
The chain accepts the engine's interfaces or translated connections (`ct status dnat`) before it drops; the table is
dormant.

## Repair
Accept the engine's interfaces at the top of the chain, in the running rules and in the file that loads them
(`/etc/nftables.conf`).

## Verify
The counters of the new rules grow and the port answers.

## References
docs.docker.com/engine/network/firewall-nftables; moby/moby#26824; nft(8).
"""

from collections.abc import Iterable, Iterator

from netdiag.checks._base import Verdicts, check
from netdiag.checks._docker import firewalled_networks, sh
from netdiag.checks._drops import Drop, Owner, blocked_on, drops, fault_of, nft_accepts, nft_set, owner_of
from netdiag.checks._wanted import Wanted
from netdiag.finding import Severity
from netdiag.formats.records import NftRule
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.nftables import NativeTable


@check(Severity.ERROR, layer="filter", symptom_of=("filter-firewalld-zone-missing",))
def filter_foreign_nft_drop(host: Host) -> Verdicts:
    known = collected(host.root.nftables, "the rules of nftables")
    bridges, others = firewalled_networks(host, known)
    yield from others
    if not bridges:
        return
    mine = (each for each in blocked_on(host, bridges) if owner_of(each) is Owner.NFTABLES)
    found, doubts = drops(mine)
    for drop in found:
        table = drop.obstacle.chain.table
        chain = sh("{} {} {}", _family(table), table.name, drop.obstacle.chain.name)
        yield fault_of(drop, tuple(_remedy(drop)), (f"nft -a list chain {chain}",))
    yield from doubts


def _family(table: object) -> str:
    return table.family if isinstance(table, NativeTable) else ""


def _remedy(drop: Drop) -> Iterator[str]:
    """Rules at the top of the base chain that accept what should pass, each as narrow as the hook allows. At ingress no
    connection is known yet: there the rule is deleted, or the policy changed.
    """
    chain, rule = drop.obstacle.chain, drop.rule
    if chain.hook == "INGRESS":
        place = f"{_family(chain.table)} {chain.table.name}"
        if isinstance(rule, NftRule) and rule.handle is not None:
            yield sh("nft {}", f"delete rule {place} {rule.chain} handle {rule.handle}")
        else:
            yield sh("nft {}", f"chain {place} {chain.name} {{ policy accept; }}")
        return
    for condition in _conditions(chain.hook, drop.cases):
        yield nft_accepts(chain, condition)


def _conditions(hook: str, cases: Iterable[Wanted]) -> Iterator[str]:
    cases = list(cases)
    devices = nft_set(case.network.device for case in cases)
    if hook != "PREROUTING":
        if devices:
            yield f"oifname {devices}"
            yield f"iifname {devices}"
        return
    for protocol in sorted({case.forwarded.protocol or "" for case in cases if case.incoming}):
        flows = (case.forwarded for case in cases if case.incoming and case.forwarded.protocol == protocol)
        ports = sorted({flow.original_destination_port or 0 for flow in flows})
        yield f"{protocol} dport {{ {', '.join(map(str, ports))} }}"
    if any(case.answer for case in cases):
        yield "ct state { established, related }"
    outwards = nft_set(case.network.device for case in cases if not case.incoming and not case.answer)
    if outwards:
        yield f"iifname {outwards}"
