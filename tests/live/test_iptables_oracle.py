"""The kernel's netfilter as the oracle of the iptables formats, on generated rules.

Rules are generated as records, printed for `iptables-restore` and loaded in a network namespace of the test. What
`iptables -L -v -n -x`, `iptables -S` and `iptables-save -c` then print must be read as those very records, and printing
what was read and loading it once more must give the same ruleset. The iptables of each suite of Debian is tried (1.8.7
and later).
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import lab
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from iptables_printer import printed_rule
from namespaces import attempt, network_namespace

from netdiag.formats import Document, iptables_list, iptables_save
from netdiag.formats.records import Chain, Counters, IpNetwork, Match, Rule
from netdiag.spans import Source

pytestmark = pytest.mark.live

KINDS = tuple((backend, family) for backend in ("nft", "legacy") for family in ("ipv4", "ipv6"))
TABLES = ("raw", "mangle", "nat", "filter")
# 4 kinds x 4 tables x 7 loads x 24 rules = 2,688, of each suite
LOADS_OF_A_TABLE = 7
RULES_A_LOAD = 24
LEAST_RULES = 500
NOWHERE = Source("generated", "").span(1, 1, 1)

Matches = st.SearchStrategy[tuple[Match, ...]]


# what rules are made of


def _one(option: str, values: st.SearchStrategy[str], *, negatable: bool = True) -> Matches:
    return st.builds(
        lambda value, negated: (Match(option, value, negated),),
        values,
        st.sampled_from([False, True] if negatable else [False]),
    )


def _all(*parts: Matches) -> Matches:
    return st.tuples(*parts).map(lambda found: tuple(match for part in found for match in part))


def _some(*parts: Matches) -> Matches:
    """At least one of the parts, in any company."""
    return st.lists(st.sampled_from(parts), min_size=1, max_size=3, unique_by=id).flatmap(lambda some: _all(*some))


def _flags(*options: str) -> Matches:
    return st.just(tuple(Match(option, "") for option in options))


def _number(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


def _range(low: int, high: int, sign: str = ":") -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(
        lambda ends: sign.join(map(str, sorted(ends)))
    )


def _words(words: Sequence[str]) -> st.SearchStrategy[str]:
    """Some of the words, in the order in which the kernel's bits are printed."""
    return st.sets(st.sampled_from(words), min_size=1).map(lambda some: ",".join(w for w in words if w in some))


_BITS = st.integers(0, 0xFFFFFFFF)
_MARKS = st.builds(
    lambda bits, mask: f"{bits & mask:#x}/{mask:#x}" if mask != 0xFFFFFFFF else f"{bits:#x}",
    _BITS,
    st.sampled_from([0xFFFFFFFF, 0xFF, 0xFF00, 0x4000]),
)
_TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\"'\\`"), min_size=1, max_size=40
).map(str.strip)
_PLAIN = _TEXT.filter(lambda text: bool(text) and not text.startswith(("!", "-")))
_COMMENTS = st.one_of(
    _PLAIN.filter(lambda text: "*/" not in text and "/*" not in text),
    st.sampled_from(["tcp dpt:22", 'say "hi" to [goto] to:10.0.0.1', "-j DROP", "! ctstate NEW", "a  b", "C:\\dir"]),
)
_PORTS = st.one_of(_number(0, 65535), _range(1, 65535))
_FLAG_NAMES = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_TCP_FLAGS = st.builds(
    lambda mask, compared: (mask, [flag for flag in compared if flag in mask]),
    st.sets(st.sampled_from(_FLAG_NAMES), min_size=1),
    st.sets(st.sampled_from(_FLAG_NAMES)),
).map(lambda flags: " ".join(",".join(name for name in _FLAG_NAMES if name in some) or "NONE" for some in flags))
_LISTS = st.lists(st.one_of(_number(0, 65535), _range(1, 65535)), min_size=1, max_size=6).map(",".join)
_STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
_STATUS = ("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
_TYPES = ("UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT")
_TYPES_OF_IPV6 = ("UNICAST", "LOCAL", "ANYCAST", "MULTICAST")
_MACS = st.lists(st.integers(0, 255), min_size=6, max_size=6).map(lambda octets: ":".join(f"{o:02X}" for o in octets))
_DEVICES = st.sampled_from(["eth0", "docker0", "br-c67699db7a13", "veth+", "lo", "eth0.100", "tailscale0", "wg-a_b"])
_RATES = st.builds("{}/{}".format, st.integers(1, 40), st.sampled_from(["sec", "min", "hour", "day"]))


@dataclass(frozen=True)
class Piece:
    """A module's conditions: in which tables and with which protocol it may stand."""

    name: str
    matches: Matches
    protocol: str | None = None
    families: tuple[str, ...] = ("ipv4", "ipv6")
    tables: tuple[str, ...] = TABLES


def _ends(family: str) -> st.SearchStrategy[str]:
    four = family == "ipv4"
    return st.integers(1, 200).flatmap(
        lambda low: st.just(f"10.0.0.{low}-10.0.1.{low}" if four else f"2001:db8::{low:x}-2001:db8::1:{low:x}")
    )


def _conntrack(family: str) -> Matches:
    address = "10.0.0.0/8" if family == "ipv4" else "2001:db8::/32"
    return _some(
        _one("ctstate", _words(_STATES)),
        _one("ctproto", st.sampled_from(["tcp", "udp", "sctp"])),
        _one("ctorigsrc", st.just(address)),
        _one("ctrepldst", st.just(address)),
        _one("ctstatus", _words(_STATUS)),
        _one("ctexpire", _range(1, 100000)),
        _one("ctdir", st.sampled_from(["ORIGINAL", "REPLY"]), negatable=False),
    )


def _pieces(family: str) -> tuple[Piece, ...]:
    four, six = ("ipv4",), ("ipv6",)
    types = _TYPES if family == "ipv4" else _TYPES_OF_IPV6
    ports = _some(_one("sport", _PORTS), _one("dport", _PORTS))
    return (
        Piece(
            "tcp",
            _some(_one("sport", _PORTS), _one("dport", _PORTS), _one("tcp-flags", _TCP_FLAGS)),
            "tcp",
        ),
        Piece("tcp-option", _one("tcp-option", _number(1, 255)), "tcp"),
        Piece("udp", ports, "udp"),
        Piece("sctp", ports, "sctp"),
        Piece("dccp", ports, "dccp"),
        Piece("icmp", _one("icmp-type", st.sampled_from(["8", "0", "3/4", "11", "5/1"])), "icmp", four),
        Piece("icmp6", _one("icmpv6-type", st.sampled_from(["135", "136", "1/4", "128"])), "ipv6-icmp", six),
        Piece("esp", _one("espspi", st.one_of(_number(1, 100000), _range(1, 100000))), "esp"),
        Piece("multiport-d", _one("dports", _LISTS), "tcp"),
        Piece("multiport-s", _one("sports", _LISTS), "udp"),
        Piece("multiport", _one("ports", _LISTS), "tcp"),
        Piece("conntrack", _conntrack(family)),
        Piece("mark", _one("mark", _MARKS)),
        Piece("connmark", _one("connmark", _MARKS)),
        Piece(
            "addrtype",
            _some(_one("src-type", _words(types)), _one("dst-type", _words(types))),
        ),
        Piece(
            "limit",
            _all(_one("limit", _RATES, negatable=False), _one("limit-burst", _number(1, 100), negatable=False)),
        ),
        Piece(
            "owner",
            _some(
                _one("uid-owner", st.one_of(_number(0, 70000), _range(0, 70000, "-"))),
                _one("gid-owner", _number(0, 70000)),
            ),
        ),
        Piece("iprange", _some(_one("src-range", _ends(family)), _one("dst-range", _ends(family)))),
        Piece(
            "physdev",
            _some(
                _one("physdev-in", _DEVICES),
                _one("physdev-out", _DEVICES),
                _one("physdev-is-bridged", st.just("")),
            ).filter(lambda found: Match("physdev-out", "lo") not in found),
        ),
        Piece("mac", _one("mac-source", _MACS)),
        Piece("length", _one("length", st.one_of(_number(0, 65535), _range(0, 65535)))),
        Piece("tos", _one("tos", st.sampled_from(["0x10/0x3f", "0x08/0xff", "0x02/0x02"]))),
        Piece("dscp", _one("dscp", st.integers(0, 63).map("0x{:02x}".format))),
        Piece("ttl", _one("ttl-eq", _number(0, 255)), families=four),
        Piece("ttl-lt", _one("ttl-lt", _number(1, 255), negatable=False), families=four),
        Piece("hl", _one("hl-eq", _number(0, 255)), families=six),
        Piece("hl-gt", _one("hl-gt", _number(1, 255), negatable=False), families=six),
        Piece("pkttype", _one("pkt-type", st.sampled_from(["unicast", "broadcast", "multicast"]))),
        Piece("helper", _one("helper", st.sampled_from(["ftp", "sip", "tftp-69"]))),
        Piece("cpu", _one("cpu", _number(0, 7))),
        Piece("realm", _one("realm", st.sampled_from(["0x1/0xff", "0x2"])), families=four),
        Piece(
            "devgroup", _some(_one("src-group", st.sampled_from(["0x1", "0x2/0xf"])), _one("dst-group", st.just("0x3")))
        ),
        Piece("tcpmss", _one("mss", st.one_of(_number(1, 65535), _range(1, 65535))), "tcp"),
        Piece("u32", _one("u32", st.sampled_from(["0x0=0x0&&0x0=0x1", "0x0>>0x16&0x3c@0xc&0xffffff00=0x100100"]))),
        Piece(
            "set",
            _one("match-set", st.sampled_from(["banned src", "banned dst"])),
        ),
        Piece(
            "string",
            _all(
                st.one_of(
                    _one("string", _PLAIN.filter(lambda text: "|" not in text)),
                    _one("hex-string", st.just("|0d0a0d0a|")),
                ),
                _one("algo", st.sampled_from(["bm", "kmp"]), negatable=False),
                st.one_of(st.just(()), _one("from", _number(1, 60), negatable=False)),
                st.one_of(st.just(()), _one("to", _number(61, 1500), negatable=False)),
                st.sampled_from([(), (Match("icase", ""),)]),
            ),
        ),
        Piece(
            "connbytes",
            _all(
                _one("connbytes", _range(1, 10**9)),
                _one("connbytes-mode", st.sampled_from(["packets", "bytes", "avgpkt"]), negatable=False),
                _one("connbytes-dir", st.sampled_from(["original", "reply", "both"]), negatable=False),
            ),
        ),
        Piece(
            "connlimit",
            _all(
                st.sampled_from(["connlimit-upto", "connlimit-above"]).flatmap(
                    lambda option: _one(option, _number(1, 1000), negatable=False)
                ),
                _one("connlimit-mask", _number(1, 32 if family == "ipv4" else 128), negatable=False),
                st.sampled_from([(Match("connlimit-saddr", ""),), (Match("connlimit-daddr", ""),)]),
            ),
            "tcp",
        ),
        Piece(
            "hashlimit",
            _all(
                # the kernel refuses slow rates with large bursts
                st.sampled_from(["hashlimit-upto", "hashlimit-above"]).flatmap(
                    lambda option: _one(option, st.integers(1, 40).map("{}/sec".format), negatable=False)
                ),
                _one("hashlimit-burst", _number(6, 100), negatable=False),
                _one("hashlimit-mode", st.sampled_from(["srcip", "dstip", "srcip,dstport"]), negatable=False),
            ),
            "tcp",
        ),
        Piece(
            "time",
            _all(
                _one("timestart", st.sampled_from(["08:00:00", "00:30:00"]), negatable=False),
                _one("timestop", st.sampled_from(["18:00:00", "23:15:59"]), negatable=False),
                st.one_of(st.just(()), _one("weekdays", _words(("Mon", "Tue", "Wed", "Sat")), negatable=False)),
                st.one_of(st.just(()), _one("monthdays", st.sampled_from(["1", "1,22", "2,3,31"]), negatable=False)),
                st.sampled_from([(), (Match("kerneltz", ""),)]),
            ),
        ),
        Piece(
            "statistic-nth",
            _all(
                st.just((Match("mode", "nth"),)),
                _one("every", _number(2, 9)),
                _one("packet", _number(0, 1), negatable=False),
            ),
        ),
        Piece(
            "statistic-random",
            _all(
                st.just((Match("mode", "random"),)),
                _one("probability", st.sampled_from(["0.50000000000", "0.25000000000", "0.33332999982"])),
            ),
        ),
        Piece(
            "recent",
            _all(
                st.sampled_from([("rcheck", False), ("update", True), ("rcheck", True)]).map(
                    lambda kind: (Match(kind[0], "", kind[1]),)
                ),
                st.one_of(st.just(()), _one("seconds", _number(1, 10800), negatable=False)),
                st.one_of(st.just(()), _one("hitcount", _number(1, 20), negatable=False)),
                st.just(
                    (
                        Match("name", "oracle"),
                        Match(
                            "mask", "255.255.255.255" if family == "ipv4" else "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
                        ),
                        Match("rsource", ""),
                    )
                ),
            ),
        ),
        Piece("policy", _flags().map(lambda _: (Match("dir", "in"), Match("pol", "none")))),
        Piece(
            "socket",
            st.sampled_from(["", "transparent", "nowildcard"]).map(lambda flags: (Match("socket", flags),)),
            tables=("mangle",),
        ),
        Piece(
            "rpfilter",
            st.sampled_from(["", "loose", "validmark invert"]).map(lambda flags: (Match("rpfilter", flags),)),
            tables=("raw", "mangle"),
        ),
        Piece("rt", _one("rt-type", _number(0, 3)), families=six),
    )


@dataclass(frozen=True)
class Target:
    """A target with its options: in which tables and with which protocol it may stand."""

    name: str
    options: Matches = field(default_factory=lambda: st.just(()))
    tables: tuple[str, ...] = TABLES
    protocol: str | None = None
    families: tuple[str, ...] = ("ipv4", "ipv6")
    goto: bool = False
    needs: tuple[Match, ...] = ()


def _maybe(option: str, values: st.SearchStrategy[str]) -> Matches:
    return st.one_of(st.just(()), _one(option, values, negatable=False))


def _option(option: str, values: st.SearchStrategy[str]) -> Matches:
    return _one(option, values, negatable=False)


def _any_flags(*options: str) -> Matches:
    return st.sets(st.sampled_from(options)).map(lambda some: tuple(Match(option, "") for option in sorted(some)))


def _targets(family: str) -> tuple[Target, ...]:
    four, six = ("ipv4",), ("ipv6",)
    host = "10.0.0.7" if family == "ipv4" else "2001:db8::7"
    with_port = f"{host}:80" if family == "ipv4" else f"[{host}]:80"
    rejections = (
        ["icmp-port-unreachable", "icmp-host-prohibited", "icmp-net-unreachable"]
        if family == "ipv4"
        else ["icmp6-port-unreachable", "icmp6-adm-prohibited", "icmp6-no-route"]
    )
    mark = st.builds(lambda bits, mask: f"{bits:#x}/{mask:#x}", _BITS, st.sampled_from([0xFFFFFFFF, 0xFF, 0x4000]))
    return (
        Target("ACCEPT"),
        Target("DROP", tables=("raw", "mangle", "filter")),
        Target("RETURN"),
        Target("TARGET"),
        Target("TARGET", goto=True),
        Target("REJECT", _option("reject-with", st.sampled_from(rejections)), ("filter",)),
        Target("REJECT", _option("reject-with", st.just("tcp-reset")), ("filter",), "tcp"),
        Target(
            "LOG",
            _all(
                _option("log-level", _number(0, 7)),
                _maybe("log-prefix", st.sampled_from(["[UFW BLOCK] ", "x", 'a "b" c: ', "DROP"])),
                _any_flags("log-tcp-options", "log-ip-options", "log-uid"),
            ),
        ),
        Target("LOG", _all(_option("log-level", _number(0, 7)), _any_flags("log-tcp-sequence")), protocol="tcp"),
        Target(
            "NFLOG",
            _all(_maybe("nflog-prefix", st.sampled_from(["two words", "one"])), _option("nflog-group", _number(1, 99))),
        ),
        Target("NFQUEUE", _all(_option("queue-num", _number(0, 99)), _any_flags("queue-bypass"))),
        Target("MARK", _option("set-xmark", mark), ("mangle",)),
        Target("CONNMARK", _option("set-xmark", mark), ("mangle",)),
        Target(
            "CONNMARK",
            st.sampled_from(["save-mark", "restore-mark"]).map(
                lambda verb: (Match("ctmask", "0xffffffff"), Match("nfmask", "0xff"), Match(verb, ""))
            ),
            ("mangle",),
        ),
        Target(
            "CLASSIFY", _option("set-class", st.builds("{:x}:{:x}".format, _number_of(16), _number_of(16))), ("mangle",)
        ),
        Target("DSCP", _option("set-dscp", st.integers(0, 63).map("0x{:02x}".format)), ("mangle",)),
        Target("TOS", _option("set-tos", st.just("0x10/0x3f")), ("mangle",)),
        Target("TTL", _option("ttl-set", _number(1, 255)), ("mangle",), families=four),
        Target("TTL", _option("ttl-dec", _number(1, 9)), ("mangle",), families=four),
        Target("HL", _option("hl-inc", _number(1, 9)), ("mangle",), families=six),
        Target("TEE", _option("gateway", st.just(host)), ("mangle",)),
        Target("CHECKSUM", _flags("checksum-fill"), ("mangle",), "udp"),
        Target("SET", _all(_option("add-set", st.just("banned src")), _any_flags("exist")), ("mangle", "filter")),
        Target("CT", _flags("notrack"), ("raw",)),
        Target("CT", _option("zone", _number(1, 99)), ("raw",)),
        Target("CT", _option("helper", st.just("ftp")), ("raw",), "tcp"),
        Target(
            "DNAT",
            _all(_option("to-destination", st.sampled_from([with_port])), _any_flags("persistent")),
            ("nat",),
            "tcp",
        ),
        Target("DNAT", _option("to-destination", st.just(host)), ("nat",)),
        Target("SNAT", _all(_option("to-source", st.just(host)), _any_flags("random")), ("nat",)),
        Target("MASQUERADE", _any_flags("random-fully"), ("nat",)),
        Target("MASQUERADE", _option("to-ports", _range(1024, 65535, "-")), ("nat",), "udp"),
        Target("REDIRECT", _option("to-ports", _number(1, 65535)), ("nat",), "tcp"),
        Target(
            "TCPMSS",
            st.one_of(_option("set-mss", _number(1, 65535)), _flags("clamp-mss-to-pmtu")),
            ("mangle",),
            "tcp",
            needs=(Match("tcp-flags", "SYN,RST SYN"),),
        ),
        Target(
            "TPROXY",
            _all(
                _option("on-port", _number(1, 65535)),
                _option("on-ip", st.just("127.0.0.1" if family == "ipv4" else "::1")),
                _option("tproxy-mark", st.just("0x539/0xffffffff")),
            ),
            ("mangle",),
            "tcp",
        ),
        Target("AUDIT", _option("type", st.sampled_from(["accept", "drop", "reject"])), ("filter",)),
    )


def _number_of(bits: int) -> st.SearchStrategy[int]:
    return st.integers(1, 2**bits - 1)


def _networks(family: str) -> st.SearchStrategy[IpNetwork]:
    bits, network = (32, IPv4Network) if family == "ipv4" else (128, IPv6Network)
    return st.builds(
        lambda number, length: network((number >> (bits - length) << (bits - length), length)),
        st.integers(2**20, 2**bits - 1),
        st.integers(1, bits),
    )


@st.composite
def _rule(
    draw: Callable[[st.SearchStrategy[Any]], Any],
    table: str,
    family: str,
    pieces: Sequence[Piece],
    targets: Sequence[Target],
) -> Rule:
    """A rule with up to three modules and a target, whose needs for a protocol agree."""
    target = draw(st.one_of(st.none(), st.sampled_from([target for target in targets if table in target.tables])))
    protocol = target.protocol if target else None
    matches = list(target.needs) if target else []
    used = {match.option for match in matches}
    fitting = [piece for piece in pieces if table in piece.tables]
    for piece in draw(st.lists(st.sampled_from(fitting), max_size=3, unique_by=lambda piece: piece.name.split("-")[0])):
        if piece.protocol is not None and protocol not in (None, piece.protocol):
            continue
        found = draw(piece.matches)
        options = {match.option for match in found}
        if not options & used:
            protocol = piece.protocol or protocol
            used |= options
            matches.extend(found)
    negated = False
    if protocol is None:
        protocol = draw(st.sampled_from([None, None, "tcp", "udp", "gre", "253"]))
        negated = protocol is not None and draw(st.booleans())
    maybe = st.one_of(st.none(), _networks(family))
    source, destination = draw(maybe), draw(maybe)
    incoming, outgoing = draw(st.one_of(st.none(), _DEVICES)), draw(st.one_of(st.none(), _DEVICES))
    options = draw(target.options) if target else ()
    return Rule(
        family=family,
        table=table,
        chain="GENERATED",
        position=0,
        span=NOWHERE,
        counters=Counters(draw(st.integers(0, 10**12)), draw(st.integers(0, 10**15))),
        protocol=protocol,
        protocol_negated=negated,
        source=source,
        source_negated=source is not None and draw(st.booleans()),
        destination=destination,
        destination_negated=destination is not None and draw(st.booleans()),
        in_interface=incoming,
        in_interface_negated=incoming is not None and draw(st.booleans()),
        out_interface=outgoing,
        out_interface_negated=outgoing is not None and draw(st.booleans()),
        matches=_sorted(matches),
        target=target.name if target else None,
        goto=target.goto if target else False,
        target_options=_sorted(options),
        comment=draw(st.one_of(st.none(), _COMMENTS)),
    )


def _sorted(matches: Sequence[Match]) -> tuple[Match, ...]:
    return tuple(sorted(matches, key=lambda match: (match.option, match.value, match.negated)))


# the real iptables


@dataclass(frozen=True)
class Iptables:
    """iptables of one backend and family in a network namespace, held by the process `pid`; `programs` stands before
    its commands.
    """

    pid: int
    backend: str
    family: str
    programs: Sequence[str] = ()

    @property
    def program(self) -> str:
        return f"{'ip6tables' if self.family == 'ipv6' else 'iptables'}-{self.backend}"

    def run(self, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return attempt(self.pid, [*self.programs, *argv], text)

    def load(self, table: str, rules: str) -> str:
        """Replace the table's rules; why they were refused, empty when they were taken."""
        text = f"*{table}\n:TARGET - [0:0]\n:GENERATED - [0:0]\n{rules}\nCOMMIT\n"
        done = self.run(f"{self.program}-restore", "-w", "--counters", text=text)
        return (done.stderr.strip() or "refused") if done.returncode else ""

    def source(self, *argv: str) -> Source:
        done = self.run(*argv)
        assert done.returncode == 0, done.stderr
        return Source(" ".join(argv), done.stdout, " ".join(argv))

    def list(self, table: str) -> Document:
        return iptables_list.read(self.source(self.program, "-t", table, "-L", "-v", "-n", "-x"))

    def specification(self, table: str) -> Document:
        return iptables_save.read(self.source(self.program, "-t", table, "-S"))

    def save(self, table: str) -> Document:
        return iptables_save.read(self.source(f"{self.program}-save", "-c", "-t", table))


@contextmanager
def _iptables(backend: str, family: str, programs: Sequence[str] = ()) -> Iterator[Iptables]:
    with network_namespace() as holder:
        iptables = Iptables(holder, backend, family, programs)
        if shutil.which("ipset", path=lab.DEBIAN_PATH):
            attempt(holder, ["ipset", "create", "banned", "hash:ip", "family", "inet6" if family == "ipv6" else "inet"])
        yield iptables


def _accepted(iptables: Iptables) -> tuple[list[Piece], list[Target], list[str]]:
    """The modules and targets that the kernel and iptables of this machine take, and those that they do not.

    Asked with a value of each: what is refused whatever its value is not there. All other refusals fail the test.
    """
    pieces, targets, refused = [], [], []
    for piece in _pieces(iptables.family):
        if iptables.family in piece.families:
            tried = _sample(piece.matches)
            reason = iptables.load("mangle", printed_rule(_plain(iptables.family, piece.protocol, tried)))
            refused.extend([f"{piece.name}: {reason}"] if reason else [])
            pieces.extend([] if reason else [piece])
    for target in _targets(iptables.family):
        if iptables.family in target.families:
            rule = replace(
                _plain(iptables.family, target.protocol, target.needs),
                target=target.name,
                goto=target.goto,
                target_options=_sorted(_sample(target.options)),
            )
            reason = iptables.load(target.tables[0], printed_rule(rule))
            refused.extend([f"{target.name}: {reason}"] if reason else [])
            targets.extend([] if reason else [target])
    return pieces, targets, refused


def _keeps_counters(iptables: Iptables) -> bool:
    """Whether `iptables-restore --counters` does what it says: ip6tables-nft-restore 1.8.9 sets all to zero."""
    assert iptables.load("filter", "[7:700] -A GENERATED -j ACCEPT") == ""
    return "[7:700] -A GENERATED -j ACCEPT" in iptables.save("filter").source.text


def _sample(strategy: Matches) -> tuple[Match, ...]:
    found: list[tuple[Match, ...]] = []

    @settings(max_examples=1, database=None, derandomize=True, deadline=None)
    @given(strategy)
    def keep(matches: tuple[Match, ...]) -> None:
        found.append(matches)

    keep()
    return found[0]


def _plain(family: str, protocol: str | None, matches: Sequence[Match]) -> Rule:
    return Rule(family, "mangle", "GENERATED", 0, NOWHERE, protocol=protocol, matches=_sorted(matches))


# the comparison


def facts(rule: Rule) -> dict[str, object]:
    """All that a rule says, but where it was read."""
    return {item.name: getattr(rule, item.name) for item in fields(rule) if item.name != "span"}


def differences(read: Sequence[Rule], expected: Sequence[dict[str, object]]) -> list[str]:
    """Each field that differs, with the line it was read from."""
    assert len(read) == len(expected)
    return [
        f"{rule.span.text}\n  {name}: read {actual!r}, expected {facts_[name]!r}"
        for rule, facts_ in zip(read, expected, strict=True)
        for name, actual in facts(rule).items()
        if actual != facts_[name]
    ]


def rules_of(document: Document) -> list[Rule]:
    assert [document.source.lines[unread.line - 1] for unread in document.unread] == []
    assert document.notes == ()
    return [record for record in document.records if isinstance(record, Rule)]


@pytest.mark.parametrize(("backend", "family"), KINDS)
def test_generated_rules_are_read_as_they_were_generated(backend: str, family: str, programs: list[str]) -> None:
    tried: Tally[str] = Tally()
    modules: Tally[str] = Tally()
    with _iptables(backend, family, programs) as iptables:
        pieces, targets, refused = _accepted(iptables)
        counters_kept = _keeps_counters(iptables)
        # this kernel or iptables may lack some, but a machine that lacks most proves little
        assert len(pieces) >= 30, refused
        assert len(targets) >= 20, refused

        @settings(
            max_examples=LOADS_OF_A_TABLE,
            deadline=None,
            database=None,
            derandomize=True,
            # a failure names the rules that differ: shrinking a batch would take minutes and tell no more
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def agree(table: str, data: st.DataObject) -> None:
            generated = _rule(table, family, pieces, targets)
            rules = data.draw(st.lists(generated, min_size=RULES_A_LOAD, max_size=RULES_A_LOAD))
            expected = [
                facts(replace(rule, position=number, counters=rule.counters if counters_kept else Counters(0, 0)))
                for number, rule in enumerate(rules, start=1)
            ]
            text = "\n".join(map(printed_rule, rules))
            assert iptables.load(table, text) == "", text
            saved = rules_of(iptables.save(table))
            assert differences(saved, expected) == []
            assert differences(rules_of(iptables.list(table)), expected) == []
            assert (
                differences(rules_of(iptables.specification(table)), [{**each, "counters": None} for each in expected])
                == []
            )
            again = "\n".join(map(printed_rule, saved))
            before = _ruleset(iptables, table)
            assert iptables.load(table, again) == "", again
            assert _ruleset(iptables, table) == before
            tried[table] += len(rules)
            modules.update(match.option for rule in rules for match in rule.matches)

        for table in TABLES:
            agree(table)
    assert min(tried[table] for table in TABLES) >= LEAST_RULES // len(TABLES)
    assert len(modules) >= 40


def _ruleset(iptables: Iptables, table: str) -> list[str]:
    """What `iptables-save -c` prints, but the comments with the time of day."""
    return [line for line in iptables.save(table).source.lines if not line.startswith("#")]


def test_policies_and_counters_of_chains_are_the_same_in_all_three_texts() -> None:
    with _iptables("legacy", "ipv4") as iptables:
        chains = (":INPUT ACCEPT [7:700]", ":FORWARD DROP [1234567:987654321]", ":OUTPUT ACCEPT [0:0]", ":MINE - [0:0]")
        loaded = "\n".join(("*filter", *chains, "COMMIT", ""))
        assert iptables.run("iptables-legacy-restore", "--counters", text=loaded).stderr == ""
        documents = (iptables.save("filter"), iptables.list("filter"), iptables.specification("filter"))
    listed = [[record for record in each.records if isinstance(record, Chain)] for each in documents]
    for told in listed:
        policies = {chain.name: chain.policy for chain in told}
        assert policies == {"INPUT": "ACCEPT", "FORWARD": "DROP", "OUTPUT": "ACCEPT", "MINE": None}
    for told in listed[:2]:
        assert {chain.name: chain.counters for chain in told}["FORWARD"] == Counters(1234567, 987654321)
