"""net_dev_xmit_timeout.

## What it finds
A network device whose driver did not send for so long that the kernel's watchdog reset it.

## Why it matters
All packets of that device wait or are lost meanwhile: connections stall for seconds, again and again. It is a fault
of the driver, the firmware or the hardware, not of routes or rules.

## How it is decided
The event `net:net_dev_xmit_timeout` in a trace, or `NETDEV WATCHDOG` in the kernel's log.

## Not a problem when
It was once, long ago: the log has no end.

## Repair
Update driver and firmware (`ethtool -i`); look at the cable, the switch port and the host's virtual machine monitor.
As a stopgap set the device down and up.

## Verify
The kernel's log has no new line of it.

## References
Kernel net/sched/sch_generic.c, dev_watchdog; include/trace/events/net.h.
"""

import re
from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._events import events
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.spans import Span

_EVENT = "net_dev_xmit_timeout"
_LOG = re.compile(r"NETDEV WATCHDOG: (?P<device>\S+) ")
_MOST_LINES = 3


@check(Severity.ERROR, layer="trace")
def trace_tx_timeout(host: Host) -> Verdicts:
    traced, others = events(host, _EVENT)
    found: dict[str, list[Span]] = defaultdict(list)
    for event in traced:
        found[event.device].append(event.span)
    for message in host.kernel_log:
        if match := _LOG.search(message.text):
            found[match["device"]].append(message.span)
    if not found and not host.kernel_log.whole:
        yield from others
    for device, spans in found.items():
        yield _fault(device, spans)


def _fault(device: str, spans: list[Span]) -> Fault:
    times = f" {len(spans)} times" if len(spans) > 1 else ""
    return Fault(
        message=f"the driver of `{device}` did not send for so long that the kernel reset the device{times}",
        subjects=(Subject("interface", device),),
        evidence=(
            Evidence(spans[0], "the watchdog"),
            *(related(span, "once more") for span in spans[1:_MOST_LINES]),
        ),
        remedy=(sh("ethtool -i {}", device), sh("ethtool -S {}", device)),
        verify=("dmesg | grep 'NETDEV WATCHDOG'",),
    )
