"""bridge-nf-call-iptables=0 makes enable_icc=false (and proxy-less cross container publish) ineffective.

## What it finds
A network with `enable_icc=false`, or a published port of a host without userland proxy, on a bridge whose frames do not
meet the firewall.

## Why it matters
The rule that keeps containers of the network apart is there, and never sees a packet: all of them reach each other.
Without the userland proxy, a container cannot use the published port of a neighbour on its own network: the neighbour's
answer goes back over the bridge past the firewall, which therefore does not translate it back.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the network is a local bridge. Both
`net.bridge.bridge-nf-call-iptables` and the bridge's own `nf_call_iptables` must be 0. When the module br_netfilter is
not loaded at all, sysctl-br-netfilter-missing says so instead. Rules of the bridge family, which may keep containers
apart as well, make the answer unknown.

## Not a problem when
Every network lets its containers talk and the userland proxy is on: from Docker 27.3 on the setting is off then.

## Repair
Switch it on, and find the file in /etc/sysctl.d that switches it off (hosts of virtual machines often have one).

## Verify
The setting reads 1; containers of the network no longer reach each other.

## References
moby/moby#48948; moby/moby#12071; kernel net/bridge/br_netfilter_hooks.c; moby libnetwork/drivers/bridge
(setup_ip_tables.go).
"""

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._bridge_netfilter import KEY, Needing, meets_firewall, module_loaded, needing_netfilter
from netdiag.checks._docker import docker_networks, related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host, Truth
from netdiag.model.gates import manages_iptables
from netdiag.model.hooks import bridge_chains
from netdiag.spans import Span


@check(Severity.WARNING, layer="sysctl")
def sysctl_bridge_nf_icc_ineffective(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, manages_iptables(host))
    yield from others
    if not bridges:
        return
    needing = list(needing_netfilter(host, bridges))
    if not needing:
        yield NotApplicable("no network keeps its containers apart, and the userland proxy is on")
        return
    if module_loaded(host) is Truth.NO:
        yield NotApplicable("br_netfilter is not loaded")
        return
    found: list[tuple[Needing, Span]] = []
    for each in needing:
        meets, line = meets_firewall(host, each.bridge.device)
        if meets is Truth.UNKNOWN:
            yield Unjudged(
                f"whether frames on {each.bridge.device} meet the firewall",
                missing=("sysctl", "ip-link"),
                ask=("sysctl net.bridge", "ip -d link"),
            )
        elif meets is Truth.NO and line:
            found.append((each, line))
    if not found:
        return
    if any(chain.table.chains[chain.name].rules for chain in bridge_chains(host.root, "FORWARD")):
        yield Unjudged("whether rules of the bridge family keep containers apart", ask=("nft -a list ruleset",))
        return
    yield _fault(found)


def _fault(found: list[tuple[Needing, Span]]) -> Fault:
    return Fault(
        message="frames on bridges do not meet the firewall, so " + "; ".join(each.consequence for each, _ in found),
        subjects=(Subject("sysctl", KEY), *(subject for each, _ in found for subject in each.bridge.subjects)),
        evidence=(
            Evidence(found[0][1], "frames on the bridge pass by the firewall"),
            *(related(each.reason, each.label) for each, _ in found[:4]),
        ),
        remedy=(f"sysctl -w {KEY}=1",),
        verify=(f"sysctl {KEY}",),
        severity=Severity.ERROR if any(each.breaks for each, _ in found) else Severity.WARNING,
    )
