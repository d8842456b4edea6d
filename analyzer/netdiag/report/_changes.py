"""What changed between two bundles, in words and in groups, for the reports that people read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netdiag.comparison import Change, Comparison, Fate, How

#: By the kind of a change what its group is called, in the order in which groups are shown.
_TITLES = {
    "engine": "Engine",
    "container": "Containers",
    "network": "Networks",
    "link": "Links",
    "address": "Addresses",
    "policy": "Policies",
    "sysctl": "Settings of the kernel",
    "route": "Routes",
    "rule": "Rules",
}
_SIGNS = {How.ADDED: "+", How.REMOVED: "-"}
_OF_INTERFACE = re.compile(r"^((?:.* )?net\.ipv[46]\.(?:conf|neigh))\.(.+)\.([^.]+)$")

#: The fates of findings in the order in which they are shown, with their headings.
FATES = {
    Fate.NEW: "New",
    Fate.NOT_JUDGED: "Not judged any more, so nobody knows",
    Fate.STILL: "Still there",
    Fate.NOT_APPLICABLE: "Does not apply any more",
    Fate.FIXED: "Fixed",
}


@dataclass(frozen=True)
class Group:
    """Changes of one kind; `sign` is `+`, `-` or `~`."""

    title: str
    lines: tuple[tuple[str, str], ...]


def groups(comparison: Comparison) -> Iterator[Group]:
    """All changes, rules by chain and routes by namespace; the same change of many interfaces is one line."""
    changes = list(_folded(comparison.changes))
    for kind, title in _TITLES.items():
        found = [change for change in changes if change.kind == kind]
        if kind in ("rule", "route"):
            for name in dict.fromkeys(change.name for change in found):
                yield _group(f"{title} of {name}", [change for change in found if change.name == name])
        elif found:
            yield _group(title, found)


def counted(comparison: Comparison) -> str:
    """How many findings and remarks of each fate there are, in one line."""
    words = {Fate.NEW: "new", Fate.FIXED: "fixed", Fate.STILL: "still there", Fate.NOT_JUDGED: "not judged any more"}
    parts = [f"{len(comparison.of_fate(fate))} {word}" for fate, word in words.items()]
    gone = len(comparison.of_fate(Fate.NOT_APPLICABLE))
    parts += [f"{gone} not applicable any more"] if gone else []
    changes = len(comparison.changes)
    return f"{', '.join(parts)}; {changes} {'change' if changes == 1 else 'changes'} of the host"


def _group(title: str, changes: Sequence[Change]) -> Group:
    return Group(title, tuple((_SIGNS.get(change.how, "~"), _words(change)) for change in changes))


def _words(change: Change) -> str:
    if change.kind in ("rule", "route"):
        return _line(change)
    name = f"{change.name}: {change.what}" if change.what else change.name
    values = [each for each in (change.before, change.after) if each]
    value = " -> ".join([change.before or "nothing", change.after or "nothing"]) if change.how not in _SIGNS else ""
    told = value or " ".join(values)
    anew = " (made anew)" if change.how is How.RECREATED else ""
    return f"{name} {told}{anew}".rstrip()


def _line(change: Change) -> str:
    if change.how is How.MOVED:
        return f"{change.what} (moved)"
    if change.how is not How.RENUMBERED:
        return change.what
    now = set(change.after.split())
    other = [word for word in change.before.split() if word not in now]
    return f"{change.after} (was {' '.join(dict.fromkeys(other))})"


def _folded(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes, with one in place of those that set the same key of several interfaces alike."""
    alike: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        parted = _OF_INTERFACE.match(change.name) if change.kind == "sysctl" else None
        key = (*parted.group(1, 3), change.before, change.after) if parted else (str(id(change)),)
        alike.setdefault(key, []).append(change)
    for key, several in alike.items():
        first = several[0]
        yield first if len(several) == 1 else replace(first, name=f"{key[0]}.*.{key[1]} ({len(several)} interfaces):")
