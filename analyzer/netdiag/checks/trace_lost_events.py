"""Trace lost events - negative conclusions invalid.

## What it finds
A trace from which events are missing: they came faster than the tracer could write them away, or the kernel gave none.

## Why it matters
A packet that was not seen may have been there all the same. What the trace does show stays true; that something did
not happen, and how often something happened, is no longer to be had from it.

## How it is decided
perf and trace-cmd say where they lost events and how many: `PERF_RECORD_LOST`, `LOST n events!`, `[n EVENTS
DROPPED]`. They cannot say it where the kernel gives no event of what it does while it interrupts certain tasks. That
shows where packets go into a queue and not out of it by the trace, and the queue's counters say that it let them go:
it dropped no more than the trace shows, and has none left. Other checks of traces are less sure of their conclusions
then, and say so.

## Not a problem when
The question is answered by what was seen.

## Repair
Trace a shorter time, less traffic or fewer events, or give the tracer larger buffers.

## Verify
The new trace has no such line.

## References
perf-record(1), `--mmap-pages`; trace-cmd-record(1), `-b`.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._traces import MOST_LINES, Unseen, evidence_at, packets, unseen
from netdiag.finding import Evidence, Severity, Subject
from netdiag.journeys import observations
from netdiag.journeys.observed.facts import Ending, Observation
from netdiag.model import Host, Trace

_REMEDY = "perf record -a -m 8M -e net:net_dev_queue -e net:netif_receive_skb -e skb:kfree_skb -- sleep 5"
_OTHER_TRACER = "trace-cmd record -e net:net_dev_queue -e net:net_dev_xmit -e skb:kfree_skb sleep 5"
_VERIFY = "perf script --show-lost-events | grep -c LOST"


@check(Severity.NOTE, layer="trace")
def trace_lost_events(host: Host) -> Verdicts:
    if not host.traces.traces:
        yield NotApplicable("the bundle has no trace")
    for trace in host.traces.traces:
        if len(trace.table.losses):
            yield _fault(trace)
    for seen in observations(host):
        yield from (_silent(seen, gone) for gone in unseen(host, seen))


def _fault(trace: Trace) -> Fault:
    losses = trace.table.losses
    counts = losses.values("count")
    known = [count for count in counts if count >= 0]
    least = "" if known == counts else "at least "
    lost = f"{least}{sum(known)} events" if known else "events"
    first, *others = (trace.source.span(line) for line in losses.values("line")[:MOST_LINES])
    label = "events are missing here"
    return Fault(
        message=f"the trace lost {lost}: what it does not show may have happened all the same",
        subjects=(Subject("bundle", trace.source.path),),
        evidence=(Evidence(first, label), *(related(span, label) for span in others)),
        remedy=(_REMEDY,),
        verify=(_VERIFY,),
    )


def _silent(seen: Observation, gone: Unseen) -> Fault:
    last = (each.hops[-1] for each in seen.journeys if each.ending is Ending.QUEUED and not each.doubt)
    lines = [hop.steps[-1].line for hop in last if hop.where.device == gone.place.device]
    counted = f"its queue let {packets(gone.queue.sent)} go between the two looks, and {gone.queue.waiting} wait"
    return Fault(
        message=f"{gone.place.words} sent {packets(gone.count)} more than the trace shows, which ended too soon or "
        "lacks events: what it does not show may have happened all the same",
        subjects=gone.place.subjects,
        evidence=(*evidence_at(seen, lines, "not seen to be sent"), related(gone.queue.span, counted)),
        remedy=(_OTHER_TRACER,),
        verify=(sh("tc -s qdisc show dev {}", gone.place.device),),
    )
