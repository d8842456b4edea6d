"""What is open and what only looks so. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
BYPASS, BY_NAME = "sec-published-bypasses-host-firewall", "sec-input-rule-ineffective"

CLOSED = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
RAW = """\
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
{}COMMIT
"""


def web(site: Any) -> Any:
    return site.docker("inspect")[0]


def inputs(site: Any, rules: str, policy: str = "DROP") -> None:
    """The firewall of the host itself."""
    site.rules(":INPUT ACCEPT [0:0]\n:FORWARD DROP", f":INPUT {policy} [0:0]\n:FORWARD DROP")
    site.rules("[0:0] -A FORWARD -j DOCKER-USER\n", f"{rules}[0:0] -A FORWARD -j DOCKER-USER\n")


def publish(site: Any, port: str, *bindings: dict[str, str]) -> None:
    web(site)["NetworkSettings"]["Ports"] = {port: list(bindings)}


def bound(address: str, port: int = 8080) -> dict[str, str]:
    return {"HostIp": address, "HostPort": str(port)}


def on_loopback(site: Any) -> None:
    """The port is for the host only, and Docker's rule says so."""
    publish(site, "80/tcp", bound("127.0.0.1"))
    site.rules(
        f"-A DOCKER ! -i {site.BRIDGE} -p tcp -m tcp --dport 8080",
        f"-A DOCKER -d 127.0.0.1/32 ! -i {site.BRIDGE} -p tcp -m tcp --dport 8080",
    )


def raw(site: Any, *rules: str) -> None:
    site.files["host/iptables-save.txt"] += RAW.format("".join(f"{rule}\n" for rule in rules))


# --- the firewall of the host -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "policy", "bypass", "by_name"),
    [
        (CLOSED, "DROP", FINDING, CLEAN),
        (CLOSED, "ACCEPT", CLEAN, CLEAN),
        (CLOSED + "-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT\n", "DROP", CLEAN, CLEAN),
        (CLOSED + "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j ACCEPT\n", "DROP", FINDING, CLEAN),
        (CLOSED + "-A INPUT -i eth0 -j REJECT --reject-with icmp-port-unreachable\n", "ACCEPT", FINDING, CLEAN),
        (CLOSED + "-A INPUT -i docker0 -j DROP\n", "ACCEPT", CLEAN, CLEAN),
        ("-A INPUT -p tcp -m tcp --dport 8080 -j DROP\n", "ACCEPT", CLEAN, FINDING),
        ("-A INPUT -p tcp -m multiport --dports 80,8000:8100 -j DROP\n", "ACCEPT", CLEAN, FINDING),
        ("-A INPUT -p tcp -m tcp --dport 8081 -j DROP\n", "ACCEPT", CLEAN, CLEAN),
        ("-A INPUT -p udp -m udp --dport 8080 -j DROP\n", "ACCEPT", CLEAN, CLEAN),
        ("-A INPUT -i lo -p tcp -m tcp --dport 8080 -j DROP\n", "ACCEPT", CLEAN, CLEAN),
        ("-A INPUT -p tcp -m tcp --dport 8080 -m mark --mark 0x1 -j DROP\n", "ACCEPT", UNKNOWN, UNKNOWN),
    ],
)
def test_what_the_host_s_own_rules_close(site: Any, rules: str, policy: str, bypass: Verdict, by_name: Verdict) -> None:
    inputs(site, rules, policy)
    assert (site.verdict(BYPASS)[0], site.verdict(BY_NAME)[0]) == (bypass, by_name)


@pytest.mark.parametrize(
    "rule",
    [
        "-A DOCKER-USER -i eth0 -j DROP\n",
        "-A DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW --ctorigdstport 8080 -j DROP\n",
        "-A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j DROP\n",
    ],
)
def test_what_docker_user_closes_too_is_closed(site: Any, rule: str) -> None:
    inputs(site, CLOSED)
    if "DOCKER-USER" in rule:
        site.rules(site.USER_RETURN, rule + site.USER_RETURN)
    else:
        site.rules("[0:0] -A FORWARD -j DOCKER-USER\n", rule + "[0:0] -A FORWARD -j DOCKER-USER\n")
    assert site.verdict(BYPASS)[0] is CLEAN


def test_a_rule_that_comes_before_the_translation_closes_the_port(site: Any) -> None:
    inputs(site, "-A INPUT -p tcp -m tcp --dport 8080 -j DROP\n", "ACCEPT")
    assert site.verdict(BY_NAME)[0] is FINDING
    raw(site, "-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DROP")
    assert (site.verdict(BYPASS)[0], site.verdict(BY_NAME)[0]) == (CLEAN, CLEAN)


def test_a_port_that_docker_proxy_alone_serves_passes_input(site: Any) -> None:
    inputs(site, CLOSED)
    site.rules(site.TRANSLATION, "")
    assert site.verdict(BYPASS)[0] is CLEAN


def test_a_firewall_in_nftables_counts_as_well(site: Any) -> None:
    site.skipped = site.skipped[:1]
    site.files["host/nft-ruleset.txt"] = (
        "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n"
        "\t\tct state established,related accept\n\t\ttcp dport 22 accept\n\t}\n}\n"
    )
    assert site.verdict(BYPASS)[0] is FINDING


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_for_the_host_only_is_no_bypass(site: Any, address: str) -> None:
    inputs(site, CLOSED)
    publish(site, "80/tcp", bound(address))
    assert site.verdict(BYPASS)[0] in (CLEAN, NOT_APPLICABLE)


def test_without_a_way_outside_nobody_comes_in(site: Any) -> None:
    inputs(site, CLOSED)
    site.replace("host/ip-route.txt", "default via 203.0.113.1 dev eth0\n", "")
    site.facts["host/ip-route.txt"] = {"argv": ["ip", "route", "show", "table", "all"]}
    assert site.verdict(BYPASS)[0] is NOT_APPLICABLE


# --- services that ask nobody -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "more", "expected"),
    [
        ("6379/tcp", {}, FINDING),
        ("6379/tcp", {"Args": ["redis-server", "--requirepass", "<masked>"]}, CLEAN),
        ("27017/tcp", {"Config": {"Env": ["MONGO_INITDB_ROOT_USERNAME=<masked>"]}}, CLEAN),
        ("6379/tcp", {"Config": {"Env": ["ALLOW_EMPTY_PASSWORD=<masked>", "PATH=<masked>"]}}, FINDING),
        ("5432/tcp", {}, CLEAN),
        ("6379/udp", {}, CLEAN),
    ],
)
def test_which_services_ask_nobody_for_a_password(site: Any, port: str, more: Any, expected: Verdict) -> None:
    publish(site, port, bound("0.0.0.0"))
    web(site).update(more)
    number, _, protocol = port.partition("/")
    site.rules("--to-destination 172.18.0.2:80", f"--to-destination 172.18.0.2:{number}")
    site.rules("-p tcp -m tcp --dport 80 -j ACCEPT", f"-p {protocol} -m {protocol} --dport {number} -j ACCEPT")
    assert site.verdict("sec-sensitive-service-exposed")[0] is expected


# --- neighbours that route to containers ------------------------------------------------------------------------------


def test_a_port_for_the_host_only_is_open_to_neighbours_before_28(site: Any) -> None:
    on_loopback(site)
    (finding,) = [f for f in site.analysis().findings if f.severity is not Severity.NOTE]
    assert finding.check == "sec-direct-routing-pre28"
    assert finding.remedy == (
        "iptables -t raw -I PREROUTING -i eth0 -d 172.18.0.0/16 -j DROP",
        "iptables -t raw -I PREROUTING -i eth0 -d 127.0.0.0/8 -j DROP",
    )
    raw(site, "-A PREROUTING -i eth0 -d 172.18.0.0/16 -j DROP")
    (finding,) = [f for f in site.analysis().findings if f.severity is not Severity.NOTE]
    assert finding.check == "sec-loopback-publish-lan-reachable"


@pytest.mark.parametrize(
    "change",
    [
        lambda site: site.rules(site.USER_RETURN, "-A DOCKER-USER -i eth0 -j DROP\n" + site.USER_RETURN),
        lambda site: raw(
            site,
            "-A PREROUTING -d 172.18.0.2/32 ! -i br-bbbbbbbbbbbb -j DROP",
            "-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP",
        ),
        lambda site: site.replace("host/sysctl.txt", "eth0.forwarding = 1", "eth0.forwarding = 0"),
        lambda site: (
            site.docker("version")["Server"].update(Version="28.5.2"),
            site.rules("-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32", "-A POSTROUTING -s 172.18.0.2/32"),
        ),
    ],
    ids=["DOCKER-USER", "raw", "no forwarding", "28"],
)
def test_what_keeps_neighbours_out(site: Any, change: Any) -> None:
    on_loopback(site)
    change(site)
    found = {f.check for f in site.analysis().findings if f.severity is not Severity.NOTE}
    assert "sec-direct-routing-pre28" not in found


@pytest.mark.parametrize(
    ("policy", "socket", "expected"),
    [
        ("ACCEPT", "tcp LISTEN 0 9 *:9000 *:*", FINDING),
        ("DROP", "tcp LISTEN 0 9 *:9000 *:*", CLEAN),
        ("ACCEPT", "tcp LISTEN 0 9 127.0.0.1:9000 *:*", CLEAN),
        ("ACCEPT", "tcp LISTEN 0 9 *:80 *:*", CLEAN),
    ],
)
def test_a_policy_matters_where_somebody_listens(site: Any, policy: str, socket: str, expected: Verdict) -> None:
    site.rules(":FORWARD DROP", f":FORWARD {policy}")
    site.files[f"netns/{site.WEB}/ss.txt"] = site.INNER_SOCKETS + "tcp LISTEN 0 9 *:80 *:*\n" + socket + "\n"
    assert site.verdict("sec-forward-policy-accept")[0] is expected


def test_a_host_that_forwards_for_others_keeps_its_policy(site: Any) -> None:
    site.rules(":FORWARD DROP", ":FORWARD ACCEPT")
    site.files[f"netns/{site.WEB}/ss.txt"] = site.INNER_SOCKETS + "tcp LISTEN 0 9 *:80 *:*\ntcp LISTEN 0 9 *:9000 *:*\n"
    alone = next(f for f in site.analysis().findings if f.check == "sec-forward-policy-accept")
    assert alone.remedy == ("iptables -P FORWARD DROP",)
    site.files["host/ip-addr.txt"] += "9: wg0: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1420 state UNKNOWN\n    link/none\n"
    beside = next(f for f in site.analysis().findings if f.check == "sec-forward-policy-accept")
    assert beside.remedy == ("iptables -t raw -I PREROUTING -i eth0 -d 172.18.0.0/16 -j DROP",)


# --- the daemon -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-H\ntcp://0.0.0.0:2375\n", {Severity.ERROR}),
        ("-H\ntcp://203.0.113.10:2375\n", {Severity.ERROR}),
        ("--host=tcp://:4243\n", {Severity.ERROR}),
        ("-H\ntcp://[::]:2375\n", {Severity.ERROR}),
        ("-H\ntcp://127.0.0.1:2375\n", {Severity.WARNING}),
        ("-H\ntcp://0.0.0.0:2376\n--tlsverify\n", set()),
        ("-H\ntcp://0.0.0.0:2376\n--tls\n", {Severity.ERROR}),
        ("-H\nunix:///run/other.sock\n", set()),
    ],
)
def test_where_docker_takes_commands(site: Any, arguments: str, expected: set[Severity]) -> None:
    site.files["docker/dockerd-cmdline.txt"] += arguments
    found = [f for f in site.analysis().findings if f.check == "sec-docker-api-tcp"]
    assert {f.severity for f in found} == expected


def test_an_api_that_input_closes_is_for_those_inside(site: Any) -> None:
    inputs(site, CLOSED + "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT\n")
    site.docker("info")["Warnings"] = ["WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n  More"]
    (finding,) = [f for f in site.analysis().findings if f.check == "sec-docker-api-tcp"]
    assert finding.severity is Severity.WARNING


def test_the_command_that_closes_the_api_names_the_option(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "-H\ntcp://0.0.0.0:2375\n"
    (finding,) = [f for f in site.analysis().findings if f.check == "sec-docker-api-tcp"]
    assert finding.remedy[0].startswith(r"sed -i 's#--\?H[= ]tcp://0\.0\.0\.0:2375##' $(grep -rlse ")
    assert finding.remedy[1:] == ("systemctl daemon-reload", "systemctl restart docker", "docker start web")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", FINDING),
        ("-A POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE\n", CLEAN),
        ("-A POSTROUTING -o eth0 -j SNAT --to-source 203.0.113.10\n", CLEAN),
        ("-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE\n", FINDING),
        ("-A POSTROUTING -o tun0 -j MASQUERADE\n", FINDING),
    ],
)
def test_rules_of_somebody_else_in_place_of_docker_s(site: Any, rules: str, expected: Verdict) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--iptables=false\n"
    site.files["host/iptables-save.txt"] = (
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 10:15:00 2026\n*nat\n"
        f":PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    )
    assert site.verdict("sec-iptables-disabled")[0] is expected


@pytest.mark.parametrize(
    ("source", "ports", "expected"),
    [
        ("/var/run/docker.sock", {}, {Severity.NOTE}),
        ("/run", {}, {Severity.NOTE}),
        ("/", {}, {Severity.NOTE}),
        ("/var/run/", {"80/tcp": [bound("0.0.0.0")]}, {Severity.WARNING}),
        ("/run/docker.sock", {"80/tcp": [bound("127.0.0.1")]}, {Severity.NOTE}),
        ("/var/run/docker.sock.d", {}, set()),
        ("/run/docker", {}, set()),
    ],
)
def test_which_mounts_hold_the_socket_of_docker(site: Any, source: str, ports: Any, expected: set[Severity]) -> None:
    web(site)["Mounts"] = [{"Type": "bind", "Source": source, "Destination": "/x", "RW": False}]
    web(site)["NetworkSettings"]["Ports"] = ports
    found = [f for f in site.analysis().findings if f.check == "sec-docker-sock-mounted"]
    assert {f.severity for f in found} == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"NetworkMode": "host", "CapAdd": ["NET_ADMIN"]}, FINDING),
        ({"NetworkMode": "host", "CapAdd": ["CAP_NET_ADMIN"]}, FINDING),
        ({"NetworkMode": "host", "CapAdd": ["all"]}, FINDING),
        ({"NetworkMode": "host", "CapAdd": ["NET_RAW"]}, CLEAN),
        ({"NetworkMode": "host", "CapAdd": None}, CLEAN),
        ({"NetworkMode": "blue", "CapAdd": ["NET_ADMIN"]}, CLEAN),
        ({"NetworkMode": "blue", "Privileged": True}, FINDING),
    ],
)
def test_who_may_change_the_host_s_network(site: Any, asked: dict[str, Any], expected: Verdict) -> None:
    web(site)["HostConfig"].update(asked)
    assert site.verdict("sec-host-network")[0] is expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("19.03.15", FINDING),
        ("20.10.24+dfsg1", FINDING),
        ("25.0.12", FINDING),
        ("25.0.13", CLEAN),
        ("26.1.5", FINDING),
        ("27.5.1", FINDING),
        ("28.0.1", CLEAN),
        ("28.2.0", FINDING),
        ("28.3.2", FINDING),
        ("28.3.3", CLEAN),
        ("29.0.0", CLEAN),
        ("library-import", UNKNOWN),
    ],
)
def test_which_versions_lose_rules_with_firewalld(site: Any, version: str, expected: Verdict) -> None:
    site.docker("version")["Server"]["Version"] = version
    site.skipped = site.skipped[:1]
    site.files["host/nft-ruleset.txt"] = "table inet firewalld {\n\tchain filter_INPUT {\n\t}\n}\n"
    assert site.verdict("sec-firewalld-reload-cve")[0] is expected


def test_without_firewalld_nothing_is_reloaded(site: Any) -> None:
    assert site.verdict("sec-firewalld-reload-cve")[0] is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"accept_ra": "0", "disable_ipv6": "0", "forwarding": "0"}, CLEAN),
        ({"accept_ra": "1", "disable_ipv6": "0", "forwarding": "0"}, FINDING),
        ({"accept_ra": "1", "disable_ipv6": "0", "forwarding": "1"}, CLEAN),
        ({"accept_ra": "2", "disable_ipv6": "0", "forwarding": "1"}, FINDING),
        ({"accept_ra": "2", "disable_ipv6": "1", "forwarding": "0"}, CLEAN),
    ],
)
def test_when_a_bridge_accepts_router_advertisements(site: Any, settings: dict[str, str], expected: Verdict) -> None:
    site.replace("host/sysctl.txt", f"net.ipv6.conf.{site.BRIDGE}.accept_ra = 0\n", "")
    site.files["host/sysctl.txt"] += "".join(f"net.ipv6.conf.{site.BRIDGE}.{k} = {v}\n" for k, v in settings.items())
    assert site.verdict("sec-ipv6-ra-spoof")[0] is expected


# --- swarm and IPv6 ---------------------------------------------------------------------------------------------------

SWARM = (
    "tcp LISTEN 0 9 *:2377 *:*\ntcp LISTEN 0 9 *:7946 *:*\nudp UNCONN 0 0 *:7946 *:*\nudp UNCONN 0 0 0.0.0.0:4789 *:*\n"
)


@pytest.mark.parametrize(
    ("state", "address", "rules", "expected"),
    [
        ("active", "5.9.0.10", "", FINDING),
        ("active", "10.0.0.10", "", NOT_APPLICABLE),
        ("inactive", "5.9.0.10", "", NOT_APPLICABLE),
        ("active", "5.9.0.10", "-A INPUT -i eth0 ! -s 5.9.0.0/24 -j DROP\n", CLEAN),
    ],
)
def test_ports_of_swarm_on_a_public_address(site: Any, state: str, address: str, rules: str, expected: Verdict) -> None:
    site.docker("info")["Swarm"]["LocalNodeState"] = state
    site.replace("host/ip-addr.txt", "inet 203.0.113.10/24 brd 203.0.113.255", f"inet {address}/24 brd 203.0.113.255")
    inputs(site, rules, "ACCEPT")
    site.files["host/ss.txt"] = site.SOCKETS + "tcp LISTEN 0 9 *:8080 *:*\n" + SWARM
    assert site.verdict("sec-swarm-ports-public")[0] is expected


V6_SAVE = (
    "# Generated by ip6tables-save v1.8.9 (nf_tables) on x\n*filter\n"
    ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n{}COMMIT\n"
)
ONLY_NEAR = (
    "-A DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW --ctorigdstport 8080 -j DROP\n"
)


@pytest.mark.parametrize(
    ("address", "binding", "v4_rule", "v6_rule", "expected"),
    [
        ("2001:db8::10/64", "::", ONLY_NEAR, "", FINDING),
        ("2001:db8::10/64", "::", "", "", CLEAN),
        ("2001:db8::10/64", "::", ONLY_NEAR, "-A INPUT -p tcp -m tcp --dport 8080 -j DROP\n", CLEAN),
        ("2001:db8::10/64", "::", ONLY_NEAR, "-A INPUT -p tcp -m tcp --dport 8081 -j DROP\n", FINDING),
        ("fd00::10/64", "::", ONLY_NEAR, "", NOT_APPLICABLE),
        ("2001:db8::10/64", "203.0.113.10", ONLY_NEAR, "", CLEAN),
    ],
)
def test_what_ipv4_closes_and_ipv6_does_not(
    site: Any, address: str, binding: str, v4_rule: str, v6_rule: str, expected: Verdict
) -> None:
    publish(site, "80/tcp", bound("0.0.0.0"), bound(binding))
    site.replace(
        "host/ip-addr.txt", "    inet 203.0.113.10/24", f"    inet6 {address} scope global\n    inet 203.0.113.10/24"
    )
    site.files["host/ip6-route.txt"] = "default via fe80::1 dev eth0 metric 1024\n"
    site.facts["host/ip6-route.txt"] = {"argv": ["ip", "-6", "route", "show", "table", "all"], "format": "ip_route"}
    site.files["host/ip6tables-save.txt"] = V6_SAVE.format(v6_rule)
    if v4_rule:
        site.rules(site.USER_RETURN, v4_rule + site.USER_RETURN)
    assert site.verdict("ipv6-published-unexpected")[0] is expected


# --- releases of the engine -------------------------------------------------------------------------------------------

RELEASES = "sec-eol-docker"


def runs(site: Any, version: str) -> None:
    site.docker("version")["Server"]["Version"] = version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("25.0.0", FINDING),
        ("25.0.2", FINDING),
        ("25.0.3", CLEAN),
        ("29.7.2", CLEAN),
        ("24.0.9", FINDING),
        ("18.09.9", FINDING),
        ("17.12.1-ce", FINDING),
        ("20.10.24+dfsg1", NOT_APPLICABLE),
        ("24.0.7-0ubuntu4", NOT_APPLICABLE),
        ("30.0.0", NOT_APPLICABLE),  # nobody has looked at it
        ("dev", NOT_APPLICABLE),
    ],
)
def test_a_build_of_a_distribution_may_be_repaired(site: Any, version: str, expected: Verdict) -> None:
    runs(site, version)
    assert site.verdict(RELEASES)[0] is expected


def test_a_fault_of_what_the_host_does_not_have_is_not_named(site: Any) -> None:
    runs(site, "28.0.0")
    assert site.verdict(RELEASES)[0] is CLEAN
    site.docker("info")["Swarm"]["LocalNodeState"] = "active"
    assert "swarm" in site.verdict(RELEASES)[1]


def test_bridged_packets_may_be_filtered_without_the_engines_help(site: Any) -> None:
    runs(site, "27.3.1")
    assert site.verdict(RELEASES)[0] is CLEAN
    site.files["docker/dockerd-cmdline.txt"] += "--userland-proxy=false\n"
    assert "br_netfilter" in site.verdict(RELEASES)[1]
    site.files["host/sysctl.txt"] += "net.bridge.bridge-nf-call-iptables = 1\n"
    assert site.verdict(RELEASES)[0] is CLEAN


def test_all_that_a_release_is_known_for_is_one_note(site: Any) -> None:
    runs(site, "20.10.6")
    site.files["host/sysctl.txt"] += "net.ipv6.conf.all.disable_ipv6 = 1\n"
    found = [each for each in site.analysis().findings if each.check == RELEASES]
    assert [each.message for each in found] == [
        "Docker 20.10.6 is known for this: containers with published ports do not start without IPv6;"
        " its line gets no more repairs"
    ]
    assert found[0].severity is Severity.NOTE
