"""State changed during capture.

## What it finds
Containers, interfaces or rules that came, went or changed while the bundle was being collected.

## Why it matters
The outputs of one bundle are then of different moments: a container that is in one of them and not in another, a veth
without an owner, a port without a rule may be nothing but that. Findings about these objects say so themselves.

## How it is decided
The collector notes when it begins and when it ends which interfaces, containers and rules there are. When containers
were started and ended, as `docker inspect` tells, is compared with its own clock.

## Not a problem when
The changes have nothing to do with the trouble: a job that runs every minute, a rule that a firewall adds for a while.
A container that is restarted again and again is its own trouble, of which address-container-down tells.

## Repair
Collect again while nothing is being started or stopped.

## Verify
The new bundle has no such note.

## References
This check is about the bundle, not about an engine.
"""

from collections.abc import Iterator, Sequence

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._collecting import COLLECT, bundle_subject, listed
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.movement import Moved

_MOST_NAMED = 10

#: What somebody reads first: a container that was restarted takes its interfaces with it.
_KINDS = ("container", "rule", "interface")


@check(Severity.NOTE, layer="bundle")
def bundle_inconsistent_snapshot(host: Host) -> Verdicts:
    if host.movement is None:
        yield Unjudged(
            "whether the state changed meanwhile",
            "the bundle does not tell what there was when the collection began and ended",
            ("manifest",),
            (COLLECT,),
        )
        return
    if "container" not in host.movement.looked_at and not host.engine.absent:
        yield Unjudged(
            "which containers came and went meanwhile",
            "docker did not tell it when the collection ended",
            ("docker-ps",),
            (COLLECT,),
        )
    moved = sorted(host.movement.objects, key=lambda each: _KINDS.index(each.kind))
    if moved:
        evidence = tuple(_evidence(host, moved))
        yield (
            _fault(host, moved, evidence)
            if evidence
            else Unjudged(
                f"what else is of another moment than {_named(moved)}",
                "no output shows what moved",
                ("ip-addr",),
                (COLLECT,),
            )
        )


def _named(moved: Sequence[Moved]) -> str:
    return listed((f"{_object(each)} {each.words}" for each in moved), _MOST_NAMED)


def _object(moved: Moved) -> str:
    """A command like iptables stands for all of its rules."""
    return f"what `{moved.name}` shows" if moved.kind == "rule" else f"{moved.kind} `{moved.name}`"


def _fault(host: Host, moved: Sequence[Moved], evidence: tuple[Evidence, ...]) -> Fault:
    seconds = f" ({host.movement.seconds:g} s)" if host.movement and host.movement.seconds else ""
    subjects = (Subject(each.kind, each.name) for each in moved[:_MOST_NAMED] if each.kind != "rule")
    return Fault(
        message=f"the state changed while the bundle was being collected{seconds}: {_named(moved)}",
        subjects=(bundle_subject(host), *subjects),
        evidence=evidence,
        remedy=(COLLECT,),
        verify=("docker events --since 10m --until 0s",),
    )


def _evidence(host: Host, moved: Sequence[Moved]) -> Iterator[Evidence]:
    """Where an output shows what moved; else what was collected meanwhile."""
    found = [(each, each.span) for each in moved if each.span]
    for each, span in found[:_MOST_NAMED]:
        yield Evidence(span, f"{_object(each)} {each.words} meanwhile")
    links = host.root.links.items
    if not found and links:
        yield Evidence(links[0].span, f"collected while {_object(moved[0])} {moved[0].words}")
