"""Softnet drops / time_squeeze.

## What it finds
A CPU that dropped incoming packets because its queue (backlog) was full.

## Why it matters
All that goes through veths and bridges waits in this queue. What is dropped there is counted for no interface and no
firewall rule: connections stutter under load, and with a thousand containers on a bridge each broadcast (ARP) is a
thousand packets at once.

## How it is decided
The second column of /proc/net/softnet_stat, for each CPU since the system began: at least 100 drops, and at least 1 of
10000 packets that the CPU processed. The third column (`time_squeeze`) alone is no finding: it grows on every busy
host.

## Not a problem when
The drops are few beside the packets, and old.

## Repair
Make the queue longer, and spread the packets over more CPUs.

## Verify
The column does not grow under the same load.

## References
kernel Documentation/networking/scaling.rst; kernel Documentation/admin-guide/sysctl/net.rst (netdev_max_backlog,
netdev_budget); moby/moby#44973.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._sysctl import number
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import SoftnetCounters
from netdiag.model import Host
from netdiag.model.gates import collected

KEY = "net.core.netdev_max_backlog"
_LEAST = 100
_SHARE = 1 / 10_000
_DEFAULT = 1000


@check(Severity.WARNING, layer="conntrack")
def sysctl_netdev_backlog_softnet(host: Host) -> Verdicts:
    known = collected(host.softnet, "how many packets each CPU dropped")
    if not known.yes:
        yield unjudged(known)
        return
    dropping = [cpu for cpu in host.softnet if cpu.dropped >= _LEAST and cpu.dropped >= _SHARE * cpu.processed]
    if dropping:
        yield _fault(host, dropping)


def _fault(host: Host, dropping: list[SoftnetCounters]) -> Fault:
    backlog = host.root.sysctl(KEY)
    longer = max(10 * _DEFAULT, 2 * (number(backlog) or 0))
    return Fault(
        message=f"CPUs dropped {sum(cpu.dropped for cpu in dropping)} incoming packets because their queue was full",
        subjects=(Subject("sysctl", KEY), Subject("host", host.name)),
        evidence=(
            *(Evidence(cpu.span, _told(cpu)) for cpu in dropping[:4]),
            *((related(backlog.span, "the longest that the queue may be"),) if backlog else ()),
        ),
        remedy=(
            f"sysctl -w {KEY}={longer}",
            f"echo '{KEY} = {longer}' >/etc/sysctl.d/99-backlog.conf",
        ),
        verify=("cat /proc/net/softnet_stat",),
    )


def _told(cpu: SoftnetCounters) -> str:
    which = "" if cpu.cpu is None else f"CPU {cpu.cpu} "
    return f"{which}dropped {cpu.dropped} of {cpu.processed + cpu.dropped} packets (second column, hexadecimal)"
