"""Container answers clients of a published port by another network than the one that they come by.

## What it finds
A container on several bridge networks whose published port leads to its address on one of them, while its default route
leaves by another.

## Why it matters
The answers reach the host on another bridge than the one that it expects them on. With strict reverse path filtering it
drops them: the port is reached from the host and not from outside.

## How it is decided
Gates: the container runs in a namespace of its own whose routes were collected; the nat rules of the host show where
the port leads. The way of an answer is looked up in the container, by the address that the port leads to, and then its
arrival on the host, as the kernel does it. It is an error when the host refuses it there (`rp_filter=1`), else a note:
connection tracking still finds the way back.

## Not a problem when
A rule in the container sends what comes from that address back by its own network.

## Repair
Let the default route leave by the network that the port leads to: at once in the container, for good with the priority
of its networks (`--gw-priority`, `gw_priority` in a compose file, from Docker 28 on; before, the first network by name
is the way out).

## Verify
`ip route get` in the container answers with the network's gateway.

## References
moby/moby#21741; docker/compose#3055; podman#26044; podman#17432; moby libnetwork/sandbox.go (Endpoint.Less).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netdiag.checks._addresses import inside
from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._gateways import Exit, WayOut, by_link, ways_out
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.firewall import target_option
from netdiag.model.gates import bridge_name, table_known
from netdiag.model.policy import Packet
from netdiag.model.routing import Outcome


@dataclass(frozen=True)
class _Detour:
    """A port that leads to the address of one exit, and the other exit that answers leave by."""

    way: WayOut
    rule: Rule
    entry: Exit
    leaving: Exit
    device: str


@check(Severity.ERROR, layer="route")
def route_multinet_default_surprise(host: Host) -> Verdicts:
    ways, others = ways_out(host)
    yield from others
    several = [way for way in ways if len(way.exits) > 1 and way.container.ports]
    known = table_known(host, "nat")
    if several and known.unknown:
        yield unjudged(known)
        return
    targets = _targets(host) if several else {}
    harmless = []
    for way in several:
        for detour in _detours(way, targets):
            if _is_refused(host, detour):
                yield _fault(host, [detour], Severity.ERROR)
            else:
                harmless.append(detour)
    if harmless:
        yield _fault(host, harmless, Severity.NOTE)


def _targets(host: Host) -> Mapping[str, Rule]:
    """The address that each DNAT rule leads to."""
    return {
        target_option(rule, "to-destination").partition(":")[0]: rule
        for table in host.root.tables("nat")
        for rule in table.rules()
        if rule.target == "DNAT"
    }


def _detours(way: WayOut, targets: Mapping[str, Rule]) -> Iterator[_Detour]:
    by_device = dict(by_link(way.exits))
    for entry in way.exits:
        address = entry.seat.endpoint.address
        rule = targets.get(str(address.ip)) if address else None
        if address is None or rule is None or entry.seat.is_cut_off:  # nothing comes in there
            continue
        lookup = way.netns.routing.look_up(Packet(way.far, source=address.ip))
        leaving = by_device.get(lookup.device or "")
        if lookup.outcome is Outcome.UNICAST and lookup.certain and leaving and leaving is not entry:
            yield _Detour(way, rule, entry, leaving, lookup.device or "")


def _is_refused(host: Host, detour: _Detour) -> bool:
    network = host.network(detour.leaving.seat.endpoint.network_id)
    address = detour.entry.seat.endpoint.address
    if network is None or address is None:
        return False
    arrival = Packet(detour.way.far, source=address.ip, in_interface=bridge_name(host, network))
    return host.root.routing.look_up(arrival).outcome is Outcome.REFUSED


def _fault(host: Host, detours: list[_Detour], severity: Severity) -> Fault:
    said = [
        f"`{each.way.container.name}` (reached on `{each.entry.seat.endpoint.network}`, "
        f"answers by `{each.leaving.seat.endpoint.network}`)"
        for each in detours[:5]
    ]
    drops = ", where the host drops them" if severity is Severity.ERROR else ""
    settings = [_filter(host, each) for each in detours] if severity is Severity.ERROR else []
    return Fault(
        message=f"answers of a published port leave by another network{drops}: {', '.join(said)}",
        subjects=tuple(
            subject
            for each in detours
            for subject in (
                each.way.subject,
                Subject("network", each.entry.seat.endpoint.network),
                Subject("network", each.leaving.seat.endpoint.network),
            )
        ),
        evidence=(
            *(Evidence(each.rule.span, f"the port leads to {each.way.container.name} here") for each in detours[:5]),
            *(
                related(route.span, f"{each.way.container.name} leaves by this route")
                for each in detours[:5]
                if (route := each.way.lookup.route)
            ),
            *(item for found in settings for item in found),
        ),
        remedy=tuple(_remedy(each) for each in detours[:5]),
        verify=(detours[0].way.asked(),),
        severity=severity,
    )


def _filter(host: Host, each: _Detour) -> list[Evidence]:
    network = host.network(each.leaving.seat.endpoint.network_id)
    names = ("all", bridge_name(host, network)) if network else ()
    settings = (host.root.sysctl(f"net.ipv4.conf.{name}.rp_filter") for name in names)
    return [related(found.span, "strict filtering of sources") for found in settings if found and found.value == "1"]


def _remedy(each: _Detour) -> str:
    device = next((link for link, found in by_link(each.way.exits) if found is each.entry), each.device)
    command = sh("ip route replace default via {} dev {}", each.entry.gateway, device)
    return inside(each.way.container, command)
