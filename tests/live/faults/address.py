"""Faults of addresses."""

from lab import DockerHost, egress, fetch, host_to_container, published

from faults._kit import Fault, NearMiss, bridge, lines, named, network, run, succeeds


def _both_have_the_address(host: DockerHost) -> bool:
    address = host.address("app", "back")
    shown = [host.container(name, ["ip", "-4", "addr", "show"]).stdout for name in ("app", "db")]
    return all(f"inet {address}/" in text for text in shown)


def _record_a_stale_mac(host: DockerHost) -> None:
    """What a daemon that died at the wrong moment leaves: another address's MAC in the container's stored record."""
    record = host.inspect("db")[0]
    actual, stale = record["NetworkSettings"]["Networks"]["back"]["MacAddress"], "02:42:ac:14:00:02"
    host.shell("systemctl stop docker")
    host.shell(f"sed -i 's/{actual}/{stale}/g' /var/lib/docker/containers/{record['Id']}/config.v2.json")
    host.shell("systemctl start docker")


def _mac_contradicts_address(host: DockerHost) -> bool:
    endpoint = host.inspect("db")[0]["NetworkSettings"]["Networks"]["back"]
    derived = "02:42:" + ":".join(f"{int(byte):02x}" for byte in endpoint["IPAddress"].split("."))
    return endpoint["MacAddress"] != derived


def _join_a_lan(host: DockerHost) -> None:
    """The host gets an address in a LAN whose machines have addresses of the network shop."""
    host.shell("docker network create --subnet 172.30.0.0/16 shop")
    host.wan(["ip", "addr", "add", "172.30.7.7/15", "dev", "up0"])
    host.shell("ip addr add 172.31.7.10/15 dev eth0")


def _leave_the_lan(host: DockerHost) -> None:
    host.wan(["ip", "addr", "del", "172.30.7.7/15", "dev", "up0"])
    host.shell("ip addr del 172.31.7.10/15 dev eth0")
    host.shell("docker network rm shop")


def _reaches_the_lan(host: DockerHost) -> bool:
    return fetch(host.network_of("web"), "http://172.30.7.7/") is not None


def _reaches_the_till(host: DockerHost) -> bool:
    return host_to_container(host, host.address("till", "shop"))


FAULTS = (
    Fault(
        "address-bridge-ip-missing",
        lines("ip addr flush dev <front> scope global"),
        lambda host: not egress(host, "web"),
        bridge("front"),
        on=("nft", "legacy"),
    ),
    Fault(
        "address-duplicate-ip",
        lines("nsenter -t <db_pid> -n ip addr add <app>/16 dev eth0"),
        _both_have_the_address,
        named("container", "db"),
        on=("nft", "legacy"),
    ),
    Fault(
        "address-mac-ip-mismatch",
        _record_a_stale_mac,
        _mac_contradicts_address,
        named("container", "db"),
        daemon_args=("--live-restore",),
        on=("nft", "legacy"),
    ),
    Fault(
        "address-bridge-ip-mismatch",
        lines(
            "ip addr flush dev <front> scope global",
            "ip addr add 172.18.9.9/16 dev <front>",
            "nsenter -t <web_pid> -n ip neigh flush dev eth0",
        ),
        lambda host: not egress(host, "web"),
        bridge("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "address-bridge-ip-mismatch",
        lines(
            "docker network create --subnet 172.30.0.0/16 -o com.docker.network.bridge.name=br-wide wide",
            "docker run -d --name far --network wide --ip 172.30.9.9 lab/busybox:1",
            "ip addr flush dev br-wide scope global",
            "ip addr add 172.30.0.1/24 dev br-wide",
        ),
        lambda host: not egress(host, "far"),
        network("wide"),
        variant="prefix",
        cleanup=lines("docker rm -f far", "docker network rm wide"),
    ),
    Fault(
        "address-container-ip-mismatch",
        lines(
            "nsenter -t <web_pid> -n ip addr flush dev eth0 scope global",
            "nsenter -t <web_pid> -n ip addr add 172.18.0.77/16 dev eth0",
            "nsenter -t <web_pid> -n ip route add default via 172.18.0.1",
        ),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "address-container-ip-mismatch",
        lines("nsenter -t <web_pid> -n ip addr flush dev eth0 scope global"),
        lambda host: not published(host),
        named("container", "web"),
        variant="flushed",
    ),
    Fault(
        "address-mac-changed",
        lines("nsenter -t <web_pid> -n ip link set eth0 address 02:00:00:00:00:99"),
        succeeds("! nsenter -t <web_pid> -n ip link show eth0 | grep -q <web_mac>"),
        named("container", "web"),
        on=("nft", "28.5"),
    ),
    Fault(
        "address-duplicate-mac",
        lines("nsenter -t <db_pid> -n ip link set eth0 address <app_mac>"),
        succeeds("nsenter -t <db_pid> -n ip link show eth0 | grep -q <app_mac>"),
        named("container", "db"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "address-network-id-missing",
        lines(
            "docker network create gone",
            run("left", "--network gone"),
            "docker stop left",
            "docker network rm gone",
            "! docker start left",
        ),
        succeeds("! docker start left"),
        named("container", "left"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f left", "docker network rm gone"),
    ),
    Fault(
        "address-subnet-full",
        lines(
            "docker network create --subnet 10.77.0.0/29 --label team=edge small",
            *(run(f"small{number}", "--network small") for number in range(5)),
            f"! {run('late', '--network small --network-alias later')}",
        ),
        succeeds("! docker start late"),
        network("small"),
        on=("nft", "28.5"),
        cleanup=lines(
            f"docker rm -f late {' '.join(f'small{number}' for number in range(5))}",
            "docker network rm small",
        ),
    ),
    Fault(
        "address-pool-exhausted",
        lines("for number in $(seq 28); do docker network create many$number; done"),
        succeeds("! docker network create onemore"),
        named("network", "many28"),
        cleanup=lines("docker network ls --format '{{.Name}}' | grep onemore | xargs -r docker network rm"),
    ),
    Fault(
        "address-subnet-overlap-host",
        lines(
            "docker network create --subnet 172.30.0.0/16 shop",
            "docker run -d --name till --network shop --ip 172.30.7.20 lab/busybox:1",
            "ip addr add 172.30.7.10/24 dev eth0",
        ),
        lambda host: not _reaches_the_till(host),
        network("shop"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f till", "docker network rm shop", "ip addr del 172.30.7.10/24 dev eth0"),
    ),
    Fault(
        "address-subnet-overlap-docker",
        lines(
            "docker network create --subnet 172.30.0.0/16 shop",
            "docker network create -d macvlan --subnet 172.30.0.0/16 --ip-range 172.30.128.0/17 -o parent=eth0 lan",
            run("onlan", "--network lan"),
        ),
        succeeds("! docker network connect shop onlan"),
        network("lan"),
        cleanup=lines("docker rm -f onlan", "docker network rm lan shop"),
    ),
    Fault(
        "address-subnet-overlap-host",
        lines(
            "docker network create --subnet 172.30.0.0/16 shop",
            "cp /etc/resolv.conf /root/resolv.conf",
            "echo nameserver 172.30.0.53 >/etc/resolv.conf",
        ),
        succeeds("ip route get 172.30.0.53 | grep -q br-"),
        network("shop"),
        variant="name-server",
        cleanup=lines("cp /root/resolv.conf /etc/resolv.conf", "docker network rm shop"),
    ),
    Fault(
        "address-subnet-overlap-host",
        _join_a_lan,
        lambda host: not _reaches_the_lan(host),
        network("shop"),
        variant="around",
        cleanup=_leave_the_lan,
    ),
    Fault(  # only worth a note: nobody may use the part that is hidden
        "address-subnet-overlap-host",
        lines(
            "docker network create --subnet 172.30.0.0/16 shop",
            "ip route add 172.28.0.0/14 via 203.0.113.1",
        ),
        succeeds("ip route get 172.30.1.1 | grep -q br-"),
        network("shop"),
        variant="aggregate",
        cleanup=lines("docker network rm shop", "ip route del 172.28.0.0/14"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # a bridge that shall have no address
        "address-bridge-ip-missing",
        lines("docker network create -o com.docker.network.bridge.inhibit_ipv4=true bare"),
        lines("docker network rm bare"),
    ),
    NearMiss(  # one virtual address in two containers, on their loopback interfaces
        "address-duplicate-ip",
        lines(
            "nsenter -t <web_pid> -n ip addr add 10.9.9.9/32 dev lo",
            "nsenter -t <db_pid> -n ip addr add 10.9.9.9/32 dev lo",
        ),
        lines(
            "nsenter -t <web_pid> -n ip addr del 10.9.9.9/32 dev lo",
            "nsenter -t <db_pid> -n ip addr del 10.9.9.9/32 dev lo",
        ),
    ),
    NearMiss(  # the host has just talked to a container that had the address before, with another MAC address
        "address-duplicate-ip",
        lines(
            "docker network create --subnet 192.168.77.0/24 lent",
            run("other", "--network lent --ip 192.168.77.7"),  # a bridge without a port forgets its neighbours
            run("before", "--network lent --ip 192.168.77.9"),
            "ping -c 1 -W 2 192.168.77.9",
            "docker rm -f before",
            run("after", "--network lent --ip 192.168.77.9 --mac-address 02:42:ac:63:00:07"),
            "ip neigh show to 192.168.77.9 | grep -q '02:42:c0:a8:4d:09 REACHABLE'",
        ),
        lines("docker rm -f other after", "docker network rm lent"),
        variant="remembered",
    ),
    NearMiss(  # the user asked for a MAC address
        "address-mac-ip-mismatch",
        lines(run("chosen", "--mac-address 02:42:ac:63:00:09")),
        lines("docker rm -f chosen"),
    ),
    NearMiss(  # the bridge has further addresses of its subnet
        "address-bridge-ip-mismatch",
        lines("ip addr add 172.18.9.9/16 dev <front>"),
        lines("ip addr del 172.18.9.9/16 dev <front>"),
    ),
    NearMiss(  # a virtual address beside the recorded one, and a container whose address is another's
        "address-container-ip-mismatch",
        lines(
            "nsenter -t <web_pid> -n ip addr add 172.18.0.200/32 dev eth0",
            run("sidecar", "--network container:web"),
        ),
        lines("docker rm -f sidecar", "nsenter -t <web_pid> -n ip addr del 172.18.0.200/32 dev eth0"),
    ),
    NearMiss(  # ipvlan endpoints have their parent's MAC address, and none in the record
        "address-mac-changed",
        lines(
            "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan",
            run("onlan", "--network lan --mac-address 02:42:c0:00:02:63"),
        ),
        lines("docker rm -f onlan", "docker network rm lan"),
    ),
    NearMiss(  # one MAC address on two bridges
        "address-duplicate-mac",
        lines(
            run("twin1", "--network front --mac-address 02:42:ac:63:00:09"),
            run("twin2", "--network back --mac-address 02:42:ac:63:00:09"),
        ),
        lines("docker rm -f twin1 twin2"),
    ),
    NearMiss(  # a stopped container on the default network, which has another id since the engine was restarted
        "address-network-id-missing",
        lines(run("stopped", ""), "docker stop stopped", "systemctl restart docker"),
        lines("docker rm -f stopped"),
    ),
    NearMiss(  # a network for two containers, with both on it
        "address-subnet-full",
        lines(
            "docker network create --subnet 10.77.0.0/29 --gateway 10.77.0.1 --ip-range 10.77.0.4/31 pair",
            run("pair1", "--network pair"),
            run("pair2", "--network pair"),
        ),
        lines("docker rm -f pair1 pair2", "docker network rm pair"),
    ),
    NearMiss(  # many networks, but room for one more
        "address-pool-exhausted",
        lines("for number in $(seq 27); do docker network create many$number; done"),
        lines("docker network ls -q --filter name=many | xargs docker network rm"),
    ),
    NearMiss(  # two parts of one LAN that give out different addresses
        "address-subnet-overlap-docker",
        lines(
            "ip link add lan0 type veth peer name lan1",
            "ip link set lan0 up",
            "ip link set lan1 up",
            "docker network create -d macvlan --subnet 192.0.2.0/24 --ip-range 192.0.2.0/25 -o parent=eth0 lan",
            "docker network create -d ipvlan --subnet 192.0.2.0/24 --ip-range 192.0.2.128/25 -o parent=lan0 lan2",
        ),
        lines("docker network rm lan lan2", "ip link del lan0"),
    ),
    NearMiss(  # a VPN's default route in two halves, and a name server that is a container
        "address-subnet-overlap-host",
        lines(
            "ip route add 0.0.0.0/1 via 203.0.113.1",
            "ip route add 128.0.0.0/1 via 203.0.113.1",
            "cp /etc/resolv.conf /root/resolv.conf",
            "echo nameserver <web> >/etc/resolv.conf",
        ),
        lines(
            "ip route del 0.0.0.0/1",
            "ip route del 128.0.0.0/1",
            "cp /root/resolv.conf /etc/resolv.conf",
        ),
    ),
    NearMiss(  # a stopped container keeps its network, and no endpoint
        "address-stale-endpoint",
        lines(run("stopped", "--network front"), "docker stop stopped"),
        lines("docker rm -f stopped"),
    ),
)
