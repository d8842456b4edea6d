"""Faults of hosts with podman."""

from lab import IMAGE, DockerHost, egress, published

from faults._kit import Fault, NearMiss, lines, named

BOTH = ("podman 4.3", "podman 5.4")


def _is_cut_off(host: DockerHost) -> bool:
    return not published(host) and not egress(host, "web")


def _run_what_needs_no_rules(host: DockerHost) -> None:
    """An internal network, a published port of a container that does not run, and one of this host alone."""
    host.docker("network", "create", "--internal", "inside")
    host.docker("run", "--detach", "--name=hidden", "--network=inside", "--publish=8081:80", IMAGE)
    host.docker("create", "--name=idle", "--network=front", "--publish=8082:80", IMAGE)
    host.docker("run", "--detach", "--name=bound", "--network=front", "--publish=127.0.0.1:8083:80", IMAGE)
    host.docker("run", "--detach", "--name=onhost", "--network=host", IMAGE, "sleep", "1000")


FAULTS = (
    Fault(  # what a reload of firewalld does to the rules of others
        "podman-firewalld-reload",
        lines("nft flush ruleset"),
        _is_cut_off,
        named("port", "8080/tcp"),
        on=BOTH,
    ),
    Fault(
        "podman-firewalld-reload",
        lines("iptables -t nat -F", "iptables -F", "iptables -t nat -X", "iptables -X"),
        _is_cut_off,
        named("port", "8080/tcp"),
        on=("podman 4.3",),
        variant="iptables-flushed",
    ),
    Fault(  # one network's way out
        "podman-firewalld-reload",
        lines(
            "handle=$(nft -a list chain inet netavark POSTROUTING | grep 10.89.0.0 | grep -o '[0-9]*$');"
            "nft delete rule inet netavark POSTROUTING handle $handle"
        ),
        lambda host: not egress(host, "web"),
        named("network", "front"),
        on=("podman 5.4",),
        variant="masquerade",
    ),
)

NEAR_MISSES = (
    NearMiss(
        "podman-firewalld-reload",
        _run_what_needs_no_rules,
        lines("podman rm -f -t 0 hidden idle bound onhost", "podman network rm inside"),
        on=BOTH,
    ),
    NearMiss(  # somebody else's rule does the same
        "podman-firewalld-reload",
        lines(
            "iptables -t nat -I POSTROUTING 2 -s 10.0.0.0/8 -o eth0 -j MASQUERADE",
            "jump=$(iptables -t nat -S POSTROUTING | grep 10.89.1 | grep -o 'NETAVARK-.*');"
            "iptables -t nat -D POSTROUTING -s 10.89.1.0/24 -j $jump",
        ),
        lines("iptables -t nat -D POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE", "podman network reload --all"),
        on=("podman 4.3",),
        variant="own-masquerade",
    ),
)
