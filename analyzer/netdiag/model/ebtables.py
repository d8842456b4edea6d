"""The tables of ebtables, the firewall of bridges: rules that frames meet as a bridge forwards them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netdiag.bundle import NotCollected
from netdiag.formats import Document
from netdiag.formats.records import EbtablesChain, EbtablesRule
from netdiag.model.knowledge import Extent, Facts, not_whole

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
