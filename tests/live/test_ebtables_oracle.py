"""The kernel's bridge tables as the oracle of the format ebtables, on generated rules.

Rules are generated as records, printed for `ebtables-restore` and loaded in a network namespace of the test. What
`ebtables -L` prints of them, with counters and numbers and without, must be read as those very records, and printing
what was read and loading it once more must give the same listing.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from namespaces import attempt, network_namespace, run

from netdiag.formats import ebtables
from netdiag.formats.records import Counters, EbtablesChain, EbtablesRule, Match
from netdiag.spans import Source

pytestmark = pytest.mark.live

TABLES = ("filter", "nat")
LOADS = 25
RULES_A_LOAD = 20
NOWHERE = Source("generated", "").span(1, 1, 1)
MACS = ("52:54:00:aa:bb:cc", "52:54:00:00:00:00/ff:ff:ff:00:00:00", "Broadcast", "Multicast", "BGA")
INTERFACES = ("vnet0", "vnet+", "br-0a1b2c3d4e5f")


@dataclass(frozen=True)
class Option:
    """An option with values in the words of the listing; `protocol` is what `-p` must say for it."""

    name: str
    values: tuple[str, ...]
    protocol: str = ""
    negatable: bool = True


# in the order in which a listing prints the options of one module
IPV4 = (
    Option("ip-src", ("10.0.0.1", "10.0.0.0/8"), "IPv4"),
    Option("ip-dst", ("192.0.2.7", "172.16.0.0/12"), "IPv4"),
    Option("ip-tos", ("0x10", "0x08"), "IPv4"),
)
IPV4_PORTS = (
    Option("ip-proto", ("tcp", "udp"), "IPv4", negatable=False),
    Option("ip-sport", ("53", "1024:65535"), "IPv4"),
    Option("ip-dport", ("80", "8000:8080"), "IPv4"),
)
IPV4_ICMP = (
    Option("ip-proto", ("icmp",), "IPv4", negatable=False),
    Option("ip-icmp-type", ("echo-request", "8/1"), "IPv4"),
)
IPV6 = (
    Option("ip6-src", ("fe80::/10", "2001:db8::1"), "IPv6"),
    Option("ip6-dst", ("ff00::/8", "2001:db8::7"), "IPv6"),
)
IPV6_PORTS = (
    Option("ip6-proto", ("udp", "tcp"), "IPv6", negatable=False),
    Option("ip6-sport", ("546", "1:1023"), "IPv6"),
    Option("ip6-dport", ("547", "1000:2000"), "IPv6"),
)
ARP = (
    Option("arp-op", ("Request", "Reply"), "ARP"),
    Option("arp-ip-src", ("10.0.0.0/24", "10.0.0.1"), "ARP"),
    Option("arp-ip-dst", ("10.0.0.2",), "ARP"),
    Option("arp-mac-src", ("52:54:00:aa:bb:cc",), "ARP"),
)
VLAN = (Option("vlan-id", ("5", "4094"), "802_1Q"), Option("vlan-encap", ("0800", "86DD"), "802_1Q"))
STP = (Option("stp-type", ("config", "tcn"), "BGA"), Option("stp-root-prio", ("1:5",), "BGA"))
MARK = (
    Option(
        "mark",
        ("0x1", "0x1/0xff"),
    ),
)
PACKET_TYPE = (Option("pkttype-type", ("broadcast", "multicast", "otherhost")),)
LIMIT = (
    Option("limit", ("5/sec", "3/min", "100/hour"), negatable=False),
    Option("limit-burst", ("8", "99"), negatable=False),
)
MODULES = (IPV4, IPV4_PORTS, IPV4_ICMP, IPV6, IPV6_PORTS, ARP, VLAN, STP, MARK, PACKET_TYPE, LIMIT)
# they print all of their options, so none is left out
WHOLE = (IPV4_PORTS, IPV4_ICMP, IPV6_PORTS, LIMIT)

LOG = (Match("log-level", "info"), Match("log-prefix", "eb drop, -j X"))
NFLOG = (Match("nflog-prefix", "a b"), Match("nflog-group", "2"))
TARGETS: dict[str, tuple[tuple[str, tuple[Match, ...]], ...]] = {
    "filter": (
        ("ACCEPT", ()),
        ("DROP", ()),
        ("CONTINUE", ()),
        ("RETURN", ()),
        ("TARGET", ()),
        ("mark", (Match("mark-set", "0x2"), Match("mark-target", "ACCEPT"))),
        ("mark", (Match("mark-or", "0xff"), Match("mark-target", "CONTINUE"))),
    ),
    "nat": (
        ("ACCEPT", ()),
        ("DROP", ()),
        ("dnat", (Match("to-dst", "02:42:ac:11:00:09"), Match("dnat-target", "ACCEPT"))),
        ("dnat", (Match("to-dst", "02:42:ac:11:00:0a"), Match("dnat-target", "CONTINUE"))),
        ("redirect", ()),
        ("redirect", (Match("redirect-target", "DROP"),)),
    ),
}
# nat's targets belong to a hook
CHAINS = {"filter": "GENERATED", "nat": "PREROUTING"}


@st.composite
def rules(draw: st.DrawFn, table: str) -> EbtablesRule:
    module = draw(st.sampled_from(MODULES))
    chosen = [option for option in module if module in WHOLE or draw(st.booleans())] or [module[0]]
    protocol = module[0].protocol
    matches = [Match("p", protocol)] if protocol not in ("", "BGA") else []
    if draw(st.booleans()):
        matches.append(Match("s", draw(st.sampled_from(MACS)), draw(st.booleans())))
    if protocol == "BGA":
        matches.append(Match("d", "BGA"))
    elif draw(st.booleans()):
        matches.append(Match("d", draw(st.sampled_from(MACS)), draw(st.booleans())))
    if draw(st.booleans()):
        matches.append(Match("i", draw(st.sampled_from(INTERFACES)), draw(st.booleans())))
    for option in chosen:
        negated = option.negatable and draw(st.booleans())
        matches.append(Match(option.name, draw(st.sampled_from(option.values)), negated))
    matches.extend(draw(st.sampled_from([(), (), LOG, NFLOG])))
    target, options = draw(st.sampled_from(TARGETS[table]))
    counters = Counters(draw(st.integers(0, 10**9)), draw(st.integers(0, 10**12)))
    return EbtablesRule(table, CHAINS[table], 0, NOWHERE, tuple(matches), target, options, counters)


def printed(rule: EbtablesRule) -> str:
    """The rule as a line of `ebtables-restore`."""
    counters = f"-c {rule.counters.packets} {rule.counters.bytes}" if rule.counters else ""
    target = " ".join(("-j", rule.target or "CONTINUE", *map(_option, rule.target_options)))
    return " ".join(filter(None, (f"-A {rule.chain}", *map(_option, rule.matches), target, counters)))


def _option(match: Match) -> str:
    value = f'"{match.value}"' if " " in match.value else match.value
    return f"{'-' if len(match.option) == 1 else '--'}{match.option} {'! ' if match.negated else ''}{value}".rstrip()


def load(holder: int, table: str, lines: Sequence[str]) -> str:
    """Replace the table's rules; why they were refused, empty when they were taken."""
    own = ":GENERATED RETURN\n:TARGET RETURN\n" if table == "filter" else ""
    done = attempt(holder, ["ebtables-restore"], f"*{table}\n{own}" + "\n".join(lines) + "\n")
    return (done.stderr.strip() or "refused") if done.returncode else ""


def listed(holder: int, table: str, *options: str) -> tuple[str, list[EbtablesRule]]:
    text = run(holder, ["ebtables", "-t", table, "-L", *options])
    document = ebtables.read(Source("ebtables.txt", text))
    assert [document.source.lines[unread.line - 1] for unread in document.unread] == []
    chains = {record.name: record.entries for record in document.records if isinstance(record, EbtablesChain)}
    found = [replace(record, span=NOWHERE) for record in document.records if isinstance(record, EbtablesRule)]
    assert {name: entries for name, entries in chains.items() if entries} == Tally(rule.chain for rule in found)
    return text, found


def differences(read: list[EbtablesRule], expected: list[EbtablesRule]) -> list[str]:
    assert len(read) == len(expected)
    return [
        f"read {printed(one)}, expected {printed(other)}"
        for one, other in zip(read, expected, strict=True)
        if one != other
    ]


@pytest.mark.parametrize("table", TABLES)
def test_generated_rules_are_read_as_they_were_generated(table: str) -> None:
    tried: Tally[str] = Tally()
    options: Tally[str] = Tally()
    with network_namespace() as holder:

        @settings(
            max_examples=LOADS,
            deadline=None,
            database=None,
            derandomize=True,
            # a failure names the rules that differ: shrinking a batch would take minutes and tell no more
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(rules(table), min_size=RULES_A_LOAD, max_size=RULES_A_LOAD))
        def agree(generated: list[EbtablesRule]) -> None:
            expected = [replace(rule, position=place) for place, rule in enumerate(generated, start=1)]
            lines = [printed(rule) for rule in expected]
            assert load(holder, table, lines) == "", "\n".join(lines)
            text, read = listed(holder, table, "--Lc", "--Ln")
            assert differences(read, expected) == []
            plain = [replace(rule, counters=None) for rule in expected]
            assert differences(listed(holder, table)[1], plain) == []
            assert load(holder, table, [printed(rule) for rule in read]) == ""
            assert listed(holder, table, "--Lc", "--Ln")[0] == text
            tried.update(rule.target or "" for rule in expected)
            options.update(match.option for rule in expected for match in rule.matches)

        agree()
    assert tried.total() == LOADS * RULES_A_LOAD
    assert set(tried) == {target for target, _ in TARGETS[table]}
    assert set(options) >= {option.name for module in MODULES for option in module}


def test_policies_of_chains_are_read_as_they_were_set() -> None:
    with network_namespace() as holder:
        assert load(holder, "filter", [":FORWARD DROP", ":OUTPUT ACCEPT"]) == ""
        document = ebtables.read(Source("ebtables.txt", run(holder, ["ebtables", "-L"])))
    policies = {record.name: record.policy for record in document.records if isinstance(record, EbtablesChain)}
    assert policies == {
        "INPUT": "ACCEPT",
        "FORWARD": "DROP",
        "OUTPUT": "ACCEPT",
        "GENERATED": "RETURN",
        "TARGET": "RETURN",
    }
