"""Nobody outside knows the way back to a container's IPv6 address.

## What it finds
A bridge network whose IPv6 subnet is a part of the prefix on the uplink, without address translation and without
anybody who answers for the containers on the uplink.

## Why it matters
Packets leave, and the router asks on the link who has the container's address. Nobody answers, so that no answer ever
comes back.

## How it is decided
Gates: the network is a local bridge that is meant to reach the outside, its subnet is not unique local (fc00::/7); the
IPv6 routes and rules of the host and its list of proxied addresses were collected. The subnet lies in the destination
of an on-link route by another link; no rule masquerades it; and not all addresses of running containers are proxied on
that link, or the link has `proxy_ndp=0`. Confidence is medium, because a daemon such as ndppd answers without a trace
in the kernel, and a router may have a route for the part.

## Not a problem when
The provider routes a prefix of its own to the host: then the subnet is not a part of the uplink's prefix.

## Repair
Have the host answer for its containers (`proxy_ndp`, or ndppd for all of them), and where Docker 28 or newer guards
their addresses, let in what comes by the uplink; or let the engine translate
(`ip6tables`, which masquerades such subnets too); or ask the provider for a routed prefix.

## Verify
The container gets an answer by IPv6.

## References
docs.docker.com/engine/daemon/ipv6; docker/for-linux#359; kernel Documentation/networking/ip-sysctl.rst (proxy_ndp).
"""

from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import attachments, related, sh
from netdiag.checks._exposure import address_guards, guard_opened
from netdiag.checks._ipv6 import Ipv6Subnet, ipv6_setting, ipv6_subnets, outward
from netdiag.checks._subnets import Ranges, is_on_link, main_routes
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Route
from netdiag.model import Host, Truth
from netdiag.model.gates import collected, table_known, uplinks
from netdiag.model.knowledge import all_of


@dataclass(frozen=True)
class _Unknown:
    """A container that nobody on the uplink knows."""

    name: str
    address: IpAddress


@check(Severity.ERROR, layer="ipv6", symptom_of=("ipv6-forwarding-off", "ipv6-disabled-host"))
def ipv6_gua_no_return_route(host: Host) -> Verdicts:
    subnets, others = ipv6_subnets(host)
    yield from others
    leading_out, inner = outward(subnets)
    yield from inner
    shared = [each for each in leading_out if not each.is_unique_local]
    if not shared:
        return
    known = all_of(
        collected(host.root.ipv6_routes, "the IPv6 routes of the host"),
        collected(host.root.proxied, "the addresses that the host answers for"),
        table_known(host, "nat", "ipv6"),
    )
    if known.unknown:
        yield unjudged(known)
        return
    on_link = Ranges((route.destination, route) for route in main_routes(host, 6) if is_on_link(route))
    for each in shared:
        around = [route for route in on_link.overlapping(each.prefix) if _is_around(route, each)]
        lost = _not_answered_for(host, each, around[0]) if around else []
        if lost and not _is_translated(host, each):
            yield _fault(host, each, around[0], lost)


def _is_around(route: Route, each: Ipv6Subnet) -> bool:
    devices = {hop.device for hop in route.next_hops}
    return route.destination.prefixlen <= each.prefix.prefixlen and each.bridge.device not in devices


def _is_translated(host: Host, each: Ipv6Subnet) -> bool:
    tables = host.root.tables("nat", "ipv6")
    answers = (table.masquerades(each.prefix, each.bridge.device, uplinks(host, 6))[0] for table in tables)
    return any(truth is not Truth.NO for truth in answers)


def _not_answered_for(host: Host, each: Ipv6Subnet, route: Route) -> list[_Unknown]:
    """The running containers that the host does not answer for on the link of the route."""
    device = route.next_hops[0].device or ""
    settings = (ipv6_setting(host.root, name, "proxy_ndp") for name in (device, "all"))
    answers = any(setting is None or setting.value.strip() == "1" for setting in settings)
    proxied = {entry.address for entry in host.root.proxied if entry.device == device} if answers else set()
    found = []
    for attachment in attachments(host, [each.bridge]):
        address = attachment.endpoint.address6
        if address and address.ip in each.prefix and address.ip not in proxied:
            found.append(_Unknown(attachment.container.name, address.ip))
    return found


def _fault(host: Host, each: Ipv6Subnet, route: Route, lost: list[_Unknown]) -> Fault:
    device, network = route.next_hops[0].device or "", each.bridge.network
    setting = ipv6_setting(host.root, device, "proxy_ndp")
    guards = {address: rule for rule, address in address_guards(host)}
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(item.name for item in lost))
    return Fault(
        message=(
            f"{each.prefix} of network `{network.name}` is a part of {route.destination} on `{device}`, "
            f"where nobody answers for {names}"
        ),
        subjects=(
            *each.bridge.subjects,
            Subject("interface", device),
            *(Subject("container", name) for name in dict.fromkeys(item.name for item in lost)),
        ),
        evidence=(
            Evidence(each.subnet.span, f"network {network.name} has {each.prefix}"),
            related(route.span, f"to the router all of {route.destination} is on this link"),
            *([related(setting.span, "whether the host answers for others there")] if setting else []),
        ),
        remedy=(
            sh("sysctl -w net.ipv6.conf.{}.proxy_ndp=1", device),
            *(sh("ip neigh add proxy {} dev {}", item.address, device) for item in lost),
            *(guard_opened(guards[item.address], device, item.address) for item in lost if item.address in guards),
        ),
        verify=(sh("ip -6 neigh show proxy dev {}", device), sh("docker inspect {}", lost[0].name)),
        confidence=Confidence.MEDIUM,
    )
