"""The same text as iproute2's own JSON, for kinds of links and routes that only some kernels have: committed pairs."""

from pathlib import Path

import iproute_json
import pytest

from netdiag import formats
from netdiag.spans import Source

PAIRS = Path(__file__).resolve().parents[2] / "samples" / "oracles" / "iproute2"
TEXTS = sorted(PAIRS.glob("*/*.txt"))
KINDS = {
    *(
        "bond",
        "bridge",
        "dummy",
        "geneve",
        "gre",
        "ifb",
        "ip6tnl",
        "ipip",
        "ipvlan",
        "ipvtap",
        "macvlan",
        "macvtap",
        "netkit",
    ),
    *("nlmon", "sit", "team", "tun", "vcan", "veth", "vlan", "vrf", "vti", "vxlan", "wireguard", "xfrm"),
}


def command_of(pair: Path) -> str:
    """`ip-d-route-show-table-all` is `ip -d route show table all`: options have one letter or are `br`."""
    words = pair.stem.split("-")
    return " ".join(f"-{word}" if len(word) == 1 or word == "br" else word for word in words)


@pytest.mark.parametrize("pair", TEXTS, ids=lambda pair: f"{pair.parent.name}/{pair.stem}")
def test_a_text_is_read_as_its_json_says(pair: Path) -> None:
    command = command_of(pair)
    name = iproute_json.format_of(command)
    named = iproute_json.load(names.read_text()) if (names := pair.parent / "ip-netns.json").exists() else []
    document = formats.get(name).read(Source(pair.name, pair.read_text(), command, format=name))
    told = [iproute_json.told_by_record(record) for record in document.records]
    values = iproute_json.load(pair.with_suffix(".json").read_text())
    expected = iproute_json.expected(
        name, command, values, {each["id"]: each["name"] for each in named if "id" in each}
    )
    assert document.unread == ()
    assert told
    assert iproute_json.differences(told, expected) == []


def test_the_pairs_show_the_kinds_that_many_kernels_lack() -> None:
    (pair,) = PAIRS.glob("*-6.1/ip-d-addr.txt")
    document = formats.get("ip_addr").read(Source(pair.name, pair.read_text()))
    assert KINDS - {record.kind for record in document.records} == set()


def test_an_object_that_is_read_otherwise_than_json_says_is_told() -> None:
    differences = iproute_json.differences([{"name": "lo", "mtu": "1"}], [{"name": "lo", "mtu": "2", "kind": "x"}, {}])
    assert differences == [
        "1 records, 2 JSON objects",
        "0 kind: None, in JSON 'x'",
        "0 mtu: '1', in JSON '2'",
    ]
