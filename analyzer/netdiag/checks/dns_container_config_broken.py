"""resolv.conf inside container lists unusable server (127.0.0.1, own IP, IPv6-only on v4 network).

## What it finds
Name servers in the file that a container reads which it can never ask: a loopback address or its own, on which nothing
in its namespace listens; one of IPv6 where the container has no way out by IPv6.

## Why it matters
When no other server is in the file, no name resolves in the container. When such a server stands first, every look-up
waits for it before the next one is asked.

## How it is decided
The file is the one that is mounted on /etc/resolv.conf, else the one that the engine made. The sockets and routes are
those of the container's namespace. 127.0.0.11 in the engine's own file is Docker's resolver, of which
dns-embedded-nat-missing speaks.

## Not a problem when
A resolver runs in the container or in one that shares its network (unbound, dnsmasq, a mesh's sidecar).

## Repair
Write a server that can be asked into the mounted file; when it is the host's own, start the container without the
mount, with `--dns`.

## Verify
A name resolves in the container.

## References
docker/for-linux#1404; moby/moby#43705; resolv.conf(5).
"""

import shlex
from collections.abc import Iterator

from netdiag.checks._base import Fault, Unjudged, Verdicts, check, unjudged
from netdiag.checks._dns import known_resolvers, listens_for_names, usable_servers
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, NameServer
from netdiag.model import Gate, Host, Outcome, Packet
from netdiag.model.gates import no
from netdiag.model.knowledge import YES
from netdiag.model.resolvers import EMBEDDED, Origin, Resolver

_HOSTS_OWN = ("/etc/", "/run/", "/var/run/", "/usr/")


@check(Severity.ERROR, layer="dns")
def dns_container_config_broken(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    for resolver in found:
        gates = [(server, _is_usable(resolver, server)) for server in resolver.listed]
        dead = [(server, gate) for server, gate in gates if gate.no]
        open_questions = [gate for _, gate in gates if gate.unknown]
        if len(dead) == len(gates) and dead:
            yield _fault(host, resolver, dead, Severity.ERROR)
        elif dead and gates[0][1].no and not open_questions:
            yield _fault(host, resolver, dead, Severity.WARNING)
        else:
            yield from _questions(resolver, open_questions)


def _questions(resolver: Resolver, gates: list[Gate]) -> Iterator[Unjudged]:
    for gate in gates:
        question = unjudged(gate)
        yield Unjudged(
            f"{question.reason} in container {resolver.container.name}",
            question.because,
            question.missing,
            question.ask,
        )


def _is_usable(resolver: Resolver, server: NameServer) -> Gate:
    address = server.address
    if address == EMBEDDED and resolver.origin is not Origin.MOUNTED:
        return YES
    if address.is_loopback or address in _own_addresses(resolver):
        return listens_for_names(resolver.netns, address)
    if address.version == 6 and resolver.netns.ipv6_routes.whole:
        found = resolver.netns.routing.look_up(Packet(address))
        if found.outcome is Outcome.NO_ROUTE and found.certain:
            return no(f"the container has no way to {address}, for lack of IPv6")
    return YES


def _own_addresses(resolver: Resolver) -> set[IpAddress]:
    return {address.address.ip for link in resolver.netns.links for address in link.addresses}


def _fault(host: Host, resolver: Resolver, dead: list[tuple[NameServer, Gate]], severity: Severity) -> Fault:
    container = resolver.container
    servers = ", ".join(str(server.address) for server, _ in dead)
    rest = "and it has no other" if severity is Severity.ERROR else "which it asks first"
    evidence = [Evidence(server.span, gate.why) for server, gate in dead]
    if resolver.mount:
        evidence.append(related(resolver.mount.span, f"its file is {resolver.mount.source} of the host"))
    return Fault(
        message=f"container `{container.name}` cannot ask name server {servers}, {rest}",
        subjects=(
            Subject("container", container.name),
            *(Subject("address", str(server.address)) for server, _ in dead),
        ),
        evidence=tuple(evidence),
        remedy=_remedy(host, resolver),
        verify=(sh("{} exec {} nslookup example.org", container.engine, container.name),),
        severity=severity,
    )


def _remedy(host: Host, resolver: Resolver) -> tuple[str, ...]:
    container, mount, servers = resolver.container, resolver.mount, usable_servers(host)
    if mount is None:
        return (sh("{} restart {}", container.engine, container.name),)
    if mount.source.startswith(_HOSTS_OWN) or not servers:
        again = "  # and start it again without the mount on /etc/resolv.conf, with --dns"
        return (sh("{} rm -f {}", container.engine, container.name) + again,)
    lines = " ".join(f"'nameserver {each}'" for each in servers)
    return (f"printf '%s\\n' {lines} >{shlex.quote(mount.source)}",)
