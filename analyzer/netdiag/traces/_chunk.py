"""A piece of a trace as bytes: where its lines and numbers stand, found for all lines at once.

Numbers are read eight characters at a time: a word of 64 bits holds eight characters, and one operation of numpy works
on the words of all lines. It works in place wherever it can: a new array of this size costs more than most operations,
as its pages come from the kernel. Nothing here knows a format.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from netdiag.traces._arrow import codes, of_numbers

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

# room around the text, so that a word at its first or last character lies within the buffer
_PAD = 16

_ONES = np.uint64(0x0101010101010101)
_ZEROS = np.uint64(0x3030303030303030)  # the text 00000000
_BLANKS = np.uint64(0x2020202020202020)
_HIGH_BITS = np.uint64(0x8080808080808080)


class Chunk:
    """Whole lines, each with its line feed. Positions are those in `bytes`, which has some padding around the text."""

    def __init__(self, *texts: bytes) -> None:
        self.data = b"".join((b"\n" * _PAD, *texts, b"\n" * _PAD))
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(self.data, np.uint8)
        self._words = np.ndarray((len(self.data) - 7,), "<u8", self.data, 0, (1,))
        self._arrow = pa.py_buffer(self.data)

    @cached_property
    def line_ends(self) -> Ints:
        """The positions of the line feeds."""
        return np.flatnonzero(self.bytes[_PAD : len(self.data) - _PAD] == ord("\n")) + _PAD

    @cached_property
    def line_starts(self) -> Ints:
        starts = np.empty_like(self.line_ends)
        starts[:1] = _PAD
        starts[1:] = self.line_ends[:-1] + 1
        return starts

    def positions(self, character: str) -> Ints:
        """Where a character stands."""
        return np.flatnonzero(self.bytes == ord(character))

    def has(self, position: Ints, text: str) -> Flags:
        """Whether a text of up to eight characters stands there."""
        unused = np.uint64(8 * (8 - len(text)))
        words = self._words[position]
        words <<= unused
        found: Flags = words == _word(text) << unused
        return found

    def has_before(self, position: Ints, text: str) -> Flags:
        """Whether a text of up to eight characters stands right before there."""
        unused = np.uint64(8 * (8 - len(text)))
        words = self._words[position - 8]
        words >>= unused
        found: Flags = words == _word(text)
        return found

    def is_blank(self, start: Ints, end: Ints) -> Flags:
        """Whether just blanks stand there, eight at most."""
        length = end - start
        unused = (8 * np.clip(8 - length, 0, 7)).astype(np.uint64)
        blank: Flags = self._words[start] << unused == _BLANKS << unused
        blank &= length <= 8
        blank |= length == 0
        return blank

    def text(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    def line_of(self, position: int) -> int:
        """The line that a position is in, counted from 0."""
        return int(np.searchsorted(self.line_ends, position))

    def offset(self, position: int) -> int:
        """The place in the text of a position."""
        return position - _PAD

    def cut_off(self, line: int) -> bytes:
        """The text from a line on, counted from 0; the chunk ends before it from now on."""
        start = int(self.line_starts[line])
        self.line_starts, self.line_ends = self.line_starts[:line], self.line_ends[:line]
        return self.data[start : len(self.data) - _PAD]

    def pieces(self, bounds: Sequence[Ints]) -> tuple[list[bytes], npt.NDArray[np.int32]]:
        """The distinct texts of spans, and which of them each span is: a row for each line, a column for each pair of
        bounds. `bounds` are the start of the first spans, their end, the start of the second ones and so on: what comes
        later in them stands later in the text.
        """
        texts, which = self.distinct(bounds)
        return texts.to_pylist(), which

    def distinct(self, bounds: Sequence[Ints]) -> tuple[pa.Array, npt.NDArray[np.int32]]:
        """As `pieces`, with the texts as an array of Arrow."""
        count, pairs = len(bounds[0]), len(bounds) // 2
        offsets = _offsets(bounds)
        # what lies between the spans is no value, so that nothing is copied and it is not looked at
        texts, which = self._distinct(offsets, b"\x55" * (len(offsets) // 8 + 1))
        return texts, which[::2].reshape(count, pairs)

    def joined_pieces(self, bounds: Sequence[Ints]) -> tuple[list[bytes], npt.NDArray[np.int32]]:
        """As `pieces` of two pairs of bounds, where the text of the second is put right behind that of the first."""
        offsets = _offsets(bounds)
        spans = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), self._arrow])
        _, bounds_of_spans, text = spans.take(of_numbers(np.arange(0, len(spans), 2))).buffers()
        pairs = np.frombuffer(bounds_of_spans, np.int32, len(offsets) // 2 + 1)[::2].copy()
        encoded = pa.Array.from_buffers(
            pa.binary(), len(pairs) - 1, [None, pa.py_buffer(pairs), text]
        ).dictionary_encode()
        return encoded.dictionary.to_pylist(), codes(encoded)

    def distinct_lines(self, asked: Flags) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Of some lines those that are the first with their text, and which of these each of them is like."""
        offsets = np.append(self.line_starts, self.line_ends[-1:] + 1).astype(np.int32)
        _, which = self._distinct(offsets, np.packbits(asked, bitorder="little"))
        which = which[asked]
        # texts are numbered as they appear
        so_far = np.maximum.accumulate(which)
        return np.flatnonzero(asked)[np.flatnonzero(np.diff(so_far, prepend=-1))], which

    def _distinct(self, offsets: npt.NDArray[np.int32], valid: Any) -> tuple[pa.Array, npt.NDArray[np.int32]]:
        """The distinct texts from one offset to the next where bits say so, and which of them each of these is."""
        buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), self._arrow]
        encoded = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers).dictionary_encode()
        return encoded.dictionary, codes(encoded)

    def first_behind(self, start: Ints, end: Ints, character: str, before: Mapping[int, str]) -> Ints:
        """Where a character stands first in each span that has one of some others so far before it: the end of the span
        if it stands nowhere.
        """
        found = end.copy()
        rows = np.flatnonzero(start < end)
        place = start[rows]
        while len(rows):
            flags = _not_equal(self._words[place], _all(character))
            others = [_not_equal(self._words[place - distance], _all(other)) for distance, other in before.items()]
            flags = (flags | np.bitwise_and.reduce(others)) ^ _HIGH_BITS
            here = flags != 0
            found[rows[here]] = np.minimum(place[here] + _characters_before_flag(flags[here]), end[rows[here]])
            left = ~here & (place + 8 < end[rows])
            rows, place = rows[left], place[left] + 8
        return found

    def number_before(self, end: Ints) -> tuple[Ints, Ints]:
        """The decimal number whose last digit stands before `end`, and how many digits it has: up to sixteen."""
        value, count = _right_aligned(self._words[end - 8])
        long = np.flatnonzero(count == 8)
        if len(long):
            more, others = _right_aligned(self._words[end[long] - 16])
            value[long] += more * 10**8
            count[long] += others
        return value, count

    def steady_number_before(self, end: Ints) -> tuple[Ints, Ints]:
        """As `number_before`, for numbers that are the same in many lines one after the other."""
        words = self._words[end - 8]
        first = np.flatnonzero(words[1:] != words[:-1]) + 1
        first = np.append(0, first) if len(end) else first
        value, count = self.number_before(end[first])
        if (count >= 8).any():
            return self.number_before(end)
        times = np.diff(first, append=len(end))
        return np.repeat(value, times), np.repeat(count, times)

    def digits_before(self, end: Ints, count: int) -> tuple[Ints, Flags]:
        """The number in the last `count` (up to eight) characters before `end`, and whether they all are digits."""
        words = self._words[end - 8]
        if count < 8:
            others = np.uint64((1 << 8 * (8 - count)) - 1)
            words &= ~others
            words |= _ZEROS & others
        found: Flags = _not_digits(words) == 0
        return _decimal(words), found

    def number_at(self, start: Ints) -> tuple[Ints, Ints]:
        """The decimal number that begins there, and how many digits it has: up to eight."""
        words = self._words[start]
        count = _characters_before_flag(_not_digits(words))
        room = (8 * np.minimum(8 - count, 7)).astype(np.uint64)
        aligned = (words << room) | (_ZEROS & ((np.uint64(1) << room) - np.uint64(1)))
        return np.where(count > 0, _decimal(aligned), 0), count

    def blanks_at(self, start: Ints) -> Ints:
        """How many blanks stand there."""
        place = start.copy()
        more = np.flatnonzero(self._words[place] == _BLANKS)
        while len(more):
            farther = place[more] + 8
            place[more] = farther
            more = more[self._words[farther] == _BLANKS]
        return place - start + _characters_before_flag(self._words[place] ^ _BLANKS)

    def hex_digits_before(self, end: Ints) -> Ints:
        """How many small hexadecimal digits stand there, eight at most."""
        return 8 - _sum_of_characters(_up_to_last_flag(_not_hexadecimal(self._words[end - 8])))

    def hex_column_at(self, start: Ints) -> Flags:
        """Whether a hexadecimal number stands in the sixteen characters there, with blanks before it."""
        good = np.ones(len(start), bool)
        all_digits_so_far = np.zeros(len(start), bool)
        for offset in (0, 8):
            words = self._words[start + offset]
            others = _not_hexadecimal(words)
            blank = (_not_equal(words, _BLANKS) & others) == 0
            mask = (others >> np.uint64(7)) * np.uint64(255)
            prefix = (mask & (mask + np.uint64(1))) == 0
            good &= blank & prefix & ((others == 0) | ~all_digits_so_far)
            all_digits_so_far |= others != _HIGH_BITS
        return good & all_digits_so_far

    def hex16_at(self, start: Ints) -> tuple[Words, Flags]:
        """The number of sixteen small hexadecimal digits that stand there, and whether they do."""
        high, first = _hexadecimal(self._words[start])
        low, second = _hexadecimal(self._words[start + 8])
        return (high << np.uint64(32)) | low, first & second


def _offsets(bounds: Sequence[Ints]) -> npt.NDArray[np.int32]:
    """The bounds of each line, one line after the other, and the last one again."""
    offsets = np.zeros(len(bounds) * len(bounds[0]) + 1, np.int32)
    for number, bound in enumerate(bounds):
        offsets[number : -1 : len(bounds)] = bound
    offsets[-1:] = offsets[-2:-1]
    if (offsets[1:] < offsets[:-1]).any():
        # Arrow would read whatever lies there
        raise AssertionError("spans that are not in the order of the text")
    return offsets


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(text.encode().ljust(8, b"\0"), "little"))


def _all(character: str) -> np.uint64:
    """A word of that character."""
    return _word(8 * character)


def _not_equal(words: Words, others: np.uint64) -> Words:
    """The high bit of each character that is another one."""
    difference = words ^ others
    low = difference & np.uint64(0x7F7F7F7F7F7F7F7F)
    unequal: Words = ((low + np.uint64(0x7F7F7F7F7F7F7F7F)) | difference) & _HIGH_BITS
    return unequal


def _characters_before_flag(flags: Words) -> Ints:
    """How many characters stand before the first one that has a bit set: eight if none has."""
    # all bits below the lowest that is set
    below = ~flags
    below += np.uint64(1)
    below &= flags
    below -= np.uint64(1)
    below >>= np.uint64(7)
    below &= _ONES
    return _sum_of_characters(below)


def _up_to_last_flag(flags: Words) -> Words:
    """One for each character up to the last one whose high bit is set."""
    ones = flags >> np.uint64(7)
    shifted = np.empty_like(ones)
    for shift in (8, 16, 32):
        np.right_shift(ones, np.uint64(shift), out=shifted)
        ones |= shifted
    return ones


def _sum_of_characters(words: Words) -> Ints:
    """The sum of the eight characters of each word, taken as numbers. The words are used up."""
    words *= _ONES
    words >>= np.uint64(56)
    return words.view(np.int64)


def _not_digits(words: Words) -> Words:
    """The high bit of each character that is no digit."""
    difference = words ^ _ZEROS
    above_nine: Words = difference & np.uint64(0x7F7F7F7F7F7F7F7F)
    above_nine += np.uint64(0x7676767676767676)
    above_nine |= difference
    above_nine &= _HIGH_BITS
    return above_nine


def _right_aligned(words: Words) -> tuple[Ints, Ints]:
    """The number in the last digits of each word, and how many digits these are. The words are used up."""
    ones = _up_to_last_flag(_not_digits(words))
    others = ones * np.uint64(255)
    # the digits, and zeros before them
    words ^= _ZEROS
    np.invert(others, out=others)
    words &= others
    words ^= _ZEROS
    return _decimal(words), 8 - _sum_of_characters(ones)


def _decimal(words: Words) -> Ints:
    """The number of eight digits each: neighbours are joined to pairs, pairs to fours, fours to eight. The words are
    used up.
    """
    words -= _ZEROS
    upper = words * np.uint64(10)
    words >>= np.uint64(8)
    upper += words
    lower = upper & np.uint64(0x000000FF000000FF)
    lower *= np.uint64(100 + (1_000_000 << 32))
    upper >>= np.uint64(16)
    upper &= np.uint64(0x000000FF000000FF)
    upper *= np.uint64(1 + (10_000 << 32))
    lower += upper
    lower >>= np.uint64(32)
    return lower.view(np.int64)


def _not_hexadecimal(words: Words) -> Words:
    """The high bit of each character that is no small hexadecimal digit."""
    # a to f are 0x61 to 0x66: of what 0x60 makes of them, six and less but not none
    letter = words ^ np.uint64(0x6060606060606060)
    no_letter = ((letter & np.uint64(0x7F7F7F7F7F7F7F7F)) + np.uint64(0x7979797979797979)) | letter
    no_letter |= ((letter | _HIGH_BITS) - _ONES) ^ _HIGH_BITS
    no_digit: Words = _not_digits(words) & no_letter & _HIGH_BITS
    return no_digit


def _hexadecimal(words: Words) -> tuple[Words, Flags]:
    """The number of eight small hexadecimal digits each, and whether they are."""
    nibbles = (words & np.uint64(0x0F0F0F0F0F0F0F0F)) + np.uint64(9) * ((words >> np.uint64(6)) & _ONES)
    value = ((nibbles << np.uint64(4)) | (nibbles >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = ((value << np.uint64(8)) | (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = ((value << np.uint64(16)) | (value >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)
    return value, _not_hexadecimal(words) == 0
