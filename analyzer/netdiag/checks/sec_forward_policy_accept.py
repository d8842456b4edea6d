"""FORWARD policy ACCEPT on Docker <28: unpublished container ports reachable by direct routing.

## What it finds
Containers with ports that nobody published, on a host that forwards to them whatever a neighbour sends to their own
addresses.

## Why it matters
Docker before 28.0 relies on the policy DROP of FORWARD, which it sets only when it switches forwarding on itself. On a
host that forwards already (a distribution's setting, another container engine), or after `nft flush ruleset`, the
policy is ACCEPT. Then a machine in the network of the uplink only needs a route to reach every port of every container.

## How it is decided
Gates: Docker is older than 28.0 and manages this namespace; the filter table was collected; the sockets of the
containers and a default route are known. A new connection that a neighbour sends to a container's address and to a port
that listens there and is not published, and that comes in by the uplink, is put to the rules and the routes of the
host: it is let pass at PREROUTING, routed to the container's bridge, and let pass at FORWARD. IPv6 is judged likewise,
where the host has a public IPv6 address and the container an IPv6 address.

## Not a problem when
A rule drops what is routed to the containers, in whatever table; no container listens on a port that is not published;
a network is in gateway mode routed, which is made for that.

## Repair
Set the policy to DROP where the host forwards for nothing but containers; else drop what comes in by the uplink for the
containers' networks.

## Verify
A neighbour with a route is not answered any more.

## References
moby libnetwork/drivers/bridge setupIPForwarding; moby/moby#14041; moby/moby#49325;
docs.docker.com/engine/network/packet-filtering-firewalls.
"""

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.checks._exposure import Doubts, OpenService, doors, keep_routed_out, lets_routed_in, open_services
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Network
from netdiag.model import FirewallChain, Host
from netdiag.model.gates import bridge_option, table_known, whole

_MOST_NAMED = 5


@check(
    Severity.WARNING,
    layer="security",
    symptom_of=("filter-docker-chains-missing", "filter-docker-user-jump-missing", "filter-isolation-off"),
)
def sec_forward_policy_accept(host: Host) -> Verdicts:
    gate = lets_routed_in(host)
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    bridges, others = docker_networks(host, table_known(host, "filter"))
    yield from others
    if not bridges:
        return
    if not doors(host) and not doors(host, 6):
        gate = whole(host.root.routes, "by which links the outside comes in")
        yield NotApplicable("the host has no default route") if gate.yes else unjudged(gate)
        return
    yield from _not_listed(host)
    doubts = Doubts()
    for version in (4, 6):
        closed = [each for each in bridges if bridge_option(each.network, f"gateway_mode_ipv{version}") != "routed"]
        found = list(open_services(host, closed, version, doubts))
        if found:
            yield _fault(host, found, bridges, version)
    yield from doubts.verdicts("whether neighbours reach ports that nobody published")


def _not_listed(host: Host) -> list[Unjudged]:
    """Containers whose sockets are not in the bundle."""
    unlisted = [netns for netns in host.namespaces[1:] if netns.containers and not netns.sockets.whole]
    return [unjudged(whole(netns.sockets, f"who listens in container {netns.name}")) for netns in unlisted]


def _fault(host: Host, found: list[OpenService], bridges: list[BridgeNetwork], version: int) -> Fault:
    names = [each.name for each in found]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    door, chain = found[0].door, _forward(host, version)
    evidence = [related(each.socket.span, f"open at {each.address}, and not published") for each in found[:_MOST_NAMED]]
    if chain:
        evidence.insert(0, Evidence(chain.head.span, f"the policy is {chain.head.policy}"))
    else:
        evidence[0] = Evidence(found[0].socket.span, f"open at {found[0].address}, and not published")
    evidence.append(related(door.span, f"{door.device} is the way in"))
    return Fault(
        message=f"neighbours reach ports that nobody published, at the containers' own addresses:"
        f" {', '.join(names[:_MOST_NAMED])}{more}",
        subjects=(
            Subject("chain", "filter FORWARD"),
            *dict.fromkeys(Subject("container", each.attachment.container.name) for each in found),
        ),
        evidence=tuple(evidence),
        remedy=_remedy(host, found, bridges, version),
        verify=(sh("{} -S FORWARD", "ip6tables" if version == 6 else "iptables"),),
    )


def _forward(host: Host, version: int) -> FirewallChain | None:
    """FORWARD of the filter table, as long as its policy lets pass."""
    tables = host.root.tables("filter", "ipv6" if version == 6 else "ipv4")
    chains = (table.chains["FORWARD"] for table in tables if "FORWARD" in table.chains)
    return next((chain for chain in chains if chain.head.policy == "ACCEPT"), None)


def _remedy(host: Host, found: list[OpenService], bridges: list[BridgeNetwork], version: int) -> tuple[str, ...]:
    tool = "ip6tables" if version == 6 else "iptables"
    if _forward(host, version) and not _forwards_for_others(host, bridges):
        return (f"{tool} -P FORWARD DROP",)
    networks: dict[str, Network] = {each.attachment.bridge.network.id: each.attachment.bridge.network for each in found}
    return keep_routed_out(found[0].door, networks.values(), version)


def _forwards_for_others(host: Host, bridges: list[BridgeNetwork]) -> bool:
    """Whether a link may carry traffic of others: not the uplinks, not a bridge of Docker, not a port of one."""
    own = {bridge.device for bridge in bridges} | {door.device for door in doors(host)} | {"lo"}
    return any(link.name not in own and link.master not in own for link in host.root.links)
