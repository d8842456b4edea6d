"""What several checks ask about the size of packets: where a container's packets leave the host, and how to give its
interfaces another MTU.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from netdiag.checks._docker import sh
from netdiag.checks._veths import ContainerPort, in_namespace
from netdiag.formats.records import Link, NftMatch, NftStatement, Route, Rule
from netdiag.model import Host, Truth
from netdiag.model.firewall import target_option
from netdiag.model.flow import Flow, rule_matches
from netdiag.model.gates import reaches_outside, uplinks
from netdiag.model.nftables import holds
from netdiag.model.packets import all_hold, any_holds
from netdiag.model.policy import Packet

#: An address of each half of the Internet: a VPN may take the two halves (0.0.0.0/1 and 128.0.0.0/1) by two routes.
_OUTSIDE = (IPv4Address("100.0.0.1"), IPv4Address("198.51.100.1"))

#: Where segment sizes are clamped: the table mangle has both hooks.
_HOOKS = ("FORWARD", "POSTROUTING")

#: The headers of IPv4 and TCP, which the segment size does not count.
_HEADERS = 40

#: Commands that one finding may print.
_MOST_COMMANDS = 40


@dataclass(frozen=True)
class WayOut:
    """The link by which a container's packets leave the host for the Internet, and the route that says so."""

    link: Link
    route: Route


def way_out(host: Host, port: ContainerPort) -> WayOut | None:
    """Where the packets of a container's endpoint leave; the link with the smallest MTU when there are several.

    None when they shall not leave, or when the routes do not tell.
    """
    address = port.attachment.endpoint.address
    if address is None or not reaches_outside(port.attachment.bridge.network).yes:
        return None
    outward, found = uplinks(host), []
    for destination in _OUTSIDE:
        answer = host.root.routing.route_of(Packet(destination, source=address.ip, in_interface=port.bridge))
        link = host.root.link(answer.device) if answer.device else None
        if link and answer.route and link.name in outward and link.mtu is not None:
            found.append(WayOut(link, answer.route))
    return min(found, key=lambda way: way.link.mtu or 0, default=None)


def set_mtu(ports: Iterable[ContainerPort], mtu: int) -> tuple[str, ...]:
    """The commands that give both ends of these veths another MTU, as far as they are few enough to be pasted."""
    commands = [
        command
        for port in ports
        for command in (
            sh("ip link set dev {} mtu {}", port.outer.name, mtu),
            in_namespace(port.attachment.container, sh("ip link set dev {} mtu {}", port.inner.name, mtu)),
        )
    ]
    return tuple(commands[:_MOST_COMMANDS])


def clamps_segments(host: Host, port: ContainerPort, way: WayOut) -> Truth:
    """Whether a rule makes the segment size of a container's TCP connections fit the link by which they leave.

    It takes the SYN at the hooks FORWARD or POSTROUTING, by the target TCPMSS of iptables or by nft's `tcp option
    maxseg size set`.
    """
    address = port.attachment.endpoint.address
    flow = Flow("tcp", port.bridge, way.link.name, source=address.ip if address else None)
    netns, largest = host.root, (way.link.mtu or 0) - _HEADERS
    answers = [
        _takes(rule, flow)
        for table in netns.firewall
        if table.family == "ipv4"
        for hook in _HOOKS
        if hook in table.chains
        for rule in table.rules_after(hook)
        if rule.target == "TCPMSS" and _fits(target_option(rule, "set-mss"), largest)
    ]
    answers += [
        all_hold(holds(match, table, flow, netns.ground) for match in rule.statements if isinstance(match, NftMatch))
        for table in netns.nftables
        if table.sees(4) and not table.dormant
        for chain in table.chains.values()
        for rule in chain.rules
        for statement in rule.statements
        if isinstance(statement, NftStatement) and _sets_segment_size(statement, largest)
    ]
    known = netns.firewall.whole and netns.nftables.whole
    return any_holds((*answers, Truth.NO if known else Truth.UNKNOWN))


def _takes(rule: Rule, flow: Flow) -> Truth:
    """Whether a rule takes the flow, the size that its SYN tells left aside (`-m tcpmss`)."""
    return rule_matches(replace(rule, matches=tuple(m for m in rule.matches if m.option != "mss")), flow)


def _fits(size: str, largest: int) -> bool:
    """Whether a fixed size is small enough; none is fixed when the rule clamps to the MTU of the path."""
    return not size.isdecimal() or int(size) <= largest


def _sets_segment_size(statement: NftStatement, largest: int) -> bool:
    key, value = statement.details.get("key"), statement.details.get("value", "")
    return statement.name == "set" and key == "tcp option maxseg size" and _fits(value, largest)
