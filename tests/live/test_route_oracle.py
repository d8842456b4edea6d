"""What netdiag answers to where a packet goes is what the kernel answers to `ip route get`, field by field.

Thousands of packets are drawn by lot around the prefixes, addresses, interfaces and marks that a namespace has, and put
to both. `NETDIAG_ROUTE_SEED` draws others.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import lab
import pytest
from lab import CONTAINERS, DockerHost

from netdiag import formats
from netdiag.bundle import Bundle
from netdiag.formats.records import IpAddress
from netdiag.model import Hop, Namespace, Outcome, Packet, build
from netdiag.spans import Source

pytestmark = pytest.mark.live

HERE = Path(__file__).parent
SEED = os.environ.get("NETDIAG_ROUTE_SEED", "1")
PACKETS = 3000  # of each family in each namespace
OUTPUTS = {
    "ip_addr": ("ip -d addr",),
    "ip_route": ("ip route show table all", "ip -6 route show table all"),
    "ip_rule": ("ip rule", "ip -6 rule"),
    "ip_nexthop": ("ip nexthop",),
    "ip_neigh": ("ip neigh",),
    "sysctl": (r"sysctl -a --pattern ^net\.",),
}
IPV6 = ("--ipv6", "--fixed-cidr-v6=2001:db8:d0::/64", "--ip6tables", "--experimental")
IPV6 = ("--ipv6", "--fixed-cidr-v6=2001:db8:d0::/64", "--ip6tables", "--experimental")
NAMESPACES = ("router", "vpn", "plain")

#: strerror of what the kernel answers when there is no way, by what it may mean.
ERRORS = {
    Outcome.BLACKHOLE: "Invalid argument",
    Outcome.UNREACHABLE: "No route to host",
    Outcome.PROHIBIT: "Permission denied",
    Outcome.NO_ROUTE: "Network is unreachable",
    Outcome.NOT_FORWARDED: "No route to host",
}
#: A packet that is refused because of its addresses; the last one is the reverse path filter.
REFUSALS = {"Invalid argument", "Invalid cross-device link"}

Run = Callable[..., CompletedProcess[str]]


@dataclass(frozen=True)
class Told:
    """An answer of either side. `hop` is device, gateway and source."""

    kind: str
    table: str | None = None
    hop: tuple[str | None, str | None, str | None] = (None, None, None)


def namespace(run: Run) -> Namespace:
    """The namespace as netdiag knows it from its outputs."""
    documents = [
        # procps 4.0.7 fails when a key cannot be read, and prints all the others
        formats.get(name).read(
            Source(f"{name}.txt", run(command.split(), check=name != "sysctl").stdout, command, format=name)
        )
        for name, commands in OUTPUTS.items()
        for command in commands
    ]
    assert [document.unread for document in documents if document.unread] == []
    return build(Bundle("b", "web01", "", "", (), manifest={}), documents).root


def settled(run: Run) -> Namespace:
    """The namespace when the kernel is done with looking for duplicates of its addresses, which it does not use before;
    where there is no carrier it never is.
    """
    deadline = time.monotonic() + lab.HEALING_TIMEOUT_S
    while True:
        netns = namespace(run)
        waiting = [
            address
            for link in netns.links
            for address in link.addresses
            if "tentative" in address.flags and "LOWER_UP" in (link.flags or ())
        ]
        if not waiting:
            return netns
        assert time.monotonic() < deadline, waiting


def near(network: Any, lot: random.Random) -> IpAddress:
    """An address in a network, or now and then beside it."""
    first, bits = int(network.network_address), network.max_prefixlen
    number = (
        first
        + lot.randrange(2 ** (bits - network.prefixlen))
        + lot.choice((0, 0, 0, 0, -1, 2 ** (bits - network.prefixlen)))
    )
    return type(network.network_address)(number % 2**bits)


def packets(netns: Namespace, version: int, lot: random.Random, count: int) -> Iterator[Packet]:
    routes, rules = (netns.routes, netns.rules) if version == 4 else (netns.ipv6_routes, netns.ipv6_rules)
    words = [word for rule in rules for word in rule.selector.split() if re.search("[.:]", word)]
    networks = [route.destination for route in routes] + [ip_network(word) for word in words]
    hosts = [a.address.ip for link in netns.links for a in link.addresses if a.address.version == version]
    # what a link-local destination without a device means is drawn by lot by the kernel itself
    networks = [
        network for network in networks if not (version == 6 and (network.is_link_local or network.is_multicast))
    ]
    links = [link.name for link in netns.links if link.up]
    networks = networks or [ip_network("2001:db8::/32")]
    for _ in range(count):
        destination = lot.choice(hosts) if hosts and lot.random() < 0.05 else near(lot.choice(networks), lot)
        if version == 6 and (destination.is_link_local or destination.is_multicast or not int(destination)):
            continue
        coming = lot.random() < 0.4
        source: IpAddress | None = near(lot.choice(networks), lot) if coming or lot.random() < 0.2 else None
        if (source and not coming and version == 4) or (source and lot.random() < 0.1):
            source = lot.choice(hosts) if hosts else None
        if coming and (source is None or destination.is_multicast):
            continue
        if version == 6 and source and (source.is_link_local or source.is_multicast or not int(source)):
            continue
        yield Packet(
            destination,
            source,
            in_interface=lot.choice(links) if coming else None,
            out_interface=lot.choice(links) if not coming and lot.random() < 0.15 else None,
            mark=lot.choice((0, 0, 0, 1, 0x21, 0xCA6C, 7)),
            tos=lot.choice((0, 0, 0, 0x10, 0x08)),
            protocol=lot.choice((6, 17)),
            source_port=1024,
            destination_port=lot.choice((80, 90, 91, 443)),
            uid=0 if coming else lot.choice((0, 0, 0, 1500)),
        )


def question(packet: Packet, option: str = "") -> str:
    """The packet as arguments of `ip route get`."""
    words = {
        "from": packet.source,
        "iif": packet.in_interface,
        "oif": packet.out_interface,
        "mark": packet.mark or None,
        "tos": f"{packet.tos:#x}" if packet.tos else None,
        "ipproto": packet.protocol,
        "sport": packet.source_port,
        "dport": packet.destination_port,
        "uid": packet.uid if packet.in_interface is None else None,
    }
    return " ".join(
        [
            f"route get {option}{packet.destination}",
            *(f"{key} {value}" for key, value in words.items() if value is not None),
        ]
    )


def kernel(run: Run, version: int, asked: Sequence[Packet], option: str = "") -> list[dict[str, Any]]:
    """What the kernel answers to each packet, or the `error`."""
    lines = "".join(f"{question(packet, option)}\n" for packet in asked)
    done = run(["ip", f"-{version}", "-j", "-force", "-batch", "-"], check=False, input=lines, timeout=300)
    failed = re.findall(r"(?:RTNETLINK answers|Error): (.*)\n(?:.*\n)??Command failed -:(\d+)", done.stderr)
    errors = {int(number): text for text, number in failed}
    answers = iter(json.loads(line)[0] for line in done.stdout.splitlines() if line.startswith("["))
    told = [{"error": errors[number]} if number in errors else next(answers) for number in range(1, len(asked) + 1)]
    assert list(answers) == []
    return told


def told_by_json(value: Mapping[str, Any], packet: Packet) -> Told:
    if "error" in value:
        return Told(value["error"])
    gateway = value.get("gateway") or value.get("via", {}).get("host")
    chosen = value.get("prefsrc") if packet.source is None else None
    return Told(value.get("type", "unicast"), value.get("table", "main"), (value["dev"], gateway, chosen))


def netdiag(netns: Namespace, packet: Packet, answer: Told) -> Told:
    """What netdiag answers; of several ways or words that are right the one that the kernel chose."""
    found = netns.routing.look_up(packet)
    assert found.certain, (packet, found)
    if found.outcome is Outcome.REFUSED:
        return answer if answer.kind in REFUSALS else Told(str(REFUSALS))
    if found.outcome in ERRORS:
        return Told(ERRORS[found.outcome])
    hops = [told_hop(hop, packet) for hop in found.hops]
    # without rules of somebody's own the kernel looks the tables local and main up as one, and calls it main
    one_table = answer.table == "main" and found.table == "local" and len(netns.rules) == 3
    hop = answer.hop if answer.hop in hops else hops[0]
    return Told(found.outcome.value, "main" if one_table else found.table or "main", hop)


def told_hop(hop: Hop, packet: Packet) -> tuple[str | None, str | None, str | None]:
    chosen = hop.source if packet.source is None else None
    return hop.device, str(hop.gateway) if hop.gateway else None, str(chosen) if chosen else None


def differences(run: Run, netns: Namespace, asked: Sequence[Packet], version: int) -> list[str]:
    answers = [told_by_json(*pair) for pair in zip(kernel(run, version, asked), asked, strict=True)]
    pairs = [(packet, answer, netdiag(netns, packet, answer)) for packet, answer in zip(asked, answers, strict=True)]
    return [f"{question(p)}: kernel {answer}, netdiag {said}" for p, answer, said in pairs if answer != said]


def route_differences(run: Run, netns: Namespace, asked: Sequence[Packet], version: int) -> list[str]:
    """Packets of which the route that decides is another one."""
    found = [(packet, netns.routing.look_up(packet)) for packet in asked]
    routed = [(packet, lookup.route) for packet, lookup in found if lookup.hops and lookup.route]
    answers = kernel(run, version, [packet for packet, _ in routed], "fibmatch ")
    everywhere = ip_network("0.0.0.0/0" if version == 4 else "::/0")
    return [
        f"{question(packet)}: kernel {answer}, netdiag {route.span.text}"
        for (packet, route), answer in zip(routed, answers, strict=True)
        if (route.destination, route.metric or 0)
        != (everywhere if answer["dst"] == "default" else ip_network(answer["dst"]), answer.get("metric", 0))
    ]


@pytest.fixture(scope="module", params=["", "28.5"])
def host(request: pytest.FixtureRequest) -> Iterator[DockerHost]:
    """A host with IPv6; the second one has the iproute2 of Debian sid."""
    if request.param:
        request.getfixturevalue("have_engine")(request.param)
    with DockerHost(daemon_args=IPV6, engine=request.param) as host:
        lab.standard_workload(host)
        host.copy_in(HERE / "route_namespaces.sh", "/root/route_namespaces.sh")
        host.shell("sh /root/route_namespaces.sh", timeout=300)
        yield host


def places(host: DockerHost) -> dict[str, Run]:
    """How to run a command in each namespace of the host."""

    def inside(prefix: Sequence[str], argv: Sequence[str], **options: Any) -> CompletedProcess[str]:
        return host.run([*prefix, *argv], **options)

    pids = {name: str(host.inspect(name)[0]["State"]["Pid"]) for name in CONTAINERS}
    return {
        "host": host.run,
        **{name: partial(inside, ["ip", "netns", "exec", name]) for name in NAMESPACES},
        **{name: partial(inside, ["nsenter", f"--target={pid}", "--net", "--"]) for name, pid in pids.items()},
    }


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ["host", *NAMESPACES, *CONTAINERS])
def test_a_lookup_is_answered_as_the_kernel_answers_it(host: DockerHost, name: str, version: int) -> None:
    run = places(host)[name]
    netns = settled(run)
    lot = random.Random(f"{SEED} {name} {version}")
    asked = list(packets(netns, version, lot, PACKETS))
    assert asked
    assert differences(run, netns, asked, version) == []
    assert route_differences(run, netns, asked, version) == []
