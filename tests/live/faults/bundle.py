"""Faults of the engine itself, and what a bundle should say of its containers."""

from lab import DockerHost, LabError

from faults._kit import Fault, NearMiss, lines, named, run, succeeds

_SECOND = (
    "--bridge=none -H unix:///run/second.sock --data-root /var/lib/docker2 --exec-root /run/docker2"
    " -p /run/docker2.pid --storage-driver vfs --iptables={iptables}"
)
_UNTIL_READY = "until docker -H unix:///run/second.sock version >/dev/null 2>&1; do sleep 0.1; done"


def _second_engine(host: DockerHost, *, before: str = "", iptables: str = "true") -> None:
    """Another dockerd beside the host's own, as a snap beside a package."""
    options = _SECOND.format(iptables=iptables)
    host.shell(f"setsid {before} dockerd {options} >/run/second.log 2>&1 </dev/null & {_UNTIL_READY}", timeout=90)


def _second_engine_elsewhere(host: DockerHost) -> None:
    """Another dockerd in a network namespace of its own, as in a container or a laboratory."""
    host.shell("ip netns add lab")
    _second_engine(host, before="nsenter --net=/run/netns/lab")


def _docker_answers(host: DockerHost) -> bool:
    return host.shell("docker version", check=False).returncode == 0


def _could_not_be_started(host: DockerHost) -> None:
    """Its port was taken when it was started, and is free now."""
    host.shell("setsid python3 -m http.server 9099 >/dev/null 2>&1 </dev/null & echo $! >/run/taker.pid")
    host.shell("until ss -Hltn 'sport = 9099' | grep -q 9099; do sleep 0.1; done")
    if host.shell(run("late", "-p 9099:90"), check=False).returncode == 0:
        raise LabError("the port was free")
    host.shell("kill $(cat /run/taker.pid); while ss -Hltn 'sport = 9099' | grep -q 9099; do sleep 0.1; done")


_LAN = "docker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan"

_END_SECOND = (
    "kill $(cat /run/docker2.pid); while pgrep -f docker2.pid >/dev/null; do sleep 0.2; done",
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
