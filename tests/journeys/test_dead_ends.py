"""Where work on packets stopped, as function_graph shows it."""

from netdiag import formats
from netdiag.journeys.callgraph import DeadEnd, call_graphs
from netdiag.spans import Source
from netdiag.traces import table_of


def found(*calls: str) -> tuple[DeadEnd, ...]:
    """The dead_ends of calls that are written with two blanks for each call around them."""
    lines = []
    depths = [(len(call) - len(call.lstrip())) // 2 for call in calls]
    waiting: list[tuple[int, str]] = []

    def close(depth: int) -> None:
        while waiting and waiting[-1][0] >= depth:
            at, _ = waiting.pop()
            lines.append(f"    a-1  [000] 1.000001: funcgraph_exit:  9.000 us  |  {'  ' * at}}}")

    for call, depth, after in zip(calls, depths, [*depths[1:], 0], strict=True):
        close(depth)
        if after > depth:
            lines.append(f"    a-1  [000] 1.000001: funcgraph_entry:           |  {'  ' * depth}{call.strip()}() {{")
            waiting.append((depth, call))
        else:
            lines.append(f"    a-1  [000] 1.000001: funcgraph_entry: 1.000 us  |  {'  ' * depth}{call.strip()}();")
    close(0)
    text = "".join(f"{line}\n" for line in lines)
    (graph,) = call_graphs(table_of(formats.get("trace_cmd_report").read(Source("trace.txt", text))))
    return graph.dead_ends


def test_a_forwarded_packet_that_a_rule_drops_stops_at_forwarding() -> None:
    (end,) = found(
        "ip_rcv",
        "  ip_rcv_core.isra.0",
        "  ip_forward",
        "    nf_hook_slow",
        "      nft_do_chain [nf_tables]",
        "      kfree_skb_reason",
        "ip_rcv",
        "  ip_forward",
        "    ip_output",
        "      ip_finish_output",
    )
    assert end == DeadEnd(
        step="ip_forward",
        path=("ip_rcv", "ip_forward"),
        calls=2,
        ended=1,
        went_on={"ip_output": 1},
        signs={"nf_hook_slow": 1, "nft_do_chain": 1, "kfree_skb_reason": 1},
        certain=True,
    )


def test_a_packet_without_a_way_stops_when_it_is_received() -> None:
    (end, other) = found(
        *("ip_rcv", "  ip_route_input_slow", "  ip_error", "    __icmp_send"),
        *("ip_rcv", "  ip_error", "ip_rcv", "  ip_local_deliver", "    ip_protocol_deliver_rcu", "      icmp_rcv"),
        *("ip_forward", "  other"),
    )
    assert (end.step, end.calls, end.ended, end.went_on, end.certain) == (
        "ip_rcv",
        3,
        2,
        {"ip_local_deliver": 1},
        True,
    )
    assert end.signs == {"ip_route_input_slow": 1, "ip_error": 2, "__icmp_send": 1}
    assert (other.step, other.certain) == ("ip_forward", False)


def test_the_next_step_of_a_packet_within_a_packet_is_counted_once() -> None:
    assert (
        found(
            "ip_rcv",
            "  ip_local_deliver",
            "    ip_protocol_deliver_rcu",
            "      udp_rcv",
            "        ip_rcv",
            "          ip_forward",
            "            ip_output",
            "              dev_queue_xmit",
        )
        == ()
    )


def test_calls_of_which_the_end_is_not_seen_are_not_counted() -> None:
    text = "  a-1  [000] 1.000001: funcgraph_entry:     |  ip_rcv() {\n"
    (graph,) = call_graphs(table_of(formats.get("trace_cmd_report").read(Source("trace.txt", text))))
    assert graph.dead_ends == ()
