"""Neighbour (ARP/ND) table near gc_thresh3.

## What it finds
A host whose neighbour table is nearly full, or whose kernel refused entries.

## Why it matters
The kernel has one table for each family, which all network namespaces share, and no more entries in it than
`gc_thresh3` (1024 unless somebody raised it). Past that, new neighbours get no entry (`neighbour: arp_cache: neighbor
table overflow!`): new containers are unreachable, and programs are told `No buffer space available`.

## How it is decided
The entries of `ip neigh` in all namespaces that were collected are counted for each family, without permanent ones and
those without ARP, which the kernel does not count. They are compared with `net.ipv4.neigh.default.gc_thresh3` and
`net.ipv6.neigh.default.gc_thresh3`: an error from 95 %, a warning from 80 %. Only the first network namespace of a
machine has these settings.

## Not a problem when
The entries are permanent, as those of overlay networks are. Swarm raises the thresholds itself.

## Repair
Raise the three thresholds together.

## Verify
The counts stay far below `gc_thresh3`.

## References
kernel Documentation/networking/ip-sysctl.rst (neigh/default/gc_thresh3); canonical/lxd#4799; moby/libnetwork#1842; moby
libnetwork/drivers/overlay (ostweaks_linux.go).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._sysctl import number
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Neighbour, Sysctl
from netdiag.model import Host
from netdiag.model.gates import unknown

_ERROR, _WARNING = 0.95, 0.80
_NOT_COUNTED = ("PERMANENT", "NOARP")
_FAMILIES = {4: "ipv4", 6: "ipv6"}

#: What swarm sets (moby libnetwork/drivers/overlay/ostweaks_linux.go).
_RAISED = (8192, 49152, 65536)


@check(Severity.ERROR, layer="conntrack")
def sysctl_neigh_table_overflow(host: Host) -> Verdicts:
    if not host.root.sysctls.items:
        yield unjudged(unknown("how many neighbours fit", "sysctl", because=host.root.sysctls.why))
        return
    limits = {version: host.root.sysctl(_key(version, 3)) for version in _FAMILIES}
    if not any(limits.values()):
        yield NotApplicable("this is not the machine's first network namespace, which has the thresholds")
        return
    if not host.root.neighbours.items and not host.root.neighbours.whole:
        yield unjudged(unknown("how many neighbours there are", "ip_neigh", because=host.root.neighbours.why))
        return
    for version, limit in limits.items():
        counted = [entry for entry in _neighbours(host) if entry.address.version == version]
        share = len(counted) / (number(limit) or 1) if limit else 0.0
        if limit and number(limit) and share >= _WARNING:
            yield _fault(host, version, counted, limit, share)


def _key(version: int, number: int) -> str:
    return f"net.{_FAMILIES[version]}.neigh.default.gc_thresh{number}"


def _neighbours(host: Host) -> list[Neighbour]:
    """The entries that count, of every namespace."""
    return [entry for netns in host.namespaces for entry in netns.neighbours if entry.state not in _NOT_COUNTED]


def _fault(host: Host, version: int, counted: list[Neighbour], limit: Sysctl, share: float) -> Fault:
    first = counted[0].span.source
    last = max(entry.span.line for entry in counted if entry.span.source is first)
    values = [max(value, 2 * (number(host.root.sysctl(_key(version, place))) or 0)) for place, value in _thresholds()]
    keys = [_key(version, place) for place, _ in _thresholds()]
    settings = [f"{key}={value}" for key, value in zip(keys, values, strict=True)]
    return Fault(
        message=f"the neighbour table of IPv{version} has {len(counted)} entries of {limit.value.strip()} "
        f"({100 * share:.0f} %)",
        subjects=(Subject("sysctl", limit.key), Subject("host", host.name)),
        evidence=(
            Evidence(limit.span, f"no more than so many; {len(counted)} were found"),
            related(first.span(counted[0].span.line), "the entries of this list begin here"),
            related(first.span(last), "and end here"),
        ),
        remedy=(
            f"sysctl -w {' '.join(reversed(settings))}",
            f"printf '%s\\n' {' '.join(settings)} >/etc/sysctl.d/99-neighbours.conf",
        ),
        verify=("ip neigh | wc -l", f"sysctl {' '.join(keys)}"),
        severity=Severity.ERROR if share >= _ERROR else Severity.WARNING,
        confidence=Confidence.HIGH,
    )


def _thresholds() -> list[tuple[int, int]]:
    return list(enumerate(_RAISED, start=1))
