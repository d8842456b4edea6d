"""A published port is translated to its container, and no rule lets it pass.

## What it finds
A published port of a running container without the rule in filter chain DOCKER that lets its connections through, where
this stops them.

## Why it matters
Clients from outside wait until they give up. On the host itself, by way of 127.0.0.1 and the userland proxy, the port
answers, which hides the fault from who looks there.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; its rule dialect is known; all rules of the filter table
were collected; the container runs, has its own namespace and was started before the collection. The rule counts as
there when any backend has it. A missing one is a fault only if a new connection from the uplink to the container is
then dropped: by the policy of FORWARD up to 27, by the rule for unpublished ports from 28 on.

## Not a problem when
FORWARD has policy ACCEPT up to 27: then the port is reached without the rule. The network is in gateway mode
nat-unprotected, which has one rule for all ports.

## Repair
Insert the rule that the engine would have made, or restart the container.

## Verify
The rule's counter grows when a client asks.

## References
moby integration/network/bridge/iptablesdoc/generated/usernet-portmap.md.
"""

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import docker_networks, published_ports, related
from netdiag.checks._drops import Owner, blocked_flows, owner_of
from netdiag.checks._rules import evidence_of, gone, put_back
from netdiag.checks._wanted import Wanted
from netdiag.finding import Severity, Subject
from netdiag.formats.records import Container, PublishedPort
from netdiag.model import Host
from netdiag.model.expected import Expected, Purpose
from netdiag.model.gates import dialect_known, manages_iptables, table_known, unknown
from netdiag.model.hooks import Obstacle
from netdiag.spans import Span


@check(
    Severity.ERROR,
    layer="filter",
    symptom_of=(
        "filter-docker-chains-missing",
        "filter-docker-jump-missing",
        "bundle-two-daemons",
        "bundle-live-restore-drift",
    ),
)
def filter_port_accept_missing(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host), dialect_known(host))
    yield from others
    if not bridges:
        return
    ports = {port.span: (container, port) for container, port in published_ports(host, "docker")}
    if not ports:
        yield _nothing_published(host)
        return
    blocked = _blocked_by_default(host)
    for each in gone(host).of(Purpose.PORT):
        hit = blocked.get(each.rule.span)
        if each.rule.span not in ports or hit is None:
            continue
        case, obstacle = hit
        if obstacle.certain:
            yield _fault(host, each, *ports[each.rule.span], obstacle)
        else:
            yield Unjudged(f"whether {case.what} pass without a rule of their own", "some rules cannot be judged")
    yield from gone(host).doubts_about("filter")


def _nothing_published(host: Host) -> NotApplicable | Unjudged:
    if host.containers.whole:
        return NotApplicable("no running container publishes a port")
    return unjudged(unknown("which ports are published", "docker_inspect", because=host.containers.why))


def _blocked_by_default(host: Host) -> dict[Span, tuple[Wanted, Obstacle]]:
    """What stops connections to a published port that no rule takes, by the place that publishes it."""
    return {
        case.place: (case, each.obstacle)
        for each in reversed(blocked_flows(host))
        if each.stage.hook == "FORWARD" and owner_of(each) in (Owner.POLICY, Owner.ENGINE)
        for case in each.cases
        if case.incoming
    }


def _fault(host: Host, each: Expected, container: Container, port: PublishedPort, obstacle: Obstacle) -> Fault:
    name = f"{port.host_port}/{port.protocol}"
    by = "this rule drops them" if obstacle.rule else "no rule takes them, so the policy drops them"
    tool = "ip6tables" if each.rule.family == "ipv6" else "iptables"
    return Fault(
        message=f"no rule lets connections to published port {name} of container `{container.name}` pass",
        subjects=(Subject("container", container.name), Subject("port", name)),
        evidence=(*evidence_of(host, [each]), related((obstacle.rule or obstacle.chain.head).span, by)),
        remedy=tuple(put_back(host, [each])),
        verify=(f"{tool} -L DOCKER -v -n -x",),
    )
