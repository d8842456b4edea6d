from typing import Any

import pytest

from netdiag import formats
from netdiag.formats import Unread
from netdiag.formats.records import FdbEntry
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("02:42:AC:12:00:02 dev veth1 master br0 ", {"bridge": "br0"}),
        (
            "02:42:ac:12:00:02 dev veth1 vlan 100 master br0 static",
            {"vlan": 100, "bridge": "br0", "flags": ("static",)},
        ),
        ("02:42:ac:12:00:02 dev veth1 master permanent", {"flags": ("master", "permanent")}),
        (
            "02:42:ac:12:00:02 dev veth1 dst 192.0.2.2 port 4790 vni 43 via eth0 used 7/0 self permanent",
            {
                "flags": ("self", "permanent"),
                "details": {"dst": "192.0.2.2", "port": "4790", "vni": "43", "via": "eth0", "used": "7/0"},
            },
        ),
    ],
)
def test_an_entry_is_its_mac_device_bridge_and_words(line: str, fields: dict[str, Any]) -> None:
    source = Source("bridge_fdb.txt", line)
    expected = FdbEntry("02:42:ac:12:00:02", "veth1", source.span(1, 1, len(line.rstrip()) + 1), **fields)
    assert formats.get("bridge_fdb").read(source).records == (expected,)


def test_a_line_without_a_mac_is_told() -> None:
    document = formats.get("bridge_fdb").read(Source("bridge_fdb.txt", "192.0.2.1 dev eth0 self"))
    assert document.unread == (Unread(1, "not expected here: '192.0.2.1' (column 1)"),)
