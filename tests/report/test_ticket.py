"""The report for a case system: never more than 15 lines of plain text."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag.report.ticket import MOST_LINES, render
from netdiag.report.visible import UNSAFE
from netdiag.results import Analysis

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["analysis", "healthy", "bare", "hostile", "put_aside"])
def test_the_text_is_the_one_that_was_read(name: str, request: pytest.FixtureRequest) -> None:
    text = render(request.getfixturevalue(name), unicode=True, pedantic=False)
    golden = GOLDEN / f"ticket-{name}.txt"
    if os.environ.get("ACCEPT"):
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode()


@pytest.mark.parametrize("times", [0, 1, 2, 50])
def test_it_has_at_most_15_lines(times: int, analysis: Analysis) -> None:
    many = replace(analysis, findings=analysis.findings * times)
    assert len(render(many, unicode=True, pedantic=True).splitlines()) <= MOST_LINES


def test_a_long_name_makes_no_long_line_and_a_command_is_never_cut(analysis: Analysis) -> None:
    finding = replace(analysis.findings[0], message="m" * 5000, remedy=("r" * 5000,))
    lines = render(replace(analysis, findings=(finding,)), unicode=True, pedantic=False).splitlines()
    assert [len(line) for line in lines if "m" * 9 in line] == [240]
    assert f"   repair: {'r' * 5000}" in lines


def test_a_message_with_line_feeds_stays_in_its_line(analysis: Analysis) -> None:
    finding = replace(analysis.findings[0], message="one\ntwo\x1b[2J\r\n3. error: forged")
    text = render(replace(analysis, findings=(finding,)), unicode=False, pedantic=False)
    assert "1. error: one two\\x1b[2J 3. error: forged [link-veth-not-enslaved]" in text.splitlines()
    assert UNSAFE.findall(text.replace("\n", "")) == []
