"""Several containers share a DNS name/alias on one network.

## What it finds
A name that containers of different docker compose projects, or of different images, have on one network.

## Why it matters
Docker answers with all of them, in an order that changes: every second request for `db` goes to the database of another
project. With compose every service's name is such an alias, so two projects on a shared network are enough.

## How it is decided
The aliases of each running container's endpoint. Containers of one compose service share its name by intent
(`--scale`). Where both belong to compose, the projects decide; else the images without their tags, and then the
confidence is medium.

## Not a problem when
The containers are copies of each other that shall take turns.

## Repair
Give one of them another name on this network: for compose in its file (`networks: ... aliases:`), else by attaching it
anew.

## Verify
The name has one address.

## References
docs.docker.com/compose/how-tos/networking; docs.docker.com/reference/cli/docker/network/connect (--alias).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import sh
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Endpoint
from netdiag.model import Host
from netdiag.model.gates import is_running, whole

_SHORT_ID = re.compile(r"[0-9a-f]{12}")


@check(Severity.WARNING, layer="dns")
def dns_duplicate_alias(host: Host) -> Verdicts:
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers there are"))
    running = [each for each in host.containers if is_running(each).yes and each.endpoints]
    if not running and host.containers.whole:
        yield NotApplicable("no running container is on a network")
    bearers: dict[tuple[str, str], list[tuple[Container, Endpoint]]] = defaultdict(list)
    for container in running:
        for endpoint in container.endpoints:
            for alias in dict.fromkeys(endpoint.aliases):
                if not _SHORT_ID.fullmatch(alias):
                    bearers[endpoint.network_id or endpoint.network, alias].append((container, endpoint))
    for (_, alias), found in sorted(bearers.items()):
        kinds = {_kind(container) for container, _ in found}
        if len(kinds) > 1:
            yield _fault(alias, found)


def _kind(container: Container) -> tuple[str, str]:
    """What containers that share a name by intent have in common."""
    if container.project:
        return "project", container.project
    repository, _, tag = (container.image or "").rpartition(":")
    return "image", repository if repository and "/" not in tag else container.image or ""


def _fault(alias: str, found: Sequence[tuple[Container, Endpoint]]) -> Fault:
    first, last = found[0], found[-1]
    container, network = last[0], last[1].network
    names = " and ".join(f"`{each.name}`" for each, _ in found[:4]) + (f" and {len(found) - 4} more" * (len(found) > 4))
    in_compose = all(each.project for each, _ in found)
    engine = container.engine
    return Fault(
        message=f"`{alias}` on network `{network}` is the name of {names}, which are not of one service",
        subjects=(Subject("network", network), *(Subject("container", each.name) for each, _ in found[:10])),
        evidence=tuple(_evidence(alias, found[:10])),
        remedy=(
            sh("{} network disconnect {} {}", engine, network, container.name),
            sh("{} network connect --alias {} {} {}", engine, f"{container.name}-{alias}", network, container.name),
        ),
        verify=(sh("{} exec {} nslookup {}", first[0].engine, first[0].name, alias),),
        confidence=Confidence.HIGH if in_compose else Confidence.MEDIUM,
    )


def _evidence(alias: str, found: Sequence[tuple[Container, Endpoint]]) -> Iterator[Evidence]:
    for container, endpoint in found:
        of = f" of project {container.project}" if container.project else f" of image {container.image}"
        place = endpoint.place.at("Aliases", endpoint.aliases.index(alias))
        yield Evidence(place.span, f"a name of container {container.name}{of}")
