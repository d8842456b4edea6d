"""Host-side veth of a running container is DOWN.

## What it finds
The host end of a running container's veth pair without the UP flag.

## Why it matters
The container has no network at all: its interface has no carrier, and its port of the bridge is disabled.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; both the host's links and those
of the container's namespace were collected. The two ends are joined because each names the other's ifindex and both are
veths; the flag `UP` of the host's end decides. In the container the interface shows `NO-CARRIER` and stays UP.

## Not a problem when
The interface is macvlan or ipvlan: the number after `@if` is its parent's then, and there is no pair. A paused
container keeps its carrier.

## Repair
Set the veth up; then keep NetworkManager, systemd-networkd or scripts from taking down interfaces that they do not
know.

## Verify
The flags have UP again, `bridge link` shows the port in state forwarding, and the container's gateway answers.

## References
moby/moby#26492; ip-link(8).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, port_of, setting_span
from netdiag.finding import Evidence, Severity
from netdiag.model import Host
from netdiag.model.gates import unknown


@check(Severity.ERROR, layer="link")
def link_veth_down(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    for port in ports:
        if port.outer.up is None:
            yield unjudged(unknown(f"whether {port.outer.name} is up", "ip_addr", because="its flags are not told"))
        elif not port.outer.up:
            yield _fault(host, port)


def _fault(host: Host, port: ContainerPort) -> Fault:
    veth = port.outer.name
    evidence = [
        Evidence(port.outer.span, "the flag UP is missing"),
        related(port.inner.span, f"its other end, in container {port.container}"),
        related(port.attachment.endpoint.span, f"the container is on network {port.network}"),
    ]
    found = port_of(host, port.outer)
    if found and found.state:
        evidence.append(related(setting_span(found, f"state {found.state}"), "its port of the bridge"))
    return Fault(
        message=f"`{veth}`, the host's end of container `{port.container}` on network `{port.network}`, is down",
        subjects=port.subjects,
        evidence=tuple(evidence),
        remedy=(sh("ip link set dev {} up", veth),),
        verify=(sh("ip link show dev {}", veth), sh("bridge link show dev {}", veth)),
    )
