"""Strict reverse path filter with asymmetric/multi-homed paths.

## What it finds
A host with several ways out that drops packets because they come in by another one than answers to their senders would
leave by.

## Why it matters
tcpdump shows the packets coming in, and no socket, container or firewall rule ever sees them. Clients behind one of the
uplinks, a VPN or a load balancer get no answer; all others are served.

## How it is decided
The kernel takes the greater of `net.ipv4.conf.all.rp_filter` and the interface's own; 1 is strict. Interfaces of the
host that lead outside count: those that are up, have an IPv4 address and are no bridge of an engine. There must be at
least two, one of them strict, and the kernel must have dropped for this reason: the counter `TcpExtIPReversePathFilter`
of `nstat`, at least 10 and 1 of 100000 packets received. Confidence is medium, because the counter does not tell the
interface.

## Not a problem when
The value is 2 (loose), the host has one uplink only, or what was dropped came from forged addresses.

## Repair
Let the filter be loose where paths are not symmetric, or make them symmetric with policy rules.

## Verify
The counter grows no more.

## References
kernel Documentation/networking/ip-sysctl.rst (rp_filter); RFC 3704; moby/moby#35251; kubernetes/kubernetes#124587.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import bridge_networks, related, sh
from netdiag.checks._sysctl import greater, interface_key, number, settings_known
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import KernelCounter, Link, Sysctl
from netdiag.model import Host
from netdiag.model.gates import unknown

COUNTER = "TcpExtIPReversePathFilter"
_STRICT, _LOOSE = 1, 2
_LEAST, _SHARE = 10, 1 / 100_000


@check(Severity.WARNING, layer="sysctl")
def sysctl_rp_filter_strict(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, settings_known(host, "how strict the reverse path filter is"))
    yield from others
    if not bridges:
        return
    outer = [link for link in host.root.links if _leads_outside(link)]
    if len(outer) < 2:
        if host.root.links.whole:
            yield NotApplicable("packets come in by one interface only")
        else:
            yield unjudged(unknown("which interfaces lead outside", "ip_addr", because=host.root.links.why))
        return
    strict = [(link, setting) for link in outer if (setting := greater(host.root, link.name, "rp_filter"))]
    strict = [(link, setting) for link, setting in strict if number(setting) == _STRICT]
    if not strict:
        return
    dropped, received = host.root.counter(COUNTER), host.root.counter("IpInReceives")
    if dropped is None:
        yield unjudged(unknown("whether the reverse path filter dropped packets", "nstat"))
    elif dropped.value >= _LEAST and dropped.value >= _SHARE * (received.value if received else 0):
        yield _fault(strict, outer, dropped)


def _leads_outside(link: Link) -> bool:
    """Not the loopback, nor a bridge of containers."""
    has_address = any(each.address.version == 4 and not each.address.ip.is_loopback for each in link.addresses)
    return link.up is not False and has_address and link.kind != "bridge"


def _fault(strict: list[tuple[Link, Sysctl]], outer: list[Link], dropped: KernelCounter) -> Fault:
    names = ", ".join(f"`{link.name}`" for link, _ in strict)
    keys = [interface_key(link.name, "rp_filter") for link, _ in strict]
    settings = dict.fromkeys(setting for _, setting in strict)
    return Fault(
        message=f"the host dropped {dropped.value} packets that came in by another interface than answers leave by; "
        f"the reverse path filter is strict on {names}",
        subjects=(
            *(Subject("sysctl", setting.key) for setting in settings),
            *(Subject("interface", link.name) for link, _ in strict),
        ),
        evidence=(
            Evidence(dropped.span, "dropped by the reverse path filter since the system began"),
            *(related(setting.span, "1 is strict") for setting in settings),
            *(related(link.span, "a way in and out") for link in outer[:4]),
        ),
        remedy=tuple(sh("sysctl -w {}={}", key, _LOOSE) for key in keys),
        verify=(f"nstat -asz {COUNTER}", *(sh("sysctl {}", key) for key in keys)),
        confidence=Confidence.MEDIUM,
    )
