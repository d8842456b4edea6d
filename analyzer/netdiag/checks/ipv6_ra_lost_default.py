"""Host lost its IPv6 default route because it forwards.

## What it finds
An uplink that gets its address by router advertisements, on a host that forwards IPv6 packets and no longer listens to
routers (`accept_ra=1`), and that has no IPv6 default route.

## Why it matters
The host, and all of its containers, lose the IPv6 internet: at once where the kernel forgets its routers when
forwarding is switched on, and the addresses when their lifetime ends. It happens when Docker makes its first network
with IPv6, or whenever something else switches forwarding on.

## How it is decided
Gates: settings, addresses and IPv6 routes of the host were collected. The link is neither a bridge nor a port of one,
has `forwarding=1` and `accept_ra=1` (with forwarding the kernel listens only at 2), and either has a dynamic address or
knows a router in its neighbour table. There is no default route in any table.

## Not a problem when
networkd or NetworkManager listen to routers themselves (`accept_ra=0`); the default route is static; the host has no
IPv6 but link-local addresses, and no router has been seen.

## Repair
Let the uplink listen to routers although it forwards, and keep that with a file in /etc/sysctl.d. The route comes back
with the next advertisement; a router that is known gets one for the time until then.

## Verify
The default route is there, with `proto ra`.

## References
docker/for-linux#1373; docker/for-linux#844; moby/moby#43466; nextcloud/all-in-one#4392;
kernel Documentation/networking/ip-sysctl.rst (accept_ra), net/ipv6/addrconf.c (rt6_purge_dflt_routers).
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._ipv6 import has_no_ipv6, ipv6_setting
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, Link, Neighbour
from netdiag.model import Host
from netdiag.model.gates import collected, unknown
from netdiag.model.knowledge import YES, all_of

_KEY = "net.ipv6.conf.all.forwarding"


@check(Severity.ERROR, layer="ipv6")
def ipv6_ra_lost_default(host: Host) -> Verdicts:
    known = all_of(
        collected(host.root.sysctls, "whether the host forwards IPv6 packets"),
        YES if host.root.addresses_known else unknown("the addresses of the host", "ip_addr"),
    )
    if known.unknown:
        yield unjudged(known)
        return
    forwarding = host.root.sysctl(_KEY)
    if has_no_ipv6(host.root) or forwarding is None or forwarding.value.strip() == "0":
        yield NotApplicable("the host does not forward IPv6 packets")
        return
    routes = collected(host.root.ipv6_routes, "the IPv6 routes of the host")
    if routes.unknown:
        yield unjudged(routes)
        return
    leads_out = any(r.destination.prefixlen <= 3 and r.type == "unicast" for r in host.root.ipv6_routes)
    for link in host.root.links if not leads_out else ():
        if _is_deaf(host, link):
            dynamic, routers = _dynamic(link), list(_routers(host, link))
            if dynamic or routers:
                yield _fault(host, link, dynamic, routers)


def _is_deaf(host: Host, link: Link) -> bool:
    """The link would listen to routers if it did not forward."""
    wanted = {"forwarding": "1", "accept_ra": "1", "disable_ipv6": "0"}
    settings = {name: ipv6_setting(host.root, link.name, name) for name in wanted}
    return (
        link.master is None
        and link.kind != "bridge"
        and all(found is not None and found.value.strip() == wanted[name] for name, found in settings.items())
    )


def _dynamic(link: Link) -> list[Address]:
    return [a for a in link.addresses if a.address.version == 6 and a.scope == "global" and "dynamic" in a.flags]


def _routers(host: Host, link: Link) -> Iterator[Neighbour]:
    for entry in host.root.neighbours:
        if entry.device == link.name and entry.address.version == 6 and "router" in entry.flags:
            yield entry


def _fault(host: Host, link: Link, dynamic: list[Address], routers: list[Neighbour]) -> Fault:
    accepts = ipv6_setting(host.root, link.name, "accept_ra")
    forwarding = host.root.sysctl(_KEY)
    key = f"net.ipv6.conf.{link.name}.accept_ra"
    return Fault(
        message=f"`{link.name}` does not listen to IPv6 routers, because the host forwards; there is no default route",
        subjects=(Subject("interface", link.name), Subject("sysctl", key)),
        evidence=(
            *([Evidence(accepts.span, "with forwarding, routers are heard only at 2")] if accepts else []),
            *([related(forwarding.span, "the host forwards")] if forwarding else []),
            *(related(address.span, "this address came from a router") for address in dynamic[:1]),
            *(related(entry.span, "this router is known") for entry in routers[:1]),
        ),
        remedy=(
            sh("sysctl -w {}=2", key),
            sh("echo {} >/etc/sysctl.d/99-accept-ra.conf", f"{key} = 2"),
            *(sh("ip -6 route replace default via {} dev {} expires 600", r.address, r.device) for r in routers[:1]),
        ),
        verify=(sh("sysctl {}", key), "ip -6 route show default"),
    )
