"""Kernel refuses to free a netdevice (`unregister_netdevice: waiting for X to become free`).

## What it finds
The kernel's complaint that it cannot free an interface of a namespace that is gone, more than once in its log.

## Why it matters
The kernel holds a lock while it waits: `docker run`, `docker stop` and everything else that makes or deletes an
interface hang until it is over, which may be never. The host has to be started anew.

## How it is decided
Gates: the kernel's log was collected (`dmesg`). It repeats the message every ten seconds, so one alone is what a busy
host says of an interface that was free a moment later, and a note.

## Not a problem when
It was said once, or has ended: then the last message is older than the collection by more than ten seconds.

## Repair
Start the host anew, and update its kernel: the references are leaked by bugs of the kernel (IPv6 routes, connection
tracking, sockets of containers that are gone).

## Verify
The message does not come any more, and containers start and stop.

## References
moby/moby#5618; moby/moby#18156; coreos/bugs#254; docker/for-linux#842; kernel net/core/dev.c (netdev_wait_allrefs).
"""

import re
from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import KernelMessage
from netdiag.model import Host
from netdiag.model.gates import collected

_WAITS = re.compile(r"unregister_netdevice: waiting for (\S+) to become free\. Usage count = -?\d+")


@check(Severity.ERROR, layer="link")
def link_unregister_netdevice_hang(host: Host) -> Verdicts:
    gate = collected(host.kernel_log, "what the kernel said")
    if not gate.yes:
        yield unjudged(gate)
        return
    said: dict[str, list[KernelMessage]] = defaultdict(list)
    for message in host.kernel_log:
        found = _WAITS.search(message.text)
        if found:
            said[found.group(1)].append(message)
    repeated = {name: messages for name, messages in said.items() if len(messages) > 1}
    for name, messages in repeated.items():
        yield _fault(name, messages)
    if said and not repeated:
        name, messages = next(iter(said.items()))
        yield _fault(name, messages)


def _fault(name: str, messages: list[KernelMessage]) -> Fault:
    first, last = messages[0], messages[-1]
    evidence = [Evidence(first.span, f"the first of {len(messages)} such messages")]
    if last is not first:
        evidence.append(related(last.span, "the last one"))
    times = f"{len(messages)} times" if last is not first else "once"
    return Fault(
        message=f"the kernel said {times} that it waits for interface `{name}` of a deleted namespace to become free",
        subjects=(Subject("host", "host"), Subject("interface", name)),
        evidence=tuple(evidence),
        remedy=("systemctl reboot",),
        verify=("dmesg -T | grep unregister_netdevice",),
        severity=None if last is not first else Severity.NOTE,
    )
