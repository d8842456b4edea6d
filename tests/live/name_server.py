"""A name server for laboratory hosts: names below ``example`` have one IPv4 address, other names do not exist.

Run as a script with an address to listen on; prints ``ready`` once it takes look-ups on port 53 (UDP).
"""

from __future__ import annotations

import struct
import sys
from ipaddress import IPv4Address
from socketserver import BaseRequestHandler, ThreadingUDPServer

ADDRESS_OF_ALL = IPv4Address("198.51.100.7")
PORT = 53

_ADDRESS, _INTERNET = 1, 1
_ANSWER, _RECURSION = 0x8000, 0x0180
_NO_SUCH_NAME = 3


def answer(query: bytes) -> bytes:
    """The answer to a look-up of one name (RFC 1035, section 4.1)."""
    identity, _, questions = struct.unpack_from("!HHH", query)
    labels, end = [], 12
    while query[end]:
        labels.append(query[end + 1 : end + 1 + query[end]])
        end += 1 + query[end]
    kind, _ = struct.unpack_from("!HH", query, end + 1)
    question = query[12 : end + 5]
    known = labels[-1:] == [b"example"]
    found = b""
    if known and kind == _ADDRESS:
        found = struct.pack("!HHHIH", 0xC00C, _ADDRESS, _INTERNET, 60, 4) + ADDRESS_OF_ALL.packed
    flags = _ANSWER | _RECURSION | (0 if known else _NO_SUCH_NAME)
    return struct.pack("!HHHHHH", identity, flags, questions, bool(found), 0, 0) + question + found


class LookUp(BaseRequestHandler):
    """One datagram."""

    def handle(self) -> None:
        query, connection = self.request
        connection.sendto(answer(query), self.client_address)


class NameServer(ThreadingUDPServer):
    """Takes look-ups on one address."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A query that is none gets no answer."""


def main() -> None:
    with NameServer((sys.argv[1], PORT), LookUp) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
