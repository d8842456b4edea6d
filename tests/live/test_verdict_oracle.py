"""The kernel as the oracle of the model's verdicts: packets are put through generated rulesets, and what comes out is
what the model said would.

Rulesets are generated from a fixed seed for iptables-legacy, iptables-nft, both at once, and native nftables, for IPv4
and IPv6; the real tools load them and print them again. `maybe` is allowed only where a rule has a condition that the
model declares not to know.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest
from forwarding import LEFT, NETWORKS, RIGHT, Packet, Router

from netdiag import formats
from netdiag.bundle import Bundle
from netdiag.formats.records import NftRule, NftStatement, Rule
from netdiag.model import Host, Truth, build
from netdiag.model.hooks import passage, translations
from netdiag.model.packets import Flow
from netdiag.model.turns import Fate
from netdiag.spans import Source

pytestmark = pytest.mark.live

RULESETS = 25
BACKENDS = ("legacy", "nft", "both", "native")
SEED = 20261124

#: Keeps connection tracking on, whatever is loaded; it is loaded anew for each ruleset.
_TRACKING = """\
flush ruleset
table inet tracking {
	chain every {
		type filter hook prerouting priority -190; policy accept;
		ct state new
	}
}
"""


# --- what is sent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A packet, and whether its connection was answered before the rules were loaded."""

    packet: Packet
    established: bool

    def flow(self) -> Flow:
        packet, ports = self.packet, self.packet.protocol in ("tcp", "udp")
        echo = {"icmp": 8, "ipv6-icmp": 128}
        return Flow(
            protocol=packet.protocol,
            in_interface=LEFT,
            out_interface=RIGHT,
            source=packet.source,
            destination=packet.destination,
            destination_port=packet.destination_port if ports else None,
            source_port=packet.source_port if ports else None,
            state="ESTABLISHED" if self.established else "NEW",
            icmp_type=echo.get(packet.protocol),
            bridged=False,
        )


def probes(rng: random.Random, version: int) -> list[Probe]:
    made = []
    for number in range(20):
        protocol = rng.choice(["tcp", "udp", "tcp", "udp", "icmp" if version == 4 else "ipv6-icmp"])
        source, destination = _address(rng, 1, version), _address(rng, 2, version)
        ports = (40000 + number, rng.choice([22, 53, 80, 443, 8080])) if protocol in ("tcp", "udp") else (number + 1, 0)
        made.append(Probe(Packet(protocol, ip_address(source), ip_address(destination), *ports), rng.random() < 0.3))
    return made


def _address(rng: random.Random, side: int, version: int) -> str:
    number = rng.choice([2, 3, 4])
    return f"10.{side}.0.{number}" if version == 4 else f"fd00:{side}::{number}"


# --- rulesets of iptables ---------------------------------------------------------------------------------------------

_CHAINS_OF = {"raw": ["PREROUTING"], "mangle": ["PREROUTING", "FORWARD", "POSTROUTING"], "filter": ["FORWARD"]}
_OWN = ["SITE", "DEEP"]


def iptables_ruleset(rng: random.Random, version: int, *, unknown: bool) -> str:
    """The text of iptables-restore; with `unknown` some rules have conditions that the model does not judge."""
    lines = []
    for table in rng.sample(["raw", "mangle", "filter"], rng.choice([1, 2, 3])):
        lines.append(f"*{table}")
        lines += [f":{chain} {rng.choice([*5 * ['ACCEPT'], 'DROP'])} [0:0]" for chain in _CHAINS_OF[table]]
        lines += [f":{chain} - [0:0]" for chain in _OWN]
        for chain in [*_CHAINS_OF[table], *_OWN]:
            for _ in range(rng.randrange(6)):
                lines.append(_iptables_rule(rng, table, chain, version, unknown=unknown))
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _iptables_rule(rng: random.Random, table: str, chain: str, version: int, *, unknown: bool) -> str:
    protocol = rng.choice(["", "tcp", "udp", "icmp" if version == 4 else "ipv6-icmp"])
    words = [f"-A {chain}", *_ends(rng, version)]
    if chain in ("PREROUTING", "FORWARD", "SITE") and table != "mangle" and rng.random() < 0.4:
        words.append(rng.choice(["-i left", "-i le+", "! -i left", "-i right", "! -i docker0"]))
    if chain in ("FORWARD", "POSTROUTING", "DEEP") and table == "filter" and rng.random() < 0.4:
        words.append(rng.choice(["-o right", "-o ri+", "! -o left", "-o left"]))
    words += [f"-p {protocol}"] if protocol else []
    if protocol in ("tcp", "udp"):
        words.append(
            rng.choice(
                [
                    "",
                    f"-m {protocol} --dport {rng.choice([22, 80, 8080])}",
                    f"-m {protocol} --dport 1:443",
                    f"-m {protocol} ! --dport 80",
                    f"-m {protocol} --sport 1024:65535",
                    f"-m {protocol} --sport 53",
                    "-m multiport --dports 22,80,8000:8100",
                    "-m multiport ! --dports 53,443",
                    *(["--syn", "! --syn", "--tcp-flags SYN,ACK SYN"] if protocol == "tcp" else []),
                ]
            )
        )
    elif protocol:
        name = "--icmp-type" if version == 4 else "--icmpv6-type"
        words.append(rng.choice(["", f"{name} echo-request", f"{name} echo-reply", f"! {name} echo-request"]))
    if table != "raw" and rng.random() < 0.4:
        words.append(
            rng.choice(
                [
                    "-m conntrack --ctstate RELATED,ESTABLISHED",
                    "-m conntrack --ctstate NEW",
                    "-m conntrack ! --ctstate NEW",
                    "-m conntrack --ctstate INVALID,ESTABLISHED",
                    "-m conntrack --ctstate DNAT",
                ]
            )
        )
    if rng.random() < 0.2:
        words.append(
            rng.choice(
                ["-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m addrtype --src-type UNICAST"]
                + (["-m iprange --src-range 10.1.0.2-10.1.0.3"] if version == 4 else [])
            )
        )
    if rng.random() < 0.1:
        words.append('-m comment --comment "drop all"')
    if unknown and rng.random() < 0.3:
        words.append(
            rng.choice(
                ["-m mark --mark 0x1", "-m mark ! --mark 0x1", "-m limit --limit 1/min", "-m length --length 0:2000"]
            )
        )
    words.append(_target(rng, table, chain))
    return " ".join(word for word in words if word)


def _ends(rng: random.Random, version: int) -> Iterator[str]:
    for option, side in (("-s", 1), ("-d", 2)):
        if rng.random() < 0.5:
            address = _address(rng, side, version)
            width = rng.choice(["/32", "/31", "/24"] if version == 4 else ["/128", "/127", "/64"])
            yield f"{rng.choice(['', '', '! '])}{option} {address}{width}"


def _target(rng: random.Random, table: str, chain: str) -> str:
    deeper = {"SITE": ["-j DEEP", "-g DEEP"], "DEEP": []}.get(chain, ["-j SITE", "-j DEEP", "-g SITE", "-j SITE"])
    others = [*3 * ["-j ACCEPT"], *2 * ["-j DROP"], *2 * ["-j RETURN"], ""]
    if table == "filter":
        others += ["-j REJECT", "-j LOG --log-level debug"]
    if table == "mangle":
        others.append("-j MARK --set-mark 0x2")
    return rng.choice(others + deeper)


# --- rulesets of nftables ---------------------------------------------------------------------------------------------


def native_ruleset(rng: random.Random, version: int, *, unknown: bool) -> str:
    """The text of `nft -f`: one to three tables with base chains, sets, a map of verdicts and chains to jump to."""
    return "\n".join(_native_table(rng, version, number, unknown=unknown) for number in range(rng.choice([1, 2, 3])))


def _native_table(rng: random.Random, version: int, number: int, *, unknown: bool) -> str:
    families = ("ip", "ip6") if version == 4 else ("ip6", "ip")
    family = rng.choice(["inet", "inet", families[0], families[0], families[1]])
    own = {"inet": version, "ip": 4, "ip6": 6}[family]
    kind, narrow = ("ipv4_addr", 31) if own == 4 else ("ipv6_addr", 127)
    left, right = (_address(rng, side, own) for side in (1, 2))
    hooks = rng.sample(["prerouting", "forward", "postrouting"], rng.choice([1, 1, 2]))
    rules = _NativeRules(rng, own, inet=family == "inet", rejects=hooks == ["forward"], unknown=unknown)
    lines = [
        f"table {family} t{number} {{",
        f"set known {{ type {kind}; elements = {{ {left}, {right} }} }}",
        f"set wide {{ type {kind}; flags interval; elements = {{ {left}/{narrow}, {right} }} }}",
        "set names { type ifname; elements = { left, docker0 } }",
        f"set pairs {{ type {kind} . inet_service; elements = {{ {right} . 80, {right} . 22 }} }}",
        "map ways { type ifname : verdict; elements = { left : jump one, right : jump two, wlan0 : drop } }",
        *("chain two {", *rules.some([]), "}"),
        *("chain one {", *rules.some(["two"]), "}"),
    ]
    for hook in hooks:
        priority, policy = rng.choice([-150, 0, 10]), rng.choice([*4 * ["accept"], "drop"])
        lines.append(f"chain {hook}_{number} {{ type filter hook {hook} priority {priority}; policy {policy};")
        lines += [*rules.some(["one", "two"]), "}"]
    return "\n".join([*lines, "}"])


@dataclass(frozen=True)
class _NativeRules:
    rng: random.Random
    version: int
    inet: bool
    rejects: bool  # only chains of some hooks may
    unknown: bool

    def some(self, chains: list[str]) -> list[str]:
        return [self._rule(chains) for _ in range(self.rng.randrange(6))]

    def _rule(self, chains: list[str]) -> str:
        rng = self.rng
        conditions = rng.sample(self._about_the_way(), rng.choice([0, 1, 1, 2]))
        protocol = rng.random() < 0.5  # two conditions on different protocols are refused
        conditions += [rng.choice(self._about_the_protocol())] if protocol else []
        if self.unknown and rng.random() < 0.3:
            conditions.append(
                rng.choice(["meta mark 0x1", "limit rate 1/minute", "meta length > 40", "ct direction reply"])
            )
        verdicts = ["accept", "drop", "return", "accept", "drop", "counter", "log"]
        verdicts += ["reject"] if self.rejects else []
        verdicts += [f"{rng.choice(['jump', 'jump', 'goto'])} {chain}" for chain in chains]
        if len(chains) == 2:
            verdicts += ["iifname vmap @ways", 'oifname vmap { "left" : drop, "right" : jump one }']
        if not protocol:
            verdicts.append("tcp dport vmap { 22 : drop, 80 : accept, 443 : continue }")
        return " ".join([*conditions, rng.choice(verdicts)])

    def _about_the_way(self) -> list[str]:
        rng, ip, negation = self.rng, "ip" if self.version == 4 else "ip6", self.rng.choice(["", "", "!= "])
        left, right = (_address(rng, side, self.version) for side in (1, 2))
        return [
            f"{ip} saddr {negation}{left}",
            f"{ip} daddr {negation}{right}/{31 if self.version == 4 else 127}",
            f"{ip} saddr {negation}{{ {left}, {right} }}",
            f"{ip} daddr {negation}@known",
            f"{ip} saddr @wide",
            f"{ip} saddr . {ip} daddr {{ {left} . {right} }}",
            f'iifname {negation}"left"',
            'iifname "le*"',
            f"iifname {negation}@names",
            f'oifname {negation}{{ "right", "docker0" }}',
            "ct state established,related",
            f"ct state {negation}new",
            "ct state { new, invalid }",
            "ct status dnat",
            f"fib daddr type {negation}local",
            *([f"meta nfproto {'ipv4' if self.version == 4 else 'ipv6'}"] if self.inet else []),
        ]

    def _about_the_protocol(self) -> list[str]:
        rng, negation = self.rng, self.rng.choice(["", "", "!= "])
        ip, icmp = ("ip", "icmp") if self.version == 4 else ("ip6", "icmpv6")
        return [
            "meta l4proto { tcp, udp }",
            f"meta l4proto {negation}udp",
            f"tcp dport {negation}{rng.choice([22, 80])}",
            "udp dport 1-443",
            "tcp dport { 22, 80, 8000-8100 }",
            "meta l4proto { tcp, udp } th dport > 443",
            "tcp dport <= 53",
            "tcp sport 1024-65535",
            f"{ip} daddr . tcp dport {negation}@pairs",
            f"{icmp} type echo-request",
            f"{icmp} type {{ echo-reply, destination-unreachable }}",
            "tcp flags & (fin | syn | rst | ack) == syn",
        ]


# --- the comparison ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with Router() as made:
        yield made


def load(router: Router, backend: str, version: int, text: str) -> None:
    """Rules that a tool refuses are a mistake of the test: ValueError."""
    tool = "iptables" if version == 4 else "ip6tables"
    if backend == "native":
        router.run(["nft", "-f", "-"], text)
    else:
        router.run([f"{tool}-{backend}-restore"], text)


def unload(router: Router) -> None:
    router.run(["nft", "-f", "-"], _TRACKING)
    empty = "".join(
        f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains) + "COMMIT\n"
        for table, chains in {**_CHAINS_OF, "nat": ["PREROUTING", "POSTROUTING"]}.items()
    )
    for tool in ("iptables-legacy-restore", "ip6tables-legacy-restore"):
        router.run([tool], empty)
    for family in ("ipv4", "ipv6"):
        router.run(["conntrack", "-F", "-f", family])


def described(router: Router) -> Host:
    """The router as its tools print it, read and built like any host."""
    commands = {
        "iptables-legacy-save": ("iptables_save", ["iptables-legacy-save", "-c"]),
        "ip6tables-legacy-save": ("iptables_save", ["ip6tables-legacy-save", "-c"]),
        "iptables-nft-save": ("iptables_save", ["iptables-nft-save", "-c"]),
        "ip6tables-nft-save": ("iptables_save", ["ip6tables-nft-save", "-c"]),
        "nft-ruleset": ("nft_ruleset", ["nft", "-a", "list", "ruleset"]),
        "ip-addr": ("ip_addr", ["ip", "-d", "addr"]),
    }
    documents = []
    for artifact, (name, argv) in commands.items():
        text = router.run(argv)
        source = Source(f"host/{artifact}.txt", text, scope="host", artifact=artifact, format=name)
        documents.append(formats.get(name).read(source))
        assert documents[-1].unread == (), text
    return build(Bundle("b", "router", "", "", (), manifest={}), documents)


def establish(router: Router, sent: list[Probe]) -> None:
    answered = [probe.packet for probe in sent if probe.established]
    assert len(router.seen_of(answered)) == len(answered)
    router.seen_of([packet.answered() for packet in answered], RIGHT)


def predicted(host: Host, flow: Flow) -> Truth:
    answers = [passage(host.root, hook, flow).truth for hook in ("PREROUTING", "FORWARD", "POSTROUTING")]
    return Truth.NO if Truth.NO in answers else Truth.UNKNOWN if Truth.UNKNOWN in answers else Truth.YES


@pytest.mark.parametrize("unknown", [False, True], ids=["judgeable", "with-unknown-conditions"])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("backend", BACKENDS)
def test_packets_fare_as_the_model_says(router: Router, backend: str, version: int, *, unknown: bool) -> None:
    rng = random.Random(f"{SEED} {backend} {version} {unknown}")
    figures: Counter[str] = Counter()
    for _ in range(RULESETS):
        texts = {
            each: (native_ruleset if each == "native" else iptables_ruleset)(rng, version, unknown=unknown)
            for each in (("legacy", "nft") if backend == "both" else (backend,))
        }
        sent = probes(rng, version)
        unload(router)
        establish(router, sent)
        for each, text in texts.items():
            load(router, each, version, text)
        host = described(router)
        came = set(router.seen_of([replace(probe.packet, later=probe.established) for probe in sent]))
        for probe in sent:
            answer, passed = predicted(host, probe.flow()), probe.packet in came
            figures[f"{answer.value}, {'passed' if passed else 'dropped'}"] += 1
            told = f"{probe} {answer.value}, {'passed' if passed else 'dropped'}\n" + "\n".join(texts.values())
            if answer is Truth.UNKNOWN:
                assert unknown, told
            else:
                assert (answer is Truth.YES) is passed, told
    assert min(figures["yes, passed"], figures["no, dropped"]) > RULESETS


# --- address translation ----------------------------------------------------------------------------------------------

_NAT_CHAINS = ("PREROUTING", "POSTROUTING")
_NAT_STATEMENTS = ("dnat", "snat", "masquerade")


def nat_ruleset(rng: random.Random) -> str:
    """A nat table for iptables-restore (IPv4)."""
    lines = ["*nat", *(f":{chain} ACCEPT [0:0]" for chain in _NAT_CHAINS), ":IN - [0:0]", ":OUT - [0:0]"]
    for chain, own, targets in (
        ("PREROUTING", "IN", ["-j DNAT --to-destination 10.2.0.4", "-j DNAT --to-destination 10.2.0.3:8080"]),
        ("POSTROUTING", "OUT", ["-j MASQUERADE", "-j SNAT --to-source 10.2.0.9", "-o left -j MASQUERADE"]),
    ):
        for name in (chain, own):
            for _ in range(rng.randrange(4)):
                target = rng.choice(
                    [*targets, *targets, "-j ACCEPT", "-j RETURN", *([f"-j {own}"] if name == chain else [])]
                )
                protocol = "-p tcp" if ":" in target else rng.choice(["", "-p tcp", "-p udp -m udp --dport 53"])
                lines.append(" ".join([f"-A {name}", *_ends(rng, 4), protocol, target]).replace("  ", " "))
    return "\n".join([*lines, "COMMIT"]) + "\n"


def native_nat_ruleset(rng: random.Random) -> str:
    """One or two tables with nat chains for `nft -f`."""
    tables = []
    for number in range(rng.choice([1, 2])):
        lines = [f"table {rng.choice(['ip', 'inet'])} t{number} {{"]
        for hook, priority, verdicts in (
            ("prerouting", -100, ["dnat ip to 10.2.0.4", "accept", "return"]),
            ("postrouting", 100, ["masquerade", "snat ip to 10.2.0.9", "accept", "return"]),
        ):
            lines.append(f"chain {hook} {{ type nat hook {hook} priority {priority + number}; policy accept;")
            for _ in range(rng.randrange(4)):
                condition = rng.choice(
                    [
                        "",
                        "tcp dport { 80, 443 }",
                        "udp dport 53",
                        "ip daddr 10.2.0.2",
                        "ip saddr != 10.1.0.3",
                        'iifname "left"',
                    ]
                )
                lines.append(
                    f"meta nfproto ipv4 {condition} {rng.choice(verdicts)}"
                    if "inet" in lines[0]
                    else f"{condition} {rng.choice(verdicts)}"
                )
            lines.append("}")
        tables.append("\n".join([*lines, "}"]))
    return "\n".join(tables)


def after(host: Host, flow: Flow) -> Packet:
    """The packet as the model says that it leaves the router."""
    moved = flow
    for hook in ("PREROUTING", "POSTROUTING"):
        (way,) = translations(host.root, hook, moved)
        if way.fate is Fate.TRANSLATED:
            moved = translated(moved, way.rule)
    assert moved.protocol
    assert moved.source
    assert moved.destination
    return Packet(moved.protocol, moved.source, moved.destination, moved.source_port or 0, moved.destination_port or 0)


def translated(flow: Flow, rule: Rule | NftRule | None) -> Flow:
    """The flow with the address that the rule says."""
    if isinstance(rule, Rule):
        told = " ".join(each.value for each in rule.target_options)
    else:
        statements = [each for each in rule.statements if isinstance(each, NftStatement)] if rule else []
        told = next(each.details.get("address", "") for each in statements if each.name in _NAT_STATEMENTS)
    address, _, port = told.partition(":")
    if address in ("10.2.0.4", "10.2.0.3"):
        return replace(flow, destination=ip_address(address), destination_port=int(port or flow.destination_port or 0))
    return replace(flow, source=ip_address(address or NETWORKS[RIGHT][0].partition("/")[0]))


@pytest.mark.parametrize("backend", ["legacy", "nft", "native"])
def test_packets_are_translated_by_the_rule_that_the_model_names(router: Router, backend: str) -> None:
    rng = random.Random(f"{SEED} nat {backend}")
    figures: Counter[str] = Counter()
    for _ in range(RULESETS):
        sent = [replace(probe, established=False) for probe in probes(rng, 4) if probe.packet.protocol != "icmp"]
        text = native_nat_ruleset(rng) if backend == "native" else nat_ruleset(rng)
        unload(router)
        load(router, backend, 4, text)
        host = described(router)
        came = {packet.source_port: packet for packet in router.seen_of([probe.packet for probe in sent])}
        for probe in sent:
            expected = after(host, probe.flow())
            assert came[probe.packet.source_port] == expected, f"{probe}\n{text}"
            figures["as it was" if expected == probe.packet else "translated"] += 1
    assert min(figures["as it was"], figures["translated"]) > RULESETS
