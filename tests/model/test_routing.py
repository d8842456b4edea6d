"""Lookups that no kernel can be asked for: what is not known of the packet or of the routing, and other outputs."""

from ipaddress import ip_address
from typing import Any

import pytest

from netdiag.model import Lookup, Outcome, Packet

ADDRESSES = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500
    inet 192.0.2.10/24 scope global eth0
3: tun0: <POINTOPOINT,UP,LOWER_UP> mtu 1500
    inet 10.8.0.6/32 scope global tun0
"""
ROUTES = """\
default via 192.0.2.1 dev eth0
10.3.0.0/16 dev eth0 nhid 7
default dev tun0 table 51820 scope link
local 192.0.2.10 dev eth0 table local proto kernel scope host src 192.0.2.10
"""
KERNEL = ("0:\tfrom all lookup local", "32766:\tfrom all lookup main", "32767:\tfrom all lookup default")


@pytest.fixture
def look_up(read: Any, host_of: Any) -> Any:
    """`look_up(packet, rule, ...)` in a namespace with these rules beside the kernel's."""

    def ask(packet: Packet, *rules: str, routes: str = ROUTES, table: str = "ip_route") -> Lookup:
        documents = [read("ip_addr", ADDRESSES), read(table, routes)]
        text = "\n".join([KERNEL[0], *rules, *KERNEL[1:]]) + "\n"
        lookup: Lookup = host_of(*documents, read("ip_rule", text)).root.routing.look_up(packet)
        return lookup

    return ask


def to(destination: str, **more: Any) -> Packet:
    return Packet(ip_address(destination), **more)


@pytest.mark.parametrize(
    ("rule", "packet"),
    [
        ("100:\tfrom all fwmark 0x1 lookup 51820", to("198.51.100.7", mark=None)),
        ("100:\tfrom all ipproto tcp lookup 51820", to("198.51.100.7")),
        ("100:\tfrom all dport 80-90 lookup 51820", to("198.51.100.7")),
        ("100:\tfrom all uidrange 0-100 lookup 51820", to("198.51.100.7")),
        ("100:\tfrom all tun_id 9 lookup 51820", to("198.51.100.7")),
        ("100:\tfrom all lookup 51820 dscp AF11", to("198.51.100.7", tos=0x28)),
        ("100:\tnot from all fwmark 0x1 lookup 51820", to("198.51.100.7", mark=None)),
        ("100:\tfrom all masquerade", to("198.51.100.7", mark=None)),
    ],
)
def test_a_rule_that_cannot_be_judged_makes_the_answer_unknown(look_up: Any, rule: str, packet: Packet) -> None:
    answer = look_up(packet, rule)
    assert (answer.outcome, answer.certain) == (Outcome.UNKNOWN, False)


def test_the_ways_that_hang_on_a_rule_are_told(look_up: Any) -> None:
    answer = look_up(to("198.51.100.7", mark=None), "100:\tfrom all fwmark 0x1 lookup 51820")
    assert answer.depends_on.priority == 100
    assert [(way.device, way.table) for way in answer.ways] == [("tun0", "51820"), ("eth0", "main")]


@pytest.mark.parametrize(
    "rules",
    [
        ("100:\tfrom all fwmark 0x1 lookup main",),  # leads to the same route
        ("100:\tfrom all fwmark 0x1 lookup 77",),  # a table without routes
        ("100:\tfrom all fwmark 0x1 nop",),
        ("100:\tfrom all fwmark 0x1 goto 32766",),
        ("100:\tfrom all fwmark 0x1 goto 20000 [unresolved]",),
        ("100:\tfrom all fwmark 0x1 lookup 51820 suppress_prefixlength 0",),
    ],
)
def test_a_rule_that_changes_nothing_leaves_the_answer_certain(look_up: Any, rules: tuple[str, ...]) -> None:
    answer = look_up(to("198.51.100.7", mark=None), *rules)
    assert (answer.outcome, answer.device, answer.certain) == (Outcome.UNICAST, "eth0", True)


def test_of_a_packet_that_comes_in_with_any_source_a_rule_for_sources_is_not_judged(look_up: Any) -> None:
    rule = "100:\tfrom 172.17.0.0/16 lookup 51820"
    assert look_up(to("198.51.100.7", in_interface="eth0"), rule).outcome is Outcome.UNKNOWN
    assert look_up(to("198.51.100.7"), rule).device == "eth0"


def test_a_route_whose_next_hop_object_was_not_collected_leads_nowhere_certain(look_up: Any) -> None:
    routes = "10.3.0.0/16 nhid 7 proto static table main\ndefault via 192.0.2.1 dev eth0 table main\n"
    answer = look_up(to("10.3.0.1"), routes=routes)
    assert (answer.outcome, answer.doubt) == (Outcome.UNKNOWN, "the next hop object is not known")


def test_the_next_hop_object_of_a_route_is_taken_when_its_line_does_not_tell_it(read: Any, host_of: Any) -> None:
    routes = read("ip_route", "10.3.0.0/16 nhid 9 table main\n")
    objects = read("ip_nexthop", "id 7 via 192.0.2.7 dev eth0 scope link\nid 8 dev tun0\nid 9 group 7/8\n")
    found = host_of(read("ip_addr", ADDRESSES), routes, objects).root.routing.look_up(to("10.3.0.1"))
    assert [(hop.device, str(hop.gateway)) for hop in found.hops] == [("eth0", "192.0.2.7"), ("tun0", "None")]


def test_of_the_main_table_alone_an_answer_is_given_and_doubted(look_up: Any) -> None:
    text = "Kernel IP routing table\nDestination Gateway Genmask Flags Metric Ref Use Iface\n"
    text += "0.0.0.0 192.0.2.1 0.0.0.0 UG 0 0 0 eth0\n"
    answer = look_up(to("198.51.100.7"), routes=text, table="route_n")
    assert (answer.device, str(answer.gateway)) == ("eth0", "192.0.2.1")
    assert answer.doubt == "the routes are not all known: host/route-n.txt shows the table main only"


def test_without_the_rules_the_kernels_own_are_assumed_and_doubted(read: Any, host_of: Any) -> None:
    found = host_of(read("ip_addr", ADDRESSES), read("ip_route", ROUTES)).root.routing.look_up(to("198.51.100.7"))
    assert (found.device, found.rule) == ("eth0", None)
    assert found.doubt == "the policy rules are not all known: the bundle has no output of ip_rule"


def test_rules_of_the_two_families_are_kept_apart(read: Any, host_of: Any) -> None:
    four = read("ip_rule", "\n".join(KERNEL))
    six = read("ip_rule", "\n".join(KERNEL[:2]), artifact="ip6-rule", command="ip -6 rule")
    root = host_of(four, six).root
    assert [len(root.rules), len(root.ipv6_rules)] == [3, 2]
    assert {rule.family for rule in root.ipv6_rules} == {"ipv6"}


def test_routes_that_both_listings_show_are_taken_once(read: Any, host_of: Any) -> None:
    both = read("ip_route", ROUTES + "fd00::/64 dev eth0 metric 256 pref medium\n", command="ip route show table all")
    six = "fd00::/64 dev eth0 metric 256 pref medium\n"
    ipv6 = read("ip_route", six, artifact="ip6-route", command="ip -6 route show table all")
    assert len(host_of(both, ipv6).root.ipv6_routes) == 1
    assert len(host_of(both).root.ipv6_routes) == 1


@pytest.mark.parametrize(
    ("line", "outcome", "device"),
    [
        ("1001:\tfrom 10.66.0.0/16 lookup unspec unreachable", Outcome.NO_ROUTE, None),
        ("1003:\tfrom all lookup unspec blackhole", Outcome.BLACKHOLE, None),
        ("1004:\tfrom all lookup unspec broadcast", Outcome.UNICAST, "eth0"),
        ("1005:\tfrom all lookup unspec local", Outcome.UNKNOWN, None),
    ],
)
def test_the_actions_that_busybox_prints_as_types_of_routes(
    look_up: Any, line: str, outcome: Outcome, device: str | None
) -> None:
    packet = to("198.51.100.7", source=ip_address("10.66.0.1"), in_interface="eth0")
    answer = look_up(packet, line)
    assert (answer.outcome, answer.device) == (outcome, device)


def test_a_rule_for_vrfs_is_passed_by_where_there_is_none(look_up: Any) -> None:
    assert (
        look_up(
            to("198.51.100.7", in_interface="eth0", source=ip_address("192.0.2.9")),
            "9:\tfrom all lookup [l3mdev-table]",
        ).device
        == "eth0"
    )
