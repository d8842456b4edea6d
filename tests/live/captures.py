"""Packets whose way is known: what was sent on a real host while the collector traced it, and what became of it.

What a packet is told apart by, and what its way is, ``sent_packets`` tells.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import lab
from lab import DockerHost
from sent_packets import Sent

_HOLD = "touch /run/traced; until [ -e /run/traced.end ]; do sleep 0.05; done; rm /run/traced /run/traced.end"

#: Sends UDP datagrams of these payload lengths and waits for an answer of each, if there is to be one.
_SEND_UDP = """
import socket, sys
address, port, answered, lengths = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "answered", sys.argv[4:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
found = socket.socket(family, socket.SOCK_DGRAM)
found.settimeout(30)
for length in map(int, lengths):
    found.sendto(bytes(length), (address, port))
    if answered:
        assert len(found.recv(65536)) == length
"""

_ANSWER_UDP = """
import socket
found = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
found.bind(("::", 9000))
while True:
    found.sendto(*found.recvfrom(65536))
"""

#: Sends payloads of these lengths through one connection; each goes when the one before has come back.
_SEND_TCP = """
import socket, sys
address, port, lengths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
with socket.create_connection((address, port), timeout=30) as found, found.makefile("rb") as answers:
    for length in map(int, lengths):
        found.sendall(bytes(length))
        assert len(answers.read(length)) == length
"""

#: Sends back what comes once there are so many octets of it, so that what one packet brought goes back in one.
_ANSWER_TCP = """
import socket, sys
with socket.create_server(("", 9000)) as listening:
    while True:
        found, _ = listening.accept()
        with found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, int(sys.argv[1]))
            while data := found.recv(65536):
                found.sendall(data)
"""

#: Runs a command when the first packet of a protocol has come of which one octet has a certain value.
_HEAR_ONE = """
import signal, socket, subprocess, sys
protocol, octet, value, *command = sys.argv[1:]
heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(int(protocol, 16)))
while heard.recv(65536)[int(octet)] != int(value):
    pass
heard.close()
subprocess.run(command, check=True)
signal.pause()
"""

#: A request for a neighbour's address, as this program is told of it: protocol, octet, and value.
_ARP_REQUEST = ("0806", "7", "1")  # RFC 826
_SOLICITATION = ("86dd", "40", "135")  # RFC 4861, after an IPv6 header without extensions

#: Runs a command, alone on one CPU, and keeps that CPU busy around each moment, in seconds after the command's end.
_ATTEND = """
import os, subprocess, sys, time
moments, command = map(float, sys.argv[1].split()), sys.argv[2:]
os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
ended = subprocess.run(command)
end = time.monotonic()
for moment in moments:
    time.sleep(max(0, end + moment - 0.2 - time.monotonic()))
    while time.monotonic() < end + moment + 0.4:
        pass
sys.exit(ended.returncode)
"""

#: Of the outside world and of the host on the network between them, while there is IPv6 on it.
_ROUTER_ADDRESS_6, _HOST_ADDRESS_6 = "fd00:203::1", "fd00:203::2"

T = TypeVar("T")
Run = Callable[[Sequence[str]], object]


@dataclass(frozen=True)
class Capture:
    """What is done on a host while its packets are traced. `before` and `after` change the host and put it back.

    `options` are the collector's; `also_traced` are events beside those that it asks for.
    """

    name: str
    traffic: Callable[[DockerHost], Iterable[Sent]]
    before: Callable[[DockerHost], object] = lambda _: None
    after: Callable[[DockerHost], object] = lambda _: None
    daemon_args: Sequence[str] = ()
    options: Sequence[str] = field(default=())
    also_traced: Sequence[str] = ()

    def __str__(self) -> str:
        return self.name

    def take(self, host: DockerHost, directory: Path) -> tuple[Path, list[Sent]]:
        """The bundle, and what was sent while it was collected."""
        self.before(host)
        try:
            return traced(
                host, directory, lambda: list(self.traffic(host)), *self.options, also_traced=self.also_traced
            )
        finally:
            self.after(host)


def traced(
    host: DockerHost, directory: Path, happen: Callable[[], T], *options: str, also_traced: Sequence[str] = ()
) -> tuple[Path, T]:
    """The bundle of a collector that traces while `happen` runs, and what that gave.

    Where functions are traced too, they are traced after the events, while it all happens once more.
    """
    bundles: list[Path] = []
    hold = f"sh -c {shlex.quote(_HOLD)}"

    def collect() -> None:
        bundles.append(lab.collect(host, directory, "--trace-command", hold, *options, also_traced=also_traced))

    def while_traced() -> T:
        deadline = time.monotonic() + 60 * lab.PATIENCE
        try:
            while host.run(["test", "-e", "/run/traced"], check=False).returncode != 0:
                assert time.monotonic() < deadline, "the collector does not trace"
                assert collecting.is_alive(), "the collector has ended"
                time.sleep(0.05)
            return happen()
        finally:
            host.run(["touch", "/run/traced.end"])

    collecting = threading.Thread(target=collect)
    collecting.start()
    try:
        given = while_traced()
        if "--trace-functions" in options:
            while_traced()
    finally:
        collecting.join()
    return bundles[0], given


# Who sends, and what


def ping(run: Run, address: str, octets: Iterable[int]) -> None:
    """One echo request of each length, the next when the last was answered, or a second has gone by."""
    header = 48 if ":" in address else 28
    for length in octets:
        run(["ping", "-n", "-c1", "-W1", "-s", str(length - header), address])


def send_udp(run: Run, address: str, octets: Iterable[int], *, answered: bool = True, port: int = 9000) -> None:
    """One datagram of each length, each answered by one of the same length if there is to be an answer."""
    header = 48 if ":" in address else 28
    lengths = [str(length - header) for length in octets]
    run(["python3", "-c", _SEND_UDP, address, str(port), "answered" if answered else "lost", *lengths])


_TCP_HEADERS = 20 + 32  # octets, of IPv4 and of TCP with a timestamp


def send_tcp(run: Run, address: str, octets: Iterable[int]) -> None:
    """One segment with data of each length, answered by one of the same length, all through one connection.

    No other segment of the connection is as long: those without data have 60 octets at most.
    """
    run(["python3", "-c", _SEND_TCP, address, "9000", *(str(length - _TCP_HEADERS) for length in octets)])


def attended(run: Run, *moments: float) -> Run:
    """Commands after which a timer of the kernel runs out, about so many seconds after their end.

    What the kernel does then it does on the CPU of the command, in the name of the task that it interrupts there. A
    kernel on which these captures are taken (Linux 6.18 of a virtual machine) gives perf no event in the name of a
    thread of process 1 or of the idle task of the second CPU; ftrace, beside it, has them all. So the CPU is busy with
    a program of ours then, which nothing else may take it from.
    """
    return lambda argv: run(["python3", "-c", _ATTEND, " ".join(map(str, moments)), *argv])


def answer_udp(host: DockerHost, container: str) -> None:
    """Let a container answer each datagram to port 9000 with itself; until the container ends, or `end_answers`."""
    _answer(host, container, [_ANSWER_UDP], ["ss", "-Hlun"], ":9000 ")


def answer_tcp(host: DockerHost, container: str, at_least: int = 1) -> None:
    """Let a container send back what a connection to port 9000 brings; until it ends, or `end_answers`."""
    _answer(host, container, [_ANSWER_TCP, str(at_least)], ["ss", "-Hltn"], ":9000 ")


def after_one(host: DockerHost, container: str, request: Sequence[str], *command: str) -> None:
    """Let a container run a command when it gets the first request of a kind, too late for that one."""
    _answer(host, container, [_HEAR_ONE, *request, *command], ["ss", "-H0n"], "p_dgr ")


def _answer(host: DockerHost, container: str, program: Sequence[str], sockets: Sequence[str], sign: str) -> None:
    """Start a program in a container, with its arguments, and wait until `sockets` shows its socket by a `sign`."""
    pid = str(host.inspect(container)[0]["State"]["Pid"])
    serve = shlex.join(["nsenter", "--target", pid, "--net", "--", "python3", "-c", *program])
    host.shell(f"setsid {serve} >>/run/answers.log 2>&1 & echo $! >>/run/answers.pids")
    deadline = time.monotonic() + 10 * lab.PATIENCE
    while sign not in host.container(container, sockets).stdout:
        assert time.monotonic() < deadline, host.shell("cat /run/answers.log").stdout
        time.sleep(0.05)


def end_answers(host: DockerHost) -> None:
    host.shell("kill $(cat /run/answers.pids); rm /run/answers.pids")


def inside(host: DockerHost, container: str) -> Run:
    return partial(host.container, container, check=False)


def there_and_back(octets: Iterable[int], way: Sequence[str]) -> list[Sent]:
    """Requests that were delivered, and answers of the same length on the same way."""
    return [Sent(length, tuple(each)) for length in octets for each in (way, way[::-1])]


# The ways


def leg(host: DockerHost, container: str, network: str) -> list[str]:
    """From a bridge into a container: the host's end of the veth, and the container's."""
    return [f"host:{host.veth(container, network)}", f"{container}:{host.interface(container, network)}"]


def bridge(host: DockerHost, network: str) -> str:
    return f"host:{host.bridge(network)}"


FEW = range(200, 205)


def host_to_container(host: DockerHost) -> list[Sent]:
    ping(host.run, host.address("web", "front"), FEW)
    return there_and_back(FEW, [bridge(host, "front"), *leg(host, "web", "front")])


def udp_to_container(host: DockerHost) -> list[Sent]:
    send_udp(host.run, host.address("web", "front"), FEW)
    return there_and_back(FEW, [bridge(host, "front"), *leg(host, "web", "front")])


def same_bridge(host: DockerHost) -> list[Sent]:
    ping(inside(host, "app"), host.address("web", "front"), FEW)
    return there_and_back(FEW, [*leg(host, "app", "front")[::-1], *leg(host, "web", "front")])


def across_bridges(host: DockerHost) -> list[Sent]:
    ping(inside(host, "db"), host.address("web", "front"), FEW)
    there = [*leg(host, "db", "back")[::-1], bridge(host, "back"), bridge(host, "front"), *leg(host, "web", "front")]
    return there_and_back(FEW, there)


def to_the_outside(host: DockerHost) -> list[Sent]:
    ping(inside(host, "web"), lab.OUTSIDE_SERVER, FEW)
    return there_and_back(FEW, [*leg(host, "web", "front")[::-1], bridge(host, "front"), "host:eth0", "wan:up0"])


def published_udp(host: DockerHost) -> list[Sent]:
    send_udp(partial(host.wan, check=True), lab.HOST_ADDRESS, FEW)
    return there_and_back(FEW, ["wan:up0", "host:eth0", "host:docker0", f"host:{veth_of(host, 'game')}", "game:eth0"])


def published_tcp(host: DockerHost) -> list[Sent]:
    send_tcp(partial(host.wan, check=True), lab.HOST_ADDRESS, FEW)
    return there_and_back(FEW, ["wan:up0", "host:eth0", *to_shop(host)])


def published_tcp_by_own_address(host: DockerHost) -> list[Sent]:
    """A client on the host itself: the host changes the address before it sends."""
    send_tcp(host.run, lab.HOST_ADDRESS, FEW)
    return there_and_back(FEW, to_shop(host))


def published_tcp_by_loopback(host: DockerHost) -> list[Sent]:
    """Two connections: from the client to docker-proxy, and from there to the container.

    Every namespace has a device lo, and nothing in a trace tells whose it is.
    """
    send_tcp(host.run, "127.0.0.1", FEW)
    return there_and_back(FEW, [":lo"]) + there_and_back(FEW, to_shop(host))


def published_tcp_by_loopback_without_proxy(host: DockerHost) -> list[Sent]:
    """The address 127.0.0.1 is changed before the packet is sent, so that none passes lo."""
    send_tcp(host.run, "127.0.0.1", FEW)
    return there_and_back(FEW, to_shop(host))


def to_shop(host: DockerHost) -> list[str]:
    return ["host:docker0", f"host:{veth_of(host, 'shop')}", "shop:eth0"]


def dropped(reason: str, *, by: str = "web") -> Callable[[DockerHost], list[Sent]]:
    """Requests to the outside that the host drops when they come from the bridge."""

    def traffic(host: DockerHost) -> list[Sent]:
        send_udp(inside(host, by), lab.OUTSIDE_SERVER, FEW, answered=False)
        way = (*leg(host, by, "front")[::-1], bridge(host, "front"))
        return [Sent(length, way, reason) for length in FEW]

    return traffic


def shell(*lines: str) -> Callable[[DockerHost], None]:
    """Run these lines on the host; <front> is the bridge, <web> the address of web, <veth> its end on the host."""

    def run(host: DockerHost) -> None:
        for line in lines:
            filled = line.replace("<front>", host.bridge("front")).replace("<web>", host.address("web", "front"))
            host.shell(filled.replace("<veth>", host.veth("web", "front")))

    return run


def too_long(host: DockerHost) -> list[Sent]:
    """Echo requests of 3,528 octets: the host sends each in three pieces, and the container its answers.

    The pieces of an answer are put together where the host's connection tracking sees them first, at the port of the
    bridge; the bridge gets one long packet.
    """
    ping(host.run, host.address("web", "front"), [3528])
    there, inside = leg(host, "web", "front")
    sent = [Sent(3528, (bridge(host, "front"),), part="of 3 more")]
    for number, octets in enumerate((1500, 1500, 568), start=1):
        sent.append(Sent(octets, (bridge(host, "front"), there, inside), part=f"perhaps fragment {number}/3"))
        sent.append(Sent(octets, (inside, there), part=f"fragment {number}/3"))
    return sent


def into_a_full_queue(host: DockerHost) -> list[Sent]:
    """Datagrams into a queue that lets the first pass, holds two of them for a while, and drops the others.

    Nobody waits for those that arrive.
    """
    leaving = attended(host.run, 0.14, 0.28)
    send_udp(leaving, host.address("web", "front"), range(1400, 1408), answered=False)
    way = (bridge(host, "front"), *leg(host, "web", "front"))
    arrived = [Sent(length, way, "NO_SOCKET") for length in range(1400, 1403)]
    return arrived + [Sent(length, way[:2], "QDISC_DROP") for length in range(1403, 1408)]


def over_ipv6(host: DockerHost) -> list[Sent]:
    ping(host.run, "fd00:db8::6", FEW)
    return there_and_back(FEW, ["host:six0", f"host:{veth_of(host, 'six')}", "six:eth0"])


def asks_first(host: DockerHost) -> list[Sent]:
    """Datagrams from the outside, before each of which the host has forgotten the address of the container's device."""
    for octets in FEW:
        host.shell("ip neigh flush dev docker0")
        send_udp(host.wan, lab.HOST_ADDRESS, [octets])
    return there_and_back(FEW, to_game(host))


def waits_for_the_neighbour(host: DockerHost) -> list[Sent]:
    """Three datagrams in a row, for a container that answers to the second request for its address only.

    The answers find nobody who waits for them any more.
    """
    return _waits(host, lab.HOST_ADDRESS, to_game(host))


def waits_for_the_neighbour_of_ipv6(host: DockerHost) -> list[Sent]:
    """The same by neighbour discovery, with the first solicitation dropped."""
    return _waits(
        host, "fd00:db8::6", ("wan:up0", "host:eth0", "host:six0", f"host:{veth_of(host, 'six')}", "six:eth0")
    )


def _waits(host: DockerHost, address: str, way: tuple[str, ...]) -> list[Sent]:
    three = range(300, 303)
    send_udp(attended(host.wan, 1, 2), address, three, answered=False)
    return [each for octets in three for each in (Sent(octets, way), Sent(octets, way[::-1], "NO_SOCKET"))]


def no_neighbour(host: DockerHost) -> list[Sent]:
    """Three datagrams for a container that never tells its address: the host gives up after three seconds."""
    three = range(310, 313)
    send_udp(attended(host.wan, 1, 2, 3), lab.HOST_ADDRESS, three, answered=False)
    return [Sent(octets, ("wan:up0", "host:eth0"), "NEIGH_FAILED") for octets in three]


def silent_game(host: DockerHost) -> None:
    start_game(host)
    silent = "net.ipv4.conf.all.arp_ignore"
    host.container("game", ["sysctl", "-qw", f"{silent}=8"])
    after_one(host, "game", _ARP_REQUEST, "sysctl", "-qw", f"{silent}=0")
    host.shell("ip neigh flush dev docker0")


def silent_six(host: DockerHost) -> None:
    host.wan(["ip", "addr", "add", f"{_ROUTER_ADDRESS_6}/64", "dev", "up0", "nodad"])
    host.run(["ip", "addr", "add", f"{_HOST_ADDRESS_6}/64", "dev", "eth0", "nodad"])
    start_six(host)
    host.wan(["ip", "route", "add", "fd00:db8::/64", "via", _HOST_ADDRESS_6])
    answer_udp(host, "six")
    send_udp(partial(host.wan, check=True), "fd00:db8::6", [100])  # all other neighbours are known from then on
    deaf = ["INPUT", "-p", "icmpv6", "--icmpv6-type", "neighbour-solicitation", "-j", "DROP"]
    host.container("six", ["ip6tables", "-A", *deaf])
    after_one(host, "six", _SOLICITATION, "ip6tables", "-D", *deaf)
    host.shell("ip -6 neigh flush dev six0")


def end_silent_six(host: DockerHost) -> None:
    end_answers(host)
    end_six(host)
    host.run(["ip", "addr", "del", f"{_HOST_ADDRESS_6}/64", "dev", "eth0"])
    host.wan(["ip", "route", "del", "fd00:db8::/64"])
    host.wan(["ip", "addr", "del", f"{_ROUTER_ADDRESS_6}/64", "dev", "up0"])


def deaf_game(host: DockerHost) -> None:
    start_game(host)
    host.container("game", ["ip", "link", "set", "eth0", "arp", "off"])
    host.shell("ip neigh flush dev docker0")


def to_game(host: DockerHost) -> tuple[str, ...]:
    return ("wan:up0", "host:eth0", "host:docker0", f"host:{veth_of(host, 'game')}", "game:eth0")


#: Sends the first two of three fragments of a datagram of UDP.
_SEND_FRAGMENTS = """
import socket, struct, sys
found = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
found.setsockopt(socket.IPPROTO_IP, 22, 1)  # IP_NODEFRAG: connection tracking does not wait for the rest
to = socket.inet_aton(sys.argv[1])
offset = 0
for length in map(int, sys.argv[2:]):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 4242, 0x2000 | offset // 8, 64, 17, 0, bytes(4), to)
    found.sendto(head + bytes(length - 20), (sys.argv[1], 0))
    offset += length - 20
"""


def misses_a_fragment(host: DockerHost) -> list[Sent]:
    """Two of three fragments: the container waits for the last one, a second long, and drops the others then."""
    lengths = (596, 612)
    attended(host.run, 1)(["python3", "-c", _SEND_FRAGMENTS, host.address("web", "front"), *map(str, lengths)])
    way = (bridge(host, "front"), *leg(host, "web", "front"))
    return [Sent(octets, way, "FRAG_REASM_TIMEOUT") for octets in lengths]


def floods(host: DockerHost) -> list[Sent]:
    """Datagrams for everybody: the bridge sends a copy to each of its ports, and one is for the host itself."""
    host.run(["python3", "-c", _SEND_TO_ALL, host.bridge("front"), *(str(octets - 28) for octets in FEW)])
    ways: list[tuple[str, ...]] = [
        (bridge(host, "front"), *leg(host, container, "front")) for container in ("web", "app")
    ]
    ways.append((bridge(host, "front"),))
    return [Sent(octets, way, "NOT_SPECIFIED") for octets in FEW for way in ways]


_SEND_TO_ALL = """
import socket, sys
found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
found.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
for length in map(int, sys.argv[2:]):
    found.sendto(bytes(length), ("255.255.255.255", 9999))
"""

#: Reads all packets of all devices, as tcpdump does.
_TAP = """
import socket
found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
while True:
    found.recv(65536)
"""


def tapped(host: DockerHost) -> list[Sent]:
    """Pings while a program gets a clone of every packet of the host and of the container."""
    start = "setsid {} python3 -c {} >/run/tap.log 2>&1 & echo $! >>/run/tap.pids"
    pid = str(host.inspect("web")[0]["State"]["Pid"])
    for enter in ("", f"nsenter --target {pid} --net --"):
        host.shell(start.format(enter, shlex.quote(_TAP)))
    time.sleep(0.5)
    try:
        return host_to_container(host)
    finally:
        host.shell("kill $(cat /run/tap.pids); rm /run/tap.pids")


#: Octets of a packet of TCP that is too long for a device, and of its three segments.
_LONG, _SEGMENTS = _TCP_HEADERS + 1448 + 1448 + 700, (1500, 1500, 752)


def cut_into_segments(host: DockerHost) -> list[Sent]:
    """Data there and back, each time in one packet that is cut in software, where the veth is to send it."""
    send_tcp(host.run, host.address("web", "front"), [_LONG])
    there, inside = leg(host, "web", "front")
    ways = (there, inside), (inside, there, bridge(host, "front"))
    pieces = [
        Sent(octets, way, part=f"segment {number}/3") for number, octets in enumerate(_SEGMENTS, 1) for way in ways
    ]
    # the one from the container passes only its eth0, by which no host is known
    return [Sent(_LONG, (bridge(host, "front"), there), "cut"), *pieces]


def merged_again(host: DockerHost) -> list[Sent]:
    """The same where the container's end of the veth has GRO: it passes the segments on as one packet."""
    sent = cut_into_segments(host)
    there, inside = leg(host, "web", "front")
    more = {"segment 1/3": " of 2 more", "segment 2/3": " merged", "segment 3/3": " merged"}
    return [replace(each, part=each.part + more[each.part]) if each.way == (there, inside) else each for each in sent]


def forwarded_fragments(host: DockerHost) -> list[Sent]:
    """An echo request to the outside that the container sends in three pieces, and its answer.

    The host puts the pieces of both together, and cuts them again; of the answer no event shows the whole. The bundle
    does not tell how long a packet of the router may be.
    """
    ping(inside(host, "web"), lab.OUTSIDE_SERVER, [3528])
    there, own = leg(host, "web", "front")
    sent = [Sent(3528, (bridge(host, "front"),), "cut", "of 3 more")]
    for number, octets in enumerate((1500, 1500, 568), start=1):
        sent += [
            Sent(octets, (own, there), part=f"fragment {number}/3"),
            Sent(octets, ("host:eth0", "wan:up0"), part=f"fragment {number}/3"),
            Sent(octets, ("wan:up0", "host:eth0")),
            Sent(octets, (bridge(host, "front"), there, own), part=f"perhaps fragment {number}/3"),
        ]
    return sent


def veth_of(host: DockerHost, container: str) -> str:
    """The host's end of the only veth of a container."""
    (link,) = json.loads(host.container(container, ["ip", "-json", "link", "show", "eth0"]).stdout)
    links = json.loads(host.run(["ip", "-json", "link"]).stdout)
    return next(str(each["ifname"]) for each in links if each["ifindex"] == link["link_index"])


def start_six(host: DockerHost) -> None:
    bridged = ["--opt=com.docker.network.bridge.name=six0"]
    host.docker("network", "create", "--ipv6", "--subnet=fd00:db8::/64", *bridged, "six")
    host.docker("run", "--detach", "--name=six", "--network=six", "--ip6=fd00:db8::6", lab.IMAGE)
    deadline = time.monotonic() + 10
    while host.run(["ping", "-c1", "-W1", "fd00:db8::6"], check=False).returncode:
        assert time.monotonic() < deadline, "the kernel has not checked the address for a double within 10 s"


def end_six(host: DockerHost) -> None:
    host.docker("rm", "--force", "six")
    host.docker("network", "rm", "six")


def start_game(host: DockerHost) -> None:
    host.docker("run", "--detach", "--name=game", "--publish=9000:9000/udp", lab.IMAGE)
    answer_udp(host, "game")
    send_udp(partial(host.wan, check=True), lab.HOST_ADDRESS, [100])  # the neighbours' addresses are known from then on


def end_game(host: DockerHost) -> None:
    end_answers(host)
    host.docker("rm", "--force", "game")


def start_shop(host: DockerHost) -> None:
    host.docker("run", "--detach", "--name=shop", "--publish=9000:9000/tcp", lab.IMAGE)
    answer_tcp(host, "shop")
    send_tcp(partial(host.wan, check=True), lab.HOST_ADDRESS, [100])  # the neighbours' addresses are known from then on


def end_shop(host: DockerHost) -> None:
    end_answers(host)
    host.docker("rm", "--force", "shop")


def start_segments(host: DockerHost) -> None:
    answer_tcp(host, "web", at_least=_LONG - _TCP_HEADERS)
    shell("ethtool -K <veth> tso off")(host)
    host.container("web", ["ethtool", "-K", host.interface("web", "front"), "tso", "off"])


def start_merging(host: DockerHost) -> None:
    start_segments(host)
    host.container("web", ["ethtool", "-K", host.interface("web", "front"), "gro", "on"])


def end_segments(host: DockerHost) -> None:
    end_answers(host)
    shell("ethtool -K <veth> tso on")(host)
    host.container("web", ["ethtool", "-K", host.interface("web", "front"), "tso", "on", "gro", "off"])


_ICMP_ERROR = 28  # octets before the packet that it is about


def nobody_listens(host: DockerHost, lengths: Iterable[int] = FEW) -> list[Sent]:
    """Datagrams to a port without a socket: each is dropped, and an ICMP error tells the host so."""
    lengths = [*lengths]
    send_udp(host.run, host.address("web", "front"), lengths, answered=False)
    way = (bridge(host, "front"), *leg(host, "web", "front"))
    lost = [Sent(octets, way, "NO_SOCKET") for octets in lengths]
    return lost + [Sent(octets + _ICMP_ERROR, way[::-1]) for octets in lengths]


def tell_all_errors(host: DockerHost) -> None:
    """Let a container answer by each ICMP error: a kernel sends one a second to each peer (icmp(7)), after six at once
    (XRLIM_BURST_FACTOR of net/ipv4/inetpeer.c).
    """
    host.container("web", ["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"])


def tell_few_errors(host: DockerHost) -> None:
    """Put back what a kernel does by itself."""
    host.container("web", ["sysctl", "-qw", "net.ipv4.icmp_ratelimit=1000"])


_WITHOUT_PROXY = ("--userland-proxy=false",)

#: With those that the collector asks for anyway all events of packets, sockets, queues, neighbours and routes. An event
#: that perf is asked for twice is in the trace twice.
ALL_EVENTS = ("skb:consume_skb", "skb:skb_copy_datagram_iovec", "sock:*", "qdisc:*", "neigh:*", "fib:*")

CAPTURES = (
    Capture("host-to-container", host_to_container),
    Capture("udp", udp_to_container, partial(answer_udp, container="web"), end_answers),
    Capture("same-bridge", same_bridge),
    Capture(
        "across-bridges",
        across_bridges,
        shell("iptables -I DOCKER-USER -j ACCEPT"),
        shell("iptables -D DOCKER-USER -j ACCEPT"),
    ),
    Capture("to-the-outside", to_the_outside),
    Capture("published", published_udp, start_game, end_game),
    Capture("published-without-proxy", published_udp, start_game, end_game, _WITHOUT_PROXY),
    Capture("tcp", published_tcp, start_shop, end_shop),
    Capture("tcp-without-proxy", published_tcp, start_shop, end_shop, _WITHOUT_PROXY),
    Capture("tcp-by-own-address", published_tcp_by_own_address, start_shop, end_shop),
    Capture("tcp-by-loopback", published_tcp_by_loopback, start_shop, end_shop),
    Capture(
        "tcp-by-loopback-without-proxy",
        published_tcp_by_loopback_without_proxy,
        start_shop,
        end_shop,
        _WITHOUT_PROXY,
    ),
    Capture("ipv6", over_ipv6, start_six, end_six),
    Capture("fragments", too_long),
    Capture(
        "docker-user",
        dropped("NETFILTER_DROP"),
        shell("iptables -I DOCKER-USER -s <web> -p udp -j DROP"),
        shell("iptables -D DOCKER-USER -s <web> -p udp -j DROP"),
    ),
    Capture(
        "rp-filter",
        dropped("IP_RPFILTER"),
        shell("sysctl -w net.ipv4.conf.<front>.rp_filter=1", "ip route add <web>/32 dev docker0"),
        shell("sysctl -w net.ipv4.conf.<front>.rp_filter=0", "ip route del <web>/32 dev docker0"),
    ),
    Capture(
        "ip-forward",
        dropped("IP_INADDRERRORS"),
        shell("sysctl -w net.ipv4.ip_forward=0"),
        shell("sysctl -w net.ipv4.ip_forward=1"),
    ),
    Capture(
        "full-queue",
        into_a_full_queue,
        shell("tc qdisc add dev <veth> root tbf rate 80kbit burst 1540 limit 3000"),
        shell("tc qdisc del dev <veth> root"),
    ),
    Capture("asks-first", asks_first, start_game, end_game),
    Capture("waits-for-neighbour", waits_for_the_neighbour, silent_game, end_game),
    Capture("waits-for-neighbour-of-ipv6", waits_for_the_neighbour_of_ipv6, silent_six, end_silent_six),
    Capture("no-neighbour", no_neighbour, deaf_game, end_game),
    Capture(
        "missed-fragment",
        misses_a_fragment,
        lambda host: host.container("web", ["sysctl", "-qw", "net.ipv4.ipfrag_time=1"]),
        lambda host: host.container("web", ["sysctl", "-qw", "net.ipv4.ipfrag_time=30"]),
    ),
    Capture("flood", floods),
    Capture("tapped", tapped),
    Capture("segments", cut_into_segments, start_segments, end_segments),
    Capture("merged", merged_again, start_merging, end_segments),
    Capture("forwarded-fragments", forwarded_fragments),
    Capture("no-socket", nobody_listens, tell_all_errors, tell_few_errors),
    Capture("all-events-no-socket", nobody_listens, tell_all_errors, tell_few_errors, also_traced=ALL_EVENTS),
    Capture("all-events-tcp", published_tcp, start_shop, end_shop, also_traced=ALL_EVENTS),
    Capture("all-events-udp", published_udp, start_game, end_game, also_traced=ALL_EVENTS),
    Capture(
        "all-events-docker-user",
        dropped("NETFILTER_DROP"),
        shell("iptables -I DOCKER-USER -s <web> -p udp -j DROP"),
        shell("iptables -D DOCKER-USER -s <web> -p udp -j DROP"),
        also_traced=ALL_EVENTS,
    ),
)
