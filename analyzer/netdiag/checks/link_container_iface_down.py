"""Container interface administratively DOWN.

## What it finds
The interface of a running container's endpoint without the UP flag, inside the container.

## Why it matters
The container has no network by this interface, and the kernel has taken away all its routes that used it, the default
route too: programs in the container say `Network is unreachable`.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; the links of its namespace were
collected. The interface is the one with the endpoint's address or MAC address and with a veth of the host as its peer,
so that the unused `tunl0`, `sit0` or `gre0` that every namespace has are not looked at. The flag `UP` decides; the
host's end shows `NO-CARRIER`.

## Not a problem when
The interface shows `NO-CARRIER` and UP: then the host's end is down, which link-veth-down says.

## Repair
Set the interface up and put the default route back, which does not come back by itself; or restart the container. Then
look for what took it down: a process with the capability NET_ADMIN, such as a VPN client, or the container's own start
script.

## Verify
The flags have UP, and the default route is there.

## References
ip-link(8); kernel fib_disable_ip (net/ipv4/fib_frontend.c).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import interface_of, related, sh
from netdiag.checks._veths import ContainerPort, container_ports, in_namespace
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import reaches_outside, unknown


@check(Severity.ERROR, layer="link")
def link_container_iface_down(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    for port in ports:
        if port.inner.up is None:
            what = f"whether {port.inner.name} of container {port.container} is up"
            yield unjudged(unknown(what, "ip_addr", because="its flags are not told"))
        elif not port.inner.up:
            yield _fault(host, port)


def _fault(host: Host, port: ContainerPort) -> Fault:
    return Fault(
        message=f"interface `{port.inner.name}` of container `{port.container}` is down",
        subjects=(Subject("container", port.container), Subject("interface", port.inner.name)),
        evidence=(
            Evidence(port.inner.span, "the flag UP is missing"),
            related(port.outer.span, "its other end, on the host, has no carrier"),
            related(port.attachment.endpoint.span, f"the container is on network {port.network}"),
        ),
        remedy=_remedy(host, port),
        verify=(
            in_namespace(port.attachment.container, sh("ip link show dev {}", port.inner.name)),
            in_namespace(port.attachment.container, "ip route"),
        ),
        affects=(interface_of(port.attachment.container, port.attachment.endpoint),),
    )


def _remedy(host: Host, port: ContainerPort) -> tuple[str, ...]:
    """The interface up, and its default route when the container now has none."""
    commands = [in_namespace(port.attachment.container, sh("ip link set dev {} up", port.inner.name))]
    netns, gateway = host.namespace_of(port.attachment.container), port.attachment.endpoint.gateway
    has_default = netns is not None and any(route.destination.prefixlen == 0 for route in netns.routes)
    if gateway and not has_default and not reaches_outside(port.attachment.bridge.network).no:
        route = sh("ip route replace default via {} dev {}", gateway, port.inner.name)
        commands.append(in_namespace(port.attachment.container, route))
    return tuple(commands)
