"""Where the kernel's work on packets stopped: calls of a step of their way in which no next step was called.

The steps are those of net/ipv4, net/ipv6 and net/bridge of Linux 4 to 7. A compiler puts small functions into their
callers, another one on each kernel, so that a step names all functions by which it may be seen to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from netdiag.journeys.callgraph.tree import CallTree

_SENDS = frozenset({"ip_output", "ip_mc_output", "ip_finish_output", "ip_finish_output2", "neigh_resolve_output"})
_SENDS_V6 = frozenset({"ip6_output", "ip6_finish_output", "ip6_finish_output2", "neigh_resolve_output"})
_TRANSMITS = frozenset({"dev_queue_xmit", "__dev_queue_xmit"})

#: By the function of a step those of the next one.
WAYS: Mapping[str, frozenset[str]] = {
    "br_handle_frame": frozenset({"br_handle_frame_finish", "br_handle_local_finish"}),
    "br_handle_frame_finish": frozenset(
        {"br_forward", "__br_forward", "br_flood", "br_multicast_flood", "br_pass_frame_up"}
    ),
    "__br_forward": frozenset({"br_forward_finish", "br_dev_queue_push_xmit"}) | _TRANSMITS,
    "ip_rcv": frozenset({"ip_local_deliver", "ip_forward", "ip_mr_input"}),
    "ip_forward": frozenset({"ip_forward_finish"}) | _SENDS,
    "ip_local_deliver": frozenset({"ip_local_deliver_finish", "ip_protocol_deliver_rcu"}),
    "ip_protocol_deliver_rcu": frozenset({"tcp_v4_rcv", "udp_rcv", "icmp_rcv", "raw_local_deliver", "igmp_rcv"}),
    "ip_local_out": _SENDS,  # the hooks of __ip_local_out only say whether it goes on
    "ip_output": _TRANSMITS | {"ip_finish_output", "__ip_finish_output", "ip_finish_output2", "neigh_resolve_output"},
    "ipv6_rcv": frozenset({"ip6_input", "ip6_forward", "ip6_mc_input", "ip6_mr_input"}),
    "ip6_forward": frozenset({"ip6_forward_finish"}) | _SENDS_V6,
    "ip6_input": frozenset({"ip6_input_finish", "ip6_protocol_deliver_rcu"}),
}

#: Functions that say how a packet's way ended: it was filtered, given up, refused, or an error was sent back.
SIGNS = frozenset(
    {
        *("nf_hook_slow", "ipt_do_table", "nft_do_chain", "ip6t_do_table", "ebt_do_table"),
        *("kfree_skb", "kfree_skb_reason", "sk_skb_reason_drop", "ip_error", "ip6_pkt_drop"),
        *("icmp_send", "__icmp_send", "icmp6_send", "tcp_v4_send_reset", "tcp_v6_send_response"),
        *("fib_validate_source", "ip_route_input_slow", "ip_fragment", "arp_solicit", "ndisc_solicit"),
    }
)


@dataclass(frozen=True)
class DeadEnd:
    """A step at one place of a call tree, with the calls of it in which no next step was called.

    `path` are the functions from the outermost call to the step. `ended` is at least so many of the `calls` that were
    seen whole; `went_on` counts the calls of next steps, `signs` those of `SIGNS` below, of all calls of the step.
    `certain` is False when no next step is anywhere in the trace: then it may be that none was traced.
    """

    step: str
    path: tuple[str, ...]
    calls: int
    ended: int
    went_on: Mapping[str, int]
    signs: Mapping[str, int]
    certain: bool


def plain_name(function: str) -> str:
    """The name in the source of the kernel: without the module, and what a compiler puts behind it (`.isra.0`)."""
    return function.partition(" ")[0].partition(".")[0]


def find_dead_ends(tree: CallTree) -> tuple[DeadEnd, ...]:
    """The steps at which packets did not go on, those with the most of them first."""
    names = [plain_name(name) for name in tree.names]
    of_node = ["", *(names[function] for function in tree.function[1:].tolist())]
    present = set(of_node)
    found = [_dead_end(tree, index, of_node, present) for index, name in enumerate(of_node) if name in WAYS]
    return tuple(sorted((end for end in found if end.ended), key=lambda end: (-end.ended, end.path)))


def _dead_end(tree: CallTree, step: int, of_node: list[str], present: set[str]) -> DeadEnd:
    following = WAYS[of_node[step]]
    went_on: dict[str, int] = {}
    signs: dict[str, int] = {}
    depth = int(tree.depth[step])
    within = len(tree.parent)  # the depth of the next step that the walk is in
    for index in range(step + 1, len(tree.parent)):
        here = int(tree.depth[index])
        if here <= depth:
            break
        count = int(tree.calls[index] + tree.cut[index])
        if here <= within:
            within = len(tree.parent)
        if within == len(tree.parent) and of_node[index] in following:
            within = here
            went_on[of_node[index]] = went_on.get(of_node[index], 0) + count
        elif within == len(tree.parent) and of_node[index] in SIGNS:
            signs[of_node[index]] = signs.get(of_node[index], 0) + count
    calls = int(tree.calls[step])
    return DeadEnd(
        step=of_node[step],
        path=tree.path(step),
        calls=calls,
        ended=max(0, calls - sum(went_on.values())),
        went_on=went_on,
        signs=signs,
        certain=bool(present & following),
    )
