"""Answers of a published port leave by the wrong uplink.

## What it finds
A host with two uplinks whose policy rules send what comes from its own addresses back by the right one, and published
ports whose answers do not follow them.

## Why it matters
The port is reached on the one address of the host and not on the other: the answer has still the container's address
when the host chooses its way, so that a rule for the host's address does not fit, and the provider of the other uplink
drops it.

## How it is decided
Gates: routes and policy rules of the host were collected, and a running container on a bridge network has published
ports. For each address of the host for which a rule looks up a table of its own, the way of the host's answer and of
the container's answer to an address of the internet are looked up as the kernel does it; they leave by different links.
When a rule for a firewall mark leads to the same table, and a rule of the firewall restores marks of connections, the
host is prepared.

## Not a problem when
The port is bound to the other address; all clients are on the uplink's own network; or the upstream networks carry any
source address.

## Repair
Mark connections by the uplink that they come in by, and choose the table by that mark.

## Verify
A client behind that uplink is answered.

## References
moby/moby#35251; moby/moby#17212; canonical/lxd#1102; man ip-rule(8); man iptables-extensions(8) (CONNMARK).
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import Attachment, attachments, related, sh
from netdiag.checks._routes import is_kernels, outside, routed_networks, words_of_route
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, IpAddress, PolicyRule
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.policy import Packet
from netdiag.model.routing import Lookup, Outcome

#: Marks from here on are not likely to be somebody's.
_FIRST_MARK = 0x4E44


@dataclass(frozen=True)
class _Uplink:
    """An address of the host that has a table of its own, and the way of the host's answers from it."""

    address: Address
    rule: PolicyRule
    lookup: Lookup

    @property
    def device(self) -> str:
        return self.lookup.device or ""


@check(Severity.ERROR, layer="route")
def route_asymmetric_uplink(host: Host) -> Verdicts:
    bridges, others = routed_networks(host, collected(host.root.rules, "the policy rules of the host"))
    yield from others
    published = [each for each in attachments(host, bridges) if each.container.ports and each.endpoint.address]
    if not published and not others:
        yield NotApplicable("no running container has a published port")
        return
    for number, uplink in enumerate(_uplinks(host) if published else ()):
        lost = [each for each in published if _is_published_on(each, uplink) and _leaves_elsewhere(host, each, uplink)]
        if lost and not _is_prepared(host, uplink):
            yield _fault(host, uplink, lost, hex(_FIRST_MARK + number))


def _uplinks(host: Host) -> Iterator[_Uplink]:
    far = outside(host.root)
    if all(is_kernels(rule) for rule in host.root.rules):
        return
    for link in host.root.links:
        for address in link.addresses:
            if address.address.version != 4 or address.address.ip.is_loopback:
                continue
            lookup = host.root.routing.look_up(Packet(far, source=address.address.ip))
            rule = lookup.rule
            if rule and not is_kernels(rule) and lookup.outcome is Outcome.UNICAST and lookup.device == link.name:
                yield _Uplink(address, rule, lookup)


def _is_published_on(each: Attachment, uplink: _Uplink) -> bool:
    addresses: set[IpAddress | None] = {port.host_address for port in each.container.ports}
    return any(a is None or not int(a) or a == uplink.address.address.ip for a in addresses)


def _answer(host: Host, each: Attachment) -> Lookup:
    """The way of a container's answer to the internet."""
    address = each.endpoint.address
    source = address.ip if address else None
    return host.root.routing.route_of(Packet(outside(host.root), source=source, in_interface=each.bridge.device))


def _leaves_elsewhere(host: Host, each: Attachment, uplink: _Uplink) -> bool:
    lookup = _answer(host, each)
    return lookup.outcome is Outcome.UNICAST and lookup.device not in (None, uplink.device)


def _is_prepared(host: Host, uplink: _Uplink) -> bool:
    """Marks are restored somewhere, and a mark leads to the uplink's table."""
    by_mark = any("fwmark" in rule.selector and rule.action == uplink.rule.action for rule in host.root.rules)
    saved = any(rule.target == "CONNMARK" for table in host.root.tables("mangle") for rule in table.rules())
    native = (rule for table in host.root.nftables for chain in table.chains.values() for rule in chain.rules)
    return by_mark and (saved or any("ct mark" in rule.span.excerpt for rule in native))


def _fault(host: Host, uplink: _Uplink, lost: list[Attachment], mark: str) -> Fault:
    other = _answer(host, lost[0])
    names = list(dict.fromkeys(each.container.name for each in lost))
    bridges = list(dict.fromkeys(each.bridge.device for each in lost))
    ip = uplink.address.address.ip
    return Fault(
        message=(
            f"clients of {ip} on `{uplink.device}` get their answers from "
            f"{', '.join(f'`{name}`' for name in names)} by `{other.device}`"
        ),
        subjects=(
            Subject("interface", uplink.device),
            Subject("address", str(ip)),
            *(Subject("container", name) for name in names),
        ),
        evidence=(
            Evidence(uplink.rule.span, f"this rule fits what has the address {ip}, not what has a container's"),
            *([related(uplink.lookup.route.span, "the way that answers should take")] if uplink.lookup.route else []),
            *(
                [related(other.route.span, f"the way that they take: {words_of_route(other.route)}")]
                if other.route
                else []
            ),
        ),
        remedy=_remedy(uplink, bridges, mark),
        verify=(sh("ip route get {} from {}", outside(host.root), ip), "iptables -t mangle -L PREROUTING -v -n -x"),
    )


def _remedy(uplink: _Uplink, bridges: list[str], mark: str) -> tuple[str, ...]:
    port, action = "iptables -t mangle -A PREROUTING -i {} ", shlex.join(uplink.rule.action.split())
    return (
        sh(port + "-m conntrack --ctstate NEW -j CONNMARK --set-mark {}", uplink.device, mark),
        *(sh(port + "-j CONNMARK --restore-mark", bridge) for bridge in bridges),
        f"ip rule add fwmark {mark} {action} pref {max(uplink.rule.priority - 1, 1)}",
    )
