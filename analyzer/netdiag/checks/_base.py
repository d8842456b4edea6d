"""What a check is made of: a generator function, and a docstring (its module's, or its own) that is its documentation
page.

It yields a `Fault` for each thing that is wrong, an `Unjudged` for each thing that it cannot judge, and a
`NotApplicable` when there is nothing of its kind on the host. What it passes over in silence it has judged and found
right.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Facts, Gate, Host

T = TypeVar("T")

#: The parts of the network that checks are about, in the order in which they are listed.
LAYERS: Mapping[str, str] = {
    "link": "interfaces and veth pairs",
    "bridge": "what bridges forward",
    "address": "addresses and subnets",
    "route": "routes, policy rules and neighbours",
    "mtu": "sizes of packets",
    "nat": "address translation",
    "filter": "what firewalls drop",
    "conntrack": "connection tracking",
    "sysctl": "settings of the kernel",
    "ipv6": "IPv6",
    "dns": "names",
    "port": "published ports and who listens",
    "overlay": "swarm and overlay networks",
    "trace": "packets that were traced",
    "security": "what is open that should not be",
    "bundle": "the engine, and the bundle itself",
}

HEADINGS = (
    "What it finds",
    "Why it matters",
    "How it is decided",
    "Not a problem when",
    "Repair",
    "Verify",
    "References",
)


@dataclass(frozen=True)
class Fault:
    """Something that is wrong. `severity` overrides the check's own where this case is milder or graver.

    `affects` names the objects that cannot be right while this is wrong; a subject of kind `host` is all there is on
    the host. What symptom checks find of them is part of this finding. A symptom is looked for by its subjects; where
    these would find causes of other things too, `follows` names the objects to look by.
    """

    message: str
    subjects: tuple[Subject, ...]
    evidence: tuple[Evidence, ...]
    remedy: tuple[str, ...]
    verify: tuple[str, ...]
    severity: Severity | None = None
    confidence: Confidence = Confidence.HIGH
    affects: tuple[Subject, ...] = ()
    follows: tuple[Subject, ...] | None = None


@dataclass(frozen=True)
class Unjudged:
    """Something that could not be judged, what stands in the way, what is missing, and what to ask the customer for."""

    reason: str
    because: str = ""
    missing: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotApplicable:
    """The host has nothing that the check is about."""

    reason: str


Verdicts = Iterator[Fault | Unjudged | NotApplicable]


class NotLoaded(Exception):
    """Raised in place of a check that could not be loaded; the message says why."""


@dataclass(frozen=True)
class Check:
    """A check: `name` in kebab-case says the bad thing, `layer` the part of the network, `page` is its
    documentation.

    `symptom_of` names the checks that may find the cause of what this one finds: such a finding becomes evidence of
    theirs when both are about the same object. `origin` is the package that a plug-in comes from, empty for netdiag's
    own checks.
    """

    name: str
    layer: str
    severity: Severity
    page: str
    run: Callable[[Host], Verdicts]
    symptom_of: tuple[str, ...] = ()
    origin: str = ""

    @property
    def title(self) -> str:
        """The first line of the page without its full stop."""
        return self.page.partition("\n")[0].removesuffix(".")

    def section(self, heading: str) -> str:
        """The text under a heading of the page."""
        _, _, below = f"\n{self.page}".partition(f"\n## {heading}\n")
        text, _, _ = f"\n{below}".partition("\n## ")
        return text.strip()

    @property
    def why(self) -> str:
        return " ".join(self.section("Why it matters").split())


def check(
    severity: Severity, *, layer: str, symptom_of: tuple[str, ...] = ()
) -> Callable[[Callable[[Host], Verdicts]], Check]:
    """Make a check of a generator function."""

    def make(function: Callable[[Host], Verdicts]) -> Check:
        page = inspect.cleandoc(function.__doc__ or sys.modules[function.__module__].__doc__ or "")
        return Check(function.__name__.replace("_", "-"), layer, severity, page, function, symptom_of)

    return make


def sort_out(
    items: Iterable[T], gate: Callable[[T], Gate], nothing: str
) -> tuple[list[T], list[Unjudged | NotApplicable]]:
    """The items that may be judged, and what to say of the others.

    An item that cannot be judged is always named. One that need not be judged is not, unless there is nothing else to
    say; `nothing` is the reason when there was no item at all.
    """
    passed: list[T] = []
    open_questions: list[Unjudged | NotApplicable] = []
    refused: list[str] = []
    for item in items:
        answer = gate(item)
        if answer.yes:
            passed.append(item)
        elif answer.unknown:
            open_questions.append(unjudged(answer))
        else:
            refused.append(answer.why)
    if passed or open_questions:
        return passed, open_questions
    return [], [NotApplicable("; ".join(dict.fromkeys(refused)) or nothing)]


def unjudged(gate: Gate) -> Unjudged:
    """A gate that is unknown, as the word of a check."""
    return Unjudged(gate.why, gate.because, gate.missing, gate.ask)


def confidence_of_absence(facts: Facts[T]) -> Confidence:
    """How sure it is that something does not exist which is not in a list: sure only when the list is whole."""
    return Confidence.HIGH if facts.whole else Confidence.MEDIUM
