"""No MASQUERADE for a private IPv6 subnet.

## What it finds
A bridge network with a unique local subnet (fc00::/7) that shall be translated, and no rule of the IPv6 nat POSTROUTING
that translates its packets.

## Why it matters
Packets leave the host with addresses that nobody routes: no answer ever comes, and programs wait for IPv6 to fail
before they take IPv4.

## How it is decided
Gates: the engine manages the IPv6 rules of this namespace (`ip6tables`, on from 27.0 unless told otherwise); the
network is a local bridge, not internal, not in gateway mode routed or isolated, and masquerading is not switched off
for it. Every rule that POSTROUTING can reach counts, as in `nat-masquerade-missing`.

## Not a problem when
The subnet is one of addresses of the internet that a router knows the way to; or a router upstream translates.

## Repair
Insert the rule that the engine would have made; find what removed it (`ip6tables -t nat -F`, a firewall reload).

## Verify
The rule is there and its counter grows.

## References
docs.docker.com/engine/daemon/ipv6; moby integration/network/bridge/iptablesdoc.
"""

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._docker import chain_span, related, sh
from netdiag.checks._ipv6 import Ipv6Subnet, ipv6_subnets_of_docker
from netdiag.finding import Confidence, Evidence, Severity
from netdiag.model import FirewallTable, Host, Truth
from netdiag.model.gates import manages_ip6tables, table_known, translates_addresses, uplinks


@check(Severity.ERROR, layer="ipv6")
def ipv6_masquerade_missing(host: Host) -> Verdicts:
    subnets, others = ipv6_subnets_of_docker(host, manages_ip6tables(host), table_known(host, "nat", "ipv6"))
    yield from others
    tables = host.root.tables("nat", "ipv6")
    for each in subnets:
        if each.is_unique_local and not translates_addresses(each.bridge.network, 6).no:
            yield from _judge(host, each, tables)


def _judge(host: Host, each: Ipv6Subnet, tables: tuple[FirewallTable, ...]) -> Verdicts:
    answers = [table.masquerades(each.prefix, each.bridge.device, uplinks(host, 6)) for table in tables]
    if any(truth is Truth.YES for truth, _ in answers):
        return
    doubtful = next((rule for truth, rule in answers if truth is Truth.UNKNOWN and rule), None)
    if doubtful:
        where = f"{doubtful.span.source.path}:{doubtful.span.line}"
        question = f"whether the rule at {where} masquerades {each.prefix}"
        yield Unjudged(question, "it has conditions", (), ("nft -a list ruleset",))
        return
    yield _fault(host, each, tables)


def _fault(host: Host, each: Ipv6Subnet, tables: tuple[FirewallTable, ...]) -> Fault:
    network = each.bridge.network
    chains = [table.chains["POSTROUTING"] for table in tables if "POSTROUTING" in table.chains]
    evidence = [Evidence(chain_span(chain), f"no rule here masquerades {each.prefix}") for chain in chains]
    of_network = f"network {network.name} has {each.prefix}"
    evidence.append(related(each.subnet.span, of_network) if chains else Evidence(each.subnet.span, of_network))
    sure = translates_addresses(network, 6).yes and host.root.firewall.whole
    rule = sh("POSTROUTING -s {} ! -o {} -j MASQUERADE", each.prefix, each.bridge.device)
    return Fault(
        message=f"no MASQUERADE of ip6tables covers {each.prefix} of network `{network.name}`",
        subjects=each.bridge.subjects,
        evidence=tuple(evidence),
        remedy=(f"ip6tables -t nat -I {rule}",),
        verify=(f"ip6tables -t nat -C {rule}", "ip6tables -t nat -L POSTROUTING -v -n -x"),
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
    )
