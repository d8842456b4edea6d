"""UDP receive buffer errors in container.

## What it finds
A container whose UDP sockets lost packets because nobody read them in time, as long as that goes on.

## Why it matters
The packets are gone without a word to anybody: names do not resolve now and then, samples of metrics and logs are
missing, calls have gaps.

## How it is decided
In the container's namespace the counter UdpRcvbufErrors of `nstat` is above zero, and either a UDP socket holds more
unread bytes (`Recv-Q` of `ss -uln`) than half of the sysctl net.core.rmem_default, or the counter grew while the bundle
was being collected. The counter alone counts from the start of the container, and a burst long ago is no fault of now.

## Not a problem when
The packets are of a kind that may be lost, and the sender sends more than anybody wants to read.

## Repair
A program that does not read is restarted. One that is too slow for bursts asks for a larger buffer (SO_RCVBUF), which
the sysctl net.core.rmem_max of the host allows.

## Verify
UdpRcvbufErrors does not grow any more.

## References
udp(7); socket(7) SO_RCVBUF; ip-sysctl of the kernel.
"""

from netdiag.checks._base import Fault, Verdicts, check, sort_out, unjudged
from netdiag.checks._docker import no_containers, other_containers, related, sh
from netdiag.checks._listeners import entrance
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, KernelCounter, Socket
from netdiag.model import Host, Namespace
from netdiag.model.gates import collected, unknown
from netdiag.model.knowledge import all_of

_COUNTER = "UdpRcvbufErrors"


@check(Severity.WARNING, layer="port")
def perf_udp_rcvbuf(host: Host) -> Verdicts:
    namespaces = [netns for netns in host.namespaces[1:] if netns.containers]
    if not namespaces:
        yield no_containers(host, "no container has a namespace of its own", "which containers lose packets")
        return
    judged, others = sort_out(
        namespaces,
        lambda netns: all_of(
            collected(netns.sockets, f"the sockets of {netns.name}"),
            collected(netns.counters, f"the counters of {netns.name}"),
        ),
        "",
    )
    yield from others
    yield from other_containers(host, "which other containers lose packets")
    grown = {each.scope: each for each in host.movement.counters if each.counter == _COUNTER} if host.movement else {}
    for netns in judged:
        container, lost = host.container(netns.containers[0]), netns.counter(_COUNTER)
        if container is None or lost is None or lost.value == 0:
            continue
        if netns.id in grown:
            more = grown[netns.id]
            proof = Evidence(more.span, f"{more.after - more.before} more were lost meanwhile")
            yield _fault(container, lost, _unread(netns, _usual_size(host, netns)), proof)
            continue
        size = _usual_size(host, netns)
        if size is None:
            yield unjudged(unknown(f"how much the UDP sockets of {container.name} can hold", "sysctl"))
            continue
        full = _unread(netns, size)
        if full:
            yield _fault(container, lost, full, Evidence(full[0].span, f"{full[0].receive_queue} bytes are unread"))
    yield from other_containers(host, "which other containers lose packets")


def _usual_size(host: Host, netns: Namespace) -> int | None:
    """The size of the buffer of a socket that asks for none, in bytes."""
    default = netns.sysctl("net.core.rmem_default") or host.root.sysctl("net.core.rmem_default")
    return int(default.value) if default and default.value.isdecimal() else None


def _unread(netns: Namespace, size: int | None) -> list[Socket]:
    """The UDP sockets with a buffer of that size that is more than half full."""
    if size is None:
        return []
    return [each for each in netns.sockets if each.protocol == "udp" and (each.receive_queue or 0) > size // 2]


def _fault(container: Container, lost: KernelCounter, full: list[Socket], proof: Evidence) -> Fault:
    where = f" on port {full[0].port}/udp" if full else ""
    return Fault(
        message=f"container `{container.name}` loses UDP packets{where}: {lost.value} so far found its buffer full",
        subjects=(Subject("container", container.name), *(Subject("port", f"{socket.port}/udp") for socket in full)),
        evidence=(proof, related(lost.span, "packets that found the buffer full")),
        remedy=(sh("{} restart {}", container.engine, container.name),),
        verify=(sh("nsenter --net={} nstat -asz {}", entrance(container), _COUNTER),),
    )
