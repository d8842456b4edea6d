"""The numbers that numpy finds in all lines at once are those that Python finds in each."""

import random
import re

import numpy as np
import pytest

from netdiag.traces._chunk import Chunk

PIECES = [
    "0",
    "7",
    "42",
    "98765432",
    "123456789012",
    "  ",
    " " * 9,
    " " * 30,
    "a",
    "f",
    "0123456789abcdef",
    ".",
    ":",
    "x",
]


def chunk_and_places(seed: str) -> tuple[Chunk, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """A chunk of odd lines, and every place in its text."""
    chance = random.Random(seed)
    lines = ["".join(chance.choices(PIECES, k=chance.randrange(9))) for _ in range(40)]
    chunk = Chunk("".join(f"{line}\n" for line in lines).encode())
    return chunk, np.arange(int(chunk.line_starts[0]), int(chunk.line_ends[-1]))


def found(pattern: str, text: bytes) -> str:
    match = re.search(pattern.encode(), text)
    assert match is not None
    return match[0].decode()


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_numbers_before_a_place(seed: str) -> None:
    chunk, places = chunk_and_places(seed)
    expected = []
    for place in places.tolist():
        digits = found(r"[0-9]{0,16}\Z", chunk.text(place - 16, place))
        expected.append((int(digits or 0), len(digits)))
    for numbers in (chunk.number_before(places), chunk.steady_number_before(places)):
        assert list(zip(*(each.tolist() for each in numbers), strict=True)) == expected


@pytest.mark.parametrize("count", [3, 6, 8])
def test_so_many_digits_before_a_place(count: int) -> None:
    chunk, places = chunk_and_places(str(count))
    texts = [chunk.text(place - count, place).decode() for place in places.tolist()]
    value, good = chunk.digits_before(places, count)
    assert good.tolist() == [text.isdigit() for text in texts]
    assert value[good].tolist() == [int(text) for text in texts if text.isdigit()]


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_numbers_and_blanks_at_a_place(seed: str) -> None:
    chunk, places = chunk_and_places(seed)
    digits = [found("^[0-9]{0,8}", chunk.text(place, place + 8)) for place in places.tolist()]
    blanks = [found("^ *", chunk.text(place, int(chunk.line_ends[-1]) + 1)) for place in places.tolist()]
    value, count = chunk.number_at(places)
    assert value.tolist() == [int(each or 0) for each in digits]
    assert count.tolist() == [len(each) for each in digits]
    assert chunk.blanks_at(places).tolist() == [len(each) for each in blanks]


def test_hexadecimal_numbers_at_a_place() -> None:
    chunk, places = chunk_and_places("hexadecimal")
    texts = [chunk.text(place, place + 16).decode() for place in places.tolist()]
    value, good = chunk.hex16_at(places)
    assert good.tolist() == [bool(re.fullmatch("[0-9a-f]{16}", text)) for text in texts]
    assert value[good].tolist() == [int(text, 16) for text in texts if re.fullmatch("[0-9a-f]{16}", text)]


def test_texts_of_spans() -> None:
    chunk = Chunk(b"one=1 of\nnothing\none=22 of\n")
    start, end = chunk.line_starts, chunk.line_ends
    texts, which = chunk.pieces([start, start + 3, start + 4, end])
    assert [[texts[code] for code in row] for row in which.tolist()] == [
        [b"one", b"1 of"],
        [b"not", b"ing"],
        [b"one", b"22 of"],
    ]
    assert sorted(texts) == [b"1 of", b"22 of", b"ing", b"not", b"one"]


def test_spans_that_are_not_in_the_order_of_the_text_are_refused() -> None:
    chunk = Chunk(b"one\ntwo\n")
    with pytest.raises(AssertionError, match="order of the text"):
        chunk.pieces([chunk.line_starts, chunk.line_ends + 5])
