"""Listen backlog overflow.

## What it finds
A TCP socket of a container on which more connections wait to be accepted than it allows, so that the kernel drops new
ones.

## Why it matters
Clients see connections that hang and then fail, now and then, while the server seems to be healthy. Either the server
does not accept (it hangs, or is too slow), or the queue is too short for the load.

## How it is decided
In `ss -tln` inside the container's namespace, `Recv-Q` of a socket in LISTEN is the number of connections that wait and
`Send-Q` the most that may: more waiting than allowed is full. The counter TcpExtListenOverflows of `nstat` tells how
often that happened since the container was started; alone it proves nothing about now.

## Not a problem when
The queue is full for a moment only: collect again.

## Repair
Restart a server that does not accept. Where it is only slow to accept, give its socket a longer queue: the smaller of
the program's own backlog and the sysctl net.core.somaxconn of the container (`docker run --sysctl
net.core.somaxconn=4096`) counts, and the default of the kernel is 4096 since 5.4 and was 128 before.

## Verify
`Recv-Q` is back to 0, and TcpExtListenOverflows does not grow.

## References
listen(2); ip-sysctl of the kernel; docs.docker.com/reference/cli/docker/container/run (--sysctl).
"""

from netdiag.checks._base import Fault, Verdicts, check, sort_out
from netdiag.checks._docker import no_containers, other_containers, related, sh
from netdiag.checks._listeners import entrance
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Socket
from netdiag.model import Host, Namespace
from netdiag.model.gates import collected

_SETTING = "net.core.somaxconn"


@check(Severity.WARNING, layer="port")
def sysctl_somaxconn_low(host: Host) -> Verdicts:
    namespaces = [netns for netns in host.namespaces[1:] if netns.containers]
    if not namespaces:
        yield no_containers(host, "no container has a namespace of its own", "which containers drop connections")
        return
    judged, others = sort_out(
        namespaces,
        lambda netns: collected(netns.sockets, f"the sockets of {netns.name}"),
        "",
    )
    yield from others
    yield from other_containers(host, "which other containers drop connections")
    for netns in judged:
        container = host.container(netns.containers[0])
        for socket in netns.sockets:
            if container and _is_full(socket):
                yield _fault(container, netns, socket)


def _is_full(socket: Socket) -> bool:
    waiting, most = socket.receive_queue, socket.send_queue
    return socket.state == "LISTEN" and waiting is not None and most is not None and waiting > most


def _fault(container: Container, netns: Namespace, socket: Socket) -> Fault:
    program = f" of `{socket.processes[0].name}`" if socket.processes else ""
    setting = netns.sysctl(_SETTING)
    limited = setting is not None and setting.value == str(socket.send_queue)
    evidence = [Evidence(socket.span, f"{socket.receive_queue} connections wait, {socket.send_queue} may")]
    for name in ("TcpExtListenOverflows", "TcpExtListenDrops"):
        counter = netns.counter(name)
        if counter and counter.value:
            evidence.append(related(counter.span, "connections dropped so far"))
    if setting and limited:
        evidence.append(related(setting.span, "this sysctl limits the queue"))
    return Fault(
        message=f"the queue of port {socket.port}/tcp{program} in container `{container.name}` is full:"
        " new connections are dropped",
        subjects=(
            Subject("container", container.name),
            *((Subject("sysctl", _SETTING),) if limited else ()),
        ),
        evidence=tuple(evidence),
        remedy=(sh("{} restart {}", container.engine, container.name),),
        verify=(
            sh("nsenter --net={} ss -tln", entrance(container)),
            sh("nsenter --net={} nstat -asz TcpExtListenOverflows", entrance(container)),
        ),
    )
