"""Faults of packet sizes."""

from collections.abc import Callable

from lab import OUTSIDE_SERVER, DockerHost

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds

#: One packet of 1500 bytes that no router may cut.
_LARGE = ["ping", "-M", "do", "-s", "1472", "-c", "1", "-W", "1"]

#: Whether web sends larger segments to the outside than an MTU of 1400 takes.
_SEGMENT_SIZE = (
    "nsenter -t <web_pid> -n python3 -c 'import socket, sys; "
    f's = socket.create_connection(("{OUTSIDE_SERVER}", 80), 3); '
    "sys.exit(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + 40 <= 1400)'"
)

_BACK_TO_1500 = (
    "nsenter -t <db_pid> -n ip link set eth0 mtu 1500",
    "nsenter -t <web_pid> -n ip link set eth0 mtu 1500",
    "nsenter -t <app_pid> -n ip link set eth0 mtu 1500",
    "nsenter -t <app_pid> -n ip link set eth1 mtu 1500",
    "ip -o link show type veth | sed 's/^[0-9]*: \\([^@]*\\)@.*/link set \\1 mtu 1500/' | ip -batch -",
)


def _large_packets_vanish(host: DockerHost) -> bool:
    """Whether a large packet of app's gets no answer of db's."""
    return host.container("app", [*_LARGE, host.address("db", "back")], check=False).returncode != 0


def _nobody_tells(host: DockerHost) -> bool:
    """Whether a container is not told when its packet is too large for the uplink, which is made smaller for this."""
    host.shell("ip link set eth0 mtu 1400")
    try:
        told = host.container("web", [*_LARGE, OUTSIDE_SERVER], check=False).stdout
    finally:
        host.shell("ip link set eth0 mtu 1500")
        host.container("web", ["ip", "route", "flush", "cache"])
    return "Frag needed" not in told


def _jumbo_uplink(mtu: int) -> Callable[[DockerHost], None]:
    def make(host: DockerHost) -> None:
        host.wan(["ip", "link", "set", "up0", "mtu", str(mtu)])
        host.shell(f"ip link set eth0 mtu {mtu}")

    return make


def _ordinary_again(host: DockerHost) -> None:
    _jumbo_uplink(1500)(host)
    lines(*_BACK_TO_1500)(host)


FAULTS = (
    Fault(
        "mtu-bridge-gt-uplink",
        lines("ip link set eth0 mtu 1400"),
        succeeds(_SEGMENT_SIZE),
        named("interface", "eth0"),
        on=("nft", "28.5"),
        cleanup=lines("ip link set eth0 mtu 1500", "nft delete table ip mangle"),
    ),
    Fault(
        "mtu-icmp-fragneeded-blocked",
        lines("iptables -I OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"),
        _nobody_tells,
        network("front"),
        on=("nft", "28.5"),
        cleanup=lines("iptables -D OUTPUT 1", "iptables -D OUTPUT 1"),
    ),
    Fault(  # the setting is there from the start, and reaches no network of the workload
        "mtu-option-not-applied",
        lines(),
        succeeds("nsenter -t <web_pid> -n ip link show eth0 | grep -q 'mtu 1500'"),
        network("front"),
        daemon_args=("--mtu=1400",),
        on=("nft", "28.5"),
        cleanup=lines(*_BACK_TO_1500),
    ),
    Fault(
        "mtu-veth-mismatch",
        lines("ip link set <db_veth> mtu 1400"),
        _large_packets_vanish,
        named("container", "db"),
        on=("nft", "28.5"),
    ),
    Fault(  # containers of one network
        "mtu-veth-mismatch",
        lines("ip link set <db_veth> mtu 1400", "nsenter -t <db_pid> -n ip link set eth0 mtu 1400"),
        _large_packets_vanish,
        named("container", "db"),
        variant="network",
    ),
    Fault(
        "mtu-uplink-jumbo-mismatch",
        _jumbo_uplink(9000),
        succeeds(f"! nsenter -t <web_pid> -n ping -M do -s 8972 -c 1 -W 1 {OUTSIDE_SERVER}"),
        network("front"),
        cleanup=_ordinary_again,
    ),
)

NEAR_MISSES = (
    NearMiss(  # a smaller uplink and a rule that clamps
        "mtu-bridge-gt-uplink",
        lines(
            "ip link set eth0 mtu 1400",
            "iptables -t mangle -A POSTROUTING -o eth0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1360",
        ),
        lines("ip link set eth0 mtu 1500", "nft delete table ip mangle"),
    ),
    NearMiss(  # a smaller uplink and networks that fit it, or do not lead there
        "mtu-bridge-gt-uplink",
        lines(
            "docker stop -t 1 web db app",
            "ip link set eth0 mtu 1400",
            "docker network create --internal inside",
            run("kept", "--network inside"),
            "docker network create -o com.docker.network.driver.mtu=1400 sized",
            run("fits", "--network sized"),
        ),
        lines(
            "docker rm -f kept fits",
            "docker network rm inside sized",
            "ip link set eth0 mtu 1500",
            "docker start web db app",
        ),
        variant="fits",
    ),
    NearMiss(  # nobody may ping, and everything else of ICMP passes
        "mtu-icmp-fragneeded-blocked",
        lines(
            "iptables -I OUTPUT -p icmp --icmp-type echo-reply -j DROP",
            "iptables -I DOCKER-USER -p icmp --icmp-type echo-request -j DROP",
            "iptables -I INPUT -p icmp -j DROP",
        ),
        lines(
            "iptables -D OUTPUT 1",
            "iptables -D DOCKER-USER 1",
            "iptables -D INPUT 1",
        ),
    ),
    NearMiss(  # the network has the option, and another MTU than the daemon's
        "mtu-option-not-applied",
        lines(
            *_BACK_TO_1500,
            "docker stop -t 1 web app db",
            "docker network create -o com.docker.network.driver.mtu=1450 sized",
            run("fits", "--network sized"),
            run("default", ""),
        ),
        lines("docker rm -f fits default", "docker network rm sized", "docker start web db app"),
        daemon_args=("--mtu=1400",),
    ),
    NearMiss(  # the bridge device has another MTU than its ports, which says nothing
        "mtu-veth-mismatch",
        lines("ip link set <front> mtu 1400"),
        lines("ip link set <front> mtu 1500"),
    ),
    NearMiss(  # an uplink that is larger, and not jumbo
        "mtu-uplink-jumbo-mismatch",
        lines("ip link set eth0 mtu 1600"),
        lines("ip link set eth0 mtu 1500"),
    ),
)
