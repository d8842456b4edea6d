"""High TCP retransmission.

## What it finds
A network namespace that had to send many of its TCP segments twice.

## Why it matters
Each of them was lost, or its answer was, and the connection waited for it: throughput falls to a fraction with 2 % of
loss. It tells that packets get lost on the way, not where.

## How it is decided
The counters `TcpRetransSegs` and `TcpOutSegs` of `nstat` in each namespace since it began: more than 2 % of at least
2000 segments. Connection attempts to nobody are sent again, too; a namespace that mostly does that (`TcpAttemptFails`
explains the resent ones) is passed over.

## Not a problem when
The namespace has hardly any traffic, or talks to peers that are often away.

## Repair
Look for the drops on the way: errors of interfaces, full queues, a limit of `tc`, a link that does not carry the MTU.

## Verify
The counters grow no more while the same program runs: `nstat` prints what was added since its last call.

## References
nstat(8); RFC 4022 (tcpRetransSegs); kernel Documentation/networking/snmp_counter.rst.
"""

from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._namespaces import entering, name_of_owner, subject_of
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import KernelCounter
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown

_SHARE = 0.02
_LEAST_SENT = 2000
_SYN_RETRIES = 6
_MOST_SHOWN = 4


@dataclass(frozen=True)
class _Lossy:
    netns: Namespace
    resent: KernelCounter
    sent: KernelCounter

    @property
    def share(self) -> float:
        return self.resent.value / self.sent.value


@check(Severity.NOTE, layer="conntrack")
def perf_tcp_retrans(host: Host) -> Verdicts:
    if not any(netns.counters.items for netns in host.namespaces):
        yield unjudged(unknown("how many TCP segments were lost", "nstat", because=host.root.counters.why))
        return
    lossy = sorted((found for netns in host.namespaces if (found := _judge(netns))), key=lambda each: -each.share)
    if lossy:
        yield _fault(host, lossy)


def _judge(netns: Namespace) -> _Lossy | None:
    resent, sent, failed = (netns.counter(name) for name in ("TcpRetransSegs", "TcpOutSegs", "TcpAttemptFails"))
    if resent is None or sent is None or sent.value < _LEAST_SENT or resent.value <= _SHARE * sent.value:
        return None
    by_attempts = _SYN_RETRIES * failed.value if failed else 0
    return _Lossy(netns, resent, sent) if resent.value > 2 * by_attempts else None


def _fault(host: Host, lossy: list[_Lossy]) -> Fault:
    shown = [f"{name_of_owner(host, each.netns)} {100 * each.share:.1f} %" for each in lossy[:_MOST_SHOWN]]
    more = f" and {len(lossy) - _MOST_SHOWN} more" if len(lossy) > _MOST_SHOWN else ""
    counters = f"{entering(host, lossy[0].netns)}nstat"
    return Fault(
        message=f"many TCP segments were sent again: {', '.join(shown)}{more}",
        subjects=tuple(subject_of(host, each.netns) for each in lossy),
        evidence=tuple(
            evidence
            for each in lossy[:_MOST_SHOWN]
            for evidence in (
                Evidence(each.resent.span, f"segments that {each.netns.name} sent again"),
                related(each.sent.span, "of so many"),
            )
        ),
        remedy=("ip -s -s link", "tc -s qdisc", f"{counters} -asz 'TcpExt*'"),
        verify=(f"{counters} TcpOutSegs TcpRetransSegs",),
    )
