"""Faults of bridges: their ports' settings, forwarding tables, and what else is on them."""

from collections.abc import Callable

from lab import (
    HOST_ADDRESS,
    PUBLISHED_PORT,
    ROUTER_ADDRESS,
    DockerHost,
    client_address_seen,
    container_to_container,
    egress,
)

from faults._kit import Fault, NearMiss, bridge, lines, named, run

_PORT_DOWN_AND_UP = ("ip link set <db_veth> down", "ip link set <db_veth> up")


def _app_cannot_reach_db(host: DockerHost) -> bool:
    return not container_to_container(host, "app", host.address("db", "back"))


def _db_cannot_leave(host: DockerHost) -> bool:
    return not egress(host, "db")


def _client_is_not_led_to_web(host: DockerHost) -> bool:
    """The rules for published ports leave out what comes by the bridge: docker-proxy answers, or nobody does."""
    return client_address_seen(host) != ROUTER_ADDRESS


def _web_cannot_reach_itself(host: DockerHost) -> bool:
    return not container_to_container(host, "web", f"{HOST_ADDRESS}:{PUBLISHED_PORT}")


def _forgetting_db(*commands: str) -> Callable[[DockerHost], bool]:
    """Whether app cannot reach db once nobody remembers db's MAC address any more."""

    def hurts(host: DockerHost) -> bool:
        mac = host.inspect("db")[0]["NetworkSettings"]["Networks"]["back"]["MacAddress"]
        host.shell(f"bridge fdb del {mac} dev {host.veth('db', 'back')} master", check=False)
        for container in ("app", "db"):
            host.container(container, ["ip", "neigh", "flush", "all"])
        return _app_cannot_reach_db(host)

    return hurts


def _a_new_container_waits(host: DockerHost) -> bool:
    """The port of a container that has just been started does not forward yet."""
    host.shell(run("late", "--network front"))
    state = host.shell(f"bridge link show dev {host.veth('late', 'front')}").stdout
    host.shell("docker rm -f late")
    return "state forwarding" not in state


def _frames_go_round(host: DockerHost) -> bool:
    """The bridge hands on frames long after the last one was sent."""
    host.container("app", ["ip", "neigh", "flush", "all"])
    container_to_container(host, "app", host.address("web", "front"))
    counter = host.bridge("front") + "/statistics/rx_packets"
    first = host.shell(f"sleep 2; cat /sys/class/net/{counter}").stdout
    second = host.shell(f"sleep 2; cat /sys/class/net/{counter}").stdout
    return int(second) - int(first) > 5


def _have_ports(host: DockerHost, count: int, network: str = "front", prefix: str = "p") -> None:
    """Make so many ports of a network's bridge, with those that it has."""
    name = host.bridge(network)
    more = count - len(host.shell(f"ls /sys/class/net/{name}/brif").stdout.split())
    names = [f"{prefix}{number}" for number in range(more)]
    commands = (f"tuntap add {each} mode tap\nlink set {each} master {name}" for each in names)
    host.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", timeout=300)


def _have_no_ports(host: DockerHost, count: int, prefix: str = "p") -> None:
    """Delete those ports."""
    commands = (f"link del {prefix}{number}" for number in range(count))
    host.run(["ip", "-force", "-batch", "-"], input="\n".join(commands) + "\n", check=False, timeout=300)


def _no_more_containers(host: DockerHost) -> bool:
    """No container can be started on the network for want of a port."""
    started = host.shell(run("late", "--network front"), check=False)
    host.shell("docker rm -f late", check=False)
    return started.returncode != 0 and "exchange full" in started.stderr


FAULTS = (
    Fault(
        "bridge-fdb-stale-static",
        lines("bridge fdb replace <db_mac> dev <app_veth> master static sticky"),
        _app_cannot_reach_db,
        named("container", "db"),
        on=("nft", "28.5"),
    ),
    Fault(
        "bridge-ebtables-drop",
        lines(
            "nft add table bridge site",
            "nft 'add chain bridge site f { type filter hook forward priority 0; policy drop; }'",
        ),
        _app_cannot_reach_db,
        named("chain", "bridge site f"),
        on=("nft", "28.5"),
        cleanup=lines("nft delete table bridge site"),
    ),
    Fault(
        "bridge-ebtables-drop",
        lines("ebtables-nft -A INPUT -i <db_veth> -p ARP -j DROP"),
        lambda host: host.container("db", ["ip", "neigh", "flush", "all"]).returncode == 0 and _db_cannot_leave(host),
        named("container", "db"),
        variant="arp",
        cleanup=lines("nft delete table bridge filter"),
    ),
    Fault(
        "bridge-uplink-enslaved",
        lines("ip link set eth0 master docker0"),
        _client_is_not_led_to_web,
        named("interface", "eth0"),
        on=("nft", "28.5"),
    ),
    Fault(  # the queues keep the storm so slow that the machine does not feel it
        "bridge-l2-loop",
        lines(
            "ip link add la type veth peer name lb",
            "tc qdisc add dev la root tbf rate 40kbit burst 2000 limit 4000",
            "tc qdisc add dev lb root tbf rate 40kbit burst 2000 limit 4000",
            "ip link set la master <front> up",
            "ip link set lb master <front> up",
        ),
        _frames_go_round,
        named("interface", "la"),
        on=("nft",),
    ),
    Fault(  # what is left behind when STP was switched on and off again
        "bridge-port-not-forwarding",
        lines("bridge link set dev <db_veth> state 1"),
        _db_cannot_leave,
        named("container", "db"),
        on=("nft", "28.5"),
    ),
    Fault(
        "bridge-port-not-forwarding",
        lines("bridge link set dev <db_veth> state 0"),
        _db_cannot_leave,
        named("container", "db"),
        variant="disabled",
    ),
    Fault(
        "bridge-port-isolated",
        lines("bridge link set dev <db_veth> isolated on", "bridge link set dev <app_veth> isolated on"),
        _app_cannot_reach_db,
        bridge("back"),
        on=("nft", "28.5"),
    ),
    Fault(
        "bridge-flood-learning-off",
        lines("bridge link set dev <db_veth> flood off learning off bcast_flood off"),
        _forgetting_db(),
        named("container", "db"),
        on=("nft", "28.5"),
    ),
    Fault(
        "bridge-flood-learning-off",
        lines("bridge link set dev <db_veth> flood off learning off"),
        _forgetting_db(),
        named("container", "db"),
        variant="unicast",
    ),
    Fault(
        "bridge-flood-learning-off",
        lines("bridge link set dev <db_veth> locked on"),
        _forgetting_db(),
        named("container", "db"),
        variant="locked",
    ),
    Fault(
        "bridge-hairpin-missing",
        lines("bridge link set dev <web_veth> hairpin off"),
        _web_cannot_reach_itself,
        named("container", "web"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "28.5"),
    ),
    Fault(
        "bridge-stp-enabled",
        lines("ip link set <front> type bridge stp_state 1"),
        _a_new_container_waits,
        bridge("front"),
        on=("nft", "28.5"),
    ),
    Fault(  # taps stand for the containers of a large host
        "bridge-port-limit",
        lambda host: _have_ports(host, 1023),
        _no_more_containers,
        bridge("front"),
        on=("nft",),
        instead=lambda host: _have_no_ports(host, 1023),
        cleanup=lines("docker rm -f late"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # the bridge's own static entries, and one for the right port
        "bridge-fdb-stale-static",
        lines("bridge fdb replace <db_mac> dev <db_veth> master static"),
        lines("bridge fdb del <db_mac> dev <db_veth> master"),
    ),
    NearMiss(  # rules for the ports of virtual machines, and one that only counts
        "bridge-ebtables-drop",
        lines(
            "nft add table bridge site",
            "nft 'add chain bridge site f { type filter hook forward priority 0; policy accept; }'",
            "nft add rule bridge site f iifname vnet0 drop",
            "nft add rule bridge site f iifname 'vnet*' ether type arp drop",
            "nft add rule bridge site f counter",
        ),
        lines("nft delete table bridge site"),
    ),
    NearMiss(  # a bridge of the administrator's own that has the address itself
        "bridge-uplink-enslaved",
        lines(
            "ip link add br0 type bridge",
            "ip addr add 10.77.0.1/24 dev br0",
            "ip link set br0 up",
            "ip tuntap add tap7 mode tap",
            "ip link set tap7 master br0 up",
            "docker network create -o com.docker.network.bridge.name=br0 --subnet 10.77.0.0/24 campus",
        ),
        lines("docker network rm campus", "ip link del tap7", "ip link del br0 || true"),
    ),
    NearMiss(  # a veth pair that joins two bridges, with the container's network on one of them
        "bridge-l2-loop",
        lines(
            "ip link add other type bridge",
            "ip link set other up",
            "ip link add la type veth peer name lb",
            "ip link set la master docker0 up",
            "ip link set lb master other up",
        ),
        lines("ip link del la", "ip link del other"),
    ),
    NearMiss(  # a port of something else that is disabled because it has no carrier
        "bridge-port-not-forwarding",
        lines("ip tuntap add tap7 mode tap", "ip link set tap7 master <front> up"),
        lines("ip link del tap7"),
    ),
    NearMiss(  # one isolated port reaches all others
        "bridge-port-isolated",
        lines("bridge link set dev <db_veth> isolated on"),
        lines("bridge link set dev <db_veth> isolated off"),
    ),
    NearMiss(  # settings that cost something and break nothing
        "bridge-flood-learning-off",
        lines("bridge link set dev <db_veth> learning off neigh_suppress on mcast_flood off"),
        lines("bridge link set dev <db_veth> learning on neigh_suppress off mcast_flood on"),
    ),
    NearMiss(  # without the proxy, a container that publishes nothing needs no hairpin mode
        "bridge-hairpin-missing",
        lines("bridge link set dev <db_veth> hairpin off"),
        lines("bridge link set dev <db_veth> hairpin on"),
        daemon_args=("--userland-proxy=false",),
    ),
    NearMiss(  # a bridge of the administrator's own, with STP and a port that is no veth
        "bridge-stp-enabled",
        lines(
            "ip link add br0 type bridge stp_state 1",
            "ip addr add 10.77.0.1/24 dev br0",
            "ip link set br0 up",
            "ip tuntap add tap7 mode tap",
            "ip link set tap7 master br0 up",
            "docker network create -o com.docker.network.bridge.name=br0 --subnet 10.77.0.0/24 campus",
        ),
        lines("docker network rm campus", "ip link del tap7", "ip link del br0 || true"),
    ),
    NearMiss(  # many ports, on two bridges
        "bridge-port-limit",
        lambda host: (_have_ports(host, 500), _have_ports(host, 500, "back", "q")),
        lambda host: (_have_no_ports(host, 500), _have_no_ports(host, 500, "q")),
    ),
)
