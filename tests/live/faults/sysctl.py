"""Faults of kernel settings."""

import shlex

from lab import (
    HOST_ADDRESS,
    OUTSIDE_SERVER,
    PUBLISHED_PORT,
    DockerHost,
    container_to_container,
    egress,
    localhost,
    published,
)

from faults._kit import Fault, NearMiss, lines, named, network, run


def _serving(name: str, options: str) -> str:
    """The command that starts a container that answers HTTP."""
    return f"docker run -d --name {name} {options} lab/busybox:1"


_APART = (
    "docker network create -o com.docker.network.bridge.enable_icc=false apart",
    _serving("left", "--network apart"),
    _serving("right", "--network apart"),
)
_TOGETHER = ("docker rm -f left right", "docker network rm apart")


def _left_reaches_right(host: DockerHost) -> bool:
    return container_to_container(host, "left", host.address("right", "apart"))


def _neighbours_reach_each_other(host: DockerHost) -> bool:
    return container_to_container(host, "app", host.address("web", "front"))


def _have_second_uplink(host: DockerHost) -> None:
    """A second way to the outside server; clients from there still come in by the first one."""
    host.wan(["ip", "link", "add", "up1", "type", "veth", "peer", "name", "eth1", "netns", str(host.init_pid)])
    host.wan(["ip", "addr", "add", "192.0.2.1/24", "dev", "up1"])
    host.wan(["ip", "link", "set", "up1", "up"])
    lines(
        "ip addr add 192.0.2.10/24 dev eth1",
        "ip link set eth1 up",
        "ip route add 198.51.100.0/24 via 192.0.2.1 dev eth1",
    )(host)


def _outside_server_is_served(host: DockerHost) -> bool:
    """Whether web answers a client with the outside server's address."""
    url = f"http://{HOST_ADDRESS}:{PUBLISHED_PORT}/"
    return host.wan(["curl", "-s", "-m", "2", "--interface", "198.51.100.7", url], check=False).returncode == 0


def _be_strict(host: DockerHost) -> None:
    _have_second_uplink(host)
    host.shell("sysctl -w net.ipv4.conf.eth0.rp_filter=1")
    for _ in range(6):
        _outside_server_is_served(host)


#: Opens so many connections to the outside server, and keeps them.
_CONNECT = "import socket,sys,time; \
found = [socket.create_connection((sys.argv[1], 80), 5) for _ in range(int(sys.argv[2]))]; print(len(found)); \
sys.stdout.flush(); time.sleep(600)"


#: The next container gets the same address.
_FORGET_CONNECTIONS = f"conntrack -D -p tcp -d {OUTSIDE_SERVER} --dport 80"


def _have_connections(host: DockerHost, count: int) -> None:
    """A container that may use 20 ports, with so many connections to one server."""
    host.shell(run("busy", '--network front --sysctl net.ipv4.ip_local_port_range="50000 50019"'))
    pid = host.inspect("busy")[0]["State"]["Pid"]
    connect = shlex.join(["python3", "-c", _CONNECT, OUTSIDE_SERVER, str(count)])
    host.shell(
        f"setsid nsenter -t {pid} --net --pid -- {connect} >/run/busy.txt 2>&1 </dev/null &"
        " for i in $(seq 50); do [ -s /run/busy.txt ] && break; sleep 0.2; done; cat /run/busy.txt"
    )


def _no_more_connections(host: DockerHost) -> bool:
    """The container cannot connect for want of a port."""
    if not host.docker("ps", "--quiet", "--filter=name=busy").stdout:
        return False
    connect = f"import socket; socket.create_connection(({OUTSIDE_SERVER!r}, 80), 5)"
    return "Cannot assign requested address" in host.container("busy", ["python3", "-c", connect], check=False).stderr


FAULTS = (
    Fault(
        "sysctl-rp-filter-strict",
        _be_strict,
        lambda host: published(host) and not _outside_server_is_served(host),
        named("interface", "eth0"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("ip link del eth1", "sysctl -w net.ipv4.conf.eth0.rp_filter=0"),
    ),
    Fault(
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.ip_forward=0"),
        lambda host: not egress(host, "web"),
        named("sysctl", "net.ipv4.ip_forward"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "sysctl-if-forwarding-off",
        lines("sysctl -w net.ipv4.conf.<front>.forwarding=0"),
        lambda host: not egress(host, "web") and egress(host, "db"),
        network("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "sysctl-if-forwarding-off",
        lines("sysctl -w net.ipv4.conf.eth0.forwarding=0"),
        lambda host: not egress(host, "web") and not published(host),
        named("interface", "eth0"),
        on=("nft", "legacy", "28.5"),
        variant="uplink",
    ),
    Fault(
        "sysctl-arp-settings",
        lines("sysctl -w net.ipv4.conf.all.arp_ignore=8", "nsenter -t <web_pid> -n ip neigh flush all"),
        lambda host: not egress(host, "web"),
        named("sysctl", "net.ipv4.conf.all.arp_ignore"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "sysctl-arp-settings",
        lines("nsenter -t <db_pid> -n sysctl -w net.ipv4.conf.eth0.arp_ignore=8", "ip neigh flush dev <back>"),
        lambda host: not egress(host, "db"),
        named("container", "db"),
        variant="container",
    ),
    Fault(
        "sysctl-route-localnet-off",
        lines("sysctl -w net.ipv4.conf.<front>.route_localnet=0"),
        lambda host: published(host) and not localhost(host),
        network("front"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "sysctl-bridge-nf-icc-ineffective",
        lines(*_APART, "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
        _left_reaches_right,
        network("apart"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(*_TOGETHER),
    ),
    Fault(
        "sysctl-bridge-nf-icc-ineffective",
        lines(_serving("peer", "--network front"), "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
        lambda host: not container_to_container(host, "peer", f"{HOST_ADDRESS}:{PUBLISHED_PORT}"),
        network("front"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f peer"),
    ),
    Fault(
        "sysctl-ephemeral-port-exhaustion",
        lambda host: _have_connections(host, 20),
        _no_more_connections,
        named("container", "busy"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f busy", _FORGET_CONNECTIONS),
        options=("--conntrack",),
    ),
)

NEAR_MISSES = (
    NearMiss(  # two ways out and a loose filter; a strict one on a bridge
        "sysctl-rp-filter-strict",
        lambda host: (
            _have_second_uplink(host),
            lines("sysctl -w net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.<front>.rp_filter=1")(host),
        ),
        lines("ip link del eth1", "sysctl -w net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.<front>.rp_filter=0"),
    ),
    NearMiss(  # forwarding is off for IPv6, and for one unused interface
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.conf.lo.forwarding=0", "sysctl -w net.ipv6.conf.all.forwarding=0"),
        lines("sysctl -w net.ipv4.conf.lo.forwarding=1"),
    ),
    NearMiss(  # an internal network needs no forwarding, nor do loopback and new interfaces
        "sysctl-if-forwarding-off",
        lines(
            "docker network create --internal -o com.docker.network.bridge.name=inside0 inside",
            "sysctl -w net.ipv4.conf.inside0.forwarding=0 net.ipv4.conf.lo.forwarding=0",
        ),
        lines("docker network rm inside", "sysctl -w net.ipv4.conf.lo.forwarding=1"),
    ),
    NearMiss(  # what a load balancer with direct return sets
        "sysctl-arp-settings",
        lines(
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.lo.arp_ignore=8"
        ),
        lines(
            "sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0 net.ipv4.conf.lo.arp_ignore=0"
        ),
    ),
    NearMiss(  # off for a bridge whose only port is published on another address; on for all
        "sysctl-route-localnet-off",
        lines(
            run("bound", "--network back -p 203.0.113.10:8081:81"),
            "sysctl -w net.ipv4.conf.<back>.route_localnet=0",
            "sysctl -w net.ipv4.conf.<front>.route_localnet=0 net.ipv4.conf.all.route_localnet=1",
        ),
        lines(
            "docker rm -f bound",
            "sysctl -w net.ipv4.conf.<back>.route_localnet=1",
            "sysctl -w net.ipv4.conf.<front>.route_localnet=1 net.ipv4.conf.all.route_localnet=0",
        ),
        daemon_args=("--userland-proxy=false",),
    ),
    NearMiss(  # the host's setting is off, the bridge's own is on
        "sysctl-bridge-nf-icc-ineffective",
        lines(
            _APART[0].replace(" apart", " -o com.docker.network.bridge.name=apart0 apart"),
            "sysctl -w net.bridge.bridge-nf-call-iptables=0",
            "ip link set apart0 type bridge nf_call_iptables 1",
        ),
        lines("docker network rm apart", "sysctl -w net.bridge.bridge-nf-call-iptables=1"),
    ),
    NearMiss(  # half of the ports
        "sysctl-ephemeral-port-exhaustion",
        lambda host: _have_connections(host, 10),
        lines("docker rm -f busy", _FORGET_CONNECTIONS),
        options=("--conntrack",),
    ),
)
