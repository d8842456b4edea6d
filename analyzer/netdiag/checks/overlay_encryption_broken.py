"""Encrypted overlay lacks IPsec state or xt_bpf/xt_u32 rule.

## What it finds
An encrypted overlay network on a node whose kernel or rules do not encrypt it.

## Why it matters
Without the IPsec state nothing passes between the nodes. Without the rule that marks the network's packets they leave
in clear text, and the other nodes drop them; without the rule that drops what comes in clear text, anybody on the way
may send into the network (CVE-2023-28840 to 28842).

## How it is decided
Gates: the engine is in a swarm; an encrypted overlay network has a container on this node, and another node has
endpoints on it; the mangle and filter rules are known. Three things must hold: mangle OUTPUT marks packets to the
tunnels' port with 0xd0c4e3; filter INPUT drops those that come without IPsec (`--pol none`); the kernel has not dropped
packets for want of a state (`XfrmOutNoStates` of /proc/net/xfrm_stat). That counter has been counting since the system
began, for every user of IPsec: it counts when it grew while the bundle was being collected, or is at least half of the
packets that the rules marked. Without that file only the rules are judged.

## Not a problem when
No other node is on the network: the engine programs it when the first one comes. A few packets are dropped while the
nodes change their keys, or by a VPN of the host.

## Repair
Load what the kernel lacks, and restart the engine, which programs it anew. Engines before 20.10.24 and 23.0.3 let
packets in clear text in where the kernel lacks xt_u32 (RHEL 8 and 9): update them.

## Verify
`ip xfrm state` has a state for each other node and direction; the rules are there.

## References
moby libnetwork/drivers/overlay/encryption.go; GHSA-232p-vwff-86mp; GHSA-33pg-m6jh-5237; kernel
Documentation/networking/xfrm_proc.rst.
"""

from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, restart
from netdiag.checks._overlay import is_encrypted, members, overlay_networks, own_addresses, subject, swarm_of
from netdiag.finding import Confidence, Evidence, Severity
from netdiag.formats.records import Network, Rule
from netdiag.model import Host
from netdiag.model.firewall import target_option
from netdiag.model.gates import manages_iptables, table_known
from netdiag.model.knowledge import all_of
from netdiag.spans import Span

_MARK = 0xD0C4E3
_NO_STATE = "XfrmOutNoStates"


@dataclass(frozen=True)
class _Lack:
    what: str
    proof: Span | None
    label: str
    grave: bool


@check(Severity.ERROR, layer="overlay")
def overlay_encryption_broken(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    used, own = {member.network.id for member in members(host)}, own_addresses(host, swarm)
    encrypted = [network for network in overlay_networks(host) if is_encrypted(network) and network.id in used]
    shared = [network for network in encrypted if any(peer.address not in own for peer in network.peers)]
    if not shared:
        yield NotApplicable("no encrypted overlay network leads from this node to another one")
        return
    gate = all_of(table_known(host, "mangle"), table_known(host, "filter"), manages_iptables(host))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    lacks = [lack for lack in (_mark_missing(host), _drop_missing(host), _no_state(host)) if lack]
    if lacks:
        yield _fault(host, shared, lacks)


def _marking_rules(host: Host) -> list[Rule]:
    return [
        rule
        for table in host.root.tables("mangle")
        for rule in table.rules_after("OUTPUT")
        if rule.target == "MARK" and _marks(rule)
    ]


def _mark_missing(host: Host) -> _Lack | None:
    if _marking_rules(host):
        return None
    heads = [table.chains["OUTPUT"].head.span for table in host.root.tables("mangle") if "OUTPUT" in table.chains]
    return _Lack("packets leave in clear text", next(iter(heads), None), "no rule marks them for IPsec", grave=True)


def _marks(rule: Rule) -> bool:
    words = [target_option(rule, name).partition("/")[0] for name in ("set-xmark", "set-mark")]
    return any(_as_number(word) == _MARK for word in words if word)


def _as_number(word: str) -> int | None:
    try:
        return int(word, 0)
    except ValueError:
        return None


def _drop_missing(host: Host) -> _Lack | None:
    for table in host.root.tables("filter"):
        for rule in table.rules_after("INPUT"):
            of_ipsec = any(match.option == "pol" and match.value == "none" for match in rule.matches)
            if rule.target == "DROP" and (of_ipsec or any("pol none" in text for text in rule.not_understood)):
                return None
    heads = [table.chains["INPUT"].head.span for table in host.root.tables("filter") if "INPUT" in table.chains]
    return _Lack("packets in clear text are let in", next(iter(heads), None), "no rule drops them", grave=False)


def _no_state(host: Host) -> _Lack | None:
    counter = next((each for each in host.ipsec if each.name == _NO_STATE), None)
    if counter is None or not counter.value:
        return None
    grew = any(each.counter == _NO_STATE for each in host.movement.counters) if host.movement else False
    marked = sum(rule.counters.packets for rule in _marking_rules(host) if rule.counters)
    if not grew and not 0 < marked <= 2 * counter.value:
        return None
    label = f"dropped so far, of {marked} that were marked"
    return _Lack("packets are dropped for want of an IPsec state", counter.span, label, grave=True)


def _fault(host: Host, networks: list[Network], lacks: list[_Lack]) -> Fault:
    names = ", ".join(f"`{network.name}`" for network in networks)
    proofs = [Evidence(lack.proof, lack.label) for lack in lacks if lack.proof]
    return Fault(
        message=f"encrypted overlay network {names} is not encrypted as it should be: "
        + "; ".join(lack.what for lack in lacks),
        subjects=tuple(subject(network) for network in networks),
        evidence=(
            *(proofs or [Evidence(networks[0].span, "this network asks for encryption, and there are no rules")]),
            *(related(network.span, f"network {network.name} is encrypted") for network in networks[:3]),
        ),
        remedy=("modprobe -a esp4 xfrm_user xt_policy xt_bpf xt_u32 gcm", *restart(host)),
        verify=("ip xfrm policy", "iptables -t mangle -S OUTPUT", "iptables -S INPUT"),
        severity=Severity.ERROR if any(lack.grave for lack in lacks) else Severity.WARNING,
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
