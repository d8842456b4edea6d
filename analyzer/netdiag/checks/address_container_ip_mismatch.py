"""Container does not have the address that Docker gave it.

## What it finds
A running container whose interface lacks the IPv4 or IPv6 address of the engine's record, or has it with another prefix
length.

## Why it matters
Published ports, names and links all lead to the recorded address, where nobody answers any more.

## How it is decided
Gates: the container runs in a namespace of its own that was collected, and was there before the collection began. The
endpoint's interface is the one with its MAC address, else the only one whose veth is a port of the network's bridge. An
interface that is not there at all is not judged here.

## Not a problem when
Further addresses stand beside the recorded one: virtual addresses of keepalived or of a swarm service.

## Repair
Give the interface its address back, and the default route that went with it. What changed it (a DHCP or VPN client in
the container, with the capability NET_ADMIN) will do so again.

## Verify
The address of the record is on the interface.

## References
moby/moby#23407; moby libnetwork/osl/interface_linux.go.
"""

from collections.abc import Iterator

from netdiag.checks._addresses import Seat, inside, seats, shown
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import addition, related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpInterface, Link
from netdiag.model import Host

_KEY = {4: "IPAddress", 6: "GlobalIPv6Address"}


@check(Severity.ERROR, layer="address", symptom_of=("link-container-iface-down",))
def address_container_ip_mismatch(host: Host) -> Verdicts:
    found, others = seats(host)
    yield from others
    for seat in found:
        for wanted in seat.addresses:
            if seat.link and not any(address.address == wanted for address in seat.link.addresses):
                yield _fault(seat, seat.link, wanted)


def _fault(seat: Seat, link: Link, wanted: IpInterface) -> Fault:
    container, endpoint = seat.container, seat.endpoint
    held = _held(link, wanted.version)
    has = f"has {', '.join(map(str, held))}" if held else f"has no IPv{wanted.version} address"
    spans = [address.span for address in link.addresses if address.address in held] or [link.span]
    return Fault(
        message=f"container `{container.name}` does not have {wanted}, its address on network `{endpoint.network}`",
        subjects=(seat.subject, Subject("interface", link.name), Subject("network", endpoint.network)),
        evidence=(
            *(Evidence(span, f"{link.name} of {container.name} {has}") for span in spans),
            related(endpoint.place.at(_KEY[wanted.version]).span, "the address that the engine gave it"),
        ),
        remedy=tuple(_remedy(seat, link, wanted)),
        verify=(inside(container, sh("ip addr show dev {}", link.name)), shown(container)),
        affects=(seat.interface,),
        # with its interface down an IPv6 address goes, and one of IPv4 stays
        follows=(seat.interface,) if wanted.version == 6 and seat.is_cut_off else (),
    )


def _held(link: Link, version: int) -> list[IpInterface]:
    """The addresses that could stand in the place of the wanted one."""
    return [a.address for a in link.addresses if a.address.version == version and not a.address.ip.is_link_local]


def _remedy(seat: Seat, link: Link, wanted: IpInterface) -> Iterator[str]:
    """What has the subnet's place goes first: a primary address takes the secondary ones of its subnet with it."""
    container = seat.container
    disabled = seat.netns.sysctl(f"net.ipv6.conf.{link.name}.disable_ipv6")
    if wanted.version == 6 and disabled and disabled.value == "1":
        yield inside(container, sh("sysctl -w net.ipv6.conf.{}.disable_ipv6=0", link.name))
    for address in _held(link, wanted.version):
        if address.ip in wanted.network or address.ip == wanted.ip:
            yield inside(container, sh("ip addr del {} dev {}", address, link.name))
    yield inside(container, addition(wanted.ip, wanted.network.prefixlen, link.name))
    gateway = seat.endpoint.gateway if wanted.version == 4 else seat.endpoint.gateway6
    routes = seat.netns.routes if wanted.version == 4 else seat.netns.ipv6_routes
    others = {hop.device for route in routes if not route.destination.prefixlen for hop in route.next_hops}
    if gateway and not others - {link.name}:
        yield inside(container, sh("ip route replace default via {} dev {}", gateway, link.name))
