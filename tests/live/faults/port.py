"""Faults of published ports."""

import shlex

from lab import HOST_ADDRESS, DockerHost, fetch, localhost, published

from faults._kit import Fault, NearMiss, lines, named, run, serve_udp, serving, succeeds

#: Asks a UDP port and ends well when something comes back.
_ASK_UDP = "import socket,sys; s=socket.socket(type=socket.SOCK_DGRAM); s.settimeout(1); \
s.sendto(b'?',(sys.argv[1],int(sys.argv[2]))); s.recv(9)"

#: Takes back what `lead_by_hand` prints.
_CLOSED = (
    "iptables -t nat -S PREROUTING | grep -- '-j DNAT' | cut -d' ' -f2- | while read r; do iptables -t nat -D $r; done",
    "iptables -S DOCKER-USER | grep -- '-j ACCEPT' | cut -d' ' -f2- | while read r; do iptables -D $r; done",
)

#: A socket that nobody reads, among the container's processes; and more packets than it can hold.
_UNREAD = "import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('0.0.0.0',9125)); time.sleep(600)"
_FLOOD = "import socket,sys; s=socket.socket(type=socket.SOCK_DGRAM); \
[s.sendto(b'x'*1000,(sys.argv[1],9125)) for _ in range(2000)]"
_FLOOD_SINK = (
    "docker run -d --init --name sink --network front lab/busybox:1 sleep 1000;"
    " pid=$(docker inspect -f '{{.State.Pid}}' sink);"
    f" setsid nsenter -t $pid --net --pid -- {shlex.join(['python3', '-c', _UNREAD, 'sink-server'])} >/dev/null 2>&1 &"
    f" sleep 1; {shlex.join(['python3', '-c', _FLOOD])}"
    " $(docker inspect -f '{{.NetworkSettings.Networks.front.IPAddress}}' sink)"
)

#: Gets a port of the range that the socket asks for (IP_LOCAL_PORT_RANGE) as an outgoing connection does.
_TAKE_PORT = "import socket,struct; s=socket.socket(type=socket.SOCK_DGRAM); \
s.setsockopt(0,51,struct.pack('HH',50000,50000)); s.connect(('198.51.100.7',9))"

#: It tells the daemon by its descriptor 3 that it listens.
_STALE_PROXY = (
    "setsid docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 9099 -container-ip 172.17.0.99 -container-port 80"
    " >/dev/null 2>&1 3>/dev/null & sleep 1"
)

_ON_FRONT = "{{.NetworkSettings.Networks.front.IPAddress}}"

#: A container younger than this is not judged by what does not listen in it.
_SETTLED = "sleep 10"


def _answers_udp(host: DockerHost, port: int) -> bool:
    """Whether the outside world is answered on a UDP port of the host."""
    return host.wan(["python3", "-c", _ASK_UDP, HOST_ADDRESS, str(port)], check=False).returncode == 0


def _runs(host: DockerHost, container: str) -> bool:
    return container in host.docker("ps", "--format={{.Names}}").stdout.split()


def _answers_on(host: DockerHost, address: str, port: int) -> bool:
    """Whether the outside world is answered on a port of one of the host's addresses."""
    return fetch(host.wan_network, f"http://{address}:{port}/") is not None


FAULTS = (
    Fault(
        "port-no-listener",
        lines(serving("shop", "--network back -p 8090:80", "8000"), _SETTLED),
        lambda host: not published(host, 8090),
        named("port", "8090/tcp"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f shop"),
    ),
    Fault(
        "port-no-listener",
        lines(serving("shop", "-p 8090:80", "80"), "docker exec shop killall httpd", _SETTLED),
        lambda host: not published(host, 8090),
        named("container", "shop"),
        on=("nft", "legacy", "28.5"),
        variant="server-died",
        cleanup=lines("docker rm -f shop"),
    ),
    Fault(
        "port-no-listener",
        lines(
            "docker run -d --init --name shop --network back -p 8090:80 lab/busybox:1 sleep 1000",
            "docker network connect front shop",
            "docker exec shop touch /www/index.html",
            f"docker exec shop httpd -h /www -p $(docker inspect -f '{_ON_FRONT}' shop):80",
            _SETTLED,
        ),
        lambda host: not published(host, 8090),
        named("container", "shop"),
        on=("nft",),
        variant="other-address",
        cleanup=lines("docker rm -f shop"),
    ),
    Fault(
        "port-listener-loopback-only",
        lines(serving("dev", "--network front -p 5173:5173", "127.0.0.1:5173")),
        lambda host: not published(host, 5173),
        named("container", "dev"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f dev"),
    ),
    Fault(
        "port-proto-or-family-mismatch",
        lines(
            "docker run -d --init --name dns --network front -p 5300:53 lab/busybox:1 sleep 1000", serve_udp("dns", 53)
        ),
        lambda host: not _answers_udp(host, 5300),
        named("container", "dns"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines(
            "docker rm -f dns",
            *_CLOSED,
        ),
    ),
    Fault(
        "port-conflict",
        lines(
            "setsid python3 -m http.server 8099 >/dev/null 2>&1 & sleep 1",
            serving("late", "--network front -p 8099:80", "80") + " || true",
        ),
        lambda host: not _runs(host, "late"),
        named("container", "late"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f late"),
    ),
    Fault(
        "port-conflict",
        lines(serving("early", "-p 8099:80", "80"), serving("late", "-p 8099:80", "80") + " || true"),
        lambda host: not _runs(host, "late"),
        named("container", "early"),
        on=("nft", "28.5"),
        variant="other-container",
        cleanup=lines("docker rm -f early late"),
    ),
    Fault(
        "port-bound-host-ip-missing",
        lines(
            "ip address add 203.0.113.99/24 dev eth0",
            serving("vip", "--network front -p 203.0.113.99:8098:80", "80"),
            "ip address del 203.0.113.99/24 dev eth0",
        ),
        lambda host: not _answers_on(host, "203.0.113.99", 8098),
        named("address", "203.0.113.99"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("docker rm -f vip", "ip address del 203.0.113.99/24 dev eth0"),
    ),
    Fault(
        "port-bound-host-ip-missing",
        lines(serving("vip", "-p 203.0.113.99:8098:80", "80") + " || true"),
        lambda host: not _runs(host, "vip"),
        named("address", "203.0.113.99"),
        on=("nft", "28.5"),
        variant="not-started",
        cleanup=lines("docker rm -f vip", "ip address del 203.0.113.99/24 dev eth0"),
    ),
    Fault(
        "port-proxy-missing",
        lines("pkill -x docker-proxy"),
        lambda host: not localhost(host),
        named("port", "8080/tcp"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "port-proxy-stale",
        lines(_STALE_PROXY),
        succeeds("! docker run --rm -p 9099:80 lab/busybox:1 true"),
        named("port", "9099/tcp"),
        on=("nft", "legacy"),
    ),
    Fault(  # what cannot be started is a symptom of the port that is held
        "port-proxy-stale",
        lines(
            _STALE_PROXY,
            serving("late", "-p 9099:80", "80") + " || true",
        ),
        lambda host: host.docker("start", "late", check=False).returncode != 0,
        named("port", "9099/tcp"),
        variant="in-the-way",
        cleanup=lines("docker rm -f late"),
    ),
    Fault(  # neighbours cannot get round the engine's rules
        "port-bound-loopback-host",
        lines(
            serving("local", "--network front -p 127.0.0.1:8081:80", "80"),
            "iptables -t raw -I PREROUTING -i eth0 -d 127.0.0.0/8 -j DROP",
            "iptables -t raw -I PREROUTING -i eth0 -d <front_subnet> -j DROP",
        ),
        lambda host: not published(host, 8081),
        named("port", "8081/tcp"),
        cleanup=lines("docker rm -f local", *_CLOSED, "nft delete table ip raw"),
    ),
    Fault(
        "port-bound-loopback-host",
        lines(serving("local", "--network front -p 127.0.0.1:8081:80", "80")),
        lambda host: not published(host, 8081),
        named("port", "8081/tcp"),
        on=("28.5",),
        variant="since-28",
        cleanup=lines("docker rm -f local", *_CLOSED),
    ),
    Fault(
        "port-exposed-not-published",
        lines(serving("cache", "--network front --expose 6379", "6379")),
        lambda host: not published(host, 6379),
        named("container", "cache"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f cache", *_CLOSED),
    ),
    Fault(
        "port-published-ignored",
        lines("docker network create --internal inside", serving("shut", "--network inside -p 8094:80", "80")),
        lambda host: not published(host, 8094),
        named("container", "shut"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f shut", "docker network rm inside"),
    ),
    Fault(
        "port-published-ignored",
        lines(serving("shut", "--network host -p 8094:8095", "8095")),
        lambda host: not published(host, 8094),
        named("container", "shut"),
        variant="host-network",
        cleanup=lines(
            "docker rm -f shut", "iptables -t nat -D PREROUTING -p tcp --dport 8094 -j REDIRECT --to-ports 8095"
        ),
    ),
    Fault(
        "port-ephemeral-overlap",
        lines(serving("agent", "-p 50000:80", "80")),
        succeeds(shlex.join(["python3", "-c", _TAKE_PORT])),
        named("port", "50000/tcp"),
        on=("nft",),
        cleanup=lines("docker rm -f agent", "sysctl -w net.ipv4.ip_local_reserved_ports="),
    ),
    Fault(  # the rules that swarm makes for a service; swarm itself needs IPVS
        "port-swarm-ingress-conflict",
        lines(
            serving("shop", "--network front -p 8096:80", "80"),
            "iptables -t nat -N DOCKER-INGRESS",
            "iptables -t nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8096 -j DNAT --to-destination 172.31.0.2:8096",
            "iptables -t nat -A DOCKER-INGRESS -j RETURN",
            "iptables -t nat -I PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
        ),
        lambda host: not published(host, 8096),
        named("port", "8096/tcp"),
        on=("nft", "legacy"),
        cleanup=lines(
            "docker rm -f shop",
            "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
            "iptables -t nat -F DOCKER-INGRESS",
            "iptables -t nat -X DOCKER-INGRESS",
        ),
    ),
    Fault(
        "sysctl-somaxconn-low",
        lines(
            "docker exec web killall -STOP httpd",
            "for i in $(seq 12); do setsid curl --silent --max-time 60 http://<web>/ >/dev/null 2>&1 & done; sleep 1",
        ),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "perf-udp-rcvbuf",
        lines(_FLOOD_SINK),
        succeeds(
            "nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' sink) nstat -asz UdpRcvbufErrors"
            " | grep -Eq 'UdpRcvbufErrors +[1-9]'"
        ),
        named("container", "sink"),
        on=("nft", "28.5"),
        cleanup=lines("docker rm -f sink"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # one port on two addresses, and for both protocols; a container that somebody stopped
        "port-conflict",
        lines(
            run("one", "-p [::1]:8097:80 -p 8098:80/udp"),
            run("two", "-p 203.0.113.10:8097:80 -p 8098:80/tcp"),
            serving("old", "-p 8080:80", "80") + " || true",
            "docker rm -f old",
            "docker create --name spare -p 8080:80 lab/busybox:1",
        ),
        lines("docker rm -f one two spare"),
    ),
    NearMiss(  # an address that a local route covers; one that the host waits for
        "port-bound-host-ip-missing",
        lines(
            "ip route add local 198.51.100.128/25 dev lo",
            run("anycast", "-p 198.51.100.130:8097:80"),
            "sysctl -w net.ipv4.ip_nonlocal_bind=1",
            run("standby", "-p 203.0.113.98:8097:80"),
        ),
        lines(
            "docker rm -f anycast standby",
            "sysctl -w net.ipv4.ip_nonlocal_bind=0",
            "ip route del local 198.51.100.128/25 dev lo",
        ),
    ),
    NearMiss(  # a range, both protocols, one address, IPv6 alone
        "port-proxy-missing",
        lines(run("many", "--network front -p 8090-8092:90-92 -p 203.0.113.10:8093:93/udp -p [::1]:8094:94")),
        lines("docker rm -f many"),
    ),
    NearMiss(  # a port that the engine chose; a container that is paused
        "port-proxy-stale",
        lines(run("chosen", "-p 80"), run("frozen", "-p 8097:80"), "docker pause frozen"),
        lines("docker unpause frozen", "docker rm -f chosen frozen"),
    ),
    NearMiss(  # published on loopback and on another address as well
        "port-bound-loopback-host",
        lines(run("twice", "--network front -p 127.0.0.1:8081:80 -p 203.0.113.10:8081:80")),
        lines("docker rm -f twice"),
    ),
    NearMiss(  # declared and not listened to; declared beside one that is published
        "port-exposed-not-published",
        lines(
            serving("idle", "--network front --expose 6379", "80"),
            serving("beside", "--expose 9000 -p 8091:80", "80", "9000"),
        ),
        lines("docker rm -f idle beside"),
    ),
    NearMiss(  # an internal network and another one
        "port-published-ignored",
        lines(
            "docker network create --internal inside",
            run("open", "--network front -p 8094:80"),
            "docker network connect inside open",
        ),
        lines("docker rm -f open", "docker network rm inside"),
    ),
    NearMiss(  # a port that the engine chose, one below the range, one that is reserved
        "port-ephemeral-overlap",
        lines(
            "sysctl -w net.ipv4.ip_local_reserved_ports=50000-50010",
            run("chosen", "-p 80 -p 8091:81 -p 50001:82"),
        ),
        lines("docker rm -f chosen", "sysctl -w net.ipv4.ip_local_reserved_ports="),
    ),
    NearMiss(  # a service of swarm on another port
        "port-swarm-ingress-conflict",
        lines(
            "iptables -t nat -N DOCKER-INGRESS",
            "iptables -t nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8097 -j DNAT --to-destination 172.31.0.2:8097",
            "iptables -t nat -A DOCKER-INGRESS -j RETURN",
            "iptables -t nat -I PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
        ),
        lines(
            "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
            "iptables -t nat -F DOCKER-INGRESS",
            "iptables -t nat -X DOCKER-INGRESS",
        ),
    ),
    NearMiss(  # it overflowed once, and accepts again
        "sysctl-somaxconn-low",
        lines(
            "docker exec web killall -STOP httpd",
            "for i in $(seq 12); do setsid curl --silent --max-time 3 http://<web>/ >/dev/null 2>&1 & done; sleep 4",
            "docker exec web killall -CONT httpd; sleep 1",
        ),
        lines("docker restart web"),
    ),
    NearMiss(  # a pool of ports of which one is open; two protocols of which one is served; a redirect inside
        "port-no-listener",
        lines(
            serving("ftp", "-p 2121:21 -p 30000-30005:30000-30005", "21"),
            serving("quic", "-p 8443:443 -p 8443:443/udp", "443"),
            serving("mesh", "-p 8091:80", "15006"),
            "nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' mesh)"
            " iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 15006",
        ),
        lines("docker rm -f ftp quic mesh"),
    ),
    NearMiss(  # a second socket for others; the host's own network, where 127.0.0.1 may be meant
        "port-listener-loopback-only",
        lines(
            serving("both", "--network front -p 8092:80", "127.0.0.1:80", "$(hostname -i):80"),
            serving("onhost", "--network host", "127.0.0.1:8093"),
        ),
        lines("docker rm -f both onhost"),
    ),
    NearMiss(  # both protocols are published, and one is served
        "port-proto-or-family-mismatch",
        lines(
            "docker run -d --init --name dns -p 5301:53/udp -p 5301:53/tcp lab/busybox:1 sleep 1000",
            serve_udp("dns", 53),
        ),
        lines("docker rm -f dns"),
    ),
    NearMiss(  # a burst was lost, and somebody reads again
        "perf-udp-rcvbuf",
        lines(_FLOOD_SINK, "docker exec sink killall python3; sleep 1"),
        lines("docker rm -f sink"),
    ),
)
