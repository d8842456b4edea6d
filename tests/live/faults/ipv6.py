"""Faults of IPv6."""

import os
import shlex
import signal
import sys
from collections.abc import Callable

from lab import DockerHost

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds

#: The addresses of the uplink are of the documentation's prefix (RFC 3849).
_ROUTER, _HOST, _OUTSIDE = "2001:db8:1::1", "2001:db8:1::10", "2001:db8:2::7"
_OPTIONS = ("--experimental", "--ip6tables")

#: Sends a router advertisement each half second: a prefix for addresses, and itself as default router for 30 minutes.
_ROUTER_PROGRAM = """
import socket, struct, time
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:1::"))
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
while True:
    out.sendto(packet, ("ff02::1", 0, 0, socket.if_nametoindex("up0")))
    time.sleep(0.5)
"""


def _connect_ipv6(host: DockerHost) -> None:
    """The outside world and the uplink get IPv6; nobody there knows a way to Docker's networks."""
    host.wan(["sh", "-c", f"ip addr add {_OUTSIDE}/128 dev lo; ip addr add {_ROUTER}/64 dev up0 nodad"])
    host.shell(f"ip addr add {_HOST}/64 dev eth0 nodad; ip -6 route add default via {_ROUTER} dev eth0")
    # An earlier test on this host may have left its router's neighbour entry behind: as one that does not answer, or
    # that is being probed, which lets a ping pass and may fail for all that.
    host.shell(f"ip neigh flush to {_ROUTER} dev eth0")
    host.shell(f"for i in $(seq 10); do ping -c1 -W1 {_ROUTER} >/dev/null && exit; done; exit 1")


def _disconnect_ipv6(host: DockerHost) -> None:
    host.wan(["sh", "-c", f"ip addr del {_OUTSIDE}/128 dev lo; ip addr del {_ROUTER}/64 dev up0"])
    host.shell(f"ip -6 route del default; ip addr del {_HOST}/64 dev eth0")
    host.shell("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.proxy_ndp=0")


def _six(subnet: str, *options: str) -> tuple[str, ...]:
    """A network with IPv6 and a container on it. The engine's first such network brings rules that stay behind it."""
    words = " ".join(options)
    return (
        "ip6tables-save >/root/ip6tables.rules",
        f"docker network create --ipv6 --subnet {subnet} {words} -o com.docker.network.bridge.name=br-six six",
        "docker run -d --name six --network six lab/busybox:1",
    )


#: Network six is not masqueraded by the engine, so IPv4 is by the administrator.
_OWN_MASQUERADE = "POSTROUTING -s 172.20.0.0/16 -o eth0 -j MASQUERADE"
_WITHOUT_SIX = (
    "docker rm -f six",
    "docker network rm six",
    "nft delete table ip6 raw 2>/dev/null || true",  # of Docker 28
    "ip6tables-restore </root/ip6tables.rules",
)


def _reaches_outside(host: DockerHost) -> bool:
    """Whether the container gets an echo from the outside by IPv6."""
    return host.container("six", ["ping", "-c1", "-W1", _OUTSIDE], check=False).returncode == 0


def _given(*commands: str) -> Callable[[DockerHost], None]:
    """An uplink with IPv6, then these commands."""

    def inject(host: DockerHost) -> None:
        _connect_ipv6(host)
        lines(*commands)(host)

    return inject


def _undo(*commands: str) -> Callable[[DockerHost], None]:
    def undo(host: DockerHost) -> None:
        lines(*commands)(host)
        _disconnect_ipv6(host)

    return undo


def _listen_to_a_router(host: DockerHost) -> None:
    """The uplink gets its address and its default route from a router's advertisements."""
    host.wan(["sh", "-c", f"ip addr add {_OUTSIDE}/128 dev lo; ip addr add {_ROUTER}/64 dev up0 nodad"])
    program = shlex.join(["timeout", "600", sys.executable, "-c", _ROUTER_PROGRAM])
    host.write_file("/root/router.pid", host.wan(["sh", "-c", f"{program} >/dev/null 2>&1 & echo $!"]).stdout)
    host.shell("for i in $(seq 100); do ip -6 route show default | grep -q 'proto ra' && exit; sleep 0.1; done; exit 1")


def _lose_the_router(host: DockerHost) -> None:
    _listen_to_a_router(host)
    host.shell("sysctl -qw net.ipv6.conf.all.forwarding=1")


def _keep_the_router(host: DockerHost) -> None:
    host.shell("sysctl -qw net.ipv6.conf.eth0.accept_ra=2")
    _lose_the_router(host)


def _end_the_router(host: DockerHost) -> None:
    os.kill(int(host.shell("cat /root/router.pid").stdout), signal.SIGTERM)
    host.wan(["sh", "-c", f"ip addr del {_OUTSIDE}/128 dev lo; ip addr del {_ROUTER}/64 dev up0"])
    host.shell("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_ra=1")
    host.shell(
        "rm -f /etc/sysctl.d/99-accept-ra.conf; ip -6 route flush default; ip -6 addr flush dev eth0 scope global"
    )


def _host_reaches_outside(host: DockerHost) -> bool:
    return host.run(["ping", "-c1", "-W1", _OUTSIDE], check=False).returncode == 0


def _six_is_alone(host: DockerHost) -> bool:
    return not _reaches_outside(host)


_PRIVATE, _PART_OF_THE_UPLINK, _ROUTED = "fd00:6::/64", "2001:db8:1:0:6::/80", "2001:db8:6::/64"
_UNTRANSLATED = "-o com.docker.network.bridge.enable_ip_masquerade=false"
_SIX_PID = "$(docker inspect -f '{{.State.Pid}}' six)"
_WITHOUT_IP6TABLES = (
    "rm /etc/docker/daemon.json",
    "systemctl restart docker",
    "ip6tables -P FORWARD ACCEPT",
    "nft delete table ip6 nat",
    "nft delete table ip6 filter",
)

FAULTS = (
    Fault(
        "ipv6-ra-lost-default",
        _lose_the_router,
        lambda host: not _host_reaches_outside(host),
        named("interface", "eth0"),
        on=("nft", "28.5"),
        cleanup=_end_the_router,
    ),
    Fault(
        "ipv6-forwarding-off",
        _given(*_six(_PRIVATE), "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        _six_is_alone,
        network("six"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=_undo(*_WITHOUT_SIX, "rm /etc/sysctl.d/99-docker-forward-ipv6.conf"),
    ),
    Fault(
        "ipv6-masquerade-missing",
        _given(*_six(_PRIVATE), f"ip6tables -t nat -D POSTROUTING -s {_PRIVATE} ! -o br-six -j MASQUERADE"),
        _six_is_alone,
        network("six"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=_undo(*_WITHOUT_SIX),
    ),
    Fault(
        "ipv6-disabled-host",
        _given(*_six(_PRIVATE), "sysctl -qw net.ipv6.conf.br-six.disable_ipv6=1"),
        _six_is_alone,
        network("six"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=_undo(*_WITHOUT_SIX),
    ),
    Fault(
        "ipv6-ip6tables-off",
        _given(*_six(_PRIVATE)),
        succeeds("! ip6tables-save | grep -q br-six"),
        network("six"),
        cleanup=_undo(*_WITHOUT_SIX, *_WITHOUT_IP6TABLES),
    ),
    Fault(
        "ipv6-container-no-default",
        _given(*_six(_PRIVATE), f"nsenter -t {_SIX_PID} -n ip -6 route del default"),
        _six_is_alone,
        named("container", "six"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=_undo(*_WITHOUT_SIX),
    ),
    Fault(
        "ipv6-dad-failed",
        lines(
            *_six(_PRIVATE),
            run("other", "--network six"),
            "ip6=$(docker inspect -f '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}' six); "
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' other) -n ip addr add $ip6/64 dev eth0",
            "sleep 3",
        ),
        succeeds("nsenter -t $(docker inspect -f '{{.State.Pid}}' other) -n ip -6 addr | grep -q dadfailed"),
        named("container", "other"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f other", *_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
    ),
    Fault(
        "ipv6-gua-no-return-route",
        _given(*_six(_PART_OF_THE_UPLINK, _UNTRANSLATED), f"iptables -t nat -A {_OWN_MASQUERADE}"),
        _six_is_alone,
        network("six"),
        daemon_args=_OPTIONS,
        on=("nft", "28.5"),
        cleanup=_undo(
            *_WITHOUT_SIX[:2],
            f"iptables -t nat -D {_OWN_MASQUERADE}",
            "ip6tables -t raw -F PREROUTING 2>/dev/null || true",  # which the remedy opens on Docker 28
            *_WITHOUT_SIX[2:],
        ),
    ),
)

NEAR_MISSES = (
    NearMiss(  # the host forwards, and listens to its router all the same
        "ipv6-ra-lost-default",
        _keep_the_router,
        _end_the_router,
        on=("nft", "28.5"),
    ),
    NearMiss(  # single interfaces say that they are no router's, which decides nothing
        "ipv6-forwarding-off",
        lines(*_six(_PRIVATE), "sysctl -qw net.ipv6.conf.br-six.forwarding=0"),
        lines(*_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        daemon_args=_OPTIONS,
    ),
    NearMiss(  # addresses of the internet that shall not be translated
        "ipv6-masquerade-missing",
        lines(*_six(_ROUTED, _UNTRANSLATED)),
        lines(*_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        daemon_args=_OPTIONS,  # Docker 28 would drop the answers: their addresses are the containers' own
    ),
    NearMiss(  # containers on networks without IPv6 have it switched off
        "ipv6-disabled-host",
        lines(*_six(_PRIVATE)),
        lines(*_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        daemon_args=_OPTIONS,
    ),
    NearMiss(  # somebody else translates, as docker-ipv6nat does
        "ipv6-ip6tables-off",
        lines(*_six(_PRIVATE), f"ip6tables -t nat -A POSTROUTING -s {_PRIVATE} ! -o br-six -j MASQUERADE"),
        lines(*_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0", "nft delete table ip6 nat"),
    ),
    NearMiss(  # the default route in two halves, as VPNs have it
        "ipv6-container-no-default",
        lines(
            *_six(_PRIVATE),
            f"nsenter -t {_SIX_PID} -n ip -6 route add ::/1 via fd00:6::1",
            f"nsenter -t {_SIX_PID} -n ip -6 route add 8000::/1 via fd00:6::1",
            f"nsenter -t {_SIX_PID} -n ip -6 route del default",
        ),
        lines(*_WITHOUT_SIX, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        daemon_args=_OPTIONS,
    ),
    NearMiss(  # a bridge without containers has no carrier, and its addresses stay tentative
        "ipv6-dad-failed",
        lines(_six(_PRIVATE)[0], "docker network create --ipv6 --subnet fd00:6::/64 six"),
        lines("docker network rm six", _WITHOUT_SIX[-1], "sysctl -qw net.ipv6.conf.all.forwarding=0"),
        daemon_args=_OPTIONS,
    ),
    NearMiss(  # a prefix of its own, which the provider routes to the host
        "ipv6-gua-no-return-route",
        _given(*_six(_ROUTED, _UNTRANSLATED)),
        _undo(*_WITHOUT_SIX),
        daemon_args=_OPTIONS,  # Docker 28 would drop the answers: their addresses are the containers' own
    ),
)
