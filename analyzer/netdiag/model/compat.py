"""Whether iptables-nft showed a rule as it is.

iptables-nft prints what it understands of a rule that `nft` made, and leaves out the rest without a word: 1.8.9 shows
`ip saddr { 10.0.0.1, 10.0.0.2 } drop` as a plain `-j DROP` (seen). So each rule of its tables is held against the text
of `nft list ruleset`: what is asked there and not here is added to what is not understood of the rule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from netdiag.formats import Document
from netdiag.formats.records import NftMatch, NftRule, NftStatement, Rule
from netdiag.model.firewall import FirewallTable
from netdiag.model.knowledge import Facts
from netdiag.model.nftables import NativeTable, tables_of

_FAMILIES = {"ipv4": "ip", "ipv6": "ip6"}


def checked_against_nft(firewall: Facts[FirewallTable], rulesets: Sequence[Document]) -> Facts[FirewallTable]:
    """The tables, with a doubt in each rule of iptables-nft of which `nft` prints more than iptables did."""
    if not rulesets:
        return firewall
    native = {(table.family, table.name): table for table in tables_of(rulesets[0])}
    checked = (
        _checked(table, native.get((_FAMILIES[table.family], table.name))) if table.backend == "nft" else table
        for table in firewall
    )
    return replace(firewall, items=tuple(checked))


def _checked(table: FirewallTable, native: NativeTable | None) -> FirewallTable:
    if native is None:
        return table
    chains = {}
    for name, chain in table.chains.items():
        other = native.chains.get(name)
        # chains that changed between the two commands cannot be compared rule by rule
        if other and len(other.rules) == len(chain.rules):
            rules = tuple(_compared(rule, told) for rule, told in zip(chain.rules, other.rules, strict=True))
            chains[name] = replace(chain, rules=rules)
        else:
            chains[name] = chain
    return replace(table, chains=chains)


def _compared(rule: Rule, told: NftRule) -> Rule:
    untold = tuple(dict.fromkeys(_untold(rule, told)))
    return replace(rule, not_understood=(*rule.not_understood, *untold)) if untold else rule


def _untold(rule: Rule, told: NftRule) -> Iterator[str]:
    """What nft prints of a rule and iptables does not."""
    options = {match.option for match in rule.matches}
    for statement in told.statements:
        if isinstance(statement, NftMatch):
            if not _tells(rule, options, statement):
                yield f"nft: {statement.left} {statement.operator} {', '.join(statement.values)}"
        elif statement.name in ("vmap", "quota", "ct count", "limit") and not (options or rule.not_understood):
            yield f"nft: {_text(statement)}"


def _text(statement: NftStatement) -> str:
    return " ".join([statement.name, *(f"{name} {value}".strip() for name, value in statement.details.items())])


_FIELDS: Mapping[str, Callable[[Rule], bool]] = {
    "ip saddr": lambda rule: rule.source is not None,
    "ip6 saddr": lambda rule: rule.source is not None,
    "ip daddr": lambda rule: rule.destination is not None,
    "ip6 daddr": lambda rule: rule.destination is not None,
    "iifname": lambda rule: rule.in_interface is not None,
    "iif": lambda rule: rule.in_interface is not None,
    "oifname": lambda rule: rule.out_interface is not None,
    "oif": lambda rule: rule.out_interface is not None,
    "meta l4proto": lambda rule: rule.protocol is not None,
    "ip protocol": lambda rule: rule.protocol is not None,
    "ip6 nexthdr": lambda rule: rule.protocol is not None,
}

#: The options of iptables that nft prints as the same condition as the field.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "ip saddr": frozenset({"src-range", "match-set"}),
    "ip6 saddr": frozenset({"src-range", "match-set"}),
    "ip daddr": frozenset({"dst-range", "match-set"}),
    "ip6 daddr": frozenset({"dst-range", "match-set"}),
    "dport": frozenset({"dport", "dports", "ports"}),
    "sport": frozenset({"sport", "sports", "ports"}),
    "ct state": frozenset({"ctstate", "state", "ctstatus"}),
    "ct status": frozenset({"ctstate", "state", "ctstatus"}),
}


def _tells(rule: Rule, options: set[str], match: NftMatch) -> bool:
    """Whether the rule of iptables says anything of what the condition looks at, with as many values."""
    if rule.not_understood:
        return True
    if match.left in _FIELDS and _FIELDS[match.left](rule):
        return len(match.values) == 1 and not match.values[0].startswith("@")
    asked = _OPTIONS.get(match.left) or _OPTIONS.get(match.left.rpartition(" ")[2])
    if asked:
        return not asked.isdisjoint(options)
    return match.left not in _FIELDS and bool(options)
