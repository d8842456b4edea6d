"""The iptables tables of a namespace in every backend, and questions about which rules a packet may meet.

Answers are three-valued: a rule with an extension that netdiag does not understand never counts as a plain yes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.formats.records import Chain, IpNetwork, Rule, RulesetHead
from netdiag.model.knowledge import Extent, Facts, Truth, not_whole

_SOURCE_NAT = frozenset({"MASQUERADE", "SNAT", "NETMAP"})

#: Conditions that every packet from a container to another host meets, or that only narrow what Docker's own rule would
#: do as well.
_HARMLESS_MATCHES = frozenset({"comment"})


@dataclass(frozen=True)
class FirewallChain:
    """A chain with its rules in order."""

    head: Chain
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        return self.head.name


@dataclass(frozen=True)
class FirewallTable:
    """One iptables table of one family and backend. `backend` is `nft`, `legacy`, or empty when the bundle does not
    tell.
    """

    family: str
    name: str
    backend: str
    chains: Mapping[str, FirewallChain]

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
        waiting, seen = [start], {start}
        while waiting:
            chain = self.chains.get(waiting.pop(0))
            for rule in chain.rules if chain else ():
                yield rule
                if rule.target is not None and rule.target in self.chains and rule.target not in seen:
                    seen.add(rule.target)
                    waiting.append(rule.target)

    def masquerades(self, subnet: IpNetwork, bridge: str) -> tuple[Truth, Rule | None]:
        """Whether packets of `subnet` that leave by another link than `bridge` get another source address, and by which
        rule.

        Unknown when the only rules that may do it have conditions that cannot be judged from here; then the first such
        rule.
        """
        doubtful: Rule | None = None
        waiting, seen = ["POSTROUTING"], {"POSTROUTING"}
        while waiting:
            chain = self.chains.get(waiting.pop(0))
            for rule in chain.rules if chain else ():
                applies = _applies_to_leaving(rule, subnet, bridge)
                if applies is Truth.NO:
                    continue
                if rule.target in _SOURCE_NAT:
                    if (applies is Truth.YES and rule.destination is None) or _excludes_only_itself(rule, subnet):
                        return Truth.YES, rule
                    doubtful = doubtful or rule
                elif rule.target is not None and rule.target in self.chains and rule.target not in seen:
                    seen.add(rule.target)
                    waiting.append(rule.target)
        return (Truth.UNKNOWN, doubtful) if doubtful else (Truth.NO, None)


def _applies_to_leaving(rule: Rule, subnet: IpNetwork, bridge: str) -> Truth:
    """Whether the rule takes packets of the whole subnet that leave by another link than its bridge."""
    if rule.source is not None and rule.source_negated is _covers(rule.source, subnet):
        return Truth.NO
    if rule.out_interface is not None and not rule.out_interface_negated and rule.out_interface in (bridge, "lo"):
        return Truth.NO
    if rule.protocol is not None and not rule.protocol_negated:
        return Truth.NO
    if any(match.option == "src-type" and match.value == "LOCAL" and not match.negated for match in rule.matches):
        return Truth.NO
    conditional = [match for match in rule.matches if match.option not in _HARMLESS_MATCHES]
    return Truth.UNKNOWN if conditional or rule.not_understood else Truth.YES


def _covers(network: IpNetwork, subnet: IpNetwork) -> bool:
    """Whether all of `subnet` lies in `network`."""
    if isinstance(network, IPv4Network) and isinstance(subnet, IPv4Network):
        return subnet.subnet_of(network)
    return isinstance(network, IPv6Network) and isinstance(subnet, IPv6Network) and subnet.subnet_of(network)


def _excludes_only_itself(rule: Rule, subnet: IpNetwork) -> bool:
    """`-s SUBNET ! -d SUBNET -j MASQUERADE`: another way to write "what leaves the bridge"."""
    plain = not rule.matches and not rule.not_understood
    return plain and rule.destination_negated and rule.destination in (subnet, rule.source)


def matched(rule: Rule, option: str) -> str:
    """The value of a condition, empty when the rule does not have it."""
    return next((match.value for match in rule.matches if match.option == option), "")


def target_option(rule: Rule, option: str) -> str:
    """The value of an option of the target, empty when the rule does not have it."""
    return next((item.value for item in rule.target_options if item.option == option), "")


def port_matches(rule: Rule, port: int, option: str = "dport") -> bool:
    """Whether the rule's `option`, one port or a range such as `8000:8010`, has this port."""
    return in_ports(matched(rule, option), port)


def in_ports(ports: str, port: int) -> bool:
    """Whether a list such as `80,8000:8010` has the port. Names of services have no number here and fit no port."""
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if low.isdigit() and (high or low).isdigit() and int(low) <= port <= int(high or low):
            return True
    return False


def build_firewall(bundle: Bundle, documents: Sequence[Document], scope: str) -> Facts[FirewallTable]:
    """The tables of a namespace. A table of `iptables-save` is taken from there, others from their listing."""
    saves = [d for d in documents if d.format == "iptables_save" and d.source.scope == scope]
    listings = [d for d in documents if d.format == "iptables_list" and d.source.scope == scope]
    tables: dict[tuple[str, str, str], FirewallTable] = {}
    for document in (*saves, *listings):
        backend = _backend(document)
        for table in _tables(document, backend):
            known = any(key[0] == table.family and key[1] == table.name and backend in ("", key[2]) for key in tables)
            if not known:
                tables[table.family, table.name, backend] = table
    missing = ("iptables_save",)
    if not saves and not listings:
        reasons = (
            n.reason
            for n in bundle.not_collected
            if n.format in ("iptables_save", "iptables_list") and n.scope == scope
        )
        return Facts((), Extent.NONE, next(reasons, "the bundle has no iptables rules"), missing)
    doubts = [doubt for document in saves or listings if (doubt := _doubt(document))]
    if not saves:
        doubts.append("only listings of single tables were collected")
    extent = Extent.PART if doubts else Extent.WHOLE
    return Facts(tuple(tables.values()), extent, "; ".join(doubts), missing if doubts else ())


def _doubt(document: Document) -> str:
    """Why the document may not hold all rules of its backend."""
    incompatible = (note for note in document.notes if "incompatible" in note)
    return not_whole(document) or next((f"{document.source.path}: {note}" for note in incompatible), "")


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
    for family, name in dict.fromkeys((head.family, head.table) for head in heads):
        chains = {
            head.name: FirewallChain(head, tuple(rules.get((family, name, head.name), ())))
            for head in heads
            if (head.family, head.table) == (family, name)
        }
        yield FirewallTable(family, name, backend, chains)
