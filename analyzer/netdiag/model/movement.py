"""What moved while the bundle was being collected: objects that came and went, counters that grew.

The collector reads counters twice and notes at both ends which interfaces, containers and rules there were. Outputs of
the two looks have the scopes `before:<scope>` and `after:<scope>`; everything else was collected between them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.formats.records import (
    ConntrackStatistics,
    Container,
    DeviceCounter,
    KernelCounter,
    Link,
    Qdisc,
    Rule,
    SoftnetCounters,
)
from netdiag.model.knowledge import Facts
from netdiag.spans import Span

BEFORE, AFTER = "before:", "after:"
_HOST = "host"

#: The engine's words for a container that has its network.
_RUNNING = ("running", "paused")

#: A container that ended so long before it was started was not started again at once.
_LONG_AGO = timedelta(minutes=1)

_COUNTERS = re.compile(r"\[[0-9]+:[0-9]+\] ?")

#: Under which key a fingerprint has the objects of a kind.
_KEYS = {"interface": "interfaces", "container": "containers", "rule": "rules"}

#: What a fingerprint in the manifest tells of one end of the collection.
_Look = Mapping[str, Any]

T = TypeVar("T")

#: What `nstat` prints that is a setting or a number of the moment (RFC 4293, RFC 4022), so that it cannot grow.
_NO_COUNTERS = frozenset(
    {"IpForwarding", "IpDefaultTTL", "TcpRtoAlgorithm", "TcpRtoMin", "TcpRtoMax", "TcpMaxConn", "TcpCurrEstab"}
)
#: Counters of an interface in `ip -s` that are no sign of trouble when they grow.
_TRAFFIC = frozenset({"rx.bytes", "rx.packets", "rx.mcast", "tx.bytes", "tx.packets"})
#: The artifacts with the counters of drivers, which do not name their device.
_STATISTICS = "ethtool-statistics-"
_SIGNS_OF_LOSS = ("drop", "err", "fail", "retrans", "discard", "overflow", "squeeze", "missed", "reset", "noroute")


@dataclass(frozen=True)
class Moved:
    """An object that was not the same at both ends. `kind` is that of a subject; `how` is appeared, gone, restarted or
    changed. `span` is where one of the looks shows it, None where none does.
    """

    kind: str
    name: str
    how: str
    span: Span | None = None

    @property
    def words(self) -> str:
        """What happened to it, as the end of a sentence about it."""
        return {"appeared": "appeared", "gone": "went away"}.get(self.how, f"was {self.how}")


@dataclass(frozen=True)
class Grown:
    """A counter that grew, by its tool's name. `owner` is an interface, a rule or a CPU, empty where it counts for all
    of the namespace `scope`; `span` is its line in the later look.
    """

    scope: str
    owner: str
    counter: str
    before: int
    after: int
    span: Span

    @property
    def is_loss(self) -> bool:
        return counts_loss(self.counter)


def counts_loss(counter: str) -> bool:
    """Whether such a counter grows when packets are lost, refused or sent again."""
    name = counter.lower()
    return any(sign in name for sign in _SIGNS_OF_LOSS)


@dataclass(frozen=True)
class Queue:
    """The root queue of a device of the namespace `scope`: the packets that it let go and dropped between the two
    looks, and those that wait in it at the second, of which `span` is the line.
    """

    scope: str
    device: str
    sent: int
    dropped: int
    waiting: int
    span: Span


@dataclass(frozen=True)
class Movement:
    """The two looks: how far they are apart, in seconds, and what moved between them. `looked_at` are the kinds of
    objects that both looks tell of; `queues` those that were there both times and let packets go.
    """

    seconds: float
    objects: tuple[Moved, ...]
    counters: tuple[Grown, ...]
    looked_at: tuple[str, ...] = ()
    queues: tuple[Queue, ...] = ()


def is_extra_look(scope: str) -> bool:
    """Whether an output is one of the two looks at counters, and not of the state between them."""
    return scope.startswith((BEFORE, AFTER))


def movement(
    bundle: Bundle, documents: Sequence[Document], containers: Facts[Container], since: datetime | None
) -> Movement | None:
    """What moved `since` the collection began; None when the bundle's collector did not look twice."""
    manifest = bundle.manifest or {}
    fingerprints = manifest.get("fingerprints")
    if not fingerprints:
        return None
    before, after = fingerprints["before"], fingerprints["after"]
    found = [
        *_interfaces(before, after, documents),
        *_containers(before, after, containers, since),
        *_rules(before, after, documents),
    ]
    return Movement(
        seconds=_seconds(manifest),
        objects=tuple(_each_once(found)),
        counters=tuple(_grown(documents)),
        queues=tuple(_queues(documents)),
        looked_at=tuple(kind for kind, key in _KEYS.items() if None not in (before.get(key), after.get(key))),
    )


def _each_once(found: Iterable[Moved]) -> Iterator[Moved]:
    """What went away by one look and appeared by another was restarted."""
    by_object: dict[tuple[str, str], list[Moved]] = defaultdict(list)
    for each in found:
        by_object[each.kind, each.name].append(each)
    for first, *others in by_object.values():
        yield replace(first, how="restarted") if any(each.how != first.how for each in others) else first


def _seconds(manifest: Mapping[str, Any]) -> float:
    """From the middle of the first look to the middle of the second, by the times at which commands were started."""
    moments = [
        [datetime.fromisoformat(row["started"]) for row in manifest["artifacts"] if _is_of(look, row)]
        for look in (BEFORE, AFTER)
    ]
    if not all(moments):
        return 0.0
    first, second = (min(look) + (max(look) - min(look)) / 2 for look in moments)
    return round((second - first).total_seconds(), 3)


def _is_of(look: str, row: Mapping[str, Any]) -> bool:
    return row["scope"].startswith(look) and bool(row.get("started"))


def _differences(earlier: Mapping[str, Any] | None, later: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What became of each object that is not the same in two looks; nothing where one of them did not look."""
    if earlier is None or later is None:
        return
    for name in sorted({**earlier, **later}):
        if earlier.get(name) != later.get(name):
            yield name, "appeared" if name not in earlier else "gone" if name not in later else "restarted"


def _interfaces(before: _Look, after: _Look, documents: Sequence[Document]) -> Iterator[Moved]:
    """An interface with another index was made anew."""
    spans = {
        link.name: link.span for look in (BEFORE, "", AFTER) for link in _records(documents, Link, f"{look}{_HOST}")
    }
    for name, how in _differences(before.get("interfaces"), after.get("interfaces")):
        yield Moved("interface", name, how, spans.get(name))


def _containers(before: _Look, after: _Look, inspected: Facts[Container], since: datetime | None) -> Iterator[Moved]:
    """A container that was started at another time was started again. What `inspect` told is a look of its own, between
    the beginning and the first of the two.
    """
    known = {each.id: each for each in inspected}
    later = after.get("containers")
    looks = [(before.get("containers"), later)]
    if inspected.whole and later is not None:
        running = {each.id: each for each in inspected if each.engine == "docker" and each.state in _RUNNING}
        told = {key: each.started.isoformat() for key, each in running.items() if each.started}
        looks.append((told, {key: _iso(text) for key, text in later.items() if key in told or key not in running}))
    for earlier, last in looks:
        for key, how in _differences(earlier, last):
            yield _moved_container(known.get(key), key, how)
    for each in inspected:
        if since and each.state in _RUNNING and each.started and each.started >= since:
            came = each.finished is None or each.finished < since - _LONG_AGO
            yield _moved_container(each, each.id, "appeared" if came else "restarted")
        elif since and each.state not in _RUNNING and each.finished and each.finished >= since:
            yield _moved_container(each, each.id, "gone")


def _moved_container(container: Container | None, key: str, how: str) -> Moved:
    if container is None:
        return Moved("container", key[:12], how)
    return Moved("container", container.name, how, container.span_at("State", "StartedAt"))


def _iso(text: str) -> str:
    """A time as docker prints it, as `inspect` is read."""
    try:
        return datetime.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        return str(text)


def _rules(before: _Look, after: _Look, documents: Sequence[Document]) -> Iterator[Moved]:
    """Rules with another hash were changed; the first line that is in one look only shows it."""
    earlier, later = before.get("rules") or {}, after.get("rules") or {}
    for name in sorted(earlier.keys() & later.keys()):
        if earlier[name] != later[name]:
            old, new = (_lines(documents, name, scope) for scope in (_HOST, AFTER + _HOST))
            changed = [new[line] for line in new if line not in old] or [old[line] for line in old if line not in new]
            span = changed[0] if changed and old and new else None
            yield Moved("rule", name.removesuffix("-save"), "changed", span)


def _lines(documents: Sequence[Document], artifact: str, scope: str) -> Mapping[str, Span]:
    """The rules of `iptables-save` without their counters, and where they stand."""
    return {
        _COUNTERS.sub("", line): document.source.span(number)
        for document in documents
        if document.source.artifact == artifact and document.source.scope == scope
        for number, line in enumerate(document.source.lines, start=1)
        if not line.startswith("#")
    }


def _records(documents: Sequence[Document], kind: type[T], scope: str) -> Iterator[T]:
    for document in documents:
        if document.source.scope == scope:
            yield from (record for record in document.records if isinstance(record, kind))


# --- counters ---------------------------------------------------------------------------------------------------------


def _grown(documents: Sequence[Document]) -> Iterator[Grown]:
    earlier = {key: value for key, value, _ in counters(documents, BEFORE)}
    for key, value, span in counters(documents, AFTER):
        if key in earlier and value > earlier[key]:
            scope, owner, counter = key
            yield Grown(scope, owner, counter, earlier[key], value, span)


def _queues(documents: Sequence[Document]) -> Iterator[Queue]:
    earlier = dict(_root_queues(documents, BEFORE))
    for key, later in _root_queues(documents, AFTER):
        match earlier.get(key), later:
            case (
                Qdisc(sent_packets=int(sent_before), dropped=int(dropped_before)),
                Qdisc(sent_packets=int(sent), dropped=int(dropped), backlog_packets=int(waiting)),
            ) if sent > sent_before:
                scope, device, *_ = key
                yield Queue(scope, device, sent - sent_before, dropped - dropped_before, waiting, later.span)


def _root_queues(documents: Sequence[Document], look: str) -> Iterator[tuple[tuple[str, str, str, str], Qdisc]]:
    """The queues of whole devices in one look, each by its scope, device, kind and handle."""
    for document in documents:
        scope = document.source.scope
        if scope.startswith(look):
            for record in document.records:
                if isinstance(record, Qdisc) and record.device and record.parent == "root":
                    yield (scope.removeprefix(look), record.device, record.kind, record.handle), record


#: Of which scope and owner a counter is, and its name.
CounterKey = tuple[str, str, str]


def counters(documents: Sequence[Document], look: str) -> Iterator[tuple[CounterKey, int, Span]]:
    """Every counter of one look (with an empty `look` of all outputs), its value and its place."""
    for document in documents:
        scope = document.source.scope
        if scope.startswith(look):
            for number, record in enumerate(document.records):
                for owner, counter, value, span in _counters_of(record, number, document.source.artifact):
                    yield (scope.removeprefix(look), owner, counter), value, span


def _counters_of(record: object, number: int, artifact: str) -> Iterator[tuple[str, str, int, Span]]:
    match record:
        case DeviceCounter() if artifact.startswith(_STATISTICS):
            yield artifact.removeprefix(_STATISTICS), record.name, record.value, record.span
        case Link():
            for name, text in record.details.items():
                if name.startswith(("rx.", "tx.")) and text.isdecimal() and name not in _TRAFFIC:
                    yield record.name, name, int(text), record.span
        case KernelCounter() if record.name not in _NO_COUNTERS:
            yield "", record.name, record.value, record.span
        case SoftnetCounters():
            cpu = f"CPU {number if record.cpu is None else record.cpu}"
            yield cpu, "dropped", record.dropped, record.span
            yield cpu, "time_squeeze", record.time_squeeze, record.span
        case Qdisc(dropped=int(dropped)):
            yield f"{record.kind} {record.handle} of {record.device}", "dropped", dropped, record.span
        case ConntrackStatistics():
            for name, value in record.counters.items():
                yield f"CPU {record.cpu}", name, value, record.span
        case Rule(target="DROP" | "REJECT") if record.counters and record.counters.exact:
            yield owner_of(record), "dropped packets", record.counters.packets, record.span


def owner_of(rule: Rule) -> str:
    """A rule as the owner of its counter."""
    text = rule.span.excerpt
    return f"{rule.family} {rule.table} {text[text.find('-A ') :] if '-A ' in text else rule.chain}"
