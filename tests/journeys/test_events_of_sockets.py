"""A trace with the events of sockets, and of every skb that is freed: pings and a TCP connection that are known.

Two namespaces on one bridge; what was sent is told in the ORIGIN.md beside the sample.
"""

from collections import Counter

import known_ways
import pytest
from known_ways import Comparison
from sent_packets import Sent

from netdiag.journeys.observed import Ending, Observation
from netdiag.journeys.observed._tell import observe

from .conftest import SAMPLES, bare_host, table

SAMPLE = SAMPLES / "formats" / "trace_cmd_report" / "debian12-trace-cmd3.1.6-linux7.2-events-of-sockets.txt"

THERE = (":eth0", ":port1", ":port2", ":eth0")
BACK = THERE[::-1]

_HEADERS = 20 + 32  # of IPv4, and of TCP with a timestamp
_SYN = _HEADERS + 8
_ARP = 28

SENT = [
    *(Sent(octets, way) for octets in (200, 201, 202) for way in (THERE, BACK)),
    Sent(_ARP, BACK),  # the second asks for the first, which it has only heard from
    Sent(_ARP, THERE),
    Sent(_SYN, THERE),
    Sent(_SYN, BACK),
    Sent(_HEADERS, THERE),
    Sent(_HEADERS + 700, THERE),
    Sent(_HEADERS, BACK),
    Sent(_HEADERS + 900, BACK),
    Sent(_HEADERS, THERE),
    Sent(_HEADERS + 350, THERE),  # both tell with their data that they have the other's
    Sent(_HEADERS + 1200, BACK),
    Sent(_HEADERS, THERE),  # the client closes
    Sent(_HEADERS, BACK, "QUEUE_PURGE"),  # the server does, and its FIN still waits when the client's socket ends
    Sent(_HEADERS, THERE),
]


@pytest.fixture
def seen(all_packets_are_kept: None) -> Observation:
    return observe(table(SAMPLE), bare_host())


def test_every_packet_is_found_on_the_way_that_it_took(seen: Observation) -> None:
    found = known_ways.compare(SENT, seen.journeys)
    assert found == Comparison(sent=len(SENT), found=len(SENT), missing=(), wrong=(), mixed=())
    assert seen.packets == len(SENT)


def test_each_reply_is_paired_with_its_request(seen: Observation) -> None:
    requests = {journey.line: journey for journey in seen.journeys}
    lengths = {
        (journey.hops[0].steps[0].length, requests[journey.answers].hops[0].steps[0].length)
        for journey in seen.journeys
        if journey.answers in requests
    }
    ethernet = 14
    pings = {(octets + ethernet, octets + ethernet) for octets in (200, 201, 202)}
    assert pings | {(_SYN + ethernet, _SYN + ethernet), (_ARP + ethernet, _ARP + ethernet)} <= lengths


def test_data_ends_where_a_process_reads_it(seen: Observation) -> None:
    """A segment without data ends where the kernel has taken note of it, which is no event."""
    endings = Counter((journey.ending, journey.hops[-1].where.device) for journey in seen.journeys)
    copied = [journey.hops[0].steps[0].length for journey in seen.journeys if journey.ending is Ending.COPIED]
    assert copied == [766, 966, 416, 1266]
    assert endings == {
        (Ending.CONSUMED, "eth0"): 9,  # the pings, ARP, and the SYN
        (Ending.COPIED, "eth0"): 4,
        (Ending.HANDED_UP, "eth0"): 6,
        (Ending.FREED, "eth0"): 1,
    }


def test_what_is_dropped_is_what_nobody_misses(seen: Observation) -> None:
    """The kernel frees the echo reply itself for want of a ping socket, after the raw socket got a clone of it."""
    assert {(drop.reason.name, drop.reason.benign, drop.count) for drop in seen.drops} == {
        ("NO_SOCKET", True, 3),
        ("QUEUE_PURGE", True, 1),
    }
