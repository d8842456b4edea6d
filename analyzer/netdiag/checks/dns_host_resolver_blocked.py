"""Containers use the host (bridge gateway/LAN IP) as resolver but INPUT/bind blocks it.

## What it finds
Containers that ask an address of the host for names, where nothing takes look-ups on it or a rule of INPUT drops what
comes from their bridge.

## Why it matters
Names resolve on the host and time out in the containers. With podman this is how every container resolves names: its
aardvark-dns listens on the gateway of each network.

## How it is decided
The server is an address of the host and not a loopback one. A socket of the host on port 53/udp takes look-ups when it
is bound to the address or to any. A look-up from the container's bridge is put to the rules of INPUT.

## Not a problem when
systemd-resolved listens there as well (`DNSStubListenerExtra=`), or a rule before the one that drops lets look-ups of
the bridge pass.

## Repair
Let look-ups of the bridge pass, or let the host's resolver listen on the address; for podman, have its networks set up
anew.

## Verify
A name resolves in the container.

## References
chaifeng/ufw-docker#16; moby/moby#23910; resolved.conf(5); dnsmasq(8).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._dns import DNS_PORT, container_subjects, known_resolvers, listens_for_names, named
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, NftRule, Socket
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import bridge_name, unknown
from netdiag.model.hooks import Passage, passage
from netdiag.model.knowledge import Truth
from netdiag.model.resolvers import Resolver, Server

#: Resolvers of a host by the names of their processes, and what lets each listen on one more address.
_EXTRA_ADDRESS = {
    "systemd-resolve": (
        "mkdir -p /etc/systemd/resolved.conf.d",
        "printf '[Resolve]\\nDNSStubListenerExtra={}\\n' >/etc/systemd/resolved.conf.d/containers.conf",
        "systemctl restart systemd-resolved",
    ),
    "dnsmasq": (
        "printf 'listen-address=127.0.0.1,{}\\nbind-dynamic\\n' >/etc/dnsmasq.d/containers.conf",
        "systemctl restart dnsmasq",
    ),
}


@dataclass(frozen=True)
class _Asked:
    """A server of a container on the host, and the bridge by which look-ups come."""

    resolver: Resolver
    server: Server
    bridge: str


@check(Severity.ERROR, layer="dns", symptom_of=("filter-input-blocks-container-to-host", "bundle-docker-down"))
def dns_host_resolver_blocked(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    own = host.root.ground.local
    if own is None:
        yield unjudged(unknown("the addresses of the host", "ip_addr"))
        return
    asked: dict[tuple[IpAddress, str], list[_Asked]] = defaultdict(list)
    for resolver in found:
        for each in _on_the_host(host, resolver, own):
            asked[each.server.address, each.bridge].append(each)
    silent: set[IpAddress] = set()
    for (address, bridge), group in sorted(asked.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        gate = listens_for_names(host.root, address)
        if gate.unknown:
            yield unjudged(gate)
        elif gate.no and address not in silent:
            silent.add(address)
            everyone = [each for (other, _), members in asked.items() if other == address for each in members]
            yield _nobody_listens(host, address, everyone)
        elif gate.yes:
            way = _input(host, address, bridge, group[0].resolver)
            if way.truth is Truth.NO:
                yield _dropped(address, bridge, group, way)


def _on_the_host(host: Host, resolver: Resolver, own: frozenset[IpAddress]) -> Iterator[_Asked]:
    for server in resolver.servers:
        if server.from_host or server.address.version != 4 or server.address.is_loopback or server.address not in own:
            continue
        for endpoint in resolver.container.endpoints:
            network = host.network(endpoint.network_id)
            if network and endpoint.address:
                bridge = bridge_name(host, network)
                link = host.root.link(bridge)
                nearest = link and any(address.address.ip == server.address for address in link.addresses)
                if nearest or len(resolver.container.endpoints) == 1:
                    yield _Asked(resolver, server, bridge)


def _input(host: Host, address: IpAddress, bridge: str, resolver: Resolver) -> Passage:
    source = next((each.address.ip for each in resolver.container.endpoints if each.address), None)
    flow = Flow("udp", bridge, "", source, address, DNS_PORT, source_port=40000)
    return passage(host.root, "INPUT", flow)


def _nobody_listens(host: Host, address: IpAddress, asked: list[_Asked]) -> Fault:
    resolvers = [each.resolver for each in asked]
    elsewhere = [socket for socket in host.root.sockets if socket.protocol == "udp" and socket.port == DNS_PORT]
    evidence = [
        Evidence(asked[0].server.span, f"container {resolvers[0].container.name} asks this address of the host")
    ]
    evidence += [related(socket.span, "the host's resolver listens on another address only") for socket in elsewhere]
    if not elsewhere and host.root.sockets.items:
        evidence.append(related(host.root.sockets.items[0].span, "no socket from here on has port 53"))
    return Fault(
        message=f"{named(resolvers)} ask {address} of the host for names, and nothing there takes look-ups",
        subjects=(Subject("address", str(address)), *container_subjects(resolvers[:10])),
        evidence=tuple(evidence),
        remedy=_listening(address, elsewhere, resolvers),
        verify=("ss -lunp 'sport = 53'", sh("{} exec {} nslookup example.org", *_first(resolvers))),
    )


def _first(resolvers: list[Resolver]) -> tuple[str, str]:
    return resolvers[0].container.engine, resolvers[0].container.name


def _listening(address: IpAddress, elsewhere: list[Socket], resolvers: list[Resolver]) -> tuple[str, ...]:
    if any(each.container.engine == "podman" for each in resolvers):
        return ("podman network reload --all",)
    names = (process.name for socket in elsewhere for process in socket.processes)
    commands = next((_EXTRA_ADDRESS[name] for name in names if name in _EXTRA_ADDRESS), ())
    if commands:
        return tuple(command.replace("{}", str(address)) for command in commands)
    return tuple(
        sh("{} rm -f {}", each.container.engine, each.container.name) + "  # and start it again with another --dns"
        for each in resolvers
    )


def _dropped(address: IpAddress, bridge: str, asked: list[_Asked], way: Passage) -> Fault:
    resolvers = [each.resolver for each in asked]
    chain, rule = way.chain, way.rule
    where = f"{chain.table.name} {chain.name}" if chain else "INPUT"
    span = rule.span if rule else chain.head.span if chain else asked[0].server.span
    evidence = [
        Evidence(span, "this rule drops them" if rule else "its policy drops them"),
        related(asked[0].server.span, f"container {resolvers[0].container.name} asks this address of the host"),
    ]
    return Fault(
        message=f"look-ups of {named(resolvers)} to {address} of the host are dropped in {where}",
        subjects=(
            Subject("chain", where),
            Subject("address", str(address)),
            Subject("bridge", bridge),
            *container_subjects(resolvers[:10]),
        ),
        evidence=tuple(evidence),
        remedy=tuple(_let_pass(way, bridge)),
        verify=(sh("{} exec {} nslookup example.org", *_first(resolvers)),),
    )


def _let_pass(way: Passage, bridge: str) -> Iterator[str]:
    """A rule before the one that drops, in the same chain: one in another chain would not count."""
    if way.chain and way.chain.backend == "nftables":
        table = way.chain.table
        family = way.rule.family if isinstance(way.rule, NftRule) else getattr(table, "family", "inet")
        for protocol in ("udp", "tcp"):
            yield sh("nft insert rule {} {} {} iifname {} ", family, table.name, way.chain.name, bridge) + (
                f"{protocol} dport {DNS_PORT} accept"
            )
        return
    tool = "iptables-legacy" if way.chain and way.chain.backend == "legacy" else "iptables"
    for protocol in ("udp", "tcp"):
        yield sh("{} -I INPUT -i {} -p {} --dport {} -j ACCEPT", tool, bridge, protocol, DNS_PORT)
