"""kfree_skb reason maps to a config fault.

## What it finds
Packets that the kernel dropped while the trace ran, for a reason that names a setting of this host, by reason and
device: the reverse path filter, forwarding that is off, a missing route, a neighbour that does not answer, a bridge
without a way out, a size that is too big, a full backlog or socket, a tunnel, a filter of tc, a BPF program.

## Why it matters
The kernel says why it dropped a packet. Each of these reasons is one setting or one state to look at.

## How it is decided
The reason of `skb:kfree_skb` by its name, or by its number as this kernel numbers them, together with the function
that freed the packet: IP_INADDRERRORS in `ip_error` is forwarding that is off, no reason there is a route that says
blackhole, NO_TX_TARGET in `br_dev_xmit` is a bridge without a port for the packet. Drops by the firewall, and by the
queue of a device, have checks of their own. Reasons that occur on healthy hosts are passed over: sockets that were
closed, packets for other hosts, protocols that nobody handles, answers of a ping that its socket has read, and
packets for ports where nobody listens. Where only containers' packets come, settings that stop them are errors. What
comes in elsewhere may be anybody's packets: that is a note, and only when the namespace's own counter of such drops
grew meanwhile, or was not read.

## Not a problem when
Somebody probes this host: packets with wrong headers, or from addresses that must not come that way, are dropped
rightly.

## Repair
See the setting that is named.

## Verify
A new trace of the same traffic does not show the reason.

## References
Kernel include/net/dropreason-core.h; include/trace/events/skb.h.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._sysctl import interface_key
from netdiag.checks._traces import Place, evidence_at, packets, places, traces_with
from netdiag.finding import Severity, Subject
from netdiag.formats.records import KernelFunction
from netdiag.journeys.observed.facts import Drop, DropClass, Observation
from netdiag.model import Host
from netdiag.model.movement import Grown


@dataclass(frozen=True)
class _Meaning:
    """How grave a class of drops is where containers' packets come, where to look, and which counters count it."""

    severity: Severity
    look: str
    counters: tuple[str, ...] = ()


_ROUTE_COUNTERS = ("IpInNoRoutes", "IpOutNoRoutes", "Ip6InNoRoutes", "Ip6OutNoRoutes")
_SOCKET_COUNTERS = ("UdpRcvbufErrors", "TcpExtListenOverflows", "TcpExtTCPBacklogDrop", "TcpExtTCPRcvQDrop")
_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

#: What is not here says nothing of the host, or has a check of its own.
_MEANINGS: Mapping[DropClass, _Meaning] = {
    DropClass.RP_FILTER: _Meaning(
        _ERROR, "sysctl -a -r 'net.ipv4.conf.*.rp_filter'; ip route", ("TcpExtIPReversePathFilter",)
    ),
    DropClass.FORWARDING_OFF: _Meaning(
        _ERROR, "sysctl -a -r 'net.ipv4.(ip_forward|conf.*.forwarding)'", ("IpInAddrErrors",)
    ),
    DropClass.NO_ROUTE: _Meaning(_ERROR, "ip route show table all; ip rule", _ROUTE_COUNTERS),
    DropClass.NO_NEIGHBOUR: _Meaning(_WARNING, "ip neigh; sysctl net.ipv4.neigh.default"),
    DropClass.BRIDGE: _Meaning(_ERROR, "bridge -d link; bridge fdb"),
    DropClass.MTU: _Meaning(_WARNING, "ip link", ("IpFragFails", "Ip6InTooBigErrors")),
    DropClass.BACKLOG: _Meaning(
        _WARNING, "cat /proc/net/softnet_stat; sysctl net.core.netdev_max_backlog", ("dropped",)
    ),
    DropClass.SOCKET_FULL: _Meaning(_WARNING, "nstat -az; ss -lntum", _SOCKET_COUNTERS),
    DropClass.DEVICE: _Meaning(_WARNING, "ip -d -s link"),
    DropClass.TRAFFIC_CONTROL: _Meaning(_ERROR, "tc filter show; tc -s qdisc"),
    DropClass.POLICY: _Meaning(_WARNING, "bpftool prog; ip xfrm policy"),
    DropClass.TUNNEL: _Meaning(_WARNING, "ip -d link show type vxlan; bridge fdb"),
    DropClass.ADDRESS: _Meaning(_NOTE, "ip addr; ip route", ("IpInAddrErrors", "Ip6InAddrErrors")),
    DropClass.CHECKSUM: _Meaning(
        _WARNING, "ethtool -k eth0 | grep checksum", ("IpInCsumErrors", "TcpInCsumErrors", "UdpInCsumErrors")
    ),
    DropClass.MEMORY: _Meaning(_WARNING, "sysctl net.ipv4.tcp_mem net.ipv4.udp_mem"),
}

_SYMPTOM_OF = (
    "sysctl-rp-filter-strict",
    "sysctl-ip-forward-off",
    "sysctl-if-forwarding-off",
    "sysctl-arp-settings",
    "sysctl-neigh-table-overflow",
    "sysctl-netdev-backlog-softnet",
    "sysctl-somaxconn-low",
    "route-asymmetric-uplink",
    "route-blackhole",
    "route-bridge-subnet-missing",
    "route-container-default-missing",
    "route-container-default-wrong",
    "route-gateway-neigh-failed",
    "route-host-default-missing",
    "route-permanent-neigh-wrong",
    "route-policy-rule-hijack",
    "route-shadowed",
    "address-bridge-ip-missing",
    "address-container-ip-mismatch",
    "bridge-fdb-stale-static",
    "bridge-flood-learning-off",
    "bridge-port-isolated",
    "bridge-port-not-forwarding",
    "bridge-vlan-filtering-mismatch",
    "link-bridge-down",
    "link-container-iface-down",
    "link-dual-connected-route",
    "link-veth-down",
    "link-veth-not-enslaved",
    "link-veth-wrong-bridge",
    "mtu-bridge-gt-uplink",
    "mtu-veth-mismatch",
    "mtu-icmp-fragneeded-blocked",
    "perf-udp-rcvbuf",
    "overlay-peer-fdb-missing",
    "overlay-vxlan-vni-stale",
)


@check(Severity.ERROR, layer="trace", symptom_of=_SYMPTOM_OF)
def trace_drop_reason_map(host: Host) -> Verdicts:
    found, others = traces_with(host, "kfree_skb")
    yield from others
    for seen in found:
        for place, kind, drops in _groups(host, seen):
            counted = _counted(host, place, _MEANINGS[kind])
            if place.of_containers or counted or not _MEANINGS[kind].counters or host.movement is None:
                yield _fault(host, seen, place, kind, drops, counted)


def _groups(host: Host, seen: Observation) -> Iterator[tuple[Place, DropClass, Sequence[Drop]]]:
    """The drops of one class at one device."""
    where: dict[tuple[str, DropClass], Place] = {}
    drops: dict[tuple[str, DropClass], list[Drop]] = defaultdict(list)
    for drop in seen.drops:
        place = places(host).of(drop.where)
        if place and not drop.reason.benign and drop.reason.kind in _MEANINGS:
            where[place.words, drop.reason.kind] = place
            drops[place.words, drop.reason.kind].append(drop)
    for (words, kind), place in where.items():
        yield place, kind, drops[words, kind]


def _counted(host: Host, place: Place, meaning: _Meaning) -> list[Grown]:
    """The counters of such drops in the place's namespace that grew between the two looks."""
    counters = host.movement.counters if host.movement else ()
    return [each for each in counters if each.scope == place.namespace and each.counter in meaning.counters]


def _settings(kind: DropClass, device: str) -> tuple[Subject, ...]:
    """The settings that such drops follow from."""
    if kind is DropClass.FORWARDING_OFF:
        return Subject("sysctl", "net.ipv4.ip_forward"), Subject("sysctl", interface_key(device, "forwarding"))
    if kind is DropClass.RP_FILTER:
        return tuple(Subject("sysctl", interface_key(name, "rp_filter")) for name in ("all", device))
    return ()


def _fault(
    host: Host, seen: Observation, place: Place, kind: DropClass, drops: Sequence[Drop], counted: Sequence[Grown]
) -> Fault:
    meaning = _MEANINGS[kind]
    count = sum(drop.count for drop in drops)
    names = ", ".join(dict.fromkeys(_name(drop) for drop in drops))
    lines = (line for drop in drops for line in drop.lines)
    return Fault(
        message=f"the kernel dropped {packets(count)} that had come to {place.words}: {drops[0].reason.text} ({names})",
        subjects=place.subjects,
        evidence=(
            *evidence_at(seen, lines, "dropped"),
            *(related(each.span, f"what is at {each.address:#x}") for each in _looked_up(host, drops)),
            *(related(each.span, f"the kernel counted {each.after - each.before} meanwhile") for each in counted),
            *place.shown,
        ),
        remedy=(meaning.look,),
        verify=("perf record -a -e skb:kfree_skb -- sleep 10 && perf script",),
        severity=meaning.severity if place.of_containers else Severity.NOTE,
        follows=(*place.subjects, *_settings(kind, place.device)),
    )


def _looked_up(host: Host, drops: Sequence[Drop]) -> list[KernelFunction]:
    """The functions that the trace gives only the addresses of."""
    places = {drop.location for drop in drops}
    return [each for each in host.traces.functions.values() if each.place in places]


def _name(drop: Drop) -> str:
    place = drop.location.partition("+")[0]
    return f"{drop.reason.name or 'no reason given'} in {place}" if place else drop.reason.name
