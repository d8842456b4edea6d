"""Fixed published port inside ip_local_port_range.

## What it finds
A port that containers publish by its number and that the kernel may also give to any outgoing connection of the host.

## Why it matters
As long as the container runs, it has the port. While it is stopped or restarted, an outgoing connection can get the
port by chance; then the container is not started: "address already in use". That happens seldom, and is gone at the
next try.

## How it is decided
The number that `HostConfig.PortBindings` asks for lies in the sysctl net.ipv4.ip_local_port_range and not in
net.ipv4.ip_local_reserved_ports. Ports that the engine chose itself are from that range by design, and are passed over.
One note names all of them.

## Not a problem when
The container is restarted seldom, and somebody sees it when it fails.

## Repair
Reserve the ports: the kernel does not hand out reserved ones. For good in a file of /etc/sysctl.d.

## Verify
The sysctl has them.

## References
ip-sysctl of the kernel (ip_local_reserved_ports); moby libnetwork/portallocator.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import no_containers, other_containers, related
from netdiag.checks._sysctl import range_of, ranges_in
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Sysctl, WantedPort
from netdiag.model import Host
from netdiag.model.gates import has_own_namespace, is_running, unknown
from netdiag.model.knowledge import all_of

_RANGE, _RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"
_MOST_NAMED = 5


@check(Severity.NOTE, layer="port")
def port_ephemeral_overlap(host: Host) -> Verdicts:
    fixed = [
        (container, port)
        for container in host.containers
        for port in container.wanted_ports or ()
        if port.host_port and all_of(is_running(container), has_own_namespace(container)).yes
    ]
    if not fixed:
        yield no_containers(
            host, "no running container asks for a port of the host by its number", "which ports containers ask for"
        )
        return
    handed_out, reserved = host.root.sysctl(_RANGE), host.root.sysctl(_RESERVED)
    limits = range_of(handed_out)
    if handed_out is None or limits is None or reserved is None:
        yield unjudged(unknown("which ports the kernel hands out", "sysctl"))
        return
    spared = ranges_in(reserved.value)
    found = [
        (container, port)
        for container, port in fixed
        if port.host_port and limits[0] <= port.host_port <= limits[1] and not _lies_in(port.host_port, spared)
    ]
    if found:
        yield _note(found, handed_out, reserved)
    yield from other_containers(host, "which ports other containers ask for")


def _lies_in(number: int, ranges: list[tuple[int, int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _note(found: list[tuple[Container, WantedPort]], handed_out: Sysctl, reserved: Sysctl) -> Fault:
    named = [f"{port.host_port}/{port.protocol} of `{container.name}`" for container, port in found]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    numbers = sorted({(port.host_port or 0, port.last_host_port or 0) for _, port in found})
    wanted = [str(first) if first == last else f"{first}-{last}" for first, last in numbers]
    together = ",".join(filter(None, [reserved.value.strip(), *wanted]))
    return Fault(
        message=f"the kernel may hand out published ports to outgoing connections: {', '.join(named[:_MOST_NAMED])}"
        f"{more}",
        subjects=(
            *dict.fromkeys(Subject("port", f"{port.host_port}/{port.protocol}") for _, port in found),
            Subject("sysctl", _RESERVED),
        ),
        evidence=(
            Evidence(handed_out.span, "from these the kernel takes the ports of outgoing connections"),
            related(reserved.span, "and spares these"),
            *(related(port.span, f"container {container.name} asks for it") for container, port in found[:_MOST_NAMED]),
        ),
        remedy=(f"sysctl -w {_RESERVED}={together}",),
        verify=(f"sysctl {_RANGE} {_RESERVED}",),
    )
