"""half duplex / unexpectedly low speed.

## What it finds
A physical device that leads outside and runs with half duplex, or slower than it can at less than 1000 Mbit/s.

## Why it matters
With half duplex both sides cannot send at once: packets collide, and under load most of them are lost. Both are usually
the work of a bad cable, or of a switch whose port was set by hand while the device negotiates.

## How it is decided
Gates: a physical device leads outside (a member of a bond, the parent of a VLAN); its settings were collected (`ethtool
DEVICE`). `Duplex: Half` decides; so does a speed below 1000 Mbit/s where the supported link modes have a faster one.

## Not a problem when
The speed is unknown: virtual devices have none. The device or the network cannot do more.

## Repair
Set both ends to negotiate; else look at the cable and the switch.

## Verify
`ethtool` shows `Duplex: Full` and the speed of the switch.

## References
ethtool(8); IEEE 802.3 clause 28 (autonegotiation).
"""

import re

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._uplinks import nic_of, not_asked, physical_uplinks
from netdiag.checks._veths import words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link, LinkSettings
from netdiag.model import Host

_GIGABIT = 1000
_MODE = re.compile(r"(?<!\S)(\d+)base")


@check(Severity.WARNING, layer="link")
def perf_half_duplex_speed(host: Host) -> Verdicts:
    devices, others = physical_uplinks(host)
    yield from others
    for link in devices:
        settings = nic_of(host, link).settings
        if settings is None:
            yield not_asked(link, f"the speed of {link.name}", "")
        elif settings.duplex == "half" or _is_slow(settings):
            yield _fault(link, settings)


def _is_slow(settings: LinkSettings) -> bool:
    """Slower than a gigabit, and than the device can."""
    modes = [int(mode) for mode in _MODE.findall(settings.details.get("Supported link modes", ""))]
    return settings.speed is not None and settings.speed < _GIGABIT and max(modes, default=0) > settings.speed


def _fault(link: Link, settings: LinkSettings) -> Fault:
    what = f"{settings.speed} Mbit/s" if settings.speed else "an unknown speed"
    evidence = []
    if settings.duplex == "half":
        evidence.append(Evidence(words_of(settings.span, "Duplex: Half"), "both sides cannot send at once"))
    if _is_slow(settings):
        evidence.append(Evidence(words_of(settings.span, f"Speed: {settings.speed}Mb/s"), "it can do more"))
    evidence.append(related(link.span, link.name))
    return Fault(
        message=f"`{link.name}` runs at {what}, {settings.duplex or 'unknown'} duplex",
        subjects=(Subject("interface", link.name),),
        evidence=tuple(evidence),
        remedy=(sh("ethtool -s {} autoneg on", link.name),),
        verify=(sh("ethtool {}", link.name),),
    )
