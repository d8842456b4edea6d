"""Container resolv.conf no longer matches the host.

## What it finds
Containers that ask the name servers which the host had when they were started, while the host asks others today.

## Why it matters
After a VPN came or went, or another DHCP lease, the old servers may not answer any more: names fail in old containers
and resolve in new ones.

## How it is decided
On Docker's default bridge the servers of the host's file are copied when the container is started; on other networks
Docker's resolver keeps them, which it notes in the container's resolv.conf from 25 on (before, the bundle does not tell
them). They are compared with the host's file of today. A container without a server of the host's, because the host had
none then, is stale as well when it has one now.

## Not a problem when
Other servers were asked for (`--dns`, the daemon's `dns`), or a file is mounted in the place of resolv.conf. The order
of the servers does not matter, nor do servers of IPv6, which Docker leaves out where it cannot use them.

## Repair
Start the container anew.

## Verify
The container's resolv.conf names the servers of the host.

## References
moby libnetwork/internal/resolvconf; docs.docker.com/engine/network (DNS services).
"""

from collections.abc import Iterable, Iterator

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._dns import container_subjects, copied_servers, known_resolvers, named
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import IpAddress
from netdiag.model import Host
from netdiag.model.gates import whole
from netdiag.model.resolvers import Origin, Resolver

_MOST_SHOWN = 10


@check(Severity.WARNING, layer="dns")
def dns_resolv_stale(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    copies = [each for each in found if each.origin in (Origin.HOST, Origin.DEFAULTS, Origin.NOWHERE)]
    if copies and not host.root.name_servers.whole:
        yield unjudged(whole(host.root.name_servers, "the name servers of the host"))
        return
    stale = [each for each in copies if _is_stale(host, each)]
    if stale:
        yield _fault(host, stale)


def _is_stale(host: Host, resolver: Resolver) -> bool:
    wanted = _of_today(host, resolver)
    if not wanted:
        return False  # the host has none today, so there is nothing that the container should ask instead
    if resolver.origin is not Origin.HOST:
        return True
    if resolver.embedded and not resolver.remark("external"):
        return False  # what Docker asks is not noted
    return _of_ipv4(each.address for each in resolver.servers) != _of_ipv4(wanted)


def _of_ipv4(servers: Iterable[IpAddress]) -> set[IpAddress]:
    """Docker leaves out servers of IPv6 that the container cannot reach."""
    return {each for each in servers if each.version == 4}


def _of_today(host: Host, resolver: Resolver) -> tuple[IpAddress, ...]:
    """The servers that the container would get if it were started now."""
    if resolver.embedded:
        return tuple(each.address for each in host.root.name_servers)
    return copied_servers(host)


def _fault(host: Host, stale: list[Resolver]) -> Fault:
    shown = stale[:_MOST_SHOWN]
    old = ", ".join(str(each) for each in dict.fromkeys(s.address for r in stale for s in r.servers)) or "none"
    new = ", ".join(map(str, _of_today(host, stale[0])))
    without = any(each.origin is Origin.NOWHERE for each in stale)
    return Fault(
        message=f"containers {named(stale)} ask the name servers of their start ({old}), the host asks {new} today",
        subjects=container_subjects(shown),
        evidence=tuple(_evidence(host, shown)),
        remedy=tuple(sh("docker restart {}", each.container.name) for each in stale),
        verify=(sh("docker exec {} cat /etc/resolv.conf", stale[0].container.name), "cat /etc/resolv.conf"),
        severity=Severity.ERROR if without else Severity.WARNING,
        affects=container_subjects(stale),
    )


def _evidence(host: Host, shown: list[Resolver]) -> Iterator[Evidence]:
    for each in shown:
        note = each.remark("no external") or each.remark("external")
        span = note.span if note else each.listed[0].span
        yield Evidence(span, f"what container {each.container.name} got when it was started")
    for server in host.root.name_servers:
        yield related(server.span, "the host asks this one today")
