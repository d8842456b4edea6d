"""Faults of filter rules."""

from collections.abc import Callable

from lab import (
    HOST_ADDRESS,
    PUBLISHED_PORT,
    DockerHost,
    container_to_container,
    egress,
    fetch,
    host_to_container,
    localhost,
    published,
)

from faults._kit import Fault, NearMiss, lines, named, network, run, steps, succeeds

BANNED = "198.51.100.66"

#: On a host of podman 5, whose rules are all in its own table, iptables makes its table for the first rule.
_NO_EMPTY_TABLE = "iptables -S | grep -q '^-A' || nft delete table ip filter"


def _from_banned_address(host: DockerHost) -> bool:
    """Whether a client is served whose address DOCKER-USER is to keep out."""
    asked = ["curl", "-s", "--max-time", "2", "--interface", BANNED, f"http://{HOST_ADDRESS}:{PUBLISHED_PORT}/"]
    return host.wan(asked, check=False).returncode == 0


def _banned(*commands: str) -> Callable[[DockerHost], None]:
    """Keep a client out by DOCKER-USER, then run commands."""

    def run(host: DockerHost) -> None:
        host.wan(["ip", "address", "replace", f"{BANNED}/32", "dev", "lo"])
        lines(f"iptables -I DOCKER-USER -s {BANNED} -j DROP", *commands)(host)

    return run


def _unbanned(*commands: str, banned: bool = True) -> Callable[[DockerHost], None]:
    def run(host: DockerHost) -> None:
        host.wan(["ip", "address", "del", f"{BANNED}/32", "dev", "lo"])
        lines(*([f"iptables -D DOCKER-USER -s {BANNED} -j DROP"] if banned else []), *commands)(host)

    return run


def _rules_of_forward(host: DockerHost) -> int:
    return host.shell("nft list chain ip filter FORWARD").stdout.count("\n\t\t") - 1


def _networks_meet(host: DockerHost) -> bool:
    return container_to_container(host, "web", host.address("db", "back"))


def _networks_meet_not(host: DockerHost) -> None:
    assert not _networks_meet(host)


def _kept_apart(host: DockerHost) -> bool:
    ping = ["ping", "-c1", "-W1", host.address("other", "apart")]
    return host.container("one", ping, check=False).returncode != 0


def _reached_directly(host: DockerHost) -> bool:
    """Whether the outside, which has a route to it, is answered by a container's own address."""
    url = f"http://{host.address('web', 'front')}/"
    return fetch(host.wan_network, url) is not None


def _route(host: DockerHost) -> list[str]:
    return [f"{host.address('web', 'front')}/32", "via", HOST_ADDRESS]


def _direct_access(host: DockerHost) -> None:
    host.wan(["ip", "route", "add", *_route(host)])
    assert not _reached_directly(host)


def _no_direct_access(host: DockerHost) -> None:
    host.wan(["ip", "route", "del", *_route(host)])
    host.shell("iptables -t raw -Z")


#: Sends UDP to a port that nobody asks for, as often as its first argument says.
_MANY_PACKETS = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])):
    sender.sendto(b"", ("198.51.100.7", 9))
"""


def _send(count: int) -> Callable[[DockerHost], None]:
    """Send packets from web to the outside that DOCKER-USER drops."""

    def run(host: DockerHost) -> None:
        lines("iptables -I DOCKER-USER -i <front> -p udp -m udp --dport 9 -j DROP")(host)
        host.container("web", ["python3", "-c", _MANY_PACKETS, str(count)])

    return run


_NOT_SENT = lines("iptables -D DOCKER-USER -i <front> -p udp -m udp --dport 9 -j DROP")

#: Sends TCP packets that ask to open and to close at once, which connection tracking calls invalid, and succeeds when
#: one is answered with a reset.
_INVALID_PACKETS = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.bind(("203.0.113.1", 0))
raw.settimeout(1)
pair = socket.inet_aton("203.0.113.1") + socket.inet_aton("203.0.113.10")
def sum16(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
for number in range(int(sys.argv[1])):
    head = struct.pack("!HHIIBBHHH", 40000 + number % 9000, 7777, 1, 0, 80, 3, 1024, 0, 0)
    full = pair + struct.pack("!BBH", 0, 6, len(head)) + head
    raw.sendto(head[:16] + struct.pack("!H", sum16(full)) + head[18:], ("203.0.113.10", 0))
try:
    while not (raw.recv(100)[33] & 4):
        pass
except TimeoutError:
    sys.exit(1)
"""


def _is_reset(host: DockerHost, count: int = 1) -> bool:
    return host.wan(["python3", "-c", _INVALID_PACKETS, str(count)], check=False).returncode == 0


def _send_invalid(host: DockerHost) -> None:
    assert _is_reset(host, 1500)


def _drop_invalid(host: DockerHost) -> None:
    lines(
        "iptables -I INPUT -m conntrack --ctstate INVALID -j DROP",
        "iptables -I FORWARD -m conntrack --ctstate INVALID -j DROP",
    )(host)
    assert not _is_reset(host, 1500)


#: A virtual machine as libvirt connects it, that is to reach the outside by the host's address.
_VIRTUAL_MACHINE = (
    "ip link add virbr0 type bridge",
    "ip addr add 192.168.122.1/24 brd + dev virbr0",
    "ip link set virbr0 up",
    "ip netns add vm",
    "ip link add vnet0 type veth peer name eth0 netns vm",
    "ip link set vnet0 master virbr0 up",
    "ip -n vm addr add 192.168.122.10/24 dev eth0",
    "ip -n vm link set eth0 up",
    "ip -n vm route add default via 192.168.122.1",
    "iptables -t nat -A POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
)
_NO_VIRTUAL_MACHINE = (
    "iptables -t nat -D POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
    "ip netns del vm",
    "ip link del virbr0",
)

#: Two virtual machines on a bridge that has no address.
_TWO_MACHINES = (
    "ip link add br7 type bridge",
    "ip link set br7 up",
    *(
        command
        for number in (1, 2)
        for command in (
            f"ip netns add vm{number}",
            f"ip link add vnet{number} type veth peer name eth0 netns vm{number}",
            f"ip link set vnet{number} master br7 up",
            f"ip -n vm{number} addr add 10.99.0.{number}/24 dev eth0",
            f"ip -n vm{number} link set eth0 up",
        )
    ),
)


FAULTS = (
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -F"),
        lambda host: not egress(host, "web"),
        named("chain", "filter DOCKER-ISOLATION-STAGE-1"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -F", "iptables -X", "iptables -t nat -F", "iptables -t nat -X"),
        lambda host: not egress(host, "web"),
        named("chain", "filter DOCKER"),
        on=("nft", "legacy", "28.5"),
        variant="and nat",
    ),
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -F DOCKER-CT"),
        lambda host: not egress(host, "web"),
        named("chain", "filter DOCKER-CT"),
        on=("28.5",),
        variant="one chain",
    ),
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -D DOCKER-FORWARD -i <front> -j ACCEPT"),
        lambda host: not egress(host, "web"),
        named("chain", "filter DOCKER-FORWARD"),
        on=("28.5",),
        variant="one rule",
    ),
    Fault(
        "filter-docker-jump-missing",
        lines("iptables -F FORWARD"),
        lambda host: not egress(host, "web"),
        named("chain", "filter FORWARD"),
        on=("nft", "legacy", "26.1", "28.5"),
    ),
    Fault(
        "filter-docker-jump-missing",
        lines("iptables -D FORWARD -i <front> ! -o <front> -j ACCEPT"),
        lambda host: not egress(host, "web"),
        named("chain", "filter FORWARD"),
        on=("nft", "legacy"),
        variant="one rule",
    ),
    Fault(
        "filter-docker-user-jump-missing",
        _banned("iptables -D FORWARD -j DOCKER-USER"),
        _from_banned_address,
        named("chain", "filter DOCKER-USER"),
        on=("nft", "legacy", "28.5"),
        cleanup=_unbanned(),
    ),
    Fault(  # nothing of the sort is done when the engine comes back to running containers
        "filter-docker-user-jump-missing",
        lines("systemctl stop docker", "iptables -F", "systemctl start docker"),
        succeeds("! iptables -C FORWARD -j DOCKER-USER"),
        named("chain", "filter DOCKER-USER"),
        daemon_args=("--live-restore",),
        on=("nft", "legacy", "26.1"),
        variant="restored",
        cleanup=lines("iptables -A DOCKER-USER -j RETURN"),
    ),
    Fault(
        "filter-docker-user-jump-missing",
        _banned("iptables -I FORWARD -i eth0 -d <web> -p tcp -m tcp --dport 80 -j ACCEPT"),
        _from_banned_address,
        named("chain", "filter DOCKER-USER"),
        on=("nft", "legacy", "28.5"),
        variant="bypassed",
        cleanup=_unbanned("iptables -D FORWARD -i eth0 -d <web> -p tcp -m tcp --dport 80 -j ACCEPT"),
    ),
    Fault(
        "filter-port-accept-missing",
        lines("iptables -D DOCKER -d <web>/32 ! -i <front> -o <front> -p tcp -m tcp --dport 80 -j ACCEPT"),
        lambda host: not published(host),
        named("port", f"{PUBLISHED_PORT}/tcp"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "filter-isolation-off",
        lines(
            "iptables -D DOCKER-ISOLATION-STAGE-2 -o <back> -j DROP",
            "iptables -D DOCKER-ISOLATION-STAGE-2 -o <front> -j DROP",
        ),
        _networks_meet,
        network("back"),
        on=("nft", "legacy", "26.1"),
        then_noted=("filter-isolation-cross-network",),
    ),
    Fault(
        "filter-isolation-off",
        lines("iptables -I FORWARD -j ACCEPT"),
        _networks_meet,
        network("back"),
        on=("nft", "legacy"),
        variant="accepted",
        then_noted=("filter-isolation-cross-network",),
    ),
    Fault(
        "filter-isolation-off",
        lines("iptables -I DOCKER-ISOLATION-STAGE-1 -j RETURN"),
        _networks_meet,
        network("back"),
        on=("nft", "legacy", "26.1"),
        variant="returned",
        then_noted=("filter-isolation-cross-network",),
    ),
    Fault(
        "filter-docker-user-drop",
        lines("iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j DROP"),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(  # without an exception for answers
        "filter-docker-user-drop",
        lines("iptables -I DOCKER-USER -i eth0 -j DROP"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy", "28.5"),
        variant="answers too",
    ),
    Fault(  # of look-ups alone
        "filter-docker-user-drop",
        lines(
            run("asker", "--network front --dns 198.51.100.53"),
            "iptables -I DOCKER-USER -p udp -m udp --dport 53 -j DROP",
        ),
        succeeds("! timeout 12 docker exec asker nslookup db.example"),
        network("front"),
        on=("nft", "28.5"),
        variant="look-ups",
        cleanup=lines("docker rm -f asker"),
    ),
    Fault(
        "filter-user-drop-before-docker",
        lines("iptables -I FORWARD -j REJECT --reject-with icmp-host-prohibited"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy", "28.5", "podman 4.3", "podman 5.4"),
        cleanup=lines(
            # on podman the remedy has taken it away
            "iptables -D FORWARD -j REJECT --reject-with icmp-host-prohibited || true",
            _NO_EMPTY_TABLE,
        ),
    ),
    Fault(  # before the translation of the port
        "filter-user-drop-before-docker",
        lines("iptables -t raw -I PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DROP"),
        lambda host: not published(host),
        named("container", "web"),
        on=("28.5",),
        variant="raw",
    ),
    Fault(
        "filter-foreign-nft-drop",
        lines(
            "nft add table inet corp",
            "nft 'add chain inet corp zz_forward { type filter hook forward priority 10; policy drop; }'",
        ),
        lambda host: not egress(host, "web"),
        named("chain", "inet corp zz_forward"),
        on=("nft", "legacy", "28.5", "podman 4.3", "podman 5.4"),
        cleanup=lines("nft delete table inet corp"),
    ),
    Fault(
        "filter-foreign-nft-drop",
        lines(
            "nft add table inet corp",
            "nft 'add chain inet corp pre { type filter hook prerouting priority -150; }'",
            "nft add rule inet corp pre iifname eth0 tcp dport 8080 drop",
        ),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "28.5"),
        variant="prerouting",
        cleanup=lines("nft delete table inet corp"),
    ),
    Fault(  # before everything else
        "filter-foreign-nft-drop",
        lines(
            "nft add table netdev corp",
            "nft 'add chain netdev corp in { type filter hook ingress device eth0 priority 0; }'",
            "nft add rule netdev corp in tcp dport 8080 drop",
        ),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "28.5"),
        variant="ingress",
        cleanup=lines("nft delete table netdev corp"),
    ),
    Fault(
        "filter-input-blocks-container-to-host",
        lines("iptables -I INPUT -i <front> -j DROP"),
        lambda host: not localhost(host),
        network("front"),
        on=("nft", "legacy", "28.5", "podman 4.3", "podman 5.4"),
        cleanup=lines(_NO_EMPTY_TABLE),
    ),
    Fault(
        "filter-input-blocks-container-to-host",
        lines(
            "iptables -A INPUT -i lo -j ACCEPT",
            "iptables -A INPUT -i eth0 -p tcp -m tcp --dport 8080 -j ACCEPT",
            "iptables -P INPUT DROP",
        ),
        lambda host: not localhost(host),
        network("front"),
        on=("nft", "legacy", "28.5"),
        variant="policy",
        cleanup=lines("iptables -P INPUT ACCEPT", "iptables -F INPUT"),
    ),
    Fault(  # answers pass, and a container has a name for its host
        "filter-input-blocks-container-to-host",
        lines(
            run("client", "--network front --add-host host.docker.internal:203.0.113.10"),
            "iptables -I INPUT -i <front> -m conntrack --ctstate NEW -j DROP",
        ),
        lambda host: not fetch(host.network_of("client"), f"http://{HOST_ADDRESS}:8080/"),
        named("container", "client"),
        on=("nft", "legacy"),
        variant="by name",
        cleanup=lines("docker rm -f client"),
    ),
    Fault(
        "filter-output-blocks-host-to-container",
        lines("iptables -I OUTPUT -o <front> -j DROP"),
        lambda host: not host_to_container(host, host.address("web", "front")),
        network("front"),
        on=("nft", "legacy", "28.5", "podman 4.3", "podman 5.4"),
        cleanup=lines(_NO_EMPTY_TABLE),
    ),
    Fault(
        "filter-output-blocks-host-to-container",
        lines(
            "nft add table inet corp",
            "nft 'add chain inet corp out { type filter hook output priority 0; }'",
            "nft add rule inet corp out oifname <front> tcp dport 80 ct state new drop",
        ),
        lambda host: not localhost(host),
        named("container", "web"),
        on=("nft", "28.5"),
        variant="nft",
        cleanup=lines("nft delete table inet corp"),
    ),
    Fault(  # what is appended stands behind the engine's RETURN
        "filter-docker-user-dead-rules",
        _banned(f"iptables -A DOCKER-USER -s {BANNED} -j DROP", f"iptables -D DOCKER-USER -s {BANNED} -j DROP"),
        _from_banned_address,
        named("chain", "filter DOCKER-USER"),
        on=("nft", "legacy", "26.1"),
        cleanup=_unbanned(),
    ),
    Fault(
        "filter-docker-user-dead-rules",
        _banned(
            f"iptables -I DOCKER-USER -s {BANNED} -p tcp -m tcp --dport 8080 -j DROP",
            f"iptables -D DOCKER-USER -s {BANNED} -j DROP",
        ),
        _from_banned_address,
        named("port", f"{PUBLISHED_PORT}/tcp"),
        on=("nft", "legacy", "28.5"),
        variant="host port",
        cleanup=_unbanned(
            f"iptables -D DOCKER-USER -s {BANNED} -p tcp -m conntrack --ctorigdstport 8080 -j DROP", banned=False
        ),
    ),
    Fault(
        "filter-forward-policy-drop-unserved",
        lines(*_VIRTUAL_MACHINE),
        succeeds("! ip netns exec vm curl -s --max-time 2 http://198.51.100.7/"),
        named("bridge", "virbr0"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(
            *_NO_VIRTUAL_MACHINE,
            "iptables -D DOCKER-USER -i virbr0 -j ACCEPT",
            "iptables -D DOCKER-USER -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
    ),
    Fault(
        "filter-forward-policy-drop-unserved",
        lines(*_TWO_MACHINES),
        succeeds("! ip netns exec vm1 ping -c1 -W1 10.99.0.2"),
        named("bridge", "br7"),
        on=("nft", "legacy"),
        variant="bridged",
        cleanup=lines(
            "ip netns del vm1", "ip netns del vm2", "ip link del br7", "iptables -D DOCKER-USER -i br7 -o br7 -j ACCEPT"
        ),
    ),
    Fault(
        "filter-icc-disabled",
        lines(
            "docker network create -o com.docker.network.bridge.enable_icc=false apart",
            run("one", "--network apart"),
            run("other", "--network apart"),
        ),
        _kept_apart,
        named("network", "apart"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f one other", "docker network rm apart"),
        by_design=True,
    ),
    Fault(
        "filter-internal-network-egress",
        lines("docker network create --internal inside", run("shut", "--network inside -p 8085:85")),
        lambda host: not egress(host, "shut"),
        named("container", "shut"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f shut", "docker network rm inside"),
        by_design=True,
    ),
    Fault(
        "filter-isolation-cross-network",
        _networks_meet_not,
        lambda host: not _networks_meet(host),
        network("back"),
        on=("nft", "legacy", "26.1"),
        cleanup=lines("iptables -Z DOCKER-ISOLATION-STAGE-2"),
        by_design=True,
    ),
    Fault(
        "filter-raw-direct-access-drop",
        _direct_access,
        lambda host: not _reached_directly(host),
        named("container", "web"),
        on=("28.5",),
        cleanup=_no_direct_access,
        by_design=True,
    ),
    Fault(  # the router outside knows the way back, and the answers end before routing
        "filter-raw-direct-access-drop",
        steps(
            lines(
                "docker network create -o com.docker.network.bridge.enable_ip_masquerade=false "
                "--subnet 10.44.0.0/24 routed",
                run("asker", "--network routed"),
            ),
            lambda host: host.wan(["ip", "route", "add", "10.44.0.0/24", "via", HOST_ADDRESS]),
        ),
        lambda host: not egress(host, "asker"),
        named("container", "asker"),
        on=("28.5",),
        variant="answers",
        cleanup=steps(
            lines(
                "docker rm -f asker",
                "docker network rm routed",
                "iptables -t raw -D PREROUTING -i eth0 -d 10.44.0.2 -j ACCEPT",
            ),
            lambda host: host.wan(["ip", "route", "del", "10.44.0.0/24"]),
        ),
    ),
    Fault(
        "filter-drop-counters-hot",
        _send(1200),
        succeeds("iptables -L DOCKER-USER -v -n -x | grep -E '^ *1[0-9]{3} .*dpt:9'"),
        named("rule", "filter DOCKER-USER 1"),
        on=("nft", "legacy", "28.5"),
        cleanup=_NOT_SENT,
        by_design=True,
    ),
    Fault(
        "k8s-cni-conflict",
        lines(
            "iptables -N KUBE-FORWARD",
            "iptables -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
            "iptables -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -I FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD",
        ),
        succeeds("iptables -S FORWARD | sed -n 2p | grep KUBE"),
        named("chain", "filter KUBE-FORWARD"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(
            "iptables -D FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD",
            "iptables -F KUBE-FORWARD",
            "iptables -X KUBE-FORWARD",
        ),
    ),
    Fault(
        "filter-rule-explosion",
        lines("for each in $(seq 12); do iptables -A INPUT -s 192.0.2.1 -j DROP; done"),
        succeeds("[ $(iptables -S INPUT | grep -c 192.0.2.1) -gt 1 ]"),
        named("chain", "filter INPUT"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("iptables -D INPUT -s 192.0.2.1 -j DROP"),
    ),
    Fault(
        "filter-conntrack-invalid-leak",
        _send_invalid,
        _is_reset,
        named("sysctl", "net.netfilter.nf_conntrack_tcp_be_liberal"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(
            "iptables -D INPUT -m conntrack --ctstate INVALID -j DROP",
            "iptables -D DOCKER-USER -m conntrack --ctstate INVALID -j DROP",
        ),
    ),
    Fault(
        "filter-firewalld-zone-missing",
        lines("firewall-cmd --zone=docker --remove-interface=<front>"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("20.10 firewalld",),
    ),
    Fault(
        "filter-firewalld-zone-missing",
        lines("firewall-cmd --zone=block --change-interface=<front>"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("20.10 firewalld",),
        variant="another",
    ),
    Fault(
        "filter-chain-loop-or-unparsed",
        lines("nft insert rule ip filter FORWARD ip saddr '{ 192.0.2.66, 192.0.2.67 }' drop"),
        succeeds("iptables -S FORWARD | grep -qx -e '-A FORWARD -j DROP'"),
        named("chain", "filter FORWARD"),
        on=("nft", "28.5"),
        cleanup=lines("nft delete table inet site"),
    ),
    Fault(
        "nat-table-unavailable",
        lines("nft add rule ip filter FORWARD iifname wlan0 limit rate over 10/second burst 5 packets drop"),
        succeeds("! iptables-save | grep -q '^[*]filter'"),
        lambda host: ("rule", f"filter FORWARD {_rules_of_forward(host)}"),
        on=("nft", "28.5"),
        variant="filter",
    ),
    Fault(
        "filter-xtables-lock-contention",
        lines("setsid flock --close /run/xtables.lock sleep 300 >/dev/null 2>&1 </dev/null & sleep 0.3"),
        succeeds("! timeout 3 iptables -L -n"),
        named("host", "web01"),
        on=("legacy",),
    ),
)

NEAR_MISSES = (
    NearMiss(  # chain DOCKER is empty because nothing is published, and that is right
        "filter-docker-chains-missing",
        lines("docker stop web"),
        lines("docker start web"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # an internal network and one without traffic between its containers have other rules
        "filter-docker-jump-missing",
        lines(
            "docker network create --internal inside",
            "docker network create -o com.docker.network.bridge.enable_icc=false apart",
        ),
        lines("docker network rm inside apart"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # the jump goes through another chain, and a rule before it is for another interface
        "filter-docker-user-jump-missing",
        lines(
            "iptables -N SITE",
            "iptables -A SITE -j DOCKER-USER",
            "iptables -I FORWARD -j SITE",
            "iptables -D FORWARD -j DOCKER-USER",
            "iptables -I FORWARD -i wlan0 -j ACCEPT",
            f"iptables -I DOCKER-USER -s {BANNED} -j DROP",
        ),
        lines(
            f"iptables -D DOCKER-USER -s {BANNED} -j DROP",
            "iptables -D FORWARD -i wlan0 -j ACCEPT",
            "iptables -I FORWARD -j DOCKER-USER",
            "iptables -D FORWARD -j SITE",
            "iptables -F SITE",
            "iptables -X SITE",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a rule of the administrator serves the port without the engine's own
        "filter-port-accept-missing",
        lines(
            "iptables -I DOCKER-USER -d <web>/32 -p tcp --dport 80 -j ACCEPT",
            "iptables -D DOCKER -d <web>/32 ! -i <front> -o <front> -p tcp -m tcp --dport 80 -j ACCEPT",
        ),
        lines(
            "iptables -D DOCKER-USER -d <web>/32 -p tcp --dport 80 -j ACCEPT",
            "iptables -A DOCKER -d <web>/32 ! -i <front> -o <front> -p tcp -m tcp --dport 80 -j ACCEPT",
        ),
    ),
    NearMiss(  # the administrator lets one network reach another one
        "filter-isolation-off",
        lines("iptables -I DOCKER-USER -i <front> -o <back> -j ACCEPT"),
        lines("iptables -D DOCKER-USER -i <front> -o <back> -j ACCEPT"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a rule for another port, one for another interface
        "filter-docker-user-drop",
        lines(
            "iptables -I DOCKER-USER -p tcp --dport 8081 -j DROP",
            "iptables -I DOCKER-USER -i wlan0 -j DROP",
        ),
        lines(
            "iptables -D DOCKER-USER -p tcp --dport 8081 -j DROP",
            "iptables -D DOCKER-USER -i wlan0 -j DROP",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # rules for another interface, another port, and for packets that belong to nothing
        "filter-user-drop-before-docker",
        lines(
            "iptables -I FORWARD -i wlan0 -j DROP",
            "iptables -I FORWARD -p tcp --dport 25 -j REJECT",
            "iptables -I FORWARD -m conntrack --ctstate INVALID -j DROP",
        ),
        lines(
            "iptables -D FORWARD -i wlan0 -j DROP",
            "iptables -D FORWARD -p tcp --dport 25 -j REJECT",
            "iptables -D FORWARD -m conntrack --ctstate INVALID -j DROP",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a policy with exceptions, and a table that is switched off
        "filter-foreign-nft-drop",
        lines(
            "nft add table inet corp",
            "nft 'add chain inet corp zz_forward { type filter hook forward priority 10; policy drop; }'",
            "nft add rule inet corp zz_forward ct state established,related accept",
            "nft add rule inet corp zz_forward ct status dnat accept",
            "nft 'add rule inet corp zz_forward iifname { docker0, <front>, <back> } accept'",
            "nft 'add table ip off { flags dormant; }'",
            "nft 'add chain ip off forward { type filter hook forward priority 0; policy drop; }'",
        ),
        lines("nft delete table inet corp", "nft delete table ip off"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a closed host that lets its containers in
        "filter-input-blocks-container-to-host",
        lines(
            "iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -A INPUT -i lo -j ACCEPT",
            "iptables -A INPUT -i br-+ -j ACCEPT",
            "iptables -A INPUT -p tcp --dport 8080 -j ACCEPT",
            "iptables -P INPUT DROP",
        ),
        lines("iptables -P INPUT ACCEPT", "iptables -F INPUT"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # nothing leaves but what is listed, and that has the containers' ports
        "filter-output-blocks-host-to-container",
        lines(
            "iptables -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -A OUTPUT -o lo -j ACCEPT",
            "iptables -A OUTPUT -p tcp --dport 80 -j ACCEPT",
            "iptables -P OUTPUT DROP",
        ),
        lines("iptables -P OUTPUT ACCEPT", "iptables -F OUTPUT"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # by the port before the translation, and a second RETURN at the end
        "filter-docker-user-dead-rules",
        lines(
            f"iptables -I DOCKER-USER -s {BANNED} -p tcp -m conntrack --ctorigdstport 8080 -j DROP",
            "iptables -A DOCKER-USER -j RETURN",
            "iptables -A DOCKER-USER -j RETURN",
        ),
        lines(
            "iptables -D DOCKER-USER -j RETURN",
            "iptables -D DOCKER-USER -j RETURN",
            f"iptables -D DOCKER-USER -s {BANNED} -p tcp -m conntrack --ctorigdstport 8080 -j DROP",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # rules like those of libvirt let the machine pass
        "filter-forward-policy-drop-unserved",
        lines(
            *_VIRTUAL_MACHINE,
            "iptables -I FORWARD -i virbr0 -s 192.168.122.0/24 -j ACCEPT",
            "iptables -I FORWARD -o virbr0 -d 192.168.122.0/24 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        lines(
            *_NO_VIRTUAL_MACHINE,
            "iptables -D FORWARD -i virbr0 -s 192.168.122.0/24 -j ACCEPT",
            "iptables -D FORWARD -o virbr0 -d 192.168.122.0/24 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # who is alone is kept from nobody
        "filter-icc-disabled",
        lines(
            "docker network create -o com.docker.network.bridge.enable_icc=false apart",
            run("one", "--network apart"),
        ),
        lines("docker rm -f one", "docker network rm apart"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # it is on another network as well
        "filter-internal-network-egress",
        lines(
            "docker network create --internal inside",
            run("both", "--network inside"),
            "docker network connect front both",
        ),
        lines("docker rm -f both", "docker network rm inside"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # nobody has tried since the counters began
        "filter-isolation-cross-network",
        lines("iptables -Z DOCKER-ISOLATION-STAGE-2"),
        lines("true"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # nobody has tried
        "filter-raw-direct-access-drop",
        lines("iptables -t raw -Z"),
        lines("true"),
        on=("28.5",),
    ),
    NearMiss(  # few packets
        "filter-drop-counters-hot",
        _send(20),
        _NOT_SENT,
        on=("nft", "28.5"),
    ),
    NearMiss(  # they come last
        "k8s-cni-conflict",
        lines("iptables -N KUBE-FORWARD", "iptables -A FORWARD -j KUBE-FORWARD"),
        lines("iptables -D FORWARD -j KUBE-FORWARD", "iptables -X KUBE-FORWARD"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # twice is no habit; and a range of ports makes rules that differ
        "filter-rule-explosion",
        lines(
            "iptables -A INPUT -s 192.0.2.1 -j DROP",
            "iptables -A INPUT -s 192.0.2.1 -j DROP",
            run("range", "-p 8090-8099:90-99"),
        ),
        lines(
            "iptables -D INPUT -s 192.0.2.1 -j DROP",
            "iptables -D INPUT -s 192.0.2.1 -j DROP",
            "docker rm -f range",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # as many, and they are dropped
        "filter-conntrack-invalid-leak",
        _drop_invalid,
        lines(
            "iptables -D INPUT -m conntrack --ctstate INVALID -j DROP",
            "iptables -D FORWARD -m conntrack --ctstate INVALID -j DROP",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # the default zone lets everything pass
        "filter-firewalld-zone-missing",
        lines("firewall-cmd --zone=trusted --change-interface=eth0", "firewall-cmd --zone=trusted --list-interfaces"),
        lines("firewall-cmd --zone=trusted --remove-interface=eth0"),
        on=("20.10 firewalld",),
    ),
    NearMiss(  # rules that nft made as iptables would, and a table of its own
        "filter-chain-loop-or-unparsed",
        lines(
            "nft add rule ip filter FORWARD ip saddr 192.0.2.66 counter drop",
            "nft add table inet site",
            "nft 'add chain inet site input { type filter hook input priority 0; }'",
            "nft add rule inet site input ip saddr '{ 192.0.2.66, 192.0.2.67 }' drop",
        ),
        lines("nft delete table inet site", "iptables -D FORWARD -s 192.0.2.66 -j DROP"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # it was held before
        "filter-xtables-lock-contention",
        lines("flock /run/xtables.lock true"),
        lines("true"),
        on=("legacy",),
    ),
)
