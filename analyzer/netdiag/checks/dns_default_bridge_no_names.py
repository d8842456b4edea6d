"""Name resolution between containers on the default bridge does not exist.

## What it finds
Two or more running containers whose only network is the engine's default one, on which they do not know each other's
names.

## Why it matters
`bad address 'db'`: by address they reach each other, by name they do not. Docker resolves the names of containers only
on networks that somebody made, podman likewise.

## How it is decided
The containers have one endpoint, on network `bridge` of Docker or `podman` of podman, and no links. A container that is
linked, or that somebody is linked to, is left out.

## Not a problem when
The containers have nothing to do with each other.

## Repair
Put the containers that talk to each other on a network of their own.

## Verify
One resolves the name of the other.

## References
docs.docker.com/engine/network/drivers/bridge; podman-network-create(1).
"""

import shlex

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Host
from netdiag.model.gates import is_running, whole

_DEFAULT = {"docker": "bridge", "podman": "podman"}
_MOST_NAMED = 10


@check(Severity.NOTE, layer="dns")
def dns_default_bridge_no_names(host: Host) -> Verdicts:
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers there are"))
    alone = [each for each in host.containers if _is_only_there(each)]
    if not alone and host.containers.whole:
        yield NotApplicable("no running container is on the default network alone")
    linked = {link.partition(":")[0].removeprefix("/") for each in host.containers for link in each.links}
    strangers = [each for each in alone if not each.links and each.name not in linked]
    for engine in _DEFAULT:
        of_engine = [each for each in strangers if each.engine == engine]
        if len(of_engine) > 1:
            yield _fault(of_engine)
            return  # one note says it


def _is_only_there(container: Container) -> bool:
    networks = [endpoint.network for endpoint in container.endpoints]
    return is_running(container).yes and networks == [_DEFAULT[container.engine]]


def _fault(strangers: list[Container]) -> Fault:
    engine, network = strangers[0].engine, _DEFAULT[strangers[0].engine]
    shown = strangers[:_MOST_NAMED]
    names = ", ".join(f"`{each.name}`" for each in shown)
    more = f" and {len(strangers) - _MOST_NAMED} more" if len(strangers) > _MOST_NAMED else ""
    return Fault(
        message=f"containers {names}{more} on the default network `{network}` do not resolve each other's names",
        subjects=(Subject("network", network), *(Subject("container", each.name) for each in shown)),
        evidence=tuple(Evidence(each.endpoints[0].span, f"the only network of {each.name}") for each in shown),
        remedy=(
            f"{engine} network create together",
            *(shlex.join([engine, "network", "connect", "together", each.name]) for each in shown),
        ),
        verify=(shlex.join([engine, "exec", shown[0].name, "nslookup", shown[1].name]),),
    )
