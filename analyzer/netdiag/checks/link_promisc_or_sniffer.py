"""Interface promiscuous outside normal bridge use.

## What it finds
An interface that leads outside and takes all frames of its segment, with nobody who needs that.

## Why it matters
The host looks at every frame of others too, which costs time, and it shows that somebody listens: a forgotten
`tcpdump`, an intrusion detection system, or an intruder.

## How it is decided
Gates: the links of the host were collected with details (`ip -d`), and it has a default route. The interface is the
device of a default route. A `promiscuity` above 0 decides. With the flag `PROMISC` somebody has set it by hand; without
it a program listens.

## Not a problem when
The interface is a port of a bridge, a bond or Open vSwitch, or the parent of a macvlan, ipvlan or VLAN: these need it.

## Repair
Switch it off where it was set by hand; else find the program that listens and end it.

## Verify
`ip -d link` shows `promiscuity 0`.

## References
ip-link(8); packet(7) PACKET_MR_PROMISC; kernel net/core/dev.c (dev_set_promiscuity).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import collected, unknown, uplinks
from netdiag.model.knowledge import all_of

#: Kinds of links that look at the frames of another one, their parent.
_NEED_IT = {"macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "macsec"}


@check(Severity.NOTE, layer="link")
def link_promisc_or_sniffer(host: Host) -> Verdicts:
    gate = all_of(
        collected(host.root.links, "the links of the host"), collected(host.root.routes, "which links lead outside")
    )
    if gate.unknown:
        yield unjudged(gate)
        return
    outward = [link for name in sorted(uplinks(host)) if (link := host.root.link(name))]
    if not outward:
        yield NotApplicable("the host has no default route")
    parents = _parents(host)
    promiscuous = []
    for link in outward:
        count = link.details.get("promiscuity")
        if count is None:
            why = "the list of links has no details"
            yield unjudged(unknown(f"whether {link.name} is promiscuous", "ip_addr", because=why))
        elif count != "0" and link.master is None and link.index not in parents:
            promiscuous.append(link)
    if promiscuous:
        yield _fault(promiscuous)


def _parents(host: Host) -> set[int | None]:
    """The ifindexes of the host's links that have children, here or in a container."""
    return {link.peer_index for netns in host.namespaces for link in netns.links if link.kind in _NEED_IT} | {
        parent.index
        for link in host.root.links
        if link.kind in _NEED_IT and link.peer_name and (parent := host.root.link(link.peer_name))
    }


def _fault(links: list[Link]) -> Fault:
    by_hand = [link for link in links if "PROMISC" in (link.flags or ())]
    names = ", ".join(f"`{link.name}`" for link in links)
    return Fault(
        message=f"{names} takes every frame of its segment (promiscuous mode)",
        subjects=tuple(Subject("interface", link.name) for link in links),
        evidence=tuple(
            Evidence(words_of(link.span, f"promiscuity {link.details['promiscuity']}"), "0 when nobody listens")
            for link in links
        )
        + tuple(related(words_of(link.span, "PROMISC"), "set by hand") for link in by_hand),
        remedy=(
            *(sh("ip link set dev {} promisc off", link.name) for link in by_hand),
            *(("ss -0 -l -p",) if len(by_hand) < len(links) else ()),
        ),
        verify=tuple(sh("ip -d link show dev {}", link.name) for link in links),
    )
