"""The iptables tables of a namespace in every backend, and questions about which rules a packet may meet.

Answers are three-valued: a rule with an extension that netdiag does not understand never counts as a plain yes.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from netdiag.bundle import NotCollected
from netdiag.formats import Document
from netdiag.formats.records import Chain, IpNetwork, Rule, RulesetHead
from netdiag.model.knowledge import Extent, Facts, Truth, not_whole
from netdiag.model.packets import interface_fits
from netdiag.model.sieve import Key, Sieve

#: What stands before a rule in iptables-save and `iptables -S`.
_BEFORE_RULE = re.compile(r"^(?:\[\d+:\d+\] )?-A \S+ ?")

#: Targets that give packets another source address.
SOURCE_NAT = frozenset({"MASQUERADE", "SNAT", "NETMAP"})

#: What ends the collector's reason for leaving out the rules of a backend that has none.
_NOTHING_LOADED = ("is loaded", "is not loaded")


@dataclass(frozen=True)
class FirewallChain:
    """A chain with its rules in order."""

    head: Chain
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        return self.head.name

    @cached_property
    def sieve(self) -> Sieve[Rule]:
        return Sieve((rule, _asked_for(rule)) for rule in self.rules)


@dataclass(frozen=True)
class FirewallTable:
    """One iptables table of one family and backend. `backend` is `nft`, `legacy`, or empty when the bundle does not
    tell. `doubt` is the reason why the bundle may not show all rules that the host has in tables of this name.
    """

    family: str
    name: str
    backend: str
    chains: Mapping[str, FirewallChain]
    doubt: str = ""

    def rules(self) -> Iterator[Rule]:
        for chain in self.chains.values():
            yield from chain.rules

    def jumps_to(self, chain: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules() if rule.target == chain)

    def reaches(self, start: str, wanted: str) -> bool:
        """Whether a packet in chain `start` can get to chain `wanted`, by whatever jumps."""
        return any(rule.target == wanted for rule in self.rules_after(start))

    def rules_after(self, start: str) -> Iterator[Rule]:
        """The rules of chain `start` and of all chains that it leads to, each chain once."""
        waiting, seen = deque([start]), {start}
        while waiting:
            chain = self.chains.get(waiting.popleft())
            for rule in chain.rules if chain else ():
                yield rule
                if rule.target is not None and rule.target in self.chains and rule.target not in seen:
                    seen.add(rule.target)
                    waiting.append(rule.target)

    def masquerades(
        self, subnet: IpNetwork, bridge: str, uplinks: frozenset[str] = frozenset()
    ) -> tuple[Truth, Rule | None]:
        """Whether packets of `subnet` that leave by another link than `bridge` get another source address, and by which
        rule. `uplinks` are the links that lead outside, empty when they are not known.

        Unknown when the only rules that may do it have conditions that cannot be judged from here, or stand where only
        such conditions lead to; then the first such rule.
        """
        doubtful: Rule | None = None
        waiting, seen = deque([("POSTROUTING", Truth.YES)]), set[tuple[str, Truth]]()
        while waiting:
            name, comes = waiting.popleft()
            chain = self.chains.get(name)
            for rule in chain.rules if chain else ():
                takes = _takes_leaving(rule, subnet, bridge, uplinks)
                if takes is Truth.NO:
                    continue
                taken = Truth.UNKNOWN if Truth.UNKNOWN in (comes, takes) else Truth.YES
                if rule.target in SOURCE_NAT:
                    if taken is Truth.YES:
                        return Truth.YES, rule
                    doubtful = doubtful or rule
                elif rule.target == "RETURN" and name != "POSTROUTING":
                    if takes is Truth.YES:
                        break
                    if rule.destination is None:  # else it spares some destinations only
                        comes = Truth.UNKNOWN
                elif rule.target is not None and rule.target in self.chains and (rule.target, taken) not in seen:
                    seen.add((rule.target, taken))
                    waiting.append((rule.target, taken))
        return (Truth.UNKNOWN, doubtful) if doubtful else (Truth.NO, None)


def printed(rule: Rule) -> str:
    """The rule as the output shows it, without its counters, and without its chain where iptables-save printed it."""
    text = " ".join(rule.span.excerpt.split())
    return _BEFORE_RULE.sub("", text)


def _takes_leaving(rule: Rule, subnet: IpNetwork, bridge: str, uplinks: frozenset[str]) -> Truth:
    """Whether the rule takes packets of the whole subnet that leave by another link than its bridge."""
    from_local = any(m.option == "src-type" and m.value == "LOCAL" and not m.negated for m in rule.matches)
    one_protocol = rule.protocol is not None and not rule.protocol_negated
    if from_local or one_protocol or not _goes_out(rule, bridge, uplinks):
        return Truth.NO
    conditional = rule.not_understood or rule.protocol or any(match.option != "comment" for match in rule.matches)
    answers = (_from(rule, subnet), _elsewhere(rule, subnet), Truth.UNKNOWN if conditional else Truth.YES)
    if Truth.NO in answers:
        return Truth.NO
    return Truth.UNKNOWN if Truth.UNKNOWN in answers else Truth.YES


def _goes_out(rule: Rule, bridge: str, uplinks: frozenset[str]) -> bool:
    """Whether the rule takes what leaves by an uplink, or by some link other than the bridge and the loopback."""
    name, negated = rule.out_interface, rule.out_interface_negated
    if name is None:
        return True
    if uplinks:
        return any(interface_fits(name, uplink) is not negated for uplink in uplinks)
    return negated or not (interface_fits(name, bridge) or interface_fits(name, "lo"))


def _from(rule: Rule, subnet: IpNetwork) -> Truth:
    """Whether the rule takes packets of every source in the subnet."""
    if rule.source is None:
        return Truth.YES
    if not rule.source_negated:
        return Truth.YES if _covers(rule.source, subnet) else Truth.NO
    if _covers(rule.source, subnet):
        return Truth.NO
    return Truth.UNKNOWN if _covers(subnet, rule.source) else Truth.YES


def _elsewhere(rule: Rule, subnet: IpNetwork) -> Truth:
    """Whether the rule takes packets to everywhere but the subnet: `-s SUBNET ! -d SUBNET` is another way to write
    "what leaves the bridge".
    """
    if rule.destination is None:
        return Truth.YES
    if rule.destination_negated:
        return Truth.YES if rule.destination in (subnet, rule.source) else Truth.UNKNOWN
    return Truth.NO if _covers(subnet, rule.destination) else Truth.UNKNOWN


def _covers(network: IpNetwork, subnet: IpNetwork) -> bool:
    """Whether all of `subnet` lies in `network`."""
    if isinstance(network, IPv4Network) and isinstance(subnet, IPv4Network):
        return subnet.subnet_of(network)
    return isinstance(network, IPv6Network) and isinstance(subnet, IPv6Network) and subnet.subnet_of(network)


def _asked_for(rule: Rule) -> Key | None:
    """The one thing without which the rule does not take a packet, by which a chain's rules are sorted: the rarest."""
    networks = [
        (name, network)
        for name, network, negated in (
            ("destination", rule.destination, rule.destination_negated),
            ("source", rule.source, rule.source_negated),
        )
        if network is not None and not negated
    ]
    for name, network in networks:
        if network.num_addresses == 1:
            return name, network
    port = next((match for match in rule.matches if match.option == "dport" and not match.negated), None)
    if port and port.value.isdecimal():
        return "destination_port", int(port.value)
    for name, interface, negated in (
        ("out_interface", rule.out_interface, rule.out_interface_negated),
        ("in_interface", rule.in_interface, rule.in_interface_negated),
    ):
        if interface is not None and not negated and not interface.endswith("+"):
            return name, interface
    return next(((name, network) for name, network in networks if network.prefixlen), None)


def matched(rule: Rule, option: str) -> str:
    """The value of a condition, empty when the rule does not have it."""
    return next((match.value for match in rule.matches if match.option == option), "")


def target_option(rule: Rule, option: str) -> str:
    """The value of an option of the target, empty when the rule does not have it."""
    return next((item.value for item in rule.target_options if item.option == option), "")


def port_matches(rule: Rule, port: int, option: str = "dport") -> bool:
    """Whether the rule's `option`, one port or a range such as `8000:8010`, has this port, or may have it."""
    return in_ports(matched(rule, option), port) is not Truth.NO


def in_ports(ports: str, port: int) -> Truth:
    """Whether a list such as `80,8000:8010` has the port. Unknown for the name of a service, which a listing without
    `-n` prints.
    """
    answer = Truth.NO
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if not (low.isdecimal() and (high or low).isdecimal()):
            answer = Truth.UNKNOWN if part else answer
        elif int(low) <= port <= int(high or low):
            return Truth.YES
    return answer


def build_firewall(
    saves: Sequence[Document], listings: Sequence[Document], left_out: Sequence[NotCollected], *, by_collector: bool
) -> Facts[FirewallTable]:
    """The tables of a namespace. A table of `iptables-save` is taken from there, others from their listing.

    `left_out` are the firewall's artifacts of the namespace that the collector did not get.
    """
    missing = ("iptables_save",)
    if not saves and not listings:
        return Facts((), Extent.NONE, next((n.reason for n in left_out), "the bundle has no iptables rules"), missing)
    tables: dict[tuple[str, str, str], FirewallTable] = {}
    for document in (*saves, *listings):
        backend = _backend(document)
        for table in _tables(document, backend):
            known = any(key[0] == table.family and key[1] == table.name and backend in ("", key[2]) for key in tables)
            if not known:
                tables[table.family, table.name, backend] = table
    lost = [f"{n.artifact}: {n.reason}" for n in left_out if n.format == "iptables_save" and not _has_none(n)]
    doubted = tuple(replace(table, doubt=_doubt_about(table, saves, listings, lost)) for table in tables.values())
    doubts = [doubt for document in saves or listings if (doubt := _doubt(document))] + lost
    doubts += _missing_parts(saves, doubted, by_collector=by_collector)
    extent = Extent.PART if doubts else Extent.WHOLE
    return Facts(doubted, extent, "; ".join(doubts), missing if doubts else ())


def _has_none(left_out: NotCollected) -> bool:
    """The backend was left out because the kernel has no rules of it."""
    return any(reason in left_out.reason for reason in _NOTHING_LOADED)


def _missing_parts(saves: Sequence[Document], tables: Sequence[FirewallTable], *, by_collector: bool) -> list[str]:
    if not saves:
        return ["only listings of single tables were collected"]
    if by_collector:
        ipv4 = any(_family(document) == "ipv4" for document in saves)
        return [] if ipv4 else ["the IPv4 rules were not collected"]
    names = {table.name for table in tables if table.family == "ipv4"}
    return [] if names >= {"filter", "nat"} else ["what was collected may not be all tables"]


def _doubt(document: Document) -> str:
    """Why the document may not hold all rules of its backend."""
    incompatible = (note for note in document.notes if "incompatible" in note)
    return not_whole(document) or next((f"{document.source.path}: {note}" for note in incompatible), "")


def _doubt_about(
    table: FirewallTable, saves: Sequence[Document], listings: Sequence[Document], lost: Sequence[str]
) -> str:
    """Why there may be more rules in tables of this family and name than were read."""
    same_family = [document for document in saves if _family(document) == table.family] or [
        document for document in listings if _lists(document, table)
    ]
    doubts = [not_whole(document) for document in same_family]
    doubts += [
        f"{document.source.path}: {note}"
        for document in same_family
        for note in document.notes
        if "incompatible" in note and table.name in note
    ]
    doubts += [each for each in lost if each.startswith("ip6") is (table.family == "ipv6")]
    return "; ".join(dict.fromkeys(doubt for doubt in doubts if doubt))


def _lists(document: Document, table: FirewallTable) -> bool:
    return any(chain.head.span.source is document.source for chain in table.chains.values())


def _family(document: Document) -> str:
    """The family of a document; of one without any rules, as after `nft flush ruleset`, by its command."""
    chains = (record.family for record in document.records if isinstance(record, Chain))
    source = document.source
    by_command = "ipv6" if "ip6tables" in f"{source.artifact} {source.command} {source.path}" else "ipv4"
    return next(chains, by_command)


def _backend(document: Document) -> str:
    for backend in ("legacy", "nft"):
        if f"-{backend}" in document.source.artifact:
            return backend
    heads = (record.backend for record in document.records if isinstance(record, RulesetHead))
    return next(heads, "")


def _tables(document: Document, backend: str) -> Iterator[FirewallTable]:
    heads = [record for record in document.records if isinstance(record, Chain)]
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for record in document.records:
        if isinstance(record, Rule):
            rules.setdefault((record.family, record.table, record.chain), []).append(record)
    for family, name in dict.fromkeys((head.family, head.table) for head in heads):  # a handful
        chains = {
            head.name: FirewallChain(head, tuple(rules.get((family, name, head.name), ())))
            for head in heads
            if (head.family, head.table) == (family, name)
        }
        yield FirewallTable(family, name, backend, chains)
