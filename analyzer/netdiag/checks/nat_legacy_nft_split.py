"""Docker's rules are in one iptables backend, other rules/policies in the other.

## What it finds
A host whose packets meet the rules of both backends of iptables, legacy and nft, where that breaks something: one
backend drops what Docker's rules in the other let pass, Docker's rules of an earlier time are still in the one that it
has left, or the command `iptables` has become the one that Docker's rules are not in.

## Why it matters
The kernel runs both sets of rules, and a packet must pass both. `iptables -S` shows one of them only, and all that it
shows is right. When the command was switched under a running engine, its next call finds none of its chains: a
container with a published port does not start (`No chain/target/match by that name`).

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace and has a local bridge network; the filter rules are known.
Docker's backend is the one that has chain DOCKER; when both have it, the command's (`iptables -V`) is the one in use
and the rest of the other is left over. New connections of each bridge network to the outside, the answers to them, and
connections to published ports are sent through the FORWARD chains of the other backend: it must not drop them for
certain. An engine that brings its own iptables (a snap) may use another backend than the command.

## Not a problem when
The other backend has empty tables with policy ACCEPT, as they come of listing them, or rules about other traffic.

## Repair
Use one backend for everything: take away what is in the other, or switch the command back to the one that the rules are
in. Where the policy DROP of FORWARD is in the backend that is left only, it is set in the one in use first: an engine
that finds forwarding on when it starts does not set it.

## Verify
The other backend's listing shows no rule and no policy DROP; a container with a published port starts.

## References
moby/libnetwork#2331; moby/moby#38974; moby/moby#46147; k3s-io/k3s#1114; moby/moby#26824; iptables-legacy(8),
xtables-nft(8).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, deletion, docker_networks, related, sh, tool_of
from netdiag.checks._flows import answer_to, incoming, members_address, outgoing
from netdiag.checks._nat import NAMED_BY_ENGINE, name_of
from netdiag.checks._ports import carried_ports
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Chain, IptablesVersion, Rule
from netdiag.model import FirewallTable, Host, Truth
from netdiag.model.firewall import SOURCE_NAT
from netdiag.model.flow import AnyRule, Flow
from netdiag.model.gates import manages_iptables, reaches_outside, table_known, unknown
from netdiag.model.hooks import BaseChain, base_chains, passage_of
from netdiag.spans import Span

_HOOK = "FORWARD"
_OTHER = {"legacy": "nft", "nft": "legacy"}
_OWN_CHAINS = "DOCKER"


@dataclass(frozen=True)
class _Case:
    """A flow that Docker lets pass, and whose it is."""

    flow: Flow
    subjects: tuple[Subject, ...]


@check(Severity.ERROR, layer="nat")
def nat_legacy_nft_split(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    with_docker = [table for table in host.root.firewall if table.family == "ipv4" and _OWN_CHAINS in table.chains]
    backends = sorted({table.backend for table in with_docker} & set(_OTHER))
    if not backends:
        return
    command = next(
        (version for version in host.iptables if version.program == "iptables" and version.backend in _OTHER), None
    )
    if len(backends) > 1:
        if command is None:
            yield unjudged(unknown("which backend's rules of Docker are in use", "iptables_version"))
            return
        old = _OTHER[command.backend or ""]
        yield _left_over(host, bridges, [table for table in with_docker if table.backend == old], command)
        return
    if command and command.backend == _OTHER[backends[0]] and not _brings_its_own(host):
        yield _switched(with_docker, command)
    yield from _conflicts(host, bridges, with_docker, _OTHER[backends[0]])


# --- the command has become another one -------------------------------------------------------------------------------


def _brings_its_own(host: Host) -> bool:
    """The engine is a snap, which brings an iptables of its own."""
    return any("/snap/" in process.command for process in host.engine.processes)


def _switched(tables: Sequence[FirewallTable], command: IptablesVersion) -> Fault:
    backend = _OTHER[command.backend or ""]
    return Fault(
        message=f"the command iptables now is {command.backend}, while Docker's rules are in {backend}: "
        "no container with a published port starts",
        subjects=tuple(Subject("chain", f"{each.name} {_OWN_CHAINS}") for each in tables),
        evidence=(
            Evidence(command.span, "the command that the engine calls"),
            *(related(each.chains[_OWN_CHAINS].head.span, f"Docker's rules are in {backend}") for each in tables[:2]),
        ),
        remedy=tuple(
            f"update-alternatives --set {tool} /usr/sbin/{tool}-{backend}" for tool in ("iptables", "ip6tables")
        ),
        verify=("iptables -V", f"iptables -t nat -S {_OWN_CHAINS}"),
        confidence=Confidence.MEDIUM,
    )


# --- both backends have rules of the engine ---------------------------------------------------------------------------


def _left_over(host: Host, bridges: list[BridgeNetwork], old: list[FirewallTable], command: IptablesVersion) -> Fault:
    backend = _OTHER[command.backend or ""]
    conflict = next(_dropped(host, bridges, backend), None)
    heads = [table.chains[_OWN_CHAINS].head for table in old]
    what = "drop what its rules of today let pass" if conflict else "still are in force"
    return Fault(
        message=f"rules that Docker left in {backend} when it began to use {command.backend} {what}",
        subjects=(
            *(Subject("chain", f"{head.table} {head.name}") for head in heads),
            *(conflict.case.subjects if conflict else ()),
        ),
        evidence=(
            Evidence(heads[0].span, f"Docker's chain in {backend}"),
            *((related(conflict.proof, conflict.label),) if conflict else ()),
            related(command.span, "the backend in use"),
        ),
        remedy=(
            *_policy_moved(host, backend, command.backend or ""),
            *(command for table in _of_backend(host, backend) for command in _clearing(table)),
        ),
        verify=(f"iptables-{backend}-save",),
        severity=Severity.ERROR if conflict else Severity.WARNING,
        affects=(Subject("host", host.name),),
    )


def _policy_moved(host: Host, old: str, new: str) -> Iterator[str]:
    """An engine that finds forwarding on leaves the policy as it is: the one that protects is the old backend's."""
    head = {
        table.backend: table.chains[_HOOK].head
        for table in host.root.firewall
        if table.family == "ipv4" and table.name == "filter" and _HOOK in table.chains
    }
    if old in head and new in head and head[old].policy == "DROP" and head[new].policy == "ACCEPT":
        yield sh("{} -P {} DROP", tool_of(head[new]), _HOOK)


def _of_backend(host: Host, backend: str) -> list[FirewallTable]:
    return [table for table in host.root.firewall if table.backend == backend]


def _clearing(table: FirewallTable) -> Iterator[str]:
    """The commands that take the engine's rules and chains out of a table, and nothing else."""
    own = [chain for chain in table.chains.values() if chain.head.policy is None and chain.name.startswith("DOCKER")]
    for chain in table.chains.values():
        if chain not in own:
            yield from (deletion(rule) for rule in reversed(chain.rules) if _is_of_engine(rule))
    for verb in ("-F", "-X"):
        yield from (sh("{} -t {} {} {}", tool_of(chain.head), table.name, verb, chain.name) for chain in own)
    forward = table.chains.get(_HOOK)
    if own and forward and forward.head.policy == "DROP":
        yield _accepting(forward.head)


def _is_of_engine(rule: Rule) -> bool:
    """A rule outside of the engine's chains that it writes: a jump to them, or one of a bridge that it made."""
    devices = {rule.in_interface, rule.out_interface} - {None}
    of_bridge = bool(devices) and all(NAMED_BY_ENGINE.fullmatch(device or "") for device in devices)
    to_itself = rule.source is not None and rule.source == rule.destination and rule.source.num_addresses == 1
    jumps = (rule.target or "").startswith("DOCKER")
    return (
        jumps
        or (of_bridge and rule.target in ("ACCEPT", "DROP", *SOURCE_NAT))
        or (to_itself and rule.target in SOURCE_NAT)
    )


def _accepting(head: Chain) -> str:
    return sh("{} -t {} -P {} ACCEPT", tool_of(head), head.table, head.name)


# --- the other backend drops ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Conflict:
    """What the other backend drops, where, and by which rule; without a rule it is the chain's policy."""

    case: _Case
    chain: BaseChain
    rule: AnyRule | None

    @property
    def proof(self) -> Span:
        return self.rule.span if self.rule else self.chain.head.span

    @property
    def label(self) -> str:
        return "this rule drops them" if self.rule else "nothing lets them pass, and the policy is DROP"


def _conflicts(
    host: Host, bridges: list[BridgeNetwork], with_docker: Sequence[FirewallTable], backend: str
) -> Iterator[Fault]:
    found: dict[Span, list[_Conflict]] = defaultdict(list)
    for conflict in _dropped(host, bridges, backend):
        found[conflict.proof].append(conflict)
    for proof, conflicts in found.items():
        first = conflicts[0]
        by = f"has the rule {name_of(first.rule)}" if first.rule else f"has policy DROP for {first.chain.name}"
        subjects = dict.fromkeys(subject for conflict in conflicts for subject in conflict.case.subjects)
        head = with_docker[0].chains[_OWN_CHAINS].head
        where = Subject("rule", name_of(first.rule)) if first.rule else Subject("chain", f"filter {first.chain.name}")
        yield Fault(
            message=f"{backend} iptables {by} and drops what Docker's rules in {_OTHER[backend]} let pass",
            subjects=(where, *subjects),
            evidence=(
                Evidence(proof, first.label),
                related(head.span, f"Docker's rules are in {_OTHER[backend]}"),
            ),
            remedy=(_undoing(first),),
            verify=(f"iptables-{backend} -L {_HOOK} -v -n -x",),
            confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
        )


def _undoing(conflict: _Conflict) -> str:
    if conflict.rule:
        return deletion(conflict.rule)
    head = conflict.chain.head
    return _accepting(head) if isinstance(head, Chain) else ""


def _dropped(host: Host, bridges: list[BridgeNetwork], backend: str) -> Iterator[_Conflict]:
    """What the backend drops for certain of all that Docker's networks need."""
    chains = tuple(chain for chain in base_chains(host.root, _HOOK) if chain.backend == backend)
    if not any(chain.drops or chain.table.chains[chain.name].rules for chain in chains):
        return
    for case in _cases(host, bridges):
        passes = passage_of(chains, case.flow, host.root.ground)
        if passes.truth is Truth.NO and passes.chain:
            yield _Conflict(case, passes.chain, passes.rule)


def _cases(host: Host, bridges: list[BridgeNetwork]) -> Iterator[_Case]:
    for bridge in bridges:
        source = members_address(bridge.network)
        if source is None or not reaches_outside(bridge.network).yes:
            continue
        for flow in outgoing(host, bridge, source):
            yield _Case(flow, bridge.subjects)
            yield _Case(answer_to(flow), bridge.subjects)
    for packet in incoming(host, carried_ports(host, bridges)):
        yield _Case(
            packet.translated, (Subject("container", packet.carried.container.name), *packet.carried.bridge.subjects)
        )
