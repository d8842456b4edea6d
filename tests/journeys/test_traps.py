"""What makes the address of an skb a bad name for a packet, each in a few events."""

from collections.abc import Callable

import pytest

from netdiag.journeys.observed import Observation, Outcome
from netdiag.report.journeys_text import headline

from .conftest import Event, packets, printed, seen

Lines = Callable[[str], list[Event]]

OUT_OF_THE_BRIDGE = """
10 0 7 net_dev_queue docker0 a0 98
11 0 7 net_dev_queue veth1 a0 98
12 0 7 netif_rx eth0 a0 84
13 0 7 net_dev_xmit veth1 a0 98 rc=0
14 0 7 net_dev_xmit docker0 a0 98 rc=0
15 0 7 netif_receive_skb eth0 a0 84
"""


@pytest.fixture
def look(lines: Lines) -> Callable[[str], Observation]:
    return lambda text: seen(printed(lines(text)))


Look = Callable[[str], Observation]


def test_an_answer_with_the_address_of_its_question_is_another_packet(look: Look) -> None:
    found = look(OUT_OF_THE_BRIDGE + "60 0 9 net_dev_queue eth0 a0 98\n61 0 9 netif_rx veth1 a0 84\n")
    assert packets(found) == ["docker0 veth1 >eth0: handed up", "eth0 >veth1: entered"]


def test_what_is_freed_is_another_packet_from_then_on(look: Look) -> None:
    found = look(OUT_OF_THE_BRIDGE + "16 0 7 consume_skb - a0 - location=x\n17 0 7 net_dev_queue docker0 a0 98\n")
    assert packets(found) == ["docker0 veth1 >eth0: consumed", "docker0: queued"]


def test_the_driver_may_return_after_the_packet_was_freed_and_its_address_given_away(look: Look) -> None:
    found = look(
        """
        10 0 7 net_dev_queue veth1 a0 98
        11 0 7 netif_rx eth0 a0 84
        12 1 8 netif_receive_skb eth0 a0 84
        13 1 8 consume_skb - a0 - location=x
        14 1 8 net_dev_queue eth0 a0 74
        15 0 7 net_dev_xmit veth1 a0 98 rc=0
        16 1 8 net_dev_xmit eth0 a0 74 rc=0
        """
    )
    assert packets(found) == ["veth1 >eth0: consumed", "eth0: crossing"]


def test_a_bridge_floods_copies(look: Look) -> None:
    found = look(
        OUT_OF_THE_BRIDGE
        + """
        30 0 7 net_dev_queue docker0 b0 42
        31 0 7 net_dev_queue veth1 b1 42
        32 0 7 netif_rx eth0 b1 28
        33 0 7 net_dev_xmit veth1 b1 42 rc=0
        34 0 7 net_dev_queue veth2 b0 42
        35 0 7 netif_rx eth0 b0 28
        36 0 7 net_dev_xmit veth2 b0 42 rc=0
        37 0 7 net_dev_xmit docker0 b0 42 rc=0
        """
    )
    original, copy = found.journeys[1:]
    assert [hop.where.device for hop in original.hops] == ["docker0", "veth2", "eth0"]
    assert [hop.where.device for hop in copy.hops] == ["veth1", "eth0"]
    assert (original.copy_of, copy.copy_of) == (None, original.line)


def test_a_busy_device_gets_the_packet_once_more(look: Look) -> None:
    found = look(
        """
        10 0 7 net_dev_queue ens3 a0 98
        11 0 7 net_dev_start_xmit ens3 a0 98
        12 0 7 net_dev_xmit ens3 a0 98 rc=16
        90 0 0 net_dev_start_xmit ens3 a0 98
        91 0 0 net_dev_xmit ens3 a0 98 rc=0
        """
    )
    assert packets(found) == ["ens3: sent"]


def test_what_went_back_to_the_queue_is_sent_by_another_cpu_later(look: Look) -> None:
    found = look(
        """
        10 0 7 net_dev_queue ens3 a0 98
        11 0 7 net_dev_start_xmit ens3 a0 98
        12 0 7 net_dev_xmit ens3 a0 98 rc=16
        20 0 7 net_dev_queue ens3 b0 60
        21 0 7 net_dev_queue veth1 c0 98
        5000000 1 0 net_dev_start_xmit ens3 a0 98
        5000001 1 0 net_dev_xmit ens3 a0 98 rc=0
        5000002 1 0 net_dev_start_xmit ens3 b0 60
        5000003 1 0 net_dev_xmit ens3 b0 60 rc=0
        """
    )
    assert packets(found) == ["ens3: sent", "ens3: sent", "veth1: queued"]


def test_a_clone_for_tcpdump_that_is_not_taken_is_no_loss(look: Look) -> None:
    tapped = "15 0 7 kfree_skb - b0 - protocol=2048 location=packet_rcv+0x1 reason: NOT_SPECIFIED\n"
    found = look(OUT_OF_THE_BRIDGE + tapped)
    assert packets(found) == ["docker0 veth1 >eth0: handed up"]
    assert [(drop.where, drop.reason.benign) for drop in found.drops] == [(None, True)]


def test_a_sending_whose_beginning_is_missing_begins_no_way_and_ends_none(look: Look) -> None:
    """The packet had crossed before its driver returned: what crosses and what is freed afterwards are others."""
    learnt = OUT_OF_THE_BRIDGE.replace("a0", "d0")
    found = look(
        learnt
        + """
        30 0 7 net_dev_xmit veth1 a0 98 rc=0
        40 0 7 netif_rx eth0 a0 84
        50 0 7 net_dev_xmit veth1 b0 98 rc=0
        60 1 9 consume_skb - b0 - location=x
        """
    )
    assert packets(found)[1:] == ["veth1: crossing", ">eth0: entered", "veth1: crossing"]


def test_a_device_that_answers_with_an_error_has_dropped_the_packet(look: Look) -> None:
    found = look("10 0 7 net_dev_start_xmit veth1 a0 98\n11 0 7 net_dev_xmit veth1 a0 98 rc=1\n")
    (journey,) = found.journeys
    assert (journey.outcome, journey.rc) == (Outcome.DROPPED, 1)


def test_in_the_idle_task_even_a_slow_step_is_forwarding(look: Look) -> None:
    received = "10 0 {pid} netif_receive_skb ens3 a0 84\n"
    sent = "90 0 {pid} net_dev_queue docker0 a0 98\n"
    assert packets(look((received + sent).format(pid=0))) == [">ens3 docker0: queued"]
    assert packets(look((received + sent).format(pid=7))) == [">ens3: handed up", "docker0: queued"]


def test_the_end_of_a_poll_is_the_end_of_what_was_received(look: Look) -> None:
    text = "10 0 0 netif_receive_skb ens3 a0 84\n{}60 0 0 net_dev_queue docker0 a0 98\n"
    assert packets(look(text.format(""))) == [">ens3 docker0: queued"]
    polled = "20 0 0 napi_poll - 0 -\n"
    assert packets(look(text.format(polled))) == [">ens3: handed up", "docker0: queued"]


def test_drops_of_unix_sockets_are_no_drops_of_packets(look: Look) -> None:
    found = look(
        OUT_OF_THE_BRIDGE + "40 1 9 kfree_skb - a0 - protocol=0 location=unix_release_sock+0x1 reason: QUEUE_PURGE\n"
    )
    assert packets(found) == ["docker0 veth1 >eth0: handed up"]
    assert [(drop.where, drop.path, drop.reason.benign) for drop in found.drops] == [(None, None, True)]


def test_a_firewall_drops_at_once_or_it_was_another_packet(look: Look) -> None:
    drop = "{} {} 9 kfree_skb - a0 - protocol=2048 location=nft_do_chain+0x1 reason: NETFILTER_DROP\n"
    received = "10 0 9 netif_receive_skb docker0 a0 84\n"
    assert packets(look(received + drop.format(12, 0))) == [">docker0: freed"]
    assert packets(look(received + drop.format(900, 1))) == [">docker0: handed up"]


def test_a_ping_that_was_lost_is_not_answered_by_the_answer_to_the_next(look: Look) -> None:
    def ping(time: int, address: str, *, answered: bool) -> str:
        there = (
            f"{time} 0 7 net_dev_queue veth1 {address}0 98\n{time + 1} 0 7 netif_rx eth0 {address}0 84\n"
            f"{time + 2} 0 7 net_dev_xmit veth1 {address}0 98 rc=0\n"
            f"{time + 3} 0 7 netif_receive_skb eth0 {address}0 84\n"
        )
        back = (
            f"{time + 10} 0 7 net_dev_queue eth0 {address}1 98\n{time + 11} 0 7 netif_rx veth1 {address}1 84\n"
            f"{time + 12} 0 7 net_dev_xmit eth0 {address}1 98 rc=0\n"
            f"{time + 13} 0 7 netif_receive_skb veth1 {address}1 84\n"
        )
        return there + (back if answered else "")

    found = look(ping(10, "a", answered=False) + ping(1_000_010, "b", answered=True))
    lost, request, reply = found.journeys
    assert (reply.answers, reply.round_trip) == (request.line, 13_000)
    assert found.round_trips[0].count == 1
    assert lost.answers is None


@pytest.mark.parametrize(("length", "in_doubt"), [(98, False), (74, True)])
def test_an_answer_of_another_length_may_be_none(look: Look, length: int, in_doubt: bool) -> None:  # noqa: FBT001
    asked = "0 0 7 net_dev_queue veth1 a0 98\n1 0 7 netif_rx eth0 a0 84\n3 0 7 netif_receive_skb eth0 a0 84\n"
    back = "{} 0 7 net_dev_queue eth0 a1 {}\n{} 0 7 netif_rx veth1 a1 {}\n{} 0 7 netif_receive_skb veth1 a1 {}\n"
    inner = length - 14
    found = look(asked + back.format(10, length, 11, inner, 13, inner))
    request, reply = found.journeys
    assert (reply.answers, reply.may_not_answer) == (request.line, in_doubt)
    assert ("may answer line 1" in headline(reply)) is in_doubt


def test_a_trace_without_a_clock_has_no_journeys() -> None:
    found = seen("ping 7 net:net_dev_queue: dev=veth1 skbaddr=0xa0 len=98\n")
    assert (found.packets, found.journeys) == (0, ())
