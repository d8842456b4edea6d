"""A router between two wires in network namespaces, to see what the kernel does to packets that are put on one of them.

``Router`` has the interfaces `left` and `right`. Frames are put on the left wire as they are and looked for on the
right one, so no host answers and nothing but the router decides. Rules may be loaded on it and printed by the real
tools.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Self

import lab

LEFT, RIGHT = "left", "right"
_MAC = {
    LEFT: bytes.fromhex("020000000001"),
    RIGHT: bytes.fromhex("020000000002"),
}  # of the ends that are not the router's
_ROUTER_MAC = {LEFT: bytes.fromhex("0200000000f1"), RIGHT: bytes.fromhex("0200000000f2")}
NETWORKS = {LEFT: ("10.1.0.1/24", "fd00:1::1/64"), RIGHT: ("10.2.0.1/24", "fd00:2::1/64")}
_MARK_TYPE = 0x88B5  # an Ethernet type for experiments: the frame that says that all others have come
_ANSWER_WITHIN_S = 5.0
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}


@dataclass(frozen=True)
class Packet:
    """A packet as it is put on a wire or taken from it.

    ICMP messages are echo requests, or replies with `reply`; TCP packets the first one, its answer with `reply`, or
    with `later` the one that comes after these.
    """

    protocol: str
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    source_port: int = 0
    destination_port: int = 0
    reply: bool = False
    later: bool = False

    def answered(self) -> Packet:
        """The packet that goes back."""
        return replace(
            self,
            source=self.destination,
            destination=self.source,
            source_port=self.destination_port,
            destination_port=self.source_port,
            reply=not self.reply,
        )

    def frame(self, wire: str) -> bytes:
        """The frame that brings it to the router on this wire."""
        body = self._transport()
        version4 = isinstance(self.source, IPv4Address)
        number = _PROTOCOLS[self.protocol]
        ends = self.source.packed + self.destination.packed
        if version4:
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, number, 0) + ends
            head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
        else:
            head = struct.pack(">IHBB", 0x60000000, len(body), number, 64) + ends
        kind = b"\x08\x00" if version4 else b"\x86\xdd"
        return _ROUTER_MAC[wire] + _MAC[wire] + kind + head + body

    def _transport(self) -> bytes:
        ports = struct.pack(">HH", self.source_port, self.destination_port)
        pseudo = self.source.packed + self.destination.packed
        number = _PROTOCOLS[self.protocol]
        if self.protocol == "udp":
            body, place = ports + struct.pack(">HH", 8, 0), 6
        elif self.protocol == "tcp":
            sequence, acknowledged, flags = (2, 2, 0x10) if self.later else (1, 2, 0x12) if self.reply else (1, 0, 0x02)
            body, place = ports + struct.pack(">IIBBHHH", sequence, acknowledged, 0x50, flags, 1024, 0, 0), 16
        else:
            kinds = (8, 0) if self.protocol == "icmp" else (128, 129)
            body = struct.pack(">BBHHH", kinds[self.reply], 0, 0, self.source_port or self.destination_port, 1)
            place = 2
        summed = body if self.protocol == "icmp" else pseudo + struct.pack(">II", len(body), number) + body
        return body[:place] + struct.pack(">H", _checksum(summed) or 0xFFFF) + body[place + 2 :]


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _read_frame(frame: bytes) -> Packet | None:
    """The packet in a frame, None for what the tests do not send."""
    kind, rest = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        number, ends, body = rest[9], rest[12:20], rest[20:]
    elif kind == b"\x86\xdd":
        number, ends, body = rest[6], rest[8:40], rest[40:]
    else:
        return None
    names = {each: name for name, each in _PROTOCOLS.items()}
    half = len(ends) // 2
    source, destination = ip_address(ends[:half]), ip_address(ends[half:])
    if names.get(number) in ("tcp", "udp"):
        return Packet(names[number], source, destination, *struct.unpack(">HH", body[:4]))
    if number in names and body[0] in (8, 128):
        return Packet(names[number], source, destination, source_port=struct.unpack(">H", body[4:6])[0])
    return None


@contextmanager
def _entered(namespace: str) -> Iterator[None]:
    """This thread in another network namespace; sockets that it makes there stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", encoding="ascii") as back, open(namespace, encoding="ascii") as there:
        for goal in (there, back):
            if libc.setns(goal.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            if goal is there:
                try:
                    yield
                except BaseException:
                    libc.setns(back.fileno(), 0x40000000)
                    raise


class Router:
    """The router and its two wires, up between ``__enter__`` and ``__exit__``."""

    def __init__(self) -> None:
        self._undo = ExitStack()
        self._wires: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._router = _namespace(undo)
            self._ends = _namespace(undo)
            for side in (LEFT, RIGHT):
                self._connect(side)
                self._wires[side] = undo.enter_context(self._wire(side))
            self._marker = undo.enter_context(self._socket(self._router, RIGHT))
            self.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def run(self, argv: Sequence[str], text: str = "") -> str:
        """Run a command on the router; ValueError with what it said when it fails."""
        return _run(self._router, argv, text)

    def seen_of(self, packets: Sequence[Packet], wire: str = LEFT) -> list[Packet]:
        """Put packets on a wire; those that came out on the other."""
        for packet in packets:
            self._wires[wire].send(packet.frame(wire))
        return self._taken(RIGHT if wire == LEFT else LEFT)

    def _taken(self, wire: str) -> list[Packet]:
        """What came on the other wire until a frame that went around all rules."""
        mark = _MAC[RIGHT] + _ROUTER_MAC[RIGHT] + struct.pack(">H", _MARK_TYPE) + os.urandom(46)
        if wire == RIGHT:
            self._marker.send(mark)
        found = []
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while wire == RIGHT or select.select([self._wires[wire]], [], [], 0)[0]:
            assert time.monotonic() < deadline, "the marking frame did not come"
            if not select.select([self._wires[wire]], [], [], 0.1)[0]:
                continue
            frame = self._wires[wire].recv(2048)
            if frame == mark:
                break
            packet = _read_frame(frame) if frame[:6] == _MAC[wire] else None
            found += [packet] if packet else []
        return found

    def _connect(self, side: str) -> None:
        ends, router = self._ends, self._router
        mac, own = _MAC[side].hex(":"), _ROUTER_MAC[side].hex(":")
        peer = f"type veth peer name {side} address {own} netns /proc/{_pid(router)}/ns/net"
        _run(ends, ["ip", "link", "add", f"end-{side}", "address", mac, *peer.split()])
        _run(ends, ["ip", "link", "set", f"end-{side}", "up"])
        self.run(["ip", "link", "set", side, "up"])
        for address in NETWORKS[side]:
            self.run(["ip", "address", "add", address, "dev", side, *(["nodad"] if ":" in address else [])])
        for number in range(2, 6):
            for address in (f"10.{1 if side == LEFT else 2}.0.{number}", f"fd00:{1 if side == LEFT else 2}::{number}"):
                self.run(["ip", "neigh", "add", address, "lladdr", mac, "dev", side, "nud", "permanent"])

    def _wire(self, side: str) -> socket.socket:
        return self._socket(self._ends, f"end-{side}")

    @staticmethod
    def _socket(namespace: str, interface: str) -> socket.socket:
        with _entered(namespace):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            made.bind((interface, 3))
        return made


def _pid(namespace: str) -> str:
    return namespace.split("/")[2]


def _run(namespace: str, argv: Sequence[str], text: str = "") -> str:
    enter = ["nsenter", f"--net={namespace}", "--"]
    done = subprocess.run(
        [*enter, *argv], input=text, capture_output=True, text=True, check=False, env=lab.ENVIRONMENT, timeout=60
    )
    if done.returncode:
        message = f"{argv}: {done.stderr}"
        raise ValueError(message)
    return done.stdout


def _namespace(undo: ExitStack) -> str:
    """A network namespace that lasts until `undo`; its path."""
    unshare = shutil.which("unshare", path=lab.DEBIAN_PATH) or "unshare"
    holder = subprocess.Popen([unshare, "--net", "sleep", "infinity"])
    undo.callback(holder.wait)
    undo.callback(holder.kill)
    path = f"/proc/{holder.pid}/ns/net"
    while os.readlink(path) == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    return path
