"""ICMP "fragmentation needed" blocked: PMTU black hole.

## What it finds
A firewall rule of the host that drops the ICMP messages by which containers learn that their packets are too large,
while it lets the connections pass that these messages belong to.

## Why it matters
A sender that never hears that its packets are too large sends them again and again: the connection is made, small
answers come, and everything large hangs. It hurts as soon as one link on the path is smaller than the container's.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge that reaches outside; the
firewall rules of the host were collected. The message (ICMP type 3 code 4, of IPv6 type 2, state RELATED) is sent
through the rules of the hooks that it meets on three ways: from the host itself to a container, from a router outside
to the host (before the address is translated back), and on from there to the container. A rule or policy is named only
when an ordinary answer of TCP passes there: else everything is dropped, which other checks say. It is an error when the
container's way out has a smaller MTU than the container, else a warning.

## Not a problem when
The rule limits only the rate, or an earlier one accepts RELATED.

## Repair
Let RELATED pass before the rule, or delete it. Limit echo requests if nobody shall ping.

## Verify
`ping -M do -s 1472` from a container tells the smaller MTU instead of saying nothing.

## References
RFC 1191; RFC 8201; RFC 4890; moby/moby#12565.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._mtu import way_out
from netdiag.checks._veths import ContainerPort, container_ports, in_namespace, words_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, NftRule, Rule
from netdiag.model import Gate, Host, Truth
from netdiag.model.flow import AnyRule, Flow
from netdiag.model.gates import reaches_outside, unknown, uplinks
from netdiag.model.hooks import BaseChain, Passage, passage
from netdiag.model.knowledge import YES
from netdiag.spans import Span

#: A port that a connection of a container has on its own side.
_EPHEMERAL = 50000

_TOO_LARGE = {4: Flow("icmp", icmp_type=3, icmp_code=4), 6: Flow("ipv6-icmp", icmp_type=2, icmp_code=0)}
_MOST_SHOWN = 4


@dataclass(frozen=True)
class _Way:
    """A hook that the messages for a container meet. The flow is any packet there, without its protocol."""

    hook: str
    flow: Flow
    what: str


@dataclass(frozen=True)
class _Blocked:
    """A way on which a rule or a policy drops the message and not the answers of TCP."""

    way: _Way
    port: ContainerPort
    version: int
    chain: BaseChain
    rule: AnyRule | None


@check(Severity.ERROR, layer="mtu")
def mtu_icmp_fragneeded_blocked(host: Host) -> Verdicts:
    ports, others = container_ports(host, _rules_known(host))
    yield from others
    dropped: dict[tuple[Span, str], list[_Blocked]] = defaultdict(list)
    doubts: dict[str, None] = {}
    for port in _one_of_each_network(ports):
        for version, address in _addresses(port):
            for way in _ways(host, port, address):
                answer = _of_the_message(host, way, version)
                if answer.truth is Truth.UNKNOWN:
                    doubts[f"whether {way.what} on network {port.network} drops ICMP of too large packets"] = None
                elif answer.truth is Truth.NO and answer.chain:
                    place = (answer.rule or answer.chain.head).span, way.hook
                    dropped[place].append(_Blocked(way, port, version, answer.chain, answer.rule))
    for blocked in dropped.values():
        yield _fault(host, blocked)
    for doubt in doubts:
        yield Unjudged(doubt, "its conditions cannot be judged")


def _rules_known(host: Host) -> Gate:
    if host.root.firewall.whole and host.root.nftables.whole:
        return YES
    because = host.root.firewall.why or host.root.nftables.why
    return unknown("all firewall rules of the host", "iptables_save", "nft_ruleset", because=because)


def _one_of_each_network(ports: list[ContainerPort]) -> list[ContainerPort]:
    """One container of each network that reaches outside: for ICMP the rules do not tell its containers apart."""
    outward = (port for port in ports if reaches_outside(port.attachment.bridge.network).yes)
    return list({port.bridge: port for port in outward}.values())


def _addresses(port: ContainerPort) -> Iterator[tuple[int, IpAddress]]:
    endpoint = port.attachment.endpoint
    for interface in (endpoint.address, endpoint.address6):
        if interface:
            yield interface.version, interface.ip


def _ways(host: Host, port: ContainerPort, address: IpAddress) -> Iterator[_Way]:
    to_container = Flow(out_interface=port.bridge, destination=address, destination_port=_EPHEMERAL)
    yield _Way("OUTPUT", to_container, "what the host itself sends to containers")
    for uplink in sorted(uplinks(host)):
        link = host.root.link(uplink)
        addresses = link.addresses if link else ()
        own = next((a.address.ip for a in addresses if a.address.version == address.version), None)
        if own and address.version == 4:  # IPv6 is not translated, so that FORWARD has the same packet
            yield _Way("PREROUTING", Flow(in_interface=uplink, destination=own), f"what comes in by {uplink}")
        yield _Way("FORWARD", replace(to_container, in_interface=uplink), f"what {uplink} brings for containers")


def _of_the_message(host: Host, way: _Way, version: int) -> Passage:
    """Whether the message passes, yes as well when nothing does."""
    message = replace(
        _TOO_LARGE[version],
        in_interface=way.flow.in_interface,
        out_interface=way.flow.out_interface,
        destination=way.flow.destination,
        state="RELATED",
    )
    answer = passage(host.root, way.hook, message)
    if answer.truth is Truth.YES:
        return answer
    ordinary = passage(host.root, way.hook, replace(way.flow, protocol="tcp", source_port=443, state="ESTABLISHED"))
    return answer if ordinary.truth is Truth.YES else Passage(Truth.YES)


def _fault(host: Host, blocked: list[_Blocked]) -> Fault:
    way, chain, rule = blocked[0].way, blocked[0].chain, blocked[0].rule
    networks = list(dict.fromkeys(each.port.network for each in blocked))
    smaller = [
        (each.port, out)
        for each in blocked
        if (out := way_out(host, each.port)) and (out.link.mtu or 0) < (each.port.inner.mtu or 0)
    ]
    primary = (
        Evidence(rule.span, "this rule drops them") if rule else Evidence(chain.head.span, "its policy drops them")
    )
    evidence: list[Evidence] = [primary]
    for port, out in smaller[:1]:
        evidence += [
            related(words_of(out.link.span, f"mtu {out.link.mtu}"), f"packets leave by {out.link.name}"),
            related(words_of(port.inner.span, f"mtu {port.inner.mtu}"), f"{port.container} sends larger ones"),
        ]
    evidence += [related(each.port.attachment.endpoint.span, f"on {each.port.network}") for each in blocked[:1]]
    named = ", ".join(f"`{name}`" for name in networks[:_MOST_SHOWN])
    more = f" and {len(networks) - _MOST_SHOWN} more" if len(networks) > _MOST_SHOWN else ""
    who = f"a rule in {_chain(chain, rule)}" if rule else f"the policy of {_chain(chain, rule)}"
    return Fault(
        message=f"{who} drops ICMP that tells of too large packets, of {way.what} ({named}{more})",
        subjects=(_subject(chain, rule), *(Subject("network", name) for name in networks)),
        evidence=tuple(evidence),
        remedy=(_remedy(chain, rule, blocked[0].version),),
        verify=(in_namespace(blocked[0].port.attachment.container, "ping -M do -s 1472 -c 1 1.1.1.1"),),
        severity=None if smaller else Severity.WARNING,
    )


def _chain(chain: BaseChain, rule: AnyRule | None) -> str:
    """The chain of the rule, or the base chain, by the words of its tool."""
    if rule:
        family = f"{rule.family} " if isinstance(rule, NftRule) else ""
        return f"{family}{rule.table} {rule.chain}"
    family = f"{chain.table.family} " if chain.backend == "nftables" else ""
    return f"{family}{chain.table.name} {chain.name}"


def _subject(chain: BaseChain, rule: AnyRule | None) -> Subject:
    if rule is None:
        return Subject("chain", _chain(chain, None))
    return Subject("rule", f"{_chain(chain, rule)} {rule.position}")


def _remedy(chain: BaseChain, rule: AnyRule | None, version: int) -> str:
    """The message accepted right before the rule, or at the end of the chain whose policy drops it."""
    if chain.backend == "nftables":
        words = {4: "icmp type destination-unreachable icmp code frag-needed", 6: "icmpv6 type packet-too-big"}[version]
        if isinstance(rule, NftRule):
            place = sh("nft insert rule {} {} {}", rule.family, rule.table, rule.chain)
            place += f" handle {rule.handle}" if rule.handle is not None else ""
        else:
            place = sh("nft add rule {} {} {}", chain.table.family, chain.table.name, chain.name)
        return f"{place} {words} accept"
    tool, words = {
        4: ("iptables", "-p icmp --icmp-type fragmentation-needed"),
        6: ("ip6tables", "-p ipv6-icmp --icmpv6-type packet-too-big"),
    }[version]
    if isinstance(rule, Rule):
        place = sh("-t {} -I {} {}", rule.table, rule.chain, rule.position)
    else:
        place = sh("-t {} -A {}", chain.table.name, chain.name)
    return f"{tool} {place} {words} -j ACCEPT"
