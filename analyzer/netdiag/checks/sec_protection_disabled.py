"""Docker 28+ protections switched off.

## What it finds
On Docker 28 or newer, containers that a neighbour reaches at their own addresses: at a port that is published for the
host alone, or at one that nobody published.

## Why it matters
Since 28.0 Docker drops what is routed to a container's own address, so that only published ports can be reached. A
setting or an environment variable of the daemon switches that off, or the rules of the raw table got lost.

## How it is decided
Gates: Docker 28.0 or newer manages this namespace with iptables; the filter, nat and raw tables were collected; there
is a default route. New connections that a neighbour sends to the containers' own addresses, to ports that are published
on loopback only or not at all and that somebody listens on, are put to the rules and the routes of the host. Where the
network is in gateway mode nat-unprotected, or the daemon runs with allow-direct-routing, somebody asked for it: that is
a note.

## Not a problem when
The network is in gateway mode routed or nat-unprotected on purpose, and the neighbours may reach its containers.

## Repair
Restart Docker, which programs its rules anew; take DOCKER_INSECURE_NO_IPTABLES_RAW out of its environment,
allow-direct-routing out of its settings. For a network that is open on purpose the commands close it until the next
restart.

## Verify
A neighbour with a route is not answered any more.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby/moby#49325; moby libnetwork/drivers/bridge
(filterDirectAccess).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, restart
from netdiag.checks._exposure import (
    Door,
    Doubts,
    doors,
    keep_routed_out,
    led_ports,
    lets_routed_in,
    loopback_ports,
    open_services,
    routed_door,
)
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Host
from netdiag.model.gates import bridge_option, manages_iptables, table_known
from netdiag.model.knowledge import all_of
from netdiag.spans import Span

_MOST_NAMED = 5
_SWITCH = "DOCKER_INSECURE_NO_IPTABLES_RAW"


@dataclass(frozen=True)
class _Reached:
    container: Container
    bridge: BridgeNetwork
    door: Door
    what: str
    span: Span


@check(Severity.WARNING, layer="security")
def sec_protection_disabled(host: Host) -> Verdicts:
    old = lets_routed_in(host)
    if old.unknown:
        yield unjudged(old)
        return
    if old.yes or host.engine.absent:
        yield NotApplicable(host.engine.absent or "Docker has such protection since 28.0")
        return
    gate = all_of(manages_iptables(host), *(table_known(host, name) for name in ("filter", "raw")))
    bridges, others = docker_networks(host, gate)
    yield from others
    if not bridges:
        return
    doubts = Doubts()
    reached = list(_reached(host, bridges, doubts))
    meant = [each for each in reached if _on_purpose(host, each)]
    lost = [each for each in reached if each not in meant]
    if lost:
        yield _fault(host, lost)
    if meant:
        yield _note(host, meant)
    yield from doubts.verdicts("whether neighbours reach containers at their own addresses")


def _reached(host: Host, bridges: list[BridgeNetwork], doubts: Doubts) -> Iterator[_Reached]:
    if not doors(host):
        return
    ports, _ = led_ports(host)
    for each in loopback_ports(ports):
        door = routed_door(host, each, doubts)
        if door:
            what = f"{each.name} of `{each.container.name}`, published for the host only"
            yield _Reached(each.container, each.bridge, door, what, each.port.span)
    closed = [bridge for bridge in bridges if bridge_option(bridge.network, "gateway_mode_ipv4") != "routed"]
    for open_ in open_services(host, closed, 4, doubts):
        attachment = open_.attachment
        what = f"{open_.name}, not published"
        yield _Reached(attachment.container, attachment.bridge, open_.door, what, open_.socket.span)


def _on_purpose(host: Host, each: _Reached) -> bool:
    setting = host.engine.setting("allow-direct-routing")
    open_network = bridge_option(each.bridge.network, "gateway_mode_ipv4") == "nat-unprotected"
    return open_network or (setting is not None and setting.value == "true")


def _subjects(reached: list[_Reached]) -> tuple[Subject, ...]:
    networks = dict.fromkeys(Subject("network", each.bridge.network.name) for each in reached)
    return *networks, *dict.fromkeys(Subject("container", each.container.name) for each in reached)


def _named(reached: list[_Reached]) -> str:
    more = f" and {len(reached) - _MOST_NAMED} more" if len(reached) > _MOST_NAMED else ""
    return ", ".join(each.what for each in reached[:_MOST_NAMED]) + more


def _fault(host: Host, lost: list[_Reached]) -> Fault:
    warnings = host.engine.info.warnings if host.engine.info else ()
    switch = next((warning for warning in warnings if _SWITCH in warning.text), None)
    evidence = [Evidence(each.span, f"reached at its own address: {each.what}") for each in lost[:_MOST_NAMED]]
    if switch:
        evidence.append(related(switch.span, "the protection is switched off"))
    evidence.append(related(lost[0].door.span, f"{lost[0].door.device} is the way in"))
    return Fault(
        message=f"neighbours reach containers at their own addresses, which Docker should prevent: {_named(lost)}",
        subjects=_subjects(lost),
        evidence=tuple(evidence),
        remedy=restart(host),
        verify=("iptables -t raw -S PREROUTING", "iptables -S DOCKER"),
    )


def _note(host: Host, meant: list[_Reached]) -> Fault:
    setting = host.engine.setting("allow-direct-routing")
    reasons = [related(setting.span, "allowed by this setting")] if setting else []
    networks = {each.bridge.network.id: each.bridge.network for each in meant}
    reasons += [
        related(network.span, f"network {network.name} is open")
        for network in networks.values()
        if bridge_option(network, "gateway_mode_ipv4") == "nat-unprotected"
    ]
    return Fault(
        message=f"neighbours may reach containers at their own addresses: {_named(meant)}",
        subjects=_subjects(meant),
        evidence=(*(Evidence(each.span, "reached at its own address") for each in meant[:_MOST_NAMED]), *reasons),
        remedy=keep_routed_out(meant[0].door, networks.values()),
        verify=("iptables -t raw -S PREROUTING",),
        severity=Severity.NOTE,
    )
