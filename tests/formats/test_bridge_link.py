import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import BridgePort
from netdiag.spans import Source


def read(text: str) -> Document:
    return formats.get("bridge_link").read(Source("bridge_link.txt", text))


def test_a_port_with_its_details_is_one_record() -> None:
    head = "7: veth1@if6: <BROADCAST,UP> mtu 1500 master br0 state forwarding priority 32 cost 2"
    document = read(head + "\n    hairpin off isolated on \n")
    port = BridgePort(
        index=7,
        name="veth1",
        bridge="br0",
        span=document.source.span(1),
        peer_index=6,
        flags=("BROADCAST", "UP"),
        mtu=1500,
        state="forwarding",
        priority=32,
        cost=2,
        details={"hairpin": "off", "isolated": "on"},
    )
    assert document.records == (port,)


@pytest.mark.parametrize(
    ("line", "bridge", "state"),
    [
        ("3: eth1 state UP : <UP> mtu 1500 master br0 state listening priority 32 cost 4", "br0", "listening"),
        ("3: eth1 state UP @eth0: <UP> mtu 1500 master br0 state blocking priority 32 cost 4", "br0", "blocking"),
        ("2: br0: <BROADCAST,UP> mtu 1500 master br0 ", "br0", None),
        ("2: eth0: <BROADCAST,UP> mtu 1500 hwmode VEB ", None, None),
    ],
)
def test_the_stp_state_is_not_the_link_state_of_old_versions(line: str, bridge: str | None, state: str | None) -> None:
    (port,) = read(line).records
    assert isinstance(port, BridgePort)
    assert (port.bridge, port.state) == (bridge, state)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("    hairpin off guard off\n", "no port above it"),
        ("2: br0: <UP> mtu 1500 qdisc noqueue state UP\n", "not expected here: 'UP' (column 43)"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(text: str, reason: str) -> None:
    assert read(text).unread == (Unread(1, reason),)


def test_a_port_in_one_line_has_its_details() -> None:
    (port,) = read(
        "7: vc@vd: <UP> mtu 1500 master br0 state listening priority 10 cost 7 \\    hairpin off guard on "
    ).records
    assert isinstance(port, BridgePort)
    assert (port.cost, port.details) == (7, {"hairpin": "off", "guard": "on"})
