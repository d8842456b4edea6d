"""Containers of one network tried to reach those of another, which the engine prevents.

## What it finds
Rules by which the engine keeps bridge networks apart, that have dropped packets.

## Why it matters
"The application in network A does not reach the database in network B" is the engine at work, not a fault. The same
packets to a port that is published on the host get through.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace. The rules `-o BRIDGE -j DROP` of DOCKER-ISOLATION-STAGE-2
(18 to 28) have a counter above zero. All of them are one note. From 28.2 on a rule in table raw drops such packets
first; those are counted with packets from elsewhere, see filter-raw-direct-access-drop.

## Not a problem when
Nothing is amiss: this note only explains. The counters are those since the rules were made.

## Repair
Connect the container that asks to the network of the one that is asked, or use the published port. The command below
makes the kernel's log tell who asks.

## Verify
The counter stops growing.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby libnetwork/drivers/bridge/setup_ip_tables.go.
"""

from collections.abc import Sequence

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.gates import manages_iptables, table_known

_CHAIN = "DOCKER-ISOLATION-STAGE-2"
_MOST_SHOWN = 5


@check(Severity.NOTE, layer="filter")
def filter_isolation_cross_network(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    by_device = {bridge.device: bridge for bridge in bridges}
    tables = [table for table in host.root.tables("filter") if _CHAIN in table.chains]
    if not tables:
        yield NotApplicable(f"the engine has no chain {_CHAIN}")
        return
    hit = [
        (rule, by_device[rule.out_interface])
        for table in tables
        for rule in table.chains[_CHAIN].rules
        if rule.target == "DROP" and rule.counters and rule.counters.packets and rule.out_interface in by_device
    ]
    if hit:
        yield _note(sorted(hit, key=lambda each: -_packets(each[0])))


def _packets(rule: Rule) -> int:
    return rule.counters.packets if rule.counters else 0


def _note(hit: Sequence[tuple[Rule, BridgeNetwork]]) -> Fault:
    shown = hit[:_MOST_SHOWN]
    names = ", ".join(f"`{bridge.network.name}`" for _, bridge in shown)
    total = sum(_packets(rule) for rule, _ in hit)
    return Fault(
        message=f"{total} packets from other networks to containers of network {names} were kept out",
        subjects=tuple(bridge.subjects[0] for _, bridge in shown),
        evidence=(
            *(Evidence(rule.span, f"{_packets(rule)} packets to {bridge.network.name}") for rule, bridge in shown),
            *(related(bridge.network.span, f"network {bridge.network.name}") for _, bridge in shown[:3]),
        ),
        remedy=tuple(
            sh("iptables -I {} -o {} -j LOG --log-prefix {}", _CHAIN, bridge.device, f"to {bridge.device}: ")
            for _, bridge in shown
        ),
        verify=(f"iptables -L {_CHAIN} -v -n -x",),
    )
