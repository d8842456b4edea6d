"""The fault library: what can go wrong on a real host, and the near misses that look like it and are right.

A `Fault` is injected with the commands that cause it in the field, and shown to hurt (a request fails) or to be
inconsistent (the state contradicts itself). A `NearMiss` is a healthy host in a state that a careless check would take
for a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab import (
    PUBLISHED_PORT,
    ROUTER_ADDRESS,
    DockerHost,
    client_address_seen,
    container_to_container,
    egress,
    published,
)

Subject = tuple[str, str]


@dataclass(frozen=True)
class Fault:
    """`hurts` is true while the fault is there; `subject` is one of those that the finding must name."""

    check: str
    inject: Callable[[DockerHost], None]
    hurts: Callable[[DockerHost], bool]
    subject: Callable[[DockerHost], Subject]
    daemon_args: Sequence[str] = ()

    def __str__(self) -> str:
        return "".join((self.check, *self.daemon_args))


@dataclass(frozen=True)
class NearMiss:
    """`make` and `undo` change a healthy host into another healthy one and back."""

    check: str
    make: Callable[[DockerHost], None]
    undo: Callable[[DockerHost], None]
    daemon_args: Sequence[str] = ()

    def __str__(self) -> str:
        return self.check


_NAMES: dict[str, Callable[[DockerHost], str]] = {
    "front": lambda host: host.bridge("front"),
    "back": lambda host: host.bridge("back"),
    "web": lambda host: host.address("web", "front"),
    "app": lambda host: host.address("app", "back"),
    "db_veth": lambda host: host.veth("db", "back"),
    "web_pid": lambda host: str(host.inspect("web")[0]["State"]["Pid"]),
    "db_pid": lambda host: str(host.inspect("db")[0]["State"]["Pid"]),
}


def _filled(host: DockerHost, command: str) -> str:
    """The command with `<front>`, `<web>` ... replaced by the bridge or address that they are here."""
    for name, value in _NAMES.items():
        if f"<{name}>" in command:
            command = command.replace(f"<{name}>", value(host))
    return command


def lines(*commands: str) -> Callable[[DockerHost], None]:
    """Run these shell lines on the host."""

    def run(host: DockerHost) -> None:
        for command in commands:
            host.shell(_filled(host, command))

    return run


def succeeds(command: str) -> Callable[[DockerHost], bool]:
    """Whether a shell line succeeds on the host."""
    return lambda host: host.shell(_filled(host, command), check=False).returncode == 0


def _sees_proxy(host: DockerHost) -> bool:
    """The container sees another client than the one that asked: docker-proxy answers in place of the DNAT rule."""
    return client_address_seen(host) != ROUTER_ADDRESS


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


def _network(name: str) -> Callable[[DockerHost], Subject]:
    return lambda _: ("network", name)


def _bridge(name: str) -> Callable[[DockerHost], Subject]:
    return lambda host: ("bridge", host.bridge(name))


FAULTS = (
    Fault(
        "link-veth-orphan",
        lines(
            "ip link add vethdead001 type veth peer name vethdead002",
            "ip link set vethdead001 master <front> up",
        ),
        succeeds("bridge link show dev vethdead001 | grep -q <front>"),
        lambda _: ("interface", "vethdead001"),
    ),
    Fault(
        "link-bridge-missing",
        lines("ip link del <front>"),
        lambda host: not container_to_container(host, "app", host.address("web", "front")),
        _bridge("front"),
    ),
    Fault(
        "link-stale-bridge",
        lines(
            "ip link add br-0123456789ab type bridge",
            "ip addr add 172.30.0.1/16 dev br-0123456789ab",
            "ip link set br-0123456789ab up",
        ),
        succeeds("ip route get 172.30.0.5 | grep -q br-0123456789ab"),
        lambda _: ("bridge", "br-0123456789ab"),
    ),
    Fault(
        "link-veth-not-enslaved",
        lines("ip link set <db_veth> nomaster"),
        lambda host: not egress(host, "db"),
        lambda _: ("container", "db"),
    ),
    Fault(
        "link-bridge-down",
        lines("ip link set <back> down"),
        lambda host: not container_to_container(host, "app", host.address("db", "back")),
        _bridge("back"),
    ),
    Fault(
        "nat-masquerade-missing",
        lines(
            "iptables -t nat -D POSTROUTING "
            "-s $(docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' front) ! -o <front> -j MASQUERADE"
        ),
        lambda host: not egress(host, "web"),
        _network("front"),
    ),
    Fault(
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER ! -i <front> -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        _sees_proxy,
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
    ),
    Fault(  # without the proxy nothing answers in its place
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        lambda host: not published(host),
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
        daemon_args=("--userland-proxy=false",),
    ),
    Fault(
        "nat-dnat-stale",
        lines(
            "iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.250:80"
        ),
        succeeds("iptables -t nat -S DOCKER | grep -q 172.17.0.250 && ! ping -c1 -W1 172.17.0.250"),
        lambda _: ("port", "9090/tcp"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        _sees_proxy,
        lambda _: ("chain", "nat PREROUTING"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        lambda host: not published(host),
        lambda _: ("chain", "nat PREROUTING"),
        daemon_args=("--userland-proxy=false",),
    ),
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -F"),
        lambda host: not egress(host, "web"),
        lambda _: ("chain", "filter DOCKER-ISOLATION-STAGE-1"),
    ),
    Fault(
        "filter-docker-user-drop",
        lines("iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j DROP"),
        lambda host: not published(host),
        lambda _: ("container", "web"),
    ),
    Fault(
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.ip_forward=0"),
        lambda host: not egress(host, "web"),
        lambda _: ("sysctl", "net.ipv4.ip_forward"),
    ),
    Fault(
        "address-bridge-ip-missing",
        lines("ip addr flush dev <front> scope global"),
        lambda host: not egress(host, "web"),
        _bridge("front"),
    ),
    Fault(
        "address-duplicate-ip",
        lines("nsenter -t <db_pid> -n ip addr add <app>/16 dev eth0"),
        _both_have_the_address,
        lambda _: ("container", "db"),
    ),
    Fault(
        "address-mac-ip-mismatch",
        _record_a_stale_mac,
        _mac_contradicts_address,
        lambda _: ("container", "db"),
        daemon_args=("--live-restore",),
    ),
)


def _run(name: str, options: str) -> str:
    return f"docker run -d --init --name {name} {options} lab/busybox:1 sleep 1000"


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
            _run("onlan", "--network lan"),
        ),
        lines("docker rm -f onlan", "docker network rm lan"),
    ),
    NearMiss(  # a bridge without carrier: UP, NO-CARRIER, state DOWN
        "link-bridge-down",
        lines(
            "docker network create idle",
            _run("shortlived", "--network idle"),
            "docker rm -f shortlived",
        ),
        lines("docker network rm idle"),
    ),
    NearMiss(  # an internal network, one that shall not be masqueraded, one that a broader rule covers
        "nat-masquerade-missing",
        lines(
            "docker network create --internal inside",
            "docker network create -o com.docker.network.bridge.enable_ip_masquerade=false plain",
            "iptables -t nat -D POSTROUTING "
            "-s $(docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' back) ! -o <back> -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE",
            "iptables -t nat -I POSTROUTING "
            "-s $(docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' back) ! -o <back> -j MASQUERADE",
            "docker network rm inside plain",
        ),
    ),
    NearMiss(  # exposed but not published; published on one address; a range; udp; on the host's network
        "nat-dnat-missing",
        lines(
            _run("exposed", "--network back --expose 90"),
            _run("bound", "--network back -p 127.0.0.1:8081:81 -p 203.0.113.10:8082:82/udp"),
            _run("range", "-p 8090-8092:90-92"),
            _run("onhost", "--network host -p 8083:83"),
        ),
        lines("docker rm -f exposed bound range onhost"),
    ),
    NearMiss(  # an administrator's own DNAT, outside of Docker's chain
        "nat-dnat-stale",
        lines("iptables -t nat -A PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
        lines("iptables -t nat -D PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
    ),
    NearMiss(  # the jump goes through another chain
        "nat-docker-jump-missing",
        lines(
            "iptables -t nat -N SITE",
            "iptables -t nat -A SITE -m addrtype --dst-type LOCAL -j DOCKER",
            "iptables -t nat -A PREROUTING -j SITE",
            "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        ),
        lines(
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "iptables -t nat -D PREROUTING -j SITE",
            "iptables -t nat -F SITE",
            "iptables -t nat -X SITE",
        ),
    ),
    NearMiss(  # chain DOCKER is empty because nothing is published, and that is right
        "filter-docker-chains-missing",
        lines("docker stop web"),
        lines("docker start web"),
    ),
    NearMiss(  # a rule for the host's port, which DNAT has changed by then; one for another interface
        "filter-docker-user-drop",
        lines(
            "iptables -I DOCKER-USER -p tcp --dport 8080 -j DROP",
            "iptables -I DOCKER-USER -i wlan0 -j DROP",
        ),
        lines(
            "iptables -D DOCKER-USER -p tcp --dport 8080 -j DROP",
            "iptables -D DOCKER-USER -i wlan0 -j DROP",
        ),
    ),
    NearMiss(  # forwarding is off for IPv6, and for one unused interface
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.conf.lo.forwarding=0", "sysctl -w net.ipv6.conf.all.forwarding=0"),
        lines("sysctl -w net.ipv4.conf.lo.forwarding=1"),
    ),
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
    NearMiss(  # the user asked for a MAC address
        "address-mac-ip-mismatch",
        lines(_run("chosen", "--mac-address 02:42:ac:63:00:09")),
        lines("docker rm -f chosen"),
    ),
)
