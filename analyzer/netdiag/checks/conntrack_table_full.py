"""nf_conntrack table full.

## What it finds
A network namespace that tracks nearly as many connections as the kernel allows, or that had to throw out tracked ones
since it began.

## Why it matters
When the table is full, the kernel drops the first packet of every new connection that it has to track (`nf_conntrack:
table full, dropping packet` in its log): names do not resolve, ports answer at random, even ssh to the host fails. What
is tracked already goes on working.

## How it is decided
`nf_conntrack_count` of each namespace, the host's and each container's, is compared with `nf_conntrack_max`, which is
the same for all of them: an error from 90 %, a warning from 75 %. Below that, the counter `early_drop` of `conntrack
-S` tells that the table was full at some time since the system began: a note.

## Not a problem when
The counters of drops are old. The number of hash buckets says nothing about the limit.

## Repair
Raise the limit (a tracked connection takes about 320 bytes) and the number of buckets with it; shorten
`nf_conntrack_tcp_timeout_established` (5 days), which keeps connections that ended without a word; find who opens so
many.

## Verify
The count stays far below the limit, and `early_drop` does not grow.

## References
kernel Documentation/networking/nf_conntrack-sysctl.rst; conntrack(8); kubernetes/kubernetes#71261; moby/moby#18630.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._namespaces import name_of_owner, subject_of
from netdiag.checks._sysctl import number
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown

COUNT, MAX = "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max"
_ERROR, _WARNING = 0.90, 0.75
_LARGEST_DOUBLED = 4_000_000


@check(Severity.ERROR, layer="conntrack")
def conntrack_table_full(host: Host) -> Verdicts:
    if not host.root.sysctls.items:
        yield unjudged(unknown("how many connections are tracked", "sysctl", because=host.root.sysctls.why))
        return
    limit = host.root.sysctl(MAX)
    if limit is None or not number(limit):
        if limit is None and host.root.sysctls.whole:
            yield NotApplicable("the kernel does not track connections here")
        elif limit is None:
            yield unjudged(unknown(f"how many connections may be tracked ({MAX})", "sysctl"))
        return
    full = False
    for netns in host.namespaces:
        count = netns.sysctl(COUNT)
        share = (number(count) or 0) / (number(limit) or 1)
        if count and share >= _WARNING:
            full = True
            yield _fault(host, netns, count, limit, Severity.ERROR if share >= _ERROR else Severity.WARNING)
    if not full:
        yield from _was_full(host, limit)


def _fault(host: Host, netns: Namespace, count: Sysctl, limit: Sysctl, severity: Severity) -> Fault:
    share = 100 * (number(count) or 0) // (number(limit) or 1)
    of_most = f"{count.value.strip()} connections of {limit.value.strip()} at most ({share} %)"
    return Fault(
        message=f"{name_of_owner(host, netns)} tracks {of_most}",
        subjects=(Subject("sysctl", MAX), subject_of(host, netns)),
        evidence=(
            Evidence(count.span, "tracked when the bundle was collected"),
            related(limit.span, "the most that the kernel tracks"),
            *_early_drops(host),
        ),
        remedy=_raise(limit),
        verify=(f"sysctl {COUNT} {MAX}", "conntrack -S"),
        severity=severity,
    )


def _was_full(host: Host, limit: Sysctl) -> Verdicts:
    drops = _early_drops(host)
    if drops:
        yield Fault(
            message="the table of tracked connections has been full since the system began",
            subjects=(Subject("sysctl", MAX),),
            evidence=(Evidence(drops[0].span, drops[0].label), *drops[1:], related(limit.span, "the most that fit")),
            remedy=_raise(limit),
            verify=("conntrack -S", f"sysctl {COUNT} {MAX}"),
            severity=Severity.NOTE,
        )


def _early_drops(host: Host) -> list[Evidence]:
    """The CPUs that threw out tracked connections for want of room."""
    counted = [(each, each.counters.get("early_drop", 0)) for each in host.conntrack]
    return [related(each.span, f"thrown out for want of room: {drops}") for each, drops in counted if drops][:3]


def _raise(limit: Sysctl) -> tuple[str, ...]:
    most = number(limit) or 0
    raised = max(most, min(2 * most, _LARGEST_DOUBLED))
    return (
        f"sysctl -w {MAX}={raised}",
        f"echo '{MAX} = {raised}' >/etc/sysctl.d/99-conntrack.conf",
        f"echo {raised // 4} >/sys/module/nf_conntrack/parameters/hashsize",
    )
