"""What traces show of packets: journeys, the paths that they share, drops, and round trips. Facts only, without numpy.

Times are integer nanoseconds of the trace's own clock, spans of time nanoseconds. `line` is the 1-based line of the
trace's source. A journey is known by the line of its first event (`Journey.line`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby, pairwise

from netdiag.finding import Confidence
from netdiag.spans import Source, Span


class Direction(Enum):
    """Whether a device sends a packet or receives it. What goes into a veth's one end is received at the other."""

    SENDS = "sends"
    RECEIVES = "receives"


class Outcome(Enum):
    """What became of a packet, as far as the trace shows it."""

    DELIVERED = "delivered"  #: a socket read it, or the kernel used it up, after a device had received it
    RECEIVED = "received"  #: the protocols of a namespace got it; the trace does not show more
    LEFT = "left"  #: a device sent it whose other end is not in the trace
    DROPPED = "dropped"
    DIVIDED = "went on in pieces"  #: journeys of their own
    UNKNOWN = "unknown"  #: the next event is missing: the capture ended, events were lost, or the packet got lost


class Ending(Enum):
    """The last thing that the trace shows of a packet."""

    COPIED = "copied"  #: a process read it from its socket
    CONSUMED = "consumed"  #: the kernel freed it as done
    HANDED_UP = "handed up"  #: `netif_receive_skb`: given to the protocols (or to a bridge) of the device
    MERGED = "merged"  #: given to GRO, which may have made it a part of another packet
    SENT = "sent"  #: the driver took it; nothing is known to be behind the device in this trace
    FREED = "freed"  #: `kfree_skb`, of which the reason says whether it matters
    REFUSED = "refused"  #: the device took it and answered with an error (`rc` of `net_dev_xmit`)
    CUT = "cut"  #: the device or IP cut it into pieces
    QUEUED = "queued"  #: given to the device's queue, not seen to be sent
    ENTERED = "entered"  #: in the backlog of a CPU (`netif_rx`), not seen to come out
    CROSSING = "crossing"  #: sent into a veth, not seen at its other end
    BRIDGING = "bridging"  #: sent by a bridge or another upper device, not seen at a device below

    @property
    def outcome(self) -> Outcome:
        return _OUTCOMES[self]

    @property
    def text(self) -> str:
        """What became of the packet, for people who do not know the kernel's words."""
        return _TEXTS[self]


_OUTCOMES = {
    Ending.COPIED: Outcome.DELIVERED,
    Ending.CONSUMED: Outcome.DELIVERED,
    Ending.HANDED_UP: Outcome.RECEIVED,
    Ending.MERGED: Outcome.RECEIVED,
    Ending.SENT: Outcome.LEFT,
    Ending.FREED: Outcome.DROPPED,
    Ending.REFUSED: Outcome.DROPPED,
    Ending.CUT: Outcome.DIVIDED,
    Ending.QUEUED: Outcome.UNKNOWN,
    Ending.ENTERED: Outcome.UNKNOWN,
    Ending.CROSSING: Outcome.UNKNOWN,
    Ending.BRIDGING: Outcome.UNKNOWN,
}


_TEXTS = {
    Ending.COPIED: "read by a process",
    Ending.CONSUMED: "used up",
    Ending.HANDED_UP: "received",
    Ending.MERGED: "put into another by GRO",
    Ending.SENT: "sent",
    Ending.FREED: "dropped",
    Ending.REFUSED: "refused by the device",
    Ending.CUT: "cut into pieces",
    Ending.QUEUED: "queued, not seen to be sent",
    Ending.ENTERED: "in the backlog, not seen to come out",
    Ending.CROSSING: "sent into the veth, not seen at its other end",
    Ending.BRIDGING: "sent by the bridge, not seen at a port",
}


class Join(Enum):
    """Why an event is taken for the same packet as the one before it of the same skb address.

    The address alone proves nothing: the kernel gives it to another packet as soon as one is freed.
    """

    SAME_DEVICE = "the next step of the same device"
    WITHIN_SEND = "sent on while the device above it was sending"
    CROSSED = "received at the other end while it was being sent"
    PEERS = "received at the other end of a veth pair"
    HANDED_UP = "passed from a port to its bridge"
    PASSED_UP = "received by a second device in the same moment, as a bridge does"
    FORWARDED = "sent on as the next step of the same CPU"
    SENT_ON = "sent on in the same moment, with other packets between"
    ASKED = "kept until the address of its next hop, which was asked for at once, was there"
    WAITED = "kept, with others, until the address of its next hop was there"
    NEXT_SENT = "sent by the next device with one address and length; nothing else was recorded"
    ENDED = "freed or read in the same moment"
    ENDED_LATER = "freed or read later"
    NEVER = ""  #: the first event

    @property
    def confidence(self) -> Confidence:
        if self is Join.NEXT_SENT:
            return Confidence.LOW
        return Confidence.MEDIUM if self in _DOUBTFUL else Confidence.HIGH


_DOUBTFUL = {Join.PEERS, Join.PASSED_UP, Join.SENT_ON, Join.WAITED, Join.ENDED_LATER}
#: Joins after which a packet goes on that had been kept for want of a neighbour's address.
_WAITED_FOR_NEIGHBOUR = frozenset({Join.ASKED, Join.WAITED})


@dataclass(frozen=True)
class Whereabouts:
    """Whose a device is. `namespace` is the id in the model, empty when it is not known; `name` is for people:
    `host`, `container web`, a namespace's name, or empty. `why` tells how it is known, when not by the name alone.
    """

    device: str
    namespace: str = ""
    name: str = ""
    confidence: Confidence = Confidence.HIGH
    why: str = ""

    @property
    def text(self) -> str:
        """`container web eth0`; a device of the host, or one of which nothing more is known, by its name alone."""
        device = self.device or "a device without a name"
        return f"{self.name} {device}" if self.name not in ("", "host") else device


@dataclass(frozen=True)
class Step:
    """One event of a packet. `cpu` and `pid` are None when the trace does not tell; `pid` and `task` are whoever was
    running then, who need not have to do with the packet.
    """

    event: str
    time: int
    line: int
    cpu: int | None
    pid: int | None
    task: str
    length: int | None
    rc: int | None  #: of `net_dev_xmit` only


@dataclass(frozen=True)
class Hop:
    """One device on the way of a packet. `start` is the time of its first event, `end` of its last one, which for a
    sending device may come after events of the next hop: `net_dev_xmit` tells that the driver has returned.

    `latency` is from its start to the start of the next hop, or of the last one to the end of the journey.
    """

    where: Whereabouts
    direction: Direction
    start: int
    end: int
    latency: int
    join: Join
    steps: tuple[Step, ...]

    @property
    def length(self) -> int | None:
        return self.steps[0].length


class DropClass(Enum):
    """What a drop means, as `drop_reasons.csv` and `drop_places.csv` tell it for each reason and place."""

    TEARDOWN = "teardown"
    NOT_FOR_US = "not for us"
    TAPPED = "tapped"
    CONSUMED = "consumed"
    FILTER = "filter"
    RP_FILTER = "rp_filter"
    NO_ROUTE = "no route"
    FORWARDING_OFF = "forwarding off"
    NO_NEIGHBOUR = "no neighbour"
    NO_SOCKET = "no socket"
    SOCKET_FULL = "socket full"
    BACKLOG = "backlog"
    QUEUE = "queue"
    DEVICE = "device"
    BRIDGE = "bridge"
    MTU = "mtu"
    CHECKSUM = "checksum"
    HEADER = "header"
    ADDRESS = "address"
    TRAFFIC_CONTROL = "traffic control"
    POLICY = "policy"
    TCP = "tcp"
    TUNNEL = "tunnel"
    LOOP = "loop"
    PROTOCOL = "protocol"
    MEMORY = "memory"
    OTHER = "other"


@dataclass(frozen=True)
class Reason:
    """Why a packet was dropped. `name` is the kernel's (`NETFILTER_DROP`), empty when the kernel or the trace gives
    none; `text` says it in words. `benign` is a drop that happens on healthy hosts and that nobody misses.
    """

    name: str
    kind: DropClass
    benign: bool
    text: str


@dataclass(frozen=True)
class Drop:
    """Packets that `kfree_skb` freed for one reason at one place of the kernel, on one path.

    `printed` is the reason as the trace has it, a name or a number; `location` the function or address that freed them.
    `where` is the last device before, None when the packet had none. `path` is the number of the path, None when the
    trace shows nothing of the packet but the drop. `lines` are those of the first few, `protocol` the EtherType.
    """

    reason: Reason
    printed: str
    location: str
    where: Whereabouts | None
    path: int | None
    protocol: int | None
    count: int
    first: int
    last: int
    lines: tuple[int, ...]


class Division(Enum):
    """How a packet came to be in pieces; the value names one piece."""

    SEGMENT = "segment"  #: cut in software for a device that takes no long packets of TCP or UDP (GSO)
    FRAGMENT = "fragment"  #: cut by IP, because it is longer than the MTU
    MERGED = "merged"  #: GRO passes on several packets of one flow as one, with the address of the first


@dataclass(frozen=True)
class Part:
    """What a packet is a piece of: the `number`-th of `of`, in the order of their first events. `whole` is the journey
    of what was cut, or of what was put together again, None where no event shows that. `first` is the journey of the
    first piece. With a confidence below HIGH only lengths and order tell it.
    """

    how: Division
    whole: int | None
    first: int
    number: int
    of: int
    confidence: Confidence


@dataclass(frozen=True)
class Journey:
    """One packet. `path` is the number of its path. `arrived` is the time of the last event of a device, `ended` the
    time when it was freed or read, None when the trace does not show that.

    `doubt` says why an unknown outcome may mean nothing: events were lost, or the capture ended. `copy_of` is the
    journey of the packet that this one is a copy or a part of (a bridge floods copies), `answers` the journey that it
    is the answer to, with `round_trip` from that one's start to this one's arrival. It `may_not_answer` it when their
    lengths differ or other packets of that way were waiting for an answer. `drop` is the reason of a drop.
    `part` says what it is a piece of, `put_into` is the journey of which GRO made it a part. `cut_into` and `made_of`
    are the journeys of its own pieces.
    """

    line: int
    path: int
    hops: tuple[Hop, ...]
    start: int
    arrived: int
    ending: Ending
    outcome: Outcome
    ended: int | None
    confidence: Confidence
    length: int | None
    protocol: int | None
    doubt: str = ""
    drop: Reason | None = None
    rc: int | None = None
    end_step: Step | None = None
    begins_midway: bool = False
    copy_of: int | None = None
    answers: int | None = None
    round_trip: int | None = None
    may_not_answer: bool = False
    part: Part | None = None
    put_into: int | None = None
    cut_into: tuple[int, ...] = ()
    made_of: tuple[int, ...] = ()

    @property
    def time(self) -> int:
        """From the first event to the last one of a device."""
        return self.arrived - self.start

    @property
    def over(self) -> int:
        """When it was dropped; else the last event of a device, since what has arrived may be read much later."""
        return self.ended if self.drop and self.ended is not None else self.arrived

    @property
    def took(self) -> int:
        """From the first event until it was over."""
        return self.over - self.start

    @property
    def waited_for_neighbour(self) -> int:
        """How long the kernel kept it because it did not know the address of its next hop (by ARP, or the neighbour
        discovery of IPv6).
        """
        return sum(one.latency for one, other in pairwise(self.hops) if other.join in _WAITED_FOR_NEIGHBOUR)


@dataclass(frozen=True)
class Latency:
    """A distribution of times, in nanoseconds. `measured` is of how many packets: not of all, when they are many."""

    measured: int
    least: int
    median: int
    p99: int
    most: int


@dataclass(frozen=True)
class Stop:
    """One device on a path. `latency` is from the start of this hop to the start of the next, None at the last."""

    where: Whereabouts
    direction: Direction
    latency: Latency | None


@dataclass(frozen=True)
class StaticReason:
    """What the model knows that may explain why a path goes no further, with the line that tells it."""

    text: str
    span: Span | None


@dataclass(frozen=True)
class Path:
    """All packets that took the same way: the same devices in the same order.

    `endings` counts what became of them, `doubtful` those with an unknown outcome that the lost events or the end of
    the capture may explain, `copies` those that are copies of other packets, `pieces` those that surely are pieces of
    others. `time` is from the first event to the last of a device. `lengths` are the least and the most, None when not
    told. `why` explains an end on the way.
    """

    number: int
    stops: tuple[Stop, ...]
    count: int
    endings: Mapping[Ending, int]
    doubtful: int
    copies: int
    pieces: int
    first: int
    last: int
    time: Latency
    lengths: tuple[int, int] | None
    confidence: Confidence
    why: tuple[StaticReason, ...] = ()

    @property
    def text(self) -> str:
        """The devices in their order, one that receives and then sends just once."""
        return " -> ".join(name for name, _ in groupby(stop.where.text for stop in self.stops))


@dataclass(frozen=True)
class RoundTrips:
    """Packets of one path that were answered by packets of another, which goes back the same way.

    `time` is from the start of the first to the arrival of the answer, `answering` from the arrival of the first to
    the start of the answer. `doubtful` are those of which the lengths differ or whose order leaves a doubt.
    """

    there: int
    back: int
    count: int
    doubtful: int
    time: Latency
    answering: Latency


@dataclass(frozen=True)
class Loss:
    """Events that are missing from the trace. `count` and `cpu` are None when the tool does not tell them."""

    line: int
    time: int | None
    cpu: int | None
    count: int | None


@dataclass(frozen=True)
class Observation:
    """What one trace shows. `begin` and `end` are the times of its first and last event.

    `recorded` counts the events of packets by name: what is not in it was not recorded, so that its absence means
    nothing. `packets` are all journeys that were found, `paths` the most frequent first, `journeys` those that are kept
    whole, in the order of their first event: the first ones of the trace and of each path, the slowest, and those that
    did not arrive. `not_in_paths` are the packets of paths beyond the most that are kept apart.
    """

    source: Source
    format: str
    begin: int
    end: int
    events: int
    recorded: Mapping[str, int]
    losses: tuple[Loss, ...]
    packets: int
    paths: tuple[Path, ...] = ()
    not_in_paths: int = 0
    journeys: tuple[Journey, ...] = ()
    drops: tuple[Drop, ...] = ()
    round_trips: tuple[RoundTrips, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def span(self, line: int) -> Span:
        """The line of an event, as evidence."""
        return self.source.span(line)

    def path(self, number: int) -> Path | None:
        return next((path for path in self.paths if path.number == number), None)

    def since_begin(self, time: int) -> float:
        """A time as milliseconds since the first event of the trace."""
        return (time - self.begin) / 1_000_000
