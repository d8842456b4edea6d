"""What is known of a packet, and of the host that it meets; and the three-valued answers that both kinds of firewall
rules (iptables and nftables) give about the same condition.

Names and meanings of the conditions: iptables-extensions(8) and nft(8). What a packet does not tell is None, and a rule
that asks for it may match or not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from netdiag.formats.records import IpAddress, IpNetwork, IpSet
from netdiag.model.knowledge import Truth

#: Types of ICMP that iptables and nft print by name, by family (icmp(7), RFC 792 and RFC 4443).
_ICMP_TYPES = {
    4: {
        "echo-reply": 0,
        "pong": 0,
        "destination-unreachable": 3,
        "source-quench": 4,
        "redirect": 5,
        "echo-request": 8,
        "ping": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "ttl-exceeded": 11,
        "parameter-problem": 12,
        "timestamp-request": 13,
        "timestamp-reply": 14,
    },
    6: {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "ping": 128,
        "echo-reply": 129,
        "pong": 129,
        "mld-listener-query": 130,
        "mld-listener-report": 131,
        "mld-listener-done": 132,
        "nd-router-solicit": 133,
        "router-solicitation": 133,
        "nd-router-advert": 134,
        "router-advertisement": 134,
        "nd-neighbor-solicit": 135,
        "neighbour-solicitation": 135,
        "neighbor-solicitation": 135,
        "nd-neighbor-advert": 136,
        "neighbour-advertisement": 136,
        "neighbor-advertisement": 136,
        "nd-redirect": 137,
        "redirect": 137,
        "mld2-listener-report": 143,
    },
}


@dataclass(frozen=True)
class Flow:
    """The packets of one direction of one connection.

    `state` is that of connection tracking (NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED); a NEW packet of TCP is a
    SYN. `original_destination` and `original_destination_port` are those before DNAT, the same where there was none.
    `icmp_type` and `icmp_code` are numbers. `bridged` tells whether a bridge forwards the packet, not the IP layer. The
    protocol `arp` is that of a frame without an IP packet, which only the rules of bridges see.
    """

    protocol: str | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    source: IpAddress | None = None
    destination: IpAddress | None = None
    destination_port: int | None = None
    original_destination_port: int | None = None
    state: str = "NEW"
    source_port: int | None = None
    original_destination: IpAddress | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    bridged: bool | None = None

    @property
    def version(self) -> int:
        """4 or 6, by the addresses; 4 when neither end is known. 0 for what is no IP packet."""
        if self.protocol == "arp":
            return 0
        known = self.destination or self.source
        return known.version if known else 4

    @property
    def translated(self) -> bool:
        """The destination was translated (DNAT): it is told what it was, and that was another."""
        before = self.original_destination, self.original_destination_port
        return before not in ((None, None), (self.destination, self.destination_port))


@dataclass(frozen=True)
class Ground:
    """What rules ask of the host rather than of the packet.

    `local` are the addresses that the host takes for its own, None when they are not known; `broadcast` those that
    belong to all hosts of a link. `ipsets` are the sets that `--match-set` names.
    """

    local: frozenset[IpAddress] | None = None
    broadcast: frozenset[IpAddress] = frozenset()
    ipsets: Mapping[str, IpSet] = field(default_factory=dict)

    @cached_property
    def _members(self) -> dict[str, "Values | None"]:
        return {}

    def type_of(self, address: IpAddress | None) -> str | None:
        """The kernel's word for an address (`LOCAL`, `MULTICAST`, `BROADCAST`, `UNICAST`), None when it is not
        known.
        """
        if address is None:
            return None
        if address.is_multicast:
            return "MULTICAST"
        if address.is_loopback:
            return "LOCAL"
        if self.local is None:
            return None
        if address in self.local:
            return "LOCAL"
        limited = isinstance(address, IPv4Address) and int(address) == 0xFFFFFFFF
        return "BROADCAST" if limited or address in self.broadcast else "UNICAST"

    def in_set(self, name: str, directions: str, flow: Flow) -> Truth:
        """Whether a set of ipset(8) has what a flow shows in these directions (`src`, `dst`, `dst,dst`)."""
        found = self.ipsets.get(name)
        kinds = (found.set_type or "").partition(":")[2].split(",") if found else []
        if found is None or found.members is None or len(kinds) != 1 or kinds[0] not in ("ip", "net", "port"):
            return Truth.UNKNOWN
        if any("nomatch" in member.details for member in found.members):
            return Truth.UNKNOWN
        key: IpAddress | int | None
        if kinds[0] == "port":
            key = flow.source_port if directions == "src" else flow.destination_port
        else:
            key = flow.source if directions == "src" else flow.destination
        if key is None:
            return Truth.UNKNOWN
        if name not in self._members:
            self._members[name] = Values.of(member.element for member in found.members)
        members = self._members[name]
        return Truth.UNKNOWN if members is None else truth(key in members)


@dataclass(frozen=True)
class Stretch:
    """From the first to the last of some numbers of one `kind`: 4 and 6 for addresses, 0 for ports."""

    kind: int
    first: int
    last: int

    def __contains__(self, value: object) -> bool:
        kind, number = _numbered(value)
        return kind == self.kind and self.first <= number <= self.last


def _numbered(value: object) -> tuple[int, int]:
    if isinstance(value, IPv4Address | IPv6Address):
        return value.version, int(value)
    return (0, value) if isinstance(value, int) else (-1, 0)


@dataclass(frozen=True)
class Values:
    """Addresses, networks, ports and ranges of them, as nft and ipset print them, for many questions at once."""

    exact: frozenset[tuple[int, int]]
    ranges: tuple[Stretch, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Values | None":
        """None when one of the texts is neither an address nor a number, e.g. the name of a service."""
        spans = [value_range(text) for text in texts]
        known = [span for span in spans if span is not None]
        if len(known) < len(spans):
            return None
        single = frozenset((span.kind, span.first) for span in known if span.first == span.last)
        return cls(single, tuple(span for span in known if span.first != span.last))

    def __contains__(self, value: object) -> bool:
        return _numbered(value) in self.exact or any(value in span for span in self.ranges)


@lru_cache(maxsize=8192)
def value_range(text: str) -> Stretch | None:
    """The first and the last of `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `80`, `8000-8010`; None for other words."""
    low, _, high = text.partition("-")
    try:
        if "/" in text:
            network = ip_network(text, strict=False)
            return Stretch(network.version, int(network.network_address), int(network.broadcast_address))
        if low.isdecimal():
            return Stretch(0, int(low), int(high or low))
        first, last = ip_address(low), ip_address(high or low)
    except ValueError:
        return None
    return Stretch(first.version, int(first), int(last)) if first.version == last.version else None


# --- answers ----------------------------------------------------------------------------------------------------------


def truth(holds: bool, *, negated: bool = False) -> Truth:  # noqa: FBT001 - the one value this is about
    return Truth.YES if holds is not negated else Truth.NO


def inverted(answer: Truth, *, negated: bool = True) -> Truth:
    """The answer to the opposite question."""
    if answer is Truth.UNKNOWN or not negated:
        return answer
    return Truth.NO if answer is Truth.YES else Truth.YES


def all_hold(answers: Iterable[Truth]) -> Truth:
    """No if any is no, else unknown if any is unknown, else yes."""
    found = Truth.YES
    for answer in answers:
        if answer is Truth.NO:
            return Truth.NO
        if answer is Truth.UNKNOWN:
            found = Truth.UNKNOWN
    return found


def any_holds(answers: Iterable[Truth]) -> Truth:
    """Yes if any is yes, else unknown if any is unknown, else no."""
    found = Truth.NO
    for answer in answers:
        if answer is Truth.YES:
            return Truth.YES
        if answer is Truth.UNKNOWN:
            found = Truth.UNKNOWN
    return found


def within(actual: IpAddress | None, network: IpNetwork) -> Truth:
    """Whether an address lies in a network; one of the other family does not."""
    return Truth.UNKNOWN if actual is None else truth(actual in network)


def in_range(actual: IpAddress | int | None, text: str) -> Truth:
    """Whether an address or a number is one of `10.0.0.1-10.0.0.9`, `80`; unknown for the name of a service."""
    span = value_range(text)
    return Truth.UNKNOWN if actual is None or span is None else truth(actual in span)


def interface_fits(pattern: str, name: str) -> bool:
    """Whether an interface has the name that a rule asks for; `br+` is every name that begins with `br`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def in_state(wanted: Iterable[str], flow: Flow) -> Truth:
    """Whether connection tracking has the flow in one of these states; iptables also counts `DNAT` and `SNAT` as
    such.
    """
    states = {state.upper() for state in wanted}
    if flow.state in states or ("DNAT" in states and flow.translated):
        return Truth.YES
    return Truth.UNKNOWN if "SNAT" in states else Truth.NO


def has_status(wanted: Iterable[str], flow: Flow) -> Truth:
    """Whether one of these bits of the connection's status is set (`dnat`, `assured`, `seen-reply`, ...)."""
    bits = {bit.lower().replace("_", "-") for bit in wanted}
    if "dnat" in bits and flow.translated:
        return Truth.YES
    return Truth.NO if bits == {"dnat"} else Truth.UNKNOWN


def in_direction(wanted: str, flow: Flow) -> Truth:
    """Whether a packet goes in the direction of its connection's first packet (`original`) or back (`reply`)."""
    if flow.state != "NEW":
        return Truth.UNKNOWN
    return truth(wanted.lower() == "original")


#: The flags of TCP that matter, of the packets that a connection may have in a state.
_FLAGS_IN_STATE = {
    "NEW": ({"SYN"},),
    "ESTABLISHED": ({"ACK"}, {"SYN", "ACK"}, {"PSH", "ACK"}, {"FIN", "ACK"}),
}


def has_tcp_flags(mask: Iterable[str], wanted: Iterable[str], flow: Flow) -> Truth:
    """Whether of the flags in `mask` exactly those `wanted` are set."""
    looked_at, asked = {flag.upper() for flag in mask}, {flag.upper() for flag in wanted} - {"NONE"}
    possible = _FLAGS_IN_STATE.get(flow.state, ())
    answers = {flags & looked_at == asked for flags in possible}
    return truth(answers.pop()) if len(answers) == 1 else Truth.UNKNOWN


def is_icmp_type(wanted: str, flow: Flow) -> Truth:
    """Whether an ICMP message has the type that a number, a name or `TYPE/CODE` asks for."""
    kind, _, code = wanted.partition("/")
    if kind == "any":
        return Truth.YES
    number = int(kind) if kind.isdecimal() else _ICMP_TYPES[flow.version].get(kind)
    if number is None or flow.icmp_type is None:
        return Truth.UNKNOWN
    if number != flow.icmp_type:
        return Truth.NO
    return is_icmp_code(code, flow) if code else Truth.YES


#: Codes of ICMP's destination-unreachable that nft prints by name (RFC 792, RFC 1812).
_UNREACHABLE_CODES = {
    "net-unreachable": 0,
    "host-unreachable": 1,
    "prot-unreachable": 2,
    "port-unreachable": 3,
    "frag-needed": 4,
    "net-prohibited": 9,
    "host-prohibited": 10,
    "admin-prohibited": 13,
}


def is_icmp_code(wanted: str, flow: Flow) -> Truth:
    """Whether an ICMP message has the code that a number or nft's name for it asks for."""
    number = int(wanted) if wanted.isdecimal() else _UNREACHABLE_CODES.get(wanted)
    return Truth.UNKNOWN if number is None or flow.icmp_code is None else truth(number == flow.icmp_code)


def is_of_type(address: IpAddress | None, wanted: Iterable[str], ground: Ground) -> Truth:
    """Whether an address is of one of the kernel's types of addresses: `LOCAL`, `UNICAST`, `BROADCAST`, ..."""
    kinds, actual = {word.upper() for word in wanted}, ground.type_of(address)
    if actual is None:
        return Truth.UNKNOWN
    if actual in kinds:
        return Truth.YES
    # a route may make anything of what no address of the host claims
    return Truth.UNKNOWN if actual == "UNICAST" and kinds - {"LOCAL", "MULTICAST", "BROADCAST"} else Truth.NO
