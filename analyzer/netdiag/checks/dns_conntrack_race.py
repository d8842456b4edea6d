"""5 s DNS delays from conntrack insert race.

## What it finds
A kernel that loses one of two look-ups that are sent at once, connection tracking that has lost packets that way, and
containers whose look-ups go through address translation.

## Why it matters
Programs ask for the IPv4 and the IPv6 address of a name at the same moment, from one socket. Where both go through
address translation the second may be dropped, and the program waits 5 s before it asks again: look-ups last exactly 5
or 10 s now and then.

## How it is decided
The kernel is older than 5.6, the first in which connection tracking keeps both packets; a container asks a name server
from its own namespace that is not on this host; and `conntrack -S` has lost 100 packets or more, added over all CPUs.
From 4.7 on those are the smaller one of `insert_failed`, which then also counts packets that were saved, and `drop`;
before, `insert_failed`. The counters do not tell which protocol lost them, and distributions bring the change to older
kernels, so it is a note of medium confidence; a warning when both grew while the bundle was being collected. Where
conntrack-insert-failed finds that the loss is large, this is part of that.

## Not a problem when
The kernel is newer. Packets are lost in the same counters when source ports run out. Containers that ask a server of
the host itself meet no address translation.

## Repair
Until the kernel is a newer one: let programs ask one after the other (`options single-request-reopen` of glibc; musl
does not know it), or answer look-ups by a cache on the host that containers ask at the bridge's gateway.

## Verify
The counters do not grow while names are looked up.

## References
kubernetes/kubernetes#56903; kubernetes/kubernetes#62628; Linux 71d8c47fc653 (clash resolution and the counter `drop`,
4.7) and 6a757c07e51f (clashing entries are kept, 5.6); resolv.conf(5).
"""

import json
import re

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._dns import container_subjects, known_resolvers, named, setting_of_daemon
from netdiag.checks._docker import related
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import ConntrackStatistics
from netdiag.model import Host
from netdiag.model.gates import collected, unknown
from netdiag.model.resolvers import Resolver, Server

_Version = tuple[int, int]

_SAVES_SOME: _Version = (4, 7)
_KEEPS_BOTH: _Version = (5, 6)
_OPTION = "single-request-reopen"
_MANY = 100
_MOST_SHOWN = 5
_VERSION = re.compile(r"(\d+)\.(\d+)")


@check(Severity.NOTE, layer="dns", symptom_of=("conntrack-insert-failed",))
def dns_conntrack_race(host: Host) -> Verdicts:
    number = _VERSION.match(host.kernel)
    kernel = (int(number[1]), int(number[2])) if number else None
    if kernel and kernel >= _KEEPS_BOTH:
        return
    gate = collected(host.conntrack, "what connection tracking dropped")
    if gate.unknown:
        yield unjudged(gate)
        return
    if _lost(host, "insert_failed") < _MANY:
        return
    if kernel is None:
        yield unjudged(unknown("whether the kernel is older than 5.6", "docker_info"))
        return
    counters = ("insert_failed", "drop") if kernel >= _SAVES_SOME else ("insert_failed",)
    lost = min(_lost(host, name) for name in counters)
    if lost < _MANY:
        return
    found, others = known_resolvers(host)
    yield from others
    asking = [(each, server) for each in found for server in each.servers if _is_translated(host, server)]
    if asking:
        yield _fault(host, counters, lost, asking)


def _lost(host: Host, counter: str) -> int:
    return sum(cpu.counters.get(counter, 0) for cpu in host.conntrack)


def _is_translated(host: Host, server: Server) -> bool:
    """Look-ups leave the container's namespace for a server elsewhere."""
    local = host.root.ground.local or frozenset()
    return not (server.from_host or server.address.is_loopback or server.address in local)


def _fault(host: Host, counters: tuple[str, ...], lost: int, asking: list[tuple[Resolver, Server]]) -> Fault:
    resolvers = list({each.container.id: each for each, _ in asking}.values())
    losers = [cpu for cpu in host.conntrack if any(cpu.counters.get(name) for name in counters)]
    servers = {server.address: server for _, server in asking}
    info = host.engine.info
    return Fault(
        message=f"connection tracking has lost {lost} packets that clashed with others: look-ups of {named(resolvers)}"
        " may take 5 s",
        subjects=(Subject("host", host.name or "host"), *container_subjects(resolvers[:_MOST_SHOWN])),
        evidence=(
            *(Evidence(cpu.span, f"lost on CPU {cpu.cpu} since the system began: {_told(cpu)}") for cpu in losers[:4]),
            *((related(info.span_at("KernelVersion"), f"the kernel is {info.kernel}"),) if info else ()),
            *(related(each.span, f"asked for names: {each.address}") for each in list(servers.values())[:_MOST_SHOWN]),
        ),
        remedy=_remedy(host, resolvers),
        verify=("conntrack -S | grep -oE '(insert_failed|drop)=[0-9]+'",),
        severity=Severity.WARNING if _goes_on(host, counters) else Severity.NOTE,
        confidence=Confidence.MEDIUM,
    )


def _remedy(host: Host, resolvers: list[Resolver]) -> tuple[str, ...]:
    """The option for all containers, beside those that they have."""
    setting = host.engine.setting("dns-opts")
    set_before = json.loads(setting.value) if setting else []
    options = [*(set_before if isinstance(set_before, list) else []), _OPTION]
    commands = setting_of_daemon(host, resolvers, dns_opts=options)
    return commands or (f"editor /etc/docker/daemon.json  # add {_OPTION} to dns-opts, and restart Docker",)


def _told(cpu: ConntrackStatistics) -> str:
    return ", ".join(f"{name} {cpu.counters[name]}" for name in ("insert_failed", "drop") if name in cpu.counters)


def _goes_on(host: Host, counters: tuple[str, ...]) -> bool:
    """All of these counters of connection tracking grew while the bundle was being collected."""
    grown = {each.counter for each in host.movement.counters} if host.movement else set()
    return set(counters) <= grown
