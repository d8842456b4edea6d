"""SNAT --to-source uses an IP the host no longer has.

## What it finds
A bridge network whose packets leave the host with a source address that the host does not have.

## Why it matters
Answers go to whoever has the address now, or to nobody: no container of the network reaches anything outside, while
those of other networks and the host itself are fine.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the network is a local bridge that is meant to reach
outside; the nat table, the addresses and the uplinks of the host are known. New connections of a container are sent
through every nat chain at the hook POSTROUTING. When SNAT takes them, its address (all of them, of a range) must be one
of the host's. An address in the uplink's own subnet is asked for by ARP there and nobody answers: an error. Another one
may be routed here by somebody: a warning of medium confidence.

## Not a problem when
A router sends the address here although no interface has it; the uplink answers for it (`proxy_arp`).

## Repair
Let the packets have the uplink's address (MASQUERADE). When the address is that of the network's option
`com.docker.network.host_ipv4`, make the network anew with one that the host has, or the next restart of the engine
brings it back.

## Verify
Containers of the network reach the outside.

## References
docs.docker.com/engine/network/drivers/bridge (host_ipv4); moby libnetwork/drivers/bridge (setup_ip_tables.go);
iptables-extensions(8) (SNAT).
"""

from ipaddress import IPv4Address, IPv4Network

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, deletion, docker_networks, outward_networks, related, sh
from netdiag.checks._flows import members_address, outgoing
from netdiag.checks._nat import name_of
from netdiag.checks._sysctl import greater, number
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Link, NftRule, NftStatement
from netdiag.model import Host
from netdiag.model.expected import bridge_option_of_driver
from netdiag.model.firewall import target_option
from netdiag.model.flow import AnyRule, Fate
from netdiag.model.gates import manages_iptables, table_known, unknown, uplinks
from netdiag.model.hooks import translations
from netdiag.model.packets import Stretch, value_range
from netdiag.spans import Span


@check(Severity.ERROR, layer="nat")
def nat_snat_hostip_gone(host: Host) -> Verdicts:
    outward, others = outward_networks(docker_networks(host, table_known(host, "nat"), manages_iptables(host)))
    yield from others
    if outward and (not uplinks(host) or host.root.ground.local is None):
        yield unjudged(unknown("by which link and address packets leave", "ip_route", "ip_addr"))
        return
    foreign: dict[Span, tuple[AnyRule, dict[str, BridgeNetwork]]] = {}
    for bridge in outward:
        source = members_address(bridge.network)
        for flow in outgoing(host, bridge, source) if source else ():
            way, *more = translations(host.root, "POSTROUTING", flow)
            if not more and way.certain and way.fate is Fate.TRANSLATED and way.rule:
                addresses = _to_source(way.rule)
                if addresses and not _has_one(host, addresses):
                    foreign.setdefault(way.rule.span, (way.rule, {}))[1][bridge.device] = bridge
    for rule, networks in foreign.values():
        yield _fault(host, rule, list(networks.values()))


def _to_source(rule: AnyRule) -> Stretch | None:
    """The addresses that a rule gives packets; None when it gives those of the interface, or they cannot be told."""
    if isinstance(rule, NftRule):
        statement = next((s for s in rule.statements if isinstance(s, NftStatement) and s.name == "snat"), None)
        text = statement.details.get("to", "") if statement else ""
    else:
        text = target_option(rule, "to-source") if rule.target == "SNAT" else ""
    addresses = value_range(text.partition(":")[0])
    return addresses if addresses and addresses.kind == 4 else None


def _has_one(host: Host, addresses: Stretch) -> bool:
    return any(address in addresses for address in host.root.ground.local or ())


def _fault(host: Host, rule: AnyRule, bridges: list[BridgeNetwork]) -> Fault:
    addresses = _to_source(rule)
    first = IPv4Address(addresses.first) if addresses else IPv4Address(0)
    near = _near(host, first)
    names = ", ".join(f"`{bridge.network.name}`" for bridge in bridges)
    asked = [bridge for bridge in bridges if bridge_option_of_driver(bridge.network, "host_ipv4") == str(first)]
    return Fault(
        message=f"packets of network {names} leave with the source address {first}, which the host does not have",
        subjects=(
            *(subject for bridge in bridges for subject in bridge.subjects),
            Subject("address", str(first)),
            Subject("rule", name_of(rule)),
        ),
        evidence=(
            Evidence(rule.span, "this rule gives packets the address"),
            *(related(link.span, f"{link.name} has other addresses") for link in _uplinks(host)),
            *(related(bridge.network.span, f"network {bridge.network.name} asks for the address") for bridge in asked),
        ),
        remedy=(
            deletion(rule),
            *(
                sh("iptables -t nat -I POSTROUTING -s {} ! -o {} -j MASQUERADE", subnet, bridge.device)
                for bridge in bridges
                for subnet in _subnets(bridge)
            ),
        ),
        verify=("iptables -t nat -L POSTROUTING -v -n -x", "ip -4 addr"),
        severity=Severity.ERROR if near else Severity.WARNING,
        confidence=Confidence.HIGH if near and host.root.firewall.whole else Confidence.MEDIUM,
    )


def _subnets(bridge: BridgeNetwork) -> list[IPv4Network]:
    return [each.subnet for each in bridge.network.subnets if isinstance(each.subnet, IPv4Network)]


def _uplinks(host: Host) -> list[Link]:
    return [link for name in sorted(uplinks(host)) if (link := host.root.link(name))]


def _near(host: Host, address: IpAddress) -> bool:
    """The address belongs into the subnet of an uplink, where neighbours ask for it by ARP and the host does not answer
    for others.
    """
    return any(
        address in each.address.network and not number(greater(host.root, link.name, "proxy_arp"))
        for link in _uplinks(host)
        for each in link.addresses
    )
