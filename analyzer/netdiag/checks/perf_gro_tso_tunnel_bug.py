"""Offloads that break packets of tunnels or NAT, by the kernel's own word (`skb_warn_bad_offload`).

## What it finds
The kernel's complaint that it had to send a packet that was to be cut up or to get its checksum later, and that the
device or the tunnel on its way does not do that.

## Why it matters
Such packets are dropped or sent wrong. Small ones pass, large ones do not: overlay networks and tunnels come down to
some kilobytes a second, while the host's own connections are fast.

## How it is decided
Gates: the kernel's log was collected (`dmesg`). A message `WARNING: ... skb_warn_bad_offload` counts, or the line that
stands beside it and names what could not do it: `NAME: caps=(0x..., 0x...)`, a device, or the driver of a physical one,
which is looked up in what `ethtool -i` tells. Nothing is said of offloads that are only known to be troublesome, nor of
retransmissions, which do not tell an offload from a lossy line: perf-tcp-retrans finds those.

## Not a problem when
It was said once, long ago, while something was changed: the log goes back to the start of the system.

## Repair
Switch the offloads of the device off, one after the other, and look whether it ends; for good in the configuration of
the device. Update the kernel: most of these are bugs that were repaired.

## Verify
The message does not come any more.

## References
kernel net/core/dev.c (skb_warn_bad_offload); moby/moby#41902; moby/moby#44481; moby/moby#37373; the patch "net: gre" of
netdev, 2025-08-05 (throughput of GRE falls to 0 with bnxt_en and ice); ethtool(8).
"""

import re
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import KernelMessage
from netdiag.model import Host
from netdiag.model.gates import collected

_WARNING = re.compile(r"WARNING: .*\bskb_warn_bad_offload\+0x")
_FIND = "for d in /sys/class/net/*; do ethtool -i ${d##*/}; done  # then: ethtool -K DEVICE tso off gro off"
_NAMED = re.compile(r"(\S+): caps=\(0x[0-9a-f]+, 0x[0-9a-f]+\)")


@check(Severity.WARNING, layer="link")
def perf_gro_tso_tunnel_bug(host: Host) -> Verdicts:
    gate = collected(host.kernel_log, "what the kernel said")
    if not gate.yes:
        yield unjudged(gate)
        return
    warnings = [message for message in host.kernel_log if _WARNING.search(message.text)]
    named: dict[str, KernelMessage] = {}
    for message in host.kernel_log:
        found = _NAMED.search(message.text)
        if found:
            named.setdefault(found.group(1), message)
    if warnings or named:
        yield _fault(host, warnings, named)


def _fault(host: Host, warnings: list[KernelMessage], named: dict[str, KernelMessage]) -> Fault:
    devices = list(dict.fromkeys(device for name in named for device in _devices(host, name)))
    names = ", ".join(f"`{name}`" for name in named) or "a device"
    proofs = [*named.values(), *warnings][:1]
    others = [*list(named.values())[1:], *warnings][:3]
    return Fault(
        message=f"the kernel said that packets came to {names} with offloads that it cannot do",
        subjects=(Subject("host", host.name or "host"), *(Subject("interface", device) for device in devices)),
        evidence=(
            *(Evidence(message.span, "the kernel's complaint") for message in proofs),
            *(related(message.span, "with it") for message in others if message not in proofs),
            *_of_devices(host, devices),
        ),
        remedy=tuple(sh("ethtool -K {} tso off gro off", device) for device in devices) or (_FIND,),
        verify=("dmesg -T | grep -e skb_warn_bad_offload -e caps=",),
    )


def _devices(host: Host, name: str) -> Iterator[str]:
    """The devices of that name, or whose driver has it."""
    if host.root.link(name):
        yield name
    yield from (nic.name for nic in host.root.nics if nic.driver and nic.driver.driver == name)


def _of_devices(host: Host, devices: list[str]) -> Iterator[Evidence]:
    for device in devices:
        nic, link = host.root.nic(device), host.root.link(device)
        if nic and nic.driver:
            yield related(nic.driver.span, f"the driver of {device}")
        elif link:
            yield related(link.span, device)
