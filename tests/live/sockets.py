"""Sockets of every kind that netstat and ss tell of, held open until this process ends.

Writes a line when all are there. Its argument is a device with a link-local address.
"""

import signal
import socket
import sys
from pathlib import Path

HELD: list[socket.socket] = []


def hold(
    family: int, kind: int, address: tuple[object, ...], *, only6: bool | None = None, protocol: int = 0
) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if only6 is not None:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only6))
    made.bind(address)
    HELD.append(made)
    return made


def link_local(device: str) -> tuple[object, ...]:
    for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
        digits, index, _, _, _, name = line.split()
        if name == device and digits.startswith("fe80"):
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), 546, 0, int(index, 16)
    raise SystemExit(f"{device} has no link-local address")


def main() -> None:
    for address, backlog in ((("0.0.0.0", 2022), 5), (("127.0.0.1", 2023), 6)):
        hold(socket.AF_INET, socket.SOCK_STREAM, address).listen(backlog)
    hold(socket.AF_INET6, socket.SOCK_STREAM, ("::", 2024), only6=False).listen(7)
    hold(socket.AF_INET6, socket.SOCK_STREAM, ("::", 2025), only6=True).listen(8)
    hold(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 2026)).listen(9)
    hold(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", 2027), only6=False).listen(10)
    hold(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 2028))
    hold(socket.AF_INET6, socket.SOCK_DGRAM, ("::", 2029), only6=False)
    hold(socket.AF_INET6, socket.SOCK_DGRAM, link_local(sys.argv[1]))
    hold(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0), protocol=socket.IPPROTO_ICMP)
    # they wait to be accepted
    HELD.extend(map(socket.create_connection, (("127.0.0.1", 2023), ("::1", 2026))))
    connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected.connect(("127.0.0.1", 2028))
    HELD.append(connected)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


main()
