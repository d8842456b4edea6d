"""Faults of links and bridges."""

import time
from collections.abc import Callable

from lab import DockerHost, container_to_container, egress, host_to_container

from faults._kit import Fault, NearMiss, bridge, lines, named, run, succeeds


def _db_cannot_leave(host: DockerHost) -> bool:
    return not egress(host, "db")


def _old_bridge_first(host: DockerHost) -> None:
    """An old bridge with an address in the network, whose route is older than the network's own."""
    subnet = host.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "front").stdout.strip()
    other = subnet.replace(".0.0/", ".255.1/")
    host.shell("ip link add oldbr type bridge; ip link set oldbr up")
    host.shell(f"ip link set {host.bridge('front')} down; ip addr add {other} dev oldbr")
    host.shell(f"ip link set {host.bridge('front')} up")


def _queue_is_full(host: DockerHost) -> bool:
    """Half of the packets to web get no answer."""
    told = host.shell(f"ping -q -c 60 -i 0.02 -s 1000 -W 1 {host.address('web', 'front')}", check=False).stdout
    return int(told.partition(" packets transmitted, ")[2].partition(" received")[0]) < 30


#: systemd-networkd as on a host without udev: where /sys cannot be written it does not wait for it.
_START_NETWORKD = (
    "mount -o remount,bind,ro /sys",
    "mkdir -p /run/dbus /etc/systemd/network",
    "install -d -o systemd-network -g systemd-network /run/systemd/netif",
    "dbus-daemon --system --fork",
    "setsid /lib/systemd/systemd-networkd >/run/networkd.log 2>&1 </dev/null & echo $! >/run/networkd.pid",
)
_END_NETWORKD = (
    "kill $(cat /run/networkd.pid) $(cat /run/dbus/pid)",
    "rm -rf /etc/systemd/network/*.network /run/systemd/netif /run/dbus",
    "mount -o remount,bind,rw /sys",
)


def _is_done(told: str) -> bool:
    """Whether systemd-networkd has set up what it was told to."""
    return " configured" in told and not any(word in told for word in ("configuring", "pending", " - "))


def _networkd(match: str) -> Callable[[DockerHost], None]:
    """Start systemd-networkd with a configuration for the interfaces that it names, and wait until it is done."""
    network = f"[Match]\nName={match}\n[Network]\nDHCP=no\nLinkLocalAddressing=no\n"

    def start(host: DockerHost) -> None:
        host.write_file("/etc/systemd/network/50-site.network", network)
        lines(*_START_NETWORKD)(host)
        deadline = time.monotonic() + 20
        while not _is_done(told := host.shell("networkctl --no-pager list", check=False).stdout):
            assert time.monotonic() < deadline, told + host.shell("cat /run/networkd.log").stdout
            time.sleep(0.5)

    return start


FAULTS = (
    Fault(  # what a shim that was killed leaves: the namespace with the container's interface, on the bridge still
        "link-netns-leak",
        lines(
            "touch /run/docker/netns/deadbeef0001",
            "unshare --net=/run/docker/netns/deadbeef0001 true",
            "ip link add vethdead003 type veth peer name eth0 netns /run/docker/netns/deadbeef0001",
            "ip link set vethdead003 master <front> up",
        ),
        succeeds("grep -q deadbeef0001 /proc/self/mountinfo && ip link show dev vethdead003"),
        named("netns", "deadbeef0001"),
        on=("nft", "28.5"),
    ),
    Fault(
        "link-dual-connected-route",
        _old_bridge_first,
        lambda host: not host_to_container(host, host.address("web", "front")),
        named("bridge", "oldbr"),
        on=("nft", "28.5"),
        cleanup=lines("ip link del oldbr"),
    ),
    Fault(
        "link-txqueuelen-qdisc-drops",
        lines("tc qdisc add dev <web_veth> root tbf rate 8kbit burst 2000 limit 3000"),
        _queue_is_full,
        named("container", "web"),
        on=("nft", "28.5"),
    ),
    Fault(  # as tools do that test failures: in the container's own namespace
        "link-txqueuelen-qdisc-drops",
        lines("nsenter -t <web_pid> -n tc qdisc add dev eth0 root tbf rate 8kbit burst 2000 limit 3000"),
        _queue_is_full,
        named("container", "web"),
        variant="inside",
    ),
    Fault(
        "link-promisc-or-sniffer",
        lines("ip link set eth0 promisc on"),
        succeeds("ip -d link show eth0 | grep -q 'promiscuity 1'"),
        named("interface", "eth0"),
        on=("nft", "28.5"),
    ),
    Fault(
        "link-veth-down",
        lines("ip link set <db_veth> down"),
        _db_cannot_leave,
        named("container", "db"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "link-veth-wrong-bridge",
        lines("ip link set <db_veth> master <front>"),
        _db_cannot_leave,
        named("container", "db"),
        on=("nft", "28.5"),
    ),
    Fault(  # onto a bridge that is none of Docker's
        "link-veth-wrong-bridge",
        lines("ip link add brx type bridge", "ip link set brx up", "ip link set <db_veth> master brx"),
        _db_cannot_leave,
        named("container", "db"),
        variant="foreign",
        cleanup=lines("ip link del brx"),
    ),
    Fault(
        "link-container-iface-down",
        lines("nsenter -t <db_pid> -n ip link set eth0 down"),
        _db_cannot_leave,
        named("container", "db"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "link-container-iface-missing",
        lines("nsenter -t <db_pid> -n ip link del eth0"),
        succeeds("! nsenter -t <db_pid> -n ip addr show eth0"),
        named("container", "db"),
        on=("nft", "28.5"),
    ),
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
        _db_cannot_leave,
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
    Fault(  # the broad match of many a cloud image
        "link-nm-or-networkd-managed",
        _networkd("e* veth*"),
        _db_cannot_leave,
        lambda host: ("interface", host.veth("db", "back")),
        cleanup=lines(*_END_NETWORKD, "sysctl -qw net.ipv4.conf.eth0.promote_secondaries=0"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # systemd-networkd sets up the uplink, and leaves the engine's interfaces alone
        "link-nm-or-networkd-managed",
        _networkd("lo"),
        lines(*_END_NETWORKD),
    ),
    NearMiss(  # a namespace that somebody gave a name, and one of Docker's with a process, as steps of a build have
        "link-netns-leak",
        lines(
            "ip netns add lab",
            "touch /run/docker/netns/deadbeef0002",
            "unshare --net=/run/docker/netns/deadbeef0002 true",
            "nsenter --net=/run/docker/netns/deadbeef0002 sleep 1000 >/dev/null 2>&1 & echo $! >/run/step.pid",
        ),
        lines(
            "ip netns del lab",
            "kill $(cat /run/step.pid)",
            "umount /run/docker/netns/deadbeef0002",
            "rm /run/docker/netns/deadbeef0002",
        ),
    ),
    NearMiss(  # a Docker bridge that somebody has joined with one of his own
        "link-veth-orphan",
        lines(
            "ip link add other type bridge",
            "ip link set other up",
            "ip link add la type veth peer name lb",
            "ip link set la master docker0 up",
            "ip link set lb master other up",
        ),
        lines("ip link del la", "ip link del other"),
        variant="joined",
    ),
    NearMiss(  # the same prefix on an interface that is a macvlan's way to its parent's containers
        "link-dual-connected-route",
        lines(
            "ip link add shim link eth0 type macvlan mode bridge",
            "ip addr add 192.0.2.1/24 dev shim",
            "ip link set shim up",
            "ip link add empty type bridge",
            "ip addr add 192.0.2.129/25 dev empty",
            "ip link set empty up",
        ),
        lines("ip link del shim", "ip link del empty"),
    ),
    NearMiss(  # a queue that shapes and drops nothing
        "link-txqueuelen-qdisc-drops",
        lines("tc qdisc add dev <web_veth> root tbf rate 1gbit burst 1m limit 10m"),
        lines("tc qdisc del dev <web_veth> root"),
    ),
    NearMiss(  # the uplink has macvlans, which look at every frame
        "link-promisc-or-sniffer",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            run("onlan", "--network lan"),
            run("onlan2", "--network lan"),
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' onlan) -n ip link set eth0 promisc on",
        ),
        lines("docker rm -f onlan onlan2", "docker network rm lan"),
    ),
    NearMiss(  # a veth that is down and belongs to nobody
        "link-veth-down",
        lines("ip link add vnet0 type veth peer name vnet1"),
        lines("ip link del vnet0"),
    ),
    NearMiss(  # the first network by name is not on the first interface
        "link-veth-wrong-bridge",
        lines(
            "docker network create alpha",
            run("both", "--network back"),
            "docker network connect front both",
            "docker network connect alpha both",
        ),
        lines("docker rm -f both", "docker network rm alpha"),
    ),
    NearMiss(  # interfaces without a peer or an address are down, as those that every namespace has
        "link-container-iface-down",
        lines("nsenter -t <db_pid> -n ip tuntap add tun7 mode tun"),
        lines("nsenter -t <db_pid> -n ip link del tun7"),
    ),
    NearMiss(  # containers without an interface of their own, and one that has stopped
        "link-container-iface-missing",
        lines(
            run("onhost", "--network host"),
            run("alone", "--network none"),
            run("inside", "--network container:web"),
            run("gone", "--network back"),
            "docker stop -t 0 gone",
        ),
        lines("docker rm -f onhost alone inside gone"),
    ),
    NearMiss(  # a veth pair in the host's own namespace, on a bridge that is not Docker's
        "link-veth-orphan",
        lines(
            "ip link add virbr0 type bridge",
            "ip link set virbr0 up",
            "ip link add vnet0 type veth peer name vnet1",
            "ip link set vnet0 master virbr0 up",
        ),
        lines("ip link del vnet0", "ip link del virbr0"),
    ),
    NearMiss(  # networks without a bridge: macvlan, and a configuration only
        "link-bridge-missing",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            "docker network create --config-only --subnet 192.0.3.0/24 plan",
        ),
        lines("docker network rm lan plan"),
    ),
    NearMiss(  # a bridge that looks like one of a network's id, and is one of a network's option
        "link-stale-bridge",
        lines("docker network create -o com.docker.network.bridge.name=br-0123456789ab named"),
        lines("docker network rm named"),
    ),
    NearMiss(  # a container whose interface is no veth and has no bridge
        "link-veth-not-enslaved",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            run("onlan", "--network lan"),
        ),
        lines("docker rm -f onlan", "docker network rm lan"),
    ),
    NearMiss(  # a bridge without carrier: UP, NO-CARRIER, state DOWN
        "link-bridge-down",
        lines(
            "docker network create idle",
            run("shortlived", "--network idle"),
            "docker rm -f shortlived",
        ),
        lines("docker network rm idle"),
    ),
)
