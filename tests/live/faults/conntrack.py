"""Faults of connection tracking and of the counters of the network stack."""

import re

from lab import HOST_ADDRESS, OUTSIDE_SERVER, ROUTER_ADDRESS, DockerHost, client_address_seen, egress, published

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds

_UDP_PORT, _CLIENT_PORT = 5514, 40000

#: A server of UDP on every address that sends back what it gets.
_ECHO = f"""\
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", {_UDP_PORT}))
while True:
    server.sendto(*server.recvfrom(100))
"""

_ASK = """\
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(1)
client.bind(("", int(sys.argv[2])))
client.sendto(b"?", (sys.argv[1], int(sys.argv[3])))
client.recv(100)
"""

_RULE = f"-p udp -m udp --dport {_UDP_PORT} -j DNAT --to-destination"


def _is_served(host: DockerHost, source_port: int) -> bool:
    """Whether a client outside with this port is answered on the published UDP port."""
    asked = ["python3", "-c", _ASK, HOST_ADDRESS, str(source_port), str(_UDP_PORT)]
    return host.wan(asked, check=False).returncode == 0


def _start_log_server(host: DockerHost) -> None:
    host.shell(run("log", f"--network front -p {_UDP_PORT}:{_UDP_PORT}/udp"))
    host.write_file("/root/echo.py", _ECHO)
    enter = "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' log)"
    host.shell(f"setsid {enter} python3 /root/echo.py </dev/null >/dev/null 2>&1 & echo $! >/root/echo.pid")
    for _ in range(50):
        if _is_served(host, 40001):
            return


def _stop_log_server(host: DockerHost) -> None:
    host.shell("kill $(cat /root/echo.pid); docker rm -f log")


def _ask_while_the_rule_is_gone(host: DockerHost) -> None:
    _start_log_server(host)
    rule = f"{_RULE} {host.address('log', 'front')}:{_UDP_PORT}"
    host.shell(f"iptables -t nat -D DOCKER {rule}")
    _is_served(host, _CLIENT_PORT)
    host.shell(f"iptables -t nat -A DOCKER {rule}")


def _remember_an_old_address(host: DockerHost) -> None:
    """What is left of a flow to a container that was stopped too fast and got another address."""
    _start_log_server(host)
    old = host.address("log", "front").rpartition(".")[0] + ".99"
    ends = f"-s {ROUTER_ADDRESS} -d {HOST_ADDRESS} --sport {_CLIENT_PORT} --dport {_UDP_PORT}"
    host.shell(f"conntrack -I -p udp {ends} --dst-nat {old} -t 60 -u SEEN_REPLY,ASSURED")


def _old_client_is_cut_off(host: DockerHost) -> bool:
    return _is_served(host, 40002) and not _is_served(host, _CLIENT_PORT)


_OUTWARDS = ["python3", "-c", _ASK, OUTSIDE_SERVER, "40000", "53"]


def _ask_outside_without_masquerade(host: DockerHost) -> None:
    lines("iptables -t nat -D POSTROUTING -s <front_subnet> ! -o <front> -j MASQUERADE")(host)
    host.container("web", _OUTWARDS, check=False)
    lines("iptables -t nat -I POSTROUTING -s <front_subnet> ! -o <front> -j MASQUERADE")(host)


def _old_flow_leaves_untranslated(host: DockerHost) -> bool:
    """The container goes on asking from the same port, and its packets still have its own address."""
    host.container("web", _OUTWARDS, check=False)
    entries = host.shell("conntrack -L -p udp --orig-port-dst 53 2>/dev/null", check=False).stdout
    address = host.address("web", "front")
    return any(f"src={address} " in line and f"dst={address} " in line for line in entries.splitlines())


#: More established connections than the kernel will track, for `conntrack -R`.
_CONNECTIONS = f"""\
limit = int(open("/proc/sys/net/netfilter/nf_conntrack_max").read())
for n in range(limit + 10):
    far = f"10.{{n >> 16 & 255}}.{{n >> 8 & 255}}.{{n & 255}}"
    ends = f"-s {{far}} -d {OUTSIDE_SERVER} -r {OUTSIDE_SERVER} -q {{far}}"
    ports = "--sport 1234 --dport 80 --reply-port-src 80 --reply-port-dst 1234"
    print(f"-A -t 600 -u ASSURED,SEEN_REPLY {{ends}} -p tcp {{ports}} --state ESTABLISHED")
"""


def _fill_table(host: DockerHost) -> None:
    """Fill the table with what stays: flows of earlier tests would end soon and make room."""
    host.write_file("/root/connections.py", _CONNECTIONS)
    host.shell("python3 /root/connections.py >/root/connections; conntrack -F")
    host.shell("conntrack -R /root/connections", check=False)


def _lose_packets_of_a_download(host: DockerHost) -> None:
    """A container that served a large file over a bad link."""
    host.shell("docker run -d --name slow --network front -p 8099:80 lab/busybox:1")
    host.shell("docker exec slow dd if=/dev/zero of=/www/big bs=1M count=12")
    address = host.address("slow", "front")
    rule = f"DOCKER-USER -s {address} -m statistic --mode random --probability 0.1 -j DROP"
    host.shell(f"iptables -I {rule}")
    host.wan(["curl", "-s", "-m", "40", "-o", "/dev/null", f"http://{HOST_ADDRESS}:8099/big"], check=False)
    host.shell(f"iptables -D {rule}")


#: Takes away a table of nft that the rule alone was in; Docker 28 keeps rules of its own there.
_NO_EMPTY_RAW_TABLE = "iptables -t raw -S | grep -q -- '^-A' || nft delete table ip raw 2>/dev/null || true"


def _open_many_connections(host: DockerHost) -> None:
    """A container opens many connections to the outside at once."""
    fetch = f"curl -s -m 1 -o /dev/null http://{OUTSIDE_SERVER}/"
    enter = "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' web)"
    host.shell(f"for n in $(seq 40); do {enter} {fetch} & done; wait")


def _some_of_many_are_lost(host: DockerHost) -> bool:
    """Whether connection tracking drops packets of some of many connections that are opened at once."""
    before = _insert_failed(host)
    _open_many_connections(host)
    return _insert_failed(host) > before


def _insert_failed(host: DockerHost) -> int:
    return sum(map(int, re.findall(r"insert_failed=(\d+)", host.shell("conntrack -S").stdout)))


def _lose_many_connections(host: DockerHost) -> None:
    lines("iptables -t nat -I POSTROUTING -o eth0 -p tcp -j MASQUERADE --to-ports 40000-40002")(host)
    for _ in range(8):
        _open_many_connections(host)


FAULTS = (
    Fault(  # a few ports for all that leaves
        "conntrack-insert-failed",
        _lose_many_connections,
        _some_of_many_are_lost,
        named("host", "web01"),
        daemon_args=("--mtu=1500",),
        on=("nft", "28.5"),
        lasting=True,
        cleanup=lines(
            "iptables -t nat -D POSTROUTING -o eth0 -p tcp -j MASQUERADE --to-ports 40000-40002",
            "iptables -t nat -S POSTROUTING | sed -n '/random-fully/s/^-A/iptables -t nat -D/p' | sh",
        ),
    ),
    Fault(
        "conntrack-table-full",
        _fill_table,
        lambda host: not published(host),
        named("sysctl", "net.netfilter.nf_conntrack_max"),
        on=("nft", "28.5"),
        instead=lines("conntrack -F"),  # the limit is the machine's
    ),
    Fault(
        "conntrack-timeout-vs-idle",
        lines("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=300"),
        succeeds("test $(sysctl -n net.netfilter.nf_conntrack_tcp_timeout_established) -lt 7200"),
        named("sysctl", "net.netfilter.nf_conntrack_tcp_timeout_established"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "conntrack-notrack-breaks-nat",
        lines("iptables -t raw -I PREROUTING -p tcp --dport 8080 -j CT --notrack"),
        lambda host: client_address_seen(host) != ROUTER_ADDRESS,
        named("port", "8080/tcp"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(_NO_EMPTY_RAW_TABLE),
    ),
    Fault(
        "conntrack-notrack-breaks-nat",
        lines("iptables -t raw -I PREROUTING -i <front> -j CT --notrack"),
        lambda host: not egress(host, "web") and egress(host, "db"),
        network("front"),
        variant="outward",
        cleanup=lines(_NO_EMPTY_RAW_TABLE),
    ),
    Fault(
        "conntrack-notrack-breaks-nat",
        lines(
            "nft add table inet site",
            "nft add chain inet site pre '{ type filter hook prerouting priority raw; }'",
            "nft add rule inet site pre tcp dport { 53, 8080 } notrack",
        ),
        lambda host: client_address_seen(host) != ROUTER_ADDRESS,
        named("container", "web"),
        on=("nft", "28.5"),
        variant="nftables",
        cleanup=lines("nft delete table inet site"),
    ),
    Fault(
        "conntrack-stale-udp",
        _ask_while_the_rule_is_gone,
        _old_client_is_cut_off,
        named("port", f"{_UDP_PORT}/udp"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
        cleanup=_stop_log_server,
    ),
    Fault(
        "conntrack-stale-udp",
        _remember_an_old_address,
        _old_client_is_cut_off,
        named("container", "log"),
        on=("nft", "28.5"),
        variant="old-address",
        options=("--conntrack",),  # the entry has seen answers, once
        cleanup=_stop_log_server,
    ),
    Fault(
        "conntrack-stale-udp",
        _ask_outside_without_masquerade,
        _old_flow_leaves_untranslated,
        network("front"),
        variant="outward",
    ),
    Fault(
        "perf-tcp-retrans",
        _lose_packets_of_a_download,
        succeeds(
            "nsenter -n -t $(docker inspect -f '{{.State.Pid}}' slow) nstat -asz TcpOutSegs TcpRetransSegs | "
            "awk '/OutSegs/{o=$2} /Retrans/{r=$2} END{exit !(o > 2000 && r > o / 50)}'"
        ),
        named("container", "slow"),
        on=("nft", "28.5"),
        instead=lines("docker rm -f slow"),  # counters go with their namespace only
    ),
)

NEAR_MISSES = (
    NearMiss(  # a few ports, but also few connections
        "conntrack-insert-failed",
        lines("iptables -t nat -I POSTROUTING -o eth0 -p tcp -j MASQUERADE --to-ports 40000-40002"),
        lines("iptables -t nat -D POSTROUTING -o eth0 -p tcp -j MASQUERADE --to-ports 40000-40002"),
    ),
    NearMiss(  # connections, but far from the limit
        "conntrack-table-full",
        lines("conntrack -I -p tcp -s 10.9.8.7 -d 10.9.8.6 --sport 1 --dport 2 --state ESTABLISHED -t 60 -u ASSURED"),
        lines("conntrack -D -s 10.9.8.7"),
    ),
    NearMiss(  # shorter than the default, longer than the keepalive
        "conntrack-timeout-vs-idle",
        lines("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=86400"),
        lines("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=432000"),
    ),
    NearMiss(  # other ports, other interfaces, and a helper
        "conntrack-notrack-breaks-nat",
        lines(
            "iptables -t raw -A PREROUTING -i eth0 -p udp --dport 53 -j CT --notrack",
            "iptables -t raw -A PREROUTING -i wlan0 -j CT --notrack",
            "iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --zone 0",
            "iptables -t raw -A PREROUTING -p tcp --dport 8080 -j ACCEPT",
            "iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack",
        ),
        lines("iptables -t raw -F PREROUTING", _NO_EMPTY_RAW_TABLE),
    ),
    NearMiss(  # a flow that is served; an answer that is yet to come
        "conntrack-stale-udp",
        _start_log_server,
        _stop_log_server,
    ),
    NearMiss(  # connection attempts that nobody answers, and a healthy download
        "perf-tcp-retrans",
        lines("nsenter -n -t <web_pid> timeout 3 curl -s http://198.51.100.9/ || true"),
        lines("true"),
    ),
)
