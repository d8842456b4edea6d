"""The topology of one host, from left to right: outside, uplinks and routing, networks with bridges, veths, containers.

The middle is the host's namespace, at its right stand those of the containers. A network has a colour and its name; the
bar at its right is the bridge, into which veths are tapped. A solid line was read from the kernel's own tables, a
dashed one is told by Docker only or not known whole, and where the tables say that there is none, there is none.
Objects at fault are outlined, with a badge that leads to the finding.

Few containers are drawn with all that is known of them, many in a row each.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from netdiag.finding import Finding
from netdiag.formats.records import Link
from netdiag.model import Extent, Host, Truth
from netdiag.report import _anchors
from netdiag.report.drawings import _svg, signs
from netdiag.report.drawings._marks import HOST, Mark, Marks
from netdiag.report.drawings._svg import Box
from netdiag.report.drawings.wiring import (
    Attachment,
    Card,
    Segment,
    Uplink,
    Wiring,
    cards_by_segment,
    ports_in_words,
    wiring,
)

WIDTH = 1250.0
#: More containers than this are left to the table: a drawing of thousands helps nobody.
MOST_CARDS = 150
#: Up to so many containers are drawn with all that is known of them.
MOST_ROOMY = 12

# left edge and width of each lane
_OUTSIDE, _HOST, _SEGMENTS, _VETHS, _CARDS = (
    (12.0, 128.0),
    (174.0, 190.0),
    (390.0, 196.0),
    (678.0, 172.0),
    (890.0, 348.0),
)
_FRAME = (158.0, 708.0)
_BUS, _BAR = 377.0, 589.0
_FIRST_TRUNK, _TRUNK_GAP, _MOST_TRUNKS = 602.0, 9.0, 8
_TOP = 64.0
_GROUP_GAP = 20.0
_SEGMENT_HEIGHT, _END_HEIGHT, _ROW = 62.0, 20.0, 24.0
_GUEST_HEIGHT, _PORT_HEIGHT = 15.0, 15.0
_PADDING = 10.0
_MOST_PORT_LINES = 2
# Of the addresses of one interface these many follow the first, below it and so many characters to the right.
_MOST_ADDRESSES, _INDENT = 3, 2
_MOST_LOOSE = 8
_MOST_GUESTS = 6
_FEWEST_OF_A_SEGMENT = 3
_ARROW = "→"
# What a container's row has room for, one beside the other.
_NAME_WIDTH, _PORTS_WIDTH = 97.0, 96.0


@dataclass(frozen=True)
class _Group:
    """A segment with what hangs on it; `segment` is None for cards that hang on nothing known. `hidden` is how many
    more containers it has.
    """

    segment: int | None
    heights: Mapping[int, float]
    cards: tuple[tuple[int, Card], ...] = ()
    ends: tuple[Link, ...] = ()
    more_ends: int = 0
    hidden: int = 0
    continued: bool = False
    gap: float = 10.0

    @property
    def height(self) -> float:
        cards = sum(self.heights[number] + self.gap for number, _ in self.cards)
        rows = (len(self.ends) + bool(self.more_ends) + bool(self.hidden)) * _ROW
        return max(
            cards + rows - (self.gap if cards and not rows else 0), 0 if self.segment is None else _SEGMENT_HEIGHT
        )


def draw(host: Host, findings: Sequence[Finding]) -> Markup:
    """The whole topology as one SVG element, as high as it needs to be."""
    return sheets(host, findings, height=float("inf"))[0]


def sheets(host: Host, findings: Sequence[Finding], *, height: float) -> tuple[Markup, ...]:
    """The same cut into drawings that are at most `height` units high (of 1250 units width), for paper.

    Only a single container with very many interfaces may make one of them higher.
    """
    found = wiring(host)
    marks = Marks(found, findings)
    plan = _Plan(host, found, marks)
    pages = _paginate(plan.groups, height - _TOP - 60)
    drawings = []
    for number, page in enumerate(pages, start=1):
        part = f"part {number} of {len(pages)}" if len(pages) > 1 else ""
        drawings.append(_Sheet(plan, page, part).svg())
    return tuple(drawings)


class _Plan:
    """What is drawn, and how closely. Containers at fault are left out last."""

    def __init__(self, host: Host, found: Wiring, marks: Marks) -> None:
        self.host, self.wiring, self.marks = host, found, marks
        self.on_host = [number for number, card in enumerate(found.cards) if card.on_host]
        inside = {number for numbers in found.guests.values() for number in numbers} | set(self.on_host)
        homes = [(home, [item for item in cards if item[0] not in inside]) for home, cards in cards_by_segment(found)]
        kept = self._kept(homes)
        self.roomy = len(kept) <= MOST_ROOMY
        heights = {number: self._height(number) for number in kept}
        self.groups: list[_Group] = []
        for segment, cards in homes:
            loose = found.segments[segment].loose if segment is not None else ()
            some = tuple(item for item in cards if item[0] in kept)
            group = _Group(
                segment, heights, some, loose[:_MOST_LOOSE], len(loose[_MOST_LOOSE:]), len(cards) - len(some)
            )
            self.groups.append(group if self.roomy else replace(group, gap=4.0))
        if found.stray:
            stray = found.stray
            self.groups.append(_Group(None, {}, (), stray[:_MOST_LOOSE], len(stray[_MOST_LOOSE:])))
        self.left_out = sum(group.hidden for group in self.groups)

    def _kept(self, homes: Sequence[tuple[int | None, Sequence[tuple[int, Card]]]]) -> set[int]:
        """The cards that are drawn: those at fault, then some of each segment."""
        numbers = [number for _, cards in homes for number, _ in cards]
        if len(numbers) <= MOST_CARDS:
            return set(numbers)
        kept = dict.fromkeys([number for number in numbers if self.marked(number)][:MOST_CARDS])
        share = max(_FEWEST_OF_A_SEGMENT, MOST_CARDS // len(homes))
        some = [number for _, cards in homes for number, _ in cards[:share]]
        for number in (*some, *numbers):
            if len(kept) >= MOST_CARDS:
                break
            kept[number] = None
        return set(kept)

    def marked(self, number: int) -> tuple[Mark, ...]:
        """The marks of a card and of those that live in its namespace, the worst first."""
        marks = [mark for one in (number, *self.wiring.guests.get(number, ())) for mark in self.marks.at("card", one)]
        return tuple(sorted(dict.fromkeys(marks), key=lambda mark: mark.severity.rank))

    def guest_lines(self, number: int) -> list[str]:
        """The containers that live in the namespace of a card."""
        guests = self.wiring.guests.get(number, ())
        lines = [f"with {self.wiring.cards[guest].name}" for guest in guests[:_MOST_GUESTS]]
        return [*lines, f"and {len(guests) - _MOST_GUESTS} more"] if len(guests) > _MOST_GUESTS else lines

    def _height(self, number: int) -> float:
        card = self.wiring.cards[number]
        guests = len(self.guest_lines(number)) * _GUEST_HEIGHT
        if not self.roomy:
            return max(len(card.attachments), 1) * _END_HEIGHT + guests
        lines = len(_port_lines(card)) + bool(card.remark)
        home = self.wiring.home(card)
        rows = sum(_ROW + _PORT_HEIGHT * (len(_address_lines(item, home)) - 1) for item in card.attachments)
        return 40.0 + rows + lines * _PORT_HEIGHT + guests + (6 if lines or guests else 2)


def _paginate(groups: Sequence[_Group], room: float) -> list[list[_Group]]:
    pages: list[list[_Group]] = [[]]
    free = room
    for group in groups:
        rest: _Group | None = group
        while rest:
            if rest.height > free and pages[-1] and (rest.height <= room or free < room / 3):
                pages.append([])
                free = room
            piece, rest = _split(rest, free)
            pages[-1].append(piece)
            free -= piece.height + _GROUP_GAP
            if rest:
                pages.append([])
                free = room
    return pages


def _split(group: _Group, room: float) -> tuple[_Group, _Group | None]:
    """As many cards as there is room for, at least one, and the rest."""
    if group.height <= room or len(group.cards) < 2:
        return group, None
    count, used = 0, 0.0
    for number, _ in group.cards:
        used += group.heights[number] + group.gap
        if count and used - group.gap > room:
            break
        count += 1
    if count == len(group.cards):
        count -= 1
    first = replace(group, cards=group.cards[:count], ends=(), more_ends=0, hidden=0)
    return first, replace(group, cards=group.cards[count:], continued=True)


def _elsewhere(item: Attachment, home: int | None) -> str:
    """The network of an interface, when it is not that of the group in which its container stands."""
    return f"({item.network})" if item.network and item.segment != home else ""


def _addresses_told(item: Attachment) -> str:
    return ", ".join(item.addresses) or "no address"


def _address_lines(item: Attachment, home: int | None) -> list[str]:
    """An interface with its addresses: in one line if that has room for them, else each in a line of its own."""
    words = f"{item.interface} {_addresses_told(item)}".strip()
    aside = min(_svg.text_width(_elsewhere(item, home), 11), _CARDS[1] / 2)
    if len(item.addresses) < 2 or _svg.text_width(words, 11) + aside + 6 <= _CARDS[1] - 2 * _PADDING:
        return [words]
    first, *others = item.addresses
    return [f"{item.interface} {first}".strip(), *others[:_MOST_ADDRESSES], *_and_more(len(others) - _MOST_ADDRESSES)]


def _and_more(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []


def _port_lines(card: Card) -> list[str]:
    """The published ports, as many to a line as fit."""
    lines: list[str] = []
    width = _CARDS[1] - 2 * _PADDING
    for number, words in enumerate(ports_in_words(card.container.ports if card.container else ())):
        if lines and _svg.text_width(f"{lines[-1]}, {words}", 10) <= width:
            lines[-1] += f", {words}"
        else:
            lines.append(words if number else f"publishes {words}")
    if len(lines) > _MOST_PORT_LINES:
        hidden = sum(line.count(_ARROW) for line in lines[_MOST_PORT_LINES:])
        lines[_MOST_PORT_LINES:] = [f"and {hidden} more"]
    return lines


def _ports_in_short(card: Card) -> str:
    """The first published port, and how many more there are."""
    ports = ports_in_words(card.container.ports if card.container else ())
    return f"{ports[0]} +{len(ports) - 1}" if len(ports) > 1 else "".join(ports)


class _Layers:
    """The shapes of a drawing by what they lie upon: wires below boxes below badges, those of one object together.

    An object is named by `host`, `card-3` or `net-0`; what is a card's on its way over a network has that as well, so
    that the page can bring out the whole way of a packet.
    """

    def __init__(self) -> None:
        self._layers: tuple[dict[tuple[str, int | None], list[Markup]], ...] = ({}, {}, {})

    def wire(self, name: str, path: Markup, net: int | None = None) -> None:
        self._layers[0].setdefault((name, net), []).append(path)

    def box(self, name: str, *shapes: Markup, net: int | None = None) -> None:
        self._layers[1].setdefault((name, net), []).extend(shapes)

    def badge(self, name: str, sign: Markup, net: int | None = None) -> None:
        self._layers[2].setdefault((name, net), []).append(sign)

    def shapes(self) -> Iterable[Markup]:
        for layer in self._layers:
            for (name, net), content in layer.items():
                yield _svg.part(name, net, content)


class _Sheet:
    """One drawing in the making."""

    def __init__(self, plan: _Plan, groups: Sequence[_Group], part: str) -> None:
        self._plan, self._groups, self._part = plan, groups, part
        self._host, self._wiring, self._marks = plan.host, plan.wiring, plan.marks
        self._links = {link.name: number for number, link in enumerate(self._host.root.links)}
        self._by_device = {segment.device: n for n, segment in enumerate(self._wiring.segments) if segment.device}
        self._layers = _Layers()
        # the upper and lower end of the bar of each segment, and the rows from which wires lead to another group's bar
        self._bars: dict[int, tuple[float, float]] = {}
        self._distant: dict[int, list[tuple[float, str, bool]]] = defaultdict(list)

    def svg(self) -> Markup:
        router = self._way_out()
        bottom = self._on_host(router.bottom)
        y = _TOP
        tops = []
        for group in self._groups:
            tops.append(y)
            if group.segment is not None:
                self._bars[group.segment] = (y, y + group.height)
            y += group.height + _GROUP_GAP
        for group, top in zip(self._groups, tops, strict=True):
            self._group(group, top, router)
        self._trunks()
        return self._document(max(bottom, y - _GROUP_GAP))

    def _document(self, bottom: float) -> Markup:
        name = self._host.name or "the host"
        shown = sum(len(group.cards) for group in self._groups)
        shown += sum(len(self._wiring.guests.get(n, ())) for group in self._groups for n, _ in group.cards)
        heading = " ".join(filter(None, (f"Network topology of {name}", f"({self._part})" if self._part else "")))
        summary = (
            f"{shown + len(self._plan.on_host)} containers, {len(self._bars)} networks and bridges. "
            "The table has the same facts."
        )
        ids = f"topology-{self._part.split(' ')[1]}" if self._part else "topology-drawing"
        frame = Box(_FRAME[0], 30, _FRAME[1], bottom + 16 - 30)
        return _svg.element(
            "svg",
            [
                _svg.element("title", escape(_svg.shown(heading)), id=f"{ids}-title"),
                _svg.element("desc", escape(_svg.shown(summary)), id=f"{ids}-desc"),
                _svg.rectangle(frame, "frame", fill="d-panel", radius=8),
                *self._headings(frame),
                *self._layers.shapes(),
                *self._legend(bottom + 16 + 22),
            ],
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:.0f} {bottom + 16 + 32:.0f}",
            class_="topology",
            role="group",
            aria_labelledby=f"{ids}-title {ids}-desc",
        )

    def _headings(self, frame: Box) -> list[Markup]:
        host = _svg.fit(f"host {self._host.name}".rstrip(), 11, _HOST[1] + 20)
        lanes = ((_OUTSIDE, "outside"), (_SEGMENTS, "networks and bridges"), (_VETHS, "veths"))
        words = [(lane[0], text) for lane, text in lanes] + [(_CARDS[0], "containers, each in its namespace")]
        found = [_svg.label(text, x, 20, size=11, paint="d-soft", bold=True, family=_svg.SANS) for x, text in words]
        return [*found, _svg.label(host, frame.x + 16, frame.y + 20, paint="d-soft", bold=True)]

    def _legend(self, y: float) -> list[Markup]:
        """What the kinds of line mean; and what is not in the drawing."""
        entries = [("read from the kernel's tables", False), ("told by Docker only, or not known whole", True)]
        found, x = [], _OUTSIDE[0]
        for text, dashed in entries:
            found.append(_svg.wire(f"M{x:.0f} {y - 4:.0f}H{x + 28:.0f}", dashed=dashed))
            found.append(_svg.label(text, x + 36, y, size=10, paint="d-soft"))
            x += 36 + _svg.text_width(text, 10) + 28
        left_out, nowhere = self._plan.left_out, len(self._marks.unplaced)
        more = [f"{left_out} containers are in the table only"] if left_out else []
        more += [f"{nowhere} finding{' has' if nowhere == 1 else 's have'} no place here"] if nowhere else []
        if more:
            found.append(_svg.label("; ".join(more), x, y, size=10, paint="d-soft"))
        return found

    # --- the host's way out ---

    def _way_out(self) -> Box:
        """Gateways, uplinks and the routing box below them, which is returned."""
        y = _TOP
        boxes = []
        for uplink in self._wiring.uplinks:
            boxes.append(self._uplink(uplink, y))
            y = boxes[-1].bottom + 10
        if not boxes:
            box = Box(_HOST[0], y, _HOST[1], 44)
            known = self._host.root.links.extent
            text = "no uplink" if known is Extent.WHOLE else "no uplink in the bundle"
            self._layers.box("host", _svg.rectangle(box, "uplink", dashed=True), _line(box, 0, text, soft=True))
            boxes.append(box)
            y = box.bottom + 10
        router = Box(_HOST[0], y + 14, _HOST[1], 62)
        middle = router.x + router.width / 2
        self._layers.wire("host", _svg.wire(f"M{middle:.1f} {boxes[-1].bottom:.1f}V{router.y:.1f}"))
        self._router(router)
        return router

    def _uplink(self, uplink: Uplink, y: float) -> Box:
        link = uplink.link
        addresses = [str(item.address) for item in link.addresses if not item.address.is_link_local] if link else []
        lines = addresses[:2] + ([f"and {len(addresses) - 2} more"] if len(addresses) > 2 else [])
        box = Box(_HOST[0], y, _HOST[1], max(28.0 + 15 * max(len(lines), 1), 22.0 + 15 * len(uplink.gateways[:3])))
        state = " · down" if link is not None and link.up is False else ""
        texts = [_line(box, 0, uplink.device + state, bold=True, marked=True)]
        for number, text in enumerate(lines or ["link not in the bundle" if link is None else "no address"], start=1):
            texts.append(_line(box, number, text, soft=True))
        marks = self._marks.at("link", uplink.device)
        self._box("host", box, "uplink", marks, texts, dashed=link is None, href=self._href(uplink.device))
        if uplink.gateways:
            self._gateways(uplink.gateways, box)
        elif not self._host.root.routes.whole:
            self._gateways(("routes not known",), box, dashed=True)
        return box

    def _gateways(self, gateways: Sequence[str], uplink: Box, *, dashed: bool = False) -> None:
        box = Box(_OUTSIDE[0], uplink.y, _OUTSIDE[1], uplink.height)
        texts = [] if dashed else [_line(box, 0, "default gateway", soft=True, size=10)]
        for number, gateway in enumerate(gateways[:3], start=0 if dashed else 1):
            texts.append(_line(box, number, gateway, soft=dashed, size=11 if not dashed else 10))
        self._layers.box("host", _svg.rectangle(box, "outside", dashed=dashed), *texts)
        self._layers.wire("host", _svg.wire(f"M{box.right:.1f} {box.middle:.1f}H{uplink.x:.1f}", dashed=dashed))

    def _router(self, box: Box) -> None:
        root = self._host.root
        forwarding = root.sysctl("net.ipv4.ip_forward")
        told = f"net.ipv4.ip_forward = {forwarding.value}" if forwarding else "ip_forward not in the bundle"
        rules = sum(len(chain.rules) for table in root.firewall for chain in table.chains.values())
        whole = "" if root.firewall.whole else " (not all)"
        firewall = (
            f"{rules} iptables rules{whole}"
            if root.firewall.extent is not Extent.NONE
            else "iptables not in the bundle"
        )
        texts = [
            _line(box, 0, "routing, firewall", bold=True, marked=True),
            _line(box, 1, told, soft=True, size=10),
            _line(box, 2, firewall, soft=True, size=10),
        ]
        self._box("host", box, "router", self._marks.at(*HOST), texts, dashed=False)

    def _on_host(self, y: float) -> float:
        """The containers that live in the host's namespace, below its router; gives their lower edge."""
        numbers = self._plan.on_host
        if not numbers:
            return y
        ordered = sorted(numbers, key=lambda number: (not self._marks.at("card", number), number))
        y += 34
        text = "share the namespace of the host"
        self._layers.box("host", _svg.label(text, _HOST[0], y - 8, size=10, paint="d-soft"))
        for number in ordered[:_MOST_LOOSE]:
            card = self._wiring.cards[number]
            box = Box(_HOST[0], y, _HOST[1], _END_HEIGHT)
            words = card.name if card.running else f"{card.name} · {card.container.state if card.container else ''}"
            texts = [_small(box, words, soft=not card.running)]
            href = f"#{_anchors.of_container(number)}"
            self._box(f"card-{number}", box, "card", self._marks.at("card", number), texts, dashed=False, href=href)
            y += _ROW
        if len(ordered) > _MOST_LOOSE:
            text = f"and {len(ordered) - _MOST_LOOSE} more"
            self._layers.box("host", _svg.label(text, _HOST[0] + _PADDING, y + 12, size=10, paint="d-soft"))
            y += _ROW
        return y

    # --- networks, veths, containers ---

    def _group(self, group: _Group, top: float, router: Box) -> None:
        if group.segment is not None:
            self._segment(group.segment, router, continued=group.continued)
        y = top
        for number, card in group.cards:
            self._card(number, card, group.segment, Box(_CARDS[0], y, _CARDS[1], group.heights[number]))
            y += group.heights[number] + group.gap
        for link in group.ends:
            self._loose(link, group.segment, y + _END_HEIGHT / 2)
            y += _ROW
        name = "host" if group.segment is None else f"net-{group.segment}"
        if group.more_ends:
            text = f"and {group.more_ends} more ports"
            self._layers.box(name, _svg.label(text, _VETHS[0] + _PADDING, y + 14, size=10, paint="d-soft"))
            y += _ROW
        if group.hidden:
            text = f"and {group.hidden} more, which are in the table"
            self._layers.box(name, _svg.label(text, _CARDS[0] + _PADDING, y + 14, size=10, paint="d-soft"))

    def _segment(self, number: int, router: Box, *, continued: bool) -> None:
        segment, (top, bottom) = self._wiring.segments[number], self._bars[number]
        box = Box(_SEGMENTS[0], top, _SEGMENTS[1], _SEGMENT_HEIGHT)
        absent = bool(segment.device) and segment.present is not Truth.YES
        name = segment.network.name if segment.network else "no network in the bundle"
        if continued:
            name = f"{name} (continued)"
        colour = self._colour(number)
        texts = [
            _line(box, 0, name, bold=segment.network is not None, paint=colour, marked=True),
            _line(box, 1, _device_in_words(segment)),
            _line(box, 2, _addresses_in_words(segment), soft=True),
        ]
        part = f"net-{number}"
        self._box(
            part,
            box,
            "segment",
            self._marks.at("segment", number),
            texts,
            dashed=absent or not segment.device,
            href=f"#{_anchors.of_segment(number)}",
            title=" · ".join((name, _device_in_words(segment), _addresses_in_words(segment))),
        )
        self._layers.wire(part, _svg.bar(_BAR, top, bottom, colour))
        if segment.device and segment.routed is not Truth.NO:
            path = f"M{router.right:.1f} {router.middle:.1f}H{_BUS:.1f}V{box.middle:.1f}H{box.x:.1f}"
            self._layers.wire(part, _svg.wire(path, dashed=segment.routed is Truth.UNKNOWN))

    def _colour(self, segment: int | None) -> str:
        known = segment is not None and self._wiring.segments[segment].network is not None
        return f"d-net{(segment or 0) % _svg.NETWORK_COLOURS}" if known else "d-soft"

    def _card(self, number: int, card: Card, home: int | None, box: Box) -> None:
        """Draw a container with the veths at its left."""
        marks = self._plan.marked(number)
        texts = (self._whole if self._plan.roomy else self._in_short)(number, card, home, box, marked=bool(marks))
        title = " · ".join(filter(None, (card.name, card.detail, card.remark)))
        href = f"#{_anchors.of_container(number)}"
        self._box(f"card-{number}", box, "card", marks, texts, dashed=not card.known, href=href, title=title)

    def _whole(self, number: int, card: Card, home: int | None, box: Box, *, marked: bool) -> list[Markup]:
        """A container with all that is known of it."""
        width = box.width - 2 * _PADDING - (12 if marked else 0)
        x, row = box.x + _PADDING, box.y + 40
        texts = [
            _svg.label(_svg.fit(card.name, 12, width), x, box.y + 18, size=12, bold=True, paint=_ink(card)),
            _svg.label(_svg.fit(card.detail, 10, width), x, box.y + 32, size=10, paint="d-soft"),
        ]
        for item in card.attachments:
            first, *others = _address_lines(item, home)
            texts += self._addresses(item, first, home, Box(x, row, box.width - 2 * _PADDING, _ROW), size=11)
            self._attachment(number, item, home, row + _ROW / 2)
            row += _ROW
            for address in others:
                texts.append(_svg.label(address, x + _svg.text_width(" " * _INDENT, 11), row + 8, size=11))
                row += _PORT_HEIGHT
        for text in [*filter(None, [card.remark]), *self._plan.guest_lines(number), *_port_lines(card)]:
            texts.append(_svg.label(_svg.fit(text, 10, box.width - 2 * _PADDING), x, row + 11, size=10, paint="d-soft"))
            row += _PORT_HEIGHT
        return texts

    def _in_short(self, number: int, card: Card, home: int | None, box: Box, *, marked: bool) -> list[Markup]:
        """A container in a row for each of its interfaces."""
        x, right = box.x + _PADDING, box.right - _PADDING - (8 if marked else 0)
        ports = _svg.fit(_ports_in_short(card), 10, _PORTS_WIDTH)
        middle = x + _NAME_WIDTH + 6
        baseline = box.y + _END_HEIGHT / 2 + 4
        name = _svg.fit(card.name, 10, _NAME_WIDTH)
        texts = [_svg.label(name, x, baseline, size=10, bold=True, paint=_ink(card))]
        room = right - middle
        if ports:
            texts.append(_svg.label(ports, right, baseline, size=10, paint="d-soft", anchor="end"))
            room -= _svg.text_width(ports, 10) + 8
        if not card.attachments:
            words = _svg.fit(card.remark or card.detail.partition(" ")[0], 10, room)
            texts.append(_svg.label(words, middle, baseline, size=10, paint="d-soft"))
        y = box.y
        for item in card.attachments:
            words = f"{item.interface} {_addresses_told(item)}".strip()
            texts += self._addresses(item, words, home, Box(middle, y, room, _END_HEIGHT), size=10)
            self._attachment(number, item, home, y + _END_HEIGHT / 2)
            y, room = y + _END_HEIGHT, right - middle
        y = max(y, box.y + _END_HEIGHT)
        for text in self._plan.guest_lines(number):
            texts.append(_svg.label(_svg.fit(text, 10, right - x), x, y + 11, size=10, paint="d-soft"))
            y += _GUEST_HEIGHT
        return texts

    def _addresses(self, item: Attachment, words: str, home: int | None, box: Box, *, size: float) -> list[Markup]:
        """The interface of a container with its addresses, and the network when it is not that of the group."""
        aside = _svg.fit(_elsewhere(item, home), size, box.width / 2)
        room = box.width - (_svg.text_width(aside, size) + size / 2 if aside else 0)
        words = _svg.fit(words, size, room)
        texts = [_svg.label(words, box.x, box.middle + 4, size=size)]
        if aside:
            x = box.x + _svg.text_width(words, size) + size / 2
            texts.append(_svg.label(aside, x, box.middle + 4, size=size, paint=self._colour(item.segment)))
        return texts

    def _attachment(self, number: int, item: Attachment, home: int | None, y: float) -> None:
        """The wire of an interface to its veth, and that one's to the bridge."""
        part, net = f"card-{number}", item.segment
        if item.veth is None:
            wire = _svg.wire(f"M{_VETHS[0]:.1f} {y:.1f}H{_CARDS[0]:.1f}", stroke=self._colour(net), dashed=True)
            if item.seen or (net is not None and item.addresses):
                self._layers.wire(part, wire, net)
            if not item.seen and net is not None and item.addresses:
                self._to_segment(part, net, home, y, dashed=True)
            return
        state = "no bridge" if not item.veth.master else "" if item.joined is not Truth.NO else f"on {item.veth.master}"
        if item.joined is Truth.NO:
            net = self._by_device.get(item.veth.master or "")
        box = self._end(part, item.veth, y, state, item.segment)
        stroke = self._colour(item.segment)
        self._layers.wire(part, _svg.wire(f"M{box.right:.1f} {y:.1f}H{_CARDS[0]:.1f}", stroke=stroke), item.segment)
        if net is not None:
            self._to_segment(part, net, home, y, dashed=item.joined is Truth.UNKNOWN)

    def _loose(self, link: Link, segment: int | None, y: float) -> None:
        """A port of a bridge, or a veth, whose other end is not in the bundle."""
        part = "host" if segment is None else f"net-{segment}"
        box = self._end(part, link, y, "", None)
        text = "other end not in the bundle"
        self._layers.box(part, _svg.label(text, _CARDS[0], box.middle + 4, size=10, paint="d-soft"))
        self._layers.wire(part, _svg.wire(f"M{box.right:.1f} {y:.1f}H{_CARDS[0] - 6:.1f}", dashed=True))
        if segment is not None:
            self._to_segment(part, segment, segment, y, dashed=False)

    def _to_segment(self, part: str, segment: int, home: int | None, y: float, *, dashed: bool) -> None:
        """A wire into the bar of the segment: straight when that stands beside it, else by a trunk that comes later."""
        if segment == home:
            path = f"M{_BAR + 3:.1f} {y:.1f}H{_VETHS[0]:.1f}"
            self._layers.wire(part, _svg.wire(path, stroke=self._colour(segment), dashed=dashed), segment)
        else:
            self._distant[segment].append((y, part, dashed))

    def _trunks(self) -> None:
        """The wires from veths to the bars of other groups. Those to one bar share a trunk; where there is no room for
        one more trunk, or the bar stands on another sheet, the wire is a stub: the network's name stands in the row.
        """
        free = [float("-inf")] * _MOST_TRUNKS
        for segment, rows in sorted(self._distant.items(), key=lambda item: min(y for y, _, _ in item[1])):
            bar = self._bars.get(segment)
            ends = [y for y, _, _ in rows]
            joints = {y: bar[0] + 3 if y < bar[0] else bar[1] - 3 for y in ends} if bar else {}
            top, bottom = min([*ends, *joints.values()]), max([*ends, *joints.values()])
            lane = next((n for n, used in enumerate(free) if used < top - 4), None) if bar else None
            if lane is not None:
                free[lane] = bottom
            x = _FIRST_TRUNK + _TRUNK_GAP * (_MOST_TRUNKS - 1 if lane is None else lane)
            for y, part, dashed in rows:
                way = f"M{x:.1f} {y:.1f}H{_VETHS[0]:.1f}"
                if lane is not None:
                    way = f"M{_BAR + 3:.1f} {joints[y]:.1f}H{x:.1f}V{y:.1f}H{_VETHS[0]:.1f}"
                self._layers.wire(part, _svg.wire(way, stroke=self._colour(segment), dashed=dashed), segment)

    def _end(self, part: str, link: Link, y: float, state: str, net: int | None) -> Box:
        """The host's end of a veth pair."""
        box = Box(_VETHS[0], y - _END_HEIGHT / 2, _VETHS[1], _END_HEIGHT)
        words = " · ".join(filter(None, (link.name, "down" if link.up is False else "", state)))
        marks = self._marks.at("link", link.name)
        texts = [_small(box, words, marked=bool(marks))]
        self._box(part, box, "end", marks, texts, dashed=False, href=self._href(link.name), title=link.name, net=net)
        return box

    # --- parts ---

    def _href(self, device: str) -> str:
        """The link to the facts of an interface of the host, empty when it is not in the bundle."""
        return f"#{_anchors.of_link(self._links[device])}" if device in self._links else ""

    def _box(
        self,
        part: str,
        box: Box,
        kind: str,
        marks: Sequence[Mark],
        texts: Sequence[Markup],
        *,
        dashed: bool,
        href: str = "",
        title: str = "",
        net: int | None = None,
    ) -> None:
        """A box with its texts, which leads to the facts, and a badge that leads to what is wrong with it."""
        stroke = f"d-{marks[0].severity.value}" if marks else "d-faint"
        shapes = [_svg.rectangle(box, kind, stroke=stroke, dashed=dashed, thick=bool(marks)), *texts]
        if href:
            shapes = [_svg.link(href, shapes, title or "the facts")]
        self._layers.box(part, *shapes, net=net)
        if marks:
            words = "; ".join(f"{mark.severity.value}: {mark.message}" for mark in marks)
            y = box.y + (4 if box.height > _ROW else box.height / 2)
            sign = signs.badge(marks[0].severity, box.right - 4, y)
            self._layers.badge(part, _svg.link(marks[0].href, [sign], words), net)


def _ink(card: Card) -> str:
    return "d-ink" if card.running else "d-soft"


def _line(
    box: Box,
    number: int,
    text: str,
    *,
    bold: bool = False,
    soft: bool = False,
    paint: str = "",
    size: float = 11,
    marked: bool = False,
) -> Markup:
    """A line of text in a box; one that is `marked` leaves room for a badge."""
    cut = _svg.fit(text, size, box.width - 2 * _PADDING - (8 if marked else 0))
    colour = paint or ("d-soft" if soft else "d-ink")
    return _svg.label(cut, box.x + _PADDING, box.y + 18 + 16 * number, size=size, bold=bold, paint=colour)


def _small(box: Box, text: str, *, soft: bool = False, marked: bool = False) -> Markup:
    """The one line of text of a low box."""
    cut = _svg.fit(text, 10, box.width - 2 * _PADDING - (6 if marked else 0))
    return _svg.label(cut, box.x + _PADDING, box.middle + 4, size=10, paint="d-soft" if soft else "d-ink")


def _device_in_words(segment: Segment) -> str:
    if not segment.device:
        driver = segment.network.driver if segment.network else None
        return f"driver {driver or 'not known'}"
    if segment.link is None:
        return f"{segment.device} · " + ("missing" if segment.present is Truth.NO else "not seen")
    return f"{segment.device} · down" if segment.link.up is False else segment.device


def _addresses_in_words(segment: Segment) -> str:
    """The bridge's own addresses; when the link is not there, the subnets that Docker tells."""
    link = segment.link
    if link and link.addresses:
        own = [str(item.address) for item in link.addresses if not item.address.is_link_local]
        return ", ".join(own) or "no address"
    if link:
        return "no address"
    subnets = ", ".join(str(subnet.subnet) for subnet in segment.network.subnets) if segment.network else ""
    return f"{subnets} by Docker" if subnets else "no subnet known"
