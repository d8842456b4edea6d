"""Broken VXLAN TX checksum offload (vmxnet3, some NICs/kernels, NSX on 4789).

## What it finds
Containers to which packets come over an overlay network with wrong checksums.

## Why it matters
The receiver drops such packets without a word. `ping` answers, since ICMP's checksum is not the network card's work,
but TCP and UDP between the nodes is dead or very slow.

## How it is decided
Gates: the engine is in a swarm; a running container is on an overlay network to which another node belongs; the
counters of its namespace were collected (`nstat`). `TcpInCsumErrors` and `UdpInCsumErrors` together are 10 or more, and
at least 1 of 100 packets that its TCP and UDP got. The sender computes checksums, or lets its network card do it, so
the cause is on another node; nodes are mostly alike, so what `ethtool` tells of the card of this one is shown: known
for it is vmxnet3 of VMware with Linux 5.6 to 5.10, and VMware NSX, which takes UDP port 4789 for its own tunnels. The
counters do not tell by which network a packet came, so the confidence is medium unless the card is a vmxnet3. A card
alone, however well known, is no finding.

## Not a problem when
Few packets of many are wrong: cables, and programs that write packets themselves, do that too.

## Repair
Switch the offload off on every node, and for good in the configuration of the device. On VMware, take another port for
the tunnels when the swarm is made: `docker swarm init --data-path-port 7789`.

## Verify
The counters do not grow while containers on different nodes talk.

## References
moby/moby#41775; coreos/fedora-coreos-tracker#1372; projectcalico/calico#9433; flannel-io/flannel#2388; ethtool(8);
docs.docker.com/reference/cli/docker/swarm/init (data-path-port).
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, sort_out
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import Member, members, own_addresses, subject, swarm_of, underlay
from netdiag.checks._uplinks import devices_of, nic_of
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Link, Swarm
from netdiag.model import Host, Namespace
from netdiag.model.gates import collected

_WRONG = ("TcpInCsumErrors", "UdpInCsumErrors")
_RECEIVED = ("TcpInSegs", "UdpInDatagrams", "UdpInErrors")
_LEAST, _SHARE = 10, 0.01

#: What a card does for checksums of packets in tunnels.
_OFFLOADS = ("tx-checksum-ip-generic", "tx-udp_tnl-csum-segmentation", "tx-udp_tnl-segmentation")
_KNOWN_DRIVER = "vmxnet3"


@check(Severity.ERROR, layer="overlay")
def overlay_tx_checksum(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    of_container: dict[str, list[Member]] = defaultdict(list)
    own = own_addresses(host, swarm)
    for member in members(host):
        if any(peer.address not in own for peer in member.network.peers):
            of_container[member.container.id].append(member)
    namespaces = [netns for netns in host.namespaces[1:] if any(each in of_container for each in netns.containers)]
    if not namespaces:
        yield NotApplicable("no container of this node is on an overlay network that leads to another one")
        return
    judged, open_questions = sort_out(
        namespaces, lambda netns: collected(netns.counters, f"the counters of {netns.name}"), ""
    )
    yield from open_questions
    for netns in judged:
        wrong, received = _sum(netns, _WRONG), _sum(netns, _RECEIVED)
        if wrong >= _LEAST and wrong >= _SHARE * received:
            found = [member for each in netns.containers for member in of_container[each]]
            yield _fault(host, swarm, netns, found)


def _sum(netns: Namespace, names: tuple[str, ...]) -> int:
    return sum(counter.value for name in names if (counter := netns.counter(name)))


def _fault(host: Host, swarm: Swarm, netns: Namespace, found: list[Member]) -> Fault:
    container, networks = found[0].container, {member.network.id: member.network for member in found}
    names = ", ".join(f"`{network.name}`" for network in networks.values())
    counters = [counter for name in _WRONG if (counter := netns.counter(name)) and counter.value]
    devices = _cards(host, swarm)
    known = any((nic := nic_of(host, link)).driver and nic.driver.driver == _KNOWN_DRIVER for link in devices)
    return Fault(
        message=f"{_sum(netns, _WRONG)} packets came to container `{container.name}` on overlay network {names}"
        " with a wrong checksum: a node does not compute it right",
        subjects=(
            Subject("container", container.name),
            *(subject(network) for network in networks.values()),
            *(Subject("interface", link.name) for link in devices),
        ),
        evidence=(
            *(Evidence(counter.span, f"{counter.value} were dropped for that") for counter in counters),
            *(related(network.span, f"{network.name} leads to other nodes") for network in networks.values()),
            *_of_cards(host, devices),
        ),
        remedy=tuple(sh("ethtool -K {} tx-checksum-ip-generic off", link.name) for link in devices)
        or ("ip -4 -o addr  # find the device of the tunnels, then: ethtool -K DEVICE tx-checksum-ip-generic off",),
        verify=(sh("docker exec {} cat /proc/net/snmp", container.name),),
        confidence=Confidence.HIGH if known else Confidence.MEDIUM,
    )


def _cards(host: Host, swarm: Swarm) -> list[Link]:
    """The devices that carry this node's tunnels."""
    link = underlay(host, swarm)
    return (list(devices_of(host, link)) or [link]) if link else []


def _of_cards(host: Host, devices: list[Link]) -> Iterator[Evidence]:
    for link in devices:
        nic = nic_of(host, link)
        yield related(link.span, f"{link.name} carries the tunnels of this node")
        if nic.driver:
            yield related(nic.driver.span, f"the driver of {link.name}: {nic.driver.driver}")
        for name in _OFFLOADS:
            feature = nic.features.get(name)
            if feature and feature.enabled:
                yield related(feature.span, f"{link.name} computes checksums for the kernel")
