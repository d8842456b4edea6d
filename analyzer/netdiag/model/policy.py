"""Policy rules (`ip rule`) as conditions on packets, three-valued.

The words are those of ip-rule(8); how the kernel reads them is in its net/core/fib_rules.c, net/ipv4/fib_rules.c and
net/ipv6/fib6_rules.c.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import pairwise

from netdiag.formats.records import IpAddress, Link, PolicyRule
from netdiag.model.knowledge import Truth

#: The numbers of IANA that iproute2 prints as names; it prints others as `ipproto-99`.
_PROTOCOL_NUMBERS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "sctp": 132,
    "udplite": 136,
}
_REFUSALS = ("blackhole", "unreachable", "prohibit")


@dataclass(frozen=True)
class Packet:
    """What the routing looks at of a packet.

    `in_interface` is where it came in, None when the host itself sends it; `out_interface` is what the sender is bound
    to. `source` is None when the host shall choose it or, of a packet that came in, when any is meant. `mark` is the
    firewall mark; it, the protocol (a number of IANA), the ports and the user id of the sender may be None for "any":
    a rule that asks for them may match or not. `tos` is the byte of the header.
    """

    destination: IpAddress
    source: IpAddress | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    mark: int | None = 0
    tos: int = 0
    protocol: int | None = None
    source_port: int | None = None
    destination_port: int | None = None
    uid: int | None = None


@dataclass(frozen=True)
class Action:
    """What a rule does with a packet that it takes.

    `verb` is `lookup` (of `table`, or of the table of the packet's VRF when that is None), `goto` (the rule of priority
    `target`, None when the text does not tell it), `nop`, `blackhole`, `unreachable`, `prohibit`, or `other`. A lookup
    does not count when it finds a prefix of at most `suppress_prefix` bits or a device of the group `suppress_group`.
    """

    verb: str
    table: str | None = None
    target: int | None = None
    suppress_prefix: int | None = None
    suppress_group: str | None = None


class Condition:
    """A policy rule that packets can be put to. `links` are those of the namespace by name."""

    def __init__(self, rule: PolicyRule, links: Mapping[str, Link]) -> None:
        self.rule = rule
        self.action = _action(rule.action)
        self._links = links
        words = rule.selector.split()
        self._negated = words[:1] == ["not"]
        self._wanted = dict(_pairs(words[self._negated :]))

    def takes(self, packet: Packet) -> Truth:
        """Whether the rule takes the packet."""
        answers = {self._truth(key, value, packet) for key, value in self._wanted.items()}
        if self.action.verb == "lookup" and self.action.table is None:
            answers.add(self._has_vrf(packet))
        if Truth.NO in answers:
            return Truth.YES if self._negated else Truth.NO
        if Truth.UNKNOWN in answers:
            return Truth.UNKNOWN
        return Truth.NO if self._negated else Truth.YES

    def table(self, packet: Packet) -> str | None:
        """The table that is looked up, None when it cannot be told."""
        return self.action.table or self._vrf_table(packet)

    def _truth(self, key: str, value: str, packet: Packet) -> Truth:
        match key:
            case "from" | "to":
                return self._in_network(key, value, packet)
            case "fwmark":
                return _mark(value, packet.mark)
            case "iif":
                return self._interface(value, packet.in_interface or "lo")
            case "oif":
                return self._interface(value, packet.out_interface)
            case "tos" | "dsfield" | "dscp":
                return _tos(key, value, packet.tos)
            case "ipproto":
                number = _protocol(value)
                return Truth.UNKNOWN if None in (number, packet.protocol) else _of(number == packet.protocol)
            case "sport":
                return _within(value, packet.source_port)
            case "dport":
                return _within(value, packet.destination_port)
            case "uidrange":
                return _within(value, packet.uid)
            case _:
                return Truth.UNKNOWN

    def _in_network(self, key: str, value: str, packet: Packet) -> Truth:
        if value == "all":
            return Truth.YES
        try:
            network = ip_network(value)
        except ValueError:
            return Truth.UNKNOWN
        if key == "to":
            return _of(packet.destination in network)
        if packet.source is not None:
            return _of(packet.source in network)
        if packet.in_interface is not None:
            return Truth.UNKNOWN
        # a source that is still to be chosen is 0.0.0.0 to the kernel, and in IPv6 none at all
        return _of(network.version == 4 and int(network.network_address) == 0)

    def _interface(self, wanted: str, actual: str | None) -> Truth:
        """`wanted` is empty for an interface that is gone. A rule for a VRF device takes what its ports send, too."""
        if not wanted or actual is None:
            return Truth.NO
        if wanted == actual:
            return Truth.YES
        link = self._links.get(wanted)
        return Truth.UNKNOWN if link and link.kind == "vrf" else Truth.NO

    def _has_vrf(self, packet: Packet) -> Truth:
        """Whether the packet comes from or goes to a VRF, which alone has a table of its own."""
        device = packet.out_interface or packet.in_interface
        if device is None:
            return Truth.NO
        link = self._links.get(device)
        if link is None:
            return Truth.UNKNOWN
        vrf = link if link.kind == "vrf" else self._links.get(link.master or "")
        if vrf is None:
            return Truth.UNKNOWN if link.master else Truth.NO
        return Truth.UNKNOWN if vrf.kind is None else _of(vrf.kind == "vrf")

    def _vrf_table(self, packet: Packet) -> str | None:
        link = self._links.get(packet.out_interface or packet.in_interface or "")
        vrf = link if link is None or link.kind == "vrf" else self._links.get(link.master or "")
        return vrf.details.get("vrf.table") if vrf else None


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    """The conditions of a selector. An interface that is gone (`[detached]`) has no name left that could match."""
    left = iter(words)
    last: tuple[str, str] | None = None
    for word in left:
        if word == "[detached]" and last:
            last = (last[0], "")
            continue
        if last:
            yield last
        last = (word, next(left, ""))
    if last:
        yield last


def _action(text: str) -> Action:
    words = text.split()
    verb = words[0] if words else ""
    rest = dict(pairwise(words))
    if verb == "goto":
        return Action("goto", target=_number(words[1]) if len(words) > 1 else None)
    if verb == "nop" or verb in _REFUSALS:
        return Action(verb)
    if verb != "lookup":
        return Action("other")
    table = words[1] if len(words) > 1 else ""
    if table == "unspec" and len(words) > 2:
        return _of_busybox(words[2])
    return Action(
        "lookup",
        table=None if table in ("unspec", "[l3mdev-table]") else table,
        suppress_prefix=_number(rest.get("suppress_prefixlength", "")),
        suppress_group=rest.get("suppress_ifgroup"),
    )


def _of_busybox(word: str) -> Action:
    """What busybox prints for an action: the type of route that has its number. The target of a `goto` (`local`) it
    leaves out.
    """
    if word in _REFUSALS:
        return Action(word)
    return Action({"local": "goto", "broadcast": "nop"}.get(word, "other"))


def _of(holds: bool) -> Truth:  # noqa: FBT001 - the one value this is about
    return Truth.YES if holds else Truth.NO


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _protocol(text: str) -> int | None:
    return _PROTOCOL_NUMBERS.get(text, _number(text.removeprefix("ipproto-")))


def _mark(wanted: str, actual: int | None) -> Truth:
    value, _, mask = wanted.partition("/")
    numbers = _number(value), _number(mask) if mask else 0xFFFFFFFF
    if actual is None or numbers[0] is None or numbers[1] is None:
        return Truth.UNKNOWN
    return _of((numbers[0] ^ actual) & numbers[1] == 0)


def _tos(key: str, wanted: str, actual: int) -> Truth:
    """A rule that wants none says nothing, so a packet without any fits no rule that does."""
    number = _number(wanted)
    if number is None:
        return Truth.UNKNOWN if actual else Truth.NO
    return _of((number << 2 if key == "dscp" else number) == actual)


def _within(wanted: str, actual: int | None) -> Truth:
    """A number or a range of them, both ends included."""
    first, _, last = wanted.partition("-")
    ends = _number(first), _number(last or first)
    if actual is None or ends[0] is None or ends[1] is None:
        return Truth.UNKNOWN
    return _of(ends[0] <= actual <= ends[1])
