"""Faults of the engine itself, and what a bundle should say of its containers."""

from lab import HOST_ADDRESS, PUBLISHED_PORT, DockerHost, LabError, assert_healthy, container_to_container

from faults._kit import Fault, NearMiss, lines, named, run, succeeds

_SECOND = (
    "-H unix:///run/second.sock --data-root /var/lib/docker2 --exec-root /run/docker2 -p /run/docker2.pid"
    " --storage-driver vfs"
)
_UNTIL_READY = "until docker -H unix:///run/second.sock version >/dev/null 2>&1; do sleep 0.1; done"


def _second_engine(host: DockerHost, options: str = "--bridge=none", *, before: str = "") -> None:
    """Another dockerd beside the host's own, as a snap beside a package."""
    line = f"setsid {before} dockerd {_SECOND} {options} >/run/second.log 2>&1 </dev/null & {_UNTIL_READY}"
    host.shell(line, timeout=90)


def _second_engine_that_keeps_to_itself(host: DockerHost) -> None:
    """As docs.docker.com has several daemons on a host: without a hand in the rules, and with a bridge of its own."""
    host.shell("ip link add second type bridge && ip addr add 10.77.0.1/24 dev second && ip link set second up")
    _second_engine(host, "--bridge=second --iptables=false --ip6tables=false")
    second = "docker -H unix:///run/second.sock"
    host.shell(f"docker save lab/busybox:1 | {second} load && {second} network create --subnet 10.78.0.0/24 theirs")
    host.shell(f"{second} run -d --init --name theirs --network theirs lab/busybox:1 sleep 1000")


def _second_engine_elsewhere(host: DockerHost) -> None:
    """Another dockerd in a network namespace of its own, as in a container or a laboratory."""
    host.shell("ip netns add lab")
    _second_engine(host, before="nsenter --net=/run/netns/lab")


def _is_unhealthy(host: DockerHost) -> bool:
    try:
        assert_healthy(host)
    except AssertionError:
        return True
    return False


def _docker_answers(host: DockerHost) -> bool:
    return host.shell("docker version", check=False).returncode == 0


def _could_not_be_started(host: DockerHost) -> None:
    """Its port was taken when it was started, and is free now."""
    host.shell("setsid python3 -m http.server 9099 >/dev/null 2>&1 </dev/null & echo $! >/run/taker.pid")
    host.shell("until ss -Hltn 'sport = 9099' | grep -q 9099; do sleep 0.1; done")
    if host.shell(run("late", "-p 9099:90"), check=False).returncode == 0:
        raise LabError("the port was free")
    host.shell("kill $(cat /run/taker.pid); while ss -Hltn 'sport = 9099' | grep -q 9099; do sleep 0.1; done")


#: With the proxy again, and containers connected anew. Docker leaves behind what it had set up for a host without it.
_PROXY_AGAIN = (
    *(f"sysctl -qw net.ipv4.conf.{each}.route_localnet=0" for each in ("docker0", "<front>", "<back>")),
    "rm /etc/docker/daemon.json && systemctl stop docker",
    "iptables-save | grep -v src-type | iptables-restore",
    "systemctl start docker && docker restart -t 1 app db web",
)

_LAN = "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan"

_END_SECOND = (
    "pid=$(cat /run/docker2.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.2; done",
    "rm -rf /var/lib/docker2 /run/docker2",
)

FAULTS = (
    Fault(
        "bundle-docker-down",
        lines("kill -9 $(cat /run/docker.pid)", "while docker version >/dev/null 2>&1; do sleep 0.1; done"),
        lambda host: not _docker_answers(host),
        named("host", "web01"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "bundle-docker-down",
        lines("systemctl stop docker"),
        lambda host: not _docker_answers(host),
        named("host", "web01"),
        on=("nft", "28.5"),
        variant="stopped",
    ),
    Fault(
        "bundle-docker-down",
        lines("systemctl stop docker"),
        lambda host: not _docker_answers(host),
        named("host", "web01"),
        daemon_args=("--live-restore",),
        variant="live-restore",
    ),
    Fault(
        "bundle-two-daemons",
        _second_engine,
        _is_unhealthy,
        named("host", "web01"),
        cleanup=lines("rm -rf /var/lib/docker2 /run/docker2"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "bundle-two-daemons",
        _second_engine_that_keeps_to_itself,
        succeeds("docker -H unix:///run/second.sock version"),
        named("host", "web01"),
        cleanup=lines(
            "docker -H unix:///run/second.sock rm -f theirs",
            "docker -H unix:///run/second.sock network rm theirs",
            *_END_SECOND,
            "ip link del second",
        ),
        by_design=True,
        variant="apart",
    ),
    Fault(
        "bundle-live-restore-drift",
        lines("""echo '{"userland-proxy": false}' >/etc/docker/daemon.json""", "systemctl restart docker"),
        lambda host: not container_to_container(host, "web", f"{HOST_ADDRESS}:{PUBLISHED_PORT}"),
        named("container", "web"),
        daemon_args=("--live-restore",),
        cleanup=lines(*_PROXY_AGAIN),
        on=("nft", "28.5"),
    ),
    Fault(
        "bundle-daemon-proxy",
        lines(run("proxied", "-e http_proxy=http://127.0.0.1:3128 -e NO_PROXY=localhost")),
        succeeds("! docker exec proxied nc -w 2 127.0.0.1 3128 </dev/null && docker ps | grep -q proxied"),
        named("container", "proxied"),
        on=("nft", "28.5"),
    ),
    Fault(
        "bundle-unsupported-driver",
        lines(_LAN, run("onlan", "--network lan --ip 192.0.2.10")),
        succeeds("! ping -c 1 -W 1 192.0.2.10"),  # nor does it have a port on a bridge of the host
        named("network", "lan"),
        cleanup=lines("docker rm -f onlan", "docker network rm lan"),
        by_design=True,
        on=("nft", "28.5"),
    ),
    Fault(
        "address-container-down",
        lines("docker run --detach --name late lab/busybox:1 sh -c 'exit 3'", "docker wait late"),
        succeeds("! docker inspect -f '{{.State.Status}}' late | grep -q running"),
        named("container", "late"),
        cleanup=lines("docker rm -f late"),
        by_design=True,
        on=("nft", "28.5"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # nothing runs, and the engine does
        "bundle-docker-down",
        lines("docker stop -t 1 web db app"),
        lines("docker start app db web"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a second engine in a network namespace of its own
        "bundle-two-daemons",
        _second_engine_elsewhere,
        lines(*_END_SECOND, "ip netns del lab"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a daemon that was started anew, with everything flushed meanwhile, and programmed it all
        "bundle-live-restore-drift",
        lines("systemctl stop docker", "iptables -t nat -F", "systemctl start docker"),
        lines(),
        daemon_args=("--live-restore",),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a network that nobody uses
        "bundle-unsupported-driver",
        lines(_LAN),
        lines("docker network rm lan"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a proxy of another host, and one in the container itself
        "bundle-daemon-proxy",
        lines(
            run("outward", "-e https_proxy=http://203.0.113.1:3128"),
            run("itself", "-e http_proxy=http://localhost:80 --expose 80 -p 8099:80"),
        ),
        lines("docker rm -f outward itself"),
    ),
    NearMiss(  # a job that ended well, and a container that somebody stopped
        "address-container-down",
        lines(
            "docker run --name done lab/busybox:1 true",
            run("stopped", ""),
            "docker stop -t 1 stopped",
        ),
        lines("docker rm -f done stopped"),
    ),
)
