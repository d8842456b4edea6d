"""NIC ring/driver drops.

## What it finds
A physical device that leads outside and had no room for packets that came in, while its ring could be larger.

## Why it matters
Packets are lost before the kernel sees them: they are sent again after a while, and everything stalls under load.

## How it is decided
Gates: a physical device leads outside (a member of a bond, the parent of a VLAN); the counters of its driver and its
rings were collected (`ethtool -S`, `ethtool -g`). Counted are those that drivers call `rx_missed_errors`,
`rx_no_buffer_count`, `rx_no_buffers`, `rx_fifo_errors`, `rx_out_of_buffer` or `rx_discards`: more than 100, and more
than 0.1 % of the packets that came in, and a ring for received packets that is smaller than the largest that the device
has. The counters tell of the time since the driver was loaded.

## Not a problem when
The ring is as large as it can be: then the CPUs are too slow, which softnet_stat shows.

## Repair
Make the ring larger, and for good in the configuration of the device.

## Verify
The counter stands still under load.

## References
ethtool(8); kernel Documentation/networking/statistics.rst.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._uplinks import nic_of, not_asked, physical_uplinks
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import DeviceCounter, Link, RingParameters
from netdiag.model import Host, Nic

_NO_ROOM = (
    "rx_missed_errors",
    "rx_no_buffer_count",
    "rx_no_buffers",
    "rx_fifo_errors",
    "rx_out_of_buffer",
    "rx_discards",
)
_MANY = 100
_PER_MILLE = 1000
_RING = "RX"


@check(Severity.WARNING, layer="link")
def perf_ring_drops(host: Host) -> Verdicts:
    devices, others = physical_uplinks(host)
    yield from others
    for link in devices:
        nic = nic_of(host, link)
        if not nic.counters:
            yield not_asked(link, f"what {link.name} had no room for", "-S")
            continue
        lost = _lost(nic, link)
        if lost and nic.rings is None:
            yield not_asked(link, f"how large the rings of {link.name} are", "-g")
        elif lost and nic.rings and _largest(nic.rings) > nic.rings.current.get(_RING, 0):
            yield _fault(link, lost, nic.rings)


def _lost(nic: Nic, link: Link) -> list[DeviceCounter]:
    """The counters that are high enough to say something."""
    received = link.details.get("rx.packets", "")
    packets = int(received) if received.isdecimal() else 0
    counters = (nic.counters.get(name) for name in _NO_ROOM)
    return [each for each in counters if each and each.value > _MANY and each.value * _PER_MILLE > packets]


def _largest(rings: RingParameters) -> int:
    return rings.maximum.get(_RING, 0)


def _fault(link: Link, lost: list[DeviceCounter], rings: RingParameters) -> Fault:
    worst = max(lost, key=lambda counter: counter.value)
    size, largest = rings.current.get(_RING, 0), _largest(rings)
    return Fault(
        message=f"`{link.name}` had no room for {worst.value} packets; its ring has {size} of {largest} places",
        subjects=(Subject("interface", link.name),),
        evidence=(
            *(Evidence(counter.span, "packets that came in and found no room") for counter in lost),
            related(rings.span, f"{size} places are used of {largest} that the device has"),
            related(link.span, link.name),
        ),
        remedy=(sh("ethtool -G {} rx {}", link.name, largest),),
        verify=(sh("ethtool -g {}", link.name), sh("ethtool -S {}", link.name)),
        confidence=Confidence.MEDIUM,
    )
