"""Packets that the kernel keeps: for a neighbour's address, for the rest of a datagram, for a process that reads."""

from collections.abc import Callable

import pytest

from netdiag.journeys.observed import Ending, Join, Observation
from netdiag.report.journeys_text import lines as text_of
from netdiag.report.snippet import Look

from .conftest import Event, packets, printed, seen

Lines = Callable[[str], list[Event]]


@pytest.fixture
def look(lines: Lines) -> Callable[[str], Observation]:
    return lambda text: seen(printed(lines(text)))


See = Callable[[str], Observation]

#: A packet comes in, and the host asks who has its next hop.
ASKED = """
10 0 0 netif_receive_skb ens3 a0 200
{between}
20 0 0 net_dev_queue docker0 b0 42
21 0 0 net_dev_xmit docker0 b0 42 rc=0
30 0 0 napi_poll - 0 -
"""
#: The answer comes, and with it the packet goes on.
TOLD = """
500 0 0 netif_receive_skb docker0 c0 28
501 0 0 net_dev_queue docker0 a0 214
502 0 0 net_dev_xmit docker0 a0 214 rc=0
510 0 0 napi_poll - 0 -
"""


def test_the_first_packet_waits_for_the_address_of_its_next_hop(look: See) -> None:
    found = look(ASKED.format(between="") + TOLD)
    assert packets(found) == [">ens3 docker0: sent", "docker0: sent", ">docker0: handed up"]
    assert [hop.join for hop in found.journeys[0].hops] == [Join.NEVER, Join.ASKED]
    shown = "\n".join(text_of(found, Look(colour=False, width=100, unicode=True)))
    assert "waited 491.000 us for the address of its next hop (ARP or ND)" in " ".join(shown.split())


def test_others_wait_with_it_and_that_is_less_sure(look: See) -> None:
    second = "40 0 5 netif_receive_skb ens3 a1 201\n45 0 5 napi_poll - 0 -\n"
    also = TOLD.replace("510 ", "503 0 0 net_dev_queue docker0 a1 215\n504 0 0 net_dev_xmit docker0 a1 215 rc=0\n510 ")
    found = look(ASKED.format(between="") + second + also)
    assert packets(found)[::2] == [">ens3 docker0: sent", ">ens3 docker0: sent"]
    assert [found.journeys[at].hops[1].join for at in (0, 2)] == [Join.ASKED, Join.WAITED]


@pytest.mark.parametrize(
    "between",
    [
        "15 0 0 napi_poll - 0 -",  # the request is of another call: of a program that read the packet maybe
        "15 0 0 netif_receive_skb ens3 d0 60",  # it is another packet that made the host ask
    ],
)
def test_a_request_that_the_packet_did_not_cause_says_nothing_of_it(look: See, between: str) -> None:
    assert packets(look(ASKED.format(between=between) + TOLD))[0] == ">ens3: handed up"


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("netif_receive_skb docker0 c0 28", "netif_receive_skb docker0 c0 90"),  # no answer of ARP
        ("netif_receive_skb docker0 c0 28", "netif_receive_skb other c0 28"),  # of another network
        ("501 ", "500 0 0 napi_poll - 0 -\n501 "),  # it is done with before something is sent
        ("a0 214", "a0 300"),  # another length
    ],
)
def test_what_an_answer_did_not_send_on_is_another_packet(look: See, what: str, instead: str) -> None:
    assert packets(look(ASKED.format(between="") + TOLD.replace(what, instead)))[0] == ">ens3: handed up"


def test_a_packet_that_comes_when_nobody_asks_does_not_wait(look: See) -> None:
    """A program read it, and sends something as long later, which has to wait."""
    asked_later = """
    10 0 0 netif_receive_skb ens3 a0 200
    15 0 0 napi_poll - 0 -
    100 0 7 net_dev_queue docker0 b0 42
    101 0 7 net_dev_xmit docker0 b0 42 rc=0
    """
    assert packets(look(asked_later + TOLD))[0] == ">ens3: handed up"


def test_nobody_answers_for_three_seconds(look: See) -> None:
    drop = "3072000 1 9 kfree_skb - a0 - protocol=2048 location=arp_error_report+0x1 reason: NEIGH_FAILED\n"
    found = look(ASKED.format(between="") + drop)
    assert packets(found)[0] == ">ens3: freed"
    (drop_of_it,) = found.drops
    assert drop_of_it.where is not None
    assert (drop_of_it.where.device, drop_of_it.count) == ("ens3", 1)


FRAGMENT = "10 0 7 netif_receive_skb eth0 a0 1500\n11 0 7 napi_poll - 0 -\n"


@pytest.mark.parametrize("reason", ["reason: FRAG_REASM_TIMEOUT", ""])
def test_a_fragment_waits_half_a_minute_for_the_others(look: See, reason: str) -> None:
    """Kernels before 5.17 give no reason; the function tells it."""
    found = look(FRAGMENT + f"30000000 1 9 kfree_skb - a0 - protocol=2048 location=ip_expire+0x6 {reason}\n")
    assert packets(found) == [">eth0: freed"]


def test_what_has_got_the_address_since_is_what_was_dropped(look: See) -> None:
    other = "2000000 0 8 netif_receive_skb eth0 a0 60\n2000001 0 8 napi_poll - 0 -\n"
    drop = "30000000 1 9 kfree_skb - a0 - protocol=2048 location=ip_expire+0x6 reason: FRAG_REASM_TIMEOUT\n"
    found = look(FRAGMENT + other + drop)
    assert packets(found) == [">eth0: handed up", ">eth0: freed"]
    assert [journey.ending for journey in found.journeys] == [Ending.HANDED_UP, Ending.FREED]


def test_a_firewall_keeps_nothing(look: See) -> None:
    drop = "{} 1 9 kfree_skb - a0 - protocol=2048 location=nft_do_chain+0x1 reason: NETFILTER_DROP\n"
    assert packets(look(FRAGMENT + drop.format(30_000_000))) == [">eth0: handed up"]
