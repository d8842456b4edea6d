"""The small outputs that have one record a line, and what is particular about each."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import (
    EngineEvent,
    FirewalldZone,
    HostNames,
    IptablesVersion,
    KernelCounter,
    LegacyTable,
    Link,
    LogLine,
    MdbEntry,
    MulticastRouterPorts,
    NameServer,
    Network,
    OsReleaseField,
    ResolverSetting,
    SoftnetCounters,
    Tracepoint,
    TracepointField,
    TracepointText,
    UfwSetting,
)
from netdiag.spans import Source


def read(name: str, text: str) -> Document:
    return formats.get(name).read(Source(f"{name}.txt", text))


def test_the_numbers_of_a_tracepoint_have_the_names_that_the_kernel_prints() -> None:
    document = read(
        "tracepoint_format",
        "name: x\n\tfield:const char * comm[16];\toffset:8;\tsize:16;\n"
        'print fmt: "%s \\"%s\\" " "%s", REC->a ? (REC->b == -4 ? "y" : "n") : __print_symbolic(REC->c.d, '
        '{ 0, "A_" "B" }, {0x1f, "C"}, { -2, "D, }" }, { (1 << 2), "E" }, { FLAG, "F" }, { 3, ((void *)0) }, ), '
        '__print_flags(REC->e, "|", { 1, "G" }), f(__print_symbolic(REC->h, { 5, "H" }))\n'
        'print fmt: "no end\n',
    )
    name, field, text = document.records
    assert (name, field) == (
        Tracepoint("x", document.source.span(1)),
        TracepointField("comm", "const char * comm[16]", 8, 16, document.source.span(2, 2)),
    )
    assert isinstance(text, TracepointText)
    assert text.text == '%s \\"%s\\" %s'
    assert [(each.field, each.number, each.name) for each in text.names] == [
        ("c.d", 0, "A_B"),
        ("c.d", 31, "C"),
        ("c.d", -2, "D, }"),
        ("h", 5, "H"),
    ]
    assert [each.line for each in document.unread] == [4]


def test_counters_of_proc_have_the_names_of_nstat_and_span_their_number() -> None:
    document = read("proc_net_snmp", "Tcp: RtoMin MaxConn InErrs\nTcp: 200 -1 7\nIcmp6OutMsgs        \t12\n")
    told = [(c.name, c.value, c.span.line, c.span.text) for c in document.records if isinstance(c, KernelCounter)]
    assert told == [
        ("TcpRtoMin", 200, 2, "200"),
        ("TcpMaxConn", -1, 2, "-1"),
        ("TcpInErrs", 7, 2, "7"),
        ("Icmp6OutMsgs", 12, 3, "Icmp6OutMsgs        \t12"),
    ]


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Tcp: 200 -1\n", [(1, "no line above it with the names of 2 numbers")]),
        ("Tcp: RtoMin\nUdp: 1\n", [(1, "no numbers below it"), (2, "no line above it with the names of 1 numbers")]),
        ("Tcp: RtoMin\nTcp: 1 2\n", [(1, "no numbers below it"), (2, "no line above it with the names of 2 numbers")]),
        ("Tcp: RtoMin\n", [(1, "no numbers below it")]),
        ("Tcp: RtoMin\nTcp: RtoMin\nTcp: 1\n", [(1, "no numbers below it")]),
    ],
)
def test_names_and_numbers_that_do_not_fit_together_are_told(text: str, unread: list[tuple[int, str]]) -> None:
    assert read("proc_net_snmp", text).unread == tuple(Unread(*line) for line in unread)


def test_nstat_tells_the_rate() -> None:
    document = read("nstat", "#kernel\nIpInReceives                    41729              0.5\n")
    assert document.records == (KernelCounter("IpInReceives", 41729, document.source.span(2), 0.5),)


def test_an_interface_of_proc_net_dev_has_the_counters_of_ifconfig() -> None:
    (link,) = read("proc_net_dev", "eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n").records
    assert isinstance(link, Link)
    assert (link.name, link.flags, link.mtu) == ("eth0", (), None)
    assert [link.details[name] for name in ("rx.bytes", "rx.dropped", "rx.multicast", "tx.bytes")] == [
        "1",
        "4",
        "8",
        "9",
    ]
    assert [link.details[name] for name in ("tx.dropped", "tx.collisions", "tx.carrier")] == ["12", "14", "15"]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (9, (None, None, None, None)),
        (10, (10, None, None, None)),
        (11, (10, 11, None, None)),
        (13, (10, 11, 12, 13)),
        (15, (10, 11, 12, 13)),
    ],
)
def test_a_kernel_tells_as_many_numbers_of_a_cpu_as_it_knows(numbers: int, told: tuple[int | None, ...]) -> None:
    line = " ".join(f"{number:08x}" for number in range(1, numbers + 1))
    (cpu,) = read("proc_net_softnet_stat", line).records
    assert isinstance(cpu, SoftnetCounters)
    assert (cpu.processed, cpu.dropped, cpu.time_squeeze) == (1, 2, 3)
    assert (cpu.received_rps, cpu.flow_limit, cpu.backlog, cpu.cpu) == told


def test_resolver_lines_are_servers_and_settings() -> None:
    document = read("resolv_conf", "# x\nnameserver fe80::1%eth0\nsearch a.example b.example # ours\noptions ndots:0\n")
    span = document.source.span
    assert document.records == (
        NameServer(ip_address("fe80::1"), span(2), "eth0"),
        ResolverSetting("search", ("a.example", "b.example"), span(3)),
        ResolverSetting("options", ("ndots:0",), span(4)),
    )


def test_a_name_server_that_is_no_address_is_told() -> None:
    reason = "a value out of range: '300.1.1.1' does not appear to be an IPv4 or IPv6 address"
    assert read("resolv_conf", "nameserver 300.1.1.1\n").unread == (Unread(1, reason),)


def test_names_of_a_host_begin_with_the_canonical_one() -> None:
    document = read("hosts", "172.17.0.2\tdb.example.net db 7f3c9d1a2b4e # ours\n#10.0.0.1 old\n")
    names = ("db.example.net", "db", "7f3c9d1a2b4e")
    assert document.records == (HostNames(ip_address("172.17.0.2"), names, document.source.span(1)),)
    assert document.unread == ()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ID=debian", "debian"),
        ('NAME="Debian GNU/Linux"', "Debian GNU/Linux"),
        ("NAME=' a b '", " a b "),
        (r'NAME=" costs \$5 \"x\" \\ \n "', r' costs $5 "x" \ \n '),
        ("NAME=", ""),
        ('NAME=""', ""),
    ],
)
def test_a_value_of_os_release_is_unquoted_as_a_shell_does(line: str, value: str) -> None:
    document = read("os_release", line)
    assert document.records == (OsReleaseField(line.partition("=")[0], value, document.source.span(1)),)


@pytest.mark.parametrize("line", ['NAME="x', 'NAME="x" y', "NAME=a b", "NAME=$(id)"])
def test_an_assignment_that_os_release_does_not_allow_is_told(line: str) -> None:
    assert [unread.line for unread in read("os_release", line).unread] == [1]


@pytest.mark.parametrize(
    ("line", "program", "version", "backend"),
    [
        ("iptables v1.8.9 (nf_tables)", "iptables", "1.8.9", "nft"),
        ("ip6tables v1.8.7 (legacy)", "ip6tables", "1.8.7", "legacy"),
        ("iptables v1.4.21", "iptables", "1.4.21", None),
    ],
)
def test_the_version_tells_the_backend_since_1_8(line: str, program: str, version: str, backend: str | None) -> None:
    document = read("iptables_version", line)
    assert document.records == (IptablesVersion(program, version, document.source.span(1), backend),)


def test_tables_are_those_of_the_kernel() -> None:
    document = read("ip_tables_names", "nat\nfilter\nlunch\n")
    assert document.records == (
        LegacyTable("nat", document.source.span(1)),
        LegacyTable("filter", document.source.span(2)),
    )
    assert [unread.line for unread in document.unread] == [3]


def test_a_listed_network_is_one_of_which_little_is_told() -> None:
    document = read(
        "docker_network_ls",
        "NETWORK ID     NAME         DRIVER    SCOPE\nef98a27d6ed9   my old net   bridge    local\n",
    )
    network = Network("ef98a27d6ed9", "my old net", document.source.span(2), driver="bridge", scope="local")
    assert document.records == (network,)
    assert network.members is None


def test_a_line_of_the_log_has_its_time() -> None:
    document = read("collector_log", "2026-11-24T02:23:00.042Z dockerd is process 49\n")
    assert document.records == (LogLine("2026-11-24T02:23:00.042Z", "dockerd is process 49", document.source.span(1)),)


@pytest.mark.parametrize(
    ("line", "microsecond"),
    [
        ("1795860304186599310 container die c1 (name=web, container=, exitCode=3)", 186599),
        ("1795860304 container die c1 (name=web, exitCode=3)", 0),
        ("2026-11-28T10:05:04.186599310Z container die c1 (exitCode=3, name=web)", 186599),
        ("2026-11-28T11:05:04.186599310+01:00 container die c1 (exitCode=3, name=web)", 186599),
        ("2026-11-28 10:05:04.186599 +0000 UTC container die c1 (name=web, exitCode=3)", 186599),
    ],
)
def test_an_event_is_the_same_however_the_engine_prints_its_time(line: str, microsecond: int) -> None:
    (event,) = read("engine_events", line).records
    assert isinstance(event, EngineEvent)
    assert event.time == datetime(2026, 11, 28, 10, 5, 4, microsecond, tzinfo=UTC)
    assert (event.kind, event.action, event.id) == ("container", "die", "c1")
    assert event.attributes == {"name": "web", "exitCode": "3"}


def test_labels_of_an_event_may_hold_what_ends_others_and_its_action_the_words_of_docker_exec() -> None:
    whose = "4e" * 32
    text = f"2026-11-28T10:05:04Z container exec_start: sh -c echo (x) {whose} (note=a, b=c (d), e, name=web)\n"
    (event,) = read("engine_events", text).records
    assert isinstance(event, EngineEvent)
    assert (event.action, event.id) == ("exec_start: sh -c echo (x)", whose)
    assert event.attributes == {"note": "a", "b": "c (d), e", "name": "web"}


def test_a_zone_of_firewalld_has_its_lists_and_the_rules_below_it() -> None:
    text = (
        "public (default, active)\n"
        "  target: DROP\n"
        "  interfaces: eth0 eth1\n"
        "  ports: 8080/tcp\n"
        "  masquerade: yes\n"
        "  forward-ports: \n"
        "\tport=80:proto=tcp:toport=8080:toaddr=\n"
        "  rich rules: \n"
        '\trule family="ipv4" source address="192.0.2.0/24" accept\n'
    )
    document = read("firewalld_zones", text)
    assert document.unread == ()
    assert document.records == (
        FirewalldZone(
            "public",
            document.source.span_of_lines(1, 9),
            ("default", "active"),
            target="DROP",
            interfaces=("eth0", "eth1"),
            ports=("8080/tcp",),
            masquerade=True,
            forward_ports=("port=80:proto=tcp:toport=8080:toaddr=",),
            rich_rules=('rule family="ipv4" source address="192.0.2.0/24" accept',),
        ),
    )


def test_a_name_without_settings_and_settings_without_a_name_are_no_zone() -> None:
    document = read("firewalld_zones", "  target: DROP\npublic\n")
    assert document.records == ()
    assert document.unread == (Unread(1, "no zone above it"), Unread(2, "no setting below it"))


def test_a_multicast_group_may_be_wanted_from_one_sender_only() -> None:
    text = "dev br0 port v1 grp 232.1.1.1 src 10.1.0.12 temp filter_mode include vid 10   2.50\n"
    document = read("bridge_mdb", text + "router ports on br0: v2  253.96 temp\nrouter ports on br1: v3 v4\n")
    span = document.source.span
    entry = MdbEntry(
        ip_address("232.1.1.1"),
        "br0",
        "v1",
        span(1, 1, len(text)),
        source=ip_address("10.1.0.12"),
        flags=("temp",),
        timer=2.5,
        details={"filter_mode": "include", "vid": "10"},
    )
    of_br0 = MulticastRouterPorts("br0", ("v2",), span(2), flag="temp", timer=253.96)
    assert document.records == (entry, of_br0, MulticastRouterPorts("br1", ("v3", "v4"), span(3)))


def test_settings_of_ufw_lose_the_quotes_of_the_shell() -> None:
    document = read("ufw_settings", "# comment\nENABLED=yes\nDEFAULT_FORWARD_POLICY=\"DROP\"\nIPT_MODULES=''\n")
    span = document.source.span
    assert document.records == (
        UfwSetting("ENABLED", "yes", span(2)),
        UfwSetting("DEFAULT_FORWARD_POLICY", "DROP", span(3)),
        UfwSetting("IPT_MODULES", "", span(4)),
    )
