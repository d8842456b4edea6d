from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import Neighbour
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "mac", "flags"),
    [
        (
            "10.9.1.80                ether   02:42:0A:09:01:4D   CM                    br0",
            "02:42:0a:09:01:4d",
            ("C", "M"),
        ),
        ("10.9.1.80                ether   02:42:0a:09:01:4d   C    255.255.255.0    br0", "02:42:0a:09:01:4d", ("C",)),
        ("10.9.1.80                        (incomplete)                              br0", None, ()),
        ("10.9.1.80                *       <from_interface>    MP                    br0", None, ("M", "P")),
        ("? (10.9.1.80) at 02:42:0a:09:01:4d [ether] PERM on br0", "02:42:0a:09:01:4d", ("PERM",)),
        ("web.example (10.9.1.80) at <incomplete>  on br0", None, ()),
        ("? (10.9.1.80) at <from_interface> PERM PUB on br0", None, ("PERM", "PUB")),
        ("? (10.9.1.80) at * PERM PUP on br0", None, ("PERM", "PUP")),
    ],
)
def test_an_entry_is_read_from_the_table_and_from_the_sentence(
    line: str, mac: str | None, flags: tuple[str, ...]
) -> None:
    source = Source("arp_n.txt", line)
    expected = Neighbour(ip_address("10.9.1.80"), "br0", mac, None, source.span(1), flags)
    assert formats.get("arp_n").read(source).records == (expected,)


def test_heading_and_count_are_read_and_give_no_record() -> None:
    text = (
        "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
        "Entries: 0\tSkipped: 0\tFound: 0\n"
    )
    document = formats.get("arp_n").read(Source("arp_n.txt", text))
    assert (document.records, document.unread) == ((), ())


def test_a_name_in_place_of_an_address_is_told() -> None:
    line = "web.example              ether   02:42:0a:09:01:4d   C                     br0"
    document = formats.get("arp_n").read(Source("arp_n.txt", line))
    assert document.unread == (Unread(1, "a name stands for the address: `arp -n` prints the address"),)


def test_a_device_without_entries_is_told_so() -> None:
    document = formats.get("arp_n").read(Source("arp.txt", "arp: in 4 entries no match found.\n"))
    assert (document.records, document.unread) == ((), ())
