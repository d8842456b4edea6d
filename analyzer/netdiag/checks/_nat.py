"""Rules that translate addresses, as checks name them, and as the engine writes them."""

import re

from netdiag.checks._docker import BridgeNetwork, sh
from netdiag.formats.records import IpNetwork, NftRule, NftStatement, Rule
from netdiag.model.expected import bridge_option_of_driver
from netdiag.model.firewall import target_option
from netdiag.model.flow import AnyRule

#: The bridges that the engine names itself.
NAMED_BY_ENGINE = re.compile(r"br-[0-9a-f]{12}|docker0|docker_gwbridge")

_DESTINATION_NAT = ("dnat", "redirect")


def goal_of(rule: AnyRule) -> str:
    """Where a rule that translates destinations leads to, in the words of the tool that shows it."""
    if isinstance(rule, NftRule):
        done = (statement for statement in rule.statements if isinstance(statement, NftStatement))
        goals = (" ".join([each.name, *each.details.values()]) for each in done if each.name in _DESTINATION_NAT)
        return next(goals, "")
    if rule.target == "REDIRECT":
        return f"port {target_option(rule, 'to-ports')} of the host itself"
    return target_option(rule, "to-destination")


def name_of(rule: AnyRule) -> str:
    """A rule as a subject: by table, chain and number, of iptables with the family where it is not IPv4."""
    if isinstance(rule, Rule):
        family = "ip6 " if rule.family == "ipv6" else ""
        return f"{family}{rule.table} {rule.chain} {rule.position}"
    return f"{rule.family} {rule.table} {rule.chain} {rule.position}"


def source_nat(bridge: BridgeNetwork, subnet: IpNetwork) -> str:
    """The rule by which the engine translates what leaves a network, without its command: MASQUERADE, or SNAT to the
    address of the network's option `host_ipv4`.
    """
    address = bridge_option_of_driver(bridge.network, f"host_ipv{subnet.version}")
    target = sh("SNAT --to-source {}", address) if address else "MASQUERADE"
    return sh("POSTROUTING -s {} ! -o {} -j ", subnet, bridge.device) + target
