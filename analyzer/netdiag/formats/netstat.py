"""`netstat -tulpn`: the sockets of a namespace, as `ss` gives them.

It knows less than `ss`: of the processes that hold a socket one alone, no device, not whether a socket on `::` takes
IPv4 too, and not how long a listener's backlog may be. It cuts addresses off so that they and the port take 23
characters; `netstat -W` does not.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_address, line_span, port_number, read_lines
from netdiag.formats.records import IpAddress, Process, Socket
from netdiag.spans import Source, Span

# of an address with its port: net-tools' netstat.c and busybox' PRINT_NET_CONN
_COLUMN_WIDTH = 23
_NAMED = "a name stands for an address: `netstat -n` prints the address"
_CUT = "an address of 23 characters may be cut off: `netstat -W` prints it whole"

# netstat's words that ss has another one for, those without an underscore; CLOSE is what the kernel calls both
_STATES = {
    "ESTABLISHED": "ESTAB",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "CLOSE": "UNCONN",
}


@dataclass(frozen=True)
class _Endpoint:
    """`address` is None for a name."""

    address: IpAddress | None
    port: int | None
    service: str | None
    width: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address and self.address.version == 6 else self.address
        return f"{host}:{self.service or self.port}"

    @property
    def may_be_cut(self) -> bool:
        return self.width == _COLUMN_WIDTH and self.address is not None and self.address.version == 6


@dataclass(frozen=True)
class _Socket:
    protocol: str
    state: str
    queues: tuple[int, int]
    local: _Endpoint
    peer: _Endpoint
    processes: tuple[Process, ...]
    details: dict[str, str]

    @property
    def wide(self) -> bool:
        return max(self.local.width, self.peer.width) > _COLUMN_WIDTH

    def record(self, span: Span, *, wide: bool) -> Socket | str:
        """The socket, or why it cannot be told."""
        address, peer = self.local.address, self.peer.address
        if address is None or peer is None:
            return _NAMED
        if not wide and (self.local.may_be_cut or self.peer.may_be_cut):
            return _CUT
        told = {} if peer.is_unspecified else {"peer": str(self.peer)}
        service = {"service": self.local.service} if self.local.service else {}
        return Socket(
            protocol=self.protocol,
            state=self.state,
            family=None if address.version == 6 and address.is_unspecified else f"ipv{address.version}",
            address=None if address.is_unspecified else address,
            port=self.local.port,
            span=span,
            receive_queue=self.queues[0],
            send_queue=None if self.state == "LISTEN" else self.queues[1],
            processes=self.processes,
            details={**service, **told, **self.details},
        )


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a socket; None for titles, headings and sockets of no network."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def title(self, _: Token) -> None:
        return None

    def heading(self) -> None:
        return None

    unix_heading = heading

    def unix(self, *_: Token) -> None:
        return None

    def zone(self, _: Token) -> None:
        """A number that busybox 1.35 reads from memory which nobody wrote to."""

    def endpoint(self, host: Token, *rest: Any) -> _Endpoint:
        port: Token = rest[-1]
        known = port.type == "PORT"
        return _Endpoint(
            address=_address(host),
            port=port_number(port) if known and port != "*" else None,
            service=None if known else str(port),
            width=(port.end_column or 0) - (host.column or 0),
        )

    def owner(self, user: Token, inode: Token) -> dict[str, str]:
        return {"uid": str(user), "ino": str(inode)}

    def program(self, pid: Token | None = None, command: Token | None = None) -> tuple[Process, ...]:
        return (Process(str(command), int(pid), None),) if pid else ()

    def timer(self, kind: Token, times: Token) -> dict[str, str]:
        return {} if kind == "off" else {"timer": f"{kind} {times}"}

    def socket(self, protocol: Token, receive: Token, send: Token, *rest: Any) -> _Socket:
        local, peer, *more = rest
        state = str(more.pop(0)) if more and isinstance(more[0], Token) else ""
        if protocol.endswith("6"):
            local, peer = _mapped(local), _mapped(peer)
        details: dict[str, str] = {}
        for part in more:
            details |= part if isinstance(part, dict) else {}
        return _Socket(
            protocol=protocol.removesuffix("6"),
            state=_STATES.get(state, state.replace("_", "-")) or "UNCONN",
            queues=(int(receive), int(send)),
            local=local,
            peer=peer,
            processes=next((part for part in more if isinstance(part, tuple)), ()),
            details=details,
        )

    def raw(self, protocol: Token, receive: Token, send: Token, *rest: Any) -> _Socket:
        """The state is a number here, and in busybox the protocol's; a peer tells whether the socket is connected."""
        local, peer, _, *more = rest
        connected = peer.address is not None and not peer.address.is_unspecified
        state = Token("STATE", "ESTABLISHED" if connected else "CLOSE")
        return self.socket(protocol, receive, send, local, peer, state, *more)


def _address(host: Token) -> IpAddress | None:
    if host.type == "NAME":
        return None
    return IPv4Address(0) if host.type == "ANY" else as_address(host)


def _mapped(endpoint: _Endpoint) -> _Endpoint:
    """The endpoint of an IPv6 socket: netstat prints an IPv4 address in IPv6 form (::ffff:127.0.0.1) as IPv4 alone."""
    address = endpoint.address
    if address is None or address.version == 6:
        return endpoint
    whole = as_address("::" if address.is_unspecified else f"::ffff:{address}")
    return _Endpoint(whole, endpoint.port, endpoint.service, endpoint.width)


def read(source: Source) -> Document:
    """Every socket of the network families; never raises."""
    sockets: list[tuple[int, _Socket]] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif meaning is not None:
            sockets.append((number, meaning))
    wide = any(socket.wide for _, socket in sockets)
    records: list[Socket] = []
    for number, socket in sockets:
        record = socket.record(line_span(source, number), wide=wide)
        if isinstance(record, str):
            unread.append(Unread(number, record))
        else:
            records.append(record)
    return Document(source, FORMAT.name, tuple(records), tuple(sorted(unread, key=lambda line: line.line)))


FORMAT = Format(
    name="netstat",
    title="sockets (netstat)",
    commands=("netstat -tulpnW", "netstat -tulpn", "netstat -tan"),
    read=read,
)
