"""What a careless check of ports would take for a fault, or for health. Each test changes one thing of a sound host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

#: The bridge of the site's own network.
BRIDGE = "br-" + "b" * 12

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
NO_LISTENER, LOOPBACK, MISMATCH = "port-no-listener", "port-listener-loopback-only", "port-proto-or-family-mismatch"
COLLECTED_AT = "2026-11-23T10:15:00Z"


def inside(site: Any, *lines: str) -> None:
    """What `ss` prints in the container."""
    site.files[f"netns/{site.WEB}/ss.txt"] = site.INNER_SOCKETS + "".join(f"{line}\n" for line in lines)


def on_host(site: Any, *lines: str) -> None:
    site.files["host/ss.txt"] = site.SOCKETS + "".join(f"{line}\n" for line in lines)


def web(site: Any) -> Any:
    return site.docker("inspect")[0]


def refused(site: Any, error: str, state: str = "created") -> None:
    """A second container that was not started."""
    late = site.container("1" * 64, "late", {}, status=state, pid=0)
    late["State"]["Error"] = error
    late["HostConfig"]["PortBindings"] = {"53/udp": [{"HostIp": "", "HostPort": "5353"}]}
    site.docker("inspect").append(late)


# --- who listens in a container ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        ("tcp LISTEN 0 9 *:80 *:*", None),
        ("tcp LISTEN 0 9 0.0.0.0:80 0.0.0.0:*", None),
        ("tcp LISTEN 0 9 172.18.0.2:80 0.0.0.0:*", None),
        ("tcp LISTEN 0 9 [::ffff:172.18.0.2]:80 *:*", None),
        ("tcp LISTEN 0 9 :::80 :::*", None),  # an old ss does not tell whether IPv4 comes there too
        ("tcp LISTEN 0 9 *%eth0:80 *:*", None),
        ("tcp LISTEN 0 9 127.0.0.1:80 0.0.0.0:*", LOOPBACK),
        ("tcp LISTEN 0 9 [::1]:80 [::]:*", LOOPBACK),
        ("tcp LISTEN 0 9 [::ffff:127.0.0.1]:80 *:*", LOOPBACK),
        ("tcp LISTEN 0 9 [::]:80 [::]:*", MISMATCH),
        ("udp UNCONN 0 0 *:80 *:*", MISMATCH),
        ("udp UNCONN 0 0 127.0.0.1:80 0.0.0.0:*", NO_LISTENER),
        ("tcp LISTEN 0 9 172.18.0.99:80 0.0.0.0:*", NO_LISTENER),
        ("tcp LISTEN 0 9 127.0.0.11:80 0.0.0.0:*", NO_LISTENER),  # Docker's own resolver
        ("tcp ESTAB 0 0 172.18.0.2:80 203.0.113.9:4711", NO_LISTENER),
        ("tcp LISTEN 0 9 *:8080 *:*", NO_LISTENER),
    ],
)
def test_which_sockets_answer_on_a_published_port(site: Any, socket: str, expected: str | None) -> None:
    inside(site, socket)
    found = [finding.check for finding in site.analysis().findings]
    assert found == ([expected] if expected else [])


def test_a_second_socket_for_others_is_enough(site: Any) -> None:
    inside(site, "tcp LISTEN 0 9 127.0.0.1:80 0.0.0.0:*", "tcp LISTEN 0 9 172.18.0.2:80 0.0.0.0:*")
    assert site.analysis().findings == ()


@pytest.mark.parametrize("check", [NO_LISTENER, LOOPBACK, MISMATCH])
@pytest.mark.parametrize("trouble", ["lost", "truncated", "names", "kernel of its own", "sctp"])
def test_who_listens_is_an_open_question(site: Any, check: str, trouble: str) -> None:
    path = f"netns/{site.WEB}/ss.txt"
    inside(site)
    if trouble == "lost":
        site.files[path] = ""
        site.facts[path] = {"exit_code": 1}
    elif trouble == "truncated":
        site.facts[path] = {"truncated": True}
    elif trouble == "names":
        inside(site, "tcp LISTEN 0 9 *:http *:*")
    elif trouble == "kernel of its own":
        web(site)["HostConfig"]["Runtime"] = "io.containerd.kata.v2"
    else:
        web(site)["NetworkSettings"]["Ports"] = {"80/sctp": site.published(8080)}
    assert site.verdict(check)[0] is UNKNOWN
    assert not {NO_LISTENER, LOOPBACK, MISMATCH} & {finding.check for finding in site.analysis().findings}


def test_what_is_missing_can_be_asked_for_by_a_command(site: Any) -> None:
    site.files[f"netns/{site.WEB}/ss.txt"] = ""
    site.facts[f"netns/{site.WEB}/ss.txt"] = {"exit_code": 1}
    (outcome,) = [outcome for outcome in site.analysis().outcomes if outcome.check == NO_LISTENER]
    assert outcome.ask == ("nsenter --net=/var/run/docker/netns/0123456789ab ss -tulpn",)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"StartedAt": "2026-11-23T10:14:55Z"}, UNKNOWN),
        ({"StartedAt": "2026-11-23T10:14:40Z"}, FINDING),
        ({"StartedAt": "0001-01-01T00:00:00Z"}, FINDING),
        ({"Health": {"Status": "starting"}}, UNKNOWN),
        ({"Health": {"Status": "unhealthy"}}, FINDING),
        ({"Status": "restarting"}, NOT_APPLICABLE),
        ({"Status": "exited"}, NOT_APPLICABLE),
    ],
)
def test_a_container_that_is_still_starting_is_not_judged(site: Any, state: Any, expected: Verdict) -> None:
    web(site)["State"].update(state)
    inside(site)
    assert site.verdict(NO_LISTENER, clock={"wall": COLLECTED_AT, "monotonic": 1.0, "timezone": "UTC"})[0] is expected


@pytest.mark.parametrize(
    ("ports", "listening", "silent"),
    [
        ([80, *range(30000, 30010)], [80], []),
        ([80, *range(30000, 30010)], [], [80, *range(30000, 30010)]),
        ([80, 81], [80], [81]),
        ([80, 90, 91, 93], [80], [90, 91, 93]),
        ([*range(7000, 7004)], [7001], []),
    ],
)
def test_of_a_pool_of_ports_a_server_opens_what_it_needs(
    site: Any, ports: list[int], listening: list[int], silent: list[int]
) -> None:
    web(site)["NetworkSettings"]["Ports"] = {f"{port}/tcp": site.published(port) for port in ports}
    inside(site, *(f"tcp LISTEN 0 9 *:{port} *:*" for port in listening))
    found = [f for f in site.analysis().findings if f.check == NO_LISTENER]
    assert [s.name for f in found for s in f.subjects if s.kind == "port"] == [f"{port}/tcp" for port in silent]


def test_a_protocol_that_is_offered_beside_another_one_is_no_fault(site: Any) -> None:
    web(site)["NetworkSettings"]["Ports"]["80/udp"] = site.published(8080)
    inside(site, "tcp LISTEN 0 9 *:80 *:*")
    assert site.verdict(NO_LISTENER)[0] is CLEAN
    assert site.verdict(MISMATCH)[0] is CLEAN


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15006", CLEAN),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:15006", CLEAN),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15007", FINDING),
        ("-A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 15006", FINDING),
    ],
)
def test_a_proxy_in_the_container_takes_what_comes(site: Any, rule: str, expected: Verdict) -> None:
    site.files[f"netns/{site.WEB}/iptables-save.txt"] = (
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 10:15:00 2026\n*nat\n"
        f":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    )
    inside(site, "tcp LISTEN 0 9 *:15006 *:*")
    assert site.verdict(NO_LISTENER)[0] is expected


# --- containers that were not started ---------------------------------------------------------------------------------

_ON_ENDPOINT = "driver failed programming external connectivity on endpoint late (2db2442bd44e72864222ef54664): "
_TAKEN = _ON_ENDPOINT + "Error starting userland proxy: listen tcp4 0.0.0.0:9090: bind: address already in use"


@pytest.mark.parametrize(
    ("error", "port"),
    [
        (_ON_ENDPOINT + "Bind for 0.0.0.0:8080 failed: port is already allocated", "8080/tcp"),
        (_ON_ENDPOINT + "Bind for ::1:8080 failed: port is already allocated", "8080/tcp"),
        (
            "failed to set up container networking: "
            + _ON_ENDPOINT
            + "failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
            "8080/tcp",
        ),
        (
            _ON_ENDPOINT + "Error starting userland proxy: listen udp4 0.0.0.0:8080: bind: address already in use",
            "8080/udp",
        ),
        (_ON_ENDPOINT + "Bind for 0.0.0.0:5353 failed: port is already allocated", "5353/udp"),
        ("cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use", "8080/tcp"),
        (_ON_ENDPOINT + "failed to bind host port 0.0.0.0:8080/tcp: address already in use", "8080/tcp"),
    ],
)
def test_the_words_of_every_engine_name_the_port(site: Any, error: str, port: str) -> None:
    refused(site, error)
    finding = next(f for f in site.analysis().findings if f.check == "port-conflict")
    assert ("port", port) in [(subject.kind, subject.name) for subject in finding.subjects]


@pytest.mark.parametrize(
    "error",
    ["", "OCI runtime create failed: no such file or directory", "Bind for somewhere failed: address already in use"],
)
def test_another_reason_is_no_conflict(site: Any, error: str) -> None:
    refused(site, error)
    assert site.verdict("port-conflict")[0] is CLEAN


def test_a_container_that_runs_has_its_port(site: Any) -> None:
    web(site)["State"]["Error"] = _ON_ENDPOINT + "Bind for 0.0.0.0:8080 failed: port is already allocated"
    assert site.verdict("port-conflict")[0] is CLEAN


@pytest.mark.parametrize(
    ("users", "remedy"),
    [
        ('users:(("nginx",pid=7,fd=4),("nginx",pid=8,fd=4))', "kill 7 8"),
        ('users:(("dockerd",pid=7,fd=4))', "docker service ls"),
        ('users:(("systemd",pid=1,fd=4))', "systemctl list-sockets"),
        ("", "fuser -k -n tcp 9090"),
    ],
)
def test_who_has_the_port_decides_how_it_gets_free(site: Any, users: str, remedy: str) -> None:
    refused(
        site, _ON_ENDPOINT + "Error starting userland proxy: listen tcp4 0.0.0.0:9090: bind: address already in use"
    )
    on_host(site, "tcp LISTEN 0 9 0.0.0.0:8080 0.0.0.0:*", f"tcp LISTEN 0 9 0.0.0.0:9090 0.0.0.0:* {users}")
    finding = next(f for f in site.analysis().findings if f.check == "port-conflict")
    assert finding.remedy == (remedy, "docker start late")


def test_a_port_that_is_free_by_now_only_needs_a_start(site: Any) -> None:
    refused(site, _ON_ENDPOINT + "Bind for 0.0.0.0:9090 failed: port is already allocated")
    finding = next(f for f in site.analysis().findings if f.check == "port-conflict")
    assert finding.remedy == ("docker start late",)
    assert "nobody has it now" in finding.message


def test_a_start_that_fails_for_a_stale_proxy_is_part_of_that(site: Any) -> None:
    refused(
        site, _ON_ENDPOINT + "Error starting userland proxy: listen tcp4 0.0.0.0:9090: bind: address already in use"
    )
    stale = 'tcp LISTEN 0 9 0.0.0.0:9090 0.0.0.0:* users:(("docker-proxy",pid=77,fd=4))\n'
    site.files["host/ss.txt"] = site.sockets()["host/ss.txt"] + stale
    site.files["host/ps.txt"] += site.proxy(77, "tcp 0.0.0.0 9090", "172.18.0.7")
    (finding,) = site.analysis().findings
    assert (finding.check, finding.remedy) == ("port-proxy-stale", ("kill 77",))


def test_a_container_that_could_not_be_started_is_part_of_the_reason(site: Any) -> None:
    refused(site, _ON_ENDPOINT + "Bind for 0.0.0.0:8080 failed: port is already allocated")
    assert [finding.check for finding in site.analysis().findings] == ["port-conflict"]


def test_one_address_that_the_host_lost_is_one_finding(site: Any) -> None:
    web(site)["NetworkSettings"]["Ports"]["80/tcp"] = site.published(8080, "203.0.113.99")
    refused(site, _ON_ENDPOINT + "listen tcp4 203.0.113.99:9090: bind: cannot assign requested address")
    found = {finding.check for finding in site.analysis().findings}
    assert "port-bound-host-ip-missing" in found
    assert "address-container-down" not in found


def test_containers_that_could_not_be_started_for_one_reason_are_one_note(site: Any) -> None:
    for number in range(12):
        error = f"OCI runtime create failed: container {number:064x}: no such file or directory"
        refused(site, error if number else "error while mounting volume: permission denied")
        site.docker("inspect")[-1].update(Id=f"{number:064x}", Name=f"/late{number}")
    messages = [finding.message for finding in site.analysis().findings if finding.check == "address-container-down"]
    assert len(messages) == 2
    assert any(message.startswith("11 containers are not as they should be: `late1`") for message in messages)
    assert any(message.startswith("a container is not as it should be: `late0`") for message in messages)


LEFT = """\
{0}: veth{0:07x}@if{1}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master {2} state UP group default
    link/ether 8a:8e:5f:00:22:{0:02x} brd ff:ff:ff:ff:ff:ff link-netnsid 4 promiscuity 1 minmtu 68 maxmtu 65535
    veth
"""


@pytest.mark.parametrize(
    ("bridges", "orphans"),
    [([BRIDGE], 0), ([BRIDGE, BRIDGE], 1), (["docker0"], 1)],
    ids=["its own", "one more", "on another bridge"],
)
def test_the_veth_of_a_start_that_failed_is_part_of_that(site: Any, bridges: list[str], orphans: int) -> None:
    refused(site, _ON_ENDPOINT + "failed to bind host port for 0.0.0.0:8080:172.18.0.3:80/tcp: address already in use")
    site.docker("inspect")[-1]["NetworkSettings"]["Networks"] = {"blue": site.endpoint(site.BLUE, "")}
    for number, bridge in enumerate(bridges):
        site.files["host/ip-addr.txt"] += LEFT.format(30 + number, 20 + number, bridge)
    found = [finding.check for finding in site.analysis().findings if finding.severity is not Severity.NOTE]
    assert sorted(found) == sorted(["port-conflict", *["link-veth-orphan"] * orphans])


# --- the host's side --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        ("tcp LISTEN 0 9 *:8080 *:*", CLEAN),
        ("tcp LISTEN 0 9 0.0.0.0:8080 0.0.0.0:*", CLEAN),
        ('tcp LISTEN 0 9 *:8080 *:* users:(("rootlesskit",pid=9,fd=4))', CLEAN),
        ("tcp LISTEN 0 9 [::]:8080 [::]:*", FINDING),
        ("tcp LISTEN 0 9 127.0.0.1:8080 0.0.0.0:*", FINDING),
        ("udp UNCONN 0 0 0.0.0.0:8080 0.0.0.0:*", FINDING),
    ],
)
def test_which_sockets_of_the_host_serve_a_published_port(site: Any, socket: str, expected: Verdict) -> None:
    on_host(site, socket)
    assert site.verdict("port-proxy-missing")[0] is expected


def test_without_the_userland_proxy_nobody_needs_to_listen(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--userland-proxy=false\n"
    on_host(site)
    assert site.verdict("port-proxy-missing")[0] is NOT_APPLICABLE


def test_a_container_that_came_during_the_collection_has_no_proxy_yet(site: Any) -> None:
    web(site)["State"]["StartedAt"] = "2026-11-23T10:15:05Z"
    on_host(site)
    assert site.verdict("port-proxy-missing", clock={"wall": COLLECTED_AT, "monotonic": 1.0, "timezone": "UTC"})[0] is (
        UNKNOWN
    )


def test_programs_that_ss_does_not_tell_may_be_stale_proxies(site: Any) -> None:
    on_host(site, "tcp LISTEN 0 9 0.0.0.0:8080 0.0.0.0:*", "tcp LISTEN 0 9 0.0.0.0:9090 0.0.0.0:*")
    assert site.verdict("port-proxy-stale")[0] is UNKNOWN


@pytest.mark.parametrize(
    ("sysctl", "expected"), [("", FINDING), ("net.ipv4.ip_nonlocal_bind = 1\n", CLEAN)], ids=["gone", "it moves"]
)
def test_an_address_that_the_host_waits_for_is_no_fault(site: Any, sysctl: str, expected: Verdict) -> None:
    web(site)["NetworkSettings"]["Ports"]["80/tcp"] = site.published(8080, "203.0.113.99")
    site.files["host/sysctl.txt"] += sysctl
    assert site.verdict("port-bound-host-ip-missing")[0] is expected


@pytest.mark.parametrize("reserved", ["50000", "8080,49990-50010", "1,50000-50000"])
def test_reserved_ports_are_not_handed_out(site: Any, reserved: str) -> None:
    web(site)["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": "50000"}]}
    assert site.verdict("port-ephemeral-overlap")[0] is FINDING
    site.replace("host/sysctl.txt", "reserved_ports =", f"reserved_ports = {reserved}")
    assert site.verdict("port-ephemeral-overlap")[0] is CLEAN


@pytest.mark.parametrize("wanted", ["", "0", "8080", "32767"])
def test_a_port_that_the_engine_chose_or_that_is_outside_of_the_range_is_right(site: Any, wanted: str) -> None:
    web(site)["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": wanted}]}
    assert site.verdict("port-ephemeral-overlap")[0] is not FINDING


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("host", FINDING), ("none", FINDING), ("blue", CLEAN), ("container:" + "1" * 64, FINDING)],
)
def test_ports_are_ignored_where_a_container_has_no_network_of_its_own(site: Any, mode: str, expected: Verdict) -> None:
    late = site.container("2" * 64, "late", {}, mode=mode)
    late["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": "9090"}]}
    site.docker("inspect").append(late)
    assert site.verdict("port-published-ignored")[0] is expected


def test_one_note_names_all_ports_of_the_loopback_address(site: Any) -> None:
    ports = web(site)["NetworkSettings"]["Ports"]
    ports.update({f"{port}/tcp": site.published(port, "127.0.0.1") for port in range(90, 96)})
    (note,) = [f for f in site.analysis().findings if f.check == "port-bound-loopback-host"]
    assert note.severity is Severity.NOTE
    assert note.message.endswith("94/tcp of `web` and 1 more")


@pytest.mark.parametrize(
    ("queues", "expected"), [("10 9", FINDING), ("9 9", CLEAN), ("0 128", CLEAN)], ids=["full", "at its limit", "empty"]
)
def test_a_queue_is_full_when_more_wait_than_may(site: Any, queues: str, expected: Verdict) -> None:
    inside(site, f"tcp LISTEN {queues} *:80 *:*")
    assert site.verdict("sysctl-somaxconn-low")[0] is expected


@pytest.mark.parametrize(
    ("unread", "lost", "expected"), [(0, 5, CLEAN), (200000, 0, CLEAN), (200000, 5, FINDING), (2000, 5, CLEAN)]
)
def test_packets_that_were_lost_once_are_no_fault_of_now(site: Any, unread: int, lost: int, expected: Verdict) -> None:
    site.files[f"netns/{site.WEB}/nstat.txt"] = f"#kernel\nUdpRcvbufErrors {lost} 0.0\n"
    site.files["host/sysctl.txt"] += "net.core.rmem_default = 212992\n"
    inside(site, "tcp LISTEN 0 9 *:80 *:*", f"udp UNCONN {unread} 0 *:9125 *:*")
    assert site.verdict("perf-udp-rcvbuf")[0] is expected


def test_without_the_size_of_buffers_unread_packets_may_be_few(site: Any) -> None:
    site.files[f"netns/{site.WEB}/nstat.txt"] = "#kernel\nUdpRcvbufErrors 5 0.0\n"
    inside(site, "tcp LISTEN 0 9 *:80 *:*", "udp UNCONN 200000 0 *:9125 *:*")
    assert site.verdict("perf-udp-rcvbuf")[0] is UNKNOWN


# --- ports of outgoing connections ------------------------------------------------------------------------------------

EXHAUSTION = "sysctl-ephemeral-port-exhaustion"


def connected(site: Any, count: int, *, state: str = "ESTABLISHED", timeout: int = 431999, servers: int = 1) -> None:
    """A container that may use 100 ports, with so many connections through source NAT."""
    site.files[f"netns/{site.WEB}/sysctl.txt"] = "net.ipv4.ip_local_port_range = 50000\t50099\n"
    site.files["host/sysctl.txt"] += (
        f"net.netfilter.nf_conntrack_max = 262144\nnet.netfilter.nf_conntrack_count = {max(count, 1)}\n"
    )
    lines = []
    for port, server in ((50000 + number, f"192.0.2.{1 + number % servers}") for number in range(count)):
        there = f"src=172.18.0.2 dst={server} sport={port} dport=5432"
        back = f"src={server} dst=203.0.113.10 sport=5432 dport={port}"
        lines.append(f"tcp      6 {timeout} {state} {there} {back} [ASSURED] mark=0 use=1\n")
    site.files["host/conntrack.txt"] = "".join(lines)


@pytest.mark.parametrize(
    ("case", "severity"),
    [
        ({"count": 100}, Severity.ERROR),
        ({"count": 85}, Severity.WARNING),
        ({"count": 79}, None),
        ({"count": 100, "servers": 5}, None),  # a port serves for each server
        ({"count": 90, "state": "TIME_WAIT", "timeout": 110}, Severity.WARNING),
        ({"count": 90, "state": "TIME_WAIT", "timeout": 20}, None),  # their sockets are gone
    ],
)
def test_ports_are_used_up_for_one_server_at_a_time(site: Any, case: dict[str, Any], severity: Severity | None) -> None:
    connected(site, **case)
    found = [each for each in site.analysis().findings if each.check == EXHAUSTION]
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_few_connections_in_all_need_no_list(site: Any) -> None:
    connected(site, 79)
    del site.files["host/conntrack.txt"]
    assert site.verdict(EXHAUSTION)[0] is CLEAN


def test_many_connections_without_a_list_are_unknown(site: Any) -> None:
    connected(site, 95)
    del site.files["host/conntrack.txt"]
    assert site.verdict(EXHAUSTION)[0] is UNKNOWN


def test_reserved_ports_do_not_count(site: Any) -> None:
    connected(site, 60)
    site.files[f"netns/{site.WEB}/sysctl.txt"] += "net.ipv4.ip_local_reserved_ports = 8080,50000-50029\n"
    assert site.verdict(EXHAUSTION)[0] is FINDING


def test_connections_from_outside_take_no_port_here(site: Any) -> None:
    connected(site, 100)
    site.replace("host/conntrack.txt", "src=172.18.0.2 dst=192.0.2.1 ", "src=192.0.2.1 dst=172.18.0.2 ")
    site.replace("host/conntrack.txt", "src=192.0.2.1 dst=203.0.113.10 ", "src=172.18.0.2 dst=192.0.2.1 ")
    assert site.verdict(EXHAUSTION)[0] is CLEAN


def test_connections_of_a_container_that_had_the_address_do_not_count(site: Any) -> None:
    clock = {"wall": COLLECTED_AT, "monotonic": 1.0, "timezone": "UTC"}
    connected(site, 100, timeout=431000)  # silent for 1000 seconds
    web(site)["State"]["StartedAt"] = "2026-11-23T09:00:00Z"
    assert site.verdict(EXHAUSTION, clock=clock)[0] is FINDING
    web(site)["State"]["StartedAt"] = "2026-11-23T10:14:30Z"
    assert site.verdict(EXHAUSTION, clock=clock)[0] is CLEAN


def test_ports_that_a_program_asked_for_are_none_of_the_range(site: Any) -> None:
    connected(site, 100)
    site.files["host/conntrack.txt"] = site.files["host/conntrack.txt"].replace("sport=50", "sport=20")
    assert site.verdict(EXHAUSTION)[0] is CLEAN


def test_a_container_that_was_not_entered_may_have_fewer_ports(site: Any) -> None:
    connected(site, 1)
    assert site.verdict(EXHAUSTION)[0] is CLEAN
    del site.files[f"netns/{site.WEB}/sysctl.txt"]
    assert site.verdict(EXHAUSTION)[0] is UNKNOWN
