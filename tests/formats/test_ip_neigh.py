from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import Neighbour
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "address", "device", "mac", "state", "flags"),
    [
        (
            "172.18.0.2 dev br0 lladdr 02:42:AC:12:00:02 REACHABLE",
            "172.18.0.2",
            "br0",
            "02:42:ac:12:00:02",
            "REACHABLE",
            (),
        ),
        ("172.18.0.77 dev br0 INCOMPLETE", "172.18.0.77", "br0", None, "INCOMPLETE", ()),
        ("172.18.0.77 dev br0  FAILED", "172.18.0.77", "br0", None, "FAILED", ()),
        (
            "fe80::1 dev eth0 lladdr 52:54:00:12:34:56 router extern_learn STALE",
            "fe80::1",
            "eth0",
            "52:54:00:12:34:56",
            "STALE",
            ("router", "extern_learn"),
        ),
        ("10.9.1.80 dev br0 proxy", "10.9.1.80", "br0", None, None, ("proxy",)),
        (
            "172.18.0.2 dev br0 lladdr 02:42:ac:12:00:02  ref 1 used 1/61/1probes 4 DELAY",
            "172.18.0.2",
            "br0",
            "02:42:ac:12:00:02",
            "DELAY",
            (),
        ),
    ],
)
def test_an_entry_is_its_address_device_mac_state_and_flags(
    line: str, address: str, device: str, mac: str | None, state: str | None, flags: tuple[str, ...]
) -> None:
    source = Source("ip_neigh.txt", line)
    expected = Neighbour(ip_address(address), device, mac, state, source.span(1), flags)
    assert formats.get("ip_neigh").read(source).records == (expected,)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("999.1.1.1 dev br0 FAILED", "a value out of range: '999.1.1.1' does not appear to be an IPv4 or IPv6 address"),
        ("10.0.0.0/8 dev eth0 scope link", "not expected here: '/8' (column 9)"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, reason: str) -> None:
    assert formats.get("ip_neigh").read(Source("ip_neigh.txt", line)).unread == (Unread(1, reason),)


@pytest.mark.parametrize(
    ("line", "address", "mac"),
    [
        (f"{'172.18.0.2':39} br0              1A:54:63:26:ed:9c", "172.18.0.2", "1a:54:63:26:ed:9c"),
        (f"{'2001:db8:1::77':39} br0              ", "2001:db8:1::77", None),
    ],
)
def test_a_brief_line_tells_no_state(line: str, address: str, mac: str | None) -> None:
    source = Source("ip_neigh.txt", line)
    expected = Neighbour(ip_address(address), "br0", mac, None, source.span(1, 1, len(line.rstrip()) + 1))
    assert formats.get("ip_neigh").read(source).records == (expected,)


def test_a_list_of_host_names_is_no_list_of_neighbours() -> None:
    source = Source("hosts", "127.0.0.1 localhost\n127.0.1.1\tweb01\n::1     ip6-localhost ip6-loopback\n")
    assert formats.get("ip_neigh").read(source).records == ()


def test_who_made_an_entry_is_kept() -> None:
    (entry,) = (
        formats.get("ip_neigh").read(Source("n", "10.0.0.1 dev br0 lladdr 02:42:0a:09:01:53 STALE proto zebra")).records
    )
    assert isinstance(entry, Neighbour)
    assert (entry.state, entry.protocol) == ("STALE", "zebra")
