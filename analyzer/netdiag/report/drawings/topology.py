"""The topology of one host, from left to right: outside, uplinks and routing, networks with bridges, veths, containers.

A solid line was read from the kernel's own tables, a dashed one is told by Docker only or not known whole, and where
the tables say that there is none, there is none. Objects at fault are outlined, with a badge that leads to the finding.
"""

from collections.abc import Sequence
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

_OUTSIDE, _HOST, _SEGMENTS, _VETHS, _CARDS = (
    (12.0, 128.0),
    (174.0, 196.0),
    (424.0, 224.0),
    (722.0, 178.0),
    (946.0, 292.0),
)
_FRAME = (158.0, 756.0)
_BUS = 398.0
_TOP = 64.0
_GAP, _GROUP_GAP = 10.0, 20.0
_SEGMENT_HEIGHT, _END_HEIGHT, _ROW = 62.0, 20.0, 24.0
_PADDING = 10.0
_MOST_PORT_LINES = 2
_MOST_LOOSE = 8
_ARROW = "→"


@dataclass(frozen=True)
class _Group:
    """A segment with what hangs on it; `segment` is None for cards that hang on nothing known."""

    segment: int | None
    cards: tuple[tuple[int, Card], ...] = ()
    ends: tuple[Link, ...] = ()
    more_ends: int = 0
    continued: bool = False

    @property
    def height(self) -> float:
        cards = sum(_card_height(card) + _GAP for _, card in self.cards)
        ends = (len(self.ends) + bool(self.more_ends)) * _ROW
        return max(cards + ends - (_GAP if cards and not ends else 0), 0.0 if self.segment is None else _SEGMENT_HEIGHT)


def draw(host: Host, findings: Sequence[Finding]) -> Markup:
    """The whole topology as one SVG element, as high as it needs to be."""
    return sheets(host, findings, height=float("inf"))[0]


def sheets(host: Host, findings: Sequence[Finding], *, height: float) -> tuple[Markup, ...]:
    """The same cut into drawings that are at most `height` units high (of 1250 units width), for paper.

    Only a single container with very many interfaces may make one of them higher.
    """
    found = wiring(host)
    marks = Marks(found, findings)
    groups, left_out = _groups(found, marks)
    room = height - _TOP - 60
    pages = _paginate(groups, room)
    drawings = []
    for number, page in enumerate(pages, start=1):
        part = f"part {number} of {len(pages)}" if len(pages) > 1 else ""
        drawings.append(_Sheet(host, found, marks, page, part, left_out).svg())
    return tuple(drawings)


def _groups(found: Wiring, marks: Marks) -> tuple[list[_Group], int]:
    """All groups in order, and how many containers were left out of them. Containers at fault are never left out."""
    kept = set(range(len(found.cards)))
    if len(kept) > MOST_CARDS:
        kept = set(sorted(kept, key=lambda number: (not marks.at("card", number), number))[:MOST_CARDS])
    groups = []
    for segment, cards in cards_by_segment(found):
        loose = found.segments[segment].loose if segment is not None else ()
        some = tuple((number, card) for number, card in cards if number in kept)
        groups.append(_Group(segment, some, loose[:_MOST_LOOSE], len(loose[_MOST_LOOSE:])))
    if found.stray:
        groups.append(_Group(None, (), found.stray[:_MOST_LOOSE], len(found.stray[_MOST_LOOSE:])))
    return groups, len(found.cards) - len(kept)


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
    for _, card in group.cards:
        used += _card_height(card) + _GAP
        if count and used - _GAP > room:
            break
        count += 1
    if count == len(group.cards):
        count -= 1
    first = replace(group, cards=group.cards[:count], ends=(), more_ends=0)
    return first, replace(group, cards=group.cards[count:], continued=True)


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


def _card_height(card: Card) -> float:
    lines = len(_port_lines(card)) + bool(card.remark)
    return 40.0 + len(card.attachments) * _ROW + lines * 15 + (6 if lines else 2)


class _Sheet:
    """One drawing in the making. Wires are kept apart from boxes because they lie below them."""

    def __init__(
        self, host: Host, found: Wiring, marks: Marks, groups: Sequence[_Group], part: str, left_out: int
    ) -> None:
        self._host, self._wiring, self._marks, self._groups = host, found, marks, groups
        self._part, self._left_out = part, left_out
        self._wires: list[Markup] = []
        self._boxes: list[Markup] = []
        self._badges: list[Markup] = []
        self._segments: dict[int, Box] = {}

    def svg(self) -> Markup:
        router = self._way_out()
        bottom = router.bottom
        tops = []
        y = _TOP
        for group in self._groups:
            tops.append(y)
            if group.segment is not None:
                middle = y + max(group.height - _SEGMENT_HEIGHT, 0) / 2
                self._segments[group.segment] = Box(_SEGMENTS[0], middle, _SEGMENTS[1], _SEGMENT_HEIGHT)
            y += group.height + _GROUP_GAP
        for group, top in zip(self._groups, tops, strict=True):
            self._group(group, top, router)
        bottom = max(bottom, y - _GROUP_GAP)
        return self._document(bottom)

    def _document(self, bottom: float) -> Markup:
        height = bottom + 16 + 32
        name = self._host.name or "the host"
        shown = sum(len(group.cards) for group in self._groups)
        heading = " ".join(filter(None, (f"Network topology of {name}", f"({self._part})" if self._part else "")))
        summary = f"{shown} containers, {len(self._segments)} networks and bridges. The table has the same facts."
        ids = f"topology-{self._part.split(' ')[1]}" if self._part else "topology-drawing"
        frame = Box(_FRAME[0], 30, _FRAME[1], bottom + 16 - 30)
        return _svg.element(
            "svg",
            [
                _svg.element("title", escape(_svg.shown(heading)), id=f"{ids}-title"),
                _svg.element("desc", escape(_svg.shown(summary)), id=f"{ids}-desc"),
                _svg.rectangle(frame, "frame", fill="d-panel", radius=8),
                *self._headings(frame),
                *self._wires,
                *self._boxes,
                *self._badges,
                *self._legend(bottom + 16 + 22),
            ],
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
            class_="topology",
            role="group",
            aria_labelledby=f"{ids}-title {ids}-desc",
        )

    def _headings(self, frame: Box) -> list[Markup]:
        host = _svg.fit(f"host {self._host.name}".rstrip(), 11, _FRAME[1] / 2)
        lanes = ((_OUTSIDE, "outside"), (_SEGMENTS, "networks and bridges"), (_VETHS, "veths"), (_CARDS, "containers"))
        found = [
            _svg.label(text, lane[0], 20, size=11, paint="d-soft", bold=True, family=_svg.SANS) for lane, text in lanes
        ]
        return [*found, _svg.label(host, frame.x + 16, frame.y + 20, paint="d-soft", bold=True)]

    def _legend(self, y: float) -> list[Markup]:
        """What the kinds of line mean; and what is not in the drawing."""
        entries = [("read from the kernel's tables", False), ("told by Docker only, or not known whole", True)]
        found, x = [], _OUTSIDE[0]
        for text, dashed in entries:
            found.append(_svg.wire(f"M{x:.0f} {y - 4:.0f}H{x + 28:.0f}", dashed=dashed))
            found.append(_svg.label(text, x + 36, y, size=10, paint="d-soft"))
            x += 36 + _svg.text_width(text, 10) + 28
        more = [f"{self._left_out} containers are in the table only"] if self._left_out else []
        nowhere = len(self._marks.unplaced)
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
            y = boxes[-1].bottom + _GAP
        if not boxes:
            box = Box(_HOST[0], y, _HOST[1], 44)
            known = self._host.root.links.extent
            text = "no uplink" if known is Extent.WHOLE else "no uplink in the bundle"
            self._boxes += [_svg.rectangle(box, "uplink", dashed=True), self._line(box, 0, text, soft=True)]
            boxes.append(box)
            y = box.bottom + _GAP
        router = Box(_HOST[0], y + 14, _HOST[1], 62)
        middle = router.x + router.width / 2
        self._wires.append(_svg.wire(f"M{middle:.1f} {boxes[-1].bottom:.1f}V{router.y:.1f}"))
        self._router(router)
        return router

    def _uplink(self, uplink: Uplink, y: float) -> Box:
        link = uplink.link
        addresses = [str(item.address) for item in link.addresses if not item.address.is_link_local] if link else []
        lines = addresses[:2] + ([f"and {len(addresses) - 2} more"] if len(addresses) > 2 else [])
        box = Box(_HOST[0], y, _HOST[1], max(28.0 + 15 * max(len(lines), 1), 22.0 + 15 * len(uplink.gateways[:3])))
        state = " · down" if link is not None and link.up is False else ""
        self._box(box, "uplink", self._marks.at("link", uplink.device), dashed=link is None)
        self._boxes.append(self._line(box, 0, uplink.device + state, bold=True, marked=True))
        for number, text in enumerate(lines or ["link not in the bundle" if link is None else "no address"], start=1):
            self._boxes.append(self._line(box, number, text, soft=True))
        if uplink.gateways:
            self._gateways(uplink.gateways, box)
        elif not self._host.root.routes.whole:
            self._gateways(("routes not known",), box, dashed=True)
        return box

    def _gateways(self, gateways: Sequence[str], uplink: Box, *, dashed: bool = False) -> None:
        box = Box(_OUTSIDE[0], uplink.y, _OUTSIDE[1], uplink.height)
        self._boxes.append(_svg.rectangle(box, "outside", dashed=dashed))
        if not dashed:
            self._boxes.append(self._line(box, 0, "default gateway", soft=True, size=10))
        for number, gateway in enumerate(gateways[:3], start=0 if dashed else 1):
            self._boxes.append(self._line(box, number, gateway, soft=dashed, size=11 if not dashed else 10))
        self._wires.append(_svg.wire(f"M{box.right:.1f} {box.middle:.1f}H{uplink.x:.1f}", dashed=dashed))

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
        self._box(box, "router", self._marks.at(*HOST), dashed=False)
        self._boxes += [
            self._line(box, 0, "routing, firewall", bold=True, marked=True),
            self._line(box, 1, told, soft=True, size=10),
            self._line(box, 2, firewall, soft=True, size=10),
        ]

    # --- networks, veths, containers ---

    def _group(self, group: _Group, top: float, router: Box) -> None:
        if group.segment is not None:
            self._segment(group.segment, router, continued=group.continued)
        y = top
        for number, card in group.cards:
            y = self._card(number, card, group.segment, y) + _GAP
        for link in group.ends:
            box = self._end(link, y + _ROW / 2, self._marks.at("link", link.name), "")
            self._boxes.append(
                _svg.label("other end not in the bundle", _CARDS[0], box.middle + 4, size=10, paint="d-soft")
            )
            self._wires.append(_svg.wire(f"M{box.right:.1f} {box.middle:.1f}H{_CARDS[0] - 6:.1f}", dashed=True))
            if group.segment is not None:
                home = self._segments[group.segment]
                self._wires.append(_svg.wire(_svg.curve(home.right, home.middle, box.x, box.middle)))
            y += _ROW
        if group.more_ends:
            text = f"and {group.more_ends} more ports"
            self._boxes.append(_svg.label(text, _VETHS[0] + _PADDING, y + _ROW / 2 + 4, size=10, paint="d-soft"))

    def _segment(self, number: int, router: Box, *, continued: bool) -> None:
        segment, box = self._wiring.segments[number], self._segments[number]
        marks = self._marks.at("segment", number)
        absent = bool(segment.device) and segment.present is not Truth.YES
        self._box(box, "segment", marks, dashed=absent or not segment.device, href=f"#{_anchors.of_segment(number)}")
        name = segment.network.name if segment.network else "no network in the bundle"
        if continued:
            name = f"{name} (continued)"
        self._boxes += [
            self._line(box, 0, name, bold=segment.network is not None, soft=segment.network is None, marked=True),
            self._line(box, 1, _device_in_words(segment)),
            self._line(box, 2, _addresses_in_words(segment), soft=True),
        ]
        if segment.device and segment.routed is not Truth.NO:
            path = f"M{router.right:.1f} {router.middle:.1f}H{_BUS:.1f}V{box.middle:.1f}H{box.x:.1f}"
            self._wires.append(_svg.wire(path, dashed=segment.routed is Truth.UNKNOWN))

    def _card(self, number: int, card: Card, home: int | None, y: float) -> float:
        """Draw a container with the veths at its left; give its lower edge."""
        box = Box(_CARDS[0], y, _CARDS[1], _card_height(card))
        marks = self._marks.at("card", number)
        self._box(box, "card", marks, dashed=not card.known, href=f"#{_anchors.of_container(number)}", title=card.name)
        paint = "d-ink" if card.running else "d-soft"
        width = box.width - 2 * _PADDING - 12
        name = _svg.fit(card.name, 12, width)
        self._boxes += [
            _svg.label(name, box.x + _PADDING, box.y + 18, size=12, bold=True, paint=paint),
            _svg.label(_svg.fit(card.detail, 10, width), box.x + _PADDING, box.y + 32, size=10, paint="d-soft"),
        ]
        row = box.y + 40
        for item in card.attachments:
            self._attachment(item, home, row + _ROW / 2)
            row += _ROW
        for text in [*([card.remark] if card.remark else []), *_port_lines(card)]:
            cut = _svg.fit(text, 10, box.width - 2 * _PADDING)
            self._boxes.append(_svg.label(cut, box.x + _PADDING, row + 11, size=10, paint="d-soft"))
            row += 15
        return box.bottom

    def _attachment(self, item: Attachment, home: int | None, y: float) -> None:
        elsewhere = item.network if item.network and item.segment != home else ""
        words = [item.interface, ", ".join(item.addresses) or "no address", f"({elsewhere})" if elsewhere else ""]
        text = _svg.fit(" ".join(filter(None, words)), 11, _CARDS[1] - 2 * _PADDING)
        self._boxes.append(_svg.label(text, _CARDS[0] + _PADDING, y + 4))
        if not item.seen:
            if item.segment is not None and item.addresses:
                self._to_segment(item.segment, _VETHS[0], y, dashed=True)
                self._wires.append(_svg.wire(f"M{_VETHS[0]:.1f} {y:.1f}H{_CARDS[0]:.1f}", dashed=True))
            return
        if item.veth is None:
            self._wires.append(_svg.wire(f"M{_VETHS[0]:.1f} {y:.1f}H{_CARDS[0]:.1f}", dashed=True))
            return
        state = "no bridge" if not item.veth.master else "" if item.joined is not Truth.NO else f"on {item.veth.master}"
        box = self._end(item.veth, y, self._marks.at("link", item.veth.name), state)
        self._wires.append(_svg.wire(f"M{box.right:.1f} {y:.1f}H{_CARDS[0]:.1f}"))
        if item.segment is not None and item.joined is not Truth.NO:
            self._to_segment(item.segment, box.x, y, dashed=item.joined is Truth.UNKNOWN)

    def _to_segment(self, number: int, x: float, y: float, *, dashed: bool) -> None:
        """A wire to the segment's box, or a stub when that box stands on another sheet."""
        box = self._segments.get(number)
        path = _svg.curve(box.right, box.middle, x, y) if box else f"M{x - 24:.1f} {y:.1f}H{x:.1f}"
        self._wires.append(_svg.wire(path, dashed=dashed))

    def _end(self, link: Link, y: float, marks: Sequence[Mark], state: str) -> Box:
        box = Box(_VETHS[0], y - _END_HEIGHT / 2, _VETHS[1], _END_HEIGHT)
        words = " · ".join(filter(None, (link.name, "down" if link.up is False else "", state)))
        self._box(box, "end", marks, dashed=False)
        self._boxes.append(_svg.label(_svg.fit(words, 10, box.width - 2 * _PADDING), box.x + _PADDING, y + 4, size=10))
        return box

    # --- parts ---

    def _box(
        self, box: Box, kind: str, marks: Sequence[Mark], *, dashed: bool, href: str = "", title: str = ""
    ) -> None:
        stroke = f"d-{marks[0].severity.value}" if marks else "d-faint"
        shape = _svg.rectangle(box, kind, stroke=stroke, dashed=dashed, thick=bool(marks))
        self._boxes.append(_svg.link(href, [shape], title or "the facts") if href else shape)
        if marks:
            words = "; ".join(f"{mark.severity.value}: {mark.message}" for mark in marks)
            sign = signs.badge(marks[0].severity, box.right - 4, box.y + (box.height / 2 if kind == "end" else 4))
            self._badges.append(_svg.link(marks[0].href, [sign], words))

    def _line(
        self,
        box: Box,
        number: int,
        text: str,
        *,
        bold: bool = False,
        soft: bool = False,
        size: float = 11,
        marked: bool = False,
    ) -> Markup:
        """A line of text in a box; the first one leaves room for a badge."""
        width = box.width - 2 * _PADDING - (8 if marked else 0)
        cut = _svg.fit(text, size, width)
        paint = "d-soft" if soft else "d-ink"
        return _svg.label(cut, box.x + _PADDING, box.y + 18 + 16 * number, size=size, bold=bold, paint=paint)


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
