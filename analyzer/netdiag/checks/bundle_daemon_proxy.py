"""HTTP(S)_PROXY/NO_PROXY misconfigured for daemon/containers.

## What it finds
Containers whose proxy is on a loopback address where nothing listens in their own namespace, and a daemon whose own
proxy is on a port of the host where nothing listens.

## Why it matters
`127.0.0.1` in a container is the container. Every program there that honours the variable fails at once for all names
and addresses outside, while `ping` and other tools reach them. A daemon with a dead proxy cannot pull images.

## How it is decided
The variables `http_proxy`, `https_proxy` and `all_proxy` of the container and the settings that `docker info` prints
are taken apart; the sockets are those of the namespace in which the proxy is asked.

## Not a problem when
A proxy runs in the container, or the container uses the host's network and the host has one there.

## Repair
Start the container again with the address by which it reaches the proxy: that of its gateway when the proxy runs on the
host and listens there. The client puts the variables in by itself where ~/.docker/config.json has `proxies`.

## Verify
`env` in the container shows the other address, and a request gets out.

## References
docs.docker.com/engine/daemon/proxy; docs.docker.com/engine/cli/proxy.
"""

import shlex
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, EngineInfo, IpAddress, Socket
from netdiag.model import Gate, Host, Namespace
from netdiag.model.gates import is_running, no, whole
from netdiag.model.knowledge import YES
from netdiag.spans import Span

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}


@dataclass(frozen=True)
class _Proxy:
    """A proxy on a loopback address, and by which variable or setting it is asked."""

    name: str
    address: IpAddress
    port: int


@check(Severity.WARNING, layer="bundle")
def bundle_daemon_proxy(host: Host) -> Verdicts:
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers there are"))
    given = [each for each in host.containers if is_running(each).yes and each.proxies]
    info = host.engine.info
    of_daemon = [info.http_proxy, info.https_proxy] if info else []
    if not given and not any(of_daemon) and host.containers.whole:
        yield NotApplicable("no running container and no daemon has a proxy")
    for container in given:
        yield from _judge(host, container)
    if info:
        for name, url in (("HTTP proxy", info.http_proxy), ("HTTPS proxy", info.https_proxy)):
            proxy = _on_loopback(name, url or "")
            if proxy and _listens(host.root, proxy).no:
                yield _of_daemon(host, info, proxy)
                break


def _judge(host: Host, container: Container) -> Verdicts:
    netns = host.namespace_of(container)
    proxies = [found for name in _VARIABLES if (found := _on_loopback(name, container.proxies.get(name, "")))]
    if not proxies:
        return
    if netns is None:
        yield unjudged(whole(host.root.sockets, f"who listens in container {container.name}"))
        return
    dead = []
    for proxy in proxies:
        gate = _listens(netns, proxy)
        if gate.unknown:
            yield unjudged(gate)
        elif gate.no:
            dead.append(proxy)
    if dead:
        yield _of_container(host, container, dead)


def _on_loopback(name: str, url: str) -> _Proxy | None:
    """None for a proxy elsewhere, and for text that is no address of one."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
        address = IPv4Address("127.0.0.1") if host == "localhost" else ip_address(host)
    except ValueError:
        return None
    return _Proxy(name, address, port) if address.is_loopback else None


def _listens(netns: Namespace, proxy: _Proxy) -> Gate:
    if any(_takes(socket, proxy) for socket in netns.sockets):
        return YES
    gate = whole(netns.sockets, f"who listens on port {proxy.port}")
    return gate if gate.unknown else no(f"nothing listens on {proxy.address} port {proxy.port}")


def _takes(socket: Socket, proxy: _Proxy) -> bool:
    if socket.protocol != "tcp" or socket.port != proxy.port:
        return False
    if socket.address is not None:
        return socket.address == proxy.address
    return socket.family in (None, "any", "ipv6" if isinstance(proxy.address, IPv6Address) else "ipv4")


def _of_container(host: Host, container: Container, dead: list[_Proxy]) -> Fault:
    where = f"{dead[0].address} port {dead[0].port}"
    evidence = [
        Evidence(span, "this is the container itself, and nothing listens there")
        for each in dead
        if (span := _place(container, each.name))
    ] or [Evidence(container.span, "its variables name a proxy on its own loopback address")]
    reachable, socket = _on_the_host(host, container, dead[0])
    if socket:
        evidence.append(related(socket.span, "a proxy listens on this port of the host"))
    use = f"http://{reachable}:{dead[0].port}" if reachable else "http://<address of the proxy>"
    variables = " ".join(f"-e {each.name}={use}" for each in dead)
    return Fault(
        message=f"container `{container.name}` is told to use a proxy at {where}, which is itself",
        subjects=(Subject("container", container.name), *(Subject("port", f"{each.port}/tcp") for each in dead[:1])),
        evidence=tuple(evidence),
        remedy=(sh("{} rm -f {}", container.engine, container.name) + f"  # and start it again with {variables}",),
        verify=(sh("{} exec {} env", container.engine, container.name) + " | grep -i proxy",),
    )


def _place(container: Container, name: str) -> Span | None:
    """The line of the variable: programs and engines spell it in either case."""
    position = next((index for index, each in enumerate(container.variables) if each.lower() == name), None)
    return None if position is None else container.span_at("Config", "Env", position)


def _on_the_host(host: Host, container: Container, proxy: _Proxy) -> tuple[IpAddress | None, Socket | None]:
    """A proxy of the same port on the host, and the address by which the container reaches it when it listens there."""
    there = [socket for socket in host.root.sockets if socket.protocol == "tcp" and socket.port == proxy.port]
    for endpoint in container.endpoints:
        if endpoint.gateway and any(socket.address in (None, endpoint.gateway) for socket in there):
            return endpoint.gateway, there[0]
    return None, there[0] if there else None


def _of_daemon(host: Host, info: EngineInfo, proxy: _Proxy) -> Fault:
    told = f"HTTP proxy {info.http_proxy or 'none'}, HTTPS proxy {info.https_proxy or 'none'}"
    return Fault(
        message=f"Docker itself uses a proxy at {proxy.address} port {proxy.port}, where nothing listens",
        subjects=(Subject("host", host.name or "host"), Subject("port", f"{proxy.port}/tcp")),
        evidence=(Evidence(info.span, f"this engine was told {told}"),),
        remedy=(f"ss -ltnp {shlex.quote(f'sport = {proxy.port}')}  # and start the proxy that is missing",),
        verify=("docker info --format '{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}'",),
    )
