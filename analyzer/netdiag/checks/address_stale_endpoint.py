"""Network lists an endpoint of a container that is not there.

## What it finds
An entry in a network's list of containers whose container does not exist or does not run; also an endpoint that has no
container at all, which the engine lists as `ep-<id>`.

## Why it matters
The address stays taken, the network cannot be removed (`has active endpoints`), and a container of that name cannot
join it (`endpoint with name X already exists in network Y`).

## How it is decided
Gates: all containers and networks were inspected. The list of a network holds running containers only. A container that
was started or stopped while the bundle was being collected leaves the question open.

## Not a problem when
The entry is one that swarm makes for itself (`lb-<network>`, `ingress-sbox`, `gateway_<id>`).

## Repair
Disconnect the entry by its name. If the engine does not know it, restart the engine, which clears what is stale.

## Verify
The network no longer lists it.

## References
moby/moby#33156; moby/moby#20398; moby/moby#17217; docker/cli#1891; moby/libnetwork#2038.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import no_networks, related, restart, sh
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Network, NetworkMember
from netdiag.model import Gate, Host, Truth
from netdiag.model.gates import is_running, whole
from netdiag.model.knowledge import all_of

_WITHOUT_CONTAINER = "ep-"
_OF_SWARM = ("lb-", "gateway_", "ingress-sbox")


@check(Severity.WARNING, layer="address", symptom_of=("link-bridge-missing",))
def address_stale_endpoint(host: Host) -> Verdicts:
    if host.engine.absent or not host.networks.items:
        yield NotApplicable(host.engine.absent) if host.engine.absent else no_networks(host)
        return
    known = all_of(
        whole(host.containers, "which containers there are"),
        whole(host.networks, "which endpoints the networks list"),
    )
    if known.unknown:
        yield unjudged(known)
        return
    for network in (each for each in host.networks if each.engine == "docker"):
        for member in network.members or ():
            container = host.container(member.container_id)
            if member.name.startswith(_OF_SWARM) or member.container_id.startswith(_OF_SWARM):
                continue
            if container is None or is_running(container).no:
                moved = _changed_meanwhile(host, member, container)
                yield unjudged(moved) if moved.unknown else _fault(host, network, member, container)


def _changed_meanwhile(host: Host, member: NetworkMember, container: Container | None) -> Gate:
    """Whether the container may have been started or stopped between the two inspections. While it has no sandbox, a
    network lists its endpoint by a number of the endpoint's own.
    """
    if container is not None and container.state in ("created", "restarting", "removing"):
        because = "it was starting or stopping while the bundle was being collected: collect again"
        return Gate(Truth.UNKNOWN, f"whether the endpoint of container {container.name} is stale", because)
    moved = host.movement.objects if host.movement else ()
    words = next((each.words for each in moved if each.kind == "container" and each.name == member.name), "")
    if words:
        because = f"the container {words} while the bundle was being collected: collect again"
        return Gate(Truth.UNKNOWN, f"whether the endpoint of container {member.name} is stale", because)
    return Gate(Truth.NO)


def _fault(host: Host, network: Network, member: NetworkMember, container: Container | None) -> Fault:
    nobody = member.container_id.startswith(_WITHOUT_CONTAINER) or not member.name
    name = member.name or member.container_id[:12]
    because = f"is {container.state}" if container else "does not exist"
    return Fault(
        message=f"network `{network.name}` lists an endpoint of container `{name}`, which {because}",
        subjects=(Subject("container", name), Subject("network", network.name)),
        evidence=(
            Evidence(member.span, f"{name} is still listed here"),
            *((related(container.span, f"the engine's record of {name}: it {because}"),) if container else ()),
        ),
        remedy=restart(host) if nobody else (sh("docker network disconnect -f {} {}", network.name, name),),
        verify=(sh("docker network inspect {}", network.name), "docker ps -a"),
        confidence=Confidence.MEDIUM if container else Confidence.HIGH,
    )
