from ipaddress import ip_address
from typing import Any

import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import NextHopMember, NextHopObject
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (
            "id 6 via 172.18.0.3 dev br0 scope link proto static onlink ",
            {
                "gateway": ip_address("172.18.0.3"),
                "device": "br0",
                "scope": "link",
                "protocol": "static",
                "flags": ("onlink",),
            },
        ),
        ("id 6 group 5,2/7 ", {"group": (NextHopMember(5, 2), NextHopMember(7))}),
        ("id 6 blackhole ", {"flags": ("blackhole",)}),
        (
            "id 6 group 5 type resilient buckets 8 fdb",
            {"group": (NextHopMember(5),), "flags": ("fdb",), "details": {"type": "resilient", "buckets": "8"}},
        ),
        (
            "id 6 encap mpls  100/200 via inet6 2001:db8::1 dev br0",
            {"gateway": ip_address("2001:db8::1"), "device": "br0", "details": {"encap": "mpls 100/200"}},
        ),
    ],
)
def test_a_next_hop_is_a_way_a_group_or_a_blackhole(line: str, fields: dict[str, Any]) -> None:
    source = Source("ip_nexthop.txt", line)
    document = formats.get("ip_nexthop").read(source)
    assert document.records == (NextHopObject(6, source.span(1, 1, len(line.rstrip()) + 1), **fields),)


def test_an_address_out_of_range_is_told() -> None:
    document = formats.get("ip_nexthop").read(Source("ip_nexthop.txt", "id 5 via 172.18.0.300 dev br0"))
    reason = "a value out of range: '172.18.0.300' does not appear to be an IPv4 or IPv6 address"
    assert document.unread == (Unread(1, reason),)
