"""Faults of routes, policy rules and neighbour tables."""

from lab import OUTSIDE_SERVER, DockerHost, egress, fetch, host_to_container, published

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds


def _host_to_web(host: DockerHost) -> bool:
    return host_to_container(host, host.address("web", "front"))


def _host_to_outside(host: DockerHost) -> bool:
    return fetch(host.network, f"http://{OUTSIDE_SERVER}/") is not None


#: A LAN of its own, in a namespace of the host's: `lan0` leads there.
_LAN = (
    "ip netns add lan",
    "ip link add lan0 type veth peer name lan1 netns lan",
    "ip link set lan0 up",
    "ip -n lan link set lan1 up",
    "ip -n lan addr add 192.0.2.1/24 dev lan1",
    "docker network create -d macvlan -o parent=lan0 --subnet 192.0.2.0/24 lan",
    run("onlan", "--network lan"),
)
_WITHOUT_LAN = ("docker rm -f onlan", "docker network rm lan", "ip netns del lan", "ip link del lan0 || true")

#: A second uplink, with a table of its own for what has its address; behind it a branch office with a client.
_BRANCH = (
    "ip netns add branch",
    "ip link add eth1 type veth peer name up1 netns branch",
    "ip addr add 192.0.2.10/24 dev eth1",
    "ip link set eth1 up",
    "for link in lo up1; do ip -n branch link set $link up; done",
    "ip -n branch addr add 192.0.2.1/24 dev up1",
    "ip -n branch addr add 198.18.0.7/32 dev lo",
    "ip route add default via 192.0.2.1 dev eth1 table 102",
    "ip rule add from 192.0.2.10 lookup 102 pref 1000",
)
_WITHOUT_BRANCH = (
    "ip rule del pref 999",
    "ip rule del pref 1000",
    "ip route flush table 102",
    "ip netns del branch",
    "ip link del eth1 2>/dev/null || true",
    "nft delete table ip mangle",
)
_PREPARED = (
    "iptables -t mangle -A PREROUTING -i eth1 -m conntrack --ctstate NEW -j CONNMARK --set-mark 2",
    "iptables -t mangle -A PREROUTING -i <front> -j CONNMARK --restore-mark",
    "ip rule add fwmark 2 lookup 102 pref 999",
)

#: A container on both networks whose port leads to its address on back, the first by name.
_BETWEEN = (
    "docker run -d --name between --network front -p 8090:80 lab/busybox:1",
    "docker network connect back between",
)
_BY_FRONT = "nsenter -t $(docker inspect -f '{{.State.Pid}}' between) -n ip route replace default via 172.18.0.1"

FAULTS = (
    Fault(
        "route-shadowed",
        lines("ip route add 172.18.0.0/24 via 203.0.113.1"),
        lambda host: not published(host),
        network("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-shadowed",
        lines("ip route add 172.18.9.0/24 via 203.0.113.1 metric 50"),
        succeeds("ip route get 172.18.9.1 | grep -q eth0"),
        network("front"),
        variant="empty-part",
    ),
    Fault(
        "route-blackhole",
        lines("ip route add blackhole <web>/32"),
        lambda host: not _host_to_web(host),
        network("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-blackhole",
        lines("ip route add throw <web>/32"),
        lambda host: not _host_to_web(host),
        network("front"),
        variant="throw",
    ),
    Fault(
        "route-blackhole",
        lines(
            "ip route add default via 203.0.113.1 dev eth0 metric 100",
            "ip route del default via 203.0.113.1 dev eth0 metric 0",
            "ip route add unreachable default",
        ),
        lambda host: not egress(host, "web"),
        named("route", "unreachable default"),
        variant="default",
        cleanup=lines(
            "ip route add default via 203.0.113.1 dev eth0",
            "ip route del default via 203.0.113.1 dev eth0 metric 100",
        ),
    ),
    Fault(
        "route-bridge-subnet-missing",
        lines("ip route del <front_subnet> dev <front>"),
        lambda host: not published(host),
        network("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-policy-rule-hijack",
        lines(
            "ip rule add from <front_subnet> lookup 51820 pref 100",
            "ip route add blackhole default table 51820",
        ),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("ip route flush table 51820"),
    ),
    Fault(
        "route-policy-rule-hijack",
        lines(
            "ip rule add to 172.16.0.0/12 lookup 51820 pref 100",
            "ip route add default via 203.0.113.1 dev eth0 table 51820",
        ),
        lambda host: not _host_to_web(host),
        network("front"),
        variant="to",
        cleanup=lines(
            "while ip rule del pref 99; do :; done 2>/dev/null",
            "ip rule del pref 100",
            "ip route flush table 51820",
        ),
    ),
    Fault(
        "route-host-default-missing",
        lines("ip route del default"),
        lambda host: not egress(host, "web"),
        named("host", "host"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-container-default-missing",
        lines("nsenter -t <web_pid> -n ip route del default"),
        lambda host: not egress(host, "web"),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-container-default-missing",
        lines(
            "nsenter -t <web_pid> -n ip link set eth0 down",
            "nsenter -t <web_pid> -n ip link set eth0 up",
        ),
        lambda host: not egress(host, "web"),
        named("container", "web"),
        variant="interface-toggled",
    ),
    Fault(
        "route-container-default-wrong",
        lines("nsenter -t <web_pid> -n ip route replace default via 172.18.0.99"),
        lambda host: not egress(host, "web"),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-container-default-wrong",
        lines("nsenter -t <web_pid> -n ip route replace default dev eth0"),
        lambda host: not egress(host, "web"),
        named("container", "web"),
        variant="on-link",
    ),
    Fault(
        "route-permanent-neigh-wrong",
        lines("ip neigh replace <web> lladdr 02:de:ad:be:ef:01 dev <front> nud permanent"),
        lambda host: not _host_to_web(host),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "route-permanent-neigh-wrong",
        lines("nsenter -t <web_pid> -n ip neigh replace 172.18.0.1 lladdr 02:de:ad:be:ef:01 dev eth0 nud permanent"),
        lambda host: not egress(host, "web"),
        named("container", "web"),
        variant="gateway",
    ),
    Fault(
        "route-macvlan-host-unreachable",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 203.0.113.0/24 --gateway 203.0.113.1 "
            "--ip-range 203.0.113.128/25 lan",
            "docker run -d --name onlan --network lan lab/busybox:1",
        ),
        lambda host: not host_to_container(host, host.address("onlan", "lan")),
        named("container", "onlan"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f onlan", "docker network rm lan", "ip link del macvlan-shim"),
    ),
    Fault(
        "route-macvlan-parent-bad",
        lines(*_LAN, "ip link set lan0 down"),
        succeeds("! nsenter -t $(docker inspect -f '{{.State.Pid}}' onlan) -n ping -c1 -W1 192.0.2.1"),
        network("lan"),
        on=("nft", "28.5"),
        cleanup=lines(*_WITHOUT_LAN),
    ),
    Fault(
        "route-macvlan-parent-bad",
        lines(*_LAN, "ip link set lan0 down", "ip link set lan0 name enp9s0", "ip link set enp9s0 up"),
        succeeds("! docker run --rm --network lan lab/busybox:1 true"),
        network("lan"),
        variant="renamed",
        cleanup=lines(*_WITHOUT_LAN),
    ),
    Fault(
        "route-multinet-default-surprise",
        lines(*_BETWEEN, _BY_FRONT, "sysctl -qw net.ipv4.conf.<front>.rp_filter=1"),
        lambda host: not published(host, 8090),
        named("container", "between"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f between", "sysctl -qw net.ipv4.conf.<front>.rp_filter=0"),
    ),
    Fault(  # without the filter the detour does no harm
        "route-multinet-default-surprise",
        lines(*_BETWEEN, _BY_FRONT),
        succeeds(
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' between) -n ip route get 198.51.100.7 | grep -q 172.18.0.1"
        ),
        named("container", "between"),
        variant="unfiltered",
        cleanup=lines("docker rm -f between"),
    ),
    Fault(
        "route-asymmetric-uplink",
        lines(*_BRANCH),
        succeeds("! ip netns exec branch curl -sf -m2 --interface 198.18.0.7 http://192.0.2.10:8080/"),
        named("interface", "eth1"),
        on=("nft", "28.5"),
        cleanup=lines(*_WITHOUT_BRANCH),
    ),
    Fault(
        "route-gateway-neigh-failed",
        lines("ip route replace default via 203.0.113.99"),
        lambda host: not _host_to_outside(host),
        named("address", "203.0.113.99"),
        on=("nft", "28.5"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # a wider route, a part that containers get no address of, and one on the bridge itself
        "route-shadowed",
        lines(
            "docker network create --subnet 172.30.0.0/16 --ip-range 172.30.0.0/24 "
            "-o com.docker.network.bridge.name=br-half half",
            "ip route add 172.30.9.0/24 via 203.0.113.1",
            "ip route add 172.18.0.0/17 dev <front> src 172.18.0.1",
        ),
        lines(
            "ip route del 172.30.9.0/24",
            "ip route del 172.18.0.0/17",
            "docker network rm half",
        ),
    ),
    NearMiss(  # an aggregate around the subnets, and an address of the internet that fail2ban refuses
        "route-blackhole",
        lines("ip route add blackhole 172.16.0.0/12", "ip route add unreachable 192.0.2.66"),
        lines("ip route del blackhole 172.16.0.0/12", "ip route del unreachable 192.0.2.66"),
    ),
    NearMiss(  # `linkdown` of a bridge without containers, and a bridge that shall have no address
        "route-bridge-subnet-missing",
        lines("docker network create -o com.docker.network.bridge.inhibit_ipv4=true bare"),
        lines("docker network rm bare"),
    ),
    NearMiss(  # the rules of wg-quick, with its default route for everything else
        "route-policy-rule-hijack",
        lines(
            "ip rule add not fwmark 0xca6c lookup 51820 pref 32764",
            "ip rule add lookup main suppress_prefixlength 0 pref 32763",
            "ip route add default via 203.0.113.1 dev eth0 table 51820",
        ),
        lines(
            "ip rule del pref 32764",
            "ip rule del pref 32763",
            "ip route flush table 51820",
        ),
    ),
    NearMiss(  # the default route in two halves, as VPNs have it
        "route-host-default-missing",
        lines(
            "ip route add 0.0.0.0/1 via 203.0.113.1",
            "ip route add 128.0.0.0/1 via 203.0.113.1",
            "ip route del default",
        ),
        lines(
            "ip route add default via 203.0.113.1 dev eth0",
            "ip route del 0.0.0.0/1",
            "ip route del 128.0.0.0/1",
        ),
    ),
    NearMiss(  # an internal network, which has no way out
        "route-container-default-missing",
        lines("docker network create --internal inner", run("inmate", "--network inner")),
        lines("docker rm -f inmate", "docker network rm inner"),
    ),
    NearMiss(  # another container is the router
        "route-container-default-wrong",
        lines(
            "nsenter -t <web_pid> -n ip route replace default via $(docker inspect -f "
            "'{{.NetworkSettings.Networks.front.IPAddress}}' app)"
        ),
        lines("nsenter -t <web_pid> -n ip route replace default via 172.18.0.1"),
    ),
    NearMiss(  # a permanent entry that is right
        "route-permanent-neigh-wrong",
        lines("ip neigh replace <web> lladdr <web_mac> dev <front> nud permanent"),
        lines("ip neigh del <web> dev <front>"),
    ),
    NearMiss(  # the host has an interface of its own on the parent
        "route-macvlan-host-unreachable",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 203.0.113.0/24 --gateway 203.0.113.1 "
            "--ip-range 203.0.113.128/25 lan",
            "docker run -d --name onlan --network lan lab/busybox:1",
            "ip link add shim link eth0 type macvlan mode bridge",
            "ip link set shim up",
            "ip route add 203.0.113.128/25 dev shim",
        ),
        lines("docker rm -f onlan", "docker network rm lan", "ip link del shim"),
    ),
    NearMiss(  # the engine makes the parent itself when none is chosen
        "route-macvlan-parent-bad",
        lines(*_LAN),
        lines(*_WITHOUT_LAN),
    ),
    NearMiss(  # a container on two networks, whose port leads to the one that it leaves by
        "route-multinet-default-surprise",
        lines(*_BETWEEN),
        lines("docker rm -f between"),
    ),
    NearMiss(  # connections are marked by the uplink that they come in by
        "route-asymmetric-uplink",
        lines(*_BRANCH, *_PREPARED),
        lines(*_WITHOUT_BRANCH),
    ),
    NearMiss(  # nobody answers for an address that no gateway has
        "route-gateway-neigh-failed",
        lines("ping -c1 -W1 203.0.113.77 || true"),
        lines("ip neigh flush to 203.0.113.77"),
    ),
)
