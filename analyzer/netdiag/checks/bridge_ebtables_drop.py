"""ebtables/nft bridge-family rules drop container frames.

## What it finds
A rule or policy of ebtables, or of the bridge family of nftables, to which the rules of ebtables-nft belong as well,
that drops frames of running containers.

## Why it matters
The frames die in the bridge, before any rule of iptables sees them: ARP gets no answer, or containers of one network
cannot reach each other, and all that `iptables` shows is right.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge, and the veth is a port of it;
the ruleset of nftables was collected, and so was that of ebtables, where its modules are loaded. An ARP request and a
new TCP connection are sent through the base chains of the family `bridge` as the kernel does: from each container's
port to the next container's, to the host, and from the host to it. First match decides in a chain, and each chain must
let the frame pass. What cannot be judged is said to be unknown.

## Not a problem when
The rule is for the ports of virtual machines (`vnet*`) or of another bridge.

## Repair
Accept the frames before the rule, or delete it; then look for the program that wrote it (libvirt's nwfilter, a plug-in
of Kubernetes, a script against spoofed addresses).

## Verify
The containers reach each other and their gateway.

## References
nft(8); ebtables-nft(8); kernel net/bridge/br_netfilter_hooks.c.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from netdiag.checks._base import Fault, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import NftRule
from netdiag.model import Host, Truth
from netdiag.model.flow import AnyRule, Flow
from netdiag.model.gates import whole
from netdiag.model.hooks import BaseChain, bridge_chains, passage_of
from netdiag.spans import Span

_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_SOME_PORT = 80
_MOST_SHOWN = 6

#: Rules of the kernel's own ebtables are shown by the legacy tool only, which older releases call just `ebtables`.
_LISTING = "ebtables-legacy -t filter -L --Lc --Ln || ebtables -t filter -L --Lc --Ln"


@dataclass(frozen=True)
class _Frame:
    """A frame of a container at a hook."""

    hook: str
    flow: Flow
    port: ContainerPort
    what: str


@check(Severity.ERROR, layer="bridge")
def bridge_ebtables_drop(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if not ports:
        return
    gate = whole(host.root.nftables, "the rules of bridges")
    of_ebtables = whole(host.root.ebtables, "the rules of ebtables")
    if of_ebtables.unknown:
        yield unjudged(replace(of_ebtables, ask=(_LISTING,)))
    if gate.unknown:
        yield unjudged(gate)
        if of_ebtables.unknown:
            return
    chains = {hook: _chains(host, hook) for hook in _HOOKS}
    if not any(chains.values()):
        return
    dropped: dict[Span, list[tuple[_Frame, BaseChain, AnyRule | None]]] = defaultdict(list)
    doubts: dict[Span, _Frame] = {}
    for frame in _frames([port for port in ports if port.enslaved]):
        answer = passage_of(chains[frame.hook], frame.flow, host.root.ground)
        if answer.truth is Truth.NO and answer.chain:
            dropped[(answer.rule or answer.chain.head).span].append((frame, answer.chain, answer.rule))
        elif answer.truth is Truth.UNKNOWN and (rule := answer.depends_on or answer.rule):
            doubts.setdefault(rule.span, frame)
    for found in dropped.values():
        yield _fault(found)
    for span, frame in doubts.items():
        where = f"{span.source.path}:{span.line}"
        yield Unjudged(f"whether the rule at {where} drops {frame.what}", "its conditions cannot be judged")


def _chains(host: Host, hook: str) -> tuple[BaseChain, ...]:
    """The chains at a hook, of the rule sets that are known as a whole."""
    known = host.root.nftables.whole
    return tuple(each for each in bridge_chains(host.root, hook) if known or each.backend == "ebtables")


def _frames(ports: Sequence[ContainerPort]) -> Iterator[_Frame]:
    """What each container sends to the next one of its bridge and to the host, and the host to it."""
    on_bridge: dict[str, list[ContainerPort]] = defaultdict(list)
    for port in ports:
        on_bridge[port.bridge].append(port)
    for neighbours in on_bridge.values():
        for port, following in zip(neighbours, islice(cycle(neighbours), 1, None), strict=False):
            own = port.attachment.endpoint.address
            veth, source = port.outer.name, own.ip if own else None
            for protocol in ("arp", "tcp"):
                number = _SOME_PORT if protocol == "tcp" else None
                kind = "ARP" if protocol == "arp" else "IP packets"
                sent = Flow(protocol, veth, source=source, destination_port=number)
                got = Flow(protocol, None, veth, destination=source, destination_port=number)
                yield _Frame("PREROUTING", sent, port, f"{kind} of container {port.container}")
                yield _Frame("INPUT", sent, port, f"{kind} of container {port.container} to the host")
                yield _Frame("OUTPUT", got, port, f"{kind} of the host to container {port.container}")
                yield _Frame("POSTROUTING", got, port, f"{kind} to container {port.container}")
                if following is not port:
                    across = Flow(
                        protocol, veth, following.outer.name, source=source, destination_port=number, bridged=True
                    )
                    what = f"{kind} of container {port.container} to {following.container}"
                    yield _Frame("FORWARD", across, port, what)


def _fault(found: Sequence[tuple[_Frame, BaseChain, AnyRule | None]]) -> Fault:
    frame, chain, rule = found[0]
    ports = list({each.port.outer.name: each.port for each, _, _ in found}.values())
    containers = list(dict.fromkeys(port.container for port in ports))
    kinds = " and ".join(dict.fromkeys(each.what.partition(" of ")[0].partition(" to ")[0] for each, _, _ in found))
    named = ", ".join(f"`{name}`" for name in containers[:_MOST_SHOWN])
    more = f" and {len(containers) - _MOST_SHOWN} more" if len(containers) > _MOST_SHOWN else ""
    firewall = "ebtables" if chain.backend == "ebtables" else chain.table.family
    place = f"{firewall} {chain.table.name} {rule.chain if rule else chain.name}"
    who = f"a rule in {place}" if rule else f"the policy of {place}"
    counted = _packets(rule)
    return Fault(
        message=f"{who} drops {kinds} of containers {named}{more} at hook {frame.hook.lower()} of the bridge",
        subjects=(
            Subject("rule", f"{place} {rule.position}") if rule else Subject("chain", place),
            *dict.fromkeys(port.attachment.bridge.subjects[1] for port in ports),
            *(Subject("container", name) for name in containers),
        ),
        evidence=(
            Evidence(rule.span if rule else chain.head.span, f"drops {frame.what}{counted}"),
            *(related(port.outer.span, f"the port of container {port.container}") for port in ports[:_MOST_SHOWN]),
        ),
        remedy=(_remedy(chain, rule),),
        verify=(
            sh("ebtables -t {} -L --Lc --Ln", chain.table.name)
            if chain.backend == "ebtables"
            else sh("nft -a list table bridge {}", chain.table.name),
        ),
    )


def _packets(rule: AnyRule | None) -> str:
    """How many frames the rule has counted."""
    statements = rule.statements if isinstance(rule, NftRule) else ()
    counters = (getattr(each, "details", {}).get("packets") for each in statements)
    packets = next((count for count in counters if count is not None), None)
    return f"; {packets} so far" if packets is not None else ""


def _remedy(chain: BaseChain, rule: AnyRule | None) -> str:
    family, table = chain.table.family, chain.table.name
    if chain.backend == "ebtables":
        if rule is None:
            return sh("ebtables -t {} -P {} ACCEPT", table, chain.name)
        if rule.span == chain.table.chains[rule.chain].head.span:  # the policy of a chain of one's own
            return sh("ebtables -t {} -P {} RETURN", table, rule.chain)
        return sh("ebtables -t {} -D {} {}", table, rule.chain, rule.position)
    if rule is None:
        return sh("nft chain {} {} {}", family, table, chain.name) + " '{ policy accept; }'"
    handle = getattr(rule, "handle", None)
    if handle is None:
        return sh("nft insert rule {} {} {} accept", family, table, rule.chain)
    return sh("nft delete rule {} {} {} handle {}", family, table, rule.chain, handle)
