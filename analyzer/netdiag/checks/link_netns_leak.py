"""Leaked Docker sandboxes (netns mounts without container).

## What it finds
A network namespace that Docker made for a container, and that neither a container nor a process is in any more.

## Why it matters
The file that holds the namespace keeps all that was in it: the container's address stays in use, its veth keeps a port
of the bridge, and removing the container may fail with `device or resource busy`.

## How it is decided
Gates: the engine is here; the containers and the namespaces with processes (`lsns`) are known. A sandbox is a file of
Docker's folder for namespaces (`/var/run/docker/netns`) that the collector could enter. It was left behind when no
running container has it as its SandboxKey and `lsns` shows no process in it. A stopped container keeps the SandboxKey
that it had, so that does not count. When a container was started or stopped while the bundle was being collected, the
sandbox may have been that one's: an open question.

## Not a problem when
The sandbox is one of swarm's (`1-<id>`, `lb_<id>`, `ingress_sbox`) or the host's (`default`). A step of a build has one
as well, and a process in it.

## Repair
Unmount the file and delete it; the kernel then deletes the namespace with its veth. Look for who kept it: a container
that mounts `/run` or `/var/run` of the host (monitoring tools do), or a shim that was killed.

## Verify
The file is gone, and so is the veth.

## References
docker/for-linux#109; moby/libnetwork#1765; moby libnetwork/osl/namespace_linux.go (basePath).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host, Namespace, NamespaceKind
from netdiag.model.gates import engine_is_here, is_used, no_container_moved, whole
from netdiag.model.knowledge import all_of


@check(Severity.WARNING, layer="link")
def link_netns_leak(host: Host) -> Verdicts:
    gate = all_of(
        engine_is_here(host),
        whole(host.containers, "which containers there are"),
        whole(host.namespaces_in_use, "which namespaces have processes"),
    )
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    for netns in host.namespaces:
        if netns.kind is NamespaceKind.ENGINE and is_used(host, netns).no and netns.links.items:
            settled = no_container_moved(host, f"whether sandbox {netns.path} was left behind")
            yield _fault(host, netns) if settled.yes else unjudged(settled)


def _fault(host: Host, netns: Namespace) -> Fault:
    pairs = [pair for pair in host.veth_pairs if pair.namespace == netns.id]
    first = next((link for link in netns.links if link.name != "lo"), netns.links.items[0])
    owner = next((each for each in host.containers if (each.sandbox_key or "").endswith(f"/{netns.name}")), None)
    whose = f", of container `{owner.name}`," if owner else ""
    evidence = [Evidence(first.span, f"an interface in it, entered by {netns.path}")]
    evidence += [related(pair.outer.span, f"the other end of {pair.inner.name}") for pair in pairs]
    if owner:
        evidence.append(related(owner.span, "this container had it, and does not run"))
    return Fault(
        message=f"sandbox `{netns.path}`{whose} was left behind: no container and no process is in it",
        subjects=(Subject("netns", netns.name),),
        evidence=tuple(evidence),
        remedy=(sh("umount {}", netns.path), sh("rm {}", netns.path)),
        verify=("ls /run/docker/netns", "lsns -t net"),
        affects=tuple(Subject("interface", pair.outer.name) for pair in pairs),
    )
