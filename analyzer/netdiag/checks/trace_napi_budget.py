"""napi_poll work==budget constantly.

## What it finds
A device, or the backlog of the CPUs, whose polls nearly always found as many packets as one poll may take.

## Why it matters
The CPU that takes packets in is busy with nothing else and does not keep up: latency grows, then packets are dropped
at the ring of the device or at the backlog.

## How it is decided
`napi:napi_poll` tells for each poll how many packets it took (`work`) of how many it might have (`budget`). At least
200 polls of the device, more than half of them with all of the budget.

## Not a problem when
It is a short burst: then there are far fewer polls.

## Repair
Spread the packets over CPUs (RSS with more queues: `ethtool -L`; RPS: `/sys/class/net/DEVICE/queues/rx-0/rps_cpus`),
or have fewer of them (GRO, larger segments).

## Verify
`/proc/net/softnet_stat` counts no new time_squeeze (third column) and no drops (second column).

## References
Kernel Documentation/networking/napi.rst, scaling.rst; include/trace/events/napi.h.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._events import Tally, tallies
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host

#: include/trace/events/napi.h; before Linux 4.6 without work and budget. A backlog has no device.
_POLL = re.compile(r"for device (?P<device>\S+) work (?P<work>[0-9]+) budget (?P<budget>[0-9]+)")
_BACKLOG = "(no_device)"
_LEAST = 200


@check(Severity.WARNING, layer="trace", symptom_of=("sysctl-netdev-backlog-softnet", "perf-ring-drops"))
def trace_napi_budget(host: Host) -> Verdicts:
    found, others = tallies(host, "napi_poll")
    yield from others
    polls: dict[str, int] = defaultdict(int)
    full: dict[str, list[Tally]] = defaultdict(list)
    for tally in found:
        if poll := _POLL.search(tally.text):
            polls[poll["device"]] += tally.count
            if poll["work"] == poll["budget"]:
                full[poll["device"]].append(tally)
    for device, alike in full.items():
        ours = device == _BACKLOG or host.root.link(device) is not None
        if ours and polls[device] >= _LEAST and sum(each.count for each in alike) * 2 > polls[device]:
            yield _fault(host, device, alike, polls[device])


def _fault(host: Host, device: str, full: Sequence[Tally], polls: int) -> Fault:
    what = "the backlog of the CPUs" if device == _BACKLOG else f"`{device}`"
    subject = Subject("host", host.name) if device == _BACKLOG else Subject("interface", device)
    link = host.root.link(device)
    first = min(full, key=lambda each: each.line)
    count = sum(each.count for each in full)
    return Fault(
        message=f"{count} of {polls} polls of {what} took as many packets as a poll may take",
        subjects=(subject,),
        evidence=(
            Evidence(first.source.span(first.line), "all of the budget"),
            *((related(link.span, "the device"),) if link else ()),
        ),
        remedy=("cat /proc/net/softnet_stat; cat /proc/interrupts",),
        verify=("cat /proc/net/softnet_stat",),
    )
