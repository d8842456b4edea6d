"""Faults of overlay networks, on a node of a swarm of two."""

from typing import cast

from lab import IMAGE, PEER_ADDRESS, DockerHost, SwarmHost, container_to_container, egress

from faults._kit import Fault, Kind, NearMiss, Subject, lines, named, network, succeeds

_ON: tuple[Kind, ...] = ("swarm", "swarm 28.5")

#: The namespace of the engine that has the tunnel of network mesh.
_ENTER_MESH = "nsenter --net=/run/docker/netns/1-$(docker network inspect -f '{{.Id}}' mesh | cut -c1-10)"


def _node(host: DockerHost) -> SwarmHost:
    return cast(SwarmHost, host)


def _cut_off(host: DockerHost) -> bool:
    return not _node(host).reaches_far()


def _far_mac(host: DockerHost) -> str:
    record = _node(host).peer.inspect("far")[0]
    return str(record["NetworkSettings"]["Networks"]["mesh"]["MacAddress"])


def _forget_the_node_of_far(host: DockerHost) -> None:
    """The tunnel does not learn it anew: far may still answer, again and again, what came to it in an earlier test."""
    host.shell(f"{_ENTER_MESH} ip link set vxlan0 type vxlan nolearning")
    host.shell(f"{_ENTER_MESH} bridge fdb del {_far_mac(host)} dev vxlan0 dst {PEER_ADDRESS} self")
    host.shell(f"{_ENTER_MESH} bridge fdb del {_far_mac(host)} dev vxlan0 master", check=False)  # what it has learned


def _learn(host: DockerHost) -> None:
    host.shell(f"{_ENTER_MESH} ip link set vxlan0 type vxlan learning")


def _forget_the_mac_of_far(host: DockerHost) -> None:
    host.shell(f"{_ENTER_MESH} ip neigh del {_node(host).peer.address('far', 'mesh')} dev vxlan0")
    host.container("near", ["ip", "neigh", "flush", "all"])


def _far_address(host: DockerHost) -> Subject:
    return "address", _node(host).peer.address("far", "mesh")


def _have_large_network(host: DockerHost) -> None:
    """A network for jumbo frames, which the other node's link carries and this one's does not."""
    peer = _node(host).peer
    peer.shell("ip link set eth1 mtu 9000")
    host.shell("docker network create -d overlay --attachable -o com.docker.network.driver.mtu=9000 large")
    host.shell(f"docker run -d --name near-large --network large {IMAGE}")
    peer.shell(f"docker run -d --name far-large --network large {IMAGE}")


def _large_packets_are_lost(host: DockerHost) -> bool:
    ping = ["ping", "-c1", "-W2", "-s", "8000", _node(host).peer.address("far-large", "large")]
    return host.container("near-large", ping, check=False).returncode != 0


def _have_no_large_network(host: DockerHost) -> None:
    peer = _node(host).peer
    host.shell("docker rm -f near-large")
    peer.shell("docker rm -f far-large")
    _remove_network(host, "large")
    peer.shell("ip link set eth1 mtu 1500")
    host.shell("ip link set eth1 mtu 1500")


def _remove_network(host: DockerHost, name: str) -> None:
    """Remove an overlay network as soon as the swarm knows that its tasks are gone."""
    host.shell(f"for n in $(seq 50); do docker network rm {name} && break; sleep 0.2; done")


def _have_lan(host: DockerHost) -> None:
    """A LAN behind the router, and an overlay network with its addresses."""
    host.wan(["ip", "addr", "add", "10.77.0.7/32", "dev", "lo"])
    host.shell("ip route add 10.77.0.0/24 via 203.0.113.1")
    host.shell("docker network create -d overlay --attachable --subnet 10.77.0.0/24 clash")
    host.shell(f"docker run -d --name clashing --network clash {IMAGE}")


def _lan_is_hidden(host: DockerHost) -> bool:
    asked = ["curl", "-s", "-m", "2", "http://10.77.0.7/"]
    return host.run(asked).returncode == 0 and host.container("clashing", asked, check=False).returncode != 0


def _have_no_lan(host: DockerHost) -> None:
    host.shell("docker rm -f clashing")
    _remove_network(host, "clash")
    host.shell("ip route del 10.77.0.0/24 via 203.0.113.1")
    host.wan(["ip", "addr", "del", "10.77.0.7/32", "dev", "lo"])


def _have_secret_network(host: DockerHost) -> None:
    """An encrypted network between two nodes whose kernel has no ESP."""
    host.shell("docker network create -d overlay --attachable --opt encrypted secret")
    host.shell(f"docker run -d --name near-secret --network secret {IMAGE}")
    _node(host).peer.shell(f"docker run -d --name far-secret --network secret {IMAGE}")
    for _ in range(4):
        _secret_is_cut_off(host)


def _secret_is_cut_off(host: DockerHost) -> bool:
    if not host.docker("ps", "--quiet", "--filter=name=near-secret").stdout:
        return False
    return not container_to_container(host, "near-secret", _node(host).peer.address("far-secret", "secret"))


def _have_no_secret_network(host: DockerHost) -> None:
    host.shell("docker rm -f near-secret")
    _node(host).peer.shell("docker rm -f far-secret")
    _remove_network(host, "secret")
    # the engine leaves them when it takes the network away
    host.shell("iptables -F INPUT; iptables -t mangle -F OUTPUT; nft delete table ip mangle")


#: Sends an UDP packet with a wrong checksum so many times, as a network card does that cannot compute it.
_SEND_WRONG = """
import socket, struct, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for _ in range(int(sys.argv[2])):
    sender.sendto(struct.pack("!HHHH", 4000, 4000, 12, 0x1234) + b"wrong"[:4], (sys.argv[1], 0))
"""


def _send_wrong(host: DockerHost, count: int) -> None:
    """Let a container of the other node send packets with wrong checksums to one of this node."""
    host.shell(f"docker run -d --name sick --network mesh {IMAGE}")
    peer, address = _node(host).peer, host.address("sick", "mesh")
    # the swarm tells the other node of a container when it has started
    peer.container("far", ["sh", "-c", f"for i in $(seq 20); do ping -c1 -W1 {address} && exit; done; exit 1"])
    peer.container("far", ["python3", "-c", _SEND_WRONG, address, str(count)])


def _wrong_ones_are_dropped(host: DockerHost) -> bool:
    if not host.docker("ps", "--quiet", "--filter=name=sick").stdout:
        return False
    counter = host.container("sick", ["nstat", "-asz", "UdpInCsumErrors"]).stdout.splitlines()[-1].split()
    return int(counter[1]) > 0


_SERVICE = "docker service create --quiet --name svc --network mesh --publish 8888:80 " + IMAGE


def _virtual_address_is_dead(host: DockerHost) -> bool:
    """Whether the service's own address answers nobody although there is a service."""
    found = host.shell(
        "docker service inspect -f '{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}' svc", check=False
    ).stdout.split()
    addresses = [text.partition("/")[0] for text in found]
    return bool(addresses) and not any(container_to_container(host, "near", address) for address in addresses)


#: The engine fails in the middle of it: it leaves a pair of veths on the host that lead nowhere, and Docker 28 the rule
#: for the address as well.
_REMOVE_WHAT_THAT_LEFT = (
    'ip -br link show type veth | awk \'$2 == "DOWN" {sub(/@.*/, "", $1); print $1; exit}\' | xargs ip link del',
    "docker network inspect -f '{{range $id, $each := .Containers}}{{$id}} {{$each.IPv4Address}}{{println}}{{end}}'"
    " docker_gwbridge | sed -n 's#^ep-.* \\(.*\\)/.*#\\1#p' | while read address; do"
    " iptables -t raw -D PREROUTING -d $address ! -i docker_gwbridge -j DROP 2>/dev/null || true; done",
)

FAULTS = (
    Fault(
        "overlay-ports-blocked",
        lines("iptables -I INPUT -p udp --dport 4789 -j DROP"),
        _cut_off,
        named("port", "4789/udp"),
        on=_ON,
    ),
    Fault(  # a firewall that nobody told of the swarm
        "overlay-ports-blocked",
        lines(
            "iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -A INPUT -i lo -j ACCEPT",
            "iptables -A INPUT -p tcp -m multiport --dports 22,80,443,8080 -j ACCEPT",
            "iptables -A INPUT -i eth1 -p udp -j REJECT",
        ),
        _cut_off,
        named("port", "7946/udp"),
        on=_ON,
        variant="reject",
        cleanup=lines("iptables -F INPUT"),
    ),
    Fault(
        "overlay-peer-fdb-missing",
        _forget_the_node_of_far,
        _cut_off,
        _far_address,
        on=_ON,
        cleanup=_learn,
    ),
    Fault(
        "overlay-peer-fdb-missing",
        _forget_the_mac_of_far,
        _cut_off,
        network("mesh"),
        on=_ON,
        variant="neighbour",
    ),
    Fault(
        "overlay-data-path-addr-mismatch",
        lines(
            "ip addr add 192.0.2.9/24 dev eth1",
            "ip route change 192.0.2.0/24 dev eth1 proto kernel scope link src 192.0.2.9",
        ),
        _cut_off,
        named("address", "192.0.2.9"),
        on=_ON,
        cleanup=lines(
            f"ip route del {PEER_ADDRESS}",
            "ip route change 192.0.2.0/24 dev eth1 proto kernel scope link src 192.0.2.1",
            "ip addr del 192.0.2.9/24 dev eth1",
        ),
    ),
    Fault(
        "overlay-vxlan-mtu",
        _have_large_network,
        _large_packets_are_lost,
        network("large"),
        on=_ON,
        cleanup=_have_no_large_network,
    ),
    Fault(
        "overlay-vxlan-vni-stale",
        lines(
            "docker network create -d overlay --attachable late",
            "ip link add vx-001003-abcde type vxlan dstport 4789 id $(docker network inspect late | "
            "grep -o 'vxlanid_list[^0-9]*[0-9]*' | grep -o '[0-9]*$')",
        ),
        succeeds(f"docker rm -f late; ! timeout 30 docker run -d --name late --network late {IMAGE}"),
        named("interface", "vx-001003-abcde"),
        on=_ON,
        cleanup=lambda host: (host.shell("docker rm -f late"), _remove_network(host, "late")),
    ),
    Fault(
        "overlay-ingress-subnet-conflict",
        _have_lan,
        _lan_is_hidden,
        network("clash"),
        on=_ON,
        cleanup=_have_no_lan,
    ),
    Fault(
        "overlay-gwbridge-problem",
        lines("! docker network disconnect docker_gwbridge near", *_REMOVE_WHAT_THAT_LEFT),
        lambda host: not egress(host, "near") and _node(host).reaches_far(),
        named("container", "near"),
        on=_ON,
    ),
    Fault(  # nor has it IPVS
        "overlay-ipvs-missing",
        lines(_SERVICE),
        _virtual_address_is_dead,
        named("host", "web01"),
        on=_ON,
        instead=lines(
            "docker service rm svc", "while docker ps --format '{{.Names}}' | grep -q ^svc; do sleep 0.2; done"
        ),
    ),
    Fault(  # this kernel has no ESP
        "overlay-encryption-broken",
        _have_secret_network,
        _secret_is_cut_off,
        network("secret"),
        on=_ON,
        instead=_have_no_secret_network,
    ),
    Fault(  # no network card of the laboratory computes checksums wrong
        "overlay-tx-checksum",
        lambda host: _send_wrong(host, 50),
        _wrong_ones_are_dropped,
        named("container", "sick"),
        on=_ON,
        instead=lines("docker rm -f sick"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # other ports, and other sources
        "overlay-ports-blocked",
        lines(
            "iptables -I INPUT -p udp --dport 8472 -j DROP",
            "iptables -I INPUT -s 203.0.113.0/24 -p udp --dport 4789 -j DROP",
        ),
        lines("iptables -F INPUT"),
        on=_ON,
    ),
    NearMiss(  # a container that was there, and is not any more
        "overlay-peer-fdb-missing",
        lambda host: (
            _node(host).peer.shell(f"docker run -d --name short --network mesh {IMAGE}"),
            _node(host).peer.shell("docker rm -f short"),
        ),
        lines("true"),
        on=_ON,
    ),
    NearMiss(  # another address on the same link, which the kernel does not choose
        "overlay-data-path-addr-mismatch",
        lines("ip addr add 192.0.2.9/24 dev eth1"),
        lines("ip addr del 192.0.2.9/24 dev eth1"),
        on=_ON,
    ),
    NearMiss(  # a network that is smaller than it could be
        "overlay-vxlan-mtu",
        lines(
            "docker network create -d overlay --attachable -o com.docker.network.driver.mtu=1400 small",
            f"docker run -d --name near-small --network small {IMAGE}",
        ),
        lambda host: (host.shell("docker rm -f near-small"), _remove_network(host, "small")),
        on=_ON,
    ),
    NearMiss(  # the number of another network, and another port: flannel
        "overlay-vxlan-vni-stale",
        lines(
            "ip link add flannel.1 type vxlan id 4097 dstport 8472",
            "ip link add vxlan7 type vxlan id 7 dstport 4789",
        ),
        lines("ip link del flannel.1", "ip link del vxlan7"),
        on=_ON,
    ),
    NearMiss(  # a route beside
        "overlay-ingress-subnet-conflict",
        lines("ip route add 10.77.0.0/24 via 203.0.113.1"),
        lines("ip route del 10.77.0.0/24 via 203.0.113.1"),
        on=_ON,
    ),
    NearMiss(  # an internal overlay network has no way out, and a bridge network is one
        "overlay-gwbridge-problem",
        lines(
            "docker network create -d overlay --attachable --internal inside",
            f"docker run -d --name near-inside --network inside {IMAGE}",
        ),
        lambda host: (host.shell("docker rm -f near-inside"), _remove_network(host, "inside")),
        on=_ON,
    ),
    NearMiss(  # a few wrong packets
        "overlay-tx-checksum",
        lambda host: _send_wrong(host, 5),
        lines("docker rm -f sick"),
        on=_ON,
    ),
)
