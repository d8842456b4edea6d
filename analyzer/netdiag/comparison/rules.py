"""What changed in the firewall: rules that are gone, new, renumbered or moved, and the policies of chains.

Rules are compared as a set for each chain, with their order only for those that stayed: a restart of the engine writes
its rules in another order. Counters are no part of a rule.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netdiag.comparison.facts import Change, Found, How, NotCompared, Two, not_collected
from netdiag.comparison.names import Names
from netdiag.comparison.texts import Line, Matched, match
from netdiag.formats.records import Chain
from netdiag.model import Facts, FirewallChain, FirewallTable, Namespace
from netdiag.model.expected import meaning
from netdiag.model.firewall import printed
from netdiag.model.nftables import NativeTable

#: Rules about Docker's name server have a port that means nothing.
_OF_NAME_SERVER = "127.0.0.11"
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+")
_HANDLE = re.compile(r"\s*# handle \d+\s*$")


@dataclass(frozen=True)
class ChainPair:
    """A chain in both bundles, or in one of them, with its rules matched. `of` is the namespace that it is in.

    `doubt_before` and `doubt_after` are why a bundle may not show all rules of the table. `backend` is told where one
    of them has tables of this name in both.
    """

    of: str
    family: str
    table: str
    name: str
    rules: Matched
    before: Chain | None = None
    after: Chain | None = None
    doubt_after: str = ""
    doubt_before: str = ""
    backend: str = ""

    @property
    def words(self) -> str:
        """The chain as a user names it; what goes without saying (the host, IPv4) is left out."""
        told = (
            self.of if self.of != "host" else "",
            self.family if self.family != "ipv4" else "",
            self.table,
            self.name,
        )
        return " ".join(filter(None, told)) + (f" ({self.backend})" if self.backend else "")


def chains(both: Two) -> Iterator[ChainPair]:
    """The chains of every namespace that both bundles have."""
    for old_netns, new_netns in both.namespaces():
        yield from _iptables(both, old_netns, new_netns)
        yield from _nftables(both, old_netns, new_netns)


def rule_changes(both: Two, pairs: Iterable[ChainPair]) -> Iterator[Found]:
    """What changed in these chains, and what cannot be compared."""
    for old_netns, new_netns in both.namespaces():
        of = new_netns.name
        yield from not_collected(f"rules of iptables of {of}", old_netns.firewall, new_netns.firewall)
        yield from not_collected(f"rules of nftables of {of}", old_netns.nftables, new_netns.nftables)
    for pair in pairs:
        yield from _policy(pair)
        yield from _rules(pair)


def _policy(pair: ChainPair) -> Iterator[Change]:
    if pair.before and pair.after and pair.before.policy and pair.after.policy:
        old, new = pair.before.policy, pair.after.policy
        if old != new:
            yield Change("policy", pair.words, How.CHANGED, "policy", old, new, pair.before.span, pair.after.span)


def _rules(pair: ChainPair) -> Iterator[Found]:
    for line in () if pair.doubt_after else pair.rules.removed:
        yield Change("rule", pair.words, How.REMOVED, line.text, "", "", line.place, None)
    for line in () if pair.doubt_before else pair.rules.added:
        yield Change("rule", pair.words, How.ADDED, line.text, "", "", None, line.place)
    for old, new in pair.rules.renumbered:
        yield Change("rule", pair.words, How.RENUMBERED, new.canonical, old.text, new.text, old.place, new.place)
    for old, new in pair.rules.moved:
        yield Change("rule", pair.words, How.MOVED, new.text, "", "", old.place, new.place)
    if pair.rules.removed and pair.doubt_after:
        yield NotCompared(f"rules of {pair.words}", f"the second bundle may not show all: {pair.doubt_after}")
    if pair.rules.added and pair.doubt_before:
        yield NotCompared(f"rules of {pair.words}", f"the first bundle may not show all: {pair.doubt_before}")


# --- iptables ---------------------------------------------------------------------------------------------------------


def _iptables(both: Two, old_netns: Namespace, new_netns: Namespace) -> Iterator[ChainPair]:
    olds, news = old_netns.firewall, new_netns.firewall
    if _is_dark(olds, news):
        return
    for (family, table_name), old, new in _tables(olds, news):
        several = any(len(_by_name(facts).get((family, table_name), {})) > 1 for facts in (olds, news))
        told = new or old
        no_table_after, no_table_before = _doubt(new, news), _doubt(old, olds)
        names = dict.fromkeys([*(old.chains if old else ()), *(new.chains if new else ())])
        for name in names:
            one, other = (table.chains.get(name) if table else None for table in (old, new))
            yield ChainPair(
                of=new_netns.name,
                family=family,
                table=table_name,
                name=name,
                rules=match(_lines(one, both.old, old_netns), _lines(other, both.new, new_netns)),
                before=one.head if one else None,
                after=other.head if other else None,
                doubt_after=no_table_after,
                doubt_before=no_table_before,
                backend=told.backend if told and several else "",
            )


def _is_dark(before: Facts[FirewallTable], after: Facts[FirewallTable]) -> bool:
    return any(not each.items and not each.whole for each in (before, after))


def _doubt(table: FirewallTable | None, facts: Facts[FirewallTable]) -> str:
    """Why a table may have rules that the bundle does not show; one that is not there has none if all are known."""
    if table is not None:
        return table.doubt
    return "" if facts.whole else facts.why or "not all tables were collected"


def _tables(
    before: Facts[FirewallTable], after: Facts[FirewallTable]
) -> Iterator[tuple[tuple[str, str], FirewallTable | None, FirewallTable | None]]:
    """The tables of one family, name and backend; a table in one backend here and in another there is the same."""
    olds, news = _by_name(before), _by_name(after)
    for key in dict.fromkeys([*olds, *news]):
        old, new = olds.get(key, {}), news.get(key, {})
        for backend in dict.fromkeys([*old, *new]):
            if backend in old and backend in new:
                yield key, old[backend], new[backend]
        left = [table for backend, table in old.items() if backend not in new]
        right = [table for backend, table in new.items() if backend not in old]
        if len(left) == len(right) == 1 and not (old.keys() & new.keys()):
            yield key, left[0], right[0]
            continue
        yield from ((key, table, None) for table in left)
        yield from ((key, None, table) for table in right)


def _by_name(facts: Facts[FirewallTable]) -> Mapping[tuple[str, str], dict[str, FirewallTable]]:
    found: dict[tuple[str, str], dict[str, FirewallTable]] = {}
    for table in facts:
        found.setdefault((table.family, table.name), {})[table.backend] = table
    return found


def _lines(chain: FirewallChain | None, names: Names, netns: Namespace) -> Iterator[Line]:
    for rule in chain.rules if chain else ():
        text = printed(rule)
        canonical = names.canonical(netns, text)
        key = canonical if _OF_NAME_SERVER in text else (meaning(rule), rule.comment)
        yield Line(key, text, canonical, rule.span)


# --- nftables ---------------------------------------------------------------------------------------------------------


def _nftables(both: Two, old_netns: Namespace, new_netns: Namespace) -> Iterator[ChainPair]:
    """The tables that iptables does not show. What is not whole on one side is said of that side."""
    olds, news = ({(t.family, t.name): t for t in netns.nftables} for netns in (old_netns, new_netns))
    if any(not netns.nftables.items and not netns.nftables.whole for netns in (old_netns, new_netns)):
        return
    unsure = ["" if netns.nftables.whole else netns.nftables.why or "part of it" for netns in (old_netns, new_netns)]
    for key in dict.fromkeys([*olds, *news]):
        old, new = olds.get(key), news.get(key)
        for name in dict.fromkeys([*(old.chains if old else ()), *(new.chains if new else ())]):
            yield ChainPair(
                of=new_netns.name,
                family=f"nft {key[0]}",
                table=key[1],
                name=name,
                rules=match(_native(old, name, both.old, old_netns), _native(new, name, both.new, new_netns)),
                doubt_after=unsure[1],
                doubt_before=unsure[0],
            )


def _native(table: NativeTable | None, name: str, names: Names, netns: Namespace) -> Iterator[Line]:
    chain = table.chains.get(name) if table else None
    for rule in chain.rules if chain else ():
        text = _HANDLE.sub("", _COUNTER.sub("counter", " ".join(rule.span.excerpt.split())))
        yield Line(text, text, names.canonical(netns, text), rule.span)
