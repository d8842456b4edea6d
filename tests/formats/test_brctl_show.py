from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import BridgeLine
from netdiag.spans import Source

HEADING = "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n"


def read(text: str) -> Document:
    return formats.get("brctl_show").read(Source("brctl_show.txt", text))


def test_a_bridge_has_the_ports_of_its_line_and_of_those_below() -> None:
    document = read(
        HEADING + "br-c0b73c00dc0f\t\t8000.0242c86a8dc9\tno\t\tveth1\n\t\t\t\t\t\t\tveth2\n"
        "docker0\t\t8000.0242ccab2a57\tyes\t\t\n"
    )
    records = [record for record in document.records if isinstance(record, BridgeLine)]
    assert [(record.name, record.id, record.stp, record.interfaces) for record in records] == [
        ("br-c0b73c00dc0f", "8000.0242c86a8dc9", False, ("veth1", "veth2")),
        ("docker0", "8000.0242ccab2a57", True, ()),
    ]
    assert document.unread == ()


def test_a_port_without_a_bridge_and_other_words_are_told() -> None:
    document = read("\t\tveth2\nbr0\tcan't get info Operation not supported\n")
    assert document.unread == (
        Unread(1, "no bridge above it"),
        Unread(2, 'not expected here: "can\'t" (column 5)'),
    )
