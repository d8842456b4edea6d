"""ip_vs not available / backends missing/weight 0.

## What it finds
A node of a swarm that runs tasks of services on a kernel without IPVS.

## Why it matters
The address of a service and the ports that it publishes by the routing mesh lead nowhere: connections to them time out,
although each task answers on its own address. The engine only writes `Failed to create an ipvs handle` into its log.

## How it is decided
Gates: the engine is in a swarm, and a running container is a task of a service on an overlay network. IPVS gives every
network namespace its settings `net.ipv4.vs.*`; when a whole list of settings has none of them, the kernel has no IPVS.
Tasks that are on no ingress network may be of services without an address of their own (`--endpoint-mode dnsrr`): then
confidence is medium.

## Not a problem when
All services use `--endpoint-mode dnsrr` and publish ports with `mode=host`.

## Repair
Load the modules, and restart the engine; where the kernel does not have them, install one that does, or use dnsrr and
host mode.

## Verify
`/proc/net/ip_vs` is there; the service's address answers.

## References
moby libnetwork/service_linux.go; docs.docker.com/engine/swarm/networking; kernel
Documentation/networking/ipvs-sysctl.rst.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._overlay import Member, members, service_of, swarm_of
from netdiag.checks._sysctl import settings_known
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Host

_SETTINGS = "net.ipv4.vs."


@check(Severity.ERROR, layer="overlay")
def overlay_ipvs_missing(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    tasks = [member for member in members(host) if service_of(member.container)]
    if not tasks:
        yield NotApplicable("no task of a service runs on this node")
        return
    known = settings_known(host, "whether the kernel has IPVS")
    if not known.yes:
        yield unjudged(known)
    elif not any(setting.key.startswith(_SETTINGS) for setting in host.root.sysctls):
        yield _fault(host, tasks)


def _fault(host: Host, tasks: list[Member]) -> Fault:
    services = list(dict.fromkeys(service for member in tasks if (service := service_of(member.container))))
    meshed = any(member.network.ingress for member in tasks)
    names = ", ".join(f"`{service}`" for service in services[:4])
    more = f" and {len(services) - 4} more" if len(services) > 4 else ""
    first = next((member for member in tasks if member.network.ingress), tasks[0])
    neighbours = [setting.span for setting in host.root.sysctls if setting.key > _SETTINGS][:1]
    return Fault(
        message=f"the kernel has no IPVS, so the addresses and published ports of services {names}{more} lead nowhere",
        subjects=(
            Subject("host", host.name),
            *dict.fromkeys(Subject("container", member.container.name) for member in tasks),
        ),
        evidence=(
            Evidence(first.endpoint.span, f"{first.container.name} is a task on network {first.network.name}"),
            *(related(span, "the settings go on here without any of net.ipv4.vs") for span in neighbours),
        ),
        remedy=(
            "modprobe -a ip_vs ip_vs_rr",
            "printf '%s\\n' ip_vs ip_vs_rr >/etc/modules-load.d/ip_vs.conf",
            "systemctl restart docker",
        ),
        verify=("cat /proc/net/ip_vs", "docker service ls"),
        confidence=Confidence.HIGH if meshed else Confidence.MEDIUM,
        affects=(Subject("host", host.name),),
    )
