"""A small kernel that sends packets and prints the events: traces of any length of which the truth is known.

A host with a bridge `docker0`, containers behind veths, and an uplink `ens3`. Each CPU runs one chain of calls at a
time, as the kernel does with bottom halves off; what waits in between (a backlog, a socket, a queue) goes on later,
maybe on another CPU. Addresses of skbs are given out again at once, the last one freed first: that is what makes it
hard to say which events are one packet's.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

UPLINK, BRIDGE = "ens3", "docker0"
_HEADER = 14
#: A segment of TCP as Ethernet carries it, its headers, and the data of a fragment of IP.
_SEGMENT, _TCP_HEADERS, _FRAGMENT = 1514, 66, 1480


@dataclass(frozen=True)
class Event:
    """One line of a trace, with the packet that it is really of (0: of none that a device had)."""

    time: int  # ns
    cpu: int
    pid: int
    name: str
    device: str
    skb: int
    length: int
    packet: int
    more: str = ""


@dataclass
class Truth:
    """What was really done: packets by what became of them, the devices of each, the pieces of those that were cut."""

    became: dict[int, str] = field(default_factory=dict)
    way: dict[int, list[str]] = field(default_factory=dict)
    pieces: dict[int, list[int]] = field(default_factory=dict)


Chain = Iterator[int]
"""A chain of calls on one CPU: it gives the time in ns after which its next step happens."""


class Kernel:
    """`frees` is whether the trace shows what is freed in the regular way (consume_skb), as few traces do; `returns`
    whether it shows that a CPU has done what it had to receive (napi_poll). With `cuts` some packets are cut in pieces.
    """

    def __init__(
        self,
        seed: int,
        *,
        containers: int = 3,
        cpus: int = 2,
        frees: bool = False,
        returns: bool = False,
        cuts: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.frees, self.returns, self.cuts = frees, returns, cuts
        self.cpus = cpus
        self.containers = [f"veth{number:07x}" for number in range(containers)]
        self.events: list[Event] = []
        self.truth = Truth()
        self._free: list[int] = [0xFFFF888100000000 + 0x100 * number for number in range(64)]
        self._waiting: list[tuple[int, int, int, Callable[[int], Chain]]] = []
        self._order = 0
        self._packets = 0
        self._time = [0] * cpus
        self._pid = [0] * cpus

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, packets: int, *, every: int = 50_000) -> None:
        """Let that many packets be sent by programs, one in about `every` ns, and follow them to their end."""
        kinds = [
            *(self._to_container, self._to_host, self._to_neighbour, self._to_outside, self._from_outside),
            *(self._hairpin, self._loopback, self._echo, self._proxy, self._unix_socket, self._queued, self._dropped),
        ]
        kinds += [self._in_segments, self._in_fragments] if self.cuts else []
        time = 0
        for _ in range(packets):
            time += int(self.random.expovariate(1 / every))
            kind = self.random.choice(kinds)
            self.later(time, lambda cpu, kind=kind: kind(cpu, self.new_packet()), pid=self.random.randint(100, 110))
        running: list[Chain | None] = [None] * self.cpus
        while self._waiting or any(running):
            # always the CPU whose clock is behind: nobody uses an address that is only freed later
            cpu = min(
                (cpu for cpu in range(self.cpus) if running[cpu] or self._waiting), key=lambda cpu: self._time[cpu]
            )
            chain = running[cpu]
            if chain is None:
                due, _, self._pid[cpu], begin = heapq.heappop(self._waiting)
                self._time[cpu] = max(self._time[cpu], due)
                running[cpu] = begin(cpu)
                continue
            try:
                self._time[cpu] += next(chain)
            except StopIteration:
                running[cpu] = None
        self.events.sort(key=lambda event: event.time)

    def later(self, due: int, begin: Callable[[int], Chain], *, pid: int) -> None:
        self._order += 1
        heapq.heappush(self._waiting, (due, self._order, pid, begin))

    def new_packet(self) -> int:
        self._packets += 1
        self.truth.way[self._packets] = []
        return self._packets

    def emit(self, cpu: int, name: str, device: str, skb: int, length: int, packet: int, more: str = "") -> int:
        """Print an event; gives the time until the next step."""
        event = Event(self._time[cpu], cpu, self._pid[cpu], name, device, skb, length, packet, more)
        self.events.append(event)
        way = self.truth.way.get(packet)
        if way is not None and device and name != "net_dev_xmit" and (not way or way[-1] != device):
            way.append(device)
        return self.random.randint(400, 3_000)

    def allocate(self) -> int:
        return self._free.pop() if self._free else 0xFFFF888200000000 + 0x100 * self.random.randint(0, 2**24)

    def free(self, cpu: int, skb: int, packet: int, why: str = "") -> Chain:
        """Free an skb: as a drop with a reason, or as done, which the trace may not show."""
        if why:
            more = f"protocol=2048 location=nft_do_chain+0x3e8 reason: {why}"
            yield self.emit(cpu, "kfree_skb", "", skb, -1, packet, more)
        elif self.frees:
            yield self.emit(cpu, "consume_skb", "", skb, -1, packet, "location=skb_free+0x1")
        self._free.append(skb)

    def returned(self, cpu: int) -> Chain:
        """A poll has received all that there was."""
        if self.returns:
            yield self.emit(cpu, "napi_poll", "", 0, -1, 0)

    def became(self, packet: int, what: str) -> None:
        self.truth.became[packet] = what

    # --- devices ------------------------------------------------------------------------------------------------------

    def send(self, cpu: int, device: str, skb: int, length: int, packet: int, inside: Callable[[], Chain]) -> Chain:
        """A device without a queue sends: what it does with the packet happens inside of its sending."""
        yield self.emit(cpu, "net_dev_queue", device, skb, length, packet)
        yield self.emit(cpu, "net_dev_start_xmit", device, skb, length, packet, "protocol=0x0800")
        yield from inside()
        yield self.emit(cpu, "net_dev_xmit", device, skb, length, packet, "rc=0")

    def cross(
        self, cpu: int, one: str, other: str, skb: int, length: int, packet: int, then: Callable[[int], Chain]
    ) -> Chain:
        """Through a veth: the other end receives it from the backlog, soon after, maybe on another CPU."""

        def inside() -> Chain:
            yield self.emit(cpu, "netif_rx", other, skb, length - _HEADER, packet)
            pid = self._pid[cpu] if self.random.random() < 0.7 else 0
            self.later(self._time[cpu] + self.random.randint(1_000, 30_000), received, pid=pid)

        def received(cpu: int) -> Chain:
            yield self.emit(cpu, "netif_receive_skb", other, skb, length - _HEADER, packet)
            yield from then(cpu)
            yield from self.returned(cpu)

        yield from self.send(cpu, one, skb, length, packet, inside)

    def through_bridge(
        self, cpu: int, veth: str, skb: int, length: int, packet: int, then: Callable[[int], Chain]
    ) -> Chain:
        """Out of the bridge, over a veth, into a container."""
        yield from self.send(
            cpu, BRIDGE, skb, length, packet, lambda: self.cross(cpu, veth, "eth0", skb, length, packet, then)
        )

    def read_later(
        self, cpu: int, skb: int, packet: int, then: Callable[[int], Chain] | None = None, pid: int = 0
    ) -> Chain:
        """A program reads the packet out of its socket, and may do something then."""
        self.became(packet, "delivered")

        def reads(cpu: int) -> Chain:
            yield self.random.randint(500, 2_000)
            yield from self.free(cpu, skb, packet)
            if then:
                yield from then(cpu)

        # a program has to be woken, unless it is the one that runs; even then it takes two system calls
        due = self._time[cpu] + self.random.randint(40_000, 120_000)
        running = self._pid[cpu] if self.random.random() < 0.1 else 0
        self.later(due, reads, pid=pid or running or self.random.randint(200, 210))
        yield 0

    # --- packets ------------------------------------------------------------------------------------------------------

    def length(self) -> int:
        return self.random.choice([66, 74, 98, 98, 98, 1514])

    def veth(self) -> str:
        return self.random.choice(self.containers)

    def _to_container(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()
        yield from self.through_bridge(
            cpu, self.veth(), skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet)
        )

    def _up(self, cpu: int, skb: int, length: int, packet: int, then: Callable[[int], Chain]) -> Chain:
        """From a container into the bridge."""

        def on_port(cpu: int) -> Chain:
            yield self.emit(cpu, "netif_receive_skb", BRIDGE, skb, length - _HEADER, packet)
            yield from then(cpu)

        yield from self.cross(cpu, "eth0", self.veth(), skb, length, packet, on_port)

    def _to_host(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()
        yield from self._up(cpu, skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet))

    def _to_neighbour(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()
        one, other = self.random.sample(self.containers, 2)
        yield from self.cross(
            *(cpu, "eth0", one, skb, length, packet),
            lambda cpu: self.cross(
                cpu, other, "eth0", skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet)
            ),
        )

    def _out(self, cpu: int, skb: int, length: int, packet: int) -> Chain:
        """By the uplink; the driver frees it when the wire has it."""

        def done(cpu: int) -> Chain:
            yield 500
            yield from self.free(cpu, skb, packet)

        def inside() -> Chain:
            self.later(self._time[cpu] + self.random.randint(3_000, 100_000), done, pid=0)
            yield 500

        self.became(packet, "left")
        yield from self.send(cpu, UPLINK, skb, length, packet, inside)

    def _to_outside(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()
        yield from self._up(cpu, skb, length, packet, lambda cpu: self._out(cpu, skb, length, packet))

    def _in(self, cpu: int, packet: int, then: Callable[[int, int, int], Chain]) -> Chain:
        self._pid[cpu] = 0
        skb, length = self.allocate(), self.length()
        yield self.emit(cpu, "napi_gro_receive_entry", UPLINK, skb, length - _HEADER, packet)
        yield self.emit(cpu, "netif_receive_skb", UPLINK, skb, length - _HEADER, packet)
        yield from then(cpu, skb, length)
        yield from self.returned(cpu)

    def _from_outside(self, cpu: int, packet: int) -> Chain:
        def forward(cpu: int, skb: int, length: int) -> Chain:
            return self.through_bridge(
                cpu, self.veth(), skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet)
            )

        yield from self._in(cpu, packet, forward)

    def _hairpin(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()

        def back(cpu: int) -> Chain:
            return self.through_bridge(
                cpu, self.veth(), skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet)
            )

        yield from self._up(cpu, skb, length, packet, back)

    def _loopback(self, cpu: int, packet: int) -> Chain:
        skb, length = self.allocate(), self.length()
        yield from self.cross(cpu, "lo", "lo", skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet))

    def _echo(self, cpu: int, packet: int) -> Chain:
        """A program in a container answers as much as it got; the answer has the address of the question."""
        skb, length = self.allocate(), self.length()
        program = self.random.randint(200, 210)

        def answer(cpu: int) -> Chain:
            reply, again = self.new_packet(), self.allocate()
            yield from self.cross(
                *(cpu, "eth0", self.veth(), again, length, reply),
                lambda cpu: self._bridge_up(cpu, again, length, reply),
            )

        yield from self.through_bridge(
            *(cpu, self.veth(), skb, length, packet),
            lambda cpu: self.read_later(cpu, skb, packet, answer, program),
        )

    def _bridge_up(self, cpu: int, skb: int, length: int, packet: int) -> Chain:
        yield self.emit(cpu, "netif_receive_skb", BRIDGE, skb, length - _HEADER, packet)
        yield from self.read_later(cpu, skb, packet)

    def _proxy(self, cpu: int, packet: int) -> Chain:
        """A program of the host passes on what it got from a container, as a packet of the same length."""
        skb, length = self.allocate(), self.length()

        def pass_on(cpu: int) -> Chain:
            yield from self._out(cpu, self.allocate(), length, self.new_packet())

        yield from self._up(cpu, skb, length, packet, lambda cpu: self.read_later(cpu, skb, packet, pass_on))

    def _in_segments(self, cpu: int, packet: int) -> Chain:
        """The bridge takes a long packet of TCP, the veth only pieces of it."""
        veth, skb, last = self.veth(), self.allocate(), self.random.randint(1, 1447)
        lengths = [_SEGMENT] * self.random.randint(1, 6) + [_SEGMENT - last]
        length = sum(lengths) - _TCP_HEADERS * (len(lengths) - 1)

        def inside() -> Chain:
            yield self.emit(cpu, "net_dev_queue", veth, skb, length, packet)
            yield from self.free(cpu, skb, packet)
            for each in lengths:
                piece, own = self.new_piece(packet), self.allocate()
                yield self.emit(cpu, "net_dev_start_xmit", veth, own, each, piece, "protocol=0x0800")
                yield from self.into(cpu, "eth0", own, each, piece)
                yield self.emit(cpu, "net_dev_xmit", veth, own, each, piece, "rc=0")

        self.became(packet, "cut")
        yield from self.send(cpu, BRIDGE, skb, length, packet, inside)

    def _in_fragments(self, cpu: int, packet: int) -> Chain:
        """The uplink brings a packet that is too long for the bridge."""
        self._pid[cpu] = 0
        skb, veth = self.allocate(), self.veth()
        rest = 8 * self.random.randint(1, 180) + self.random.randint(0, 7)
        whole = 20 + _FRAGMENT * self.random.randint(1, 3) + rest
        data = [_FRAGMENT] * ((whole - 20) // _FRAGMENT) + [rest]
        yield self.emit(cpu, "napi_gro_receive_entry", UPLINK, skb, whole, packet)
        yield self.emit(cpu, "netif_receive_skb", UPLINK, skb, whole, packet)
        self.became(packet, "cut")
        yield from self.free(cpu, skb, packet)
        for octets in data:
            piece, own = self.new_piece(packet), self.allocate()
            length = octets + 20 + _HEADER

            def inside(own: int = own, length: int = length, piece: int = piece) -> Chain:
                def beyond() -> Chain:
                    yield from self.into(cpu, "eth0", own, length, piece)

                yield from self.send(cpu, veth, own, length, piece, beyond)

            yield from self.send(cpu, BRIDGE, own, length, piece, inside)
        yield from self.returned(cpu)

    def new_piece(self, whole: int) -> int:
        piece = self.new_packet()
        self.truth.pieces.setdefault(whole, []).append(piece)
        return piece

    def into(self, cpu: int, device: str, skb: int, length: int, packet: int) -> Chain:
        """The other end of a veth gets the packet, and a program reads it soon after."""

        def received(cpu: int) -> Chain:
            yield self.emit(cpu, "netif_receive_skb", device, skb, length - _HEADER, packet)
            yield from self.read_later(cpu, skb, packet)
            yield from self.returned(cpu)

        yield self.emit(cpu, "netif_rx", device, skb, length - _HEADER, packet)
        self.later(self._time[cpu] + self.random.randint(1_000, 30_000), received, pid=0)

    def _unix_socket(self, cpu: int, packet: int) -> Chain:
        """No packet of a device, but it uses the same addresses, and the same functions free it."""
        del self.truth.way[packet]
        skb = self.allocate()
        yield 1_000
        if self.random.random() < 0.5:
            yield self.emit(
                cpu, "kfree_skb", "", skb, -1, 0, "protocol=0 location=unix_release_sock+0x1 reason: QUEUE_PURGE"
            )
        elif self.frees:
            yield self.emit(cpu, "consume_skb", "", skb, -1, 0, "location=unix_stream_read_generic+0x1")
        self._free.append(skb)

    def _queued(self, cpu: int, packet: int) -> Chain:
        """The uplink is slow: the packet waits in its queue, and the softirq of some CPU sends it."""
        skb, length = self.allocate(), self.length()
        yield self.emit(cpu, "net_dev_queue", UPLINK, skb, length, packet)

        def dequeued(cpu: int) -> Chain:
            yield self.emit(cpu, "net_dev_start_xmit", UPLINK, skb, length, packet, "protocol=0x0800")
            yield self.emit(cpu, "net_dev_xmit", UPLINK, skb, length, packet, "rc=0")
            yield from self.free(cpu, skb, packet)

        self.became(packet, "left")
        self.later(self._time[cpu] + self.random.randint(10_000, 3_000_000), dequeued, pid=0)

    def _dropped(self, cpu: int, packet: int) -> Chain:
        """The firewall drops what a container sends to the outside."""
        skb, length = self.allocate(), self.length()
        self.became(packet, "dropped")
        yield from self._up(cpu, skb, length, packet, lambda cpu: self.free(cpu, skb, packet, "NETFILTER_DROP"))


_SYSTEMS = {"kfree_skb": "skb", "consume_skb": "skb", "napi_poll": "napi"}


def printed(events: list[Event]) -> str:
    """The events as `perf script --ns` prints them."""
    return "".join(
        f"task-{e.pid} {e.pid} [{e.cpu:03d}] {e.time // 10**9 + 100}.{e.time % 10**9:09d}: "
        f"{_SYSTEMS.get(e.name, 'net')}:{e.name}: {f'dev={e.device} ' if e.device else ''}"
        f"{f'skbaddr=0x{e.skb:x}' if e.skb else ''}{f' len={e.length}' if e.length >= 0 else ''}"
        f"{' ' + e.more if e.more else ''}\n"
        for e in events
    )
