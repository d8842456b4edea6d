"""What a careless check of address translation, connection tracking or kernel settings would take for a fault, or for
health. Each test changes one thing of a healthy host.
"""

from typing import Any

import pytest

from netdiag.finding import Confidence, Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

PREROUTING_JUMP = "[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"


def alarms(site: Any) -> list[str]:
    return [f"{f.check}: {f.message}" for f in site.analysis().findings if f.severity is not Severity.NOTE]


def only_finding(site: Any) -> Any:
    (finding,) = site.analysis().findings
    return finding


# --- who takes a published port first --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 3128", FINDING),
        ("-A PREROUTING -i eth0 -j RETURN", FINDING),
        ("-A PREROUTING -d 203.0.113.10/32 -p tcp -j DNAT --to-destination 10.0.0.9", FINDING),
        ("-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80", CLEAN),  # a second one
        ("-A PREROUTING -d 203.0.113.11/32 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 3128", CLEAN),
        ("-A PREROUTING -s 192.0.2.0/24 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 3128", CLEAN),
        ("-A PREROUTING -i docker0 -j RETURN", CLEAN),
        ("-A PREROUTING -p udp -m udp --dport 8080 -j REDIRECT --to-ports 3128", CLEAN),
        (
            "-A PREROUTING -p tcp -m tcp --dport 8080 -m recent --name seen --rcheck -j REDIRECT --to-ports 3128",
            UNKNOWN,
        ),
    ],
)
def test_a_rule_takes_a_published_port_only_when_it_takes_everybody_s(site: Any, rule: str, verdict: Verdict) -> None:
    site.rules(PREROUTING_JUMP, f"[0:0] {rule}\n{PREROUTING_JUMP}")
    assert site.verdict("nat-dnat-shadowed")[0] is verdict


def test_a_port_for_the_host_alone_is_not_sought_from_outside(site: Any) -> None:
    port = site.docker("inspect")[0]["NetworkSettings"]["Ports"]["80/tcp"]
    port[0]["HostIp"] = "127.0.0.1"
    site.rules(site.TRANSLATION, site.TRANSLATION.replace("-A DOCKER", "-A DOCKER -d 127.0.0.1/32"))
    site.rules(PREROUTING_JUMP, f"[0:0] -A PREROUTING -i eth0 -j RETURN\n{PREROUTING_JUMP}")
    closed = f"[0:0] -A PREROUTING -d 172.18.0.2/32 ! -i {site.BRIDGE} -j DROP\n"  # as Docker does it since 28
    site.files["host/iptables-save.txt"] += f"*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{closed}COMMIT\n"
    assert alarms(site) == []


# --- masquerading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("-A POSTROUTING -s 172.16.0.0/12 -j ACCEPT", FINDING),
        ("-A POSTROUTING -s 172.18.0.0/16 -p udp -j RETURN", FINDING),
        ("-A POSTROUTING -s 172.18.0.0/16 -d 10.0.0.0/8 -j ACCEPT", CLEAN),
        ("-A POSTROUTING -s 172.18.0.0/16 -o wg0 -j ACCEPT", CLEAN),
        ("-A POSTROUTING -s 172.19.0.0/16 -j ACCEPT", CLEAN),
        ("-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT", CLEAN),
        ("-A POSTROUTING -s 172.18.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.10", CLEAN),
    ],
)
def test_packets_go_untranslated_when_a_rule_before_takes_them_all(site: Any, rule: str, verdict: Verdict) -> None:
    site.rules(site.MASQUERADE, f"[0:0] {rule}\n{site.MASQUERADE}")
    assert site.verdict("nat-masquerade-shadowed")[0] is verdict


def known_by_an_endpoint_only(site: Any) -> None:
    del site.files["docker/docker-network-inspect.txt"]
    site.skip("docker-network-inspect", "docker-network-ls did not answer in 30 s", "docker")


@pytest.mark.parametrize(
    ("forward", "stage", "expected"),
    [
        ("-i {0} ! -o {0} -j ACCEPT", "-i {0} ! -o {0} -j DOCKER-ISOLATION-STAGE-2", FINDING),
        ("-i {0} -o {0} -j ACCEPT", "! -s 172.18.0.0/16 -o {0} -j DROP", CLEAN),
        ("-i {0} -o {0} -j ACCEPT", "! -d 172.18.0.0/16 -i {0} -j DROP", CLEAN),
        ("-i {0} -o {0} -j ACCEPT", "-i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2", UNKNOWN),
    ],
    ids=["outward", "internal", "internal, the other rule", "neither"],
)
def test_a_network_of_which_only_an_endpoint_is_known_may_be_internal(
    site: Any, forward: str, stage: str, expected: Verdict
) -> None:
    known_by_an_endpoint_only(site)
    site.rules(site.MASQUERADE, "")
    out = f"-i {site.BRIDGE} ! -o {site.BRIDGE} -j"
    site.rules(f"-A FORWARD {out} ACCEPT", f"-A FORWARD {forward.format(site.BRIDGE)}")
    site.rules(f"STAGE-1 {out} DOCKER-ISOLATION-STAGE-2", f"STAGE-1 {stage.format(site.BRIDGE)}")
    found = [f for f in site.analysis().findings if f.check == "nat-masquerade-missing"]
    assert [f.confidence for f in found] == ([Confidence.MEDIUM] if expected is FINDING else [])
    outcome = site.outcome("nat-masquerade-missing")
    assert outcome.verdict is expected
    assert expected is CLEAN or "docker network inspect $(docker network ls -q)" in outcome.ask


def test_a_network_of_which_only_an_endpoint_is_known_has_its_rule(site: Any) -> None:
    known_by_an_endpoint_only(site)
    assert "nat-masquerade-missing" not in {finding.check for finding in site.analysis().findings}


@pytest.mark.parametrize(
    ("rule", "remedy"),
    [
        (
            "-A POSTROUTING -j MASQUERADE",
            ("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE", "iptables -t nat -D POSTROUTING -j MASQUERADE"),
        ),
        ("-A POSTROUTING -o br+ -j MASQUERADE", ("iptables -t nat -D POSTROUTING -o br+ -j MASQUERADE",)),
        (
            "-A POSTROUTING ! -s 172.16.0.0/12 ! -o eth1 -j MASQUERADE",
            ("iptables -t nat -D POSTROUTING ! -s 172.16.0.0/12 ! -o eth1 -j MASQUERADE",),
        ),
    ],
)
def test_a_blanket_masquerade_is_limited_to_the_uplink_or_deleted(
    site: Any, rule: str, remedy: tuple[str, ...]
) -> None:
    site.rules(site.MASQUERADE, f"{site.MASQUERADE}[0:0] {rule}\n")
    finding = only_finding(site)
    assert (finding.check, finding.severity) == ("nat-masquerade-too-broad", Severity.WARNING)
    assert finding.remedy == remedy


@pytest.mark.parametrize("words", ["-o eth0", f"-o br-{'b' * 12} -m addrtype --src-type LOCAL", "-s 10.8.0.0/24"])
def test_a_masquerade_that_spares_clients_hides_nobody(site: Any, words: str) -> None:
    site.rules(site.MASQUERADE, f"{site.MASQUERADE}[0:0] -A POSTROUTING {words} -j MASQUERADE\n")
    assert alarms(site) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.99", (FINDING, Severity.ERROR)),  # asked for on the link by ARP, and nobody answers
        ("198.51.100.99", (FINDING, Severity.WARNING)),  # may be routed here
        ("203.0.113.10", (CLEAN, None)),
        ("203.0.113.8-203.0.113.15", (CLEAN, None)),
    ],
)
def test_a_source_address_is_gone_for_sure_only_where_neighbours_ask_for_it(
    site: Any, address: str, expected: tuple[Verdict, Severity | None]
) -> None:
    site.rules(
        "-j MASQUERADE\n[0:0] -A POSTROUTING -s 172.17",
        f"-j SNAT --to-source {address}\n[0:0] -A POSTROUTING -s 172.17",
    )
    found = [f.severity for f in site.analysis().findings if f.check == "nat-snat-hostip-gone"]
    assert (site.verdict("nat-snat-hostip-gone")[0], found[0] if found else None) == expected


def test_a_network_asks_for_its_source_address_and_gets_the_rule_back(site: Any) -> None:
    blue = site.docker("network-inspect")[3]
    blue["Options"] = {"com.docker.network.host_ipv4": "203.0.113.10"}
    site.rules(site.MASQUERADE, "")
    assert only_finding(site).remedy == (
        f"iptables -t nat -I POSTROUTING -s 172.18.0.0/16 ! -o {site.BRIDGE} -j SNAT --to-source 203.0.113.10",
    )


@pytest.mark.parametrize(
    ("bridge", "verdict"),
    [("br-0123456789ab", FINDING), ("docker_gwbridge", FINDING), ("virbr0", CLEAN), ("docker0", CLEAN)],
)
def test_masquerading_is_left_over_when_bridge_and_network_are_gone(site: Any, bridge: str, verdict: Verdict) -> None:
    rule = f"[0:0] -A POSTROUTING -s 172.30.0.0/16 ! -o {bridge} -j MASQUERADE\n"
    site.rules(site.MASQUERADE, site.MASQUERADE + rule)
    assert site.verdict("nat-masquerade-stale-subnet")[0] is verdict


def test_the_rule_of_a_network_whose_bridge_is_gone_is_not_left_over(site: Any) -> None:
    site.docker("network-inspect").append(site.network("7" * 64, "green", subnet="172.30.0.0/16"))
    rule = "[0:0] -A POSTROUTING -s 172.30.0.0/16 ! -o br-777777777777 -j MASQUERADE\n"
    site.rules(site.MASQUERADE, site.MASQUERADE + rule)
    assert site.verdict("nat-masquerade-stale-subnet")[0] is CLEAN


def test_one_flush_of_the_nat_table_is_one_finding(site: Any) -> None:
    kept = (line for line in site.files["host/iptables-save.txt"].splitlines() if not _is_of_nat(line))
    site.files["host/iptables-save.txt"] = "\n".join(kept) + "\n"
    finding = only_finding(site)
    assert finding.check == "nat-docker-jump-missing"
    followers = [evidence.label for evidence in finding.evidence if evidence.label.startswith("follows")]
    assert any("MASQUERADE" in label for label in followers)
    assert any("8080/tcp" in label for label in followers)


def _is_of_nat(line: str) -> bool:
    words = line.split()
    return words[1:2] == ["-A"] and (
        words[2] in ("PREROUTING", "POSTROUTING", "OUTPUT")
        or "DNAT" in words
        or (words[2] == "DOCKER" and "RETURN" in words)
    )


# --- two backends -----------------------------------------------------------------------------------------------------

LEGACY_HEAD = "# Generated by iptables-save v1.8.9 on Mon Nov 23 10:15:00 2026\n"
EMPTY_LEGACY = LEGACY_HEAD + "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


def test_the_other_backend_with_empty_tables_splits_nothing(site: Any) -> None:
    site.files["host/iptables-legacy-save.txt"] = EMPTY_LEGACY
    assert site.verdict("nat-legacy-nft-split")[0] is CLEAN


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        (":FORWARD ACCEPT", ":FORWARD DROP", "iptables-legacy -t filter -P FORWARD ACCEPT"),
        (
            "COMMIT",
            "[0:0] -A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j REJECT\nCOMMIT",
            "iptables-legacy -t filter -D FORWARD -i eth0 -p tcp -m tcp --dport 80 -j REJECT",
        ),
    ],
)
def test_what_the_other_backend_drops_is_undone_there(site: Any, old: str, new: str, remedy: str) -> None:
    site.files["host/iptables-legacy-save.txt"] = EMPTY_LEGACY.replace(old, new)
    (finding,) = [each for each in site.analysis().findings if each.check == "nat-legacy-nft-split"]
    assert finding.remedy == (remedy,)


def test_a_rule_of_the_other_backend_about_somebody_else_splits_nothing(site: Any) -> None:
    rule = "[0:0] -A FORWARD -s 192.0.2.0/24 -j DROP\nCOMMIT"
    site.files["host/iptables-legacy-save.txt"] = EMPTY_LEGACY.replace("COMMIT", rule)
    assert site.verdict("nat-legacy-nft-split")[0] is CLEAN


def test_the_command_was_switched_under_the_engine(site: Any) -> None:
    site.files["host/iptables-version.txt"] = "iptables v1.8.9 (legacy)\n"
    finding = only_finding(site)
    assert finding.check == "nat-legacy-nft-split"
    assert finding.remedy[0] == "update-alternatives --set iptables /usr/sbin/iptables-nft"


def test_rules_left_in_the_backend_before_are_taken_away_and_no_others(site: Any) -> None:
    site.files["host/iptables-version.txt"] = "iptables v1.8.9 (nf_tables)\n"
    mine = "[0:0] -A FORWARD -s 192.0.2.0/24 -j DROP\n"
    old = site.RULES.partition("\n")[2].replace(
        "[0:0] -A FORWARD -j DOCKER-USER\n", f"{mine}[0:0] -A FORWARD -j DOCKER-USER\n"
    )
    site.files["host/iptables-legacy-save.txt"] = LEGACY_HEAD + old.replace(":FORWARD DROP", ":FORWARD ACCEPT")
    (finding,) = [each for each in site.analysis().findings if each.check == "nat-legacy-nft-split"]
    assert finding.severity is Severity.WARNING
    assert "iptables-legacy -t filter -D FORWARD -j DOCKER-USER" in finding.remedy
    assert "iptables-legacy -t filter -X DOCKER-ISOLATION-STAGE-1" in finding.remedy
    assert f"iptables-legacy -t nat -D POSTROUTING -s 172.18.0.0/16 ! -o {site.BRIDGE} -j MASQUERADE" in finding.remedy
    assert not any("192.0.2.0" in command for command in finding.remedy)


# --- tables that the kernel refuses ----------------------------------------------------------------------------------

NO_TABLE = (
    "driver failed programming external connectivity on endpoint web (5ee1): (iptables failed: iptables --wait -t nat "
    "-A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0: iptables v1.8.7 "
    "(legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)\nPerhaps iptables "
    "or your kernel needs to be upgraded.\n (exit status 3))"
)
NO_SET = (
    "failed to create NAT chain DOCKER: iptables failed: iptables --wait -t filter -A FORWARD -m set --match-set "
    "docker-ext-bridges-v4 dst -j DOCKER: Warning: Extension set revision 0 not supported, missing kernel module?"
)


@pytest.mark.parametrize(("error", "module"), [(NO_TABLE, "iptable_nat"), (NO_SET, "ip_set")])
def test_a_container_tells_what_the_kernel_lacks(site: Any, error: str, module: str) -> None:
    db = site.container("e" * 64, "db", {}, status="created", pid=0)
    db["State"]["Error"] = error
    site.docker("inspect").append(db)
    (finding,) = [each for each in site.analysis().findings if each.check == "nat-table-unavailable"]
    assert finding.remedy[0] == f"modprobe {module}"
    assert [subject.name for subject in finding.subjects][:1] == ["db"]


@pytest.mark.parametrize("error", ["", "iptables: No chain/target/match by that name.", "port is already allocated"])
def test_other_errors_are_not_the_kernel_s(site: Any, error: str) -> None:
    db = site.container("e" * 64, "db", {}, status="created", pid=0)
    db["State"]["Error"] = error
    site.docker("inspect").append(db)
    assert site.verdict("nat-table-unavailable")[0] is CLEAN


# --- connection tracking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "severity"), [(1000, None), (749, None), (750, Severity.WARNING), (900, Severity.ERROR)]
)
def test_a_table_of_connections_is_full_before_its_last_entry(site: Any, count: int, severity: Severity | None) -> None:
    limit = 1000 if severity or count < 1000 else 262144
    site.files["host/sysctl.txt"] += (
        f"net.netfilter.nf_conntrack_count = {count}\nnet.netfilter.nf_conntrack_max = {limit}\n"
    )
    found = [finding.severity for finding in site.analysis().findings]
    assert found == ([severity] if severity else [])


def test_a_container_counts_its_connections_itself(site: Any) -> None:
    site.files["host/sysctl.txt"] += "net.netfilter.nf_conntrack_count = 7\nnet.netfilter.nf_conntrack_max = 1000\n"
    site.files[f"netns/{site.WEB}/sysctl.txt"] = "net.netfilter.nf_conntrack_count = 999\n"
    finding = only_finding(site)
    assert [(subject.kind, subject.name) for subject in finding.subjects] == [
        ("sysctl", "net.netfilter.nf_conntrack_max"),
        ("container", "web"),
    ]


def test_a_table_that_was_full_once_is_a_note(site: Any) -> None:
    site.files["host/sysctl.txt"] += "net.netfilter.nf_conntrack_count = 7\nnet.netfilter.nf_conntrack_max = 1000\n"
    site.files["host/conntrack-stats.txt"] = (
        "cpu=0 \tfound=0 invalid=2 insert=0 insert_failed=0 drop=0 early_drop=41 error=0\n"
    )
    finding = only_finding(site)
    assert (finding.check, finding.severity) == ("conntrack-table-full", Severity.NOTE)


@pytest.mark.parametrize(
    ("failed", "forwarded", "verdict"),
    [(120, 90_000, FINDING), (120, 90_000_000, CLEAN), (99, 1000, CLEAN), (5000, None, FINDING), (900, None, CLEAN)],
)
def test_lost_entries_are_weighed_against_the_traffic(
    site: Any, failed: int, forwarded: int | None, verdict: Verdict
) -> None:
    site.files["host/sysctl.txt"] += "net.netfilter.nf_conntrack_count = 7\nnet.netfilter.nf_conntrack_max = 1000\n"
    site.files["host/conntrack-stats.txt"] = (
        f"cpu=0 \tfound=0 invalid=2 insert=0 insert_failed={failed} drop=0 early_drop=0\n"
    )
    if forwarded is not None:
        site.files["host/nstat.txt"] += f"IpForwDatagrams                 {forwarded}              0.0\n"
    assert site.verdict("conntrack-insert-failed")[0] is verdict


@pytest.mark.parametrize(
    ("target", "verdict"),
    [("CT --notrack", FINDING), ("NOTRACK", FINDING), ("CT --helper ftp", CLEAN), ("CT --zone 7", CLEAN)],
)
def test_only_notrack_takes_out_of_tracking(site: Any, target: str, verdict: Verdict) -> None:
    rule = f"[0:0] -A PREROUTING -p tcp -m tcp --dport 8080 -j {target}"
    raw = f"*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    site.files["host/iptables-save.txt"] += raw
    assert site.verdict("conntrack-notrack-breaks-nat")[0] is verdict


ENTRY = (
    "udp      17 25 src={source} dst={to} sport=40000 dport={port} [UNREPLIED] "
    "src={back} dst={reply} sport={port} dport=40000 mark=0 use=1\n"
)


@pytest.mark.parametrize(
    ("source", "to", "port", "back", "reply", "verdict"),
    [
        ("172.18.0.2", "198.51.100.53", 53, "198.51.100.53", "172.18.0.2", FINDING),
        ("172.18.0.2", "198.51.100.53", 53, "198.51.100.53", "203.0.113.10", CLEAN),  # translated, not answered yet
        ("172.18.0.2", "172.18.0.1", 53, "172.18.0.1", "172.18.0.2", CLEAN),  # to the host
        ("203.0.113.10", "198.51.100.53", 53, "198.51.100.53", "203.0.113.10", CLEAN),  # of the host
        ("172.18.0.2", "255.255.255.255", 67, "255.255.255.255", "172.18.0.2", CLEAN),
    ],
)
def test_an_entry_is_old_when_the_rules_would_now_translate_it(
    site: Any, source: str, to: str, port: int, back: str, reply: str, verdict: Verdict
) -> None:
    site.files["host/conntrack.txt"] = ENTRY.format(source=source, to=to, port=port, back=back, reply=reply)
    assert site.verdict("conntrack-stale-udp")[0] is verdict


# --- kernel settings -------------------------------------------------------------------------------------------------


def test_forwarding_that_is_off_everywhere_is_one_finding(site: Any) -> None:
    site.files["host/sysctl.txt"] = (
        f"net.ipv4.ip_forward = 0\nnet.ipv4.conf.eth0.forwarding = 0\nnet.ipv4.conf.{site.BRIDGE}.forwarding = 0\n"
    )
    assert only_finding(site).check == "sysctl-ip-forward-off"


def test_a_dot_in_an_interface_s_name_is_a_slash_in_its_setting(site: Any) -> None:
    site.files["host/ip-addr.txt"] = (
        site.files["host/ip-addr.txt"].replace("eth0:", "eth0.7:").replace(" eth0\n", " eth0.7\n")
    )
    site.files["host/ip-route.txt"] = site.files["host/ip-route.txt"].replace("dev eth0", "dev eth0.7")
    site.files["host/sysctl.txt"] += "net.ipv4.conf.eth0/7.forwarding = 0\n"
    assert only_finding(site).remedy == ("sysctl -w net.ipv4.conf.eth0/7.forwarding=1",)


@pytest.mark.parametrize(
    ("everywhere", "own", "verdict"), [(8, 0, FINDING), (0, 8, FINDING), (1, 2, CLEAN), (4, 0, CLEAN)]
)
def test_only_one_value_of_arp_ignore_answers_nothing(site: Any, everywhere: int, own: int, verdict: Verdict) -> None:
    site.files["host/sysctl.txt"] += (
        f"net.ipv4.conf.all.arp_ignore = {everywhere}\nnet.ipv4.conf.{site.BRIDGE}.arp_ignore = {own}\n"
    )
    assert site.verdict("sysctl-arp-settings")[0] is verdict


SECOND_UPLINK = """\
7: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:12:34:57 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 65535
    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth1
       valid_lft forever preferred_lft forever
"""


@pytest.mark.parametrize(
    ("uplinks", "value", "dropped", "verdict"),
    [
        (2, 1, 60, FINDING),
        (2, 2, 60, CLEAN),
        (2, 1, 0, CLEAN),
        (1, 1, 60, NOT_APPLICABLE),
    ],
)
def test_a_strict_filter_harms_with_two_ways_out_only(
    site: Any, uplinks: int, value: int, dropped: int, verdict: Verdict
) -> None:
    if uplinks > 1:
        site.files["host/ip-addr.txt"] += SECOND_UPLINK
    site.files["host/sysctl.txt"] += (
        f"net.ipv4.conf.all.rp_filter = {value}\nnet.ipv4.conf.eth0.rp_filter = 0\nnet.ipv4.conf.eth1.rp_filter = 0\n"
    )
    site.files["host/nstat.txt"] += f"TcpExtIPReversePathFilter       {dropped}                0.0\n"
    assert site.verdict("sysctl-rp-filter-strict")[0] is verdict


NEIGHBOURS = "".join(f"172.18.0.{n} dev eth0 lladdr 02:42:ac:12:00:{n:02x} REACHABLE\n" for n in range(2, 92))


@pytest.mark.parametrize(
    ("limit", "state", "verdict"),
    [(100, "STALE", FINDING), (100, "PERMANENT", CLEAN), (1024, "STALE", CLEAN), (None, "STALE", NOT_APPLICABLE)],
)
def test_neighbours_are_counted_as_the_kernel_does(site: Any, limit: int | None, state: str, verdict: Verdict) -> None:
    if limit:
        site.files["host/sysctl.txt"] += f"net.ipv4.neigh.default.gc_thresh3 = {limit}\n"
    site.files["host/ip-neigh.txt"] = NEIGHBOURS.replace("REACHABLE", state)
    assert site.verdict("sysctl-neigh-table-overflow")[0] is verdict


@pytest.mark.parametrize(("column", "verdict"), [("00000a00", FINDING), ("00000010", CLEAN), ("00000000", CLEAN)])
def test_drops_of_a_cpu_are_hexadecimal_and_weighed(site: Any, column: str, verdict: Verdict) -> None:
    site.replace("files/proc-net-softnet-stat.txt", "0000e5a1 00000000", f"0000e5a1 {column}")
    assert site.verdict("sysctl-netdev-backlog-softnet")[0] is verdict


# --- swarm -----------------------------------------------------------------------------------------------------------

OVERLAY_CHECKS = (
    "overlay-data-path-addr-mismatch",
    "overlay-encryption-broken",
    "overlay-gwbridge-problem",
    "overlay-ingress-chain-missing",
    "overlay-ingress-subnet-conflict",
    "overlay-ipvs-idle-timeout",
    "overlay-ipvs-missing",
    "overlay-peer-fdb-missing",
    "overlay-ports-blocked",
    "overlay-tx-checksum",
    "overlay-vxlan-mtu",
    "overlay-vxlan-vni-stale",
)


def test_without_a_swarm_nothing_is_said_of_overlay_networks(site: Any) -> None:
    verdicts = {outcome.check: outcome.verdict for outcome in site.analysis().outcomes}
    assert {verdicts[name] for name in OVERLAY_CHECKS} == {NOT_APPLICABLE}


def in_swarm(site: Any, nodes: int) -> None:
    managers = [{"NodeID": "a", "Addr": "203.0.113.10:2377"}] + [{"NodeID": "b", "Addr": "203.0.113.11:2377"}] * (
        nodes - 1
    )
    site.docker("info")["Swarm"] = {
        "LocalNodeState": "active",
        "NodeAddr": "203.0.113.10",
        "ControlAvailable": True,
        "RemoteManagers": managers,
        "Nodes": nodes,
        "Cluster": {"DataPathPort": 7789},
    }


@pytest.mark.parametrize(
    ("nodes", "rule", "verdict"),
    [
        (2, "-p udp -m udp --dport 7789 -j DROP", FINDING),
        (2, "-p tcp -m tcp --dport 2377 -j REJECT", FINDING),
        (2, "-p udp -m udp --dport 4789 -j DROP", CLEAN),  # not the port of this swarm
        (2, "-s 192.0.2.0/24 -j DROP", CLEAN),
        (1, "-p udp -m udp --dport 7789 -j DROP", NOT_APPLICABLE),
    ],
)
def test_swarm_s_ports_are_those_that_a_manager_tells(site: Any, nodes: int, rule: str, verdict: Verdict) -> None:
    in_swarm(site, nodes)
    site.rules("[0:0] -A FORWARD -j DOCKER-USER\n", f"[0:0] -A INPUT {rule}\n[0:0] -A FORWARD -j DOCKER-USER\n")
    assert site.verdict("overlay-ports-blocked")[0] is verdict


def test_a_policy_that_drops_gets_a_rule_for_each_port(site: Any) -> None:
    in_swarm(site, 2)
    site.rules(":INPUT ACCEPT", ":INPUT DROP")
    (finding,) = [each for each in site.analysis().findings if each.check == "overlay-ports-blocked"]
    assert finding.remedy == (
        "iptables -I INPUT -p udp --dport 7789 -j ACCEPT",
        "iptables -I INPUT -p tcp --dport 7946 -j ACCEPT",
        "iptables -I INPUT -p udp --dport 7946 -j ACCEPT",
        "iptables -I INPUT -p tcp --dport 2377 -j ACCEPT",
    )


@pytest.mark.parametrize(
    ("route", "severity"),
    [
        ("10.0.9.0/24 via 203.0.113.1 dev eth0", Severity.ERROR),
        ("10.0.9.128/25 dev eth0 scope link", Severity.ERROR),
        ("10.0.0.0/8 via 203.0.113.1 dev eth0", Severity.NOTE),  # among others
        ("10.0.8.0/24 via 203.0.113.1 dev eth0", None),
        ("10.0.9.0/24 dev docker0", None),  # the engine's own
    ],
)
def test_a_route_takes_an_overlay_s_addresses_when_it_is_about_them(
    site: Any, route: str, severity: Severity | None
) -> None:
    in_swarm(site, 2)
    mesh = site.network("m" * 25, "mesh", "overlay", subnet="10.0.9.0/24", Scope="swarm")
    site.docker("network-inspect").append(mesh)
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["mesh"] = site.endpoint("m" * 25, "10.0.9.5")
    site.files["host/ip-route.txt"] += route + "\n"
    found = [f.severity for f in site.analysis().findings if f.check == "overlay-ingress-subnet-conflict"]
    assert found == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("option", "mtu", "verdict"),
    [(None, 1500, CLEAN), (None, 1450, FINDING), ("1450", 1450, CLEAN), ("9000", 1500, FINDING)],
)
def test_an_overlay_needs_the_mtu_that_it_was_made_for(
    site: Any, option: str | None, mtu: int, verdict: Verdict
) -> None:
    in_swarm(site, 2)
    options = {"com.docker.network.driver.mtu": option} if option else {}
    mesh = site.network("m" * 25, "mesh", "overlay", subnet="10.0.9.0/24", Scope="swarm", Options=options)
    site.docker("network-inspect").append(mesh)
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["mesh"] = site.endpoint("m" * 25, "10.0.9.5")
    site.replace("host/ip-addr.txt", "mtu 1500 qdisc fq_codel", f"mtu {mtu} qdisc fq_codel")
    assert site.verdict("overlay-vxlan-mtu")[0] is verdict


# --- encrypted networks -----------------------------------------------------------------------------------------------

ENCRYPTED = "overlay-encryption-broken"
MARKING = "-A OUTPUT -p udp -m udp --dport 4789 -j MARK --set-xmark 0xd0c4e3/0xffffffff\n"
CLEAR_TEXT_DROP = "[0:0] -A INPUT -p udp -m policy --dir in --pol none -m udp --dport 4789 -j DROP\n"


def encrypts(site: Any, *, marked: str = f"[90:9900] {MARKING}", drops: str = CLEAR_TEXT_DROP, lost: int = 0) -> None:
    """An encrypted network that leads to another node, with these rules of its own."""
    in_swarm(site, 2)
    peers = [{"Name": "web02-0123456789ab", "IP": "203.0.113.11"}]
    options = {"encrypted": "", "com.docker.network.driver.overlay.vxlanid_list": "4097"}
    mesh = site.network("m" * 25, "mesh", "overlay", "10.0.9.0/24", Scope="swarm", Options=options, Peers=peers)
    site.docker("network-inspect").append(mesh)
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["mesh"] = site.endpoint("m" * 25, "10.0.9.5")
    site.rules("[0:0] -A FORWARD -j DOCKER-USER\n", f"{drops}[0:0] -A FORWARD -j DOCKER-USER\n")
    site.files["host/iptables-save.txt"] += f"*mangle\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{marked}COMMIT\n"
    site.files["files/xfrm-stat.txt"] = f"XfrmInNoStates\t0\nXfrmOutNoStates\t{lost}\n"
    site.facts["files/xfrm-stat.txt"] = {"format": "proc_net_snmp"}


@pytest.mark.parametrize(
    ("case", "severity"),
    [
        ({}, None),
        ({"lost": 3}, None),  # while keys changed, or by a VPN
        ({"lost": 60}, Severity.ERROR),
        ({"marked": f"[0:0] {MARKING}", "lost": 60}, None),  # nothing was sent
        ({"marked": ""}, Severity.ERROR),
        ({"marked": f"[9:900] {MARKING.replace('0xd0c4e3', '0x1')}"}, Severity.ERROR),
        ({"drops": ""}, Severity.WARNING),
    ],
)
def test_an_encrypted_network_has_rules_and_states(site: Any, case: dict[str, Any], severity: Severity | None) -> None:
    encrypts(site, **case)
    found = next((each.severity for each in site.analysis().findings if each.check == ENCRYPTED), None)
    assert found is severity


def test_an_encrypted_network_without_another_node_is_not_programmed(site: Any) -> None:
    encrypts(site, marked="", drops="")
    site.docker("network-inspect")[-1]["Peers"] = [{"Name": "web01-0123456789ab", "IP": "203.0.113.10"}]
    assert site.verdict(ENCRYPTED)[0] is NOT_APPLICABLE


# --- checksums --------------------------------------------------------------------------------------------------------

CHECKSUM = "overlay-tx-checksum"


def got(site: Any, *, wrong: int, segments: int, datagrams: int = 0, wrong_datagrams: int = 0) -> None:
    site.files[f"netns/{site.WEB}/nstat.txt"] = (
        f"#kernel\nTcpInSegs {segments} 0.0\nTcpInCsumErrors {wrong} 0.0\n"
        f"UdpInDatagrams {datagrams} 0.0\nUdpInErrors {wrong_datagrams} 0.0\nUdpInCsumErrors {wrong_datagrams} 0.0\n"
    )


@pytest.mark.parametrize(
    ("counters", "verdict"),
    [
        ({"wrong": 40, "segments": 300}, FINDING),
        ({"wrong": 0, "segments": 300, "wrong_datagrams": 12}, FINDING),
        ({"wrong": 40, "segments": 300000}, CLEAN),  # a bad cable somewhere
        ({"wrong": 3, "segments": 9}, CLEAN),
        ({"wrong": 0, "segments": 300}, CLEAN),
    ],
)
def test_wrong_checksums_among_many_right_ones_are_no_fault(
    site: Any, counters: dict[str, int], verdict: Verdict
) -> None:
    encrypts(site)
    got(site, **counters)
    assert site.verdict(CHECKSUM)[0] is verdict


def test_wrong_checksums_without_a_tunnel_are_none_of_it(site: Any) -> None:
    got(site, wrong=40, segments=300)
    assert site.verdict(CHECKSUM)[0] is NOT_APPLICABLE


def test_a_card_that_is_known_for_wrong_checksums_makes_it_sure(site: Any) -> None:
    encrypts(site)
    got(site, wrong=40, segments=300)
    (finding,) = [each for each in site.analysis().findings if each.check == CHECKSUM]
    assert (finding.confidence.value, finding.remedy) == ("medium", ("ethtool -K eth0 tx-checksum-ip-generic off",))
    site.files["host/ethtool.txt"] += "driver: vmxnet3\nversion: 1.5.0.0-k-NAPI\n"
    (finding,) = [each for each in site.analysis().findings if each.check == CHECKSUM]
    assert finding.confidence.value == "high"
    assert "the driver of eth0: vmxnet3" in [each.label for each in finding.evidence]


# --- clients that docker-proxy hides ----------------------------------------------------------------------------------

HIDDEN = "nat-source-ip-hidden-by-proxy"
IPV6_OF_ETH0 = "    inet6 2001:db8::10/64 scope global\n       valid_lft forever preferred_lft forever\n"
PROXY = "/usr/bin/docker-proxy -proto tcp -host-ip {} -host-port 8080 -container-ip 172.18.0.2 -container-port 80"


def proxied(site: Any, *addresses: str, ipv6: str = IPV6_OF_ETH0) -> None:
    """A host with an IPv6 address and docker-proxies that listen on these of its addresses."""
    site.replace("host/ip-addr.txt", "scope global eth0\n       valid", f"scope global eth0\n{ipv6}       valid")
    site.files["host/ss.txt"] = site.SOCKETS
    for pid, address in enumerate(addresses, 90):
        site.files["host/ps.txt"] += f"     {pid} 4026531840 {PROXY.format(address)}\n"
        where = f"[{address}]" if ":" in address else address
        site.files["host/ss.txt"] += f'tcp LISTEN 0 9 {where}:8080 *:* users:(("docker-proxy",pid={pid},fd=4))\n'


@pytest.mark.parametrize(
    ("addresses", "verdict"),
    [
        (("0.0.0.0", "::"), FINDING),
        (("0.0.0.0", "2001:db8::10"), FINDING),
        (("0.0.0.0",), CLEAN),
        (("0.0.0.0", "::1"), CLEAN),
    ],
)
def test_clients_by_ipv6_look_like_the_gateway(site: Any, addresses: tuple[str, ...], verdict: Verdict) -> None:
    proxied(site, *addresses)
    assert site.verdict(HIDDEN)[0] is verdict
    assert alarms(site) == []


def test_a_container_with_ipv6_sees_its_clients(site: Any) -> None:
    proxied(site, "0.0.0.0", "::")
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["blue"]["GlobalIPv6Address"] = "fd00:6::2"
    assert site.verdict(HIDDEN)[0] is CLEAN


@pytest.mark.parametrize("ipv6", ["", IPV6_OF_ETH0.replace("2001:db8::10", "fe80::10").replace("global", "link")])
def test_nobody_comes_by_ipv6_to_a_host_without_an_address(site: Any, ipv6: str) -> None:
    proxied(site, "0.0.0.0", "::", ipv6=ipv6)
    assert site.verdict(HIDDEN)[0] is NOT_APPLICABLE


def test_a_firewall_may_keep_ipv6_out(site: Any) -> None:
    proxied(site, "0.0.0.0", "::")
    site.files["host/ip6tables-save.txt"] = (
        "# Generated by ip6tables-save v1.8.9 (nf_tables) on Mon Nov 23 10:15:00 2026\n"
        "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        "[0:0] -A INPUT -i lo -j ACCEPT\n[0:0] -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n"
    )
    assert site.verdict(HIDDEN)[0] is CLEAN


def test_one_note_names_all_ports_and_each_gets_its_rule(site: Any) -> None:
    proxied(site, "0.0.0.0", "::")
    (finding,) = [each for each in site.analysis().findings if each.check == HIDDEN]
    assert finding.severity is Severity.NOTE
    assert finding.remedy == ("ip6tables -I INPUT ! -i lo -p tcp --dport 8080 -j REJECT --reject-with tcp-reset",)
