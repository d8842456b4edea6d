"""Networks with every driver and option."""

from faults._kit import lines, run, serving, succeeds
from lab import HOST_ADDRESS, ROUTER_ADDRESS

from healthy._kit import (
    Healthy,
    all_of,
    answers,
    is_published,
    keeps_apart,
    reaches,
    reaches_outside,
    seen_outside_as,
    serve,
    steps,
    way_back,
    workload_works,
)

_OPTION = "-o com.docker.network.bridge"


STATES = (
    Healthy(
        "internal-network",
        lines(
            "docker network create --internal vault", serve("safe", "--network vault"), run("user", "--network vault")
        ),
        all_of(reaches("user", "safe", "vault"), lambda host: not reaches_outside("safe")(host)),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "macvlan-network",  # its gateway is a router outside, and the host cannot reach its containers, by design
        lines(
            f"docker network create -d macvlan -o parent=eth0 --subnet 203.0.113.0/24 --gateway {ROUTER_ADDRESS} "
            "--ip-range 203.0.113.192/27 lan",
            serve("onlan", "--network lan"),
            serve("onboth", "--network front"),
            "docker network connect lan onboth",
        ),
        all_of(reaches_outside("onlan"), reaches("onboth", "onlan", "lan")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "network-with-ipv6",
        lines(
            "docker network create --ipv6 --subnet fd00:6::/64 six",
            serving("v6", "--network six -p 8096:80", "[::]:80"),
            serve("v6too", "--network six"),
        ),
        all_of(reaches("v6too", "v6", "six"), is_published(8096)),
        daemon_args=("--experimental", "--ip6tables"),  # without it Docker before 27 leaves IPv6 unfiltered
        on=("nft", "28.5"),
    ),
    Healthy(
        "uplink-with-ipv6",
        lines(
            "ip addr add 2001:db8::10/64 dev eth0 nodad",
            "ip -6 route add default via 2001:db8::1 dev eth0",
            "sysctl -qw net.ipv6.conf.all.forwarding=1",
            "docker network create --ipv6 --subnet 2001:db8:6::/64 six",
            serve("v6", "--network six"),
        ),
        all_of(workload_works, reaches_outside("v6")),
        daemon_args=("--experimental", "--ip6tables"),
        on=("nft", "28.5"),
    ),
    Healthy(
        "bridge-with-a-name-of-its-own",
        lines(
            f"docker network create {_OPTION}.name=app-br --subnet 10.55.0.0/24 --gateway 10.55.0.254 named",
            serve("innamed", "--network named -p 8097:80"),
        ),
        all_of(is_published(8097), reaches_outside("innamed"), succeeds("ip link show dev app-br")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "network-that-is-not-masqueraded",  # the router outside knows the way back
        steps(
            lines(
                f"docker network create {_OPTION}.enable_ip_masquerade=false --subnet 10.44.0.0/24 plain",
                serve("routed", "--network plain"),
            ),
            way_back("10.44.0.0/24"),
        ),
        all_of(seen_outside_as("routed", "10.44.0.2"), workload_works),
        # 28 drops the answers before routing (chain PREROUTING of raw) unless the gateway mode is `routed`
    ),
    Healthy(
        "network-with-an-address-of-the-host",
        lines(
            "ip addr add 203.0.113.11/24 dev eth0",
            "docker network create -o com.docker.network.host_ipv4=203.0.113.11 tenant",
            run("snat", "--network tenant"),
        ),
        seen_outside_as("snat", "203.0.113.11"),
        on=("nft", "28.5"),
    ),
    Healthy(
        "network-of-containers-that-must-not-talk",
        lines(
            f"docker network create {_OPTION}.enable_icc=false apart",
            serve("one", "--network apart -p 8098:80"),
            run("two", "--network apart"),
        ),
        all_of(keeps_apart("two", "one", "apart"), reaches_outside("two"), is_published(8098)),
        on=("nft", "28.5"),
    ),
    Healthy(
        "network-with-a-smaller-mtu",
        lines(
            "docker network create -o com.docker.network.driver.mtu=1400 small",
            serve("thin", "--network small"),
        ),
        all_of(reaches_outside("thin"), answers("docker exec thin ip link show eth0", "mtu 1400")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "network-that-is-routed",
        steps(
            lines(
                f"docker network create {_OPTION}.gateway_mode_ipv4=routed --subnet 10.43.0.0/24 routed",
                serve("direct", "--network routed -p 80"),
            ),
            way_back("10.43.0.0/24"),
        ),
        all_of(
            seen_outside_as("direct", "10.43.0.2"),
            lambda host: host.wan(["curl", "-sf", "-m", "2", "http://10.43.0.2/"], check=False).returncode == 0,
        ),
        on=("28.5",),
    ),
    Healthy(
        "network-that-is-isolated-from-the-host",
        lines(
            f"docker network create --internal {_OPTION}.gateway_mode_ipv4=isolated lonely",
            serve("lone", "--network lonely"),
            run("peer", "--network lonely"),
        ),
        all_of(reaches("peer", "lone", "lonely"), workload_works),
        on=("28.5",),
    ),
    Healthy(
        "network-that-is-not-protected",
        lines(
            f"docker network create {_OPTION}.gateway_mode_ipv4=nat-unprotected open",
            serve("bare", "--network open"),
        ),
        reaches_outside("bare"),
        on=("28.5",),
    ),
    Healthy(
        "network-that-is-only-a-plan-and-one-made-of-it",
        lines(
            "docker network create --config-only --subnet 10.42.0.0/24 plan",
            "docker network create --config-from plan made",
            serve("ofplan", "--network made"),
        ),
        reaches_outside("ofplan"),
    ),
    Healthy(
        "swarm-of-one-node",
        lines(
            f"docker swarm init --advertise-addr {HOST_ADDRESS}",
            "docker network create -d overlay --attachable mesh",
            serve("far", "--network mesh"),
            serve("near", "--network mesh"),
        ),
        all_of(reaches("near", "far", "mesh"), reaches_outside("far"), workload_works),
        on=("nft", "28.5"),
    ),
)
