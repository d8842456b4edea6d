"""No MASQUERADE or SNAT for a Docker subnet.

## What it finds
A bridge network that shall be translated, and no rule of nat POSTROUTING that translates its packets.

## Why it matters
Packets of the network's containers leave the host with the container's own address. Unless a router has a route back,
no answer ever comes: no name resolution, no downloads, while the host itself is fine.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the network is a local bridge, not internal, not in gateway
mode routed or isolated, and masquerading is not switched off for it. Every rule that POSTROUTING can reach counts, in
every backend that was collected: MASQUERADE, SNAT or NETMAP whose source covers the subnet and that is not limited to
the bridge itself, to a link without a default route, to one protocol or to local sources. A rule with conditions that
cannot be judged, or that only such conditions lead to, makes the answer unknown. Confidence is medium when the bundle
does not tell the network's options, or not all rules. Of a network that only an endpoint tells, the filter rules show
whether it is internal, where the bundle has them: the engine accepts what leaves the bridge, or drops it.

## Not a problem when
The network is internal or routed, `enable_ip_masquerade=false` was set, a router upstream translates, or the peers have
a route back to the subnet.

## Repair
Insert the rule that the engine would have made, SNAT for a network with the option `host_ipv4`; find what removed it
(`iptables -t nat -F`, a restored rule set, a firewall reload).

## Verify
The rule is there and its counter grows.

## References
moby integration/network/bridge/iptablesdoc; moby/moby#41795; moby/moby#13381; moby/moby#28133.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network

from netdiag.checks._base import Fault, Unjudged, Verdicts, check, sort_out, unjudged
from netdiag.checks._docker import BridgeNetwork, chain_span, docker_networks, related
from netdiag.checks._nat import source_nat
from netdiag.finding import Confidence, Evidence, Severity
from netdiag.formats.records import IpNetwork, Rule, Subnet
from netdiag.model import FirewallTable, Gate, Host, Truth
from netdiag.model.gates import manages_iptables, no, table_known, translates_addresses, unknown, uplinks
from netdiag.model.knowledge import YES, once


@check(
    Severity.ERROR,
    layer="nat",
    symptom_of=("nat-docker-jump-missing", "filter-docker-chains-missing", "bundle-two-daemons"),
)
def nat_masquerade_missing(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "nat"), manages_iptables(host))
    yield from others
    judged = [bridge for bridge in bridges if not translates_addresses(bridge.network).no]
    if bridges and not judged and not others:
        yield from sort_out(bridges, lambda bridge: translates_addresses(bridge.network), "")[1]
    tables = host.root.tables("nat")
    for bridge in judged:
        for subnet in bridge.network.subnets:
            if isinstance(subnet.subnet, IPv4Network):
                yield from _judge(host, bridge, subnet, tables)


def _judge(host: Host, bridge: BridgeNetwork, subnet: Subnet, tables: tuple[FirewallTable, ...]) -> Verdicts:
    answers = [table.masquerades(subnet.subnet, bridge.device, uplinks(host)) for table in tables]
    if any(truth is Truth.YES for truth, _ in answers):
        return
    outward = _leads_outward(host, bridge, subnet.subnet)
    if not outward.yes:
        if outward.unknown:
            yield unjudged(outward)
        return
    doubtful = next((rule for truth, rule in answers if truth is Truth.UNKNOWN and rule), None)
    if doubtful:
        where = f"{doubtful.span.source.path}:{doubtful.span.line}"
        yield Unjudged(
            f"whether the rule at {where} masquerades {subnet.subnet}",
            "it has conditions",
            (),
            ("nft -a list ruleset",),
        )
        return
    yield _fault(host, bridge, subnet, tables)
    if translates_addresses(bridge.network).unknown:
        yield unjudged(translates_addresses(bridge.network))


@once
def _filter_rules_by_interface(host: Host) -> Mapping[str, Sequence[Rule]]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for table in host.root.tables("filter"):
        for rule in table.rules():
            for name in {rule.in_interface, rule.out_interface} - {None}:
                found[name or ""].append(rule)
    return found


def _leads_outward(host: Host, bridge: BridgeNetwork, subnet: IpNetwork) -> Gate:
    """Whether the engine's filter rules let a network out of which the bundle does not tell whether it is internal."""
    if bridge.network.internal is not None or bridge.network.name == "bridge" or not host.root.tables("filter"):
        return YES
    rules = _filter_rules_by_interface(host)[bridge.device]
    for rule in rules:
        to_it = rule.out_interface == bridge.device and rule.source == subnet and rule.source_negated
        from_it = rule.in_interface == bridge.device and rule.destination == subnet and rule.destination_negated
        if rule.target == "DROP" and (to_it or from_it):
            return no(f"network {bridge.network.name} is internal")
    for rule in rules:
        leaves = rule.in_interface == bridge.device and not rule.in_interface_negated
        if leaves and rule.target == "ACCEPT" and (rule.out_interface is None or rule.out_interface_negated):
            return YES
    return unknown(f"whether network {bridge.network.name} is internal", f"{bridge.network.engine}_network_inspect")


def _fault(host: Host, bridge: BridgeNetwork, subnet: Subnet, tables: tuple[FirewallTable, ...]) -> Fault:
    options_known = translates_addresses(bridge.network).yes
    chains = [table.chains["POSTROUTING"] for table in tables if "POSTROUTING" in table.chains]
    evidence = [Evidence(chain_span(chain), f"no rule here masquerades {subnet.subnet}") for chain in chains]
    about_network = f"network {bridge.network.name} has {subnet.subnet}"
    evidence.append(related(subnet.span, about_network) if chains else Evidence(subnet.span, about_network))
    caveat = "" if options_known else " (the bundle does not show whether it is internal or not to be masqueraded)"
    sure = options_known and host.root.firewall.whole
    rule = source_nat(bridge, subnet.subnet)
    return Fault(
        message=f"no MASQUERADE covers {subnet.subnet} of network `{bridge.network.name}`{caveat}",
        subjects=bridge.subjects,
        evidence=tuple(evidence),
        remedy=(f"iptables -t nat -I {rule}",) if sure else (),
        verify=(f"iptables -t nat -C {rule}", "iptables -t nat -L POSTROUTING -v -n -x"),
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
    )
