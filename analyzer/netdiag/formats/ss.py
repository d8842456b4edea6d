"""`ss -tulpn`: the sockets of a namespace and the processes that hold them."""

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import as_address, line_span, port_number, read_lines
from netdiag.formats.records import IpAddress, Process, Socket
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class _Endpoint:
    """`bare` when an IPv6 address stands without brackets. `service` is the name of a port without `-n`."""

    family: str
    address: IpAddress | None
    port: int | None
    device: str | None
    bare: bool
    service: str | None

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.family == "ipv6" else self.address
        return f"{host}:{self.service or self.port}"


@dataclass(frozen=True)
class _Socket:
    protocol: str | None
    state: str
    queues: tuple[int, int]
    local: _Endpoint
    peer: _Endpoint
    processes: tuple[Process, ...]
    details: dict[str, str]

    def record(self, span: Span, family_of_any: str) -> Socket:
        peer = {"peer": str(self.peer)} if self.peer.address else {}
        service = {"service": self.local.service} if self.local.service else {}
        untold = self.local.bare and self.local.family == "ipv6" and self.local.address is None
        return Socket(
            protocol=self.protocol or ("udp" if self.state == "UNCONN" else "tcp"),
            state=self.state,
            family=None if untold else family_of_any if self.local.family == "any" else self.local.family,
            address=self.local.address,
            port=self.local.port,
            span=span,
            device=self.local.device,
            receive_queue=self.queues[0],
            send_queue=self.queues[1],
            processes=self.processes,
            details={**service, **peer, **self.details},
        )


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a socket or as more text on the socket above; None for headings and sockets of no network."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self) -> None:
        return None

    def other(self, *_: Token) -> None:
        return None

    def more(self, text: Token) -> tuple[str, str]:
        return "more", str(text)

    def device(self, name: Token) -> dict[str, str]:
        return {"device": str(name)}

    def endpoint(self, host: Token, *rest: Any) -> _Endpoint:
        return _endpoint(host, *rest, bare=False)

    def bare_endpoint(self, host: Token, *rest: Any) -> _Endpoint:
        return _endpoint(host, *rest, bare=True)

    def process(self, name: Token, *rest: Token) -> Process:
        pid, fd = (int(token) for token in rest if token.type == "INT")
        return Process(name.strip('"'), pid, fd)

    def users(self, *processes: Process) -> tuple[Process, ...]:
        return tuple(dict.fromkeys(processes))  # threads of a process, with -T

    def detail(self, key: Token, value: Token) -> dict[str, str]:
        return {key.rstrip(":"): str(value)}

    def word(self, word: Token) -> dict[str, str]:
        return {str(word): ""}

    def socket(self, *parts: Any) -> _Socket:
        protocol = str(parts[0]) if parts[0].type == "NETID" else None
        state, receive, send, local, peer, *rest = parts[1:] if protocol else parts
        details: dict[str, str] = {}
        for part in rest:
            details |= part if isinstance(part, dict) else {}
        return _Socket(
            protocol=protocol,
            state=str(state),
            queues=(int(receive), int(send)),
            local=local,
            peer=peer,
            processes=tuple(process for part in rest if isinstance(part, tuple) for process in part),
            details=details,
        )


def _endpoint(host: Token, *rest: Any, bare: bool) -> _Endpoint:
    *device, port = rest
    address = None if host.type == "ANY" else as_address(host)
    return _Endpoint(
        family=f"ipv{address.version}" if address else "any",
        address=address if address and not address.is_unspecified else None,
        port=port_number(port) if port.type == "PORT" and port != "*" else None,
        device=device[0]["device"] if device else None,
        bare=bare,
        service=str(port) if port.type == "SERVICE" else None,
    )


def read(source: Source) -> Document:
    """Every socket of the network families; never raises."""
    sockets: list[tuple[int, _Socket]] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Socket):
            sockets.append((number, meaning))
        elif isinstance(meaning, tuple) and sockets:
            above, socket = sockets[-1]
            sockets[-1] = above, replace(socket, details={**socket.details, **dict([meaning])})
        elif meaning is not None:
            unread.append(Unread(number, "no socket above it"))
    bare = any(endpoint.bare for _, socket in sockets for endpoint in (socket.local, socket.peer))
    family_of_any = "ipv4" if bare else "any"
    records = tuple(socket.record(line_span(source, number), family_of_any) for number, socket in sockets)
    return Document(source, FORMAT.name, records, tuple(unread), _notes(sockets))


def _notes(sockets: list[tuple[int, _Socket]]) -> tuple[str, ...]:
    if all(socket.protocol for _, socket in sockets):
        return ()
    return ("no column Netid: sockets in the state UNCONN are taken for udp, all others for tcp",)


FORMAT = Format(
    name="ss",
    title="sockets (ss)",
    commands=("ss -tulpn", "ss -tuln", "ss -tan"),
    read=read,
)
