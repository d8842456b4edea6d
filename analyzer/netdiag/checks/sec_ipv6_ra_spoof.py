"""Containers can give the host IPv6 routes by router advertisements (CVE-2020-13401).

## What it finds
A bridge of Docker on which the host accepts router advertisements.

## Why it matters
Any container on the bridge can make itself the host's IPv6 router by one packet, for which it needs no more than
Docker's default rights. Then it reads and changes what the host sends by IPv6, names that resolve to IPv6 first
included.

## How it is decided
Gate: the sysctls of the host are in the bundle. accept_ra of the bridge is 2, or 1 while the bridge does not forward
IPv6, and disable_ipv6 is 0. Docker sets accept_ra to 0 for each bridge that it makes since 19.03.11. Another value is
of an older engine or of somebody's own, or the kernel made the settings anew from those of `default`, as it does when
the MTU of the bridge was below 1280 for a while. One note names all of them.

## Not a problem when
IPv6 is off on the bridge.

## Repair
Do not accept router advertisements there. For good: Docker 19.03.11 or newer.

## Verify
The sysctl is 0, and no route by the bridge is of `proto ra`.

## References
CVE-2020-13401; moby libnetwork/drivers/bridge (setupDefaultSysctl); ip-sysctl of the kernel (accept_ra).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Sysctl
from netdiag.model import Host
from netdiag.model.gates import collected, unknown

_MOST_NAMED = 5


@check(Severity.NOTE, layer="security")
def sec_ipv6_ra_spoof(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, collected(host.root.sysctls, "the sysctls of the host"))
    yield from others
    accepting: list[tuple[BridgeNetwork, Sysctl]] = []
    for bridge in bridges:
        accepts = _setting(host, bridge, "accept_ra")
        if accepts and _is_effective(host, bridge, accepts):
            accepting.append((bridge, accepts))
        elif accepts is None and host.root.link(bridge.device) and not host.root.sysctls.whole:
            yield unjudged(unknown(f"whether {bridge.device} accepts router advertisements", "sysctl"))
    if accepting:
        yield _note(host, accepting)


def _setting(host: Host, bridge: BridgeNetwork, name: str) -> Sysctl | None:
    return host.root.sysctl(f"net.ipv6.conf.{bridge.device}.{name}")


def _is_effective(host: Host, bridge: BridgeNetwork, accepts: Sysctl) -> bool:
    off, forwards = _setting(host, bridge, "disable_ipv6"), _setting(host, bridge, "forwarding")
    if off is None or off.value != "0":
        return False
    return accepts.value == "2" or (accepts.value == "1" and forwards is not None and forwards.value == "0")


def _note(host: Host, accepting: list[tuple[BridgeNetwork, Sysctl]]) -> Fault:
    devices = [bridge.device for bridge, _ in accepting]
    learned = [
        route
        for route in host.root.ipv6_routes
        if route.protocol == "ra" and any(hop.device in devices for hop in route.next_hops)
    ]
    named = ", ".join(f"`{bridge.network.name}`" for bridge, _ in accepting[:_MOST_NAMED])
    more = f" and {len(accepting) - _MOST_NAMED} more" if len(accepting) > _MOST_NAMED else ""
    return Fault(
        message=f"the host accepts IPv6 router advertisements from containers of network {named}{more}",
        subjects=tuple(subject for bridge, _ in accepting for subject in bridge.subjects),
        evidence=(
            *(
                Evidence(accepts.span, f"accepted on bridge {bridge.device}")
                for bridge, accepts in accepting[:_MOST_NAMED]
            ),
            *(related(route.span, "somebody on the bridge has given this route") for route in learned[:3]),
        ),
        remedy=(
            *(sh("sysctl -w {}=0", accepts.key) for _, accepts in accepting),
            *(sh("ip -6 route flush dev {} proto ra", device) for device in devices if learned),
        ),
        verify=tuple(sh("sysctl {}", accepts.key) for _, accepts in accepting[:_MOST_NAMED]),
    )
