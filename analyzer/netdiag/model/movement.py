"""What moved while the bundle was being collected: objects that came and went, counters that grew.

The collector reads counters twice and notes at both ends which interfaces, containers and rules there were. Outputs of
the two looks have the scopes `before:<scope>` and `after:<scope>`; everything else was collected between them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.formats.records import ConntrackStatistics, Container, KernelCounter, Link, Qdisc, Rule, SoftnetCounters
from netdiag.spans import Span

BEFORE, AFTER = "before:", "after:"

#: What `nstat` prints that is a setting or a number of the moment (RFC 4293, RFC 4022), so that it cannot grow.
_NO_COUNTERS = frozenset(
    {"IpForwarding", "IpDefaultTTL", "TcpRtoAlgorithm", "TcpRtoMin", "TcpRtoMax", "TcpMaxConn", "TcpCurrEstab"}
)
#: Counters of an interface in `ip -s` that are no sign of trouble when they grow.
_TRAFFIC = frozenset({"rx.bytes", "rx.packets", "rx.mcast", "tx.bytes", "tx.packets"})
_SIGNS_OF_LOSS = ("drop", "err", "fail", "retrans", "discard", "overflow", "squeeze", "missed", "reset", "noroute")


@dataclass(frozen=True)
class Moved:
    """An object that was not the same at both ends. `kind` is that of a subject; `how` is appeared, gone, restarted or
    changed.
    """

    kind: str
    name: str
    how: str


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
        """Whether such a counter grows when packets are lost, refused or sent again."""
        name = self.counter.lower()
        return any(sign in name for sign in _SIGNS_OF_LOSS)


@dataclass(frozen=True)
class Movement:
    """The two looks: how far they are apart, in seconds, and what moved between them."""

    seconds: float
    objects: tuple[Moved, ...]
    counters: tuple[Grown, ...]


def is_extra_look(scope: str) -> bool:
    """Whether an output is one of the two looks at counters, and not of the state between them."""
    return scope.startswith((BEFORE, AFTER))


def movement(bundle: Bundle, documents: Sequence[Document], containers: Iterable[Container]) -> Movement | None:
    """What moved; None when the bundle's collector did not look twice."""
    manifest = bundle.manifest or {}
    fingerprints = manifest.get("fingerprints")
    if not fingerprints:
        return None
    names = {container.id: container.name for container in containers}
    return Movement(
        seconds=_seconds(manifest),
        objects=tuple(_moved(fingerprints["before"], fingerprints["after"], names)),
        counters=tuple(_grown(documents)),
    )


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


def _moved(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Moved]:
    """Objects by kind: an interface with another index was made anew, a container started at another time was started
    again, rules with another hash were changed.
    """
    renamed = {
        key: names.get(key, key[:12]) for key in {**(before.get("containers") or {}), **(after.get("containers") or {})}
    }
    for key, kind, changed in (("interfaces", "interface", "restarted"), ("containers", "container", "restarted")):
        earlier, later = before.get(key), after.get(key)
        if earlier is None or later is None:
            continue
        for name in sorted({**earlier, **later}):
            if earlier.get(name) != later.get(name):
                how = "appeared" if name not in earlier else "gone" if name not in later else changed
                yield Moved(kind, renamed.get(name, name), how)
    rules = before.get("rules") or {}, after.get("rules") or {}
    for name in sorted(rules[0].keys() & rules[1].keys()):
        if rules[0][name] != rules[1][name]:
            yield Moved("rule", name.removesuffix("-save"), "changed")


# --- counters ---------------------------------------------------------------------------------------------------------


def _grown(documents: Sequence[Document]) -> Iterator[Grown]:
    earlier = {key: value for key, value, _ in _counters(documents, BEFORE)}
    for key, value, span in _counters(documents, AFTER):
        if key in earlier and value > earlier[key]:
            scope, owner, counter = key
            yield Grown(scope, owner, counter, earlier[key], value, span)


_Key = tuple[str, str, str]


def _counters(documents: Sequence[Document], look: str) -> Iterator[tuple[_Key, int, Span]]:
    """Every counter of one look: of which scope and owner, its name, its value, its place."""
    for document in documents:
        scope = document.source.scope
        if scope.startswith(look):
            for number, record in enumerate(document.records):
                for owner, counter, value, span in _counters_of(record, number):
                    yield (scope.removeprefix(look), owner, counter), value, span


def _counters_of(record: object, number: int) -> Iterator[tuple[str, str, int, Span]]:
    match record:
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
            text = record.span.excerpt
            owner = f"{record.family} {record.table} {text[text.find('-A ') :] if '-A ' in text else record.chain}"
            yield owner, "dropped packets", record.counters.packets, record.span
