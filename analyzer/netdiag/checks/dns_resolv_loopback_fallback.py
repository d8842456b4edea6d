"""Host resolv.conf has only loopback/no nameservers, so containers get a wrong or no resolver.

## What it finds
Containers that ask Google's servers because the host's /etc/resolv.conf names none that they could ask, and containers
whose engine then has no server to ask at all.

## Why it matters
Names that only the host's own resolver knows (of the company, of a VPN) do not resolve in these containers, and where
8.8.8.8 may not be asked no name does. Addresses work, so it looks like a fault of the application.

## How it is decided
Docker copies the servers of /etc/resolv.conf to containers on the default bridge, but not those on a loopback address
(127.0.0.1 of dnsmasq, unbound or NetworkManager); when none is left it takes 8.8.8.8 and 8.8.4.4. From 25 on its note
in the container's resolv.conf says so; before, such servers are Docker's own when nobody asked for them and the host
does not have them. On other networks its resolver takes them too when the host's file names no server or leads nowhere;
from 28 on it then has none to ask, which is an error.

## Not a problem when
The file names only 127.0.0.53: Docker looks behind systemd-resolved itself. On networks other than the default one its
resolver asks a loopback address of the host from the host. When the host's file is right today, dns-resolv-stale says
so instead.

## Repair
Give the daemon name servers that containers can ask, or repair the host's file; then start the containers anew.

## Verify
The container's resolv.conf names that server, or Docker's note does.

## References
moby libnetwork/internal/resolvconf; moby/moby#49665; moby/moby#23910; moby/libnetwork#2187; moby/moby#38243.
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._dns import (
    container_subjects,
    copied_servers,
    known_resolvers,
    listens_for_names,
    named,
    setting_of_daemon,
    usable_servers,
)
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress
from netdiag.model import Gate, Host
from netdiag.model.gates import bridge_name, unknown, whole
from netdiag.model.knowledge import all_of
from netdiag.model.resolvers import DEFAULTS, STUB, Origin, Resolver

_RESOLV_CONF = "/etc/resolv.conf"
_QUESTION = "the name servers of the host"
_MOST_SHOWN = 5


@check(Severity.WARNING, layer="dns")
def dns_resolv_loopback_fallback(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    for each in found:
        if each.origin is Origin.UNKNOWN and each.listed and {server.address for server in each.listed} <= DEFAULTS:
            yield unjudged(unknown(f"whether {each.container.name} was meant to ask Google", "dockerd_cmdline"))
    lost = [each for each in found if each.origin in (Origin.DEFAULTS, Origin.NOWHERE)]
    if not lost:
        return
    today = _servers_known(host)
    if today.unknown:
        yield unjudged(today)
    elif not copied_servers(host):  # with a server today, what a container has is not for lack of one
        yield _fault(host, lost)


def _servers_known(host: Host) -> Gate:
    """Whether the bundle tells which servers Docker would find on the host today."""
    listed = host.root.name_servers
    if {each.address for each in listed} == {STUB}:
        return all_of(whole(listed, _QUESTION), whole(host.upstream_servers, _QUESTION))
    return whole(listed, _QUESTION)


def _fault(host: Host, lost: list[Resolver]) -> Fault:
    without = [each for each in lost if each.origin is Origin.NOWHERE]
    asked = "Docker has no name server to ask for them" if len(without) == len(lost) else "they ask Google's"
    return Fault(
        message=f"/etc/resolv.conf of the host names no server that containers {named(lost)} could ask, so {asked}",
        subjects=(Subject("host", host.name or "host"), *container_subjects(lost)),
        evidence=tuple(_evidence(host, lost)),
        remedy=_remedy(host, lost),
        verify=(sh("docker exec {} cat /etc/resolv.conf", lost[0].container.name),),
        severity=Severity.ERROR if without else Severity.WARNING,
        affects=container_subjects(lost),
    )


def _evidence(host: Host, lost: list[Resolver]) -> Iterator[Evidence]:
    for each in lost[:_MOST_SHOWN]:
        note = each.remark("no external") or each.remark("defaults")
        if note:
            yield Evidence(note.span, f"so Docker says of container {each.container.name}")
        else:
            yield Evidence(each.listed[0].span, f"what container {each.container.name} got")
    for server in host.root.name_servers:
        yield related(server.span, "a container cannot ask a server on the host's loopback address")
    entry = host.engine.file(_RESOLV_CONF)
    if entry and entry.target and not host.root.name_servers.items:
        yield related(entry.span, "the host's resolv.conf leads to a file without a server, or to none")
    if host.upstream_servers.items:
        yield related(host.upstream_servers.items[0].span, "the server that the host's own resolver asks")


def _remedy(host: Host, lost: list[Resolver]) -> tuple[str, ...]:
    """With the servers behind the host's resolver, or with the host itself when its resolver takes look-ups there."""
    servers = usable_servers(host) or tuple(_own_resolver(host))
    if servers:
        return setting_of_daemon(host, lost, dns=[str(each) for each in servers])
    return (
        "resolvectl dns || nmcli device show | grep DNS  # find a server that containers can ask",
        f"editor {_RESOLV_CONF}  # and name it there, then: systemctl restart docker",
    )


def _own_resolver(host: Host) -> Iterator[IpAddress]:
    """The address of the default bridge, when the host's resolver listens there."""
    default = next((each for each in host.networks if each.engine == "docker" and each.name == "bridge"), None)
    link = host.root.link(bridge_name(host, default)) if default else None
    for address in link.addresses if link else ():
        if address.address.version == 4 and listens_for_names(host.root, address.address.ip).yes:
            yield address.address.ip
