"""A policy rule takes container traffic where it cannot go.

## What it finds
A rule of `ip rule` that sends packets to or from containers to a table that does not know their network, or refuses
them.

## Why it matters
VPN clients (wg-quick, Tailscale, NordVPN) and setups with two uplinks bring such rules: containers then lose the host,
their published ports or the internet, while the host itself is fine.

## How it is decided
Gates: the engine is here; the network is a local bridge whose device exists, is up and is meant to have an address; the
routes and policy rules of the host were collected. Four packets are looked up as the kernel does it for each running
container: from the host without and with the gateway's address, from outside to the container, and from the container
to the internet. Found is a rule that leads one of the first three elsewhere than to the bridge, or refuses the last
one. Packets are taken to have no firewall mark.

## Not a problem when
A rule before it looks up the table main for specific routes (`lookup main suppress_prefixlength 0`, as wg-quick has
it); containers are meant to leave by the VPN, which then has a way for them; or the rule wants a firewall mark that no
container's packet has.

## Repair
Have the host look up the subnet in the table main before that rule; a rule that refuses what containers send is
deleted. The VPN's configuration shall leave the subnet out (`AllowedIPs`, `Table`, split tunnel).

## Verify
`ip route get` answers with the bridge.

## References
moby/moby#51544; moby/moby#49498; moby/moby#17212; man ip-rule(8); man wg-quick(8).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import Attachment, BridgeNetwork, related, sh
from netdiag.checks._routes import (
    Cause,
    addresses_on,
    cause_of,
    is_kernels,
    outside,
    route_asked,
    routed_networks,
    rule_deleted,
    tool,
    words_of_route,
)
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, PolicyRule, Subnet
from netdiag.model import Host
from netdiag.model.gates import collected, reaches_outside, uplinks
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup, Outcome

_REFUSED = {Outcome.BLACKHOLE, Outcome.UNREACHABLE, Outcome.PROHIBIT, Outcome.NO_ROUTE}
_MOST_SHOWN = 4


@dataclass(frozen=True)
class _Taken:
    """A packet that a rule takes where it cannot go."""

    bridge: BridgeNetwork
    subnet: Subnet
    container: str
    address: IpAddress
    packet: str
    lookup: Lookup
    leaving: bool


@check(Severity.ERROR, layer="route")
def route_policy_rule_hijack(host: Host) -> Verdicts:
    bridges, others = routed_networks(host, collected(host.root.rules, "the policy rules of the host"))
    yield from others
    of_family = {4: host.root.rules, 6: host.root.ipv6_rules}
    if all(is_kernels(rule) for rules in of_family.values() for rule in rules):
        return
    taken: dict[int, list[_Taken]] = defaultdict(list)
    for attachment, subnet, address in addresses_on(host, bridges):
        for each in _taken(host, attachment, subnet, address):
            taken[id(each.lookup.rule)].append(each)
    for rules in of_family.values():
        for rule in rules:
            if id(rule) in taken:
                yield _fault(rule, taken[id(rule)])


def _taken(host: Host, attachment: Attachment, subnet: Subnet, address: IpAddress) -> Iterator[_Taken]:
    bridge, routing, name = attachment.bridge, host.root.routing, attachment.container.name
    far, gateway = outside(host.root, address.version), host.gateway_of(attachment.bridge.network, subnet)
    uplink = next(iter(sorted(uplinks(host) - {bridge.device})), "lo")
    packets = {
        f"from the host to {name}": Packet(address),
        f"from outside to {name}": Packet(address, source=far, in_interface=uplink),
    }
    if gateway:
        packets[f"from {gateway} to {name}"] = Packet(address, source=gateway)
    for words, packet in packets.items():
        lookup = routing.route_of(packet)
        if cause_of(lookup, bridge, subnet) is Cause.RULE:
            yield _Taken(bridge, subnet, name, address, words, lookup, leaving=False)
    if reaches_outside(bridge.network).yes:
        lookup = routing.route_of(Packet(far, source=address, in_interface=bridge.device))
        if lookup.outcome in _REFUSED and not is_kernels(lookup.rule):
            yield _Taken(bridge, subnet, name, address, f"from {name} to the internet", lookup, leaving=True)


def _fault(rule: PolicyRule, found: list[_Taken]) -> Fault:
    names = list(dict.fromkeys(each.container for each in found))
    networks = list({each.bridge.network.id: each.bridge for each in found}.values())
    routes = list({id(each.lookup.route): each.lookup.route for each in found if each.lookup.route}.values())
    words = f"{rule.priority}: {rule.selector} {rule.action}"
    packets = list(dict.fromkeys(f"{each.packet} ({_end_of(each)})" for each in found))
    more = f" and {len(packets) - _MOST_SHOWN} more" if len(packets) > _MOST_SHOWN else ""
    return Fault(
        message=f"policy rule `{words}` takes packets {', '.join(packets[:_MOST_SHOWN])}{more}",
        subjects=(
            Subject("rule", words),
            *(Subject("network", bridge.network.name) for bridge in networks),
            *(Subject("container", name) for name in names),
        ),
        evidence=(
            Evidence(rule.span, "this rule takes them"),
            *(
                related(route.span, f"the route that it finds: {words_of_route(route)}")
                for route in routes[:_MOST_SHOWN]
            ),
            *(related(subnet.span, f"a Docker subnet: {subnet.subnet}") for subnet in _subnets(found)[:_MOST_SHOWN]),
        ),
        remedy=_remedy(rule, found),
        verify=(route_asked(found[0].address), f"{tool(found[0].address.version)} rule show"),
    )


def _end_of(each: _Taken) -> str:
    return f"by {each.lookup.device}" if each.lookup.device else each.lookup.outcome.value


def _subnets(found: list[_Taken]) -> list[Subnet]:
    return list(dict.fromkeys(each.subnet for each in found))


def _remedy(rule: PolicyRule, found: list[_Taken]) -> tuple[str, ...]:
    if any(each.leaving for each in found) or not rule.priority:
        return (rule_deleted(rule),)
    return tuple(
        sh(f"{tool(subnet.subnet.version)} rule add to {{}} lookup main pref {rule.priority - 1}", subnet.subnet)
        for subnet in _subnets(found)
    )
