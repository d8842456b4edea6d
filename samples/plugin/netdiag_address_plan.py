"""A check for netdiag of one site: Docker's networks belong into the ranges that its address plan sets aside for them.

The plan is the environment variable `NETDIAG_ADDRESS_PLAN`, ranges such as `10.200.0.0/16,10.201.0.0/16`.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from netdiag.checks import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Network, Subnet
from netdiag.model import Extent, Host

_PREDEFINED = ("bridge", "host", "none")


@check(Severity.WARNING, layer="address")
def site_subnet_outside_plan(host: Host) -> Verdicts:
    """Subnet of a Docker network is not in the site's address plan.

    ## What it finds
    A network whose IPv4 subnet is not inside one of the ranges of `NETDIAG_ADDRESS_PLAN`.

    ## Why it matters
    Docker takes any free range of its own pools. Where the same range is in use elsewhere in the company, containers
    cannot reach it, and it does not reach them.

    ## How it is decided
    Each subnet of `docker network inspect` is held against the ranges of the plan.

    ## Not a problem when
    The network is one that Docker makes itself (`bridge`, `host`, `none`): daemon.json sets its addresses (`bip`).

    ## Repair
    Make the network anew with a free subnet of the plan. Containers get new addresses.

    ## Verify
    `docker network inspect` shows the new subnet.

    ## References
    The site's address plan; docs.docker.com/reference/cli/docker/network/create.
    """
    plan = [IPv4Network(word.strip()) for word in os.environ.get("NETDIAG_ADDRESS_PLAN", "").split(",") if word.strip()]
    if not plan:
        yield NotApplicable("NETDIAG_ADDRESS_PLAN is not set")
        return
    if host.networks.extent is Extent.NONE:
        command = "docker network inspect $(docker network ls -q)"
        yield Unjudged("which networks there are", host.networks.why, host.networks.missing, (command,))
    used = [subnet.subnet for network in host.networks for subnet in network.subnets]
    free = _free(plan, [subnet for subnet in used if isinstance(subnet, IPv4Network)])
    for network in host.networks:
        for subnet in network.subnets if network.name not in _PREDEFINED else ():
            if isinstance(subnet.subnet, IPv4Network) and not any(subnet.subnet.subnet_of(each) for each in plan):
                yield _fault(network, subnet, next(free, plan[0]), plan)


def _free(plan: Sequence[IPv4Network], used: Sequence[IPv4Network]) -> Iterator[IPv4Network]:
    """Subnets of the plan with 254 addresses that no network has, or the ranges themselves where they are smaller."""
    for each in plan:
        for candidate in each.subnets(new_prefix=max(24, each.prefixlen)):
            if not any(candidate.overlaps(subnet) for subnet in used):
                yield candidate


def _fault(network: Network, subnet: Subnet, free: IPv4Network, plan: Sequence[IPv4Network]) -> Fault:
    name = shlex.quote(network.name)
    members = [shlex.quote(member.name) for member in network.members or ()]
    return Fault(
        message=f"network `{network.name}` has subnet {subnet.subnet}, which is not in {', '.join(map(str, plan))}",
        subjects=(Subject("network", network.name),),
        evidence=(Evidence(subnet.span, "this subnet"),),
        remedy=(
            *(f"docker network disconnect {name} {member}" for member in members),
            f"docker network rm {name}",
            f"docker network create --subnet {free} {name}",
            *(f"docker network connect {name} {member}" for member in members),
        ),
        verify=(f"docker network inspect {name}",),
    )
