"""What the healthy library is made of: states, and the ways to write them down."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lab
from faults._kit import Kind

Probe = Callable[[lab.DockerHost], bool]


@dataclass(frozen=True)
class Healthy:
    """`make` makes the state on a host with the standard workload (a bare one without `workload`), and `works` shows
    that it is there and does what it should.

    `may_say` names checks whose finding is the truth about the state, such as that the daemon was stopped; `may_ask`
    are words of which one is in each open question that is left.
    """

    name: str
    make: Callable[[lab.DockerHost], None]
    works: Probe
    daemon_args: Sequence[str] = ()
    on: Sequence[Kind] = ("nft",)
    workload: bool = True
    may_say: frozenset[str] = frozenset()
    may_ask: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def nothing(_: lab.DockerHost) -> None:
    """The host is in the state by the way it was started."""


def steps(*makes: Callable[[lab.DockerHost], None]) -> Callable[[lab.DockerHost], None]:
    """One after the other."""

    def make(host: lab.DockerHost) -> None:
        for each in makes:
            each(host)

    return make


def nft(text: str) -> Callable[[lab.DockerHost], None]:
    """Load a ruleset of nftables, in which `<front>` and `<back>` are the bridges of these networks."""

    def make(host: lab.DockerHost) -> None:
        host.shell("nft -f -", input=re.sub(r"<(\w+)>", lambda found: host.bridge(found[1]), text))

    return make


def way_back(subnet: str) -> Callable[[lab.DockerHost], None]:
    """The router outside knows that a subnet is behind the host."""

    def make(host: lab.DockerHost) -> None:
        host.wan(["ip", "route", "add", subnet, "via", lab.HOST_ADDRESS])

    return make


def serve(name: str, options: str) -> str:
    """The command that starts a container that answers HTTP on port 80."""
    return f"docker run -d --name {name} --hostname {name} {options} lab/busybox:1"


def all_of(*probes: Probe) -> Probe:
    return lambda host: all(probe(host) for probe in probes)


def reaches_outside(container: str) -> Probe:
    return lambda host: lab.egress(host, container)


def reaches(container: str, other: str, network: str) -> Probe:
    """Whether a container is answered by another one on a network."""
    return lambda host: lab.container_to_container(host, container, host.address(other, network))


def keeps_apart(container: str, other: str, network: str) -> Probe:
    """Whether a container is not answered by another one, as it should be."""
    return lambda host: not lab.container_to_container(host, container, host.address(other, network))


def seen_outside_as(container: str, address: str) -> Probe:
    """Whether the outside web server takes the container for this address."""
    command = ["curl", "-s", "-m", "2", f"http://{lab.OUTSIDE_SERVER}/"]
    return lambda host: host.container(container, command, check=False).stdout.strip() == address


def is_published(port: int = lab.PUBLISHED_PORT) -> Probe:
    return lambda host: lab.published(host, port)


def localhost_is_answered(port: int) -> Probe:
    return lambda host: lab.localhost(host, port)


def workload_works(host: lab.DockerHost) -> bool:
    return not lab.broken_promises(host)


def answers(command: str, words: str) -> Probe:
    """Whether a shell line on the host prints these words."""
    return lambda host: words in host.shell(command, check=False).stdout
