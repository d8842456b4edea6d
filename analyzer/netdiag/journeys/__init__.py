"""Journeys: where packets went, as traces show (`observed`). Where they would go, as the model says, is not built yet.

A check asks:

    from netdiag.journeys import observations

    for seen in observations(host):      # one Observation a trace of the bundle; () without any; computed once a host
        seen.recorded                    # the events of packets by name: what is not in it was not recorded
        seen.losses                      # events that are missing, with line and time
        for path in seen.paths:          # the ways that packets took, the most frequent first
            path.stops                   # devices with namespace, direction, and latency to the next (ns)
            path.endings                 # {Ending: count}; Ending.outcome is one of five
            path.doubtful                # of the unknown outcomes those that a loss or the capture's end may explain
            path.why                     # what the model knows that may explain the end, with its line
        for journey in seen.journeys:    # packets that are kept whole: first ones, slowest, those that did not arrive
            journey.hops                 # with their events, CPUs, tasks, latencies
            journey.answers              # the line of the request's first event; journey.round_trip in ns
            journey.part                 # what it is a piece of; its own pieces are journey.cut_into, .made_of
        for drop in seen.drops:          # kfree_skb by reason, place, device: drop.reason.kind, .benign, .text
            ...
        seen.round_trips                 # distributions of request and answer
        seen.span(line)                  # evidence: every line number of these facts is one of the trace's source

All of that is in `netdiag.journeys.observed.facts`. Nothing there judges: an ending that is unknown is no fault yet.
"""

from netdiag.journeys.observed import observations

__all__ = ["observations"]
