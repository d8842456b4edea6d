"""The host's INPUT rules drop what its own containers send it.

## What it finds
A rule or a policy of the hook input that drops packets of containers to their host: answers to what the host asked
them, connections to the host by a name that was given to the container for that, or connections to published ports by
an address of the host.

## Why it matters
`curl localhost:8080` on the host hangs, because the answer of the container to docker-proxy dies in INPUT; health
checks that run on the host fail likewise. Containers cannot use a database, a name server or a proxy on the host.

## How it is decided
Gates: the engine is in this namespace; containers run on its bridge networks; the filter table was collected. Packets
are sent through all chains of the hook, of every backend and of nftables, first match deciding: an answer from each
bridge network to its gateway; with the userland proxy a new connection from each publishing container to its own
published port on the host's address, and from each network to one such port; and for a container whose /etc/hosts has a
name for an address of the host (`host.docker.internal`), a new connection to each port that the host listens on.
Dropped answers are an error, and so is a host that a container has a name for and none of whose ports it reaches. That
new connections to published ports are dropped is a note: containers reach each other on their networks, and a firewall
that refuses new connections is often meant to.

## Not a problem when
Rules let answers pass (`ctstate RELATED,ESTABLISHED`) and containers have no business with the host.

## Repair
Let the containers' packets pass in INPUT: with ufw `ufw allow in on docker0 to any port 53`, else a rule for the
bridge.

## Verify
The host is answered by the container, the container by the host.

## References
moby/moby#49288; chaifeng/ufw-docker#53; chaifeng/ufw-docker#16; chaifeng/ufw-docker#101.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, addressed, published_ports
from netdiag.checks._drops import Drop, blocked, drops, fault_of, let_through
from netdiag.checks._wanted import Stage, Wanted, address_of, own_address, uplink
from netdiag.finding import Severity, Subject
from netdiag.formats.records import IpAddress, Socket
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import table_known, uses_proxy
from netdiag.spans import Span

_EPHEMERAL = 50000
_SERVED = 80

#: Listeners that are tried for each container that has a name for the host.
_MOST_LISTENERS = 50


@check(Severity.ERROR, layer="filter")
def filter_input_blocks_container_to_host(host: Host) -> Verdicts:
    attached, others = addressed(host, table_known(host, "filter"))
    yield from others
    if not attached:
        return
    named = list(_by_name(host, attached))
    asked = [*_answers(attached), *_to_published(host, attached), *named]
    found, doubts = drops(blocked(host, asked))
    cut_off = _without_any_port(named, found)
    notes: list[Fault] = []
    for drop in found:
        if drop.policy:
            continue
        grave = any(case.answer for case in drop.cases) or any(case.subject in cut_off for case in drop.cases)
        fault = fault_of(drop, tuple(let_through(drop, "in")), ("iptables -L INPUT -v -n -x --line-numbers",))
        if grave:
            yield fault
        elif not any(case in named for case in drop.cases):
            notes.append(replace(fault, severity=Severity.NOTE))
    yield from notes[:1]
    yield from doubts


def _to_host(what: str, subject: Subject, place: Span, attachment: Attachment, flow: Flow) -> Wanted:
    stages = (Stage("INPUT", flow),)
    return Wanted(what, subject, place, attachment.bridge, stages, answer=flow.state == "ESTABLISHED")


def _answers(attached: Iterable[Attachment]) -> Iterator[Wanted]:
    """The answer of one container of each network to its host."""
    for attachment in {each.bridge.device: each for each in attached}.values():
        flow = Flow(
            "tcp",
            attachment.bridge.device,
            source=address_of(attachment, 4),
            destination=attachment.endpoint.gateway,
            destination_port=_EPHEMERAL,
            state="ESTABLISHED",
            source_port=_SERVED,
        )
        name = attachment.bridge.network.name
        what = f"answers of containers on network {name} to the host"
        yield _to_host(what, Subject("network", name), attachment.container.span, attachment, flow)


def _to_published(host: Host, attached: Sequence[Attachment]) -> Iterator[Wanted]:
    """New connections to published ports by the host's address, which docker-proxy takes: each port from its own
    container, and the first port from each network.
    """
    address = own_address(host, uplink(host), 4)
    ports = [(container, port) for container, port in published_ports(host) if _is_open(port.host_address, address)]
    if not ports or address is None or not uses_proxy(host).yes:
        return
    by_container = {each.container.id: each for each in attached}
    pairs = [(each, port) for container, port in ports if (each := by_container.get(container.id))]
    pairs += [(each, ports[0][1]) for each in {each.bridge.device: each for each in attached}.values()]
    for attachment, port in pairs:
        flow = Flow(
            port.protocol,
            attachment.bridge.device,
            source=address_of(attachment, 4),
            destination=address,
            destination_port=port.host_port,
        )
        what = f"connections of containers to published port {port.host_port}/{port.protocol} by the host's address"
        yield _to_host(what, Subject("container", attachment.container.name), port.span, attachment, flow)


def _is_open(bound: IpAddress | None, address: IpAddress | None) -> bool:
    return bound is None or bound == address or (bound.version == 4 and bound.is_unspecified)


def _by_name(host: Host, attached: Iterable[Attachment]) -> Iterator[Wanted]:
    """New connections of containers that have a name for an address of the host, to what listens there."""
    local = host.root.ground.local or frozenset()
    for attachment in attached:
        netns = host.namespace_of(attachment.container)
        for line in netns.names if netns else ():
            if line.address.version != 4 or line.address.is_loopback or line.address not in local:
                continue
            for listener in _listeners(host, line.address):
                flow = Flow(
                    "tcp",
                    attachment.bridge.device,
                    source=address_of(attachment, 4),
                    destination=line.address,
                    destination_port=listener.port,
                )
                what = f"connections of container {attachment.container.name} to {line.names[0]}"
                subject = Subject("container", attachment.container.name)
                yield _to_host(what, subject, line.span, attachment, flow)


def _listeners(host: Host, address: IpAddress) -> list[Socket]:
    found = [
        socket
        for socket in host.root.sockets
        if socket.protocol == "tcp" and socket.state == "LISTEN" and socket.port
        if (socket.address is None and socket.family != "ipv6") or socket.address == address
    ]
    return found[:_MOST_LISTENERS]


def _without_any_port(named: Sequence[Wanted], found: Iterable[Drop]) -> set[Subject]:
    """The containers that have a name for the host, and reach none of its ports."""
    wanted: dict[Subject, set[int]] = defaultdict(set)
    for case in named:
        wanted[case.subject].add(id(case))
    dropped = {id(case) for drop in found if not drop.policy for case in drop.cases}
    return {subject for subject, cases in wanted.items() if cases <= dropped}
