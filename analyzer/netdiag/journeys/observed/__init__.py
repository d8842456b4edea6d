"""From the events of traces to journeys of packets: which device had a packet when, and what became of it.

`_read` makes rows of events, `_join` says which belong to one packet, `_parts` which packets are pieces of others,
`_walk` goes through a trace of any length and keeps what is worth keeping, `_pairs` finds answers, `_where` whose a
device is, `drops` what a drop means, and `_tell` puts it all into the facts of `facts`. numpy is loaded only when
there is a trace.
"""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from netdiag import garbage
from netdiag.journeys.observed.facts import (
    Direction,
    Division,
    Drop,
    DropClass,
    Ending,
    Hop,
    Join,
    Journey,
    Latency,
    Loss,
    Observation,
    Outcome,
    Part,
    Path,
    Reason,
    RoundTrips,
    StaticReason,
    Step,
    Stop,
    Whereabouts,
)
from netdiag.model import Host, Traces

if TYPE_CHECKING:
    from netdiag.traces import TraceTable

__all__ = [
    "Direction",
    "Division",
    "Drop",
    "DropClass",
    "Ending",
    "Hop",
    "Join",
    "Journey",
    "Latency",
    "Loss",
    "Observation",
    "Outcome",
    "Part",
    "Path",
    "Reason",
    "RoundTrips",
    "StaticReason",
    "Step",
    "Stop",
    "Whereabouts",
    "observations",
    "observe",
]

_known: WeakKeyDictionary[Traces, tuple[Observation, ...]] = WeakKeyDictionary()


def observe(table: "TraceTable", host: Host) -> Observation:
    """What one trace, or a part of it, shows of packets."""
    from netdiag.journeys.observed import _tell  # noqa: PLC0415  # numpy, which few bundles need

    with garbage.collected_seldom():
        return _tell.observe(table, host)


def observations(host: Host) -> tuple[Observation, ...]:
    """What each trace of the bundle shows of packets, in the order of the bundle; made once for a host."""
    if not host.traces.traces:
        return ()
    if host.traces not in _known:
        found = (observe(trace.table, host) for trace in host.traces.traces)
        _known[host.traces] = tuple(each for each in found if each.packets or each.drops)
    return _known[host.traces]
