from ipaddress import ip_address

import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import ContainerLine, PortMapping
from netdiag.spans import Source

HEADING = "CONTAINER ID   IMAGE     COMMAND   CREATED       STATUS       PORTS                    NAMES\n"


def read(text: str) -> Document:
    return formats.get("docker_ps").read(Source("docker_ps.txt", text))


def row(ports: str, names: str = "web") -> str:
    return f'871a45d22e6b   nginx     "sh"      3 days ago    Up 3 days    {ports:24} {names}\n'


def ports_of(cell: str) -> tuple[PortMapping, ...]:
    heading = f"CONTAINER ID   IMAGE     COMMAND   CREATED       STATUS       {'PORTS':{len(cell)}} NAMES\n"
    document = read(heading + row(cell))
    assert document.unread == ()
    (line,) = document.records
    assert isinstance(line, ContainerLine)
    return line.ports


def test_a_row_is_read_by_the_places_of_the_heading() -> None:
    document = read(HEADING + row("0.0.0.0:32769->80/tcp", "web,lb/backend"))
    line = ContainerLine(
        id="871a45d22e6b",
        image="nginx",
        command='"sh"',
        created="3 days ago",
        status="Up 3 days",
        ports=(PortMapping("tcp", 80, ip_address("0.0.0.0"), 32769),),
        names=("web", "lb/backend"),
        span=document.source.span(2),
    )
    assert document.records == (line,)


def test_an_empty_cell_does_not_shift_the_others() -> None:
    (line,) = read(HEADING + row("")).records
    assert isinstance(line, ContainerLine)
    assert (line.ports, line.names) == ((), ("web",))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("80/tcp", [("tcp", 80, None, None)]),
        ("53/udp, 9000/sctp", [("udp", 53, None, None), ("sctp", 9000, None, None)]),
        ("8000-8002/udp", [("udp", 8000, None, None), ("udp", 8001, None, None), ("udp", 8002, None, None)]),
        (":::8080->80/tcp", [("tcp", 80, "::", 8080)]),
        ("[::]:8080->80/tcp", [("tcp", 80, "::", 8080)]),
        ("fd00::1:8080->80/tcp", [("tcp", 80, "fd00::1", 8080)]),
        ("8080->80/tcp", [("tcp", 80, None, 8080)]),
        ("0.0.0.0:7000-7001->80-81/tcp", [("tcp", 80, "0.0.0.0", 7000), ("tcp", 81, "0.0.0.0", 7001)]),
    ],
)
def test_ports_are_spread_out(cell: str, expected: list[tuple[str, int, str | None, int | None]]) -> None:
    assert ports_of(cell) == tuple(
        PortMapping(protocol, port, ip_address(host) if host else None, host_port)
        for protocol, port, host, host_port in expected
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (row("80/tcp"), "no heading above it"),
        ("CONTAINER ID   IMAGE\n871a45d22e6b   nginx\n", "the heading has no column COMMAND"),
        (HEADING + row("99999/tcp"), "PORTS: a value out of range: port 99999"),
        (
            HEADING + row("0.0.0.0:1-2->80/tcp"),
            "PORTS: a value out of range: 2 host ports for 1 container ports",
        ),
        (HEADING + row("80/http"), "PORTS: not expected here: 'http' (column 4)"),
        (HEADING + "Cannot connect to the Docker daemon\n", "CONTAINER ID: not expected here: 'Cannot' (column 1)"),
    ],
)
def test_a_row_that_cannot_be_read_is_told(text: str, reason: str) -> None:
    assert read(text).unread == (Unread(text.count("\n"), reason),)
