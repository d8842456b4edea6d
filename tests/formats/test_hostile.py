"""Lines that were made to hurt are refused, at a cost that grows with their length and no faster."""

import pytest

from netdiag import formats, places
from netdiag.formats import Unread
from netdiag.spans import Source

LINE_FORMATS = [name for name in formats.names() if (places.grammars() / f"{name}.lark").exists()]


@pytest.mark.parametrize("name", LINE_FORMATS)
@pytest.mark.parametrize(
    "line",
    [":" * 60_000 + "g", "1." * 30_000, "[" * 60_000, " " * 60_000 + "x", "a b " * 15_000, "(" * 60_000, "<" * 60_000],
    ids=["colons", "numbers", "brackets", "blanks", "words", "parentheses", "angles"],
)
def test_a_long_line_is_no_record(name: str, line: str) -> None:
    assert formats.get(name).read(Source("hostile.txt", line)).records == ()


@pytest.mark.parametrize("name", ["ip_addr", "ip_route", "ss", "sysctl"])
def test_a_line_that_is_longer_than_any_real_one_is_not_tried(name: str) -> None:
    document = formats.get(name).read(Source("hostile.txt", "net.ipv4.x = " + "1 " * 65536))
    assert document.unread == (Unread(1, "longer than 65536 characters"),)


def test_a_cell_with_more_ports_than_a_container_can_have_is_not_spread_out() -> None:
    heading = f"CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   {'PORTS':2000} NAMES\n"
    ports = ", ".join(["0-65535/tcp"] * 100)
    row = f"871a45d22e6b   nginx   x         1 day     Up 1 d   {ports:2000} web\n"
    document = formats.get("docker_ps").read(Source("hostile.txt", heading + row))
    assert document.unread == (Unread(2, "PORTS: a value out of range: more ports than a container can have"),)
