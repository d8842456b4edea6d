"""Section missing/failed/truncated.

## What it finds
Outputs that checks need and that the collector could not get, or not whole: for lack of rights, of a tool, of time or
of room, or because the command failed.

## Why it matters
What is not in the bundle cannot be judged. The checks that would have needed it say *unknown*, and a report without
findings on half a host is no word on the other half.

## How it is decided
By the manifest and the log of the collector: what was left out for a reason that may hide something, and commands that
failed, were killed or were cut off. All of it is one finding. When Docker does not answer, bundle-docker-down says so
instead; when nothing at all was collected in a container's namespace, bundle-netns-partial does.

## Not a problem when
The host does not have it: a kernel module that is not loaded, a table or a file that does not exist, an engine or a
tool that is not installed while another output tells the same. Then this check says nothing.

## Repair
Collect again: as root, with more time or room for each command, with the missing tool, or after a look at why the
command fails.

## Verify
The log of the new bundle does not name these outputs.

## References
This check is about the bundle, not about an engine.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._collecting import COLLECT, again, bundle_subject, listed
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Extent, Host
from netdiag.model.gaps import Gap, Hindrance
from netdiag.spans import Span

_MOST_NAMED = 6
_LONGEST_REASON = 100


@check(Severity.NOTE, layer="bundle", symptom_of=("bundle-wrong-netns",))
def bundle_incomplete(host: Host) -> Verdicts:
    if host.gaps is None:
        yield Unjudged(
            "whether all of it was collected", "the collector did not make this bundle", ("manifest",), (COLLECT,)
        )
        return
    unseen = _unseen(host)
    left_to_others = {"docker"} if _is_said_of_the_engine(host) else set()
    found = [gap for gap in host.gaps if gap.scope not in left_to_others and _place(gap) not in unseen]
    if not found:
        return
    proof = _proof(host, found)
    if proof:
        hindrances = {gap.hindrance for gap in found}
        same_cause = (_place(gap) for gap in host.gaps if gap.hindrance in hindrances)
        hidden = dict.fromkeys(unseen[each] for each in same_cause if each in unseen)
        yield _fault(host, found, proof, tuple(hidden))
    else:
        yield Unjudged(
            f"what {listed((gap.artifact for gap in found), _MOST_NAMED)} would tell",
            found[0].reason,
            tuple(dict.fromkeys(gap.artifact for gap in found)),
            again(found),
        )


def _is_said_of_the_engine(host: Host) -> bool:
    """Docker does not answer, and not for lack of rights: bundle-docker-down says that."""
    forbidden = any(gap.scope == "docker" and gap.hindrance is Hindrance.RIGHTS for gap in host.gaps or ())
    return bool(host.engine.silence) and not forbidden


def _place(gap: Gap) -> str:
    """The id of a container, or the name of another namespace; no such name where it is elsewhere."""
    return gap.scope.removeprefix("netns:")


def _unseen(host: Host) -> Mapping[str, Subject]:
    """The containers in whose namespace nothing was collected, by their id and by the name of their namespace, by which
    the collector tries it as well.
    """
    seen = {each for netns in host.namespaces if netns.links.extent is not Extent.NONE for each in netns.containers}
    unseen = [each for each in host.containers if each.id not in seen]
    sandboxes = {(each.sandbox_key or "").rpartition("/")[2]: Subject("container", each.name) for each in unseen}
    return {**sandboxes, **{each.id: Subject("container", each.name) for each in unseen}}


def _fault(host: Host, found: Sequence[Gap], proof: tuple[Evidence, ...], hidden: tuple[Subject, ...]) -> Fault:
    """`hidden` are the containers that were not looked into for the same reason."""
    grouped: dict[Hindrance, list[Gap]] = defaultdict(list)
    for gap in found:
        grouped[gap.hindrance].append(gap)
    parts = [
        f"{listed((gap.artifact for gap in gaps), _MOST_NAMED)} ({_shortened(gaps[0].reason)})"
        for gaps in grouped.values()
    ]
    return Fault(
        message=f"{_counted(found)} missing or not whole, so that {listed((gap.tells for gap in found), _MOST_NAMED)} "
        f"cannot be judged: {'; '.join(parts)}",
        subjects=(bundle_subject(host),),
        evidence=proof,
        remedy=again(found),
        verify=("tar -xzOf netdiag-*.tar.gz --wildcards '*/logs/collector.log'",),
        affects=hidden,
    )


def _counted(found: Sequence[Gap]) -> str:
    return "1 output is" if len(found) == 1 else f"{len(found)} outputs are"


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 3] + "..."


def _proof(host: Host, found: Sequence[Gap]) -> tuple[Evidence, ...]:
    """A line of the log for each hindrance; where there is no log, what was collected beside."""
    first = {gap.hindrance: gap for gap in reversed(found) if gap.span}
    told = [(gap, gap.span) for gap in sorted(first.values(), key=found.index) if gap.span]
    if told:
        return tuple(Evidence(span, f"{gap.artifact}: {_shortened(gap.reason)}") for gap, span in told)
    beside = _beside(host)
    return (Evidence(beside, f"collected beside, without {found[0].artifact}"),) if beside else ()


def _beside(host: Host) -> Span | None:
    lists = (host.root.links, host.containers, host.root.routes, host.log)
    return next((item.span for facts in lists for item in facts), None)
