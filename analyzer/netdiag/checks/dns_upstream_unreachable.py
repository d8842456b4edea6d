"""Upstream nameserver unreachable from where it is queried.

## What it finds
Name servers that a container's look-ups end at and that no packet reaches: a route refuses it, a network of the host
lies over its address, a firewall rule drops look-ups, or nothing listens there on the host.

## Why it matters
Every look-up waits for its time-out (5 s for each try) or fails. When all servers of a container are unreachable, no
name resolves; when only the first is, every look-up is slow.

## How it is decided
The server is looked up in the routes of the container's namespace and then of the host, and a look-up is put to the
rules of FORWARD. Docker's resolver asks a loopback address of the host from the host itself. A rule counts when it
drops the look-up and would let another connection of the container to the outside pass: that nothing at all gets out is
for other checks to say.

## Not a problem when
The network is internal: Docker then asks nobody else. Whether a server answers cannot be seen.

## Repair
Take away the route or the rule, or give the container another server (`--dns`).

## Verify
`ip route get` shows a way, and a name resolves in the container.

## References
moby libnetwork/resolver.go; moby/moby#38243; docs.docker.com/engine/network (DNS services).
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from netdiag.checks._addresses import inside
from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._dns import DNS_PORT, container_subjects, known_resolvers, listens_for_names, named, removal
from netdiag.checks._docker import related, sh
from netdiag.checks._routes import route_deleted, rule_deleted, subject_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Network
from netdiag.model import Host, Lookup, Outcome, Packet
from netdiag.model.flow import Flow
from netdiag.model.gates import bridge_name, is_local_bridge, unknown
from netdiag.model.hooks import Passage, passage
from netdiag.model.knowledge import Truth
from netdiag.model.resolvers import STUB, Resolver, Server
from netdiag.spans import Span

_REFUSED = frozenset({Outcome.BLACKHOLE, Outcome.UNREACHABLE, Outcome.PROHIBIT})

#: An address outside of every host, of a range kept for documents (RFC 5737), and a port that is none of DNS.
_ELSEWHERE, _OTHER_PORT = IPv4Address("192.0.2.1"), 443


@dataclass(frozen=True)
class _Obstacle:
    """Why a server is not reached, the subject that stands in the way, the place that shows it, and the way out."""

    why: str
    subject: Subject
    span: Span | None
    label: str
    remedy: str


@check(
    Severity.ERROR,
    layer="dns",
    symptom_of=(
        "address-subnet-overlap-host",
        "dns-resolv-loopback-fallback",
        "dns-resolv-stale",
        "filter-docker-user-drop",
        "route-blackhole",
        "route-policy-rule-hijack",
    ),
)
def dns_upstream_unreachable(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    unreached: dict[_Obstacle, list[tuple[Resolver, Server]]] = defaultdict(list)
    lost: dict[str, int] = defaultdict(int)
    for resolver in found:
        if not _asks_others(host, resolver):
            continue
        if not resolver.servers_known:
            question = f"which servers Docker asks for {resolver.container.name}"
            yield unjudged(unknown(question, "dockerd_cmdline", "resolv_conf"))
        for server in resolver.servers:
            obstacle = _obstacle(host, resolver, server)
            if obstacle:
                unreached[obstacle].append((resolver, server))
                lost[resolver.container.id] += 1
    for obstacle, pairs in unreached.items():
        yield _fault(obstacle, pairs, lost)


def _asks_others(host: Host, resolver: Resolver) -> bool:
    """Docker's resolver asks nobody else for a container that is only on internal networks."""
    if not resolver.embedded:
        return True
    networks = [host.network(endpoint.network_id) for endpoint in resolver.container.endpoints]
    return not networks or not all(network and network.internal for network in networks)


def _obstacle(host: Host, resolver: Resolver, server: Server) -> _Obstacle | None:
    if server.address.version != 4:
        return None
    if server.from_host:
        return _on_host(host, server)
    if server.address.is_loopback or server.address in _own_addresses(host):
        return None  # another check looks at servers in the container and on the host
    inner = resolver.netns.routing.look_up(Packet(server.address))
    if inner.outcome in _REFUSED:
        obstacle = _of_route(server.address, inner, f"in container {resolver.container.name}")
        return replace(obstacle, remedy=inside(resolver.container, obstacle.remedy))
    bridge = _bridge_of(host, resolver, inner)
    if bridge is None:
        return None
    owner = _network_around(host, server.address)
    if owner:
        return _in_network(host, server.address, owner)
    coming = Packet(server.address, _address_on(host, resolver, bridge), in_interface=bridge)
    outer = host.root.routing.look_up(coming)
    if outer.outcome in _REFUSED:
        return _of_route(server.address, outer, "on the host")
    if outer.outcome is not Outcome.UNICAST or outer.device is None:
        return None
    return _in_firewall(host, "FORWARD", bridge, outer.device, server.address, coming.source)


def _own_addresses(host: Host) -> frozenset[IpAddress]:
    return host.root.ground.local or frozenset()


def _bridge_of(host: Host, resolver: Resolver, inner: Lookup) -> str | None:
    """The bridge by which the look-up comes to the host, None when it takes another way or none."""
    link = resolver.netns.link(inner.device or "")
    pair = host.veth_pair_of(resolver.netns, link) if link else None
    return pair.outer.master if pair else None


def _address_on(host: Host, resolver: Resolver, bridge: str) -> IpAddress | None:
    for endpoint in resolver.container.endpoints:
        network = host.network(endpoint.network_id)
        if network and endpoint.address and bridge_name(host, network) == bridge:
            return endpoint.address.ip
    return None


def _on_host(host: Host, server: Server) -> _Obstacle | None:
    """Docker asks this server from the host's own namespace."""
    if server.address.is_loopback or server.address in _own_addresses(host):
        if not listens_for_names(host.root, server.address).no:
            return None
        service = "systemd-resolved" if server.address == STUB else None
        return _Obstacle(
            "nothing listens there on the host",
            Subject("address", str(server.address)),
            host.root.sockets.items[0].span if host.root.sockets.items else None,
            f"no socket of the host takes look-ups on {server.address}",
            f"systemctl restart {service}"
            if service
            else "ss -lunp 'sport = 53'  # start the resolver that is missing",
        )
    found = host.root.routing.look_up(Packet(server.address))
    if found.outcome in _REFUSED:
        return _of_route(server.address, found, "on the host")
    return None


def _of_route(address: IpAddress, found: Lookup, where: str) -> _Obstacle:
    route, rule = found.route, found.rule
    if route is None and rule is not None:
        subject, span = Subject("route", f"rule {rule.priority}"), rule.span
        remedy = rule_deleted(rule)
    elif route is not None:
        subject, span, remedy = subject_of(route), route.span, route_deleted(route)
    else:
        subject, span, remedy = Subject("address", str(address)), None, sh("ip route get {}", address)
    return _Obstacle(f"{where} a route refuses it", subject, span, "what is sent there is refused", remedy)


def _network_around(host: Host, address: IpAddress) -> Network | None:
    """The bridge network of the host in whose range the server is, when no container there has the address."""
    for network in host.networks:
        if any(address in subnet.subnet for subnet in network.subnets) and is_local_bridge(host, network).yes:
            holders = (each for each in host.containers if address in host.addresses_of(each))
            return None if next(holders, None) or not host.containers.whole else network
    return None


def _in_network(host: Host, address: IpAddress, network: Network) -> _Obstacle:
    subnet = next(each for each in network.subnets if address in each.subnet)
    remove = sh("{} network rm {}", network.engine, network.name)
    used = network.id in host.networks_in_use
    return _Obstacle(
        f"its address lies in network `{network.name}`, where nobody has it",
        Subject("network", network.name),
        subnet.span,
        f"look-ups for {address} stay on {bridge_name(host, network)}",
        remove + ("  # after its containers are on a network with another --subnet" if used else ""),
    )


def _in_firewall(
    host: Host, hook: str, bridge: str, device: str, server: IpAddress, source: IpAddress | None
) -> _Obstacle | None:
    """A rule that stops look-ups only; what stops everything is a fault of its own."""

    def put(destination: IpAddress, protocol: str, port: int) -> Passage:
        flow = Flow(protocol, bridge, device, source, destination, port, source_port=40000)
        return passage(host.root, hook, flow)

    asked = put(server, "udp", DNS_PORT)
    if asked.truth is not Truth.NO or asked.rule is None or asked.chain is None:
        return None
    if put(_ELSEWHERE, "tcp", _OTHER_PORT).truth is not Truth.YES:
        return None
    return _Obstacle(
        f"a rule of {asked.chain.hook} drops look-ups",
        Subject("rule", f"{asked.rule.table} {asked.rule.chain} {asked.rule.position}"),
        asked.rule.span,
        "this rule drops them",
        removal(asked.rule),
    )


def _fault(obstacle: _Obstacle, pairs: list[tuple[Resolver, Server]], lost: dict[str, int]) -> Fault:
    resolvers = list({resolver.container.id: resolver for resolver, _ in pairs}.values())
    servers = ", ".join(dict.fromkeys(str(server.address) for _, server in pairs))
    without = any(lost[each.container.id] >= len(each.servers) for each in resolvers)
    addresses = tuple(dict.fromkeys(Subject("address", str(server.address)) for _, server in pairs))
    first = pairs[0][1]
    evidence = [Evidence(obstacle.span, obstacle.label)] if obstacle.span else []
    asked = f"container {resolvers[0].container.name} asks {first.address}"
    evidence.append(related(first.span, asked) if evidence else Evidence(first.span, asked))
    return Fault(
        message=f"name server {servers} of {named(resolvers)} is not reached: {obstacle.why}",
        subjects=tuple(dict.fromkeys((*addresses, obstacle.subject, *container_subjects(resolvers[:10])))),
        evidence=tuple(evidence),
        remedy=(obstacle.remedy,),
        verify=(
            sh("ip route get {}", first.address),
            sh("{} exec {} nslookup example.org", resolvers[0].container.engine, resolvers[0].container.name),
        ),
        severity=Severity.ERROR if without else Severity.WARNING,
    )
