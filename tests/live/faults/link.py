"""Faults of links and bridges."""

from lab import container_to_container, egress

from faults._kit import Fault, NearMiss, bridge, lines, named, run, succeeds

FAULTS = (
    Fault(
        "link-veth-orphan",
        lines(
            "ip link add vethdead001 type veth peer name vethdead002",
            "ip link set vethdead001 master <front> up",
        ),
        succeeds("bridge link show dev vethdead001 | grep -q <front>"),
        named("interface", "vethdead001"),
        on=("nft", "legacy"),
    ),
    Fault(
        "link-bridge-missing",
        lines("ip link del <front>"),
        lambda host: not container_to_container(host, "app", host.address("web", "front")),
        bridge("front"),
        on=("nft", "legacy"),
    ),
    Fault(
        "link-stale-bridge",
        lines(
            "ip link add br-0123456789ab type bridge",
            "ip addr add 172.30.0.1/16 dev br-0123456789ab",
            "ip link set br-0123456789ab up",
        ),
        succeeds("ip route get 172.30.0.5 | grep -q br-0123456789ab"),
        named("bridge", "br-0123456789ab"),
        on=("nft", "legacy"),
    ),
    Fault(
        "link-veth-not-enslaved",
        lines("ip link set <db_veth> nomaster"),
        lambda host: not egress(host, "db"),
        named("container", "db"),
        on=("nft", "legacy"),
    ),
    Fault(
        "link-bridge-down",
        lines("ip link set <back> down"),
        lambda host: not container_to_container(host, "app", host.address("db", "back")),
        bridge("back"),
        on=("nft", "legacy"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # a veth pair in the host's own namespace, on a bridge that is not Docker's
        "link-veth-orphan",
        lines(
            "ip link add virbr0 type bridge",
            "ip link set virbr0 up",
            "ip link add vnet0 type veth peer name vnet1",
            "ip link set vnet0 master virbr0 up",
        ),
        lines("ip link del vnet0", "ip link del virbr0"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # networks without a bridge: macvlan, and a configuration only
        "link-bridge-missing",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            "docker network create --config-only --subnet 192.0.3.0/24 plan",
        ),
        lines("docker network rm lan plan"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # a bridge that looks like one of a network's id, and is one of a network's option
        "link-stale-bridge",
        lines("docker network create -o com.docker.network.bridge.name=br-0123456789ab named"),
        lines("docker network rm named"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # a container whose interface is no veth and has no bridge
        "link-veth-not-enslaved",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            run("onlan", "--network lan"),
        ),
        lines("docker rm -f onlan", "docker network rm lan"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # a bridge without carrier: UP, NO-CARRIER, state DOWN
        "link-bridge-down",
        lines(
            "docker network create idle",
            run("shortlived", "--network idle"),
            "docker rm -f shortlived",
        ),
        lines("docker network rm idle"),
        on=("nft", "legacy"),
    ),
)
