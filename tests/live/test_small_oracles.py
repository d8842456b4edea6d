"""The small formats against other programs' reading of the same kernel, on a real Docker host.

A counter may move between two commands. So the other program's answer is taken between two equal answers of the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import lab
import pytest
from lab import Backend, DockerHost

from netdiag import formats
from netdiag.formats import Document
from netdiag.formats.records import DeviceFeature, KernelCounter, Link, Qdisc, Route, Socket
from netdiag.spans import Source

pytestmark = pytest.mark.live

Lend = Callable[..., DockerHost]

# what nstat leaves out: settings, no counters (iproute2's misc/nstat.c, useless_numbers)
SETTINGS = {"IpForwarding", "IpDefaultTTL", "TcpRtoAlgorithm", "TcpRtoMin", "TcpRtoMax", "TcpMaxConn", "TcpCurrEstab"}
TRIES = 20
# net-tools 2.10 prints zeros for the counters of an interface whose name is as long as a name can be
LONG_NAME = 15


def read(name: str, text: str) -> Document:
    """The text as this format; every line of it must be read."""
    document = formats.get(name).read(Source(f"{name}.txt", text))
    assert [(line.reason, document.source.lines[line.line - 1]) for line in document.unread] == []
    return document


def between_equal_answers(host: DockerHost, command: str, other: str) -> tuple[str, str]:
    """The command's answer and the other's, which was asked for while the command's did not change."""
    for _ in range(TRIES):
        before, answer, after = (host.shell(line).stdout for line in (command, other, command))
        if before == after:
            return before, answer
    raise AssertionError(f"the answer of {command} never stayed the same for the time of {other}")


@pytest.fixture
def host(docker_host: Lend) -> DockerHost:
    return docker_host("nft")


@pytest.fixture
def sockets(host: DockerHost) -> Iterator[DockerHost]:
    """The host with sockets of every kind on it."""
    host.copy_in(lab.HERE / "sockets.py", "/root/sockets.py")
    host.shell("until ip -6 address show dev eth0 scope link -tentative | grep -q fe80; do sleep 0.05; done")
    start = "setsid python3 /root/sockets.py eth0 >/root/sockets.log 2>&1 & echo $!"
    pid = host.shell(start).stdout.strip()
    try:
        wait = f"while ! grep -q ready /root/sockets.log; do kill -0 {pid} || exit 1; sleep 0.05; done"
        host.shell(wait)
        yield host
    finally:
        host.shell(f"kill {pid}; rm -f /root/sockets.py /root/sockets.log")


def named(document: Document) -> list[Socket]:
    found = [record for record in document.records if isinstance(record, Socket)]
    assert len(found) == len(document.records)
    return sorted(
        found, key=lambda socket: (socket.protocol, str(socket.address), socket.port or 0, str(socket.details))
    )


@pytest.mark.parametrize(
    ("ss", "netstat", "least"),
    [
        ("ss -tulpn", "netstat -tulpnW", 9),
        ("ss -tuwanp", "netstat -tuwanpW", 16),
    ],
)
def test_netstat_tells_of_sockets_what_ss_tells(sockets: DockerHost, ss: str, netstat: str, least: int) -> None:
    expected, actual = (
        named(read(name, text))
        for name, text in zip(("ss", "netstat"), between_equal_answers(sockets, ss, netstat), strict=True)
    )
    assert [whole(socket) for socket in actual] == [whole(socket) for socket in expected]
    assert len(actual) >= least
    for one, other in zip(actual, expected, strict=True):
        assert one.family == other.family or (one.family is None and other.family in ("ipv6", "any"))
        assert one.send_queue == (None if one.state == "LISTEN" else other.send_queue)
        assert {process.pid for process in one.processes} <= {process.pid for process in other.processes}
        assert bool(one.processes) == bool(other.processes)


def whole(socket: Socket) -> tuple[Any, ...]:
    """What both tell."""
    peer = socket.details.get("peer")
    return (socket.protocol, socket.state, socket.address, socket.port, peer, socket.receive_queue)


def test_netstat_of_busybox_tells_of_the_same_sockets(sockets: DockerHost) -> None:
    ss, netstat = between_equal_answers(sockets, "ss -tuan", "busybox netstat -tuanW || busybox netstat -tuan")
    assert [whole(socket) for socket in named(read("netstat", netstat))] == [
        whole(socket) for socket in named(read("ss", ss))
    ]


def test_an_address_that_netstat_cuts_off_is_no_address(sockets: DockerHost) -> None:
    text = sockets.shell("netstat -tulpn").stdout
    document = formats.get("netstat").read(Source("netstat.txt", text))
    cut = [document.source.lines[line.line - 1] for line in document.unread]
    assert all("fe80:" in line for line in cut)
    addresses = {str(socket.address) for socket in document.records if isinstance(socket, Socket)}
    whole_ones = {str(socket.address) for socket in named(read("ss", sockets.shell("ss -tulpn").stdout))}
    assert addresses <= whole_ones


def counters(document: Document) -> dict[str, int]:
    found = [record for record in document.records if isinstance(record, KernelCounter)]
    assert len(found) == len(document.records)
    told = {counter.name: counter.value for counter in found}
    assert len(told) == len(found)
    return told


def test_nstat_tells_what_the_files_of_proc_tell(host: DockerHost) -> None:
    files = "cat /proc/net/snmp /proc/net/netstat /proc/net/snmp6"
    proc, nstat = between_equal_answers(host, files, "nstat -asz")
    expected = counters(read("proc_net_snmp", proc))
    actual = counters(read("nstat", nstat))
    assert len(actual) > 300
    assert actual == {name: value for name, value in expected.items() if name not in SETTINGS and name in actual}
    missing = expected.keys() - actual.keys() - SETTINGS
    assert [name for name in missing if not name.startswith(("UdpLite", "Ip6", "Icmp6", "Udp6"))] == []


def test_nstat_tells_what_its_json_tells(host: DockerHost) -> None:
    text, answer = between_equal_answers(host, "nstat -asz", "nstat -aszj")
    assert counters(read("nstat", text)) == json.loads(answer)["kernel"]


def test_the_counters_of_proc_net_dev_are_those_of_ip(host: DockerHost) -> None:
    text, answer = between_equal_answers(host, "cat /proc/net/dev", "ip -s -s -j link")
    links = {link.name: link.details for link in read("proc_net_dev", text).records if isinstance(link, Link)}
    expected = {link["ifname"]: link["stats64"] for link in json.loads(answer)}
    assert links.keys() == expected.keys()
    assert len(links) >= 9
    for name, details in links.items():
        receive, transmit = expected[name]["rx"], expected[name]["tx"]
        assert {key: int(value) for key, value in details.items() if "compressed" not in key} == {
            "rx.bytes": receive["bytes"],
            "rx.packets": receive["packets"],
            "rx.errors": receive["errors"],
            "rx.dropped": receive["dropped"] + receive["missed_errors"],
            "rx.overruns": receive["fifo_errors"],
            "rx.frame": receive["length_errors"]
            + receive["over_errors"]
            + receive["crc_errors"]
            + receive["frame_errors"],
            "rx.multicast": receive["multicast"],
            "tx.bytes": transmit["bytes"],
            "tx.packets": transmit["packets"],
            "tx.errors": transmit["errors"],
            "tx.dropped": transmit["dropped"],
            "tx.overruns": transmit["fifo_errors"],
            "tx.collisions": transmit["collisions"],
            "tx.carrier": sum(transmit[f"{kind}_errors"] for kind in ("carrier", "aborted", "window", "heartbeat")),
        }


def test_the_counters_of_proc_net_dev_are_those_of_ifconfig(host: DockerHost) -> None:
    text, answer = between_equal_answers(host, "cat /proc/net/dev", "ifconfig -a")
    expected = {link.name: link.details for link in read("ifconfig", answer).records if isinstance(link, Link)}
    for link in read("proc_net_dev", text).records:
        assert isinstance(link, Link)
        if len(link.name) >= LONG_NAME:
            continue
        told = {key: value for key, value in expected[link.name].items() if key.startswith(("rx.", "tx."))}
        assert {key: value for key, value in link.details.items() if key in told} == told
        assert len(told) >= 11


MAKE_QDISCS = """
ip link add qdisc0 type veth peer name qdisc1 && ip link set qdisc0 up && ip link set qdisc1 up
tc qdisc add dev qdisc0 root handle 1: htb default 0x10
tc class add dev qdisc0 parent 1: classid 1:10 htb rate 10mbit
tc qdisc add dev qdisc0 parent 1:10 handle 20: pfifo limit 100
tc qdisc add dev qdisc0 ingress
tc qdisc add dev qdisc1 root tbf rate 8kbit burst 1600 limit 100000
"""
FILL = "ip addr add 192.0.2.1/24 dev qdisc1; ping -I qdisc1 -c 30 -i 0.002 -s 1000 -b 192.0.2.255 >/dev/null 2>&1; true"


def test_tc_tells_what_its_json_tells(host: DockerHost) -> None:
    host.shell(MAKE_QDISCS)
    try:
        host.shell(FILL)
        text, answer = between_equal_answers(host, "tc -s qdisc", "tc -s -j qdisc")
    finally:
        host.shell("ip link del qdisc0")
    qdiscs = [record for record in read("tc_qdisc", text).records if isinstance(record, Qdisc)]
    assert [as_tc_prints(qdisc) for qdisc in qdiscs] == [
        {
            "kind": told["kind"],
            "handle": told["handle"],
            "dev": told["dev"],
            "parent": "root" if told.get("root") else told["parent"],
            **{key: told[key] for key in ("bytes", "packets", "drops", "overlimits", "requeues", "qlen")},
        }
        for told in json.loads(answer)
    ]
    for qdisc, told in zip(qdiscs, json.loads(answer), strict=True):
        assert qdisc.backlog_bytes == pytest.approx(told["backlog"], rel=0.05)
    assert {qdisc.kind for qdisc in qdiscs} >= {"noqueue", "htb", "pfifo", "ingress", "tbf"}


def as_tc_prints(qdisc: Qdisc) -> dict[str, object]:
    return {
        "kind": qdisc.kind,
        "handle": qdisc.handle,
        "dev": qdisc.device,
        "parent": qdisc.parent,
        "bytes": qdisc.sent_bytes,
        "packets": qdisc.sent_packets,
        "drops": qdisc.dropped,
        "overlimits": qdisc.overlimits,
        "requeues": qdisc.requeues,
        "qlen": qdisc.backlog_packets,
    }


@pytest.mark.parametrize("device", ["eth0", "docker0", "lo"])
def test_ethtool_tells_of_features_what_its_json_tells(host: DockerHost, device: str) -> None:
    features = [
        record
        for record in read("ethtool", host.shell(f"ethtool -k {device}").stdout).records
        if isinstance(record, DeviceFeature)
    ]
    (expected,) = json.loads(host.shell(f"ethtool --json -k {device}").stdout)
    assert expected.pop("ifname") == device
    assert {feature.name: (feature.enabled, feature.fixed) for feature in features} == {
        name: (told["active"], bool(told["fixed"])) for name, told in expected.items()
    }
    assert len(features) > 50


def test_netstat_and_route_without_n_tell_the_same_routes(host: DockerHost) -> None:
    def ways(text: str) -> set[tuple[object, ...]]:
        found = [route for route in read("route_n", text).records if isinstance(route, Route)]
        return {
            (route.destination, tuple((hop.gateway, hop.device) for hop in route.next_hops), route.type)
            for route in found
        }

    def routes(command: str) -> set[tuple[object, ...]]:
        return ways(host.shell(command).stdout)

    expected = routes("route -n")
    assert len(expected) == 5
    for command in ("netstat -rn", "netstat -r", "route", "busybox route", "busybox netstat -rn"):
        assert routes(command) == expected, command
    # addresses that have just been made bring their routes a second later
    for command in ("route -6 -n", "route -6", "busybox route -A inet6"):
        text, other = between_equal_answers(host, "netstat -6 -rn", command)
        assert ways(other) == ways(text), command


def test_a_long_listing_of_routes_that_cuts_names_off_says_so(host: DockerHost) -> None:
    document = read("route_n", host.shell("route -ee").stdout)
    assert len(document.records) == 5
    assert document.notes == ("route -ee prints 6 characters of a name: docker may be the beginning of a longer one",)


def test_all_forms_of_arp_tell_the_same_neighbours(host: DockerHost) -> None:
    def neighbours(command: str) -> list[tuple[object, ...]]:
        found: list[Any] = list(read("arp_n", host.shell(command).stdout).records)
        return sorted((entry.address, entry.device, entry.mac) for entry in found)

    expected = neighbours("arp -n")
    assert expected
    for command in ("arp -an", "busybox arp -an", "busybox arp -n"):
        assert neighbours(command) == expected, command


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("docker_network_ls", "docker network ls"),
        ("docker_network_ls", "docker network ls --no-trunc"),
        ("ethtool", "ethtool eth0; ethtool -i eth0; ethtool -k eth0; ethtool -S eth0"),
        ("hosts", "cat /etc/hosts"),
        ("hosts", "docker exec app cat /etc/hosts"),
        ("iptables_version", "iptables -V; ip6tables -V"),
        ("netstat", "netstat -anpW"),
        ("nstat", "nstat"),
        ("os_release", "cat /etc/os-release"),
        ("proc_net_softnet_stat", "cat /proc/net/softnet_stat"),
        ("resolv_conf", "cat /etc/resolv.conf"),
        ("resolv_conf", "docker exec app cat /etc/resolv.conf"),
        ("tc_qdisc", "tc qdisc; tc -s -d qdisc; tc -s qdisc show dev eth0"),
    ],
)
def test_every_line_of_a_real_host_is_read(host: DockerHost, name: str, command: str) -> None:
    document = read(name, host.shell(command).stdout)
    assert document.lines > 0
    assert document.read == document.lines


def test_the_loaded_tables_of_a_real_host_are_read(docker_host: Lend, backend: Backend) -> None:
    document = read("ip_tables_names", docker_host(backend).shell("cat /proc/net/ip_tables_names").stdout)
    names = {getattr(record, "name", None) for record in document.records}
    assert names == ({"nat", "filter"} if backend == "legacy" else set())
