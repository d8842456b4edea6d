"""The tables of ebtables, the firewall of bridges: rules that frames meet as a bridge forwards them.

Names and meanings of the options: ebtables(8).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netdiag.bundle import NotCollected
from netdiag.formats import Document
from netdiag.formats.records import (
    EbtablesChain,
    EbtablesRule,
    Match,
    NftChain,
    NftMatch,
    NftRule,
    NftStatement,
    NftTable,
)
from netdiag.model.knowledge import Extent, Facts, not_whole
from netdiag.model.nftables import NativeChain, NativeTable

#: What ends the collector's reason for leaving out a table that the kernel does not have.
_NOTHING_LOADED = "would load this kernel module"


@dataclass(frozen=True)
class FrameChain:
    """A chain of ebtables with its rules in order."""

    head: EbtablesChain
    rules: tuple[EbtablesRule, ...]

    @property
    def name(self) -> str:
        return self.head.name


@dataclass(frozen=True)
class FrameTable:
    """A table of ebtables (`filter`, `nat`, `broute`)."""

    name: str
    chains: Mapping[str, FrameChain]

    def rules(self) -> Iterator[EbtablesRule]:
        for chain in self.chains.values():
            yield from chain.rules


def build_ebtables(documents: Sequence[Document], left_out: Sequence[NotCollected]) -> Facts[FrameTable]:
    """The tables of a namespace. Whole when `filter` was read whole, or the kernel has no ebtables at all: then no rule
    of the legacy tool exists, and those of ebtables-nft are in the bridge family of nftables.
    """
    missing = ("ebtables",)
    if not documents:
        reasons = [each.reason for each in left_out]
        if reasons and all(reason.endswith(_NOTHING_LOADED) for reason in reasons):
            return Facts((), Extent.WHOLE)
        return Facts((), Extent.NONE, next(iter(reasons), "the bundle has no output of ebtables"), missing)
    tables: dict[str, FrameTable] = {}
    for document in documents:
        for table in _tables(document):
            tables.setdefault(table.name, table)
    doubts = [doubt for document in documents if (doubt := not_whole(document))]
    if "filter" not in tables:
        doubts.append("the table filter was not collected")
    if any(_is_of_nft_variant(rule) for table in tables.values() for rule in table.rules()):
        doubts.append("this ebtables keeps its rules in nftables, and does not show those of the kernel's own")
    return Facts(
        tuple(tables.values()), Extent.PART if doubts else Extent.WHOLE, "; ".join(doubts), missing if doubts else ()
    )


def _tables(document: Document) -> Iterator[FrameTable]:
    rules: dict[tuple[str, str], list[EbtablesRule]] = defaultdict(list)
    heads: dict[str, dict[str, EbtablesChain]] = defaultdict(dict)
    for record in document.records:
        if isinstance(record, EbtablesChain):
            heads[record.table][record.name] = record
        elif isinstance(record, EbtablesRule):
            rules[record.table, record.chain].append(record)
    for name, chains in heads.items():
        yield FrameTable(name, {chain: FrameChain(head, tuple(rules[name, chain])) for chain, head in chains.items()})


def _is_of_nft_variant(rule: EbtablesRule) -> bool:
    """With --Ln the variant of nftables numbers rules as `2 -p ARP`, the other one as `2. -p ARP`."""
    return rule.span.text.split(" ", 1)[0].isdecimal()


# --- as rules of nftables ---------------------------------------------------------------------------------------------

_PRIORITIES = {"filter": -200, "nat": -300}
_HOOKS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
_TYPES = {"IPv4": "ip", "IPv6": "ip6", "ARP": "arp"}
_QUESTIONS = {
    "p": "ether type",
    "i": "iifname",
    "o": "oifname",
    "ip-src": "ip saddr",
    "ip-dst": "ip daddr",
    "ip-proto": "ip protocol",
    "ip-sport": "th sport",
    "ip-dport": "th dport",
    "ip6-src": "ip6 saddr",
    "ip6-dst": "ip6 daddr",
    "ip6-proto": "ip6 nexthdr",
    "ip6-sport": "th sport",
    "ip6-dport": "th dport",
}
#: Options that only write down what passes.
_WATCHERS = ("log", "nflog", "ulog")
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "RETURN": "return"}
#: Targets that change a frame or answer it, and then do what `--...-target` says.
_CHANGE = frozenset({"dnat", "snat", "redirect", "mark", "arpreply"})


def as_nftables(table: FrameTable) -> NativeTable:
    """The table as one of nftables' bridge family, so that frames are put to both alike. A condition that nftables does
    not have stays one that cannot be judged.
    """
    head = NftTable("bridge", table.name, next(iter(table.chains.values())).head.span)
    chains = {name: NativeChain(_head(chain), tuple(_rules(table, chain))) for name, chain in table.chains.items()}
    return NativeTable(head, chains)


def _head(chain: FrameChain) -> NftChain:
    head = chain.head
    made = NftChain("bridge", head.table, head.name, head.span)
    if head.name not in _HOOKS or head.table not in _PRIORITIES:
        return made
    policy, priority = _VERDICTS.get(head.policy), _PRIORITIES[head.table]
    return replace(made, chain_type="filter", hook=head.name.lower(), priority=priority, policy=policy)


def _rules(table: FrameTable, chain: FrameChain) -> Iterator[NftRule]:
    head = chain.head
    for rule in chain.rules:
        asked = (made for match in rule.matches if (made := _match(match)))
        yield NftRule("bridge", head.table, head.name, rule.position, rule.span, None, (*asked, *_done(table, rule)))
    if head.name not in _HOOKS and head.policy in ("ACCEPT", "DROP"):  # other chains have a policy too
        last = NftStatement(_VERDICTS[head.policy])
        yield NftRule("bridge", head.table, head.name, len(chain.rules) + 1, head.span, None, (last,))


def _match(match: Match) -> NftMatch | None:
    if match.option.startswith(_WATCHERS):
        return None
    value = _TYPES.get(match.value, match.value) if match.option == "p" else match.value
    if match.option.endswith("port"):
        value = value.replace(":", "-")
    if match.option in ("i", "o") and value.endswith("+"):
        value = f"{value[:-1]}*"
    left = _QUESTIONS.get(match.option, f"ebtables {match.option}")
    return NftMatch(left, "!=" if match.negated else "==", (value,))


def _done(table: FrameTable, rule: EbtablesRule) -> Iterator[NftStatement]:
    target = rule.target
    if target in _CHANGE:
        said = next((option.value for option in rule.target_options if option.option == f"{target}-target"), "ACCEPT")
        target = "ACCEPT" if target == "arpreply" else said  # it has answered what it then drops
    if target in (None, "CONTINUE"):
        return
    if target in table.chains:
        yield NftStatement("jump", {"target": target or ""})
    else:
        yield NftStatement(_VERDICTS.get(target or "", "queue"))
