from ipaddress import ip_address, ip_network

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import NextHop, Route
from netdiag.spans import Source

HEADING = "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
NETSTAT = "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
LONG = "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface    MSS   Window irtt\n"


def read(text: str) -> Document:
    return formats.get("route_n").read(Source("route_n.txt", text))


def only_route(text: str) -> Route:
    document = read(text)
    assert document.unread == ()
    (route,) = document.records
    assert isinstance(route, Route)
    return route


def test_a_row_is_a_route_of_a_table_that_is_not_told() -> None:
    document = read(HEADING + "0.0.0.0         192.168.41.2    0.0.0.0         UG    100    0        0 ens33\n")
    route = Route(
        destination=ip_network("0.0.0.0/0"),
        next_hops=(NextHop(ip_address("192.168.41.2"), "ens33"),),
        span=document.source.span(2),
        metric=100,
        flags=("U", "G"),
        details={"ref": "0", "use": "0"},
    )
    assert document.records == (route,)


def test_the_numbers_of_netstat_are_no_metric() -> None:
    route = only_route(NETSTAT + "10.20.0.0       172.18.0.2      255.255.0.0     UG     1400 0          0 br0\n")
    assert (route.metric, route.details) == (None, {"mss": "1400", "window": "0", "irtt": "0"})


@pytest.mark.parametrize(
    "row",
    [
        "10.24.0.0       -               255.255.0.0     !     -16769024 -        0 -",
        "10.24.0.0       0.0.0.0         255.255.0.0     !     -16769024 0        0 *",
    ],
)
def test_a_rejected_destination_has_no_next_hop(row: str) -> None:
    route = only_route(HEADING + row)
    assert (route.type, route.next_hops, route.metric) == ("reject", (), 4278198272)


def test_a_destination_on_the_link_has_no_gateway() -> None:
    route = only_route("172.17.0.0      0.0.0.0         255.255.0.0     U     0      0        0 docker0\n")
    assert route.next_hops == (NextHop(None, "docker0"),)


@pytest.mark.parametrize(
    ("destination", "mask", "network"),
    [
        ("default", "0.0.0.0", "0.0.0.0/0"),
        ("link-local", "255.255.0.0", "169.254.0.0/16"),
        ("loopback", "255.0.0.0", "127.0.0.0/8"),
    ],
)
def test_words_without_n_are_read_where_they_are_no_names(destination: str, mask: str, network: str) -> None:
    route = only_route(f"{destination:15} 192.168.41.2    {mask:15} UG    100    0        0 ens33\n")
    assert route.destination == ip_network(network)


def test_a_gateway_that_is_printed_as_a_name_is_no_way_whose_address_is_told() -> None:
    route = only_route(HEADING + "default         _gateway        0.0.0.0         UG    100    0        0 eth0\n")
    assert (route.next_hops, route.type, route.metric) == ((), "unicast", 100)
    assert route.details == {"ref": "0", "use": "0", "gateway": "_gateway", "device": "eth0"}


def test_the_long_form_tells_the_numbers_of_both_others() -> None:
    row = "10.9.0.0        172.18.0.2      255.255.0.0     UG    7      0        0 br0      1400  0      0\n"
    route = only_route(LONG + row)
    assert (route.metric, route.next_hops) == (7, (NextHop(ip_address("172.18.0.2"), "br0"),))
    assert route.details == {"ref": "0", "use": "0", "mss": "1400", "window": "0", "irtt": "0"}


@pytest.mark.parametrize("destination", ["::/0", "[::]/0"])
def test_an_ipv6_row_is_read(destination: str) -> None:
    route = only_route(f"{destination}                           fe80::1                    UGe  1024 1      0 br0\n")
    assert (route.destination, route.next_hops) == (ip_network("::/0"), (NextHop(ip_address("fe80::1"), "br0"),))
    assert (route.metric, route.flags) == (1024, ("U", "G", "e"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "172.17.0.0      0.0.0.0         255.0.255.0     U     0      0        0 docker0",
            "a value out of range: '172.17.0.0/255.0.255.0' does not appear to be an IPv4 or IPv6 network",
        ),
        (
            "172.17.0.1      0.0.0.0         255.255.0.0     U     0      0        0 docker0",
            "a value out of range: 172.17.0.1/16 has host bits set",
        ),
        (
            "backup.example. 172.18.0.77     255.255.255.255 UGH   0      0        0 br0",
            "a name stands for the address of the destination: `route -n` prints the address",
        ),
        (
            "localhost/128                  [::]                       Un   0   4      0 lo",
            "a name stands for the address of the destination: `route -n` prints the address",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_told(row: str, reason: str) -> None:
    assert read(HEADING + row).unread == (Unread(2, reason),)
