"""Linux 6.1 in a virtual machine: the same packets as events, and once more as the functions that they went through.

The functions are those that the kernel called while it sent. On a veth that is nearly always all the way: the softirq
that receives runs before the sender goes on. What was sent is told in the truth beside the bundle.
"""

from collections import Counter

import pytest

from netdiag.analysis import analyze
from netdiag.journeys import observations
from netdiag.journeys.callgraph import FUNCTION_GRAPH, CallGraph, call_graphs
from netdiag.journeys.callgraph.dead_ends import plain_name
from netdiag.journeys.observed import DropClass
from netdiag.model import Host

from .conftest import SAMPLES

IPV4 = 0x0800


def host_of(name: str) -> Host:
    return analyze(SAMPLES / "bundles" / f"journey-linux6.1-{name}.tar.gz").host


@pytest.fixture(scope="module")
def dropped() -> Host:
    """Three datagrams each: to a port without a socket, dropped in DOCKER-USER, and while forwarding was off."""
    return host_of("dropped")


@pytest.fixture(scope="module")
def published() -> Host:
    """Three echo requests and three datagrams to a container and five to a published port, all answered."""
    return host_of("published")


def calls_of(host: Host) -> CallGraph:
    (graph,) = (graph for trace in host.traces.traces for graph in call_graphs(trace.table))
    assert graph.of == FUNCTION_GRAPH
    return graph


def times_called(graph: CallGraph) -> Counter[str]:
    found: Counter[str] = Counter()
    for _, node in graph.tree.nodes():
        found[plain_name(node.name)] += node.calls + node.cut
    return found


def test_drops_have_their_reason_and_place(dropped: Host) -> None:
    """This kernel prints the addresses of the places: the collector has looked up what was there."""
    (seen,) = observations(dropped)
    told = [drop for drop in seen.drops if not drop.reason.benign]
    assert [(drop.reason.name, drop.reason.kind, drop.where and drop.where.name, drop.count) for drop in told] == [
        ("NO_SOCKET", DropClass.NO_SOCKET, "container web", 3),
        ("NETFILTER_DROP", DropClass.FILTER, "host", 3),
        ("IP_INADDRERRORS", DropClass.FORWARDING_OFF, "host", 3),
    ]
    assert [drop.location for drop in told] == ["__udp4_lib_rcv+0x9a2", "nf_hook_slow+0x9b", "ip_error+0x92"]


def test_what_is_told_of_a_drop_shows_whose_address_it_was() -> None:
    (finding,) = (
        each
        for each in analyze(SAMPLES / "bundles" / "journey-linux6.1-dropped.tar.gz").findings
        if each.check == "trace-drop-reason-map"
    )
    shown = [(each.span.source.path, each.span.excerpt) for each in finding.evidence if "what is at" in each.label]
    assert shown == [("trace/drop-places.txt", "0xffffffff87067832 ip_error+0x92")]
    assert finding.message.endswith("and forwarding is off on the device (IP_INADDRERRORS in ip_error)")


def test_answers_to_ping_are_no_drops(published: Host) -> None:
    (seen,) = observations(published)
    assert [(drop.location, drop.reason.kind, drop.count) for drop in seen.drops if drop.protocol == IPV4] == [
        ("icmp_rcv+0x1b1", DropClass.CONSUMED, 3)
    ]
    assert [drop.location for drop in seen.drops if not drop.reason.benign] == []


@pytest.mark.parametrize("name", ["dropped", "published"])
def test_the_time_of_all_functions_adds_up(name: str, request: pytest.FixtureRequest) -> None:
    graph = calls_of(request.getfixturevalue(name))
    own = [node.own for _, node in graph.tree.nodes()]
    assert (graph.lost, sum(own)) == (0, graph.tree.whole)
    assert graph.tree.whole == sum(node.total for _, node in graph.tree.nodes() if node.depth == 0)
    assert min(own) >= 0


def test_the_functions_were_called_once_for_each_packet(dropped: Host) -> None:
    called = times_called(calls_of(dropped))
    errors = no_socket = ruled_out = not_forwarded = 3
    assert {name: called[name] for name in ("ip_rcv", "ip_local_deliver", "udp_rcv", "icmp_rcv", "__icmp_send")} == {
        "ip_rcv": no_socket + errors + ruled_out + not_forwarded,
        "ip_local_deliver": no_socket + errors,
        "udp_rcv": no_socket,
        "icmp_rcv": errors,
        "__icmp_send": errors,
    }
    assert (called["ip_forward"], called["ip_error"]) == (ruled_out, not_forwarded)


def test_processing_stopped_where_the_packets_were_dropped(dropped: Host) -> None:
    assert [(end.step, end.calls, end.ended, end.went_on) for end in calls_of(dropped).dead_ends] == [
        ("ip_rcv", 9, 3, {"ip_local_deliver": 3, "ip_forward": 3}),
        ("ip_forward", 3, 3, {}),
    ]


def test_what_is_forwarded_is_received_twice_and_goes_on_everywhere(published: Host) -> None:
    graph = calls_of(published)
    called = times_called(graph)
    echoes, to_container, forwarded = 2 * 3, 2 * 3, 2 * 5
    assert (called["ip_rcv"], called["ip_forward"]) == (echoes + to_container + 2 * forwarded, forwarded)
    assert (called["icmp_rcv"], called["udp_rcv"]) == (echoes, to_container + forwarded)
    assert called["ip_local_deliver"] == echoes + to_container + forwarded
    # the answers to ping, of which its socket has got a copy
    assert (called["kfree_skb_reason"], graph.dead_ends) == (echoes // 2, ())
