import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import BridgeVlan
from netdiag.spans import Source

HEADING = "port              vlan-id  \n"


def read(text: str) -> Document:
    return formats.get("bridge_vlan").read(Source("bridge_vlan.txt", text))


def test_a_vlan_belongs_to_the_port_that_was_named_last() -> None:
    document = read(
        HEADING + "ve                1 Egress Untagged\n"
        "                  10 PVID Egress Untagged\n"
        "                    state forwarding mcast_router 1 \n"
        "                  20-24\n"
        "                    RX: 592 bytes 8 packets\n"
        "tap0              1\n"
    )
    span = document.source.span
    assert document.unread == ()
    assert document.records == (
        BridgeVlan("ve", 1, 1, span(2), ("Egress Untagged",)),
        BridgeVlan(
            "ve", 10, 10, span(3, 19), ("PVID", "Egress Untagged"), {"state": "forwarding", "mcast_router": "1"}
        ),
        BridgeVlan("ve", 20, 24, span(5, 19), (), {"rx.bytes": "592", "rx.packets": "8"}),
        BridgeVlan("tap0", 1, 1, span(7)),
    )


def test_the_heading_of_iproute2_before_5_5_is_known() -> None:
    assert [record.span.line for record in read("port\tvlan ids\nbr0\t 1 PVID Egress Untagged\n\n").records] == [2]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("ve  1 PVID\n", 1, "no heading above it"),
        (HEADING + "    10\n", 2, "no port above it"),
        (HEADING + "    state forwarding\n", 2, "no port above it"),
    ],
)
def test_a_line_that_belongs_to_nothing_is_told(text: str, line: int, reason: str) -> None:
    assert read(text).unread == (Unread(line, reason),)


@pytest.mark.parametrize("heading", ["port\tvlan ids\n", "port             vlan id\n"])
def test_a_port_may_carry_no_vlan(heading: str) -> None:
    """As iproute2 up to 5.5 prints it on bridges without VLAN filtering, and heads its statistics."""
    document = read(heading + "docker0\tNone\n\n")
    assert (document.records, document.unread) == ((), ())
