"""What Docker 29 keeps in its tables of nftables for this host's networks and published ports, and what of it is gone.

Read from moby's generated documents (integration/network/bridge/nftablesdoc of 29); no host with it was seen. Only what
must be there is expected: what hangs on something that the bundle does not tell is left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netdiag.formats.records import Container, IpAddress, Network, NftMatch, NftRule, NftStatement
from netdiag.model.engine import Dialect
from netdiag.model.gates import (
    bridge_name,
    bridge_option,
    engine_is_here,
    has_own_namespace,
    is_local_bridge,
    is_running,
    manages_firewall,
    manages_ip6tables,
    uses_proxy,
)
from netdiag.model.host import Host
from netdiag.model.knowledge import all_of, once
from netdiag.model.nftables import NativeTable
from netdiag.spans import Span

TABLE = "docker-bridges"
_FORWARD = "filter-FORWARD"
_PORTS = "nat-prerouting-and-output"

#: What leads from the base chains to the chains of each bridge: chain, what is looked up, map.
_LOOKUPS = (
    (_FORWARD, "oifname", "filter-forward-in-jumps"),
    (_FORWARD, "iifname", "filter-forward-out-jumps"),
    ("nat-POSTROUTING", "iifname", "nat-postrouting-out-jumps"),
    ("nat-POSTROUTING", "oifname", "nat-postrouting-in-jumps"),
)
_BASE_CHAINS = (_FORWARD, "nat-OUTPUT", "nat-POSTROUTING", "nat-PREROUTING", "raw-PREROUTING")

Condition = tuple[str, str, frozenset[str]]


@dataclass(frozen=True)
class Piece:
    """Something that must be in a table: a `table`, a `chain`, an `element` of a map or a `rule`. `text` is how nft
    prints it, `chain` the chain or the map that it belongs to, `place` what of the bundle asks for it.
    """

    kind: str
    family: str
    chain: str
    text: str
    place: Span
    conditions: frozenset[Condition] = frozenset()
    verdict: str = ""
    network: Network | None = None
    container: Container | None = None


@once
def missing_pieces(host: Host) -> tuple[Piece, ...]:
    """The expected pieces that are not there; when a whole table is gone, only that."""
    tables = {table.family: table for table in host.root.nftables if table.name == TABLE}
    lost_tables = {piece.family for piece in _pieces(host) if piece.kind == "table" and piece.family not in tables}
    there = {family: _contents(table) for family, table in tables.items()}
    return tuple(
        piece
        for piece in _pieces(host)
        if (piece.kind == "table" if piece.family in lost_tables else _key(piece) not in there[piece.family])
    )


_Key = tuple[str, str, frozenset[Condition], str]


def _key(piece: Piece) -> _Key:
    return piece.kind, piece.chain, piece.conditions, piece.verdict


def _contents(table: NativeTable) -> set[_Key]:
    found: set[_Key] = {("table", "", frozenset(), "")}
    for chain in table.chains.values():
        found.add(("chain", chain.name, frozenset(), ""))
        found |= {("rule", chain.name, conditions_of(rule), _verdict_of(rule)) for rule in chain.rules}
    for each in table.sets.values():
        found |= {("element", each.name, frozenset(), f"{item.key} : {item.value}") for item in each.elements}
    return found


def conditions_of(rule: NftRule) -> frozenset[Condition]:
    """What a rule asks for, whatever the order."""
    asked = (each for each in rule.statements if isinstance(each, NftMatch))
    return frozenset((each.left, each.operator, frozenset(each.values)) for each in asked)


def _verdict_of(rule: NftRule) -> str:
    done = (each for each in rule.statements if isinstance(each, NftStatement) and each.name != "counter")
    return "; ".join(" ".join([each.name, *each.details.values()]) for each in done)


@once
def _pieces(host: Host) -> tuple[Piece, ...]:
    if host.engine.dialect is not Dialect.V29_NFTABLES or not all_of(engine_is_here(host), manages_firewall(host)).yes:
        return ()
    networks = [each for each in host.networks if each.engine == "docker" and is_local_bridge(host, each).yes]
    found: list[Piece] = []
    for version in (4, 6) if manages_ip6tables(host).yes else (4,):
        family = "ip6" if version == 6 else "ip"
        own = [each for each in networks if any(subnet.subnet.version == version for subnet in each.subnets)]
        if own:
            found += _common(family, own[0].span)
            found += (piece for network in own for piece in _of_network(host, family, version, network))
            found += _of_ports(host, family, version, {network.id: network for network in own})
    return tuple(found)


def _common(family: str, place: Span) -> Iterator[Piece]:
    yield Piece("table", family, "", f"table {family} {TABLE}", place)
    for chain in (*_BASE_CHAINS, _PORTS):
        yield Piece("chain", family, chain, f"chain {chain}", place)
    for chain, key, name in _LOOKUPS:
        yield Piece("rule", family, chain, f"{key} vmap @{name}", place, verdict=f"vmap {key} @{name}")


def _of_network(host: Host, family: str, version: int, network: Network) -> Iterator[Piece]:
    device = bridge_name(host, network)
    for name in ("filter-forward-in", "filter-forward-out", "nat-postrouting-in", "nat-postrouting-out"):
        chain = f"{name}__{device}"
        jump = f"jump {chain}"
        yield Piece("chain", family, chain, f"chain {chain}", network.span, network=network)
        text = f'"{device}" : {jump}'
        yield Piece(
            "element", family, f"{name}-jumps", text, network.span, verdict=f"{device} : {jump}", network=network
        )

    def rule(chain: str, verdict: str, *conditions: Condition) -> Piece:
        words = [_text(condition) for condition in conditions]
        text = " ".join([*words, "counter", verdict])
        return Piece("rule", family, f"{chain}__{device}", text, network.span, frozenset(conditions), verdict, network)

    established = ("ct state", "==", frozenset({"established", "related"}))
    from_it, to_others = ("iifname", "==", frozenset({device})), ("oifname", "!=", frozenset({device}))
    between = "drop" if bridge_option(network, "enable_icc") == "false" else "accept"
    yield rule("filter-forward-in", "accept", established)
    yield rule("filter-forward-out", "accept", established)
    if network.internal is None and network.name != "bridge":
        return
    if network.internal:
        yield rule("filter-forward-in", "drop", ("iifname", "!=", frozenset({device})))
        yield rule("filter-forward-in", between)
        yield rule("filter-forward-out", "drop", to_others)
        return
    mode = bridge_option(network, f"gateway_mode_ipv{version}") or "nat"
    yield rule("filter-forward-in", between, from_it)
    yield rule("filter-forward-out", "accept")
    yield rule("filter-forward-in", "accept" if mode == "nat-unprotected" else "drop")
    translated = mode.startswith("nat") and bridge_option(network, "enable_ip_masquerade") != "false"
    if translated and not (network.options or {}).get(f"com.docker.network.host_ipv{version}"):
        for subnet in network.subnets:
            if subnet.subnet.version == version:
                source = (f"{family} saddr", "==", frozenset({str(subnet.subnet)}))
                yield rule("nat-postrouting-out", "masquerade", to_others, source)


def _text(condition: Condition) -> str:
    left, operator, values = condition
    words = [f'"{value}"' if left in ("iifname", "oifname") else value for value in sorted(values)]
    return " ".join(filter(None, (left, operator if operator != "==" else "", ",".join(words))))


def _of_ports(host: Host, family: str, version: int, networks: dict[str, Network]) -> Iterator[Piece]:
    """Of containers that are on one network only: which one carries the ports of others is not told."""
    for container in host.containers:
        if container.engine != "docker" or not all_of(is_running(container), has_own_namespace(container)).yes:
            continue
        on = [each for each in container.endpoints if (found := networks.get(each.network_id)) and not found.internal]
        address = on[0].address if version == 4 and on else on[0].address6 if on else None
        if len(on) == 1 and address:
            yield from _of_container(host, family, container, networks[on[0].network_id], address.ip)


def _of_container(
    host: Host, family: str, container: Container, network: Network, address: IpAddress
) -> Iterator[Piece]:
    device = bridge_name(host, network)
    mode = bridge_option(network, f"gateway_mode_ipv{address.version}") or "nat"
    for port in container.ports:
        if port.host_address is not None and port.host_address.version != address.version:
            continue
        to_it = frozenset(
            {
                (f"{family} daddr", "==", frozenset({str(address)})),
                (f"{port.protocol} dport", "==", frozenset({str(port.container_port)})),
            }
        )
        text = f"{family} daddr {address} {port.protocol} dport {port.container_port} counter accept"
        chain = f"filter-forward-in__{device}"
        if mode in ("nat", "routed"):
            yield Piece("rule", family, chain, text, port.span, to_it, "accept", network, container)
        everywhere = port.host_address is None or port.host_address.is_unspecified
        if mode == "nat" and everywhere and family == "ip" and uses_proxy(host).yes:
            asked = frozenset(
                {
                    ("iifname", "!=", frozenset({device})),
                    (f"{port.protocol} dport", "==", frozenset({str(port.host_port)})),
                }
            )
            goal = f"{address}:{port.container_port}"
            text = f'iifname != "{device}" {port.protocol} dport {port.host_port} counter dnat to {goal}'
            verdict = f"dnat {address} {port.container_port}"
            yield Piece("rule", family, _PORTS, text, port.span, asked, verdict, network, container)


def networks_of(pieces: Iterable[Piece]) -> list[Network]:
    """The networks that pieces are for, each once."""
    return list({piece.network.id: piece.network for piece in pieces if piece.network}.values())
