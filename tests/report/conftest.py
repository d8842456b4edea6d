"""Analyses to render, built by hand from the outputs of a real Docker 20.10 host with faults put in.

`analysis` is what a support engineer gets, `hostile` the same with names that attack terminals and browsers, `healthy`
has nothing wrong, `bare` knows next to nothing (one loose file), `crowd(n)` has n containers on several networks.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from netdiag.bundle import Bundle, NotCollected, Problem
from netdiag.finding import Confidence, Evidence, Finding, Outcome, Role, Severity, Subject, Verdict
from netdiag.formats import Document, Unread
from netdiag.formats.records import (
    Address,
    BridgePort,
    Chain,
    Container,
    Counters,
    Endpoint,
    EngineVersion,
    Link,
    Match,
    Network,
    NetworkMember,
    NextHop,
    PublishedPort,
    Route,
    Rule,
    Subnet,
)
from netdiag.model import Engine, Extent, Facts, FirewallChain, FirewallTable, Host, Namespace, VethPair
from netdiag.results import Analysis, SourceCoverage, Suppressed
from netdiag.spans import Source, Span

OUTPUTS = Path(__file__).parent / "outputs"
WEB = "129eed923d9c3b52246d474dfe1c8c0fe188801e68fa565e9625c6a97f9e334d"
DB = "7e24e9ff3096aadd03175ed30e4d0257824f2fe08f169148180cd164e0681357"
APP = "cc72d6cd9862ec71efe34d1ff49ba1c1179ee47fb2a51c7ae936791eb916c942"
FRONT = "ebe28ba8b3d7a6617f14d77e8cd82e551344f2b83c7ada785fd10b89e4f0fefe"
BACK = "7cd2356a9d4da9bc67aee4e7b382a6200dbd031ce57f47355ad516c28c6cec9a"
DEFAULT = "fa3c23e90e48fd76f4710c3d85344b9fca9d1699584adf290c47ae290ac9619f"

# What `hostile` puts where `analysis` has `web`, `front` and `app`: markup, terminal escapes, a bidi override.
HOSTILE_CONTAINER = "<script>alert(1)</script>"
HOSTILE_NETWORK = "fr\x1b[2J\x1b]0;owned\x07ont\u202e<img src=x onerror=alert(2)>"
HOSTILE_ALIAS = "\"'><svg/onload=alert(3)>]]><!--\x9b31m"


def output(name: str) -> str:
    """What a command printed, shortened from the real output to what the case needs."""
    return (OUTPUTS / name).read_text(encoding="utf-8")


def find(source: Source, text: str, after: str = "") -> Span:
    """The first `text` in the source, or the first one behind `after`."""
    start = source.text.index(text, source.text.index(after) + len(after))
    line = source.text.count("\n", 0, start) + 1
    column = start - (source.text.rfind("\n", 0, start) + 1) + 1
    return source.span(line, column, column + len(text))


def whole(*items: object) -> Facts:
    return Facts(tuple(items), Extent.WHOLE)


def link(source: Source, head: str, **fields: object) -> Link:
    """A link whose span is its head line, with its addresses given as texts of the same source."""
    line = find(source, head).line
    given = {
        "index": int(head.split(":", maxsplit=1)[0]),
        "flags": ("UP", "LOWER_UP"),
        "mtu": 1500,
        "state": "UP",
        **fields,
    }
    texts = given.pop("inet", ())
    addresses = tuple(Address(IPv4Interface(text), find(source, f"inet {text}"), scope="global") for text in texts)
    name, _, far = head.split(": ")[1].rstrip(":").partition("@if")
    return Link(name, source.span(line), peer_index=int(far) if far else None, addresses=addresses, **given)


def route(source: Source, text: str, gateway: str | None, device: str) -> Route:
    destination = text.split(" ", maxsplit=1)[0].replace("default", "0.0.0.0/0")
    hop = NextHop(IPv4Address(gateway) if gateway else None, device)
    return Route(IPv4Network(destination), (hop,), source.span(find(source, text).line), table="main")


class Case:
    """The sources, the model and the findings of one bundle."""

    def __init__(self, web: str = "web", front: str = "front", app: str = "app", host: str = "web01") -> None:
        self.web, self.front, self.app = web, front, app
        self.addr = Source("host/ip_addr.txt", output("ip_addr.txt"), "ip -d addr", "host", "ip_addr", "ip_addr")
        self.route = Source(
            "host/ip_route.txt", output("ip_route.txt"), "ip route show table all", "host", "ip_route", "ip_route"
        )
        self.ports = Source(
            "host/bridge_link.txt", output("bridge_link.txt"), "bridge link", "host", "bridge_link", "bridge_link"
        )
        self.save = Source(
            "host/iptables_save.txt",
            output("iptables_save.txt"),
            "iptables-save -c",
            "host",
            "iptables_save",
            "iptables_save",
            trouble="exit code 4",
        )
        self.netns_web = Source(
            f"netns/{WEB[:12]}/ip_addr.txt",
            output("netns_web_ip_addr.txt"),
            "nsenter -t 311 -n ip -d addr",
            f"netns:{WEB}",
            "ip_addr",
            "ip_addr",
        )
        self.netns_db = Source(
            f"netns/{DB[:12]}/ip_addr.txt",
            output("netns_db_ip_addr.txt"),
            "nsenter -t 395 -n ip -d addr",
            f"netns:{DB}",
            "ip_addr",
            "ip_addr",
        )
        self.inspect = Source(
            "docker/inspect.json",
            output("inspect.json")
            .replace('"/web"', f'"/{web}"')
            .replace('"/app"', f'"/{app}"')
            .replace('"front": {', f'"{front}": {{'),
            "docker inspect $(docker ps -aq)",
            "docker",
            "docker_inspect",
            "docker_inspect",
        )
        self.network_inspect = Source(
            "docker/network_inspect.json",
            output("network_inspect.json").replace('"front"', f'"{front}"'),
            "docker network inspect $(docker network ls -q)",
            "docker",
            "docker_network_inspect",
            "docker_network_inspect",
        )
        self.trace = Source(
            "trace/perf_trace.txt", output("perf_trace.txt"), "perf trace --no-syscalls --event 'net:*'", "host"
        )
        self.host_name = host

    def bundle(self) -> Bundle:
        return Bundle(
            name="netdiag-web01-20261124T015041Z",
            host=self.host_name,
            collected_at="2026-11-24T01:50:41Z",
            sha256="5f2b6a0c1d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdde",
            sources=(
                self.addr,
                self.route,
                self.ports,
                self.save,
                self.netns_web,
                self.netns_db,
                self.inspect,
                self.network_inspect,
                self.trace,
            ),
            not_collected=(
                NotCollected("sysctl", "host", "sysctl -a --pattern '^net[.]'", "sysctl", "no such command: sysctl"),
                NotCollected(
                    "ip_addr", f"netns:{APP}", "nsenter -t 475 -n ip -d addr", "ip_addr", "timed out after 10 s"
                ),
            ),
            problems=(Problem("host/ip_route.txt", "SHA-256 differs from the manifest"),),
            manifest={
                "schema_version": "1.0",
                "collector": {"version": "0.1.0"},
                "kernel": "6.1.0-18-amd64",
                "os_release": "Debian GNU/Linux 12 (bookworm)",
                "redaction": {"environment": 3},
            },
        )

    def root(self) -> Namespace:
        a, s = self.addr, self.save
        links = (
            link(a, "1: lo:", kind="loopback", mtu=65536, state="UNKNOWN", inet=("127.0.0.1/8",)),
            link(a, "2: eth0@if2:", kind="veth", mac="52:4d:c9:a5:c1:f6", peer_netns="0", inet=("203.0.113.10/24",)),
            link(a, "3: docker0:", kind="bridge", state="DOWN", flags=("UP",), inet=("172.17.0.1/16",)),
            link(a, "4: br-ebe28ba8b3d7:", kind="bridge", inet=("172.18.0.1/16",)),
            link(a, "5: br-7cd2356a9d4d:", kind="bridge", inet=("172.19.0.1/16",)),
            link(a, "7: vethe9688ea@if6:", kind="veth", master="br-ebe28ba8b3d7", peer_netns="1"),
            link(a, "9: veth2e334af@if8:", kind="veth", peer_netns="2"),
            link(a, "11: veth90ddfeb@if10:", kind="veth", master="br-ebe28ba8b3d7", peer_netns="3"),
            link(a, "13: veth4e5d51d@if12:", kind="veth", master="br-7cd2356a9d4d", peer_netns="3"),
            link(a, "14: br-0f1e2d3c4b5a:", kind="bridge", state="DOWN", flags=("UP",), inet=("172.21.0.1/16",)),
        )
        routes = (
            route(self.route, "default via", "203.0.113.1", "eth0"),
            route(self.route, "172.17.0.0/16", None, "docker0"),
            route(self.route, "172.18.0.0/16", None, "br-ebe28ba8b3d7"),
            route(self.route, "172.19.0.0/16", None, "br-7cd2356a9d4d"),
            route(self.route, "203.0.113.0/24", None, "eth0"),
        )
        ports = tuple(
            BridgePort(
                int(line.split(":")[0]), line.split(" ")[1].split("@")[0], line.split(" ")[6], self.ports.span(n)
            )
            for n, line in enumerate(self.ports.lines, start=1)
        )
        post = Chain("ipv4", "nat", "POSTROUTING", s.span(6), policy="ACCEPT", counters=Counters(0, 0))
        docker = Chain("ipv4", "nat", "DOCKER", s.span(7))
        masquerade = tuple(
            Rule(
                "ipv4", "nat", "POSTROUTING", n, s.span(9 + n), source=IPv4Network(source), target="MASQUERADE", **more
            )
            for n, source, more in (
                (1, "172.18.0.0/16", {"out_interface": "br-ebe28ba8b3d7", "out_interface_negated": True}),
                (2, "172.17.0.0/16", {"out_interface": "docker0", "out_interface_negated": True}),
            )
        )
        dnat = Rule(
            "ipv4",
            "nat",
            "DOCKER",
            4,
            s.span(16),
            counters=Counters(2, 120),
            protocol="tcp",
            matches=(Match("dport", "8080"),),
            target="DNAT",
            target_options=(Match("to-destination", "172.18.0.2:80"),),
        )
        nat = FirewallTable(
            "ipv4",
            "nat",
            "nft",
            {"POSTROUTING": FirewallChain(post, masquerade), "DOCKER": FirewallChain(docker, (dnat,))},
        )
        return Namespace(
            "host",
            "host",
            links=whole(*links),
            addresses_known=True,
            routes=whole(*routes),
            bridge_ports=whole(*ports),
            firewall=Facts((nat,), Extent.PART, "iptables-save ended with exit code 4", ("iptables_save",)),
        )

    def host(self) -> Host:
        i, n = self.inspect, self.network_inspect
        root = self.root()
        inner_web = link(
            self.netns_web,
            "6: eth0@if7:",
            kind="veth",
            mac="02:42:ac:12:00:02",
            peer_netns="0",
            inet=("172.18.0.2/16",),
        )
        inner_db = link(
            self.netns_db, "8: eth0@if9:", kind="veth", mac="02:42:ac:13:00:02", peer_netns="0", inet=("172.19.0.2/16",)
        )

        def endpoint(network: str, network_id: str, address: str, gateway: str, mac: str) -> Endpoint:
            return Endpoint(
                network,
                network_id,
                "e" * 64,
                find(i, f'"IPAddress": "{address.split("/", maxsplit=1)[0]}"'),
                address=IPv4Interface(address),
                gateway=IPv4Address(gateway),
                mac=mac,
            )

        web = Container(
            WEB,
            self.web,
            find(i, f'"Id": "{WEB}"'),
            state="running",
            pid=311,
            network_mode=self.front,
            sandbox_key="/var/run/docker/netns/bf7664c6e028",
            endpoints=(endpoint(self.front, FRONT, "172.18.0.2/16", "172.18.0.1", "02:42:ac:12:00:02"),),
            ports=(
                PublishedPort("tcp", 80, IPv4Address("0.0.0.0"), 8080, find(i, '"80/tcp"')),
                PublishedPort("tcp", 80, IPv6Address("::"), 8080, find(i, '"HostIp": "::"')),
            ),
        )
        db = Container(
            DB,
            "db",
            find(i, f'"Id": "{DB}"'),
            state="running",
            pid=395,
            network_mode="back",
            endpoints=(endpoint("back", BACK, "172.19.0.2/16", "172.19.0.1", "02:42:ac:13:00:02"),),
        )
        app = Container(
            APP,
            self.app,
            find(i, f'"Id": "{APP}"'),
            state="running",
            pid=475,
            network_mode=self.front,
            endpoints=(
                endpoint("back", BACK, "172.19.0.3/16", "172.19.0.1", "02:42:ac:14:00:03"),
                endpoint(self.front, FRONT, "172.18.0.3/16", "172.18.0.1", "02:42:ac:12:00:03"),
            ),
        )

        def network(
            name: str, network_id: str, subnet: str, members: tuple[Container, ...], bridge: str = ""
        ) -> Network:
            at = find(n, f'"Id": "{network_id}"')
            gateway = next(IPv4Network(subnet).hosts())
            return Network(
                network_id,
                name,
                at,
                driver="bridge",
                scope="local",
                internal=False,
                config_only=False,
                options={"com.docker.network.bridge.name": bridge} if bridge else {},
                subnets=(Subnet(IPv4Network(subnet), gateway, find(n, f'"Subnet": "{subnet}"')),),
                members=tuple(NetworkMember(m.id, m.name, m.endpoints[0].address, None, at) for m in members),
            )

        version = Source("docker/version.json", '{"Server":{"Version":"20.10.24+dfsg1"}}\n', "docker version", "docker")
        return Host(
            name=self.host_name,
            namespaces=(
                root,
                Namespace(f"netns:{WEB}", self.web, (WEB,), links=whole(inner_web), addresses_known=True),
                Namespace(f"netns:{DB}", "db", (DB,), links=whole(inner_db), addresses_known=True),
            ),
            containers=whole(web, db, app),
            networks=whole(
                network("back", BACK, "172.19.0.0/16", (db, app)),
                network("bridge", DEFAULT, "172.17.0.0/16", (), bridge="docker0"),
                network(self.front, FRONT, "172.18.0.0/16", (web, app)),
            ),
            engine=Engine(version=EngineVersion("20.10.24+dfsg1", "1.41", find(version, '"Version"'))),
            veth_pairs=(
                VethPair(root.link("vethe9688ea"), inner_web, f"netns:{WEB}"),
                VethPair(root.link("veth2e334af"), inner_db, f"netns:{DB}"),
            ),
        )

    def findings(self) -> tuple[Finding, ...]:
        a, s, i, n = self.addr, self.save, self.inspect, self.network_inspect
        return (
            Finding(
                check="link-veth-not-enslaved",
                severity=Severity.ERROR,
                confidence=Confidence.HIGH,
                title="A container's veth hangs loose",
                message="`veth2e334af`, the host end of container `db`, is not a port of bridge `br-7cd2356a9d4d`",
                subjects=(Subject("interface", "veth2e334af"), Subject("container", "db")),
                evidence=(
                    Evidence(find(a, "9: veth2e334af@if8"), "this veth has no `master`"),
                    Evidence(find(self.netns_db, "8: eth0@if9"), "its other end is `eth0` of `db`", Role.RELATED),
                    Evidence(find(n, '"Name": "back"'), "`db` belongs to this network", Role.RELATED),
                ),
                why="The container has an address and a link that is up, but its frames reach no bridge.",
                remedy=("ip link set dev veth2e334af master br-7cd2356a9d4d",),
                verify=("bridge link show dev veth2e334af", "nsenter -t 395 -n ping -c 1 172.19.0.1"),
            ),
            Finding(
                check="nat-masquerade-missing",
                severity=Severity.ERROR,
                confidence=Confidence.HIGH,
                title="No MASQUERADE for a Docker subnet",
                message="no rule in nat `POSTROUTING` masquerades 172.19.0.0/16 of network `back`",
                subjects=(Subject("network", "back"), Subject("address", "172.19.0.0/16")),
                evidence=(
                    Evidence(find(n, '"Subnet": "172.19.0.0/16"'), "this subnet needs MASQUERADE"),
                    Evidence(s.span_of_lines(10, 12), "the rules that masquerade: none covers it", Role.RELATED),
                ),
                why="Packets of the containers leave the host with a private source address; no answer comes back.",
                remedy=("iptables -t nat -I POSTROUTING 1 -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE",),
                verify=("iptables -t nat -C POSTROUTING -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE",),
            ),
            Finding(
                check="address-mac-ip-mismatch",
                severity=Severity.WARNING,
                confidence=Confidence.MEDIUM,
                title="An endpoint's MAC address stands for another IP address",
                message=f"MAC 02:42:ac:14:00:03 of `{self.app}` on `back` stands for 172.20.0.3, not 172.19.0.3",
                subjects=(Subject("container", self.app), Subject("network", "back")),
                evidence=(
                    Evidence(find(i, '"MacAddress": "02:42:ac:14:00:03"'), "02:42 and then 172.20.0.3 in hexadecimal"),
                    Evidence(find(i, '"IPAddress": "172.19.0.3"'), "the endpoint's address", Role.RELATED),
                ),
                why="Engines up to 27 make the MAC of the address; a mismatch shows that one was changed by hand.",
                remedy=(f"docker network disconnect back {APP[:12]}", f"docker network connect back {APP[:12]}"),
                verify=(f"docker inspect -f '{{{{json .NetworkSettings.Networks}}}}' {APP[:12]}",),
            ),
            Finding(
                check="link-stale-bridge",
                severity=Severity.NOTE,
                confidence=Confidence.HIGH,
                title="A bridge belongs to no network",
                message="bridge `br-0f1e2d3c4b5a` belongs to none of the 3 networks in the bundle",
                subjects=(Subject("bridge", "br-0f1e2d3c4b5a"),),
                evidence=(Evidence(find(a, "br-0f1e2d3c4b5a"), "no network has this id"),),
                why="Its subnet 172.21.0.0/16 cannot be used by a new network as long as it stays.",
                remedy=("ip link delete br-0f1e2d3c4b5a type bridge",),
                verify=("ip link show dev br-0f1e2d3c4b5a",),
            ),
            Finding(
                check="nat-dnat-stale",
                severity=Severity.WARNING,
                confidence=Confidence.LOW,
                title="A DNAT rule leads to nobody",
                message="the DNAT rule of port 8080 may be older than its container",
                subjects=(Subject("rule", "nat DOCKER 4"),),
                evidence=(Evidence(find(s, "--to-destination 172.18.0.2:80"), "leads here"),),
                why="A rule that leads to an old address makes the port time out.",
                remedy=("systemctl restart docker",),
                verify=("iptables -t nat -S DOCKER",),
            ),
        )

    def outcomes(self) -> tuple[Outcome, ...]:
        found = {finding.check for finding in self.findings()}
        clean = ("address-duplicate-ip", "link-bridge-down", "link-bridge-missing", "nat-dnat-missing")
        sysctl = "sysctl -a --pattern '^net[.]'"
        named = (
            *(Outcome(check, Verdict.FINDING) for check in found),
            *(Outcome(check, Verdict.CLEAN) for check in clean),
            Outcome(
                "sysctl-ip-forward-off",
                Verdict.UNKNOWN,
                "no sysctl was collected: no such command: sysctl",
                ("sysctl",),
                (sysctl,),
            ),
            Outcome(
                "link-veth-orphan",
                Verdict.UNKNOWN,
                f"the namespace of `{self.app}` was not collected",
                (f"netns:{APP}/ip_addr",),
                ("nsenter -t 475 -n ip -d addr", sysctl),
            ),
            Outcome("filter-docker-user-drop", Verdict.NOT_APPLICABLE, "table filter has no chain DOCKER-USER"),
            Outcome("filter-docker-chains-missing", Verdict.CRASHED, "KeyError: 'DOCKER-FORWARD'"),
        )
        return tuple(sorted(named, key=lambda outcome: outcome.check))

    def coverage(self) -> tuple[SourceCoverage, ...]:
        reason = "not expected here: 'iptables:' (column 1)"

        def read(source: Source, *unread: tuple[int, str], notes: tuple[str, ...] = ()) -> SourceCoverage:
            lines = len(source.lines)
            return SourceCoverage(
                source.path,
                source.command,
                source.format,
                lines,
                lines - len(unread),
                unread,
                notes=notes,
                source=source,
            )

        return (
            read(self.addr),
            read(self.route),
            read(self.ports),
            read(self.save, (17, reason)),
            read(self.netns_web),
            read(self.netns_db),
            read(self.inspect, notes=("2 keys that no schema names were ignored",)),
            read(self.network_inspect),
            SourceCoverage(
                self.trace.path,
                self.trace.command,
                "",
                2,
                0,
                (),
                skipped="no format recognises it (perf trace is not read yet)",
                source=self.trace,
            ),
        )

    def analysis(self) -> Analysis:
        coverage = self.coverage()
        documents = tuple(
            Document(c.source, c.format, (), tuple(Unread(*u) for u in c.unread), c.notes) for c in coverage if c.format
        )
        return Analysis(self.bundle(), documents, coverage, self.host(), self.findings(), self.outcomes())


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    """Two errors, a warning, a note, a doubtful warning; two unknown, one crashed, one not applicable."""
    return Case().analysis()


@pytest.fixture(scope="session")
def hostile() -> Analysis:
    """The same host with names that attack whoever shows them."""
    return Case(web=HOSTILE_CONTAINER, front=HOSTILE_NETWORK, app=HOSTILE_ALIAS, host="<b>web01</b>\x1b[31m").analysis()


@pytest.fixture(scope="session")
def hostile_names() -> tuple[str, ...]:
    return (HOSTILE_CONTAINER, HOSTILE_NETWORK, HOSTILE_ALIAS)


@pytest.fixture(scope="session")
def healthy() -> Analysis:
    """Everything judged, nothing wrong, every line read."""
    case = Case().analysis()
    outcomes = tuple(Outcome(outcome.check, Verdict.CLEAN) for outcome in case.outcomes)
    bundle = replace(case.bundle, not_collected=(), problems=())
    coverage = tuple(replace(c, read=c.lines, unread=(), notes=()) for c in case.coverage if c.format)
    return replace(case, bundle=bundle, coverage=coverage, findings=(), outcomes=outcomes)


@pytest.fixture(scope="session")
def put_aside(analysis: Analysis) -> Analysis:
    """A finding that an older result has as well, one that is suppressed by a hostile reason, two that count."""
    first, known, mismatch, stale, doubtful = analysis.findings
    suppressed = Suppressed(stale, "goes with the old <b>stack</b>\x1b[2J", date(2027, 1, 31), ".netdiag.toml")
    left = (first, known, mismatch, doubtful)
    return replace(analysis, findings=left, known=frozenset({known}), suppressed=(suppressed,))


@pytest.fixture(scope="session")
def bare() -> Analysis:
    """One loose file without a manifest: no host name, no time, no container list."""
    source = Source("route.txt", "Kernel IP routing table\nDestination     Gateway\n")
    known = Route(IPv4Network("0.0.0.0/0"), (NextHop(IPv4Address("192.168.41.2"), "ens33"),), source.span(1))
    root = Namespace("host", "host", routes=Facts((known,), Extent.PART, "route -n shows the table main only"))
    coverage = SourceCoverage(
        "route.txt", "", "route_n", 2, 2, (), notes=("taken for route_n from its content",), source=source
    )
    outcomes = (
        Outcome("link-bridge-missing", Verdict.UNKNOWN, "no list of links", ("ip_addr",), ("ip -d addr",)),
        Outcome(
            "nat-masquerade-missing",
            Verdict.UNKNOWN,
            "no networks",
            ("docker_network_inspect",),
            ("docker network ls",),
        ),
    )
    return Analysis(
        Bundle("loose", "", "", "", (source,)),
        (Document(source, "route_n", (known,)),),
        (coverage,),
        Host("", (root,), Facts(), Facts(), Engine()),
        (),
        outcomes,
    )


@pytest.fixture(scope="session")
def crowd() -> Callable[[int], Analysis]:
    """A function that makes a host with so many containers: six to a network, some on two, some not seen inside."""
    return _crowd


def _crowd(count: int) -> Analysis:
    base = Case().analysis()
    source = Source("host/ip_addr.txt", "\n".join(f"line {n}" for n in range(1, 4 * count + 60)) + "\n", "ip -d addr")
    here = source.span(1)
    networks = tuple(_crowd_network(number, here) for number in range(-(-count // 6)))
    bridges = [
        Link(
            f"br-{network.id[:12]}",
            source.span(10 + number),
            index=10 + number,
            kind="bridge",
            flags=("UP",),
            state="UP",
            addresses=(Address(IPv4Interface(f"172.{18 + number}.0.1/16"), source.span(10 + number)),),
        )
        for number, network in enumerate(networks)
    ]
    links, containers, namespaces, pairs = list(bridges), [], [], []
    for number in range(count):
        container_id = f"{number:064x}"[::-1]
        homes = [number // 6] + ([(number // 6 + 1) % len(networks)] if number % 5 == 0 and len(networks) > 1 else [])
        netns = f"netns:{container_id}"
        inner = []
        for card, home in enumerate(homes):
            index = 100 + 10 * number + 2 * card
            outer = Link(
                f"veth{index:07x}",
                source.span(20 + number),
                index=index + 1,
                peer_index=index,
                kind="veth",
                flags=("UP", "LOWER_UP"),
                master=f"br-{networks[home].id[:12]}",
            )
            address = Address(_crowd_address(networks[home], number), source.span(20 + number))
            inside = Link(
                f"eth{card}",
                source.span(20 + number),
                index=index,
                peer_index=index + 1,
                kind="veth",
                flags=("UP", "LOWER_UP"),
                addresses=(address,),
            )
            links.append(outer)
            inner.append(inside)
            if number % 7:
                pairs.append(VethPair(outer, inside, netns))
        if number % 7:
            namespaces.append(
                Namespace(netns, f"c{number}", (container_id,), links=whole(*inner), addresses_known=True)
            )
        containers.append(_crowd_container(number, container_id, [networks[home] for home in homes], here))
    root = replace(base.host.root, links=whole(*base.host.root.links.items[:3], *links))
    host = Host(
        "crowd",
        (root, *namespaces),
        whole(*containers),
        whole(*networks),
        base.host.engine,
        veth_pairs=tuple(pairs),
    )
    return replace(base, host=host, findings=(), coverage=())


def _crowd_network(number: int, here: Span) -> Network:
    names = ("shop_default", "monitoring-and-alerting_backend-network", "前端网络", "db")
    subnet = Subnet(IPv4Network(f"172.{18 + number}.0.0/16"), IPv4Address(f"172.{18 + number}.0.1"), here)
    name = f"{names[number % 4]}{number}"
    return Network(
        f"{number + 1:02d}{number:062x}", name, here, driver="bridge", scope="local", options={}, subnets=(subnet,)
    )


def _crowd_address(network: Network, number: int) -> IPv4Interface:
    return IPv4Interface(f"{network.subnets[0].subnet.network_address + 2 + number}/16")


def _crowd_container(number: int, container_id: str, networks: list[Network], here: Span) -> Container:
    stem = ("web", "registry-mirror.internal.example.com_1", "データベース", "q")[number % 4]
    ports = tuple(
        PublishedPort(protocol, 80 + port, IPv4Address("0.0.0.0"), 8000 + 10 * number + port, here)
        for port, protocol in enumerate(("tcp", "udp", "tcp", "tcp", "tcp", "tcp", "tcp")[: number % 8])
    )
    endpoints = tuple(
        Endpoint(
            network.name,
            network.id,
            "e" * 64,
            here,
            address=_crowd_address(network, number),
            gateway=network.subnets[0].gateway,
        )
        for network in networks
    )
    return Container(
        container_id,
        f"{stem}-{number}",
        here,
        state="exited" if number % 11 == 10 else "running",
        network_mode=networks[0].name,
        endpoints=endpoints,
        ports=ports,
    )


@pytest.fixture(scope="session")
def motley() -> Analysis:
    """A host with all that makes a map crowded: a container on three networks with addresses of both families and
    twenty published ports, names that are very long or attack, and containers in the namespace of the host, of another
    container, and of none.
    """
    base = _crowd(13)
    host = base.host
    here = host.containers.items[0].span
    first, second, third, *others = host.containers.items
    networks = host.networks.items

    def on(container: Container, **changes: object) -> Container:
        return replace(container, **changes)  # type: ignore[arg-type]

    ports = tuple(PublishedPort("tcp", 8000 + n, IPv4Address("192.0.2.17"), 42000 + n, here) for n in range(20))
    everywhere = tuple(
        Endpoint(
            network.name,
            network.id,
            "e" * 64,
            here,
            address=IPv4Interface(f"172.{18 + number}.0.77/16"),
            address6=IPv6Interface(f"fd00:dead:beef:{number + 10:x}:aaaa:bbbb:cccc:77/64"),
        )
        for number, network in enumerate(networks)
    )
    alone = {"endpoints": (), "ports": ()}
    containers = (
        on(first, name="gateway-" + "very-long-name-" * 8, ports=ports, endpoints=everywhere),
        on(second, name=HOSTILE_CONTAINER),
        on(third, name=HOSTILE_NETWORK),
        on(others[0], name="node-exporter", network_mode="host", **alone),
        on(others[1], name="agent-" + "of-the-host-" * 6, network_mode="host", **alone),
        on(others[2], name="sidecar", network_mode=f"container:{second.id}", **alone),
        on(others[3], name="batch", network_mode="none", **alone),
        *others[4:],
    )
    # What Docker tells of the first is all that is known of it; the namespaces of the others are as they were.
    left = {f"netns:{container.id}" for container in (first, *others[:4])}
    namespaces = tuple(namespace for namespace in host.namespaces if namespace.id not in left)
    pairs = tuple(pair for pair in host.veth_pairs if pair.namespace not in left)
    renamed = (replace(networks[0], name="n" * 90), replace(networks[1], name=HOSTILE_NETWORK), *networks[2:])
    changed = replace(
        host,
        containers=replace(host.containers, items=containers),
        networks=replace(host.networks, items=renamed),
        namespaces=namespaces,
        veth_pairs=pairs,
    )
    return replace(base, host=changed)
