"""Captures on a kernel that this machine does not run: a Docker host in a virtual machine, traced by the collector.

``second-kernel.sh`` runs this in the virtual machine, whose files are the machine's own: it starts a laboratory host,
sends packets whose way is known while the collector traces them, and leaves bundles and truths as ``samples/bundles``
has them::

    second_kernel.py DIRECTORY [CAPTURE...]

A virtual machine without hardware support is some twenty times slower than the machine. So there are few captures, each
of several kinds of packets, with all events and with the functions; the host has the containers that these need.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import captures
import lab
import sent_packets
from captures import ALL_EVENTS, Capture, bridge, inside, leg, shell
from lab import DockerHost
from sent_packets import Sent

_CONTAINERD = "/run/containerd/containerd.sock"
_START_CONTAINERD = f"""
setsid containerd >/var/log/containerd.log 2>&1 </dev/null &
until [ -S {_CONTAINERD} ]; do sleep 0.2; done
"""


class EmulatedHost(DockerHost):
    """Network front with container web. dockerd finds containerd running: it would wait for its own 15 seconds only."""

    def __init__(self) -> None:
        super().__init__("nft", [f"--containerd={_CONTAINERD}"], "vm01")

    def _start_engine(self) -> None:
        self.shell(_START_CONTAINERD)
        super()._start_engine()
        _say("the engine runs")

    def start_containers(self) -> None:
        self.docker("network", "create", "front")
        self.docker("run", "--detach", "--name=web", "--hostname=web", "--network=front", lab.IMAGE)
        # the neighbours' addresses are known from then on
        captures.ping(self.run, self.address("web", "front"), [100])
        captures.ping(inside(self, "web"), lab.OUTSIDE_SERVER, [100])
        _say("the container runs")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


#: A command has longer than on a machine of its own.
_PATIENT = ("--timeout", "300", "--max-time", "3000")


def not_forwarded(host: DockerHost, lengths: Iterable[int], reason: str) -> list[Sent]:
    """Datagrams of the container to the outside that the host drops when they come from the bridge."""
    lengths = [*lengths]
    captures.send_udp(inside(host, "web"), lab.OUTSIDE_SERVER, lengths, answered=False)
    way = (*leg(host, "web", "front")[::-1], bridge(host, "front"))
    return [Sent(octets, way, reason) for octets in lengths]


def dropped(host: DockerHost) -> list[Sent]:
    """Three datagrams each: to a port without a socket, dropped by a rule, and while forwarding is off."""
    sent = captures.nobody_listens(host, range(300, 303))
    shell("iptables -I DOCKER-USER -s <web> -p udp -j DROP")(host)
    sent += not_forwarded(host, range(400, 403), "NETFILTER_DROP")
    shell("iptables -D DOCKER-USER -s <web> -p udp -j DROP", "sysctl -w net.ipv4.ip_forward=0")(host)
    sent += not_forwarded(host, range(500, 503), "IP_INADDRERRORS")
    shell("sysctl -w net.ipv4.ip_forward=1")(host)
    return sent


def published(host: DockerHost) -> list[Sent]:
    """Echoes and datagrams to the container, and datagrams from the outside to a published port, all answered."""
    echoes, datagrams = range(600, 603), range(300, 303)
    captures.ping(host.run, host.address("web", "front"), echoes)
    captures.send_udp(host.run, host.address("web", "front"), datagrams)
    to_web = captures.there_and_back([*echoes, *datagrams], [bridge(host, "front"), *leg(host, "web", "front")])
    return to_web + captures.published_udp(host)


#: Until it is undone perf cannot be run on the host, so that the collector takes trace-cmd.
_without_perf = shell("mount --bind /dev/null /usr/bin/perf")
_with_perf = shell("umount /usr/bin/perf")


def _one_after_the_other(*steps: Callable[[DockerHost], object]) -> Callable[[DockerHost], None]:
    def run(host: DockerHost) -> None:
        for step in steps:
            step(host)

    return run


CAPTURES = (
    Capture("dropped", dropped, options=(*_PATIENT, "--trace-functions"), also_traced=ALL_EVENTS),
    Capture(
        "published",
        published,
        _one_after_the_other(partial(captures.answer_udp, container="web"), captures.start_game),
        captures.end_game,
        options=(*_PATIENT, "--trace-functions"),
        also_traced=ALL_EVENTS,
    ),
    Capture(
        "trace-cmd",
        captures.published_tcp,
        _one_after_the_other(captures.start_shop, _without_perf),
        _one_after_the_other(_with_perf, captures.end_shop),
        options=_PATIENT,
        also_traced=ALL_EVENTS,
    ),
)


def main(directory: Path, *names: str) -> int:
    """Take all captures, or those of these names, one after the other; how many could not be taken."""
    version = ".".join(platform.release().split(".")[:2])
    failed = 0
    with EmulatedHost() as host:
        host.start_containers()
        for capture in CAPTURES:
            if names and capture.name not in names:
                continue
            try:
                bundle, sent = capture.take(host, directory)
            except (AssertionError, lab.LabError) as error:
                _say(f"{capture}: {error}")
                failed += 1
                continue
            name = f"journey-linux{version}-{capture}"
            bundle.rename(directory / f"{name}.tar.gz")
            sent_packets.write(sent, directory / f"{name}.truth.json")
            _say(f"{capture}: {len(sent)} packets")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
