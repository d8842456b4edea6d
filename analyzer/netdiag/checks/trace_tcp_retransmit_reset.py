"""tcp_retransmit_skb / tcp_send_reset / tcp_receive_reset bursts for container flows.

## What it finds
TCP connections of this host and its containers that had to send again and again, or could not even be opened; and
ports that answered many connections with a reset.

## Why it matters
Sending again is what slow connections are made of. A first packet (SYN) that is sent again means that nobody answered
at all: it was dropped on the way, or the answer was.

## How it is decided
`tcp:tcp_retransmit_skb` tells addresses and ports of what was sent again. A connection counts when it sent again 3
times or more, or its first packet twice. It belongs to this host when at the same moment, on the same CPU, a device
that the bundle knows got the packet to send. Ports that sent 10 resets or more are a note.

## Not a problem when
The other end is far away and its network loses packets. A reset is the normal answer of a port where nobody listens,
and of a program that ends with unread data.

## Repair
Follow the packet: the trace's drops, `trace-one-way`, and the filter checks tell where it ends.

## Verify
`nstat -az TcpRetransSegs TcpExtTCPSynRetrans` stands still while the connection is opened.

## References
Kernel include/trace/events/tcp.h; RFC 6298.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._events import Event, device_at, events
from netdiag.checks._traces import MOST_LINES, Place, places
from netdiag.finding import Evidence, Severity, Subject
from netdiag.journeys.observed.facts import Whereabouts
from netdiag.model import Host

_AGAIN, _RESET = "tcp_retransmit_skb", "tcp_send_reset"
_LEAST, _LEAST_SYN, _LEAST_RESETS = 3, 2, 10
#: The states of include/net/tcp_states.h as the event prints them: a number, or a name since Linux 4.16.
_SYN_SENT = ("2", "0x2", "TCP_SYN_SENT")
#: Events of one connection of which it is asked who sent.
_MOST_PLACED = 5

#: Address and port of whoever sent, then of the other end, as the event prints them.
_Flow = tuple[str, str, str, str]


@check(
    Severity.WARNING,
    layer="trace",
    symptom_of=(
        "trace-drop-netfilter",
        "trace-drop-reason-map",
        "trace-queued-not-xmitted",
        "trace-one-way",
        "filter-docker-user-drop",
        "filter-user-drop-before-docker",
        "filter-foreign-nft-drop",
        "filter-isolation-cross-network",
        "perf-tcp-retrans",
    ),
)
def trace_tcp_retransmit_reset(host: Host) -> Verdicts:
    found, others = events(host, _AGAIN, _RESET)
    yield from others
    senders = _Senders(host)
    again: dict[_Flow, list[Event]] = defaultdict(list)
    resets: dict[str, list[Event]] = defaultdict(list)
    for event in found:
        fields = event.fields
        if event.name == _AGAIN and {"saddr", "daddr"} <= fields.keys():
            again[fields["saddr"], fields.get("sport", ""), fields["daddr"], fields.get("dport", "")].append(event)
        elif event.name == _RESET:
            resets[fields.get("src", fields.get("saddr", ""))].append(event)
    for flow, sent in again.items():
        yield from _of_flow(senders, flow, sent)
    for source, sent in resets.items():
        if source and len(sent) >= _LEAST_RESETS and (place := senders.place(sent)):
            yield _note(source, sent, place)


class _Senders:
    """Whose packets events of TCP speak of. Names that several namespaces have tell nothing."""

    def __init__(self, host: Host) -> None:
        names = Counter(link.name for netns in host.namespaces for link in netns.links)
        self._host = host
        self._devices = [link.name for link in host.root.links if names[link.name] == 1]

    def place(self, sent: Sequence[Event]) -> Place | None:
        device = device_at(self._host, sent[:_MOST_PLACED], self._devices)
        root = self._host.root
        return places(self._host).of(Whereabouts(device, root.id, root.name)) if device else None


def _of_flow(senders: _Senders, flow: _Flow, sent: Sequence[Event]) -> Iterator[Fault]:
    opening = [event for event in sent if event.fields.get("state") in _SYN_SENT]
    if len(sent) < _LEAST and len(opening) < _LEAST_SYN:
        return
    place = senders.place(sent)
    if place is None:
        return
    source, _, destination, port = flow
    what = "sent the first packet of a connection" if opening else "sent packets"
    yield Fault(
        message=f"{source} {what} to {destination}:{port} again, {len(sent)} times, by {place.words}",
        subjects=(*place.subjects, Subject("address", destination)),
        evidence=_evidence(sent, place, "sent again"),
        remedy=(f"nstat -az TcpRetransSegs TcpExtTCPSynRetrans; ss -tino dst {destination}",),
        verify=("nstat -az TcpRetransSegs TcpExtTCPSynRetrans",),
    )


def _note(source: str, sent: Sequence[Event], place: Place) -> Fault:
    return Fault(
        message=f"{source} answered {len(sent)} packets with a reset, by {place.words}",
        subjects=(*place.subjects, Subject("address", source)),
        evidence=_evidence(sent, place, "a reset"),
        remedy=("ss -lntp",),
        verify=("nstat -az TcpOutRsts",),
        severity=Severity.NOTE,
    )


def _evidence(sent: Sequence[Event], place: Place, label: str) -> tuple[Evidence, ...]:
    first, *others = sent[:MOST_LINES]
    return (Evidence(first.span, label), *(related(event.span, label) for event in others), *place.shown)
