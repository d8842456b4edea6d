"""nft's own JSON as the oracle of the format nft_ruleset: the text says the same, field by field.

Proven on the rulesets of Docker hosts, on those that Docker 29, netavark, firewalld and libvirt make (typed after their
documentation, loaded into a network namespace and printed by the real nft), and on generated rules. Loaded by the
machine's nft, they are printed by that of each suite of Debian as well.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lab
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from namespaces import attempt, network_namespace, run
from nft_json import Fact, agree, from_json, from_records

from netdiag.formats import nft_ruleset
from netdiag.formats.records import NftRule
from netdiag.spans import Source

pytestmark = pytest.mark.live

RULESETS = sorted((Path(__file__).parent / "rulesets").glob("*.nft"))
Lend = Callable[..., lab.DockerHost]
KINDS = ("table", "chain", "set", "object", "rule")
LOADS = 30
RULES_A_LOAD = 24


def differences(text: str, printed_json: str) -> list[str]:
    """What the text was read as and the JSON tells otherwise; lines that were not read are differences too."""
    document = nft_ruleset.read(Source("ruleset.txt", text))
    found = [f"unread: {document.source.lines[unread.line - 1]} ({unread.reason})" for unread in document.unread]
    read, told = from_records(document.records), from_json(json.loads(printed_json)["nftables"])
    for kind in KINDS:
        actual, expected = (sorted(side[kind], key=_place) for side in (read, told))
        if len(actual) != len(expected):
            found.append(f"{kind}: {len(actual)} read, {len(expected)} in the JSON")
        found.extend(f"read {a}\nJSON {e}" for a, e in zip(actual, expected, strict=False) if not agree(a, e))
    return found


def _place(fact: Fact) -> tuple[str, ...]:
    return tuple(str(fact.get(key)) for key in ("family", "table", "chain", "kind", "name", "handle"))


def listed(holder: int, programs: Sequence[str], option: str) -> str:
    """What nft prints of all tables. Skips the test where this nft cannot: 0.9.8 dies of some newer rules."""
    done = attempt(holder, [*programs, "nft", option, "list", "ruleset"])
    if programs and done.returncode == -signal.SIGSEGV:
        pytest.skip("this nft dies of what the machine's nft loaded")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", RULESETS, ids=lambda path: path.stem)
def test_a_ruleset_that_nft_loaded_is_read_as_its_json_tells(path: Path, programs: list[str]) -> None:
    with network_namespace() as holder:
        run(holder, ["nft", "-f", "-"], path.read_text(encoding="utf-8"))
        text = listed(holder, programs, "-a")
        assert differences(text, listed(holder, programs, "-j")) == []
        rules = [each for each in nft_ruleset.read(Source("", text)).records if isinstance(each, NftRule)]
        assert rules
        assert [rule.span.text for rule in rules if rule.not_understood] == []


def test_the_ruleset_of_a_docker_host_is_read_as_its_json_tells(docker_host: Lend) -> None:
    host = docker_host("nft")
    for _ in range(5):
        text = host.shell("nft -a list ruleset").stdout
        printed_json = host.shell("nft -j list ruleset").stdout
        # counters that moved in between are no difference
        if host.shell("nft -a list ruleset").stdout == text:
            break
    assert differences(text, printed_json) == []
    assert "chain DOCKER-USER" in text


# generated rules


def _of(template: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(values).map(lambda drawn: template.format(**drawn))


_OPERATOR = st.sampled_from(["", "!= "])
_PORT = st.integers(1, 65535)
_LOW, _HIGH = st.integers(1, 999), st.integers(1000, 65535)
_OCTET = st.integers(1, 254)
_NAME = st.sampled_from(["eth0", "docker0", "br-c67699db7a13", "veth*", "lo", "wg.1"])
_BIT = st.sampled_from(["fin", "syn", "rst", "ack", "psh", "urg"])
_MARK = st.integers(1, 2**32 - 1)
_PORTS = st.one_of(
    _OPERATOR.flatmap(lambda sign: _PORT.map(lambda port: f"{sign}{port}")),
    _of("{sign}{low}-{high}", sign=_OPERATOR, low=_LOW, high=_HIGH),
    _of("{{ {low}, {high} }}", low=_LOW, high=_HIGH),
    _of("{sign}{{ {low}, {high}, 22000-22010 }}", sign=_OPERATOR, low=_LOW, high=st.integers(1000, 20000)),
    st.integers(1, 65535).map("> {}".format),
)
_STATES = st.lists(st.sampled_from(["new", "related", "established", "invalid", "untracked"]), min_size=1, unique=True)
_ANYWHERE = st.one_of(
    _of("iifname {sign}{name}", sign=_OPERATOR, name=_NAME.map('"{}"'.format)),
    _of("oifname {sign}{name}", sign=_OPERATOR, name=_NAME.map('"{}"'.format)),
    st.just('oifname { "eth0", "eth1" }'),
    _STATES.map(lambda states: f"ct state {','.join(states)}"),
    _STATES.map(lambda states: f"ct state {{ {', '.join(states)} }}"),
    _of("ct mark {sign}{mark}", sign=_OPERATOR, mark=_MARK),
    _of("meta mark & {mask:#x} == {bits:#x}", mask=st.just(0xFF00), bits=st.integers(0, 255).map(lambda n: n << 8)),
    _of("meta mark {mark}", mark=_MARK),
    st.sampled_from(["fib daddr type local", "fib saddr . iif oif missing", "ct status dnat", "ct direction reply"]),
    _of("meta skuid {low}-{high}", low=_LOW, high=_HIGH),
    _of("meta length {sign}{low}-{high}", sign=_OPERATOR, low=_LOW, high=_HIGH),
    st.sampled_from(["meta pkttype broadcast", 'meta day "Friday"', 'meta hour "07:30"-"19:00"', "meta cpu 1"]),
    _of("limit rate {number}/{unit}", number=st.integers(1, 400), unit=st.sampled_from(["second", "minute", "hour"])),
    _of("limit rate over {number}/second burst {burst} packets", number=_LOW, burst=st.integers(1, 90)),
    _of("ct count over {number}", number=_LOW),
)
_IPV4 = st.one_of(
    _of("ip saddr {sign}10.{b}.{c}.{d}", sign=_OPERATOR, b=_OCTET, c=_OCTET, d=_OCTET),
    _of("ip daddr {sign}10.{b}.{c}.0/24", sign=_OPERATOR, b=_OCTET, c=_OCTET),
    _of("ip daddr {sign}{{ 10.0.0.{b}, 172.16.{c}.0/24 }}", sign=_OPERATOR, b=_OCTET, c=_OCTET),
    _of("ip saddr 192.168.{c}.1-192.168.{c}.99", c=_OCTET),
    _of("ip saddr & 255.0.255.0 == 10.0.{c}.0", c=_OCTET),
    st.sampled_from(["ip saddr @known", "ip protocol icmp", "ip ttl 64", "ip dscp cs1", "ip saddr != @known"]),
)
_IPV6 = st.one_of(
    _of("ip6 saddr {sign}2001:db8::{b:x}", sign=_OPERATOR, b=_OCTET),
    _of("ip6 daddr {sign}2001:db8:{b:x}::/64", sign=_OPERATOR, b=_OCTET),
    st.sampled_from(["ip6 saddr { ::1, fe80::/10 }", "ip6 hoplimit 255", "ip6 nexthdr ipv6-icmp"]),
)
_TRANSPORT = {
    "tcp": st.one_of(
        _of("tcp dport {ports}", ports=_PORTS),
        _of("tcp sport {ports}", ports=_PORTS),
        _of("tcp flags {bit}", bit=_BIT),
        _of("tcp flags & (fin | syn | rst | ack) == {bit}", bit=st.sampled_from(["syn", "ack", "rst"])),
        st.sampled_from(["tcp option maxseg size 1-500", "tcp flags ! syn,ack"]),
    ),
    "udp": st.one_of(_of("udp dport {ports}", ports=_PORTS), _of("udp sport {ports}", ports=_PORTS)),
    "both": _of("meta l4proto {{ tcp, udp }} th dport {ports}", ports=_PORTS),
}
_STATEMENTS = st.one_of(
    st.just("counter"),
    _of("counter packets {packets} bytes {octets}", packets=st.integers(0, 10**12), octets=st.integers(0, 10**15)),
    _of(
        'log prefix "{word} {number}: " level {level}',
        word=_NAME,
        number=_PORT,
        level=st.sampled_from(["info", "debug"]),
    ),
    _of("log group {number} snaplen 100", number=st.integers(1, 99)),
    _of("meta mark set {mark}", mark=_MARK),
    st.sampled_from(["meta mark set ct mark", "ct mark set meta mark", "meta mark set meta mark | 0x10000", "notrack"]),
    _of("add @seen {{ ip saddr timeout {number}s }}", number=_LOW),
    st.just("update @seen { ip saddr counter }"),
    _of("quota over {number} mbytes", number=_LOW),
)
_VERDICTS = st.one_of(
    st.sampled_from(["accept", "drop", "return", "continue", "jump other", "goto other", "reject"]),
    st.sampled_from(["reject with icmpx type admin-prohibited", "ip saddr vmap @verdicts"]),
    _of("tcp dport vmap {{ {low} : accept, {high} : jump other }}", low=_LOW, high=_HIGH),
    st.just("ct state vmap { established : accept, invalid : drop }"),
)
_COMMENT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1, max_size=40
).map('comment "{}"'.format)


@st.composite
def _rule(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    ends = draw(st.sampled_from([_IPV4, _IPV6, None]))
    transport = draw(st.sampled_from([*_TRANSPORT.values(), None]))
    parts = [
        *draw(st.lists(_ANYWHERE, max_size=2)),
        *(draw(st.lists(ends, min_size=1, max_size=2)) if ends is not None else ()),
        *([draw(transport)] if transport is not None else ()),
        *draw(st.lists(_STATEMENTS, max_size=2)),
        draw(_VERDICTS),
        *draw(st.lists(_COMMENT, max_size=1)),
    ]
    return " ".join(parts)


_FRAME = """flush ruleset
table inet generated {{
	set known {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/8, 192.0.2.1 }} }}
	set seen {{ type ipv4_addr; size 1000; flags dynamic,timeout; timeout 1h; }}
	map verdicts {{ type ipv4_addr : verdict; elements = {{ 10.0.0.1 : accept, 10.0.0.2 : jump other }} }}
	chain other {{ }}
	chain prerouting {{
		type filter hook prerouting priority raw; policy accept;
{rules}
	}}
}}
"""


def test_generated_rules_are_read_as_their_json_tells(programs: list[str]) -> None:
    taken: list[str] = []
    with network_namespace() as holder:

        def load(rules: Sequence[str]) -> bool:
            try:
                run(holder, ["nft", "-f", "-"], _FRAME.format(rules="\n".join(f"\t\t{rule}" for rule in rules)))
            except ValueError:
                return False
            return True

        @settings(
            max_examples=LOADS,
            deadline=None,
            database=None,
            derandomize=True,
            # a failure names the rules that differ: shrinking a batch would take minutes and tell no more
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(_rule(), min_size=RULES_A_LOAD, max_size=RULES_A_LOAD))
        def same_in_both(rules: list[str]) -> None:
            # what nft refuses (conditions that contradict each other) is left out
            if not load(rules):
                rules = _taken(load, rules)
                assert load(rules)
            text = listed(holder, programs, "-a")
            assert differences(text, listed(holder, programs, "-j")) == []
            read = [each for each in nft_ruleset.read(Source("", text)).records if isinstance(each, NftRule)]
            assert [rule.span.text for rule in read if rule.not_understood] == []
            assert len(read) == len(rules)
            taken.extend(rules)

        same_in_both()
    assert len(taken) >= 400


def _taken(load: Callable[[Sequence[str]], bool], rules: Sequence[str]) -> list[str]:
    """Those of the rules that nft takes, found by halves."""
    if load(rules):
        return list(rules)
    if len(rules) == 1:
        return []
    middle = len(rules) // 2
    return [*_taken(load, rules[:middle]), *_taken(load, rules[middle:])]
