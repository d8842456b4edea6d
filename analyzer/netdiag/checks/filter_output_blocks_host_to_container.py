"""The host's OUTPUT rules drop what it sends to its own containers.

## What it finds
A rule or a policy of the hook output that drops connections of the host to published ports of its containers, or the
host's answers to containers.

## Why it matters
docker-proxy and every program on the host reach no container: `curl localhost:8080` hangs, health checks fail, while
clients from outside are served.

## How it is decided
Gates: the engine is in this namespace; containers run on its bridge networks; the filter table was collected. Packets
are sent through all chains of the hook, of every backend and of nftables, first match deciding: a new connection to the
port of each container behind each published port, and an answer of the host to a container of each bridge network.

## Not a problem when
The rules let these through by port, interface or state.

## Repair
Let what goes out by the bridge pass.

## Verify
The host is answered by the container.

## References
ufw(8) on `default deny outgoing`; iptables(8).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from netdiag.checks._base import Verdicts, check
from netdiag.checks._docker import Attachment, addressed, published_ports
from netdiag.checks._drops import blocked, drops, fault_of, let_through
from netdiag.checks._wanted import Stage, Wanted, address_of
from netdiag.finding import Severity, Subject
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import table_known

_EPHEMERAL = 50000
_SERVED = 80


@check(Severity.ERROR, layer="filter")
def filter_output_blocks_host_to_container(host: Host) -> Verdicts:
    attached, others = addressed(host, table_known(host, "filter"))
    yield from others
    if not attached:
        return
    found, doubts = drops(blocked(host, [*_to_ports(host, attached), *_answers(attached)]))
    for drop in found:
        if not drop.policy:
            yield fault_of(drop, tuple(let_through(drop, "out")), ("iptables -L OUTPUT -v -n -x --line-numbers",))
    yield from doubts


def _to_ports(host: Host, attached: Sequence[Attachment]) -> Iterator[Wanted]:
    by_container: dict[str, Attachment] = {}
    for each in attached:
        by_container.setdefault(each.container.id, each)
    for container, port in published_ports(host):
        attachment = by_container.get(container.id)
        if attachment is None or (port.host_address is not None and port.host_address.version != 4):
            continue
        flow = Flow(
            port.protocol,
            out_interface=attachment.bridge.device,
            source=attachment.endpoint.gateway,
            destination=address_of(attachment, 4),
            destination_port=port.container_port,
        )
        what = f"connections of the host to published port {port.host_port}/{port.protocol}"
        stages = (Stage("OUTPUT", flow),)
        yield Wanted(what, Subject("container", container.name), port.span, attachment.bridge, stages, incoming=True)


def _answers(attached: Iterable[Attachment]) -> Iterator[Wanted]:
    by_bridge: dict[str, Attachment] = defaultdict()
    for attachment in attached:
        by_bridge.setdefault(attachment.bridge.device, attachment)
    for attachment in by_bridge.values():
        flow = Flow(
            "tcp",
            out_interface=attachment.bridge.device,
            source=attachment.endpoint.gateway,
            destination=address_of(attachment, 4),
            destination_port=_EPHEMERAL,
            state="ESTABLISHED",
            source_port=_SERVED,
        )
        name = attachment.bridge.network.name
        what = f"answers of the host to containers on network {name}"
        stages = (Stage("OUTPUT", flow),)
        yield Wanted(what, Subject("network", name), attachment.container.span, attachment.bridge, stages, answer=True)
