"""Containers in every mode and state."""

from faults._kit import lines, run

from healthy._kit import (
    Healthy,
    all_of,
    answers,
    is_published,
    keeps_apart,
    localhost_is_answered,
    reaches,
    reaches_outside,
    serve,
    workload_works,
)

_STATE = "docker inspect -f '{{.State.Status}}' "

_SERVE_RANGE = (
    "docker run -d --init --name ranges --network front -p 9000-9005:9000-9005 -p 5300:53/udp lab/busybox:1 sh -c "
    "'for p in 0 1 2 3 4 5; do httpd -p 900$p -h /www; done; hostname >/www/index.html; exec sleep 1000'"
)
#: busybox has nothing that waits for datagrams.
_LISTEN_TO_DATAGRAMS = (
    "setsid nsenter -t $(docker inspect -f '{{.State.Pid}}' ranges) -n python3 -c "
    "'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((\"\", 53)); time.sleep(600)' "
    "</dev/null >/dev/null 2>&1 &"
)

STATES = (
    Healthy(
        "container-in-the-host-s-namespace",
        lines(run("agent", "--network host")),
        answers("docker exec agent ip -o link", "docker0"),
        on=("nft", "28.5"),
    ),
    Healthy(
        "container-without-network",
        lines(run("batch", "--network none")),
        answers("docker exec batch ip -o addr", "1: lo"),
    ),
    Healthy(
        "container-in-another-one-s-namespace",
        lines(run("sidecar", "--network container:web")),
        lambda host: host.address("web", "front") in host.shell("docker exec sidecar ip addr").stdout,
        on=("nft", "28.5"),
    ),
    Healthy(
        "container-that-is-paused",
        lines(serve("frozen", "--network front -p 8090:80"), "docker pause frozen"),
        all_of(workload_works, answers(_STATE + "frozen", "paused")),
    ),
    Healthy(
        "containers-that-have-ended",
        lines(
            "docker run --name done --network front -p 8091:80 lab/busybox:1 true",
            "docker run --name failed --network back lab/busybox:1 false || true",
            "docker create --name never --network back -p 8092:80 lab/busybox:1",
            serve("stopped", "--network front -p 8093:80") + " && docker stop stopped",
        ),
        all_of(workload_works, answers(_STATE + "done failed never stopped", "exited")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "container-on-the-default-network",
        lines(serve("plain", "-p 8094:80"), run("other", "")),
        all_of(reaches_outside("plain"), is_published(8094), reaches("other", "plain", "bridge")),
        on=("nft", "legacy", "26.1", "28.5"),
    ),
    Healthy(
        "container-on-three-networks-with-addresses-of-its-own",
        lines(
            "docker network create --subnet 10.77.0.0/24 third",
            serve("many", "--network third --ip 10.77.0.77 --mac-address 02:00:5e:10:00:01 --network-alias m"),
            "docker network connect --alias many-front front many",
            "docker network connect back many",
        ),
        all_of(reaches("web", "many", "front"), reaches("db", "many", "back"), reaches_outside("many")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "ports-of-many-kinds",
        lines(
            _SERVE_RANGE,
            _LISTEN_TO_DATAGRAMS,
            serve("some", "--network front -p 9010-9012:80"),
            serve("local", "--network back -p 127.0.0.1:9100:80 -p 203.0.113.10:9101:80 -p 80"),
            serve("exposed", "--network back --expose 80 -P"),
        ),
        all_of(is_published(9003), is_published(9010), is_published(9101), localhost_is_answered(9100)),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "container-with-names-and-servers-of-its-own",
        lines(run("named", "--network front --dns 198.51.100.7 --dns-search example.org --add-host db:192.0.2.7")),
        answers("docker exec named cat /etc/hosts", "192.0.2.7"),
    ),
    Healthy(
        "container-with-rules-of-its-own",  # as a service mesh makes them
        lines(
            "nsenter -t <web_pid> -n iptables -t nat -N ISTIO_OUTPUT",
            "nsenter -t <web_pid> -n iptables -t nat -A OUTPUT -p tcp -j ISTIO_OUTPUT",
            "nsenter -t <web_pid> -n iptables -t nat -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
            "nsenter -t <web_pid> -n iptables -t nat -A ISTIO_OUTPUT -p tcp --dport 15001 -j REDIRECT --to-ports 15001",
        ),
        workload_works,
    ),
    Healthy(
        "container-that-leaves-by-its-own-tunnel",  # as VPN clients in containers do
        lines(
            run("vpn", "--network front"),
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' vpn) -n ip tuntap add dev tun0 mode tun",
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' vpn) -n ip addr add 10.8.0.2/24 dev tun0",
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' vpn) -n ip link set tun0 up",
            "nsenter -t $(docker inspect -f '{{.State.Pid}}' vpn) -n ip route replace default dev tun0",
            run("behind", "--network container:vpn"),
        ),
        all_of(workload_works, reaches("vpn", "web", "front")),
    ),
    Healthy(
        "many-containers-and-networks",
        lines(
            "for n in 1 2 3 4 5 6 7; do docker network create net$n; done",
            "for n in 1 2 3 4 5 6 7; do for c in 1 2 3; do "
            f"{serve('c$n$c', '--network net$n -p 10$n$c:80')}; done; done",
        ),
        all_of(workload_works, reaches("c11", "c13", "net1"), keeps_apart("c11", "c21", "net2"), is_published(1073)),
    ),
)
