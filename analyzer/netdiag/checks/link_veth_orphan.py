"""Orphan host veth (no container owns the peer).

## What it finds
A veth on a Docker bridge, or with a name that Docker gives, whose other end is in no container.

## Why it matters
Each one uses a port of the bridge (1023 at most; then `exchange full` and no container can be started), and it shows
that a container was torn down badly: something may still hold its namespace.

## How it is decided
Gates: the engine is here; the host's links were collected with details (`ip -d`), and so were those of every running
container's namespace. A veth is an orphan when no collected namespace has a link with the ifindex that it names and
that names it back, and either its other end is in the host's own namespace (`vetha@vethb`), or it is a port of a Docker
bridge. A sandbox of Docker's that has neither a container nor a process (`lsns`) was left behind and owns nothing.

## Not a problem when
A build runs (the steps of `docker build` are on the default bridge and are no containers): its sandbox has a process.
libvirt, LXC, systemd-nspawn, Podman, a CNI plug-in or a person made the veth: it then is no port of a Docker bridge, or
its other end is on another bridge of the host or has an address. Swarm's own sandboxes have ports on `docker_gwbridge`,
which is left out. A container could not be started for want of its port: the kernel takes a moment to delete the veth
that was made for it, which is part of that finding. A veth that came or went while the bundle was being collected
belongs to a container that was just being started or removed.

## Repair
Delete the veth; then find who holds the namespace (`lsns -t net`).

## Verify
The veth is gone.

## References
docker/for-linux#109; moby/libnetwork#1850; moby/moby#18814.
"""

import re
from collections import Counter

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import bridge_networks, related, sh
from netdiag.checks._start_errors import failed_starts, left_on
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Link
from netdiag.model import Host
from netdiag.model.gates import has_own_namespace, is_running, is_used, unknown, whole
from netdiag.model.knowledge import all_of

_NAMED_BY_DOCKER = re.compile(r"veth[0-9a-f]{7}")
_OF_SWARM = "docker_gwbridge"


@check(
    Severity.WARNING,
    layer="link",
    symptom_of=(
        "link-netns-leak",
        "bridge-l2-loop",
        "bridge-uplink-enslaved",
        "port-conflict",
        "port-bound-host-ip-missing",
    ),
)
def link_veth_orphan(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, whole(host.root.links, "the links of the host"))
    yield from others
    devices = {bridge.device for bridge in bridges} - {_OF_SWARM}
    inner_ends = {
        (inner.peer_index, inner.index)
        for netns in host.namespaces[1:]
        if not is_used(host, netns).no
        for inner in netns.links
    }
    moving = {each.name for each in host.movement.objects if each.kind == "interface"} if host.movement else set()
    suspects = [
        link
        for link in (host.root.links if bridges else ())
        if _is_suspect(link, devices, inner_ends) and not _joins_something(host, link) and link.name not in moving
    ]
    if suspects and not host.containers.whole:
        yield unjudged(whole(host.containers, f"who owns {suspects[0].name}"))
        return
    not_seen = [
        container
        for container in host.containers
        if not all_of(is_running(container), has_own_namespace(container)).no and not _is_seen(host, container)
    ]
    if suspects and not_seen:
        names = ", ".join(container.name for container in not_seen)
        yield unjudged(
            unknown(f"who owns {suspects[0].name}", "ip_addr", because=f"the namespaces of {names} were not collected")
        )
        return
    if bridges and not any(link.kind for link in host.root.links):
        yield NotApplicable("the list of links has no details, so veths cannot be told")
    failed, seen = failed_starts(host), Counter[str]()
    for link in _one_of_each_pair(suspects):
        device = link.master or ""
        yield _fault(host, link, left_on(device, seen[device], failed))
        seen[device] += 1


def _one_of_each_pair(suspects: list[Link]) -> list[Link]:
    """Both ends of an orphan pair may be suspects: the one on a bridge tells more, and deleting it deletes the
    other.
    """
    ranked = sorted(suspects, key=lambda link: link.master is None)
    places = {link.name: place for place, link in enumerate(ranked)}
    return [link for place, link in enumerate(ranked) if places.get(link.peer_name or "", place) >= place]


def _is_seen(host: Host, container: Container) -> bool:
    """Whether all links of the container's namespace were collected."""
    netns = host.namespace_of(container)
    return netns is not None and netns.links.whole


def _is_suspect(link: Link, devices: set[str], inner_ends: set[tuple[int | None, int | None]]) -> bool:
    if link.kind != "veth" or (link.index, link.peer_index) in inner_ends:
        return False
    peer_is_here = link.peer_name is not None
    return link.master in devices or (peer_is_here and link.master is None and _both_named_by_docker(link))


def _joins_something(host: Host, link: Link) -> bool:
    """Somebody has joined a Docker bridge with something else of the host: the other end is on another bridge, or has
    an address.
    """
    peer = host.root.link(link.peer_name) if link.peer_name else None
    if peer is None:
        return False
    return peer.master not in (None, link.master) or any(address.scope != "link" for address in peer.addresses)


def _both_named_by_docker(link: Link) -> bool:
    return all(_NAMED_BY_DOCKER.fullmatch(name) for name in (link.name, link.peer_name or ""))


def _fault(host: Host, link: Link, left: tuple[Subject, ...]) -> Fault:
    evidence = [Evidence(link.span, _where_the_peer_is(link))]
    peer = host.root.link(link.peer_name) if link.peer_name else None
    if peer:
        evidence.append(related(peer.span, "its other end, in the host's own namespace"))
    on = f" on bridge `{link.master}`" if link.master else ""
    subjects = (Subject("interface", link.name), *((Subject("bridge", link.master),) if link.master else ()))
    return Fault(
        message=f"veth `{link.name}`{on} belongs to no container",
        subjects=subjects,
        evidence=tuple(evidence),
        remedy=(sh("ip link delete {}", link.name),),
        verify=(sh("ip link show dev {}", link.name), "lsns -t net"),
        follows=(*subjects, *left),
    )


def _where_the_peer_is(link: Link) -> str:
    if link.peer_name:
        return f"its other end {link.peer_name} is in the host's own namespace"
    return f"its other end (ifindex {link.peer_index}) is in no container's namespace"
