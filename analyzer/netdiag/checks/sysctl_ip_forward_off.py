"""net.ipv4.ip_forward=0.

## What it finds
A host that does not forward IPv4 packets although it has bridge networks.

## Why it matters
No packet passes from a container to the outside or from the outside to a published port. Containers on one bridge still
reach each other, and the host still reaches them, which makes the fault look like a firewall's.

## How it is decided
Gates: the engine is here and has a bridge network that is meant to reach the outside. The sysctl decides; without it
the `IPv4Forwarding` of `docker info` does.

## Not a problem when
All containers use the host's network, macvlan or ipvlan, or only internal networks.

## Repair
Switch forwarding on, and keep it on with a file in /etc/sysctl.d; look there for the line that switches it off.

## Verify
The sysctl reads 1.

## References
moby/moby#47966; docker/for-linux#840; kernel Documentation/networking/ip-sysctl.rst.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, bridge_networks, outward_networks
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import unknown
from netdiag.spans import Span

KEY = "net.ipv4.ip_forward"


@check(Severity.ERROR, layer="sysctl")
def sysctl_ip_forward_off(host: Host) -> Verdicts:
    known = _forwarding(host)
    if known and known[0]:
        return
    if known is None:
        yield unjudged(unknown(f"whether the host forwards packets ({KEY})", "sysctl"))
        return
    outward, others = outward_networks(bridge_networks(host))
    yield from others
    if outward:
        yield _fault(known[1], outward)


def _forwarding(host: Host) -> tuple[bool, Span] | None:
    """Whether the host forwards, and the line that says so."""
    sysctl = host.root.sysctl(KEY)
    if sysctl:
        return sysctl.value.strip() != "0", sysctl.span
    info = host.engine.info
    if info and info.ipv4_forwarding is not None:
        return info.ipv4_forwarding, info.span
    return None


def _fault(span: Span, outward: list[BridgeNetwork]) -> Fault:
    names = ", ".join(f"`{bridge.network.name}`" for bridge in outward)
    return Fault(
        message=f"the host does not forward IPv4 packets, so networks {names} end at the host",
        subjects=(Subject("sysctl", KEY),),
        evidence=(Evidence(span, "forwarding is off"),),
        remedy=(f"sysctl -w {KEY}=1", f"echo '{KEY} = 1' >/etc/sysctl.d/99-docker-forward.conf"),
        verify=(f"sysctl {KEY}", "grep -r ip_forward /etc/sysctl.conf /etc/sysctl.d"),
    )
