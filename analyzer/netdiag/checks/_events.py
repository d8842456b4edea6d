"""Single events of traces that tell of no packet's way: resets and retransmissions of TCP, polls of drivers."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from netdiag.checks._base import NotApplicable
from netdiag.model import Host, Trace
from netdiag.spans import Source, Span

_FIELD = re.compile(r"(\w+)=(\S+)")

#: Events of which each is looked at; more of a kind that is rare say nothing new.
_MOST = 20_000
#: What one call of the kernel does is done within this time.
_AT_ONCE = 1_000_000  # ns


@dataclass(frozen=True)
class Event:
    """One event. `time` is in ns of the trace's own clock, `device` empty when the event has none; `text` is what its
    line says besides.
    """

    source: Source
    line: int
    time: int
    cpu: int
    name: str
    device: str
    text: str

    @property
    def fields(self) -> Mapping[str, str]:
        """What the line says by names, apart from the columns of a trace's table."""
        return dict(_FIELD.findall(self.text))

    @property
    def span(self) -> Span:
        return self.source.span(self.line)


def device_at(host: Host, sent: Sequence[Event], devices: Collection[str]) -> str:
    """The first of these devices that had a packet on the CPU of one of the events in the moment of that; or empty."""
    for trace in host.traces.traces:
        mine = [event for event in sent if event.source is trace.source]
        for batch in trace.table.event_batches() if mine else ():
            rows = batch.take(batch.isin("device", devices))
            found = sorted(zip(*map(rows.values, ("time", "cpu", "device")), strict=True), key=itemgetter(0))
            for event in mine:
                first = bisect_left(found, event.time - _AT_ONCE, key=itemgetter(0))
                last = bisect_right(found, event.time + _AT_ONCE, key=itemgetter(0))
                for _, cpu, device in found[first:last]:
                    if cpu == event.cpu:
                        return str(device)
    return ""


@dataclass(frozen=True)
class Tally:
    """How many events of one name say the same, and the line of the first."""

    source: Source
    text: str
    count: int
    line: int


def events(host: Host, *names: str) -> tuple[list[Event], list[NotApplicable]]:
    """The events of these names in all traces of the bundle, and what to say where there are none."""
    found = [event for trace in host.traces.traces for event in _events(trace, names)]
    return found, [] if found else [none_of(host, names)]


def _events(trace: Trace, names: tuple[str, ...]) -> Iterator[Event]:
    left = _MOST
    for batch in trace.table.event_batches():
        rows = batch.take(batch.isin("name", names))
        columns = map(rows.values, ("line", "time", "cpu", "name", "device", "rest"))
        for told in islice(zip(*columns, strict=True), left):
            left -= 1
            yield Event(trace.source, *told)


def tallies(host: Host, name: str) -> tuple[list[Tally], list[NotApplicable]]:
    """What the events of one name say, each text once and with its number; and what to say where there are none."""
    found = [tally for trace in host.traces.traces for tally in _tallies(trace, name)]
    return found, [] if found else [none_of(host, (name,))]


def _tallies(trace: Trace, name: str) -> Iterator[Tally]:
    counts: dict[str, tuple[int, int]] = {}
    for batch in trace.table.event_batches():
        rows = batch.take(batch.isin("name", {name}))
        lines = rows["line"]
        for (text,), count, place in rows.tally("rest"):
            before, first = counts.get(text, (0, int(lines[place])))
            counts[text] = before + count, first
    for text, (count, line) in counts.items():
        yield Tally(trace.source, text, count, line)


def none_of(host: Host, names: tuple[str, ...]) -> NotApplicable:
    """Why there are no such events: an event that never came may as well not have been asked for."""
    named = " or ".join(names)
    return NotApplicable(
        f"no trace in the bundle has {named}" if host.traces.traces else "the bundle has no trace of packets"
    )
