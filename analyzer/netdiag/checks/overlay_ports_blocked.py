"""Swarm ports 2377/tcp, 7946/tcp+udp, 4789/udp (or DataPathPort), ESP(50) blocked locally.

## What it finds
A node of a swarm whose own firewall drops what the other nodes send to it.

## Why it matters
Without 4789/udp the containers of different nodes do not reach each other; without 7946 the nodes do not learn where
containers are, and each takes the others for dead; without 2377 the other nodes lose their manager.

## How it is decided
Gates: the engine is in a swarm with another node; the filter rules of IPv4 are known. What another node sends first is
sent through every chain at the hook INPUT: 7946 by TCP and UDP, the port of the tunnels (4789, or what a manager
tells), 2377 by TCP to a manager, ESP where a network is encrypted. None may be dropped for certain.

## Not a problem when
The swarm has one node only; the rule is for other sources. What a firewall between the nodes drops is not to be seen
here.

## Repair
Delete the rule, or let the ports in before the policy drops them.

## Verify
Containers on different nodes reach each other; `docker node ls` shows all nodes ready.

## References
docs.docker.com/engine/swarm/swarm-tutorial/#open-protocols-and-ports-between-the-hosts;
docs.docker.com/engine/swarm/networking.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, related, sh
from netdiag.checks._nat import name_of
from netdiag.checks._overlay import (
    DEFAULT_PORT,
    is_alone,
    is_encrypted,
    other_peers,
    overlay_networks,
    own_addresses,
    swarm_of,
    underlay,
)
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Swarm
from netdiag.model import Host, Truth
from netdiag.model.flow import Flow
from netdiag.model.gates import table_known
from netdiag.model.hooks import Passage, passage
from netdiag.spans import Span

_HOOK = "INPUT"
_GOSSIP, _MANAGEMENT = 7946, 2377


@dataclass(frozen=True)
class _Wanted:
    """What another node sends: the words of iptables for it, and what it is for."""

    protocol: str
    port: int | None
    purpose: str

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}" if self.port else self.protocol.upper()

    @property
    def match(self) -> str:
        return f"-p {self.protocol}" + (f" --dport {self.port}" if self.port else "")


@check(Severity.ERROR, layer="overlay")
def overlay_ports_blocked(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    if is_alone(host, swarm):
        yield NotApplicable("the swarm has no other node")
        return
    known = table_known(host, "filter")
    if not known.yes:
        yield unjudged(known)
        return
    link = underlay(host, swarm)
    blocked: dict[Span, list[tuple[_Wanted, Passage]]] = {}
    for wanted in _wanted(host, swarm):
        flow = Flow(
            protocol=wanted.protocol,
            in_interface=link.name if link else None,
            source=_other_node(host, swarm),
            destination=next(iter(sorted(own_addresses(host, swarm), key=str)), None),
            destination_port=wanted.port,
        )
        passes = passage(host.root, _HOOK, flow)
        proof = passes.rule or (passes.chain.head if passes.chain else None)
        if passes.truth is Truth.NO and proof:
            blocked.setdefault(proof.span, []).append((wanted, passes))
    for span, alike in blocked.items():
        yield _fault(host, swarm, span, alike)


def _wanted(host: Host, swarm: Swarm) -> Iterator[_Wanted]:
    yield _Wanted("udp", swarm.data_path_port or DEFAULT_PORT, "the tunnels between containers")
    yield _Wanted("tcp", _GOSSIP, "what the nodes tell each other")
    yield _Wanted("udp", _GOSSIP, "what the nodes tell each other")
    if swarm.is_manager:
        yield _Wanted("tcp", _MANAGEMENT, "the manager")
    if any(is_encrypted(network) for network in overlay_networks(host)):
        yield _Wanted("esp", None, "encrypted networks")


def _other_node(host: Host, swarm: Swarm) -> IpAddress | None:
    peers = other_peers(host, swarm)
    own = own_addresses(host, swarm)
    managers = [address for address in swarm.managers if address not in own]
    return peers[0].address if peers else next(iter(managers), None)


def _fault(host: Host, swarm: Swarm, span: Span, alike: list[tuple[_Wanted, Passage]]) -> Fault:
    first = alike[0][1]
    names = ", ".join(wanted.name for wanted, _ in alike)
    peers = other_peers(host, swarm)
    where = Subject("rule", name_of(first.rule)) if first.rule else Subject("chain", f"filter {_HOOK}")
    open_ = tuple(sh(f"iptables -I {_HOOK} {wanted.match} -j ACCEPT") for wanted, _ in alike)
    return Fault(
        message=f"this node drops what the other nodes of the swarm send to it: {names}",
        subjects=(where, *(Subject("port", wanted.name) for wanted, _ in alike)),
        evidence=(
            Evidence(span, "this rule drops them" if first.rule else "nothing lets them in, and the policy is DROP"),
            related(swarm.span, "the engine is in a swarm"),
            *(related(peer.span, "another node") for peer in peers[:2]),
        ),
        remedy=(deletion(first.rule),) if first.rule else open_,
        verify=(f"iptables -L {_HOOK} -v -n -x",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
