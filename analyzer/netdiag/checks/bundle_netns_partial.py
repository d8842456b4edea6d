"""Not all container netns collected.

## What it finds
Running containers with a network namespace of their own in which nothing was collected.

## Why it matters
What is wrong inside of these containers cannot be seen: their interfaces, routes, listeners and rules. Whether a veth
of the host is an orphan cannot be told either.

## How it is decided
The container runs and has a namespace of its own, and the collector says why it got nothing there. When it does not
say, this is an open question and no finding.

## Not a problem when
The container uses the host's network or that of another container whose namespace was collected, or it was started
while the bundle was being collected.

## Repair
Collect again as root of the host, where the containers' namespaces can be entered, or with more time.

## Verify
The new bundle has a folder for each container below netns.

## References
nsenter(1); setns(2); network_namespaces(7).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._collecting import COLLECT, again, listed
from netdiag.checks._docker import no_containers, related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Extent, Host
from netdiag.model.gaps import Gap
from netdiag.model.gates import has_own_namespace, is_running, is_settled, whole
from netdiag.model.knowledge import all_of

_MOST_SHOWN = 10


@check(Severity.NOTE, layer="bundle", symptom_of=("bundle-wrong-netns", "bundle-incomplete"))
def bundle_netns_partial(host: Host) -> Verdicts:
    if not host.containers.items:
        yield no_containers(host, "the engine has no containers", "which containers run")
        return
    running = [each for each in host.containers if all_of(is_running(each), has_own_namespace(each)).yes]
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which containers run"))
    elif not running:
        yield NotApplicable("no container runs that has a network of its own")
    unseen = [each for each in running if not _is_seen(host, each)]
    gaps = _gaps(host)
    told = [each for each in unseen if each.id in gaps]
    if told:
        yield _fault(told, [gap for each in told for gap in gaps[each.id]])
    untold = [each.name for each in unseen if each.id not in gaps]
    if untold:
        yield Unjudged(
            f"what is inside of {listed(untold, _MOST_SHOWN)}",
            "the bundle has nothing of their network namespaces",
            ("ip-addr",),
            (f"sudo {COLLECT}",),
        )


def _is_seen(host: Host, container: Container) -> bool:
    netns = host.namespace_of(container)
    collected = netns is not None and netns.links.extent is not Extent.NONE
    return collected or not is_settled(host, container.name, container.started).yes


def _gaps(host: Host) -> Mapping[str, Sequence[Gap]]:
    """What was not collected in the namespace of each container."""
    found: dict[str, list[Gap]] = defaultdict(list)
    for gap in host.gaps or ():
        found[gap.scope.removeprefix("netns:")].append(gap)
    return found


def _fault(unseen: Sequence[Container], gaps: Sequence[Gap]) -> Fault:
    shown = unseen[:_MOST_SHOWN]
    count = "1 running container" if len(unseen) == 1 else f"{len(unseen)} running containers"
    names = listed((f"`{each.name}`" for each in unseen), _MOST_SHOWN)
    first = {gap.reason: gap.span for gap in reversed(gaps) if gap.span}
    return Fault(
        message=f"nothing was collected inside of {count}: {names} ({gaps[0].reason})",
        subjects=tuple(Subject("container", each.name) for each in shown),
        evidence=(
            *(Evidence(each.span, "it runs, and its namespace is not in the bundle") for each in shown),
            *(related(span, reason) for reason, span in first.items()),
        ),
        remedy=again(gaps),
        verify=("tar -tzf $(ls -t netdiag-*.tar.gz | head -n 1) | grep /netns/",),
    )
