"""Counters of both bundles: how much was lost between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from netdiag.comparison.facts import Two
from netdiag.comparison.names import Names
from netdiag.formats import Document
from netdiag.model.movement import AFTER, counters, counts_loss, is_extra_look
from netdiag.results import Analysis
from netdiag.spans import Span


@dataclass(frozen=True)
class Growth:
    """A counter that grew between the bundles. `scope` is the namespace's name, `owner` an interface, a queue, a rule
    or a CPU, empty where it counts for all of the namespace. `seconds` is the time between, None when it is not told.
    """

    scope: str
    owner: str
    counter: str
    before: int
    after: int
    seconds: float | None
    before_span: Span
    after_span: Span

    @property
    def grown(self) -> int:
        return self.after - self.before

    @property
    def is_loss(self) -> bool:
        return counts_loss(self.counter)

    @property
    def words(self) -> str:
        """`eth0 of host: tx.dropped grew by 12`."""
        of = " of ".join(filter(None, (self.owner, self.scope)))
        a_second = self.grown / self.seconds if self.seconds else 0
        rate = f" ({a_second:.0f} a second)" if a_second >= 10 else f" ({a_second:.2g} a second)" if a_second else ""
        return f"{of}: {self.counter} grew by {self.grown}{rate}"


_Key = tuple[str, str, str]
_Counted = Mapping[_Key, tuple[int, Span]]


def growths(before: Analysis, after: Analysis, both: Two, seconds: float | None) -> tuple[Growth, ...]:
    """Every counter that grew. Where one of an owner's counters went back, it began anew and none of them is told."""
    olds = _counted(before, both.old)
    news = _counted(after, both.new)
    anew = {key[:2] for key in olds.keys() & news.keys() if news[key][0] < olds[key][0]}
    anew |= {(scope, owner) for scope, owner, _ in news if scope in both.started_again}
    anew |= _made_anew(both)
    return tuple(
        Growth(*key, olds[key][0], news[key][0], seconds, olds[key][1], news[key][1])
        for key in news
        if key in olds and key[:2] not in anew and news[key][0] > olds[key][0]
    )


def _counted(analysis: Analysis, names: Names) -> _Counted:
    """The last look at each counter that the bundle has."""
    scopes = {netns.id: netns for netns in analysis.host.namespaces}
    plain: Sequence[Document] = [each for each in analysis.documents if not is_extra_look(each.source.scope)]
    found: dict[_Key, tuple[int, Span]] = {}
    for look, documents in (("", plain), (AFTER, analysis.documents)):
        for (scope, owner, counter), value, span in counters(documents, look):
            netns = scopes.get(scope)
            key = (netns.name, names.canonical(netns, owner), counter) if netns else (scope, owner, counter)
            found[key] = (value, span)
    return found


def _made_anew(both: Two) -> set[tuple[str, str]]:
    """Interfaces that are others than before, by their names."""
    found = set()
    for old_netns, new_netns in both.namespaces():
        olds = {both.old.link(old_netns, link): link.index for link in old_netns.links}
        for link in new_netns.links:
            name = both.new.link(new_netns, link)
            if olds.get(name) != link.index:
                found.add((new_netns.name, name))
    return found


def seconds_between(earlier: str, later: str) -> float | None:
    """The time between two bundles by their clocks, None where they do not tell or the second is not the later one."""
    try:
        passed = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):
        return None
    return passed if passed > 0 else None
