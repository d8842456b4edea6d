"""Collector ran in another network namespace/machine than dockerd.

## What it finds
A bundle whose links, routes and rules are not those of the namespace that the engine works in: it was collected in a
container, beside Docker Desktop or a rootless engine, with a client of another host's engine, or with dockerd in a
namespace of its own.

## Why it matters
Every bridge and every rule of the engine seems to be missing. Nothing in the bundle can be judged but the engine's own
word and the inside of containers; the other checks say *not applicable* for that reason.

## How it is decided
`docker info` names another host, Docker Desktop, or a rootless engine; or no dockerd runs in the collector's network
namespace while one runs in another, and none of its bridges is here. Where the processes cannot be seen, it is decided
by the bridges: containers run, none of several bridges of their networks exists, and no rule of the engine and no veth
does either.

## Not a problem when
There is a second engine in a container (Docker in Docker) beside the one that was asked. A single bridge that is gone
is link-bridge-missing; rules that are gone while the bridges are there are filter-docker-chains-missing.

## Repair
Collect again where the engine works: on its host, in its virtual machine, in its namespace.

## Verify
The new bundle shows the bridges of the engine's networks.

## References
docs.docker.com/engine/security/rootless; docs.docker.com/engine/manage-resources/contexts; nsenter(1).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._collecting import COLLECT, bundle_subject
from netdiag.checks._docker import related, sh
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import EngineInfo, ProcessLine
from netdiag.model import Host
from netdiag.model.gates import daemons_elsewhere, daemons_here, engine_is_here, same_host, unknown

#: Networks shown that have containers and no bridge.
_MOST_SHOWN = 5


@check(Severity.ERROR, layer="bundle")
def bundle_wrong_netns(host: Host) -> Verdicts:
    engine = host.engine
    if engine.absent:
        yield NotApplicable(engine.absent)
        return
    here = engine_is_here(host)
    if engine.info is None:
        silent = engine.silence is not None
        yield NotApplicable("Docker does not answer") if silent else unjudged(unknown("where it works", "docker_info"))
    elif here.no:
        yield _fault(host, engine.info, here.why)
    elif not (daemons_here(host) or engine.processes.whole or host.root.links.whole):
        yield unjudged(unknown("whether the engine works in this network namespace", "ps", "ip_addr"))


def _fault(host: Host, info: EngineInfo, why: str) -> Fault:
    elsewhere = [] if daemons_here(host) else daemons_elsewhere(host)
    used = [each for each in host.networks if each.engine == "docker" and each.id in host.networks_in_use]
    by_name = _is_told_by_info(host, info)
    evidence = [Evidence(info.span, why) if by_name or not elsewhere else related(info.span, "this engine was asked")]
    evidence += [related(each.span, "dockerd") if by_name else Evidence(each.span, why) for each in elsewhere]
    evidence += [related(link.span, "the links are others, from here on") for link in host.root.links.items[:1]]
    evidence += [related(each.span, f"network {each.name} has containers") for each in used[:_MOST_SHOWN]]
    return Fault(
        message=f"the bundle does not show the network that Docker works in: {why}",
        subjects=(bundle_subject(host),),
        evidence=tuple(evidence),
        remedy=(_where(info, elsewhere, by_name=by_name),),
        verify=("docker info --format '{{.Name}} {{.OperatingSystem}}'", "docker network ls", "ip -d link"),
        confidence=Confidence.HIGH if by_name or elsewhere else Confidence.MEDIUM,
        affects=(Subject("host", host.name or "host"),),
    )


def _is_told_by_info(host: Host, info: EngineInfo) -> bool:
    """The engine itself says that it is elsewhere."""
    rootless = "name=rootless" in info.security_options
    other = bool(host.name and info.host_name) and not same_host(host.name, info.host_name or "")
    return rootless or other or info.operating_system == "Docker Desktop"


def _where(info: EngineInfo, elsewhere: list[ProcessLine], *, by_name: bool) -> str:
    """How to collect where the engine works."""
    if "name=rootless" in info.security_options:
        inside = "nsenter -U --preserve-credentials -n -m -t $(cat $XDG_RUNTIME_DIR/docker.pid)"
        return f"{inside} {COLLECT}  # as the user whose engine it is"
    if info.operating_system == "Docker Desktop":
        return f'docker run --rm --privileged --net=host --pid=host -v "$PWD":/w -w /w python:3-alpine {COLLECT}'
    if by_name:
        return f"{COLLECT}  # on the host of the engine, {info.host_name}"
    if elsewhere:
        return sh("nsenter -t {} -n ", elsewhere[0].pid) + COLLECT
    return f"{COLLECT}  # on the host itself, not in a container"
