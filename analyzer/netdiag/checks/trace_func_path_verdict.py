"""function_graph shows where processing stops.

## What it finds
The function of the kernel that packets entered and did not leave by the way onward, in a trace of function calls:
dropped at a hook of netfilter, without a route, on a bridge without a port for them, answered with an ICMP error, or
cut into pieces.

## Why it matters
It is the last word on where a packet ended, also on kernels that give no reason for a drop.

## How it is decided
In the tree of calls, each step of a packet's way is compared with the steps that may follow it: `ip_forward` with
`ip_output`, `ip_local_deliver` with `ip_local_deliver_finish`, `br_handle_frame_finish` with `br_forward`, and so on.
Where a step was called more often than any that may follow was called within it, packets ended there. What else was
called within it says how: `nf_hook_slow` and `nft_do_chain` are the firewall, `ip_error` is a missing route or
forwarding that is off, `icmp_send` is an error that was sent back, `ip_fragment` cuts into pieces, `kfree_skb` frees.
Without such a sign nothing is said. What compilers append to names (`.isra.0`, `.constprop.0`) does not count.

## Not a problem when
The packets are unwanted, or the functions that follow are not among those that were traced: a filter of functions, or
a compiler that has made one function of two.

## Repair
The hook's rules, the route, or the bridge's ports: the function says which.

## Verify
A new trace of the same traffic shows the way onward.

## References
Kernel Documentation/trace/ftrace.rst; net/ipv4/ip_forward.c, ip_input.c; net/bridge/br_input.c.
"""

from collections.abc import Sequence

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._traces import packets
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Host, Trace

_MOST_NAMED = 3


@check(Severity.NOTE, layer="trace")
def trace_func_path_verdict(host: Host) -> Verdicts:
    if not host.traces.traces:
        yield NotApplicable("the bundle has no trace of function calls")
        return
    # these load numpy, which few bundles need
    from netdiag.journeys.callgraph import FUNCTION_GRAPH, call_graphs  # noqa: PLC0415
    from netdiag.journeys.callgraph.dead_ends import find_dead_ends, plain_name  # noqa: PLC0415

    traced = False
    for trace in host.traces.traces:
        for graph in call_graphs(trace.table):
            if graph.of == FUNCTION_GRAPH:
                traced = True
                for end in find_dead_ends(graph.tree):
                    if end.certain and end.signs:
                        names = [name for name in graph.tree.names if plain_name(name) == end.step]
                        yield _note(host, trace, end.step, end.ended, [*end.signs], _first_line(trace, names))
    if not traced:
        yield NotApplicable("the bundle has no trace of function calls")


def _first_line(trace: Trace, names: Sequence[str]) -> int:
    """The first line that calls a function of one of these names."""
    for batch in trace.table.call_batches():
        lines = batch["line"][batch.isin("function", names)]
        if len(lines):
            return int(lines[0])
    return 1


def _note(host: Host, trace: Trace, step: str, count: int, signs: Sequence[str], line: int) -> Fault:
    return Fault(
        message=f"{packets(count)} went no further than {step}, in which the kernel called "
        f"{', '.join(signs[:_MOST_NAMED])}",
        subjects=(Subject("host", host.name),),
        evidence=(Evidence(trace.source.span(line), "a call of it"),),
        remedy=("iptables-save -c; ip route show table all; bridge -d link",),
        verify=(f"trace-cmd record -p function_graph -g {step} sleep 5 && trace-cmd report",),
        confidence=Confidence.MEDIUM,
    )
