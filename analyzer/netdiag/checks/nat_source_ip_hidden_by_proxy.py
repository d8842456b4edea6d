"""Traffic flows through docker-proxy so containers see the gateway IP.

## What it finds
Published ports that clients also reach by IPv6 although their containers have no IPv6 address.

## Why it matters
Nothing translates such connections: docker-proxy takes them and makes new ones from the bridge's gateway. All IPv6
clients look like 172.17.0.1 to the container, in logs, rate limits and access lists, and their traffic goes through a
process.

## How it is decided
Gates: the engine is here and has a local bridge network; the host has an IPv6 address, not a link-local one, on an
interface that is no bridge. A port counts when docker-proxy has it on an IPv6 address that is not the loopback's, its
container has no IPv6 address, and no rule of the host keeps IPv6 clients from it for certain. One finding names them
all. Where docker-proxy answers because a rule is gone, nat-dnat-missing and nat-docker-jump-missing say so.

It is a note, since Docker does so by default on every host with IPv6.

## Not a problem when
Nobody uses the host by IPv6, or the container does not care who its clients are. Connections from the host itself
always look so.

## Repair
Refuse IPv6 clients at once, so that they take IPv4; or publish on 0.0.0.0 (`-p 0.0.0.0:8080:80`); or give the network
IPv6 (`docker network create --ipv6`), and the container sees their addresses.

## Verify
A client by IPv6 is refused, and one by IPv4 is seen with its own address.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby cmd/docker-proxy; moby/moby#15086; moby/moby#25526.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import attachments, docker_networks, related, sh
from netdiag.checks._exposure import Door, to_host
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, PublishedPort
from netdiag.model import Host, Truth
from netdiag.model.gates import unknown
from netdiag.model.proxies import PortProxy

_MOST_NAMED = 4


@dataclass(frozen=True)
class _Hidden:
    container: Container
    port: PublishedPort
    proxy: PortProxy

    @property
    def name(self) -> str:
        return f"{self.port.host_port}/{self.port.protocol}"


@check(Severity.NOTE, layer="nat")
def nat_source_ip_hidden_by_proxy(host: Host) -> Verdicts:
    bridges, others = docker_networks(host)
    yield from others
    if not bridges:
        return
    doors = list(_doors(host))
    if not doors:
        if host.root.addresses_known:
            yield NotApplicable("the host has no IPv6 address that clients come by")
        else:
            yield unjudged(unknown("whether the host has an IPv6 address", "ip_addr", because=host.root.links.why))
        return
    if not host.proxies.items:
        if host.proxies.whole:
            yield NotApplicable("no docker-proxy runs")
        else:
            yield unjudged(unknown("which docker-proxies run", "ss", because=host.proxies.why))
        return
    on_bridges = {attachment.container.id: attachment.container for attachment in attachments(host, bridges)}
    hidden = [each for each in _hidden(host, on_bridges) if any(_may_come(host, each, door) for door in doors)]
    if hidden:
        yield _fault(hidden, doors[0])


def _doors(host: Host) -> Iterator[Door]:
    """The IPv6 addresses by which clients from elsewhere may come: not those of bridges, which are the engine's."""
    for link in host.root.links:
        for each in link.addresses if link.kind != "bridge" else ():
            address = each.address.ip
            if isinstance(address, IPv6Address) and not (address.is_loopback or address.is_link_local):
                yield Door(link.name, address, each.address.network, each.span)


def _hidden(host: Host, containers: dict[str, Container]) -> Iterator[_Hidden]:
    proxies = {(proxy.host_port, proxy.protocol): proxy for proxy in host.proxies if _takes_ipv6(proxy)}
    for container in containers.values():
        if any(endpoint.address6 for endpoint in container.endpoints):
            continue
        seen = set()
        for port in container.ports:
            proxy = proxies.get((port.host_port, port.protocol))
            if proxy and (port.host_port, port.protocol) not in seen:
                seen.add((port.host_port, port.protocol))
                yield _Hidden(container, port, proxy)


def _takes_ipv6(proxy: PortProxy) -> bool:
    address = proxy.host_address
    return isinstance(address, IPv6Address) and not address.is_loopback and proxy.listens is not False


def _may_come(host: Host, hidden: _Hidden, door: Door) -> bool:
    """No rule keeps a client from the port for certain."""
    client = door.neighbour if door.network.num_addresses > 1 else door.anybody
    port = hidden.port
    return to_host(host, door, port.protocol, door.address, port.host_port, client).truth is not Truth.NO


def _fault(hidden: list[_Hidden], door: Door) -> Fault:
    all_names = [f"{each.name} of `{each.container.name}`" for each in hidden]
    more = f" and {len(hidden) - _MOST_NAMED} more" if len(hidden) > _MOST_NAMED else ""
    names = ", ".join(all_names[:_MOST_NAMED]) + more
    return Fault(
        message=f"IPv6 clients of published ports look like the bridge's gateway: {names}",
        subjects=(
            *dict.fromkeys(Subject("container", each.container.name) for each in hidden),
            *(Subject("port", each.name) for each in hidden),
        ),
        evidence=(
            *(Evidence(each.proxy.span, f"docker-proxy takes IPv6 clients of {each.name}") for each in hidden[:3]),
            related(door.span, "clients come by this address"),
            *(related(each.port.span, f"{each.container.name} has no IPv6 address") for each in hidden[:3]),
        ),
        remedy=tuple(_refusal(each) for each in hidden),
        verify=("ip6tables -S INPUT", "ss -tulpn"),
    )


def _refusal(hidden: _Hidden) -> str:
    protocol, port = hidden.port.protocol, hidden.port.host_port
    answer = "tcp-reset" if protocol == "tcp" else "icmp6-port-unreachable"
    return sh("ip6tables -I INPUT ! -i lo -p {} --dport {} -j REJECT --reject-with {}", protocol, port, answer)
