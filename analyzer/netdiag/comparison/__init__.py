"""Two bundles of one host held against each other: which findings came and went, what changed, what it means.

Objects are matched by the names that a user gave them: a container that was made anew is the same container, its
address on a network is the same address although it is another number, and a rule about that address is the same rule.
What one of the bundles does not show is never taken for gone.
"""

from netdiag.comparison.counters import Growth
from netdiag.comparison.facts import Change, How, NotCompared
from netdiag.comparison.findings import Fate, FindingChange
from netdiag.comparison.remarks import Remark, Shown, Side
from netdiag.comparison.whole import Comparison, compare

__all__ = [
    "Change",
    "Comparison",
    "Fate",
    "FindingChange",
    "Growth",
    "How",
    "NotCompared",
    "Remark",
    "Shown",
    "Side",
    "compare",
]
