"""IPVS 900 s TCP timeout < keepalive 7200.

## What it finds
Tasks of services that send their first TCP keepalive later than IPVS forgets idle connections.

## Why it matters
Connections to the address of a service go through IPVS, which forgets them after 900 seconds of silence. What comes
later is answered with a reset or not at all: pools of database connections break when they were idle for a quarter of
an hour.

## How it is decided
Gates: the engine is in a swarm, and a running container is a task of a service on an overlay network.
`net.ipv4.tcp_keepalive_time` of the task's own namespace is more than 900; the kernel's default is 7200. The time-out
of IPVS itself is not to be seen. One finding names all tasks.

## Not a problem when
The programs set a keepalive of their own, or use the tasks' addresses (`tasks.<service>`, `--endpoint-mode dnsrr`).

## Repair
Give the services a shorter keepalive time.

## Verify
New tasks have it.

## References
moby/moby#31208; moby/moby#37822; moby/moby#37466; docker/docs#5519; ipvsadm(8) (--set).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._overlay import members, service_of, swarm_of
from netdiag.checks._sysctl import number
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, Sysctl
from netdiag.model import Host
from netdiag.model.gates import unknown

KEY = "net.ipv4.tcp_keepalive_time"
_IPVS_TIMEOUT, _SHORTER = 900, 600


@check(Severity.NOTE, layer="overlay", symptom_of=("overlay-ipvs-missing",))
def overlay_ipvs_idle_timeout(host: Host) -> Verdicts:
    swarm, others = swarm_of(host)
    if swarm is None:
        yield from others
        return
    tasks = {member.container.id: member.container for member in members(host) if service_of(member.container)}
    if not tasks:
        yield NotApplicable("no task of a service runs on this node")
        return
    late: list[tuple[Container, Sysctl]] = []
    for container in tasks.values():
        netns = host.namespace_of(container)
        setting = netns.sysctl(KEY) if netns else None
        if setting is None:
            yield unjudged(unknown(f"the keepalive time of container {container.name}", "sysctl"))
        elif (number(setting) or 0) > _IPVS_TIMEOUT:
            late.append((container, setting))
    if late:
        yield _fault(late)


def _fault(late: list[tuple[Container, Sysctl]]) -> Fault:
    services = list(dict.fromkeys(service for container, _ in late if (service := service_of(container))))
    names = ", ".join(f"`{service}`" for service in services[:4])
    more = f" and {len(services) - 4} more" if len(services) > 4 else ""
    return Fault(
        message=f"tasks of services {names}{more} keep idle connections alive later than IPVS forgets them "
        f"({_IPVS_TIMEOUT} seconds)",
        subjects=tuple(Subject("container", container.name) for container, _ in late),
        evidence=(
            Evidence(late[0][1].span, f"the first keepalive of {late[0][0].name}, in seconds"),
            *(related(setting.span, f"of {container.name}") for container, setting in late[1:3]),
        ),
        remedy=tuple(sh("docker service update --sysctl-add {}={} {}", KEY, _SHORTER, each) for each in services),
        verify=tuple(
            sh("docker service inspect -f {} {}", "{{.Spec.TaskTemplate.ContainerSpec.Sysctls}}", each)
            for each in services[:4]
        ),
    )
