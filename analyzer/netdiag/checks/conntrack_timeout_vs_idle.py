"""Short conntrack/LB timeouts cut idle connections.

## What it finds
A host that forgets established TCP connections before the first keepalive packet is sent.

## Why it matters
A connection that is idle for longer (a pool of database connections, ssh) is not known any more when it goes on: the
packets of the other side are answered with a reset or dropped. It shows as errors after exactly so many minutes of
silence.

## How it is decided
Gates: the engine is here and has a local bridge network that is meant to reach outside.
`nf_conntrack_tcp_timeout_established` of the host is compared with `tcp_keepalive_time` of each container's namespace,
the host's own where the bundle does not show them. The kernel's defaults are 432000 and 7200 seconds.

## Not a problem when
The programs send something more often than the time-out, or set a keepalive of their own; nobody keeps idle
connections.

## Repair
Raise the time-out above the keepalive time, or start the containers with a shorter one (`docker run --sysctl
net.ipv4.tcp_keepalive_time=...`).

## Verify
The time-out is the longer one.

## References
kernel Documentation/networking/nf_conntrack-sysctl.rst; kernel Documentation/networking/ip-sysctl.rst
(tcp_keepalive_time); moby/moby#31208.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import bridge_networks, outward_networks, related, sh
from netdiag.checks._sysctl import number, settings_known
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown

TIMEOUT, KEEPALIVE = "net.netfilter.nf_conntrack_tcp_timeout_established", "net.ipv4.tcp_keepalive_time"
_DEFAULT_TIMEOUT = 432000


@check(Severity.NOTE, layer="conntrack")
def conntrack_timeout_vs_idle(host: Host) -> Verdicts:
    outward, others = outward_networks(
        bridge_networks(host, settings_known(host, "when idle connections are forgotten"))
    )
    yield from others
    if not outward:
        return
    timeout = host.root.sysctl(TIMEOUT)
    if timeout is None:
        yield NotApplicable("the kernel does not track connections here")
        return
    seconds = number(timeout)
    if seconds is None:
        yield unjudged(unknown(f"when idle connections are forgotten ({TIMEOUT})", "sysctl"))
        return
    idle = [(netns, setting) for netns, setting in _keepalives(host) if (number(setting) or 0) > seconds]
    if idle:
        yield _fault(timeout, idle)


def _keepalives(host: Host) -> list[tuple[Namespace, Sysctl]]:
    inside = [(netns, setting) for netns in host.namespaces[1:] if (setting := netns.sysctl(KEEPALIVE))]
    own = host.root.sysctl(KEEPALIVE)
    return inside or ([(host.root, own)] if own else [])


def _fault(timeout: Sysctl, idle: list[tuple[Namespace, Sysctl]]) -> Fault:
    longest = max(number(setting) or 0 for _, setting in idle)
    names = [f"`{netns.name}`" for netns, _ in idle[:4]] + ([f"{len(idle) - 4} more"] if len(idle) > 4 else [])
    return Fault(
        message=f"the host forgets idle TCP connections after {timeout.value.strip()} seconds, before the first "
        f"keepalive of {', '.join(names)} (after {longest})",
        subjects=(Subject("sysctl", TIMEOUT),),
        evidence=(
            Evidence(timeout.span, "an established connection is forgotten after so many seconds of silence"),
            *(related(setting.span, f"the first keepalive in {netns.name}") for netns, setting in idle[:3]),
        ),
        remedy=(sh("sysctl -w {}={}", TIMEOUT, max(_DEFAULT_TIMEOUT, 2 * longest)),),
        verify=(f"sysctl {TIMEOUT} {KEEPALIVE}",),
    )
