"""Lines matched with lines: the same, renumbered, moved, gone, new."""

from hypothesis import given
from hypothesis import strategies as st

from netdiag.comparison.texts import Line, match
from netdiag.spans import Source

HERE = Source("rules", "x").span(1)


def lines(text: str) -> list[Line]:
    """A line for each letter; an upper-case letter says the same as its lower-case one, by other numbers."""
    return [Line(letter, letter, letter.lower(), HERE) for letter in text]


def told(before: str, after: str) -> dict[str, str]:
    found = match(lines(before), lines(after))
    return {
        "still": "".join(new.text for _, new in found.still),
        "renumbered": "".join(old.text + new.text for old, new in found.renumbered),
        "removed": "".join(line.text for line in found.removed),
        "added": "".join(line.text for line in found.added),
        "moved": "".join(sorted(new.text for _, new in found.moved)),
    }


def test_what_became_of_lines() -> None:
    assert told("abc", "abc") == {"still": "abc", "renumbered": "", "removed": "", "added": "", "moved": ""}
    assert told("abc", "ac") == {"still": "ac", "renumbered": "", "removed": "b", "added": "", "moved": ""}
    assert told("ac", "abc") == {"still": "ac", "renumbered": "", "removed": "", "added": "b", "moved": ""}
    assert told("abc", "aBc") == {"still": "ac", "renumbered": "bB", "removed": "", "added": "", "moved": ""}
    assert told("abcd", "dabc") == {"still": "dabc", "renumbered": "", "removed": "", "added": "", "moved": "d"}
    assert told("aab", "ab") == {"still": "ab", "renumbered": "", "removed": "a", "added": "", "moved": ""}


def test_a_line_that_is_the_same_is_not_taken_for_one_that_is_renumbered() -> None:
    assert told("aA", "A") == {"still": "A", "renumbered": "", "removed": "a", "added": "", "moved": ""}


@given(st.text("abcABC", max_size=12), st.text("abcABC", max_size=12))
def test_every_line_has_one_fate(before: str, after: str) -> None:
    found = match(lines(before), lines(after))
    pairs = [*found.still, *found.renumbered]
    assert sorted([old.text for old, _ in pairs] + [line.text for line in found.removed]) == sorted(before)
    assert sorted([new.text for _, new in pairs] + [line.text for line in found.added]) == sorted(after)


@given(st.permutations("abcdefgh"))
def test_the_moved_ones_are_the_fewest_that_explain_the_order(order: list[str]) -> None:
    found = match(lines("abcdefgh"), lines("".join(order)))
    moved = {new.text for _, new in found.moved}
    stayed = [letter for letter in order if letter not in moved]
    assert stayed == sorted(stayed)
    longest = max(
        sum(1 for _ in picked)
        for number in range(256)
        if (picked := [letter for bit, letter in enumerate(order) if number >> bit & 1]) == sorted(picked)
    )
    assert len(stayed) == longest
