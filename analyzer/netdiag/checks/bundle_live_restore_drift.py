"""live-restore + daemon restart left container without network programming.

## What it finds
Containers that ran on while Docker was stopped and started again (live-restore), and that lack what the daemon
programs for a container that it starts: the rules of their published ports, or hairpin mode on their veths.

## Why it matters
The daemon takes such a container over as it is. What it programs at a start only is missing until the container is
started again: after `userland-proxy` was switched off a container does not reach its own published ports, and ports
whose rules did not come back are dead from outside.

## How it is decided
Docker says that live-restore is on, and its pid file is younger than the container. Every published port of the
container lacks its rules while all other rules of the engine are there; or the userland proxy is off and a veth of the
container is not in hairpin mode. Measured on Docker 20.10 and 28.5: rules of ports do come back when both the filter
and the nat table were flushed meanwhile; hairpin mode is never set.

## Not a problem when
The container was started by the daemon that runs now, or has all of it. Rules that are gone for every container alike
are filter-docker-chains-missing; the jump to DOCKER-USER that a restart leaves out is filter-docker-user-jump-missing;
what is broken only while the daemon is stopped is bundle-docker-down.

## Repair
Restart the container, which connects it to its networks anew.

## Verify
The published port answers from outside, and in the container by the host's address.

## References
moby libnetwork/drivers/bridge reapplyPerPortIptables, setHairpinMode; docs.docker.com/engine/daemon/live-restore;
moby/moby#27880; moby/moby#48560.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._collecting import listed
from netdiag.checks._docker import no_containers, related
from netdiag.checks._rules import evidence_of, gone
from netdiag.checks._veths import WithoutHairpin, container_ports, without_hairpin
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, FileEntry
from netdiag.model import Host
from netdiag.model.expected import Expected, Purpose, expected_rules
from netdiag.model.gates import (
    dialect_known,
    engine_is_here,
    has_own_namespace,
    is_running,
    manages_iptables,
    table_known,
    unknown,
    uses_proxy,
)
from netdiag.model.knowledge import all_of

_PID_FILE = "/var/run/docker.pid"
_OF_PORTS = (Purpose.PORT, Purpose.TRANSLATION, Purpose.OWN_PORT)
_MOST_NAMED = 5


@check(Severity.WARNING, layer="bundle", symptom_of=("bundle-two-daemons",))
def bundle_live_restore_drift(host: Host) -> Verdicts:
    engine = host.engine
    if engine.absent:
        yield NotApplicable(engine.absent)
        return
    if engine.info is None or engine.info.live_restore is None:
        silent = engine.silence is not None
        question = unknown("whether live-restore is on", "docker_info")
        yield NotApplicable("Docker does not answer") if silent else unjudged(question)
        return
    here = engine_is_here(host)
    if not engine.info.live_restore or here.no:
        yield NotApplicable(here.why if here.no else "live-restore is off: no container outlives the daemon")
        return
    pid_file = engine.file(_PID_FILE)
    if pid_file is None or pid_file.written is None:
        yield unjudged(unknown("when the daemon was started", "ls_l", because=engine.files.why))
        return
    if not host.containers.items:
        yield no_containers(host, "the engine has no containers", "which containers run")
        return
    older = _older_than(host, pid_file.written)
    if not older:
        yield NotApplicable("no container is older than the daemon that runs")
        return
    yield from _judge(host, pid_file, older)


def _older_than(host: Host, started: datetime) -> dict[str, Container]:
    """The containers with a network of their own that were started before the daemon, by their ids."""
    return {
        each.id: each
        for each in host.containers
        if each.engine == "docker" and all_of(is_running(each), has_own_namespace(each)).yes
        if each.started and each.started < started
    }


def _judge(host: Host, pid_file: FileEntry, older: Mapping[str, Container]) -> Verdicts:
    tables = all_of(manages_iptables(host), dialect_known(host), table_known(host, "nat"), table_known(host, "filter"))
    proxy = uses_proxy(host)
    yield from (unjudged(gate) for gate in (tables, proxy) if gate.unknown)
    dead = _with_dead_ports(host, older) if tables.yes else {}
    bent: dict[str, list[WithoutHairpin]] = defaultdict(list)
    if proxy.no:
        ports, others = container_ports(host)
        yield from (each for each in others if isinstance(each, Unjudged))
        own = [port for port in ports if port.attachment.container.id in older]
        for each in without_hairpin(host, own):
            if isinstance(each, Unjudged):
                yield each
            else:
                bent[each.port.attachment.container.id].append(each)
    if dead or bent:
        yield _fault(host, pid_file, older, dead, bent)


def _with_dead_ports(host: Host, older: Mapping[str, Container]) -> Mapping[str, Sequence[Expected]]:
    """The containers of which no rule of a published port is there, although everything else of the engine is."""
    lost = gone(host).rules
    if any(each.container is None or each.container.id not in older for each in lost):
        return {}
    missing, wanted = _of_ports(lost), _of_ports(expected_rules(host))
    return {key: rules for key, rules in missing.items() if len(rules) == len(wanted[key])}


def _of_ports(rules: Sequence[Expected]) -> Mapping[str, Sequence[Expected]]:
    found: dict[str, list[Expected]] = defaultdict(list)
    for each in rules:
        if each.container and each.purpose in _OF_PORTS:
            found[each.container.id].append(each)
    return found


def _fault(
    host: Host,
    pid_file: FileEntry,
    older: Mapping[str, Container],
    dead: Mapping[str, Sequence[Expected]],
    bent: Mapping[str, Sequence[WithoutHairpin]],
) -> Fault:
    lacking = [each for key, each in older.items() if key in dead or key in bent]
    names = listed((f"`{each.name}`" for each in lacking), _MOST_NAMED)
    what = "container" if len(lacking) == 1 else "containers"
    runs, lacks = ("runs", "lacks") if len(lacking) == 1 else ("run", "lack")
    parts = [*(["the rules of published ports"] if dead else []), *(["hairpin mode"] if bent else [])]
    return Fault(
        message=f"{what} {names} {runs} since before Docker was started again and {lacks} {' and '.join(parts)}",
        subjects=tuple(Subject("container", each.name) for each in lacking),
        evidence=(
            *_evidence(host, dead, bent),
            related(pid_file.span, "the daemon was started at this time"),
            *(related(each.span_at("State", "StartedAt"), "earlier than that") for each in lacking[:_MOST_NAMED]),
        ),
        remedy=(shlex.join(["docker", "restart", *(each.name for each in lacking)]),),
        verify=("bridge -d link", "iptables -t nat -S DOCKER", "iptables -S DOCKER"),
        confidence=Confidence.MEDIUM if dead else Confidence.HIGH,
    )


def _evidence(
    host: Host, dead: Mapping[str, Sequence[Expected]], bent: Mapping[str, Sequence[WithoutHairpin]]
) -> Iterator[Evidence]:
    if dead:
        yield from evidence_of(host, [each for rules in dead.values() for each in rules])
    for found in bent.values():
        for each in found[:1]:
            yield Evidence(each.span, f"container {each.port.container} gets nothing back through this port")
