"""Daemons with every setting, running and stopped; engines of every age."""

from faults._kit import lines, run, succeeds
from lab import PUBLISHED_PORT, DockerHost

from healthy._kit import (
    Healthy,
    all_of,
    answers,
    is_published,
    keeps_apart,
    nothing,
    reaches,
    reaches_outside,
    serve,
    workload_works,
)


def _stop_the_daemon(host: DockerHost) -> None:
    host.shell("docker stop -t 1 web db app && systemctl stop docker")


#: Open questions that only a running engine answers.
_ASKS_THE_ENGINE = ("docker", "in a swarm", "of Docker", "this engine", "the daemon manages")

STATES = (
    Healthy("standard-workload", nothing, workload_works, on=("nft", "legacy", "26.1", "28.5")),
    Healthy(
        "userland-proxy-off",
        lines(serve("more", "--network back -p 8095:80")),
        all_of(workload_works, is_published(8095)),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "iptables-off-and-rules-of-one-s-own",
        lines(
            "sysctl -qw net.ipv4.ip_forward=1",
            "docker network create --subnet 172.30.0.0/16 own",
            "iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE",
            f"iptables -t nat -A PREROUTING -i eth0 -p tcp --dport {PUBLISHED_PORT} -j DNAT --to 172.30.0.10:80",
            serve("mine", f"--network own --ip 172.30.0.10 -p {PUBLISHED_PORT}:80"),
        ),
        all_of(reaches_outside("mine"), is_published()),
        daemon_args=("--iptables=false",),
        on=("nft", "28.5"),
        workload=False,
    ),
    Healthy(
        "iptables-off-and-nftables-of-one-s-own",
        lines(
            "sysctl -qw net.ipv4.ip_forward=1",
            "docker network create --subnet 172.30.0.0/16 own",
            "nft add table ip site",
            "nft add chain ip site out '{ type nat hook postrouting priority srcnat; }'",
            "nft add rule ip site out ip saddr 172.16.0.0/12 oifname eth0 masquerade",
            serve("mine", f"--network own -p {PUBLISHED_PORT}:80"),
        ),
        all_of(reaches_outside("mine"), is_published()),
        daemon_args=("--iptables=false",),
        workload=False,
    ),
    Healthy(
        "default-network-with-addresses-of-its-own",
        lines(serve("plain", "-p 8094:80")),
        all_of(is_published(8094), reaches_outside("plain"), answers("docker exec plain ip addr", "10.99.0.")),
        daemon_args=("--bip=10.99.0.1/24", "--fixed-cidr=10.99.0.128/25"),
        on=("nft", "28.5"),
    ),
    Healthy(
        "no-default-network",
        nothing,
        all_of(workload_works, lambda host: not succeeds("ip link show dev docker0")(host)),
        daemon_args=("--bridge=none",),
    ),
    Healthy(
        "containers-on-the-default-network-must-not-talk",
        lines(serve("one", "-p 8094:80"), run("two", "")),
        all_of(keeps_apart("two", "one", "bridge"), is_published(8094), reaches_outside("two")),
        daemon_args=("--icc=false",),
        on=("nft", "28.5"),
    ),
    Healthy(
        "live-restore",
        lambda host: host.restart_docker(),
        workload_works,
        daemon_args=("--live-restore",),
        on=("nft", "28.5"),
    ),
    Healthy(
        "live-restore-with-the-daemon-stopped",
        lines("systemctl stop docker"),
        succeeds("bridge link | grep -c forwarding | grep -qx 4"),
        daemon_args=("--live-restore",),
        may_say=frozenset({"bundle-docker-down"}),
        may_ask=_ASKS_THE_ENGINE,
    ),
    Healthy(
        "daemon-stopped",
        _stop_the_daemon,
        lambda host: not succeeds("docker version")(host),
        on=("nft", "28.5"),
        may_say=frozenset({"bundle-docker-down"}),
        may_ask=_ASKS_THE_ENGINE,
    ),
    Healthy(
        "pools-of-addresses-of-one-s-own",
        lines("docker network create pooled", serve("inpool", "--network pooled")),
        all_of(reaches_outside("inpool"), answers("docker exec inpool ip addr", "10.210.")),
        daemon_args=("--default-address-pool=base=10.210.0.0/16,size=24",),
    ),
    Healthy(
        "forwarding-on-before-the-daemon",  # then the policy of FORWARD stays ACCEPT
        lines(
            "systemctl stop docker && iptables -P FORWARD ACCEPT && sysctl -qw net.ipv4.ip_forward=1",
            "systemctl start docker",
        ),
        all_of(workload_works, answers("iptables -S FORWARD", "-P FORWARD ACCEPT")),
        on=("nft", "28.5"),
        may_say=frozenset({"sec-forward-policy-accept"}),  # and neighbours do reach the containers, before 28
    ),
    Healthy(
        "restarted-daemon",
        lambda host: host.restart_docker(),
        all_of(workload_works, reaches("app", "web", "front")),
        on=("nft", "legacy", "26.1", "28.5"),
    ),
)
