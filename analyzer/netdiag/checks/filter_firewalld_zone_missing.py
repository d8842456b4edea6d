"""A Docker bridge is not in firewalld's zone docker.

## What it finds
On a host with firewalld, a bridge of the engine that is in no zone of its own, so that firewalld's default zone decides
about its packets, or in another zone than `docker`.

## Why it matters
firewalld's tables come beside the engine's, and what they reject the engine cannot let through: the default zone
rejects what containers send to the outside. A bridge that somebody put into another zone also keeps the engine from
starting (`ZONE_CONFLICT: 'docker0' already bound to a zone`).

## How it is decided
Gates: the engine programs the firewall of this namespace; `nft list ruleset` or iptables-save shows firewalld's chains
of zones. A bridge's zone is where the rule with its name leads. It is an error when a flow that should pass is then
dropped by firewalld's table; a bridge that a rule puts into another zone, and whose flows pass, is a warning from 20.10
on, where the engine wants it in its own.

## Not a problem when
The default zone accepts everything (`trusted`), or the engine is older than 20.10 and its bridges are in a zone that
does.

## Repair
Put the bridge into the zone docker, and take it out of the other one for good.

## Verify
`firewall-cmd --get-active-zones` lists the bridge under `docker`.

## References
moby/moby#41609; docker/for-linux#1163; moby libnetwork/iptables/firewalld.go; firewalld.zone(5).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.checks._drops import blocked_on, named
from netdiag.checks._wanted import Wanted
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import NftMatch, NftRule, NftStatement, Rule
from netdiag.model import Host
from netdiag.model.flow import AnyRule
from netdiag.model.gates import collected, manages_firewall
from netdiag.model.knowledge import all_of
from netdiag.spans import Span

#: The chains that send packets to their zone, of firewalld before and from 1.0, in nftables and in iptables.
_BY_ZONE = ("filter_FORWARD_ZONES", "filter_FORWARD_IN_ZONES", "FORWARD_ZONES", "FORWARD_IN_ZONES")
_ZONE_OF_CHAIN = re.compile(r"(?:filter_)?FWDI?_(.+)")
_OWN_ZONE = "docker"


@dataclass(frozen=True)
class _Zones:
    """Which zone each interface is in, by which rule; `rest` is the rule for all others, `head` that of the chain."""

    of: Mapping[str, tuple[str, Span]]
    rest: tuple[str, Span] | None
    head: Span


@check(Severity.ERROR, layer="filter")
def filter_firewalld_zone_missing(host: Host) -> Verdicts:
    known = all_of(
        collected(host.root.nftables, "the rules of nftables"), collected(host.root.firewall, "the rules of iptables")
    )
    if not known.yes:
        yield unjudged(known)
        return
    bridges, others = docker_networks(host, manages_firewall(host))
    yield from others
    if not bridges:
        return
    zones = next(_zones(host), None)
    if zones is None:
        yield NotApplicable("the host has no chains of firewalld")
        return
    hit: dict[str, list[Wanted]] = {}
    for each in blocked_on(host, bridges):
        table = each.obstacle.chain.table.name
        if each.obstacle.certain and (table == "firewalld" or _of_firewalld(each.obstacle.rule)):
            hit.setdefault(each.device, []).extend(each.cases)
    for bridge in bridges:
        zone = zones.of.get(bridge.device)
        if (zone is None or zone[0] != _OWN_ZONE) and bridge.device in hit:
            yield _fault(bridge, zones, hit[bridge.device])
        elif zone and zone[0] != _OWN_ZONE and _wants_own_zone(host):
            yield _fault(bridge, zones, [])


def _wants_own_zone(host: Host) -> bool:
    """From 20.10 on the engine puts its bridges into a zone."""
    major = host.engine.version.version.partition(".")[0] if host.engine.version else ""
    return major.isdecimal() and len(major) < 4 and int(major) >= 20


def _of_firewalld(rule: AnyRule | None) -> bool:
    """The rule of iptables stands in a chain of firewalld's iptables backend."""
    return isinstance(rule, Rule) and re.match(r"(FWD[IO]?|FORWARD|IN)_", rule.chain) is not None


def _zones(host: Host) -> Iterator[_Zones]:
    for native in host.root.nftables:
        for name in _BY_ZONE[:2] if native.name == "firewalld" else ():
            chain = native.chains.get(name)
            if chain:
                yield _read([(_asked(rule), _goal(rule), rule.span) for rule in chain.rules], chain.head.span)
    for table in host.root.tables("filter"):
        for name in _BY_ZONE[2:]:
            found = table.chains.get(name)
            if found:
                rules = [(rule.in_interface or "", rule.target or "", rule.span) for rule in found.rules]
                yield _read(rules, found.head.span)


def _asked(rule: NftRule) -> str:
    asked = (each for each in rule.statements if isinstance(each, NftMatch) and each.left == "iifname")
    return next((each.values[0] for each in asked if len(each.values) == 1), "")


def _goal(rule: NftRule) -> str:
    done = (each for each in rule.statements if isinstance(each, NftStatement) and each.name in ("goto", "jump"))
    return next((each.details.get("target", "") for each in done), "")


def _read(rules: Sequence[tuple[str, str, Span]], head: Span) -> _Zones:
    of: dict[str, tuple[str, Span]] = {}
    rest: tuple[str, Span] | None = None
    for interface, goal, span in rules:
        found = _ZONE_OF_CHAIN.fullmatch(goal)
        if not found:
            continue
        if interface and interface not in ("+", "*"):
            of.setdefault(interface, (found[1], span))
        else:
            rest = rest or (found[1], span)
    return _Zones(of, rest, head)


def _fault(bridge: BridgeNetwork, zones: _Zones, hit: Sequence[Wanted]) -> Fault:
    own = zones.of.get(bridge.device)
    zone = own or zones.rest
    which = f"in firewalld's zone {zone[0]}" if zone else "in no zone of firewalld"
    how = ", the default one" if zone and not own else ""
    effect = f", which rejects {named(hit)}" if hit else f", where the engine wants it in zone {_OWN_ZONE}"
    place, label = (zone[1], "its packets go this way") if zone else (zones.head, "no rule names the bridge")
    leave = [sh("firewall-cmd --permanent --zone={} --remove-interface={}", own[0], bridge.device)] if own else []
    return Fault(
        message=f"bridge `{bridge.device}` of network `{bridge.network.name}` is {which}{how}{effect}",
        subjects=(*bridge.subjects, Subject("chain", "inet firewalld")),
        evidence=(
            Evidence(place, label),
            related(bridge.network.span, f"network {bridge.network.name}"),
            *(related(case.place, case.what) for case in hit[:1]),
        ),
        remedy=(*leave, sh("firewall-cmd --zone={} --change-interface={}", _OWN_ZONE, bridge.device)),
        verify=("firewall-cmd --get-active-zones",),
        severity=Severity.ERROR if hit else Severity.WARNING,
    )
