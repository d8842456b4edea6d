"""insert_failed / clash / chaintoolong rising.

## What it finds
A host whose connection tracking has dropped many packets because it could not enter their connections: another
connection already has the same addresses and ports, or a chain of its hash table is too long.

## Why it matters
The first packet of a connection is lost. TCP sends it again after a second; a resolver waits five, which looks like a
slow name server.

## How it is decided
The counters of `conntrack -S`, added over all CPUs, since the system began: `insert_failed` and `chaintoolong`. They
count for a warning when they are at least 1 of 10000 packets that the host forwarded (`IpForwDatagrams` of `nstat`) and
at least 100; without `nstat`, 1000 of them are a note. A rule that leaves few ports for source NAT (`--to-ports`,
`--to-source ADDRESS:PORTS`) is named as the likely cause.

## Not a problem when
The counters are small beside the traffic: two packets that a program sends at once from one socket can clash on any
host.

## Repair
Let source NAT choose ports at random (`--random-fully`), and leave it all of them; raise the number of buckets for
`chaintoolong`.

## Verify
`conntrack -S` counts no more.

## References
conntrack(8); iptables-extensions(8) (MASQUERADE --random-fully); kubernetes/kubernetes#56903; kernel
net/netfilter/nf_conntrack_core.c.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import docker_networks, related, sh
from netdiag.checks._nat import name_of
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.firewall import SOURCE_NAT, target_option
from netdiag.model.gates import collected, translates_addresses

_COUNTERS = ("insert_failed", "chaintoolong")
_LEAST, _LEAST_WITHOUT_TRAFFIC = 100, 1000
_SHARE = 1 / 10_000
_FEW_PORTS = 2000


@check(Severity.WARNING, layer="conntrack")
def conntrack_insert_failed(host: Host) -> Verdicts:
    if host.root.sysctls.whole and not host.root.sysctl("net.netfilter.nf_conntrack_max"):
        yield NotApplicable("the kernel does not track connections here")
        return
    known = collected(host.conntrack, "what connection tracking dropped")
    if not known.yes:
        yield unjudged(known)
        return
    lost = {name: sum(cpu.counters.get(name, 0) for cpu in host.conntrack) for name in _COUNTERS}
    total = sum(lost.values())
    forwarded = host.root.counter("IpForwDatagrams")
    if forwarded and total >= _LEAST and total >= _SHARE * forwarded.value:
        yield _fault(host, lost, Severity.WARNING)
    elif forwarded is None and total >= _LEAST_WITHOUT_TRAFFIC:
        yield _fault(host, lost, Severity.NOTE)


def _fault(host: Host, lost: dict[str, int], severity: Severity) -> Fault:
    cpus = [cpu for cpu in host.conntrack if any(cpu.counters.get(name) for name in _COUNTERS)]
    counted = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
    forwarded = host.root.counter("IpForwDatagrams")
    narrow = list(_narrow_rules(host))
    return Fault(
        message=f"connection tracking dropped packets whose connections it could not enter ({counted})",
        subjects=(Subject("host", host.name), *(Subject("rule", name_of(rule)) for rule in narrow)),
        evidence=(
            *(Evidence(cpu.span, f"counted on CPU {cpu.cpu} since the system began") for cpu in cpus[:4]),
            *((related(forwarded.span, "packets forwarded in the same time"),) if forwarded else ()),
            *(related(rule.span, "this rule leaves few ports for all connections") for rule in narrow),
        ),
        remedy=tuple(_remedy(host, lost, narrow)),
        verify=("conntrack -S",),
        severity=severity,
    )


def _narrow_rules(host: Host) -> Iterator[Rule]:
    """The rules that give packets one of a few ports."""
    for table in host.root.tables("nat"):
        for rule in table.rules_after("POSTROUTING"):
            if rule.target in SOURCE_NAT:
                ports = target_option(rule, "to-ports") or target_option(rule, "to-source").partition(":")[2]
                low, _, high = ports.partition("-")
                if low.isdecimal() and (high or low).isdecimal() and int(high or low) - int(low) < _FEW_PORTS:
                    yield rule


def _remedy(host: Host, lost: dict[str, int], narrow: list[Rule]) -> Iterator[str]:
    if lost["chaintoolong"]:
        buckets = host.root.sysctl("net.netfilter.nf_conntrack_buckets")
        more = 2 * int(buckets.value) if buckets and buckets.value.strip().isdecimal() else 262144
        yield f"echo {more} >/sys/module/nf_conntrack/parameters/hashsize"
    if lost["insert_failed"]:
        bridges, _ = docker_networks(host)
        for bridge in bridges:
            for subnet in bridge.network.subnets if translates_addresses(bridge.network).yes else ():
                if isinstance(subnet.subnet, IPv4Network):
                    way = sh("-s {} ! -o {} -j MASQUERADE --random-fully", subnet.subnet, bridge.device)
                    yield f"iptables -t nat -I POSTROUTING {way}"
        if not bridges:
            chains = dict.fromkeys(rule.chain for rule in narrow) or ("POSTROUTING",)
            yield from (sh("iptables -t nat -L {} -v -n -x", chain) for chain in chains)
