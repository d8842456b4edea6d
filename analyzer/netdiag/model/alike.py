"""Flows that no rule tells apart, so that a question about thousands of flows is answered once for each kind of them.

Rules name single addresses, ports and ranges of both. Their ends cut all numbers into pieces, and two numbers of one
piece meet the same answer everywhere. Of the interfaces those are alike that no rule names, neither in full nor by how
their names begin.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from ipaddress import IPv4Network

from netdiag.formats.records import IpAddress, IpNetwork, NftMatch, NftRule, NftStatement, Rule
from netdiag.model.flow import AnyRule, AnyTable
from netdiag.model.nftables import NativeTable
from netdiag.model.packets import Flow, Ground, Stretch, interface_fits, value_range

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
    rules = [(rule, table) for rule, table in _rules_after(chains) if not ignored(rule)]
    natives = {id(table): table for _, table in rules if isinstance(table, NativeTable)}
    cuts: dict[int, set[int]] = defaultdict(set)
    for stretch in _asked((rule for rule, _ in rules), natives.values(), ground):
        cuts[stretch.kind] |= {stretch.first, stretch.last + 1}
    ends = {kind: sorted(found) for kind, found in cuts.items()}
    of_link = _Links(_named((rule for rule, _ in rules), natives.values()))

    def piece(kind: int, number: int | None) -> Hashable:
        return None if number is None else bisect_right(ends.get(kind, ()), number)

    def of_address(address: IpAddress | None) -> Hashable:
        return None if address is None else (address.version, piece(address.version, int(address)))

    def key(flow: Flow) -> Hashable:
        addresses = of_address(flow.source), of_address(flow.destination), of_address(flow.original_destination)
        ports = flow.source_port, flow.destination_port, flow.original_destination_port
        links = of_link.kind(flow.in_interface), of_link.kind(flow.out_interface), flow.bridged
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


def _rules_after(chains: Iterable[tuple[AnyTable, str]]) -> Iterator[tuple[AnyRule, AnyTable]]:
    """The rules that the chains lead to; of tables of nftables all rules, each once."""
    natives: set[int] = set()
    for table, chain in chains:
        if not isinstance(table, NativeTable):
            for rule in table.rules_after(chain):
                yield rule, table
        elif id(table) not in natives:
            natives.add(id(table))
            for native in table.chains.values():
                for each in native.rules:
                    yield each, table


#: What the kernel takes for another type of address whatever the host has: multicast, loopback, broadcast.
_SPECIAL = ("224.0.0.0/4", "127.0.0.0/8", "255.255.255.255", "ff00::/8", "::1")


def _asked(rules: Iterable[AnyRule], natives: Iterable[NativeTable], ground: Ground) -> Iterator[Stretch]:
    """All addresses and ports, and ranges of them, that the rules ask for; and those of which the kernel has a type of
    its own, for which rules ask as well.
    """
    yield from _stretches(_SPECIAL)
    for address in (*(ground.local or ()), *ground.broadcast):
        yield Stretch(address.version, int(address), int(address))
    for table in natives:
        for named in table.sets.values():
            yield from _stretches(part for element in named.elements for part in element.key.split(" . "))
    for rule in rules:
        yield from _stretches(_words(rule)) if isinstance(rule, NftRule) else _of_iptables(rule, ground)


class _Links:
    """Which interfaces no rule tells apart, by the names that rules ask for; `+` at the end stands for any more."""

    def __init__(self, named: Iterable[str]) -> None:
        self._named = frozenset(named)
        self._prefixes = sorted(name for name in self._named if name.endswith("+"))
        self._kinds: dict[str, Hashable] = {}

    def kind(self, name: str | None) -> Hashable:
        if name is None:
            return None
        if name not in self._kinds:
            fitting = tuple(prefix for prefix in self._prefixes if interface_fits(prefix, name))
            self._kinds[name] = name if name in self._named else None, name == "", fitting
        return self._kinds[name]


def _named(rules: Iterable[AnyRule], natives: Iterable[NativeTable]) -> Iterator[str]:
    """The interfaces that the rules ask for. Of nftables these are all words, as interfaces are also in sets and
    maps.
    """
    for rule in rules:
        if isinstance(rule, NftRule):
            yield from map(_as_iptables, _words(rule))
        else:
            yield from (name for name in (rule.in_interface, rule.out_interface) if name)
    for table in natives:
        for named in table.sets.values():
            yield from (_as_iptables(part) for element in named.elements for part in element.key.split(" . "))


def _as_iptables(word: str) -> str:
    """What nft ends with `*`, iptables ends with `+`."""
    return f"{word[:-1]}+" if word.endswith("*") else word


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
