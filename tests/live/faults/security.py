"""What is open to others than those that it was meant for."""

import shlex

from lab import HOST_ADDRESS, OUTSIDE_SERVER, ROUTER_ADDRESS, DockerHost, egress, fetch

from faults._kit import Fault, NearMiss, lines, named, network, run, serving, steps, succeeds

#: Sends a SYN for 127.0.0.1 to the host's MAC address and waits for the answer.
_KNOCK_AT_LOOPBACK = """
import socket, struct, sys, time
device, mac, source, port = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), sys.argv[3], int(sys.argv[4])
loopback, source = socket.inet_aton("127.0.0.1"), socket.inet_aton(source)

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

sender = 40000 + time.monotonic_ns() // 10**7 % 20000
tcp = struct.pack("!HHIIBBHHH", sender, port, 7, 0, 5 << 4, 2, 64240, 0, 0)
tcp = tcp[:16] + struct.pack("!H", checksum(source + loopback + struct.pack("!BBH", 0, 6, 20) + tcp)) + tcp[18:]
ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + source + loopback
ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind((device, 0))
wire.settimeout(0.2)
wire.send(mac + wire.getsockname()[4] + b"\\x08\\x00" + ip + tcp)
deadline = time.monotonic() + 2
while time.monotonic() < deadline:
    try:
        frame = wire.recv(2048)
    except TimeoutError:
        continue
    if frame[26:30] == loopback and frame[47] & 0x12 == 0x12 and frame[36:38] == struct.pack("!H", sender):
        sys.exit(0)
sys.exit(1)
"""

#: Advertises itself as a router on every link of the namespace (RFC 4861).
_ADVERTISE = """
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0))
"""


def _from_afar(host: DockerHost, port: int) -> bool:
    """Whether a client that is no neighbour of the host is answered on a port."""
    return fetch(host.wan_network, f"http://{HOST_ADDRESS}:{port}/", OUTSIDE_SERVER) is not None


def _by_route(host: DockerHost, container: str, network: str = "front") -> bool:
    """Whether a neighbour with a route to the container is answered at the container's own address."""
    address = host.address(container, network)
    host.wan(["ip", "route", "add", address, "via", HOST_ADDRESS])
    try:
        return fetch(host.wan_network, f"http://{address}/") is not None
    finally:
        host.wan(["ip", "route", "del", address])


def _by_loopback(host: DockerHost, port: int) -> bool:
    """Whether a neighbour is answered when it sends packets for 127.0.0.1 to the host."""
    mac = host.shell("cat /sys/class/net/eth0/address").stdout.strip()
    knock = ["python3", "-c", _KNOCK_AT_LOOPBACK, "up0", mac, ROUTER_ADDRESS, str(port)]
    return host.wan(knock, check=False).returncode == 0


def _connects_from_afar(host: DockerHost, port: int) -> bool:
    """Whether a client that is no neighbour gets a connection to a port of the host."""
    connect = "import socket,sys; socket.create_connection((sys.argv[1],int(sys.argv[2])),2,(sys.argv[3],0))"
    argv = ["python3", "-c", connect, HOST_ADDRESS, str(port), OUTSIDE_SERVER]
    return host.wan(argv, check=False).returncode == 0


def _by_ipv6(host: DockerHost, port: int) -> bool:
    """Whether a client that is no neighbour is answered by IPv6."""
    return fetch(host.wan_network, f"http://[2001:db8::10]:{port}/", "2001:db8:77::7") is not None


def _with_ipv6(host: DockerHost) -> None:
    """Give the uplink IPv6, and the outside an address that is no neighbour."""
    host.wan(["ip", "address", "replace", "2001:db8::1/64", "dev", "up0", "nodad"])
    host.wan(["ip", "address", "replace", "2001:db8:77::7/128", "dev", "lo", "nodad"])
    host.shell("ip address replace 2001:db8::10/64 dev eth0 nodad; ip -6 route replace default via 2001:db8::1")


def _without_ipv6(host: DockerHost) -> None:
    host.shell("ip -6 route del default; ip address del 2001:db8::10/64 dev eth0")
    host.wan(["ip", "address", "del", "2001:db8::1/64", "dev", "up0"])
    host.wan(["ip", "address", "del", "2001:db8:77::7/128", "dev", "lo"])


def _commands_docker(host: DockerHost, container: str) -> bool:
    """Whether the container has a socket on which Docker answers."""
    pid = host.inspect(container)[0]["State"]["Pid"]
    if not pid:
        return False
    ask = f"curl --silent --fail --unix-socket /proc/{pid}/root/var/run/docker.sock http://docker/version"
    return host.shell(ask, check=False).returncode == 0


#: A firewall of the host that lets in nothing new from outside.
_CLOSED_HOST = (
    "iptables -A INPUT ! -i eth0 -j ACCEPT",
    "iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "iptables -P INPUT DROP",
)
_OPEN_HOST = ("iptables -P INPUT ACCEPT", "iptables -F INPUT")
_NO_USER_RULES = "iptables -S DOCKER-USER | grep -- '-j DROP' | cut -d' ' -f2- | while read r; do iptables -D $r; done"
#: Docker before 27 leaves IPv6 alone, so the table was not there.
_NO_IPV6_RULES = ("ip6tables -F INPUT", "ip6tables -S | grep -q DOCKER || nft delete table ip6 filter")
_NO_RAW_TABLE = "nft delete table ip raw"

_LOCAL_PORT = serving("local", "--network front -p 127.0.0.1:8081:80", "80")
_LISTEN_ON_TCP = (
    "sed -i 's#^DOCKER_OPTS=\"#&-H tcp://203.0.113.10:2375 #' /etc/default/docker",
    "systemctl restart docker",
)
_CERTIFICATES = (
    "mkdir -p /etc/docker/tls",
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=web01 -keyout /etc/docker/tls/key.pem"
    " -out /etc/docker/tls/cert.pem 2>/dev/null",
)
_TLS = (
    "--tlsverify --tlscacert=/etc/docker/tls/cert.pem --tlscert=/etc/docker/tls/cert.pem"
    " --tlskey=/etc/docker/tls/key.pem"
)

#: What firewalld 1.3 programs with the interfaces of Docker in its zone `docker` and the uplink in `public`.
_FIREWALLD = """nft -f - <<'END'
table inet firewalld {
  chain filter_INPUT_ZONES {
    iifname { "docker0", "<front>", "<back>" } accept
    iifname "eth0" tcp dport { 22, 8080 } accept
  }
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    iifname { "docker0", "<front>", "<back>" } accept
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
}
END"""

#: A node with an address that is nobody's (RFC 7526) and counts as public.
_PUBLIC_NODE = (
    "ip address add 192.88.99.10/24 dev eth0",
    "docker swarm init --advertise-addr 203.0.113.10",
    "sleep 2",
)
_NO_NODE = (
    "docker swarm leave --force; sleep 1",
    "docker network rm docker_gwbridge",
    "ip address del 192.88.99.10/24 dev eth0",
)

FAULTS = (
    Fault(
        "sec-published-bypasses-host-firewall",
        lines(*_CLOSED_HOST),
        lambda host: _from_afar(host, 8080),
        named("port", "8080/tcp"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(*_OPEN_HOST, _NO_USER_RULES),
    ),
    Fault(
        "sec-input-rule-ineffective",
        lines(
            serving("admin", "--network front -p 9000:80", "80"),
            "iptables -A INPUT -i eth0 -p tcp --dport 9000 -j DROP",
        ),
        lambda host: _from_afar(host, 9000),
        named("port", "9000/tcp"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f admin", "iptables -F INPUT", _NO_USER_RULES),
    ),
    Fault(
        "sec-sensitive-service-exposed",
        lines(serving("cache", "--network front -p 6379:6379", "6379")),
        lambda host: _from_afar(host, 6379),
        named("container", "cache"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f cache", _NO_USER_RULES),
    ),
    Fault(
        "sec-direct-routing-pre28",
        lines(_LOCAL_PORT),
        lambda host: _by_route(host, "local"),
        named("port", "8081/tcp"),
        on=("nft", "26.1"),
        cleanup=lines("docker rm -f local", _NO_RAW_TABLE),
    ),
    Fault(  # what is routed to containers is dropped, what is for the loopback address is not
        "sec-loopback-publish-lan-reachable",
        lines(_LOCAL_PORT, "iptables -t raw -I PREROUTING -i eth0 -d <front_subnet> -j DROP"),
        lambda host: _by_loopback(host, 8081),
        named("port", "8081/tcp"),
        on=("nft", "26.1"),
        cleanup=lines("docker rm -f local", _NO_RAW_TABLE),
    ),
    Fault(
        "sec-forward-policy-accept",
        lines("iptables -P FORWARD ACCEPT"),
        lambda host: _by_route(host, "app"),
        named("chain", "filter FORWARD"),
        on=("nft", "legacy", "26.1"),
    ),
    Fault(  # the host forwards for somebody else too, so that the policy has to stay
        "sec-forward-policy-accept",
        lines("iptables -P FORWARD ACCEPT", "ip link add virbr9 type bridge", "ip link set virbr9 up"),
        lambda host: _by_route(host, "app"),
        named("container", "app"),
        variant="beside-others",
        cleanup=lines("ip link del virbr9", "iptables -P FORWARD DROP", _NO_RAW_TABLE),
    ),
    Fault(
        "sec-protection-disabled",
        lines(_LOCAL_PORT, "iptables -t raw -F PREROUTING"),
        lambda host: _by_route(host, "local"),
        named("container", "local"),
        on=("28.5",),
        cleanup=lines("docker rm -f local"),
    ),
    Fault(  # asked for, so a note
        "sec-protection-disabled",
        lines(
            "docker network create -o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected open",
            serving("lab", "--network open", "80"),
        ),
        lambda host: _by_route(host, "lab", network="open"),
        named("network", "open"),
        on=("28.5",),
        variant="unprotected-network",
        cleanup=lines(
            "docker rm -f lab",
            "iptables -t raw -S PREROUTING | grep -- '-i eth0' | cut -d' ' -f2- | while read r;"
            " do iptables -t raw -D $r; done",
            "docker network rm open",
        ),
    ),
    Fault(
        "sec-iptables-disabled",
        lines(
            """echo '{"iptables": false}' >/etc/docker/daemon.json""",
            "systemctl restart docker",
            "iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X",
        ),
        lambda host: not egress(host, "web"),
        named("network", "front"),
        on=("nft", "legacy"),
        cleanup=lines("rm /etc/docker/daemon.json"),
    ),
    Fault(
        "sec-docker-api-tcp",
        lines(*_LISTEN_ON_TCP),
        lambda host: fetch(host.wan_network, "http://203.0.113.10:2375/version") is not None,
        named("port", "2375/tcp"),
        on=("nft", "legacy"),
    ),
    Fault(
        "ipv6-published-unexpected",
        steps(
            _with_ipv6,
            lines(
                serving("admin", "--network front -p 9000:80", "80"),
                "iptables -I DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW"
                " --ctorigdstport 9000 -j DROP",
            ),
        ),
        lambda host: _by_ipv6(host, 9000) and not _from_afar(host, 9000),
        named("port", "9000/tcp"),
        on=("nft", "28.5"),
        cleanup=steps(_without_ipv6, lines("docker rm -f admin", _NO_USER_RULES, *_NO_IPV6_RULES)),
    ),
    Fault(
        "sec-docker-sock-mounted",
        lines(serving("panel", "--network front -p 9001:80 -v /var/run/docker.sock:/var/run/docker.sock", "80")),
        lambda host: _commands_docker(host, "panel"),
        named("container", "panel"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f panel"),
    ),
    Fault(  # not to be reached from outside, so a note
        "sec-docker-sock-mounted",
        lines(run("watch", "--network front -v /run:/host/run:ro -v /var/run:/var/run")),
        lambda host: _commands_docker(host, "watch"),
        named("container", "watch"),
        variant="inside",
        cleanup=lines("docker rm -f watch"),
    ),
    Fault(
        "sec-host-network",
        lines(run("vpn", "--network host --cap-add NET_ADMIN")),
        succeeds("docker exec vpn ip address add 192.0.2.77/32 dev lo && ip address del 192.0.2.77/32 dev lo"),
        named("container", "vpn"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f vpn"),
    ),
    Fault(
        "sec-ipv6-ra-spoof",
        lines(
            "sysctl -w net.ipv6.conf.<front>.accept_ra=1",
            run("evil", "--network front"),
            "in=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' evil);"
            " nsenter --net=$in sysctl -w net.ipv6.conf.eth0.disable_ipv6=0; sleep 3;"
            f" nsenter --net=$in {shlex.join(['python3', '-c', _ADVERTISE])}; sleep 1",
        ),
        succeeds("ip -6 route show default dev <front> proto ra | grep -q via"),
        network("front"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f evil"),
    ),
    Fault(
        "sec-swarm-ports-public",
        lines(*_PUBLIC_NODE),
        lambda host: _connects_from_afar(host, 2377),
        named("port", "2377/tcp"),
        on=("nft", "28.5"),
        cleanup=lines(*_NO_NODE, "iptables -F INPUT"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # INPUT says that the port shall be open; another one is kept to the neighbours in DOCKER-USER
        "sec-published-bypasses-host-firewall",
        lines(
            *_CLOSED_HOST,
            "iptables -A INPUT -p tcp --dport 8080 -j ACCEPT",
            serving("admin", "-p 9000:80", "80"),
            "iptables -I DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW"
            " --ctorigdstport 9000 -j DROP",
        ),
        lines("docker rm -f admin", *_OPEN_HOST, _NO_USER_RULES),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a rule for a port of the host itself; one that DOCKER-USER has as well
        "sec-input-rule-ineffective",
        lines(
            serving("own", "--network host", "9002"),
            "iptables -A INPUT -i eth0 -p tcp --dport 9002 -j DROP",
            serving("admin", "-p 9000:80", "80"),
            "iptables -A INPUT -i eth0 -p tcp --dport 9000 ! -s 203.0.113.0/24 -j DROP",
            "iptables -I DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW"
            " --ctorigdstport 9000 -j DROP",
        ),
        lines("docker rm -f own admin", "iptables -F INPUT", _NO_USER_RULES),
    ),
    NearMiss(  # one asks for a password, one is kept to the neighbours, one is for other containers only
        "sec-sensitive-service-exposed",
        lines(
            serving("asks", "-p 6379:6379 -e REDIS_PASSWORD=lab", "6379"),
            serving("near", "-p 9200:9200", "9200"),
            "iptables -I DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW"
            " --ctorigdstport 9200 -j DROP",
            serving("inner", "--network back", "27017"),
        ),
        lines("docker rm -f asks near inner", _NO_USER_RULES),
        on=("nft", "28.5"),
    ),
    NearMiss(  # the rules that Docker has since 28
        "sec-direct-routing-pre28",
        lines(
            _LOCAL_PORT,
            "iptables -t raw -I PREROUTING -i eth0 -d <front_subnet> -j DROP",
            "iptables -t raw -I PREROUTING -i eth0 -d 127.0.0.0/8 -j DROP",
        ),
        lines("docker rm -f local", _NO_RAW_TABLE),
    ),
    NearMiss(
        "sec-loopback-publish-lan-reachable",
        lines(
            _LOCAL_PORT,
            "iptables -t raw -I PREROUTING -i eth0 -d <front_subnet> -j DROP",
            "iptables -t raw -I PREROUTING ! -i lo -d 127.0.0.1/32 -j DROP",
        ),
        lines("docker rm -f local", _NO_RAW_TABLE),
    ),
    NearMiss(
        "sec-loopback-publish-lan-reachable",
        lines(_LOCAL_PORT),
        lines("docker rm -f local"),
        on=("28.5",),
        variant="since-28",
    ),
    NearMiss(  # the policy lets pass, and DOCKER-USER does not
        "sec-forward-policy-accept",
        lines(
            "iptables -P FORWARD ACCEPT",
            "iptables -I DOCKER-USER -i eth0 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        ),
        lines("iptables -P FORWARD DROP", _NO_USER_RULES),
        on=("nft", "legacy", "26.1"),
    ),
    NearMiss(  # a routed network is made to be reached; a port for the host only is kept from neighbours
        "sec-protection-disabled",
        lines(
            "docker network create -o com.docker.network.bridge.gateway_mode_ipv4=routed plain",
            serving("routed", "--network plain", "80"),
            _LOCAL_PORT,
        ),
        lines("docker rm -f routed local", "docker network rm plain"),
        on=("28.5",),
    ),
    NearMiss(  # rules that somebody else takes care of
        "sec-iptables-disabled",
        lines("""echo '{"iptables": false}' >/etc/docker/daemon.json""", "systemctl restart docker"),
        lines("rm /etc/docker/daemon.json", "systemctl restart docker"),
    ),
    NearMiss(  # the daemon asks for a certificate
        "sec-docker-api-tcp",
        lines(
            *_CERTIFICATES,
            f"sed -i 's#^DOCKER_OPTS=\"#&-H tcp://203.0.113.10:2376 {_TLS} #' /etc/default/docker",
            "systemctl restart docker",
        ),
        lines(
            f"sed -i 's#-H tcp://203.0.113.10:2376 {_TLS} ##' /etc/default/docker",
            "systemctl restart docker",
            "rm -r /etc/docker/tls",
        ),
    ),
    NearMiss(  # both versions of IP have the rule
        "ipv6-published-unexpected",
        steps(
            _with_ipv6,
            lines(
                serving("admin", "--network front -p 9000:80", "80"),
                "iptables -I DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -p tcp -m conntrack --ctstate NEW"
                " --ctorigdstport 9000 -j DROP",
                "ip6tables -I INPUT -i eth0 -p tcp --dport 9000 -j DROP",
            ),
        ),
        steps(_without_ipv6, lines("docker rm -f admin", _NO_USER_RULES, *_NO_IPV6_RULES)),
    ),
    NearMiss(  # another file of /var/run; a container that does not run
        "sec-docker-sock-mounted",
        lines(
            run("files", "-v /var/run/netns:/netns -v /etc/hostname:/var/run/docker.sock"),
            "docker create --name spare -v /var/run/docker.sock:/var/run/docker.sock lab/busybox:1",
        ),
        lines("docker rm -f files spare"),
    ),
    NearMiss(  # the host's network without the right, the right without the host's network
        "sec-host-network",
        lines(run("plain", "--network host"), run("tun", "--cap-add NET_ADMIN --cap-add NET_RAW")),
        lines("docker rm -f plain tun"),
    ),
    NearMiss(  # no IPv6 on the bridge
        "sec-ipv6-ra-spoof",
        lines("sysctl -w net.ipv6.conf.<front>.accept_ra=1 net.ipv6.conf.<front>.disable_ipv6=1"),
        lines("sysctl -w net.ipv6.conf.<front>.disable_ipv6=0 net.ipv6.conf.<front>.accept_ra=0"),
    ),
    NearMiss(  # this version programs all its rules again
        "sec-firewalld-reload-cve",
        lines(_FIREWALLD),
        lines("nft delete table inet firewalld"),
        on=("28.5",),
    ),
    NearMiss(  # only the nodes' own network is let in
        "sec-swarm-ports-public",
        lines(
            *_PUBLIC_NODE,
            "iptables -I INPUT -i eth0 ! -s 203.0.113.0/24 -p tcp -m multiport --dports 2377,7946 -j DROP",
            "iptables -I INPUT -i eth0 ! -s 203.0.113.0/24 -p udp -m multiport --dports 7946,4789 -j DROP",
        ),
        lines(*_NO_NODE, "iptables -F INPUT"),
    ),
)
