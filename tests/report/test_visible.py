"""What makes text of a bundle safe to show."""

import unicodedata

import pytest

from netdiag.report.visible import UNSAFE, cells, columns, excerpt, shorten, visible, wrap
from netdiag.spans import Source


@pytest.mark.parametrize(
    ("text", "shown", "shown_in_ascii"),
    [
        ("br-ebe28ba8b3d7", "br-ebe28ba8b3d7", "br-ebe28ba8b3d7"),
        ("\x1b[2J", "␛[2J", r"\x1b[2J"),
        ("a\r\nb\tc\0\x7f", "a␍␊b␉c␀␡", r"a\x0d\x0ab\x09c\x00\x7f"),
        ("\x9b31m", r"\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066c\u200bd\ufeff", r"a\u202eb\u2066c\u200bd\ufeff", r"a\u202eb\u2066c\u200bd\ufeff"),
        ("\ud800\U000e0041", r"\ud800\U000e0041", r"\ud800\U000e0041"),
        ("前端 é", "前端 é", r"\u524d\u7aef \xe9"),
    ],
)
def test_what_acts_or_hides_is_shown_as_a_sign(text: str, shown: str, shown_in_ascii: str) -> None:
    assert visible(text) == shown
    assert visible(text, unicode=False) == shown_in_ascii


def test_every_control_and_format_character_that_unicode_has_is_replaced() -> None:
    # Arabic and Kaithi number signs and Egyptian joiners are of category Cf, but they are drawn.
    drawn = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    drawn |= set(range(0x13430, 0x13440))
    acting = [
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and code not in drawn
    ]
    assert [f"U+{code:04X}" for code in acting if not UNSAFE.search(chr(code))] == []


def test_a_shown_text_has_nothing_left_to_replace() -> None:
    everything = "".join(map(chr, range(0x3000)))
    assert UNSAFE.search(visible(everything)) is None
    assert visible(everything, unicode=False).isascii()


def test_columns_counts_wide_characters_twice_and_combining_marks_not_at_all() -> None:
    assert columns("web") == 3
    assert columns("前端网络") == 8
    assert columns("e\u0301") == 1


def test_a_tab_runs_to_the_next_stop() -> None:
    assert cells("a\tb") == [("a", 1), (" " * 7, 7), ("b", 1)]
    assert cells("前\t") == [("前", 2), (" " * 6, 6)]
    assert cells("\x1b\t", unicode=False) == [(r"\x1b", 4), (" " * 4, 4)]


def test_wrap_breaks_at_blanks_and_never_in_a_word() -> None:
    assert wrap("no rule of this chain", 10) == ["no rule of", "this chain"]
    assert wrap("前端 网络 db", 9) == ["前端 网络", "db"]
    assert wrap("see /var/run/docker/netns/bf7664c6e028 there", 10) == [
        "see",
        "/var/run/docker/netns/bf7664c6e028",
        "there",
    ]


def test_shorten_keeps_what_fits_beside_the_ellipsis() -> None:
    assert shorten("ip -d addr", 10, "...") == "ip -d addr"
    assert shorten("ip -d address", 10, "...") == "ip -d a..."
    assert shorten("前端网络", 7, "…") == "前端网…"


def test_an_excerpt_is_the_whole_lines_as_they_are() -> None:
    source = Source("a.txt", "one\n\ttwo\x1b\nthree\n")
    assert excerpt(source.span(2, 2, 4)) == "\ttwo\x1b"
    assert excerpt(source.span_of_lines(1, 3)) == "one\n\ttwo\x1b\nthree"


def test_an_excerpt_of_a_line_of_megabytes_is_cut_around_the_span() -> None:
    source = Source("inspect.json", "x" * 3_000_000 + "here" + "y" * 3_000_000)
    shown = excerpt(source.span(1, 3_000_001, 3_000_005))
    assert shown == "…" + "x" * 500 + "here" + "y" * 1496 + "…"


def test_an_excerpt_of_many_lines_keeps_the_first_hundred() -> None:
    source = Source("rules.txt", "".join(f"rule {number}\n" for number in range(500)))
    lines = excerpt(source.span_of_lines(1, 500)).split("\n")
    assert lines[:2] == ["rule 0", "rule 1"]
    assert lines[-2:] == ["rule 99", "…"]
