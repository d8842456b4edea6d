"""Flows that no rule tells apart, so that a question about thousands of flows is answered once for each kind of them.

Rules name single addresses, ports and ranges of both. Their ends cut all numbers into pieces, and two numbers of one
piece meet the same answer everywhere.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from ipaddress import IPv4Network

from netdiag.formats.records import IpAddress, IpNetwork, NftMatch, NftRule, NftStatement, Rule
from netdiag.model.flow import AnyRule, AnyTable
from netdiag.model.nftables import NativeTable
from netdiag.model.packets import Flow, Ground, Stretch, value_range

_NOWHERE = Ground()

#: The options of iptables whose values are ports, addresses or ranges of them.
_NUMBERS = frozenset({"dport", "dports", "sport", "sports", "ports", "ctorigdstport"})
_RANGES = frozenset({"dst-range", "src-range", "ctorigdst", "ctorigsrc"})


def told_apart(
    chains: Iterable[tuple[AnyTable, str]],
    ground: Ground = _NOWHERE,
    ignored: Callable[[AnyRule], bool] = lambda _: False,
) -> Callable[[Flow], Hashable]:
    """A key for flows: two flows with the same key meet the same answer of every rule that these chains lead to, but
    for those `ignored`.
    """
    cuts: dict[int, set[int]] = defaultdict(set)
    for stretch in _asked(chains, ground, ignored):
        cuts[stretch.kind] |= {stretch.first, stretch.last + 1}
    ends = {kind: sorted(found) for kind, found in cuts.items()}

    def piece(kind: int, number: int | None) -> Hashable:
        return None if number is None else bisect_right(ends.get(kind, ()), number)

    def of_address(address: IpAddress | None) -> Hashable:
        return None if address is None else (address.version, piece(address.version, int(address)))

    def key(flow: Flow) -> Hashable:
        addresses = of_address(flow.source), of_address(flow.destination), of_address(flow.original_destination)
        ports = flow.source_port, flow.destination_port, flow.original_destination_port
        links = flow.in_interface, flow.out_interface, flow.bridged
        return (
            flow.protocol,
            flow.state,
            flow.icmp_type,
            flow.icmp_code,
            links,
            addresses,
            tuple(piece(0, port) for port in ports),
        )

    return key


def _asked(
    chains: Iterable[tuple[AnyTable, str]], ground: Ground, ignored: Callable[[AnyRule], bool]
) -> Iterator[Stretch]:
    """All addresses and ports, and ranges of them, that the rules ask for; and those that the host takes for its own,
    for which rules ask by their type.
    """
    for address in (*(ground.local or ()), *ground.broadcast):
        yield Stretch(address.version, int(address), int(address))
    natives: set[int] = set()
    for table, chain in chains:
        if not isinstance(table, NativeTable):
            for rule in table.rules_after(chain):
                if not ignored(rule):
                    yield from _of_iptables(rule, ground)
        elif id(table) not in natives:
            natives.add(id(table))
            yield from _of_nftables(table, ignored)


def _of_iptables(rule: Rule, ground: Ground) -> Iterator[Stretch]:
    for network in (rule.source, rule.destination):
        if network is not None:
            yield _of_network(network)
    for match in rule.matches:
        if match.option in _NUMBERS:
            yield from _stretches(part.replace(":", "-") for part in match.value.split(","))
        elif match.option in _RANGES:
            yield from _stretches([match.value])
        elif match.option == "match-set":
            found = ground.ipsets.get(match.value.partition(" ")[0])
            yield from _stretches(member.element for member in (found.members if found else None) or ())


def _of_network(network: IpNetwork) -> Stretch:
    kind = 4 if isinstance(network, IPv4Network) else 6
    return Stretch(kind, int(network.network_address), int(network.broadcast_address))


def _of_nftables(table: NativeTable, ignored: Callable[[AnyRule], bool]) -> Iterator[Stretch]:
    for named in table.sets.values():
        yield from _stretches(part for element in named.elements for part in element.key.split(" . "))
    for chain in table.chains.values():
        for rule in chain.rules:
            if not ignored(rule):
                yield from _stretches(_words(rule))


def _words(rule: NftRule) -> Iterator[str]:
    for statement in rule.statements:
        if isinstance(statement, NftMatch):
            for value in statement.values:
                yield from value.split(" . ")
        elif isinstance(statement, NftStatement):
            for element in statement.elements:
                yield from element.key.split(" . ")


def _stretches(texts: Iterable[str]) -> Iterator[Stretch]:
    return (stretch for text in texts if (stretch := value_range(text)) is not None)
