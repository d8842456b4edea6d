import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import NamespaceInUse
from netdiag.spans import Source

HEADING = "        NS TYPE NPROCS   PID USER    NETNSID NSFS         COMMAND\n"


def read(text: str) -> Document:
    return formats.get("lsns").read(Source("lsns.txt", text))


def test_a_cell_is_told_from_its_place_and_may_be_empty() -> None:
    document = read(
        HEADING + "4026532321 net      11     1 root unassigned              tini -- sleep infinity\n"
        "4026532401 net       2   311 root          1 /run/netns/b \u2514\u2500/bin/sh /bin/serve\n"
        "                                             /run/other\n"
    )
    span = document.source.span
    assert document.unread == ()
    assert document.records == (
        NamespaceInUse(4026532321, span(2), "net", 11, 1, "root", None, (), "tini -- sleep infinity"),
        NamespaceInUse(
            4026532401, span(3), "net", 2, 311, "root", 1, ("/run/netns/b", "/run/other"), "/bin/sh /bin/serve"
        ),
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "4026532401 net       2   311 root          1 /run/docker/netns/f45d /bin/sh /bin/serve",
            ("net", 2, 311, "root", 1, ("/run/docker/netns/f45d",), "/bin/sh /bin/serve"),
        ),
        (
            "4026532317 mnt        11     1 root tini -- sleep infinity",
            ("mnt", 11, 1, "root", None, (), "tini -- sleep infinity"),
        ),
        (
            "4026532401 net  0    root unassigned /run/netns/near ",
            ("net", 0, None, "root", None, ("/run/netns/near",), None),
        ),
        ("4026532321 net 11 1 root unassigned tini -- 1", ("net", 11, 1, "root", None, (), "tini -- 1")),
    ],
)
def test_without_a_heading_the_columns_are_the_usual_ones(line: str, expected: tuple[object, ...]) -> None:
    (record,) = read(line).records
    assert isinstance(record, NamespaceInUse)
    values = (record.type, record.processes, record.pid, record.user, record.netns_id, record.files, record.command)
    assert values == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (HEADING + "4026531833 net 103 2 root unassigned  kthreadd\n", 2, "not below any heading: '103' (column 16)"),
        ("        NS TYPE\n           net\n", 2, "no number below NS"),
        ("        NS TYPE\n4026x31833 net\n", 2, "no number below NS"),
    ],
)
def test_a_row_that_does_not_fit_its_heading_is_told(text: str, line: int, reason: str) -> None:
    assert read(text).unread == (Unread(line, reason),)
