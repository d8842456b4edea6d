"""Published on a host IP that is not configured.

## What it finds
A port that is published on one address of the host (`-p 192.0.2.10:80:80`) which the host does not have.

## Why it matters
A container that is to be started with such a port is not: "cannot assign requested address". One that was running when
the address went away (a new lease of DHCP, a virtual address that moved) goes on running, and nobody reaches it.

## How it is decided
Gate: the addresses of the host are in the bundle. Of running containers each published port with an address other than
loopback is judged, of others the reason in `State.Error`. The host has an address when an interface carries it or a
route of the type `local` covers it.

## Not a problem when
The sysctl ip_nonlocal_bind is 1: the address is one that moves between hosts (keepalived), and this host waits for it.

## Repair
Give the host the address again, for good in the configuration of its network; or publish on an address that it has.

## Verify
The address is there, and the port answers on it.

## References
docs.docker.com/engine/network/port-publishing; ip-sysctl of the kernel for ip_nonlocal_bind.
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import addition, no_containers, other_containers, published_ports, related, sh
from netdiag.checks._start_errors import NO_SUCH_ADDRESS, left_behind, start_errors
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, IpAddress, PublishedPort
from netdiag.model import Host, Outcome, Packet
from netdiag.model.gates import uplinks, whole


@check(Severity.ERROR, layer="port")
def port_bound_host_ip_missing(host: Host) -> Verdicts:
    wanted: dict[IpAddress, list[tuple[Container, PublishedPort]]] = defaultdict(list)
    for container, port in published_ports(host):
        address = port.host_address
        if address and not address.is_unspecified and not address.is_loopback:
            wanted[address].append((container, port))
    failed = [each for each in start_errors(host, NO_SUCH_ADDRESS) if each.address]
    if not wanted and not failed:
        yield no_containers(
            host, "no port is published on one address of the host only", "on which addresses ports are published"
        )
        return
    if not host.root.addresses_known or not host.root.links.whole:
        yield unjudged(whole(host.root.links, "which addresses the host has"))
        return
    for address, ports in wanted.items():
        if not _has(host, address) and not _waits_for(host, address):
            yield _lost(host, address, ports, [each.container for each in failed if each.address == address])
    for each in failed:
        if each.address and not _has(host, each.address) and each.address not in wanted:
            container = each.container
            yield Fault(
                message=f"container `{container.name}` does not run: the host has no address {each.address}",
                subjects=(Subject("container", container.name), Subject("address", str(each.address))),
                evidence=(each.evidence,),
                remedy=(_give(host, each.address), sh("{} start {}", container.engine, container.name)),
                verify=("ip address", sh("{} ps --filter name={}", container.engine, container.name)),
                affects=left_behind(host, container),
            )
    yield from other_containers(host, "on which addresses other ports are published")


def _has(host: Host, address: IpAddress) -> bool:
    own = host.root.ground.local or frozenset()
    return address in own or host.root.routing.route_of(Packet(address)).outcome is Outcome.LOCAL


def _waits_for(host: Host, address: IpAddress) -> bool:
    """The host may bind addresses that it does not have yet."""
    sysctl = host.root.sysctl(f"net.ipv{address.version}.ip_nonlocal_bind")
    return sysctl is not None and sysctl.value == "1"


def _lost(
    host: Host, address: IpAddress, ports: list[tuple[Container, PublishedPort]], not_started: list[Container]
) -> Fault:
    names = list(dict.fromkeys(container.name for container, _ in ports))
    numbers = list(dict.fromkeys(f"{port.host_port}/{port.protocol}" for _, port in ports))
    shown = [Evidence(port.span, f"container {container.name} publishes it on {address}") for container, port in ports]
    return Fault(
        message=f"port {', '.join(numbers[:5])} is published on {address}, which the host does not have",
        subjects=(
            *(Subject("container", name) for name in names),
            Subject("address", str(address)),
            *(Subject("port", number) for number in numbers),
        ),
        evidence=(*shown[:5], *_near(host, address)),
        remedy=(_give(host, address),),
        verify=("ip address",),
        affects=(
            *(Subject("container", container.name) for container in not_started),
            *(left for container in not_started for left in left_behind(host, container)),
        ),
    )


def _near(host: Host, address: IpAddress) -> Iterator[Evidence]:
    """The address that the host has in the same network, which is often the new one."""
    for link in host.root.links:
        for each in link.addresses:
            if address in each.address.network:
                yield related(each.span, f"{link.name} has this address in its network")
                return


def _give(host: Host, address: IpAddress) -> str:
    """The command that gives the address to the interface in whose network it is, else to the uplink."""
    for link in host.root.links:
        for each in link.addresses:
            if address in each.address.network:
                return addition(address, each.address.network.prefixlen, link.name)
    device = next(iter(sorted(uplinks(host))), "eth0")
    return addition(address, address.max_prefixlen, device)
