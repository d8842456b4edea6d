from ipaddress import ip_address, ip_network

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import NextHop, Route
from netdiag.spans import Source


def read(text: str, command: str = "ip route") -> Document:
    return formats.get("ip_route").read(Source("ip_route.txt", text, command))


def only_route(text: str, command: str = "ip route") -> Route:
    document = read(text, command)
    assert document.unread == ()
    (route,) = document.records
    assert isinstance(route, Route)
    return route


def test_a_line_of_the_table_local_has_every_field() -> None:
    document = read("local 172.17.0.1 dev docker0 table local proto kernel scope host src 172.17.0.1 metric 0 linkdown")
    route = Route(
        destination=ip_network("172.17.0.1/32"),
        next_hops=(NextHop(None, "docker0", flags=("linkdown",)),),
        span=document.source.span(1),
        type="local",
        table="local",
        protocol="kernel",
        scope="host",
        source=ip_address("172.17.0.1"),
        metric=0,
    )
    assert document.records == (route,)


def test_the_ways_of_a_multipath_route_belong_to_it_and_its_span_covers_them() -> None:
    document = read(
        "10.22.0.0/16 proto static \n\tnexthop via 172.18.0.2 dev br0 weight 2 \n\tnexthop dev va weight 1 linkdown \n"
    )
    (route,) = document.records
    assert isinstance(route, Route)
    assert route.next_hops == (
        NextHop(ip_address("172.18.0.2"), "br0", 2),
        NextHop(None, "va", 1, ("linkdown",)),
    )
    assert (route.span.line, route.span.line_end) == (1, 3)


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit", "throw"])
def test_a_route_that_leads_nowhere_has_no_next_hop(kind: str) -> None:
    route = only_route(f"{kind} 10.23.0.0/16 metric 50\n")
    assert (route.type, route.next_hops, route.metric) == (kind, (), 50)


@pytest.mark.parametrize(
    ("line", "command", "destination"),
    [
        ("default via 203.0.113.1 dev eth0", "ip route", "0.0.0.0/0"),
        ("default via fe80::1 dev eth0 metric 1024", "ip route", "::/0"),
        ("default via inet6 fe80::1 dev eth0", "ip route", "0.0.0.0/0"),
        ("default dev tun0 scope link", "ip route", "0.0.0.0/0"),
        ("default dev tun0 metric 1024 pref medium", "ip route", "::/0"),
        ("default dev tun0 metric 1024", "ip -6 route", "::/0"),
        ("default dev tun0 from 2001:db8:9::/64", "ip route", "::/0"),
        ("default dev tun0 src 2001:db8::1", "ip route", "::/0"),
        ("default proto static\n\tnexthop via fe80::1 dev eth0 weight 1", "ip route", "::/0"),
    ],
)
def test_default_is_of_the_family_that_its_line_shows(line: str, command: str, destination: str) -> None:
    assert only_route(line, command).destination == ip_network(destination)


def test_what_names_no_table_is_of_the_table_main_only_in_a_listing_of_all() -> None:
    line, local = "10.0.0.0/8 dev eth0\n", "local 10.0.0.1 dev eth0 table local\n"
    tables = [route.table for route in read(line + local).records if isinstance(route, Route)]
    assert tables == ["main", "local"]
    assert only_route(line).table is None
    assert only_route(line, "ip route show table all").table == "main"


def test_a_next_hop_of_the_other_family_is_read() -> None:
    route = only_route("10.27.0.0/16 via inet6 2001:db8:1::99 dev br0\n")
    assert route.next_hops == (NextHop(ip_address("2001:db8:1::99"), "br0"),)


def test_what_is_not_a_field_is_kept_in_details() -> None:
    route = only_route(
        "10.21.0.0/16 via 172.18.0.2 dev br0 mtu lock 1400 advmss 1360 nhid 5 new_word 1 last\n"
        "    cache expires 588sec\n"
    )
    assert route.details == {
        "mtu": "lock 1400",
        "advmss": "1360",
        "nhid": "5",
        "new_word": "1",
        "last": "",
        "expires": "588sec",
    }


def test_a_metric_that_busybox_prints_as_a_negative_number_is_the_kernels() -> None:
    assert only_route("unreachable 10.24.0.0/16  metric -16769024 \n").metric == 4278198272


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("10.0.0.0/33 dev eth0", "a value out of range: '10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.1/8 dev eth0", "a value out of range: 10.0.0.1/8 has host bits set"),
        ("default via 10.0.0.300", "a value out of range: '10.0.0.300' does not appear to be an IPv4 or IPv6 address"),
        ("\tnexthop via 10.0.0.1 dev eth0 weight 1", "no route above it"),
        ("172.18.0.2 dev br0 lladdr 02:42:ac:12:00:02 router STALE", "not expected here: 'lladdr' (column 20)"),
        ("Error: ipv4: FIB table does not exist.", "not expected here: 'Error:' (column 1)"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, reason: str) -> None:
    document = read(line)
    assert document.unread == (Unread(1, reason),)
    assert document.records == ()


def test_one_line_of_a_route_is_read_as_its_several_lines_are() -> None:
    lines = [
        "10.22.0.0/16 nhid 7 proto static ",
        "\tnh_info id 7 group 5,2/6 scope global proto unspec ",
        "\tnexthop via 172.18.0.2 dev br0 weight 2 ",
        "\tnexthop encap mpls  100/200 via 10.9.1.9 dev va weight 1 ",
    ]
    in_one, in_several = only_route("\\".join(lines)), only_route("\n".join(lines))
    assert (in_one.next_hops, in_one.details) == (in_several.next_hops, in_several.details)
    assert in_one.next_hops == (
        NextHop(ip_address("172.18.0.2"), "br0", 2),
        NextHop(ip_address("10.9.1.9"), "va", 1, details={"encap": "mpls 100/200"}),
    )
    assert in_one.details == {"nhid": "7", "nh_info": "id 7 group 5,2/6 scope global proto unspec"}


@pytest.mark.parametrize(
    "encap",
    [
        "mpls 100/200",
        "seg6 mode encap segs 2 [ 2001:db8:1::98 2001:db8:1::97 ]",
        "seg6local action End.DT6 table 100",
        "ip id 7 src 192.0.2.1 dst 192.0.2.7 ttl 9 tos 0",
    ],
)
def test_what_a_packet_is_wrapped_in_is_not_taken_for_the_way_of_the_route(encap: str) -> None:
    route = only_route(f"10.36.0.0/16  encap {encap} via 172.18.0.2 dev br0 table 9 src 172.18.0.1 metric 5\n")
    assert route.details == {"encap": encap}
    assert (route.source, route.table, route.metric) == (ip_address("172.18.0.1"), "9", 5)
    assert route.next_hops == (NextHop(ip_address("172.18.0.2"), "br0"),)


def test_packets_of_the_members_of_a_group_are_kept() -> None:
    route = only_route("10.31.0.0/16 nhid 7\n  stats:\n    id 5 packets 12\n\tnexthop dev va weight 1\n")
    assert route.details == {"nhid": "7", "stats.5": "12"}
