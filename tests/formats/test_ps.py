"""`ps`: its heading tells what the words of a row are."""

import pytest

from netdiag import formats
from netdiag.formats import Document
from netdiag.formats.records import ProcessLine
from netdiag.spans import Source


def read(text: str) -> Document:
    return formats.get("ps").read(Source("ps.txt", text))


def test_a_command_is_all_that_is_left_of_the_line() -> None:
    document = read("  PID      NETNS COMMAND\n  269 4026533436 /usr/bin/docker-proxy  -proto tcp \n")
    assert document.records == (
        ProcessLine(269, "/usr/bin/docker-proxy  -proto tcp", document.records[0].span, 4026533436),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "UID          PID    PPID  C STIME TTY          TIME CMD\n"
            "root          51       1 11 03:15 ?        00:00:00 /usr/sbin/dockerd -H fd://\n",
            (51, "/usr/sbin/dockerd -H fd://", "root", 1),
        ),
        (
            "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"
            "root           2  0.0  0.0      0     0 ?        S    Nov23   0:00 [kthreadd]\n",
            (2, "[kthreadd]", "root", None),
        ),
    ],
    ids=["-ef", "aux"],
)
def test_columns_are_told_by_their_headings(text: str, expected: tuple[int, str, str, int | None]) -> None:
    document = read(text)
    (row,) = document.records
    assert isinstance(row, ProcessLine)
    assert (row.pid, row.command, row.user, row.parent) == expected
    assert document.unread == ()


def test_nothing_below_the_heading_is_no_process() -> None:
    document = read("    PID      NETNS COMMAND\n")
    assert (document.records, document.unread) == ((), ())


@pytest.mark.parametrize(
    "text",
    [
        "  269 4026533436 /usr/bin/docker-proxy\n",
        "  PID COMMAND\n  269\n",
        "  PID COMMAND\n  many words here\n",
        "  COMMAND PID\n  sh 1\n",
    ],
    ids=["no-heading", "too-few-words", "no-number", "command-is-not-last"],
)
def test_a_row_that_does_not_fit_is_unread(text: str) -> None:
    document = read(text)
    assert document.records == ()
    assert len(document.unread) == 1
