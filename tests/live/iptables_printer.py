"""Prints rules as `iptables-restore` reads them: the way back from the records, to prove that nothing was lost.

A record keeps the options of a rule without their modules; which module an option belongs to is told here once more, on
purpose: a printer that asked the grammars could not show that they are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netdiag.formats.records import Match, Rule

# in the order in which a module's options are printed; a module is printed for the first of its options that is there
MODULES: dict[str, tuple[str, ...]] = {
    "tcp": ("tcp-flags", "tcp-option"),
    "icmp": ("icmp-type",),
    "icmp6": ("icmpv6-type",),
    "esp": ("espspi",),
    "ah": ("ahspi",),
    "multiport": ("sports", "dports", "ports"),
    "conntrack": (
        "ctstate",
        "ctproto",
        "ctorigsrc",
        "ctorigdst",
        "ctreplsrc",
        "ctrepldst",
        "ctorigsrcport",
        "ctorigdstport",
        "ctreplsrcport",
        "ctrepldstport",
        "ctstatus",
        "ctexpire",
        "ctdir",
    ),
    "state": ("state",),
    "mark": ("mark",),
    "connmark": ("connmark",),
    "addrtype": ("src-type", "dst-type", "limit-iface-in", "limit-iface-out"),
    "limit": ("limit", "limit-burst"),
    "owner": ("socket-exists", "uid-owner", "gid-owner"),
    "iprange": ("src-range", "dst-range"),
    "physdev": ("physdev-in", "physdev-is-in", "physdev-out", "physdev-is-out", "physdev-is-bridged"),
    "mac": ("mac-source",),
    "length": ("length",),
    "tos": ("tos",),
    "dscp": ("dscp",),
    "ttl": ("ttl-eq", "ttl-lt", "ttl-gt"),
    "hl": ("hl-eq", "hl-lt", "hl-gt"),
    "pkttype": ("pkt-type",),
    "helper": ("helper",),
    "cpu": ("cpu",),
    "cgroup": ("cgroup",),
    "realm": ("realm",),
    "devgroup": ("src-group", "dst-group"),
    "tcpmss": ("mss",),
    "u32": ("u32",),
    "set": ("match-set", "return-nomatch", "packets-eq", "packets-lt", "packets-gt"),
    "string": ("string", "hex-string", "algo", "from", "to", "icase"),
    "connbytes": ("connbytes", "connbytes-mode", "connbytes-dir"),
    "connlimit": (
        "connlimit-upto",
        "connlimit-above",
        "connlimit-mask",
        "connlimit-saddr",
        "connlimit-daddr",
    ),
    "hashlimit": (
        "hashlimit-upto",
        "hashlimit-above",
        "hashlimit-burst",
        "hashlimit-mode",
        "hashlimit-htable-size",
        "hashlimit-htable-max",
        "hashlimit-htable-gcinterval",
        "hashlimit-htable-expire",
        "hashlimit-srcmask",
        "hashlimit-dstmask",
    ),
    "time": ("timestart", "timestop", "datestart", "datestop", "monthdays", "weekdays", "kerneltz", "contiguous"),
    "rt": ("rt-type",),
}
_PORTS = ("sport", "dport")
_POLICY = ("dir", "pol", "strict", "reqid", "spi", "proto", "mode", "tunnel-src", "tunnel-dst")
_STATISTIC = ("mode", "probability", "every", "packet")
_RECENT = (
    "set",
    "rcheck",
    "update",
    "remove",
    "seconds",
    "reap",
    "hitcount",
    "rttl",
    "name",
    "mask",
    "rsource",
    "rdest",
)
# the flags of one match, which the record has as its value
_FLAGS = ("socket", "rpfilter")
# what a record calls otherwise, because two modules call it alike
_NAMES = {"connmark": "mark"}
_TARGET_ORDER = (
    "set-mark",
    "set-xmark",
    "save-mark",
    "restore-mark",
    "nfmask",
    "ctmask",
    "add-set",
    "del-set",
    "exist",
)


def printed_rule(rule: Rule, *, counters: bool = True) -> str:
    """One rule as a line of `iptables-restore`. Raises `ValueError` for what it cannot say."""
    if rule.not_understood:
        raise ValueError(f"not understood, so not printable: {rule.not_understood}")
    return " ".join(_words(rule, counters=counters))


def _words(rule: Rule, *, counters: bool) -> Iterator[str]:
    if counters and rule.counters:
        yield f"[{rule.counters.packets}:{rule.counters.bytes}]"
    yield f"-A {rule.chain}"
    for option, value, negated in (
        ("-s", rule.source, rule.source_negated),
        ("-d", rule.destination, rule.destination_negated),
        ("-i", rule.in_interface, rule.in_interface_negated),
        ("-o", rule.out_interface, rule.out_interface_negated),
        ("-p", rule.protocol, rule.protocol_negated),
    ):
        if value is not None:
            yield f"{'! ' if negated else ''}{option} {value}"
    if rule.fragment is not None:
        yield "-f" if rule.fragment else "! -f"
    yield from _matches(rule)
    if rule.comment is not None:
        yield f"-m comment --comment {quoted(rule.comment)}"
    if rule.target:
        yield f"{'-g' if rule.goto else '-j'} {rule.target}"
        yield from _target_options(rule.target_options)


def _matches(rule: Rule) -> Iterator[str]:
    left = list(rule.matches)
    for module, options in _modules(rule):
        found = [match for option in options for match in left if match.option == option]
        if found:
            left = [match for match in left if match not in found]
            yield f"-m {module}"
            if module == "hashlimit":
                # no record has it: a listing does not tell it
                yield "--hashlimit-name oracle"
            yield from map(_option, found)
    for match in list(left):
        if match.option in _FLAGS:
            left.remove(match)
            yield " ".join([f"-m {match.option}", *(f"--{flag}" for flag in match.value.split())])
    if left:
        raise ValueError(f"no module has {left}")


def _modules(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules that the rule may have; which one `mode` and `name` belong to is told by their neighbours."""
    options = {match.option for match in rule.matches}
    if rule.protocol in ("tcp", "udp", "sctp", "dccp", "udplite"):
        yield rule.protocol, _PORTS + (MODULES["tcp"] if rule.protocol == "tcp" else ())
    if options & {"probability", "every"}:
        yield "statistic", _STATISTIC
    if "pol" in options:
        yield "policy", _POLICY
    if options & {"rcheck", "update", "set", "remove"}:
        yield "recent", _RECENT
    yield from MODULES.items()


def _option(match: Match) -> str:
    name = _NAMES.get(match.option, match.option)
    pair = match.option in ("match-set", "tcp-flags")
    value = match.value if pair else quoted(match.value)
    return " ".join(filter(None, ("!" if match.negated else "", f"--{name}", value)))


def _target_options(options: Iterable[Match]) -> Iterator[str]:
    def place(option: Match) -> int:
        return _TARGET_ORDER.index(option.option) if option.option in _TARGET_ORDER else len(_TARGET_ORDER)

    for option in sorted(options, key=place):
        pair = option.option in ("add-set", "del-set", "map-set")
        value = option.value if pair else quoted(option.value)
        yield " ".join(filter(None, (f"--{option.option}", value)))


def quoted(text: str) -> str:
    """A value in quotes where it is no plain word."""
    if re.fullmatch(r"[^\s\"'\\]*", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
