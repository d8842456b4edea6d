"""The engine's userland proxies (docker-proxy): who listens on a published port, and where it forwards connections to.

The arguments are those of moby's cmd/docker-proxy.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

from netdiag.formats.records import IpAddress, ProcessLine, Socket
from netdiag.model.knowledge import Extent, Facts
from netdiag.spans import Span

#: The kernel keeps 15 characters of a process's name, which are all of this one.
NAME = "docker-proxy"

_ANY_IPV4, _ANY_IPV6 = IPv4Address(0), IPv6Address(0)


@dataclass(frozen=True)
class PortProxy:
    """A docker-proxy process. None is what is not told: where it forwards to, when only the list of sockets shows it.

    `listens` is whether the list of sockets has it on that port, None when
    that list was not collected or does not name processes.
    """

    pid: int
    span: Span
    protocol: str | None
    host_address: IpAddress | None
    host_port: int | None
    container_address: IpAddress | None = None
    container_port: int | None = None
    listens: bool | None = None


def build_proxies(processes: Facts[ProcessLine], sockets: Facts[Socket], here: int | None) -> Facts[PortProxy]:
    """The proxies of the host's namespace, whose number is `here`: another engine may run in a container."""
    listening = {process.pid: socket for socket in sockets for process in socket.processes if process.name == NAME}
    sure = sockets.whole and any(socket.processes for socket in sockets)
    if processes.extent is Extent.NONE:
        found = tuple(_of_socket(pid, socket) for pid, socket in listening.items())
        extent = Extent.WHOLE if sure else Extent.PART if found else Extent.NONE
        return Facts(found, extent, "" if sure else processes.why, () if sure else processes.missing)
    proxies = []
    for line in processes:
        arguments = _arguments(line.command)
        if arguments is not None and (here is None or line.netns in (here, None)):
            proxies.append(_of_process(line, arguments, listens=line.pid in listening if sure else None))
    return Facts(tuple(proxies), processes.extent, processes.why, processes.missing)


def _arguments(command: str) -> dict[str, str] | None:
    """The options of a docker-proxy, None for another program."""
    program, *words = command.split() or [""]
    if program.rpartition("/")[2] != NAME:
        return None
    return {option.lstrip("-"): value for option, value in pairwise(words) if option.startswith("-")}


def _of_process(line: ProcessLine, arguments: dict[str, str], *, listens: bool | None) -> PortProxy:
    return PortProxy(
        pid=line.pid,
        span=line.span,
        protocol=arguments.get("proto"),
        host_address=_address(arguments.get("host-ip", "")),
        host_port=_port(arguments.get("host-port", "")),
        container_address=_address(arguments.get("container-ip", "")),
        container_port=_port(arguments.get("container-port", "")),
        listens=listens,
    )


def _of_socket(pid: int, socket: Socket) -> PortProxy:
    anywhere = _ANY_IPV4 if socket.family == "ipv4" else _ANY_IPV6
    return PortProxy(pid, socket.span, socket.protocol, socket.address or anywhere, socket.port, listens=True)


def _address(text: str) -> IpAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
