from ipaddress import ip_address, ip_interface

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Address, Link
from netdiag.spans import Source

NEW = """\
docker0: flags=4099<UP,BROADCAST,MULTICAST>  mtu 1500
        inet 172.17.0.1  netmask 255.255.0.0  broadcast 172.17.255.255
        inet6 fe80::42:59ff:fee5:251  prefixlen 64  scopeid 0x20<link>
        ether 02:42:59:e5:02:51  txqueuelen 0  (Ethernet)
"""
OLD = """\
docker0   Link encap:Ethernet  HWaddr 02:42:59:E5:02:51  
          inet addr:172.17.0.1  Bcast:172.17.255.255  Mask:255.255.0.0
          inet6 addr: fe80::42:59ff:fee5:251/64 Scope:Link
          UP BROADCAST MULTICAST  MTU:1500  Metric:1
"""  # noqa: W291 (ifconfig prints the blanks)


def read(text: str) -> Document:
    return formats.get("ifconfig").read(Source("ifconfig.txt", text))


def links(text: str) -> list[Link]:
    document = read(text)
    assert document.unread == ()
    return [record for record in document.records if isinstance(record, Link)]


@pytest.mark.parametrize(
    ("text", "details"),
    [
        (NEW, {"flags": "4099", "link": "ether", "txqueuelen": "0"}),
        (OLD, {"link": "Ethernet", "metric": "1"}),
    ],
    ids=["net-tools 2.x", "net-tools 1.60 and busybox"],
)
def test_both_forms_give_the_same_link(text: str, details: dict[str, str]) -> None:
    document = read(text)
    source = document.source
    start = 9 if text == NEW else 11
    link = Link(
        name="docker0",
        span=source.span(1, 1, len(source.lines[0].rstrip()) + 1),
        flags=("UP", "BROADCAST", "MULTICAST"),
        mtu=1500,
        mac="02:42:59:e5:02:51",
        addresses=(
            Address(
                address=ip_interface("172.17.0.1/16"),
                span=source.span(2, start),
                label="docker0",
                broadcast=ip_address("172.17.255.255"),
            ),
            Address(address=ip_interface("fe80::42:59ff:fee5:251/64"), span=source.span(3, start), scope="link"),
        ),
        details=details,
    )
    assert document.unread == ()
    assert document.records == (link,)


def test_a_broadcast_address_of_zeros_is_none() -> None:
    (link,) = links("br0: flags=4099<UP>  mtu 1500\n        inet 172.19.0.1  netmask 255.255.0.0  broadcast 0.0.0.0\n")
    assert link.addresses[0].broadcast is None


@pytest.mark.parametrize(
    "text",
    [
        "tun0: flags=4305<UP>  mtu 1500\n        inet 10.8.0.1  netmask 255.255.255.255  destination 10.8.0.2\n",
        "tun0      Link encap:UNSPEC\n          inet addr:10.8.0.1  P-t-P:10.8.0.2  Mask:255.255.255.255\n",
    ],
)
def test_the_far_end_of_a_tunnel_is_its_peer(text: str) -> None:
    (link,) = links(text)
    assert [(address.address, address.peer) for address in link.addresses] == [
        (ip_interface("10.8.0.1/32"), ip_interface("10.8.0.2/32"))
    ]


@pytest.mark.parametrize(
    "alias",
    [
        "eth0:1: flags=4099<UP>  mtu 1500\n        inet 10.9.0.1  netmask 255.255.255.0  broadcast 0.0.0.0\n",
        "eth0:1    Link encap:Ethernet\n          inet addr:10.9.0.1  Bcast:0.0.0.0  Mask:255.255.255.0\n",
    ],
)
def test_an_alias_is_an_address_of_its_interface_with_that_label(alias: str) -> None:
    (link,) = links("eth0: flags=4099<UP>  mtu 1500\n" + alias)
    assert link.name == "eth0"
    assert [(str(address.address), address.label) for address in link.addresses] == [("10.9.0.1/24", "eth0:1")]


def test_counters_are_kept_by_their_direction() -> None:
    new = "eth0: flags=4099<UP>  mtu 1500\n        TX errors 1  dropped 2 overruns 3  carrier 4  collisions 5\n"
    old = "eth0      Link encap:Ethernet\n          RX bytes:1188 (1.1 KiB)  TX bytes:4122 (4.0 KiB)\n"
    (link,) = links(new)
    assert (link.details["tx.errors"], link.details["tx.collisions"]) == ("1", "5")
    (link,) = links(old)
    assert (link.details["rx.bytes"], link.details["tx.bytes"]) == ("1188", "4122")


def test_a_name_that_net_tools_may_have_cut_is_noted() -> None:
    cut = "br-f975a4 Link encap:Ethernet  HWaddr 02:42:1c:c0:c1:c7\n"
    whole = "veth7233136 Link encap:Ethernet  HWaddr A6:F6:C7:D4:DF:79\n"
    assert read(cut).notes == (
        "net-tools 1.60 prints 9 characters of a name: br-f975a4 may be the beginning of a longer one",
    )
    assert read(cut + whole).notes == ()
    assert read("br-f975a4: flags=4099<UP>  mtu 1500\n").notes == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("        inet 10.0.0.1  netmask 255.0.0.0  broadcast 0.0.0.0\n", "no interface above it"),
        (
            NEW + "        inet 10.0.0.1  netmask 255.0.255.0  broadcast 0.0.0.0\n",
            "a value out of range: '10.0.0.1/255.0.255.0' does not appear to be an IPv4 or IPv6 interface",
        ),
        (NEW + "[root@web01 ~]# ifconfig\n", "not expected here: '@web01' (column 6)"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(text: str, reason: str) -> None:
    assert read(text).unread == (Unread(text.count("\n"), reason),)


SHORT = """\
Kernel Interface table
Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg
docker0          1500       38      1      2 3             4      5      6      7 BMRU
docker0:1        1500      - no statistics available -                        BMRU
"""


def test_the_short_form_tells_mtu_counters_and_flags() -> None:
    document = read(SHORT)
    assert document.unread == ()
    (link,) = document.records
    assert isinstance(link, Link)
    assert (link.name, link.mtu, link.addresses) == ("docker0", 1500, ())
    assert link.flags == ("BROADCAST", "MULTICAST", "RUNNING", "UP")
    received = {"rx.packets": "38", "rx.errors": "1", "rx.dropped": "2", "rx.overruns": "3"}
    assert link.details == received | {"tx.packets": "4", "tx.errors": "5", "tx.dropped": "6", "tx.overruns": "7"}


def test_net_tools_1_60_has_a_column_more() -> None:
    heading = "Iface   MTU Met   RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
    row = "lo        65536 1         7      0      0 0             8      0      0      0 LRU\n"
    (link,) = read(heading + row).records
    assert isinstance(link, Link)
    assert (link.details["metric"], link.details["rx.packets"], link.details["tx.packets"]) == ("1", "7", "8")
    assert read(row).unread == (Unread(1, "not the columns of a heading above it"),)
