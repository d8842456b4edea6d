"""Who is wired to whom, read off the model once for the drawing and for the table beside it.

A `Segment` is a Docker network with its bridge, or a bridge without a network. A `Card` is a container, or a namespace
that no container of the bundle lives in. An `Attachment` is one interface of a card, with the segment and the veth that
it hangs on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv6Address
from itertools import groupby

from netdiag.formats.records import Container, Endpoint, Link, Network, PublishedPort
from netdiag.model import Host, Namespace, Truth
from netdiag.model.gates import bridge_name, has_own_namespace, is_local_bridge, is_running

# Containers on these networks share the host's namespace, or have none of its links.
_WITHOUT_ATTACHMENT = ("host", "null")
_OF_CONTAINER = "container:"
# as many characters of an id as Docker prints
_SHORT_ID = 12


@dataclass(frozen=True)
class Attachment:
    """One interface of a card.

    `interface` is empty when the card's namespace was not collected: then only Docker tells of it. `segment` is an
    index into `Wiring.segments`, None when nothing tells. `veth` is the host's end, None when it is not known.
    `joined` tells whether that veth is a port of the segment's bridge.
    """

    interface: str
    addresses: tuple[str, ...]
    network: str
    segment: int | None
    veth: Link | None = None
    joined: Truth = Truth.UNKNOWN

    @property
    def seen(self) -> bool:
        """The interface was seen in its own namespace, not only told by Docker."""
        return bool(self.interface)


@dataclass(frozen=True)
class Card:
    """A container or a namespace. `remark` says why it has no interface of its own, or why not all is `known`.

    One that lives in the namespace of another container has the number of its card as `owner`; `on_host` tells of one
    that lives in the host's.
    """

    name: str
    detail: str
    container: Container | None
    attachments: tuple[Attachment, ...]
    remark: str = ""
    known: bool = True
    owner: int | None = None
    on_host: bool = False

    @property
    def running(self) -> bool:
        return self.container is None or not is_running(self.container).no


@dataclass(frozen=True)
class Segment:
    """A network, its bridge, or both. `device` is empty for a network that has no bridge on the host.

    `present` tells whether the device exists, `routed` whether a route of the host leads to it. `loose` are the
    bridge's ports whose other end is not in the bundle.
    """

    network: Network | None
    device: str
    link: Link | None
    present: Truth
    routed: Truth
    loose: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Uplink:
    """A way out of the host. `link` is None when only a route names it; `gateways` are those of default routes."""

    device: str
    link: Link | None
    gateways: tuple[str, ...]


@dataclass(frozen=True)
class Wiring:
    """All that the drawing shows."""

    uplinks: tuple[Uplink, ...]
    segments: tuple[Segment, ...]
    cards: tuple[Card, ...]
    stray: tuple[Link, ...]

    @cached_property
    def guests(self) -> Mapping[int, tuple[int, ...]]:
        """The cards that live in the namespace of another card, by the number of that one."""
        found: dict[int, list[int]] = {}
        for number, card in enumerate(self.cards):
            if card.owner is not None:
                found.setdefault(card.owner, []).append(number)
        return {owner: tuple(numbers) for owner, numbers in found.items()}

    def home(self, card: Card) -> int | None:
        """The segment beside which a card stands: that of its first attachment which has one."""
        return next((item.segment for item in card.attachments if item.segment is not None), None)


def wiring(host: Host) -> Wiring:
    """The wiring of a host. Facts that are missing stay missing: nothing is joined by likeness of names."""
    segments = _segments(host)
    cards = _cards(host, segments)
    used = {item.veth.name for card in cards for item in card.attachments if item.veth}
    bridges = {segment.device for segment in segments}
    ends = [link for link in host.root.links if link.name not in used | bridges]
    return Wiring(
        uplinks=_uplinks(host, bridges | used),
        segments=tuple(
            replace(segment, loose=tuple(link for link in ends if segment.device and link.master == segment.device))
            for segment in segments
        ),
        cards=cards,
        stray=tuple(link for link in ends if link.kind == "veth" and not link.master and not link.addresses),
    )


def ports_in_words(ports: Iterable[PublishedPort]) -> tuple[str, ...]:
    """`8080→80/tcp` for each published port, with the host's address only where it is not any address."""
    words = []
    for port in ports:
        told = port.host_address
        anywhere = told is None or told.is_unspecified
        address = "" if anywhere else f"[{told}]:" if isinstance(told, IPv6Address) else f"{told}:"
        words.append(f"{address}{port.host_port}→{port.container_port}/{port.protocol}")
    return tuple(dict.fromkeys(words))


def _segments(host: Host) -> tuple[Segment, ...]:
    """Networks with members first, then those without, then bridges without a network, each by name."""
    inhabited = {endpoint.network_id for container in host.containers for endpoint in container.endpoints}
    networks = [
        network
        for network in host.networks
        if (network.id in inhabited and network.driver not in _WITHOUT_ATTACHMENT)
        or (is_local_bridge(host, network).yes and not network.config_only)
    ]
    networks.sort(key=lambda network: (network.id not in inhabited, network.name, network.id))
    found = [
        _segment(host, network, "" if is_local_bridge(host, network).no else bridge_name(host, network))
        for network in networks
    ]
    named = {segment.device for segment in found}
    lone = sorted(name for name in _bridges(host) if name not in named)
    return (*found, *(_segment(host, None, name) for name in lone))


def _segment(host: Host, network: Network | None, device: str) -> Segment:
    link = host.root.link(device) if device else None
    absent = Truth.NO if host.root.links.whole else Truth.UNKNOWN
    present = Truth.YES if link else absent
    return Segment(network, device, link, present if device else Truth.UNKNOWN, _routed(host, device))


def _routed(host: Host, device: str) -> Truth:
    routes = host.root.routes
    if any(hop.device == device for route in routes if route.type == "unicast" for hop in route.next_hops):
        return Truth.YES
    return Truth.NO if routes.whole else Truth.UNKNOWN


def _bridges(host: Host) -> set[str]:
    links = host.root.links
    masters = {link.master for link in links}
    return {
        link.name
        for link in links
        if link.kind == "bridge"
        or (link.kind is None and (link.name in masters or link.name == "docker0" or link.name.startswith("br-")))
    }


def _uplinks(host: Host, inside: set[str]) -> tuple[Uplink, ...]:
    """Links with an address that are neither a bridge nor a container's, and devices that a default route names."""
    gateways: dict[str, list[str]] = {}
    for route in host.root.routes:
        for hop in route.next_hops:
            if route.destination.prefixlen == 0 and route.type == "unicast" and hop.device and hop.device not in inside:
                gateways.setdefault(hop.device, []).extend([str(hop.gateway)] if hop.gateway else [])
    addressed = [
        link.name
        for link in host.root.links
        if link.name not in inside and "LOOPBACK" not in (link.flags or ()) and link.name != "lo" and _global(link)
    ]
    return tuple(
        Uplink(device, host.root.link(device), tuple(dict.fromkeys(gateways.get(device, ()))))
        for device in dict.fromkeys([*gateways, *addressed])
    )


def _global(link: Link) -> tuple[str, ...]:
    return tuple(str(item.address) for item in link.addresses if not item.address.is_link_local)


def _natural(name: str) -> str:
    """A name to sort by that puts `app2` before `app10`."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(9), name)


def _cards(host: Host, segments: tuple[Segment, ...]) -> tuple[Card, ...]:
    by_network = {segment.network.id: number for number, segment in enumerate(segments) if segment.network}
    by_device = {segment.device: number for number, segment in enumerate(segments) if segment.device}
    outer = {(pair.namespace, pair.inner.name): pair.outer for pair in host.veth_pairs}
    joiner = _Joiner(host, segments, by_network, by_device, outer)
    known = [joiner.container_card(container) for container in host.containers]
    strangers = [
        joiner.namespace_card(netns)
        for netns in host.namespaces[1:]
        if not netns.containers and any(link.name != "lo" for link in netns.links)
    ]
    cards = sorted([*known, *strangers], key=lambda card: (_natural(card.name), card.detail))
    numbers = {card.container.id: number for number, card in enumerate(cards) if card.container}
    return tuple(replace(card, owner=numbers.get(joiner.owner_of(card))) for card in cards)


@dataclass(frozen=True)
class _Joiner:
    """Joins what Docker tells of endpoints with what was seen in the namespaces."""

    host: Host
    segments: tuple[Segment, ...]
    by_network: Mapping[str, int]
    by_device: Mapping[str, int]
    outer: Mapping[tuple[str, str], Link]

    def container_card(self, container: Container) -> Card:
        detail = " · ".join(filter(None, (container.state or "state not known", container.id[:12])))
        own = has_own_namespace(container)
        if own.no:
            mode = container.network_mode or ""
            return Card(container.name, detail, container, (), self._shared(mode), on_host=mode == "host")
        netns = self.host.namespace_of(container)
        attachments = self._attachments(container, netns)
        if is_running(container).no:
            return Card(container.name, detail, container, attachments)
        remark = "" if netns else "its namespace is not in the bundle" if attachments else "no network known"
        return Card(container.name, detail, container, attachments, remark, known=netns is not None)

    def namespace_card(self, netns: Namespace) -> Card:
        name = netns.name or netns.id
        attachments = tuple(self._seen(netns, link, None) for link in netns.links if link.name != "lo")
        return Card(f"namespace {name}", "of no container in the bundle", None, attachments)

    def _shared(self, mode: str) -> str:
        if not mode.startswith(_OF_CONTAINER):
            return {"host": "shares the namespace of the host", "none": "network mode none"}.get(mode, mode)
        owner = mode.removeprefix(_OF_CONTAINER)
        found = self._by_short_id.get(owner[:_SHORT_ID])
        return f"shares the namespace of {found.name if found else owner[:_SHORT_ID]}"

    def owner_of(self, card: Card) -> str:
        """The id of the container whose namespace a card lives in, empty when it has one of its own."""
        mode = (card.container.network_mode if card.container else None) or ""
        owner = mode.removeprefix(_OF_CONTAINER) if mode.startswith(_OF_CONTAINER) else ""
        found = self._by_short_id.get(owner[:_SHORT_ID])
        return found.id if found else ""

    @cached_property
    def _by_short_id(self) -> Mapping[str, Container]:
        return {container.id[:_SHORT_ID]: container for container in self.host.containers}

    def _attachments(self, container: Container, netns: Namespace | None) -> tuple[Attachment, ...]:
        links = [link for link in netns.links if link.name != "lo"] if netns else []
        found = []
        for endpoint in container.endpoints:
            link = _link_of(endpoint, links)
            if link and netns:
                links.remove(link)
                found.append(self._seen(netns, link, endpoint))
            else:
                found.append(self._told(endpoint))
        if netns:
            found.extend(self._seen(netns, link, None) for link in links)
        return tuple(sorted(found, key=lambda item: (not item.interface, item.interface, item.network)))

    def _told(self, endpoint: Endpoint) -> Attachment:
        addresses = tuple(str(address) for address in (endpoint.address, endpoint.address6) if address)
        return Attachment("", addresses, endpoint.network, self.by_network.get(endpoint.network_id))

    def _seen(self, netns: Namespace, link: Link, endpoint: Endpoint | None) -> Attachment:
        veth = self.outer.get((netns.id, link.name))
        segment = self.by_network.get(endpoint.network_id) if endpoint else None
        if segment is None and veth and veth.master:
            segment = self.by_device.get(veth.master)
        joined = Truth.UNKNOWN
        if veth and segment is not None:
            joined = Truth.YES if veth.master and veth.master == self.segments[segment].device else Truth.NO
        return Attachment(link.name, _global(link), endpoint.network if endpoint else "", segment, veth, joined)


def _link_of(endpoint: Endpoint, links: list[Link]) -> Link | None:
    """The link that has the endpoint's address, else the one that has its MAC address and no other."""
    wanted = {address.ip for address in (endpoint.address, endpoint.address6) if address}
    by_address = (link for link in links if any(item.address.ip in wanted for item in link.addresses))
    by_mac = [link for link in links if endpoint.mac and link.mac == endpoint.mac.lower()]
    return next(by_address, by_mac[0] if len(by_mac) == 1 else None)


def cards_by_segment(found: Wiring) -> list[tuple[int | None, tuple[tuple[int, Card], ...]]]:
    """The cards with their numbers by the segment they stand at; those that stand at none; segments without cards."""
    numbered = sorted(
        enumerate(found.cards), key=lambda item: (found.home(item[1]) is None, found.home(item[1]) or 0, item[0])
    )
    groups = {home: tuple(items) for home, items in groupby(numbered, key=lambda item: found.home(item[1]))}
    return [*groups.items(), *((number, ()) for number in range(len(found.segments)) if number not in groups)]
