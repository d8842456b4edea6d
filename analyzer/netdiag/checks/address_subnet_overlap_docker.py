"""Two networks of the engine overlap.

## What it finds
Networks of one engine that share addresses: bridge, macvlan, ipvlan and overlay networks alike.

## Why it matters
No container can be on both: the second one is refused ("conflicts with existing route") or takes the other's route
away. The host sends what is meant for the one to the other, and DNS and proxies reach the wrong container.

## How it is decided
Gates: the networks were inspected. It is an error when a container is on both, or both have a device on the host; a
warning otherwise.

## Not a problem when
macvlan or ipvlan networks share the subnet of their LAN and give out disjoint ranges (`--ip-range`).

## Repair
Make one of the two anew with another subnet.

## Verify
The subnets differ.

## References
moby/moby#50011; docker/for-linux#411; moby/moby#24496; moby libnetwork/osl (conflicts with existing route).
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import no_networks, other_networks, sh
from netdiag.checks._renumber import renumbered
from netdiag.checks._subnets import overlap, spare_like
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Network, Subnet
from netdiag.model import Host
from netdiag.model.gates import is_local_bridge

_ON_A_LAN = {"macvlan", "ipvlan"}
Owned = tuple[Network, Subnet]


@check(Severity.ERROR, layer="address")
def address_subnet_overlap_docker(host: Host) -> Verdicts:
    if not host.networks.items:
        yield no_networks(host)
        return
    yield from other_networks(host)
    on = _containers_by_network(host)
    for one, other in _overlapping(host):
        if not _shares_a_lan(one, other):
            yield _fault(host, one, other, sorted(on[one[0].id] & on[other[0].id]))


def _overlapping(host: Host) -> Iterator[tuple[Owned, Owned]]:
    """Each subnet that lies in one of another network, with the narrowest such.

    Prefixes overlap only when one lies in the other, and in the order of their first addresses the wider one comes
    first.
    """
    owned = [(network, subnet) for network in host.networks if not network.config_only for subnet in network.subnets]
    owned.sort(key=lambda each: (each[1].subnet.version, int(each[1].subnet.network_address), each[1].subnet.prefixlen))
    around: list[Owned] = []
    for network, subnet in owned:
        while around and not _lies_in(subnet, around[-1][1]):
            around.pop()
        # one network may be told twice, by itself with an id and by a container with its name alone
        if around and not {around[-1][0].id, around[-1][0].name} & {network.id, network.name}:
            yield around[-1], (network, subnet)
        around.append((network, subnet))


def _shares_a_lan(one: Owned, other: Owned) -> bool:
    """Both are parts of one LAN, and give out different addresses of it."""
    ranges = [subnet.range or subnet.subnet for _, subnet in (one, other)]
    return {one[0].driver, other[0].driver} <= _ON_A_LAN and not overlap(*ranges)


def _lies_in(one: Subnet, other: Subnet) -> bool:
    return one.subnet.version == other.subnet.version and one.subnet.network_address in other.subnet


def _containers_by_network(host: Host) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for container in host.containers:
        for endpoint in container.endpoints:
            found[endpoint.network_id].add(container.name)
    return found


def _fault(host: Host, one: Owned, other: Owned, shared: list[str]) -> Fault:
    both_here = all(is_local_bridge(host, network).yes for network, _ in (one, other))
    together = f"; {', '.join(f'`{name}`' for name in shared)} cannot be on both" if shared else ""
    return Fault(
        message=(
            f"network `{one[0].name}` ({one[1].subnet}) and network `{other[0].name}` ({other[1].subnet}) "
            f"overlap{together}"
        ),
        subjects=(
            *(Subject("network", each[0].name) for each in (one, other)),
            *(Subject("container", n) for n in shared),
        ),
        evidence=tuple(Evidence(subnet.span, f"network {network.name}") for network, subnet in (one, other)),
        remedy=_remedy(host, one, other),
        verify=tuple(sh("{} network inspect {}", network.engine, network.name) for network, _ in (one, other)),
        severity=None if shared or both_here else Severity.WARNING,
    )


def _remedy(host: Host, one: Owned, other: Owned) -> tuple[str, ...]:
    """The one that is easier to move: a bridge network, and not the default one, whose subnet is a daemon's setting."""
    for network, subnet in sorted(
        (one, other), key=lambda each: (each[0].name == "bridge", each[0].driver != "bridge")
    ):
        commands = renumbered(host, network, spare_like(host, subnet.subnet))
        if commands:
            return commands
    return ()
