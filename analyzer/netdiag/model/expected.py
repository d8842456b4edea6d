"""The iptables rules that the engine programs for this host's networks and published ports, and those that are not
there.

Each engine version has its dialect (`Dialect`). Measured on Docker 20.10, 26.1 and 28.5; those of 17, 28.0 and 29 are
from moby's sources and generated documents (libnetwork/drivers/bridge, integration/network/bridge/iptablesdoc). Only
rules that must be there are expected: what hangs on something that the bundle does not tell is left out.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

from netdiag.formats.records import Container, Endpoint, IpAddress, IpNetwork, Match, Network, PublishedPort, Rule
from netdiag.model.engine import Dialect
from netdiag.model.firewall import target_option
from netdiag.model.gates import (
    bridge_name,
    bridge_option,
    engine_is_here,
    has_own_namespace,
    is_local_bridge,
    is_running,
    manages_ip6tables,
    manages_iptables,
    uses_proxy,
)
from netdiag.model.host import Host
from netdiag.model.knowledge import all_of, once
from netdiag.spans import Span

_ESTABLISHED = (Match("ctstate", "RELATED,ESTABLISHED"),)
_TO_LOCAL = (Match("dst-type", "LOCAL"),)
_FROM_LOCAL = (Match("src-type", "LOCAL"),)
_LOOPBACK: Mapping[int, IpNetwork] = {4: IPv4Network("127.0.0.0/8"), 6: IPv6Network("::1/128")}
_LINK_LOCAL = IPv6Network("fe80::/10")
_STAGE_1, _STAGE_2 = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"

_TWO_STAGES = frozenset({Dialect.UP_TO_27, Dialect.V28_0_0, Dialect.V28})
_PER_BRIDGE_IN_FORWARD = frozenset({Dialect.UP_TO_17, Dialect.UP_TO_27})
_OWN_FORWARD_CHAIN = frozenset({Dialect.V28, Dialect.V29_IPTABLES})


class Purpose(Enum):
    """What a rule of the engine is for."""

    USER_JUMP = "leads to the administrator's rules in DOCKER-USER"
    ENTRY = "leads to the engine's rules"
    WIRING = "leads from chain to chain of the engine"
    ISOLATION = "keeps networks apart"
    FORWARDING = "lets a network's packets pass"
    PORT = "lets connections to a published port pass"
    NAT_JUMP = "leads to the translation of published ports"
    TRANSLATION = "translates a published port"
    SPARED = "leaves a network's own packets to the userland proxy"
    MASQUERADE = "gives a network's packets the host's address"
    FROM_HOST = "lets the host reach published ports by 127.0.0.1"
    OWN_PORT = "lets a container reach its own published port"


@dataclass(frozen=True)
class Expected:
    """A rule that must be there, for whom, and why. Its span is the place in the bundle that asks for it."""

    rule: Rule
    purpose: Purpose
    network: Network | None = None
    container: Container | None = None


def meaning(rule: Rule) -> tuple[object, ...]:
    """What a rule does, whatever its place, counters and comment: two rules of one meaning are equal in it."""
    return (
        (rule.family, rule.table, rule.chain, rule.protocol, rule.protocol_negated),
        (rule.source, rule.source_negated, rule.destination, rule.destination_negated),
        (rule.in_interface, rule.in_interface_negated, rule.out_interface, rule.out_interface_negated),
        (frozenset(rule.matches), rule.target, rule.goto, frozenset(rule.target_options)),
        (rule.fragment, rule.not_understood),
    )


@once
def rules_by_meaning(host: Host) -> Mapping[tuple[object, ...], Sequence[Rule]]:
    """All rules of the host's own namespace, in every backend."""
    found: dict[tuple[object, ...], list[Rule]] = defaultdict(list)
    for table in host.root.firewall:
        for rule in table.rules():
            found[meaning(rule)].append(rule)
    return found


@once
def missing_rules(host: Host) -> tuple[Expected, ...]:
    """The expected rules that no backend has."""
    there = rules_by_meaning(host)
    return tuple(each for each in expected_rules(host) if meaning(each.rule) not in there)


@once
def expected_rules(host: Host) -> tuple[Expected, ...]:
    """All rules that the engine must have programmed; none when it does not program iptables, or may not."""
    dialect = host.engine.dialect
    if dialect is None or not all_of(engine_is_here(host), manages_iptables(host)).yes:
        return ()
    networks = [each for each in host.networks if each.engine == "docker" and is_local_bridge(host, each).yes]
    if not networks:
        return ()
    versions = [4, 6] if manages_ip6tables(host).yes else [4]
    found: list[Expected] = []
    for version in versions:
        own = [_Bridge(host, dialect, network, version) for network in networks]
        shown = [bridge for bridge in own if bridge.subnets]
        if shown:
            found += _common(host, dialect, version, shown)
            found += (each for bridge in shown for each in bridge.rules())
            found += _of_ports(host, {bridge.network.id: bridge for bridge in shown}, version)
    return tuple(found)


def specification(rule: Rule) -> str:
    """The rule as iptables takes it behind `-A CHAIN`; of the vocabulary of this module."""
    words = []
    for option, value, negated in (
        ("-s", rule.source, rule.source_negated),
        ("-d", rule.destination, rule.destination_negated),
        ("-i", rule.in_interface, rule.in_interface_negated),
        ("-o", rule.out_interface, rule.out_interface_negated),
        ("-p", rule.protocol, rule.protocol_negated),
    ):
        if value is not None:
            words += ["!", option, str(value)] if negated else [option, str(value)]
    for match in rule.matches:
        module = {"ctstate": "conntrack", "dst-type": "addrtype", "src-type": "addrtype", "match-set": "set"}
        words += ["-m", module.get(match.option, rule.protocol or ""), f"--{match.option}", match.value]
    if rule.target:
        words += ["-j", rule.target]
    for each in rule.target_options:
        words += [f"--{each.option}", each.value]
    return " ".join(words)


def _common(host: Host, dialect: Dialect, version: int, bridges: "list[_Bridge]") -> Iterator[Expected]:
    """The rules that are there as soon as there is any bridge network."""
    span = bridges[0].network.span

    def made(purpose: Purpose, table: str, chain: str, target: str, **more: Any) -> Expected:
        return Expected(_rule(version, table, chain, span, target=target, **more), purpose)

    user_chain = dialect is not Dialect.UP_TO_17 and version == 4
    if user_chain:
        yield made(Purpose.USER_JUMP, "filter", "FORWARD", "DOCKER-USER")
    if dialect in _OWN_FORWARD_CHAIN:
        yield made(Purpose.ENTRY, "filter", "FORWARD", "DOCKER-FORWARD")
        isolation = _STAGE_1 if dialect is Dialect.V28 else "DOCKER-INTERNAL"
        for chain in ("DOCKER-CT", isolation, "DOCKER-BRIDGE"):
            yield made(Purpose.WIRING, "filter", "DOCKER-FORWARD", chain)
    else:
        single = dialect is Dialect.UP_TO_17
        yield made(Purpose.ENTRY, "filter", "FORWARD", "DOCKER-ISOLATION" if single else _STAGE_1)
    if dialect is Dialect.V28_0_0:
        to_bridges = Match("match-set", f"docker-ext-bridges-v{version} dst")
        yield made(Purpose.ENTRY, "filter", "FORWARD", "ACCEPT", matches=(*_ESTABLISHED, to_bridges))
        yield made(Purpose.ENTRY, "filter", "FORWARD", "DOCKER", matches=(to_bridges,))
    if any(bridge.translates for bridge in bridges):
        yield made(Purpose.NAT_JUMP, "nat", "PREROUTING", "DOCKER", matches=_TO_LOCAL)
        if not uses_proxy(host).unknown:
            spared = {"destination": _LOOPBACK[version], "destination_negated": True} if uses_proxy(host).yes else {}
            yield made(Purpose.NAT_JUMP, "nat", "OUTPUT", "DOCKER", matches=_TO_LOCAL, **spared)


@dataclass(frozen=True)
class _Bridge:
    """A bridge network and one version of IP."""

    host: Host
    dialect: Dialect
    network: Network
    version: int

    @property
    def device(self) -> str:
        return bridge_name(self.host, self.network)

    @property
    def subnets(self) -> tuple[IpNetwork, ...]:
        if self.version == 4 and self.network.enable_ipv4 is False:
            return ()
        return tuple(each.subnet for each in self.network.subnets if each.subnet.version == self.version)

    @property
    def mode(self) -> str:
        return bridge_option(self.network, f"gateway_mode_ipv{self.version}") or "nat"

    @property
    def inside_only(self) -> bool:
        """It reaches nobody outside: `--internal`."""
        return bool(self.network.internal)

    @property
    def translates(self) -> bool:
        return not self.inside_only and self.mode in ("nat", "nat-unprotected")

    @property
    def masquerades(self) -> bool:
        return self.translates and bridge_option(self.network, "enable_ip_masquerade") != "false"

    def rules(self) -> Iterator[Expected]:
        """The rules of the network itself."""
        if self.network.internal is None and self.network.name != "bridge":
            return  # then it is not known which of two sets it has
        if self.inside_only:
            yield from self._keep_inside()
        else:
            yield from self._isolate()
            yield from self._let_pass()
            yield from self._translate()

    def _made(self, purpose: Purpose, table: str, chain: str, target: str, **more: Any) -> Expected:
        rule = _rule(self.version, table, chain, self.network.span, target=target, **more)
        return Expected(rule, purpose, self.network)

    def _filter(self, purpose: Purpose, chain: str, target: str, **more: Any) -> Expected:
        return self._made(purpose, "filter", chain, target, **more)

    @property
    def _between_members(self) -> str:
        return "DROP" if bridge_option(self.network, "enable_icc") == "false" else "ACCEPT"

    def _keep_inside(self) -> Iterator[Expected]:
        bridge = self.device
        chain = {Dialect.UP_TO_17: "DOCKER-ISOLATION", Dialect.V29_IPTABLES: "DOCKER-INTERNAL"}.get(
            self.dialect, _STAGE_1
        )
        for subnet in self.subnets if self.version == 4 else ():
            yield self._filter(
                Purpose.ISOLATION, chain, "DROP", source=subnet, source_negated=True, out_interface=bridge
            )
            yield self._filter(
                Purpose.ISOLATION, chain, "DROP", destination=subnet, destination_negated=True, in_interface=bridge
            )
        if self.dialect is Dialect.V28_0_0:
            return
        own = "DOCKER-FORWARD" if self.dialect in _OWN_FORWARD_CHAIN else "FORWARD"
        yield self._filter(Purpose.FORWARDING, own, self._between_members, in_interface=bridge, out_interface=bridge)

    def _isolate(self) -> Iterator[Expected]:
        if self.dialect in _TWO_STAGES:
            yield self._filter(
                Purpose.ISOLATION,
                _STAGE_1,
                _STAGE_2,
                in_interface=self.device,
                out_interface=self.device,
                out_interface_negated=True,
            )
            yield self._filter(Purpose.ISOLATION, _STAGE_2, "DROP", out_interface=self.device)

    def _let_pass(self) -> Iterator[Expected]:
        bridge = self.device
        outwards = {"in_interface": bridge, "out_interface": bridge, "out_interface_negated": True}
        inwards = {"in_interface": bridge, "in_interface_negated": True, "out_interface": bridge}
        between = {"in_interface": bridge, "out_interface": bridge}
        passes = Purpose.FORWARDING
        if self.dialect in _PER_BRIDGE_IN_FORWARD:
            yield self._filter(passes, "FORWARD", "ACCEPT", out_interface=bridge, matches=_ESTABLISHED)
            yield self._filter(passes, "FORWARD", "DOCKER", out_interface=bridge)
            yield self._filter(passes, "FORWARD", "ACCEPT", **outwards)
            yield self._filter(passes, "FORWARD", self._between_members, **between)
            return
        rest = "ACCEPT" if self.mode == "nat-unprotected" else "DROP"
        if self.dialect is Dialect.V28_0_0:  # its rules of one bridge in FORWARD were not seen on any host
            yield self._filter(Purpose.ISOLATION, "DOCKER", rest, **inwards)
            return
        yield self._filter(passes, "DOCKER-CT", "ACCEPT", out_interface=bridge, matches=_ESTABLISHED)
        yield self._filter(passes, "DOCKER-BRIDGE", "DOCKER", out_interface=bridge)
        if self._between_members == "ACCEPT":
            yield self._filter(passes, "DOCKER-FORWARD", "ACCEPT", in_interface=bridge)
        else:
            yield self._filter(passes, "DOCKER-FORWARD", "DROP", **between)
            yield self._filter(passes, "DOCKER-FORWARD", "ACCEPT", **outwards)
        yield self._filter(Purpose.ISOLATION, "DOCKER", rest, **inwards)

    def _translate(self) -> Iterator[Expected]:
        if not self.masquerades:
            return
        source = bridge_option_of_driver(self.network, f"host_ipv{self.version}")
        for subnet in self.subnets:
            way: dict[str, Any] = {"target": "MASQUERADE"}
            if source:
                way = {"target": "SNAT", "target_options": (Match("to-source", source),)}
            rule = _rule(
                self.version,
                "nat",
                "POSTROUTING",
                self.network.span,
                source=subnet,
                out_interface=self.device,
                out_interface_negated=True,
                **way,
            )
            yield Expected(rule, Purpose.MASQUERADE, self.network)
        proxy = uses_proxy(self.host)
        if proxy.no and not source and self.version == 4:
            yield self._made(
                Purpose.FROM_HOST, "nat", "POSTROUTING", "MASQUERADE", out_interface=self.device, matches=_FROM_LOCAL
            )
        if proxy.yes and self.dialect is not Dialect.V29_IPTABLES:
            yield self._made(Purpose.SPARED, "nat", "DOCKER", "RETURN", in_interface=self.device)


def bridge_option_of_driver(network: Network, name: str) -> str | None:
    """An option that all drivers share, e.g. `host_ipv4`."""
    return (network.options or {}).get(f"com.docker.network.{name}")


# --- published ports --------------------------------------------------------------------------------------------------


def _of_ports(host: Host, bridges: Mapping[str, _Bridge], version: int) -> Iterator[Expected]:
    goals = _goals(host, version)
    for container in host.containers:
        if not container.ports or not all_of(is_running(container), has_own_namespace(container)).yes:
            continue
        candidates = [
            (address, bridge)
            for endpoint in container.endpoints
            if (bridge := bridges.get(endpoint.network_id)) and not bridge.inside_only
            if (address := _address(endpoint, version))
        ]
        for port in container.ports:
            if port.host_address is not None and port.host_address.version != version:
                continue
            only = len(candidates) == 1
            carriers = [each for each in candidates if only or (port.protocol, _goal(each[0], port)) in goals]
            for address, bridge in carriers[:1]:
                yield from _of_port(host, bridge, address, container, port)


def _address(endpoint: Endpoint, version: int) -> IpAddress | None:
    found = endpoint.address if version == 4 else endpoint.address6
    return found.ip if found else None


def _goals(host: Host, version: int) -> set[tuple[str | None, str]]:
    """The protocols and goals of the DNAT rules of nat DOCKER, by which a container on several networks shows which one
    carries its ports.
    """
    family = "ipv6" if version == 6 else "ipv4"
    return {
        (rule.protocol, target_option(rule, "to-destination"))
        for table in host.root.firewall
        if table.name == "nat" and table.family == family and "DOCKER" in table.chains
        for rule in table.chains["DOCKER"].rules
        if rule.target == "DNAT"
    }


def _goal(address: IpAddress, port: PublishedPort) -> str:
    return f"[{address}]:{port.container_port}" if address.version == 6 else f"{address}:{port.container_port}"


def _of_port(
    host: Host, bridge: _Bridge, address: IpAddress, container: Container, port: PublishedPort
) -> Iterator[Expected]:
    version, device = bridge.version, bridge.device
    itself = ip_network(address)
    to_container = (Match("dport", str(port.container_port)),)

    def made(purpose: Purpose, table: str, chain: str, target: str, **more: Any) -> Expected:
        rule = _rule(version, table, chain, port.span, target=target, protocol=port.protocol, **more)
        return Expected(rule, purpose, bridge.network, container)

    if bridge.mode in ("nat", "routed"):
        yield made(
            Purpose.PORT,
            "filter",
            "DOCKER",
            "ACCEPT",
            destination=itself,
            in_interface=device,
            in_interface_negated=True,
            out_interface=device,
            matches=to_container,
        )
    proxy = uses_proxy(host)
    if not bridge.translates or proxy.unknown:
        return
    more: dict[str, Any] = {"in_interface": device, "in_interface_negated": True} if proxy.yes else {}
    if version == 6 and bridge.dialect in (Dialect.V28_0_0, *_OWN_FORWARD_CHAIN) and proxy.yes:
        more |= {"source": _LINK_LOCAL, "source_negated": True}
    if port.host_address is not None and not port.host_address.is_unspecified:
        more |= {"destination": ip_network(port.host_address)}
    if port.host_address is not None and not (isinstance(port.host_address, IPv6Address) and proxy.no):
        yield made(
            Purpose.TRANSLATION,
            "nat",
            "DOCKER",
            "DNAT",
            matches=(Match("dport", str(port.host_port)),),
            target_options=(Match("to-destination", _goal(address, port)),),
            **more,
        )
    if proxy.no or bridge.dialect in _PER_BRIDGE_IN_FORWARD:
        ends = {"source": itself, "destination": itself}
        yield made(Purpose.OWN_PORT, "nat", "POSTROUTING", "MASQUERADE", matches=to_container, **ends)


def _rule(version: int, table: str, chain: str, span: Span, **fields: Any) -> Rule:
    family = "ipv6" if version == 6 else "ipv4"
    return Rule(family, table, chain, 0, span, **fields)
