"""What several checks ask of the way out of a container: the gateways that the engine chose, and the way it takes."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from netdiag.checks._addresses import Seat, inside, seats
from netdiag.checks._base import Fault, NotApplicable, Unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._routes import outside
from netdiag.finding import Confidence, Evidence, Subject
from netdiag.formats.records import Container, IpAddress, Route
from netdiag.model import Facts, Host, Namespace
from netdiag.model.gates import bridge_option, collected, is_local_bridge, reaches_outside
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup

#: What takes a container's default route with it.
CAUSES_OF_NO_WAY_OUT = ("link-container-iface-down", "link-container-iface-missing", "address-container-ip-mismatch")


@dataclass(frozen=True)
class Exit:
    """An endpoint of a container by which the engine lets it out, and the gateway there."""

    seat: Seat
    gateway: IpAddress


@dataclass(frozen=True)
class WayOut:
    """The exits of a running container in one family, and the way that its packets to the internet take."""

    container: Container
    netns: Namespace
    exits: tuple[Exit, ...]
    far: IpAddress

    @cached_property
    def lookup(self) -> Lookup:
        return self.netns.routing.look_up(Packet(self.far))

    @property
    def subject(self) -> Subject:
        return Subject("container", self.container.name)

    @property
    def routes(self) -> Facts[Route]:
        return self.netns.routes if self.far.version == 4 else self.netns.ipv6_routes

    def asked(self) -> str:
        """The command that asks the container's kernel for the way."""
        return inside(self.container, sh("ip route get {}", self.far))


def ways_out(host: Host, version: int = 4) -> tuple[list[WayOut], list[Unjudged | NotApplicable]]:
    """The ways out of the running containers on bridge networks that reach the outside, when the routes in them were
    collected; and what to say of others.
    """
    found, others = seats(host)
    by_container: dict[str, list[Exit]] = defaultdict(list)
    for seat in found:
        gateway = seat.endpoint.gateway if version == 4 else seat.endpoint.gateway6
        if gateway and _leads_out(host, seat, version):
            by_container[seat.container.id].append(Exit(seat, gateway))
    ways: list[WayOut] = []
    not_seen: list[Container] = []
    for exits in by_container.values():
        seat = exits[0].seat
        way = WayOut(seat.container, seat.netns, tuple(exits), outside(seat.netns, version))
        if collected(way.routes, "").unknown:
            not_seen.append(seat.container)
        else:
            ways.append(way)
    if not_seen:
        family = "-6 " if version == 6 else ""
        others.append(
            Unjudged(
                f"the routes in {', '.join(each.name for each in not_seen)}",
                "they were not collected",
                ("ip-route",),
                (inside(not_seen[0], f"ip {family}route show table all"),),
            )
        )
    if not ways and not others:
        others.append(NotApplicable(f"no running container shall reach the outside by IPv{version}"))
    return ways, others


def _leads_out(host: Host, seat: Seat, version: int) -> bool:
    network = host.network(seat.endpoint.network_id)
    return (
        network is not None
        and is_local_bridge(host, network).yes
        and reaches_outside(network, version).yes
        and not (version == 4 and bridge_option(network, "inhibit_ipv4") == "true")
    )


def by_link(exits: tuple[Exit, ...]) -> Iterator[tuple[str, Exit]]:
    """The exits whose interface is known, each with its name."""
    for each in exits:
        if each.seat.link:
            yield each.seat.link.name, each


def _followed(way: WayOut) -> tuple[Subject, ...]:
    """The interfaces that may have taken the default route with them: those that are cut off when all are, else the
    others.
    """
    there = [each.seat for each in way.exits if not each.seat.is_cut_off] or [each.seat for each in way.exits]
    return tuple(seat.interface for seat in there)


def no_way_out(way: WayOut, message: str) -> Fault:
    """The finding of a container that has no route to the outside."""
    version = way.far.version
    key, command = ("Gateway", "ip") if version == 4 else ("IPv6Gateway", "ip -6")
    own = next((route.span for route in way.routes), None)
    endpoints = [
        (each.seat.endpoint.place.at(key).span, f"on {each.seat.endpoint.network} the way out is {each.gateway}")
        for each in way.exits
    ]
    return Fault(
        message=message,
        subjects=(way.subject, *(Subject("network", each.seat.endpoint.network) for each in way.exits)),
        evidence=(
            Evidence(own, f"the routes in {way.container.name}: none is for {way.far}")
            if own
            else Evidence(*endpoints[0]),
            *(related(*endpoint) for endpoint in endpoints),
        ),
        remedy=tuple(
            inside(way.container, sh(f"{command} route add default via {{}} dev {{}}", each.gateway, link))
            for link, each in list(by_link(way.exits))[:1]
        ),
        verify=(way.asked(),),
        follows=_followed(way),
        confidence=Confidence.HIGH if way.lookup.certain else Confidence.MEDIUM,
    )
