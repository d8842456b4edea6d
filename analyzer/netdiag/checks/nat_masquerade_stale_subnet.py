"""MASQUERADE rules for subnets/bridges that no longer exist.

## What it finds
A rule of nat POSTROUTING that the engine wrote for a network that is gone: neither its bridge nor such a network is
there.

## Why it matters
Nothing breaks at once. The rule gives the host's address to everything from that subnet, and the subnet may be somebody
else's by now: of a VPN or a partner's network whose packets come through this host. It also tells of an engine that
ended without cleaning up.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the list of networks and the list of interfaces are whole. A
rule counts when it has the engine's shape (`-s SUBNET ! -o BRIDGE` with MASQUERADE or SNAT), the bridge has a name that
the engine gives (`br-` and 12 digits, `docker0`, `docker_gwbridge`), no interface has that name, and no network has
that bridge.

## Not a problem when
The network is there and only its bridge is gone, which link-bridge-missing tells; the rule is of somebody else
(libvirt, LXD, a person).

## Repair
Delete the rule.

## Verify
The rule is gone.

## References
moby libnetwork/drivers/bridge (setup_ip_tables.go: removeIPChains leaves POSTROUTING alone); moby
integration/network/bridge/iptablesdoc.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, no_networks, related
from netdiag.checks._nat import NAMED_BY_ENGINE, name_of
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.firewall import SOURCE_NAT
from netdiag.model.gates import bridge_name, collected, manages_iptables, whole
from netdiag.model.knowledge import all_of


@check(Severity.WARNING, layer="nat", symptom_of=("bundle-two-daemons",))
def nat_masquerade_stale_subnet(host: Host) -> Verdicts:
    gate = all_of(collected(host.root.firewall, "the nat rules"), manages_iptables(host))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    by_bridge: dict[str, list[Rule]] = defaultdict(list)
    for table in host.root.tables("nat"):
        for rule in table.chains["POSTROUTING"].rules if "POSTROUTING" in table.chains else ():
            bridge = rule.out_interface or ""
            of_engine = rule.target in SOURCE_NAT and rule.source is not None and rule.out_interface_negated
            if of_engine and NAMED_BY_ENGINE.fullmatch(bridge):
                by_bridge[bridge].append(rule)
    if not by_bridge:
        return
    known = all_of(whole(host.root.links, "which bridges there are"), whole(host.networks, "which networks there are"))
    if not known.yes:
        yield unjudged(known) if host.networks.items else no_networks(host)
        return
    wanted = {bridge_name(host, network) for network in host.networks}
    for bridge, rules in by_bridge.items():
        if bridge not in wanted and host.root.link(bridge) is None:
            yield _fault(host, bridge, rules)


def _fault(host: Host, bridge: str, rules: list[Rule]) -> Fault:
    subnets = ", ".join(str(rule.source) for rule in rules)
    return Fault(
        message=f"a network that is gone left its masquerading behind: {subnets} of bridge `{bridge}`",
        subjects=(Subject("bridge", bridge), *(Subject("rule", name_of(rule)) for rule in rules)),
        evidence=(
            Evidence(rules[0].span, "neither the bridge nor a network of its name is there"),
            *(related(rule.span, "this rule is of the same bridge") for rule in rules[1:]),
        ),
        remedy=tuple(deletion(rule) for rule in reversed(rules)),
        verify=("iptables -t nat -S POSTROUTING", "docker network ls"),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )
