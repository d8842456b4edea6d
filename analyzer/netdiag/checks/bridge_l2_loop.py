"""L2 loop through a Docker bridge (two ports in the same segment).

## What it finds
Two ports of one Docker bridge that are joined with each other behind it: both ends of one veth pair, or two interfaces
of a container that a bridge inside the container joins.

## Why it matters
Each broadcast goes round for ever and takes a CPU with it, and the bridge learns every MAC address behind the wrong
port: within a second the network's containers cannot talk, and then the host is slow.

## How it is decided
Gates: the engine is here; the network is a local bridge; the links of the host were collected with their peers. Both
ends are up. A container's interfaces are joined with the host's veths because each names the other's ifindex.

## Not a problem when
The bridge runs the spanning tree protocol, which blocks one of the ports.

## Repair
Delete the veth pair, which leads nowhere else; take one of the container's interfaces out of its bridge.

## Verify
The counters of the bridge stand still when nobody sends, and the kernel no longer says `received packet on ... with own
address as source address`.

## References
kernel net/bridge/br_fdb.c (br_fdb_update); bridge(8).
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, other_networks, related, sh
from netdiag.checks._veths import in_namespace, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Link
from netdiag.model import Host, Namespace, VethPair
from netdiag.model.gates import collected, has_own_namespace


@check(Severity.ERROR, layer="bridge")
def bridge_l2_loop(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    yield from other_networks(host)
    watched = {}
    for bridge in bridges:
        link = host.root.link(bridge.device)
        if link and not host.root.runs_stp(bridge.device):
            watched[bridge.device] = bridge
    for one, other in _pairs_on_one_bridge(host):
        if one.master in watched:
            yield _of_a_pair(watched[one.master], one, other)
    for container in host.containers:
        netns = host.namespace_of(container) if has_own_namespace(container).yes else None
        for inner, ends in _joined_inside(host, netns) if netns else ():
            if ends[0].outer.master in watched:
                yield _of_a_container(watched[ends[0].outer.master], container, inner, ends)


def _pairs_on_one_bridge(host: Host) -> Iterator[tuple[Link, Link]]:
    """Both ends of a veth pair that are ports of the same bridge."""
    for link in host.root.links:
        peer = host.root.link(link.peer_name) if link.kind == "veth" and link.peer_name else None
        if not peer or peer.peer_name != link.name or link.name > peer.name:
            continue
        if link.master and link.master == peer.master and link.up and peer.up:
            yield link, peer


def _joined_inside(host: Host, netns: Namespace) -> Iterator[tuple[Link, list[VethPair]]]:
    """A bridge in a namespace, and those of its ports whose other ends are on one bridge of the host."""
    for bridge in netns.links:
        ports = (
            netns.ports_of(bridge.name)
            if bridge.kind == "bridge" and bridge.up and not netns.runs_stp(bridge.name)
            else ()
        )
        by_master: dict[str, list[VethPair]] = defaultdict(list)
        for port in ports:
            pair = host.veth_pair_of(netns, port)
            if pair and pair.outer.master and pair.outer.up and port.up:
                by_master[pair.outer.master].append(pair)
        yield from ((bridge, pairs) for pairs in by_master.values() if len(pairs) > 1)


def _of_a_pair(bridge: BridgeNetwork, one: Link, other: Link) -> Fault:
    on = f"master {bridge.device}"
    return Fault(
        message=f"both ends of the veth pair `{one.name}` and `{other.name}` are ports of bridge `{bridge.device}`",
        subjects=(bridge.subjects[1], Subject("interface", one.name), Subject("interface", other.name)),
        evidence=(
            Evidence(words_of(one.span, on), f"{one.name} is the other end of {other.name}"),
            Evidence(words_of(other.span, on), "and both are on this bridge"),
            related(bridge.network.span, f"network {bridge.network.name} uses it"),
        ),
        remedy=(sh("ip link delete {}", one.name),),
        verify=(sh("bridge link show | grep -w {}", bridge.device), sh("ip -s link show dev {}", bridge.device)),
    )


def _of_a_container(bridge: BridgeNetwork, container: Container, inner: Link, ends: list[VethPair]) -> Fault:
    first, second = ends[0], ends[1]
    return Fault(
        message=(
            f"container `{container.name}` joins `{first.inner.name}` and `{second.inner.name}`, both on bridge "
            f"`{bridge.device}`, with its own bridge `{inner.name}`"
        ),
        subjects=(bridge.subjects[1], Subject("container", container.name)),
        evidence=(
            *(Evidence(words_of(end.inner.span, f"master {inner.name}"), f"a port of {inner.name}") for end in ends),
            *(related(end.outer.span, f"the other end of {end.inner.name}") for end in ends),
        ),
        remedy=(in_namespace(container, sh("ip link set dev {} nomaster", second.inner.name)),),
        verify=(in_namespace(container, "bridge link"), sh("ip -s link show dev {}", bridge.device)),
    )
