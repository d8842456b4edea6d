from ipaddress import ip_address, ip_interface

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Address, Link
from netdiag.spans import Source


def read(text: str, command: str = "ip -d addr") -> Document:
    return formats.get("ip_addr").read(Source("ip_addr.txt", text, command))


def only_link(text: str) -> Link:
    document = read(text)
    assert document.unread == ()
    (link,) = document.records
    assert isinstance(link, Link)
    return link


NO_ADDRESS = "does not appear to be an IPv4 or IPv6 interface"
HEAD = (
    "4: veth7233136@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP group default\n"
)


def test_an_interface_with_all_its_lines_is_one_link() -> None:
    document = read(
        HEAD + "    link/ether A6:f6:c7:d4:df:79 brd ff:ff:ff:ff:ff:ff link-netnsid 0\n"
        "    inet 172.18.0.1/16 brd 172.18.255.255 scope global veth7233136\n"
        "       valid_lft forever preferred_lft forever\n"
    )
    source = document.source
    address = Address(
        address=ip_interface("172.18.0.1/16"),
        span=source.span(3, 5),
        scope="global",
        label="veth7233136",
        broadcast=ip_address("172.18.255.255"),
        details={"valid_lft": "forever", "preferred_lft": "forever"},
    )
    link = Link(
        name="veth7233136",
        span=source.span(1),
        index=4,
        peer_index=2,
        peer_netns="0",
        flags=("BROADCAST", "MULTICAST", "UP", "LOWER_UP"),
        mtu=1500,
        state="UP",
        master="br0",
        mac="a6:f6:c7:d4:df:79",
        addresses=(address,),
        details={"qdisc": "noqueue", "group": "default", "link": "ether", "brd": "ff:ff:ff:ff:ff:ff"},
    )
    assert document.records == (link,)
    assert document.unread == ()


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("eth0", (None, None)),
        ("eth0@if7", (7, None)),
        ("vb@va", (None, "va")),
        ("gre0@NONE", (None, None)),
        ("eth0.100@eth0", (None, "eth0")),
    ],
)
def test_the_peer_is_an_index_or_a_name_or_nothing(name: str, peer: tuple[int | None, str | None]) -> None:
    link = only_link(f"5: {name}: <UP> mtu 1500 qdisc noop state DOWN\n")
    assert (link.name, link.peer_index, link.peer_name) == (name.split("@", maxsplit=1)[0], *peer)


@pytest.mark.parametrize(
    ("words", "netns"), [("link-netnsid 3", "3"), ("link-netns web", "web"), ("link-netnsid unknown", "unknown")]
)
def test_the_peers_netns_is_a_number_or_a_name(words: str, netns: str) -> None:
    assert only_link(HEAD + f"    link/ether a6:f6:c7:d4:df:79 brd ff:ff:ff:ff:ff:ff {words}\n").peer_netns == netns


def test_busybox_prints_no_state_and_a_peer_name_that_is_not_believed() -> None:
    link = only_link("4: veth7233136@br0: <UP> mtu 1500 qdisc noqueue master br0 qlen 1000\n")
    assert (link.state, link.peer_name, link.details["peer_as_printed"]) == (None, None, "br0")


def test_details_of_a_kind_are_kept_under_its_name_and_those_of_the_link_without() -> None:
    link = only_link(
        HEAD + "    link/ether a6:f6:c7:d4:df:79 brd ff:ff:ff:ff:ff:ff promiscuity 1\n"
        "    veth \n"
        "    bridge_slave state forwarding priority 32 hold_timer    0.00 isolated on numtxqueues 2 some_new_word 7\n"
    )
    assert link.kind == "veth"
    assert link.state == "UP"
    assert link.details == {
        "qdisc": "noqueue",
        "group": "default",
        "link": "ether",
        "brd": "ff:ff:ff:ff:ff:ff",
        "promiscuity": "1",
        "bridge_slave.state": "forwarding",
        "bridge_slave.priority": "32",
        "bridge_slave.hold_timer": "0.00",
        "bridge_slave.isolated": "on",
        "numtxqueues": "2",
        "some_new_word": "7",
    }


def test_words_without_a_value_and_ports_of_a_vxlan_are_kept_as_such() -> None:
    link = only_link(HEAD + "    vxlan id 42 dev va srcport 0 0 dstport 4789 nolearning ttl auto noudp6zerocsumtx\n")
    kept = {key: value for key, value in link.details.items() if key.startswith("vxlan.")}
    assert kept == {
        "vxlan.id": "42",
        "vxlan.dev": "va",
        "vxlan.srcport": "0 0",
        "vxlan.dstport": "4789",
        "vxlan.nolearning": "",
        "vxlan.ttl": "auto",
        "vxlan.noudp6zerocsumtx": "",
    }


def test_a_new_word_without_a_value_before_the_words_of_the_link_does_not_swallow_them() -> None:
    link = only_link(HEAD + "    link/ether a6:f6:c7:d4:df:79 netns-immutable addrgenmode eui64 numtxqueues 1\n")
    assert (link.details["netns-immutable"], link.details["addrgenmode"], link.details["numtxqueues"]) == (
        "",
        "eui64",
        "1",
    )


@pytest.mark.parametrize(
    ("line", "address", "peer"),
    [
        ("inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0", "10.8.0.1/32", "10.8.0.2/32"),
        ("inet 10.8.0.1 peer 10.8.0.0/24 scope global tun0", "10.8.0.1/32", "10.8.0.0/24"),
        ("inet6 2001:db8:2::1 peer 2001:db8:2::2/128 scope global", "2001:db8:2::1/128", "2001:db8:2::2/128"),
    ],
)
def test_the_prefix_behind_a_peer_is_the_peers(line: str, address: str, peer: str) -> None:
    (found,) = only_link(HEAD + f"    {line}\n").addresses
    assert (found.address, found.peer) == (ip_interface(address), ip_interface(peer))


@pytest.mark.parametrize(
    ("line", "flags", "label"),
    [
        ("inet 10.0.0.5/24 metric 100 brd 10.0.0.255 scope global secondary e:1", ("secondary",), "e:1"),
        ("inet 10.0.0.5/24 scope global eth0", (), "eth0"),
        ("inet6 fe80::1/64 scope link dadfailed tentative", ("dadfailed", "tentative"), None),
        ("inet6 2001:db8::1/64 scope global temporary deprecated", ("temporary", "deprecated"), None),
        ("inet6 fe80::1/64 scope link proto kernel_ll", (), None),
        ("inet6 fe80::1/64 scope link some-new-flag", ("some-new-flag",), None),
    ],
)
def test_an_ipv4_address_ends_with_its_label_and_an_ipv6_address_with_flags(
    line: str, flags: tuple[str, ...], label: str | None
) -> None:
    (found,) = only_link(HEAD + f"    {line}\n").addresses
    assert (found.flags, found.label) == (flags, label)


def test_counters_are_kept_under_their_headings() -> None:
    link = only_link(
        HEAD + "    RX:  bytes packets errors dropped  missed   mcast           \n"
        "           504       6      0       0       0       0 \n"
        "    RX errors:  length    crc   frame    fifo overrun\n"
        "                     0      1       2       3       4 \n"
    )
    assert (link.details["rx.bytes"], link.details["rx.mcast"]) == ("504", "0")
    assert (link.details["rx_errors.crc"], link.details["rx_errors.overrun"]) == ("1", "4")


def test_several_alternative_names_are_kept_together() -> None:
    assert only_link(HEAD + "    altname enp0s3\n    altname enx02\n").details["altname"] == "enp0s3 enx02"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("    inet 10.0.0.1/8 scope host lo\n", "no interface above it"),
        (HEAD + "       valid_lft forever preferred_lft forever\n", "no address above it"),
        (HEAD + "     1 2 3\n", "no headings for these numbers above it"),
        (HEAD + "    RX: bytes packets\n     1 2 3\n", "no headings for these numbers above it"),
        (HEAD + "    inet 300.1.1.1/8 scope global eth0\n", f"a value out of range: '300.1.1.1/8' {NO_ADDRESS}"),
        (HEAD + "    inet 10.1.1.1/99 scope global eth0\n", f"a value out of range: '10.1.1.1/99' {NO_ADDRESS}"),
        (HEAD + "root@web01:~# ip route\n", "not expected here: ':~#' (column 11)"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_and_costs_that_line_only(text: str, reason: str) -> None:
    document = read(text + HEAD)
    assert document.unread == (Unread(text.count("\n"), reason),)
    assert len(document.records) == text.count(HEAD) + 1


def test_the_kernels_word_after_state_is_not_whether_the_link_is_up() -> None:
    assert only_link("3: docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN\n").up
    assert not only_link("3: docker0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN\n").up


def test_one_line_of_a_link_is_read_as_its_several_lines_are() -> None:
    lines = [
        HEAD.rstrip("\n"),
        "    link/ether a6:f6:c7:d4:df:79 brd ff:ff:ff:ff:ff:ff promiscuity 0 ",
        "    veth addrgenmode eui64 numtxqueues 2 ",
        "    RX:  bytes packets",
        "           504       6 ",
        "    alias uplink of web, port 1",
    ]
    (in_one,) = read("\\".join(lines)).records
    (in_several,) = read("\n".join(lines)).records
    assert isinstance(in_one, Link)
    assert isinstance(in_several, Link)
    assert (in_one.mac, in_one.kind, in_one.details) == (in_several.mac, in_several.kind, in_several.details)
    assert in_one.details["alias"] == "uplink of web, port 1"


def test_the_addresses_of_a_link_in_one_line_each_belong_to_one_link() -> None:
    document = read(
        "2: br0    inet 172.18.0.1/16 scope global br0\\       valid_lft forever preferred_lft forever\n"
        "2: br0    inet6 fe80::1/64 scope link \\       valid_lft 9sec preferred_lft 9sec\n"
        "3: br1    inet 172.19.0.1/16 scope global br1\\       valid_lft forever preferred_lft forever\n"
    )
    links = [record for record in document.records if isinstance(record, Link)]
    assert [(link.index, link.name, [str(item.address) for item in link.addresses]) for link in links] == [
        (2, "br0", ["172.18.0.1/16", "fe80::1/64"]),
        (3, "br1", ["172.19.0.1/16"]),
    ]
    assert links[0].addresses[1].details == {"valid_lft": "9sec", "preferred_lft": "9sec"}


@pytest.mark.parametrize(
    ("line", "state", "peer", "flags", "mac", "addresses"),
    [
        ("lo  UNKNOWN  127.0.0.1/8 ::1/128 ", "UNKNOWN", None, None, None, ["127.0.0.1/8", "::1/128"]),
        ("eth0@if7  UP  10.9.3.1/24 metric 77 ", "UP", 7, None, None, ["10.9.3.1/24"]),
        ("tun0  DOWN  10.8.0.1 peer 10.8.0.2/32 ", "DOWN", None, None, None, ["10.8.0.1/32"]),
        ("ifb0  DOWN  ", "DOWN", None, None, None, []),
        ("br0  UP  76:DB:d7:eb:a1:96 <BROADCAST,UP> ", "UP", None, ("BROADCAST", "UP"), "76:db:d7:eb:a1:96", []),
        ("tun0  DOWN  <NOARP> ", "DOWN", None, ("NOARP",), None, []),
        ("ipip1@NONE  DOWN  192.0.2.1 <NOARP> ", "DOWN", None, ("NOARP",), None, []),
    ],
)
def test_a_brief_line_is_a_link_of_which_the_rest_is_not_known(
    line: str, state: str, peer: int | None, flags: tuple[str, ...] | None, mac: str | None, addresses: list[str]
) -> None:
    link = only_link(line)
    assert (link.index, link.mtu, link.kind) == (None, None, None)
    assert (link.state, link.peer_index, link.flags, link.mac) == (state, peer, flags, mac)
    assert [str(item.address) for item in link.addresses] == addresses


def test_a_link_without_flags_is_neither_up_nor_down() -> None:
    assert only_link("lo  UNKNOWN  127.0.0.1/8 ").up is None


def test_words_of_a_netkit_device_and_a_list_of_addresses_do_not_shift_those_behind_them() -> None:
    link = only_link(HEAD + "    netkit mode l3 policy forward peer policy drop addrgenmode eui64\n")
    assert (link.details["netkit.peer policy"], link.details["addrgenmode"]) == ("drop", "eui64")
    link = only_link(
        HEAD + "    macvlan mode source remotes (2) 02:42:00:00:00:11 02:42:00:00:00:12 addrgenmode eui64\n"
    )
    assert link.details["macvlan.remotes"] == "02:42:00:00:00:11 02:42:00:00:00:12"
    assert link.details["addrgenmode"] == "eui64"


def test_a_rounded_counter_is_not_known() -> None:
    text = (
        "2: eth0: <UP> mtu 1500 state UP\n"
        "    RX:  bytes packets errors dropped  missed   mcast\n"
        "         3.28k      38      0       0       0       0 \n"
    )
    document = formats.get("ip_addr").read(Source("ip-h-s-link.txt", text))
    assert document.unread == ()
    (link,) = document.records
    assert isinstance(link, Link)
    assert (link.details.get("rx.bytes"), link.details["rx.packets"]) == (None, "38")
