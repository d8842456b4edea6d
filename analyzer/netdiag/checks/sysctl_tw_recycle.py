"""tcp_tw_recycle=1 behind NAT (kernel <4.12).

## What it finds
A host or a container in which `net.ipv4.tcp_tw_recycle` is on.

## Why it matters
The kernel then expects the TCP timestamps of one address to grow from connection to connection. Containers and clients
behind one NAT share an address and have clocks of their own: connections of all but one of them are dropped at random,
without any counter that people look at but `TcpExtPAWSPassiveRejected` (`TCPTimeWait` drops).

## How it is decided
The value of `net.ipv4.tcp_tw_recycle` in each namespace that was collected. The setting went away with kernel 4.12.

## Not a problem when
The setting does not exist, or is 0. `tcp_tw_reuse`, which has a similar name, is harmless.

## Repair
Switch it off, and take it out of /etc/sysctl.d, where tuning guides of old put it.

## Verify
The setting reads 0.

## References
kernel commit 4396e46187ca ("tcp: remove tcp_tw_recycle"); kernel Documentation/networking/ip-sysctl.txt of 4.11.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._namespaces import entering, name_of_owner, subject_of
from netdiag.checks._sysctl import number
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown

KEY = "net.ipv4.tcp_tw_recycle"


@check(Severity.ERROR, layer="sysctl")
def sysctl_tw_recycle(host: Host) -> Verdicts:
    if not host.root.sysctls.items:
        yield unjudged(unknown(f"whether TCP connections are recycled ({KEY})", "sysctl"))
        return
    for netns in host.namespaces:
        setting = netns.sysctl(KEY)
        if setting and number(setting):
            yield _fault(host, netns, setting)


def _fault(host: Host, netns: Namespace, setting: Sysctl) -> Fault:
    enter = entering(host, netns)
    return Fault(
        message=f"{name_of_owner(host, netns)} drops connections of clients that share an address ({KEY} is on)",
        subjects=(Subject("sysctl", KEY), subject_of(host, netns)),
        evidence=(Evidence(setting.span, "timestamps of one address must grow from connection to connection"),),
        remedy=(f"{enter}sysctl -w {KEY}=0",),
        verify=(f"{enter}sysctl {KEY}",),
    )
