"""veth ends or ports of one bridge have different MTU.

## What it finds
A running container's veth pair whose ends have different MTUs, or containers of one bridge network with different ones.

## Why it matters
A veth or a bridge drops a frame that is larger than the MTU of the interface that it shall leave by, and tells nobody:
no ICMP message, because no router is involved. Small requests work; large datagrams, and TCP segments that were not put
together by an offload, vanish.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; both the host's links and those
of the container's namespace were collected. It is an error when the host's end is the smaller one, because then the
container itself sends frames that vanish, else a warning. The MTU of the bridge device does not count: it follows its
ports.

## Not a problem when
All containers and both ends have the same MTU, whatever the bridge shows.

## Repair
Give both ends, and all containers of the network, the same MTU.

## Verify
All of them show the same MTU, and a large datagram passes (`ping -M do -s 1472`).

## References
kernel include/linux/netdevice.h (__is_skb_forwardable), net/bridge/br_forward.c; ip-link(8).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._mtu import set_mtu
from netdiag.checks._veths import ContainerPort, container_ports, in_namespace, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import unknown

_MOST_SHOWN = 8


@check(Severity.ERROR, layer="mtu")
def mtu_veth_mismatch(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    even: dict[str, list[ContainerPort]] = defaultdict(list)
    for port in ports:
        if port.outer.mtu is None or port.inner.mtu is None:
            yield unjudged(unknown(f"the MTU of container {port.container}", "ip_addr", because="it is not told"))
        elif port.outer.mtu != port.inner.mtu:
            yield _of_a_pair(port, port.outer.mtu, port.inner.mtu)
        else:
            even[port.bridge].append(port)
    for on_bridge in even.values():
        if len({port.inner.mtu for port in on_bridge}) > 1:
            yield _of_a_bridge(on_bridge)


def _of_a_pair(port: ContainerPort, outer: int, inner: int) -> Fault:
    return Fault(
        message=(
            f"`{port.inner.name}` of container `{port.container}` has MTU {inner}, and `{port.outer.name}`, its end on "
            f"the host, {outer}"
        ),
        subjects=port.subjects,
        evidence=(
            Evidence(words_of(port.inner.span, f"mtu {inner}"), f"the end in container {port.container}"),
            Evidence(words_of(port.outer.span, f"mtu {outer}"), "the end on the host"),
            related(port.attachment.endpoint.span, f"the container is on network {port.network}"),
        ),
        remedy=(sh("ip link set dev {} mtu {}", port.outer.name, inner),),
        verify=_verify([port]),
        severity=Severity.WARNING if outer > inner else None,
    )


def _of_a_bridge(ports: Sequence[ContainerPort]) -> Fault:
    counted = Counter(port.inner.mtu for port in ports)
    usual, _ = max(counted.items(), key=lambda item: (item[1], item[0] or 0))
    odd = [port for port in ports if port.inner.mtu != usual]
    first = next(port for port in ports if port.inner.mtu == usual)
    names = ", ".join(f"`{port.container}` has {port.inner.mtu}" for port in odd[:_MOST_SHOWN])
    return Fault(
        message=f"containers on bridge `{first.bridge}` differ in MTU: most have {usual}, {names}",
        subjects=(
            *first.attachment.bridge.subjects,
            *dict.fromkeys(Subject("container", port.container) for port in odd),
        ),
        evidence=(
            *(_shown(port) for port in odd[:_MOST_SHOWN]),
            related(words_of(first.inner.span, f"mtu {usual}"), f"the MTU of container {first.container}"),
        ),
        remedy=set_mtu(odd, usual or 0),
        verify=_verify([first, *odd[:_MOST_SHOWN]]),
        severity=Severity.WARNING,
    )


def _shown(port: ContainerPort) -> Evidence:
    return Evidence(words_of(port.inner.span, f"mtu {port.inner.mtu}"), f"the MTU of container {port.container}")


def _verify(ports: Sequence[ContainerPort]) -> tuple[str, ...]:
    return (
        *(sh("ip link show dev {}", port.outer.name) for port in ports),
        *(in_namespace(port.attachment.container, sh("ip link show dev {}", port.inner.name)) for port in ports),
    )
