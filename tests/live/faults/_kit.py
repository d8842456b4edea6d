"""What the fault library is made of: faults, near misses, and the ways to write them down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lab import DockerHost

Subject = tuple[str, str]

#: The hosts that a fault is tried on: Docker 20.10 with the nft or the legacy backend, or another engine with nft.
Kind = Literal["nft", "legacy", "20.10 firewalld", "26.1", "28.5", "podman 4.3", "podman 5.4", "swarm", "swarm 28.5"]


def _leave(_: DockerHost) -> None:
    """Nothing was made that the remedy does not take away."""


@dataclass(frozen=True)
class Fault:
    """`hurts` is true while the fault is there; `subject` is one of those that the finding must name.

    `variant` tells several faults of one check apart. The check's sample is made of the first. `cleanup` takes away
    what was only made to show the fault, such as a container, once the remedy was run. `instead` is done in place of a
    remedy that a laboratory host cannot run, such as raising a limit of the machine's kernel. `lasting` evidence are
    counters that no remedy takes back: such a fault needs `daemon_args` that no other has, so that it has its host for
    itself. `options` are given to the collector, filled like the lines of `lines`; with `--trace-command` what happens
    while packets are traced is a part of the fault.
    `then_noted` are checks that have something to note of the healed host that they had not before: packets of `hurts`
    that the host keeps out now.
    What is `by_design` is a note: its remedy is another design, which is not tried, and `cleanup` undoes it.
    """

    check: str
    inject: Callable[[DockerHost], None]
    hurts: Callable[[DockerHost], bool]
    subject: Callable[[DockerHost], Subject]
    daemon_args: Sequence[str] = ()
    on: Sequence[Kind] = ("nft",)
    variant: str = ""
    cleanup: Callable[[DockerHost], None] = _leave
    by_design: bool = False
    instead: Callable[[DockerHost], None] | None = None
    lasting: bool = False
    options: Sequence[str] = ()
    then_noted: Sequence[str] = ()

    def __str__(self) -> str:
        return "".join((self.check, *self.daemon_args, self.variant and f"-{self.variant}"))

    @property
    def leaves_something(self) -> bool:
        """Whether there is something to take away once the remedy was run."""
        return self.cleanup is not _leave


@dataclass(frozen=True)
class NearMiss:
    """`make` and `undo` change a healthy host into another healthy one and back.

    `options` are given to the collector, as of a fault.
    """

    check: str
    make: Callable[[DockerHost], None]
    undo: Callable[[DockerHost], None]
    daemon_args: Sequence[str] = ()
    on: Sequence[Kind] = ("nft",)
    variant: str = ""
    options: Sequence[str] = ()

    def __str__(self) -> str:
        return "".join((self.check, *self.daemon_args, self.variant and f"-{self.variant}"))


def _subnet(host: DockerHost, network: str) -> str:
    return host.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network).stdout.strip()


_NAMES: dict[str, Callable[[DockerHost], str]] = {
    "front": lambda host: host.bridge("front"),
    "back": lambda host: host.bridge("back"),
    "front_subnet": lambda host: _subnet(host, "front"),
    "back_subnet": lambda host: _subnet(host, "back"),
    "web": lambda host: host.address("web", "front"),
    "app": lambda host: host.address("app", "back"),
    "app_front": lambda host: host.address("app", "front"),
    "db": lambda host: host.address("db", "back"),
    "web_veth": lambda host: host.veth("web", "front"),
    "app_veth": lambda host: host.veth("app", "back"),
    "db_veth": lambda host: host.veth("db", "back"),
    "db_mac": lambda host: host.inspect("db")[0]["NetworkSettings"]["Networks"]["back"]["MacAddress"],
    "app_pid": lambda host: str(host.inspect("app")[0]["State"]["Pid"]),
    "web_pid": lambda host: str(host.inspect("web")[0]["State"]["Pid"]),
    "db_pid": lambda host: str(host.inspect("db")[0]["State"]["Pid"]),
    "web_mac": lambda host: str(host.inspect("web")[0]["NetworkSettings"]["Networks"]["front"]["MacAddress"]),
    "app_mac": lambda host: str(host.inspect("app")[0]["NetworkSettings"]["Networks"]["back"]["MacAddress"]),
}


def _filled(host: DockerHost, command: str) -> str:
    """The command with `<front>`, `<web>` ... replaced by the bridge or address that they are here."""
    for name, value in _NAMES.items():
        if f"<{name}>" in command:
            command = command.replace(f"<{name}>", value(host))
    return command


def options_of(case: Fault | NearMiss, host: DockerHost) -> list[str]:
    """What the collector is told on this host."""
    return [_filled(host, option) for option in case.options]


def lines(*commands: str) -> Callable[[DockerHost], None]:
    """Run these shell lines on the host."""

    def run(host: DockerHost) -> None:
        for command in commands:
            host.shell(_filled(host, command))

    return run


def steps(*parts: Callable[[DockerHost], object]) -> Callable[[DockerHost], None]:
    """Do these things one after the other."""

    def do(host: DockerHost) -> None:
        for part in parts:
            part(host)

    return do


def succeeds(command: str) -> Callable[[DockerHost], bool]:
    """Whether a shell line succeeds on the host."""
    return lambda host: host.shell(_filled(host, command), check=False).returncode == 0


def network(name: str) -> Callable[[DockerHost], Subject]:
    """The network of this name as a subject."""
    return lambda _: ("network", name)


def bridge(name: str) -> Callable[[DockerHost], Subject]:
    """The bridge of a network as a subject."""
    return lambda host: ("bridge", host.bridge(name))


def named(kind: str, name: str) -> Callable[[DockerHost], Subject]:
    """A subject whose name is the same on every host."""
    return lambda _: (kind, name)


#: Binds UDP ports and answers what comes; inside the container's processes, so that it ends with them.
_UDP_SERVER = """
import select, socket, sys
found = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sys.argv[1:]]
for each, port in zip(found, sys.argv[1:]):
    each.bind(("0.0.0.0", int(port)))
while True:
    for each in select.select(found, [], [])[0]:
        each.sendto(*each.recvfrom(2048))
"""


def run(name: str, options: str) -> str:
    """The command that starts a container that answers on each port that it publishes, and does nothing else."""
    tcp, udp = _container_ports(options, "tcp"), _container_ports(options, "udp")
    serve = "".join(f"httpd -p {port} -h /www; " for port in tcp) + "exec sleep 1000"
    start = f"docker run -d --init --name {name} {options} lab/busybox:1 sh -c '{serve}'"
    return f"{start} && {serve_udp(name, *udp)}" if udp else start


def serving(name: str, options: str, *listen: str) -> str:
    """The command that starts a container whose servers listen on these ports (or ADDRESS:PORT)."""
    serve = "touch /www/index.html; " + "".join(f"httpd -p {each} -h /www; " for each in listen)
    return f"docker run -d --init --name {name} {options} lab/busybox:1 sh -c '{serve}exec sleep 1000'"


def serve_udp(name: str, *ports: int) -> str:
    """The command that makes a container answer on UDP ports, which its busybox cannot."""
    pid = f"$(docker inspect -f '{{{{.State.Pid}}}}' {name})"
    server = shlex.join(["python3", "-c", _UDP_SERVER, *map(str, ports)])
    return f"{{ setsid nsenter --target {pid} --net --pid -- {server} >/dev/null 2>&1 & }}"


def _container_ports(options: str, protocol: str) -> list[int]:
    """The container's ports behind each `-p`."""
    words = shlex.split(options)
    found: list[int] = []
    for word in (after for option, after in pairwise(words) if option == "-p"):
        mapping, _, named = word.partition("/")
        first, _, last = mapping.rpartition(":")[2].partition("-")
        if (named or "tcp") == protocol:
            found += range(int(first), int(last or first) + 1)
    return found
