"""What the lines of call stacks mean, each distinct text read once.

Most lines of a recording with call stacks are frames, and few of them are new: the same address again, or another
address with the same text behind it, or the same symbol at another offset. So of all lines the distinct ones are taken,
of what stands behind their addresses the distinct texts, and of these the symbols with their modules, which are few.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from netdiag.formats._derive import Row, line_reader
from netdiag.formats._trace import frame
from netdiag.formats.records import Frame
from netdiag.traces._arrow import codes
from netdiag.traces._chunk import Chunk, Flags, Ints
from netdiag.traces._shapes import MOST_PARTS, as_lines
from netdiag.traces.table import StackBook

_ADDRESS = "ffffffff81"
_OFFSET = "+0x5b5b5"
_LIKE_A_TIME = re.compile(rb"\.[0-9]{6}")


class Frames:
    """What the lines of call stacks mean."""

    #: the stack of lines that are not all frames, and the number of such a line
    BAD = -3
    # what must be read with all that stands beside it
    _ODD = -4

    def __init__(self, format_name: str, book: StackBook) -> None:
        self._rows = line_reader(format_name)
        self._with_addresses = format_name == "perf_script"
        self._book = book
        self._modules: dict[str | None, str] = {}
        self._lines = _Numbers(self._of_lines)
        self._symbols = _Numbers(self._of_symbols)
        self._odd = _Numbers(lambda texts: self._of_lines([_ADDRESS.encode() + text for text in texts]))

    def stacks(self, chunk: Chunk, first: Ints, end: Ints) -> Ints:
        """The numbers of stacks: each is the lines of the chunk from `first` to `end`."""
        frames = self._frames(chunk, first, end)
        count = end - first
        good = np.ones(len(first), bool)
        good[np.searchsorted(np.cumsum(count), np.flatnonzero(frames == self.BAD), "right")] = False
        if not good.all():
            frames, count = frames[np.repeat(good, count)], count[good]
        offsets = np.zeros(len(count) + 1, np.int32)
        np.cumsum(count * frames.itemsize, out=offsets[1:])
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(frames)]
        numbers = np.full(len(first), self.BAD, np.int64)
        stacks = pa.Array.from_buffers(pa.binary(), len(count), buffers).dictionary_encode()
        numbers[good] = self._book.numbers(stacks.dictionary.to_pylist())[codes(stacks)]
        return numbers

    def _frames(self, chunk: Chunk, first: Ints, end: Ints) -> npt.NDArray[np.int32]:
        """The number of the frame in each of the lines from `first` to `end`, for all of these together."""
        edges = np.zeros(len(chunk.line_ends) + 1, np.int8)
        edges[first] = 1
        edges[end] -= 1
        asked = np.cumsum(edges[:-1], dtype=np.int8).view(bool)
        distinct, which = chunk.distinct_lines(asked)
        found: npt.NDArray[np.int32] = self._of(chunk, chunk.line_starts[distinct], chunk.line_ends[distinct])[which]
        return found

    def _of(self, chunk: Chunk, start: Ints, end: Ints) -> npt.NDArray[np.int32]:
        """The number of the frame in each of some lines."""
        plain = np.zeros(len(start), bool)
        if self._with_addresses:
            # a tabulator, the address in sixteen columns, a blank
            plain = (end - start > 18) & (chunk.bytes[start] == ord("\t")) & (chunk.bytes[start + 17] == ord(" "))
            plain &= chunk.hex_column_at(start + 1)
        frames = np.empty(len(start), np.int32)
        rows = np.flatnonzero(plain)
        if len(rows):
            texts, which = chunk.distinct([start[rows] + 17, end[rows] + 1])
            frames[rows] = self._of_texts_behind_addresses(texts)[which[:, 0]]
        rows = np.flatnonzero(~plain)
        if len(rows):
            lines, which = chunk.pieces([start[rows], end[rows]])
            frames[rows] = self._lines.numbers(lines)[which[:, 0]]
        return frames

    def _of_texts_behind_addresses(self, texts: pa.Array) -> npt.NDArray[np.int32]:
        """The numbers of frames whose addresses are cut off; each text ends with its line feed. No rule sees which
        digits stand in addresses and offsets, but for the one that takes a line with a time for an event.
        """
        chunk = Chunk(texts.buffers()[2])
        numbers = np.full(len(texts), self._ODD, np.int32)
        offset, offset_end, good = _offsets(chunk)
        if good.any():
            bounds = [chunk.line_starts, offset, offset_end, chunk.line_ends]
            symbols, which = chunk.joined_pieces([bound[good] for bound in bounds])
            numbers[good] = self._symbols.numbers(symbols)[which]
        like_times = [chunk.line_of(found.start()) for found in _LIKE_A_TIME.finditer(chunk.data)]
        numbers[like_times] = self.BAD
        odd = np.flatnonzero(numbers == self._ODD)
        if len(odd):
            lines, which = chunk.pieces([chunk.line_starts[odd], chunk.line_ends[odd]])
            numbers[odd] = self._odd.numbers(lines)[which[:, 0]]
        return numbers

    def _of_lines(self, lines: Sequence[bytes]) -> list[int]:
        return [self._of_line(line) for line in lines]

    def _of_line(self, line: bytes) -> int:
        found = self._frame(line)
        return self.BAD if found is None else self._book.frame(found)

    def _frame(self, line: bytes) -> Frame | None:
        row = self._rows.row(as_lines(line))
        return frame(row.values) if isinstance(row, Row) and row.rule == "frame" else None

    def _of_symbols(self, texts: Sequence[bytes]) -> list[int]:
        """The numbers of frames of these symbols, each with its module, and any offset; odd if that is not what the
        lines say.
        """
        # no text has a line feed
        decoded = b"\n".join(texts).decode("utf-8", "surrogatepass").split("\n")
        cut = [text.rpartition(" (") for text in decoded]
        lines = [f"{_ADDRESS}{symbol}{_OFFSET} ({module}" for symbol, _, module in cut]
        named = self._book.named
        return [
            named(found[0], self._module(found[2])) if found and found[1] == _OFFSET else self._ODD
            for found in self._rows.texts("frame", ("SYMBOL", "OFFSET", "MODULE"), lines)
        ]

    def _module(self, text: str) -> str:
        if text not in self._modules:
            self._modules[text] = frame({"MODULE": text}).module or ""
        return self._modules[text]


def _offsets(chunk: Chunk) -> tuple[Ints, Ints, Flags]:
    """Where `+0x12ab` stands before a module like ` ([kernel.kallsyms])` or ` (/usr/lib/libc.so.6)`, and in which lines
    it does.
    """
    opening, closing = chunk.positions("("), chunk.positions(")")
    if not len(opening) or not len(closing):
        return chunk.line_starts, chunk.line_starts, np.zeros(len(chunk.line_ends), bool)
    module = opening[np.maximum(np.searchsorted(opening, chunk.line_ends) - 1, 0)]
    inside = chunk.line_starts < module - 1
    # in a line without it, anything that lies within the chunk
    module = np.where(inside, module, chunk.line_ends)
    last = closing[np.minimum(np.searchsorted(closing, module), len(closing) - 1)]
    path, name = chunk.bytes[module + 1] == ord("/"), chunk.bytes[module + 1] == ord("[")
    name &= chunk.bytes[chunk.line_ends - 2] == ord("]")
    end = module - 1
    start = end - chunk.hex_digits_before(end) - 3
    good = inside & (last == chunk.line_ends - 1) & (path | name)
    good &= (chunk.bytes[end] == ord(" ")) & (start < end - 3) & chunk.has_before(start + 3, "+0x")
    good &= start >= chunk.line_starts
    return start, end, good


class _Numbers:
    """Numbers of texts, each asked for once as long as it is remembered."""

    def __init__(self, numbers: Callable[[Sequence[bytes]], list[int]]) -> None:
        self._of = numbers
        self._known: dict[bytes, int] = {}

    def numbers(self, texts: Sequence[bytes]) -> npt.NDArray[np.int32]:
        if len(self._known) > MOST_PARTS:
            self._known.clear()
        found = list(map(self._known.get, texts))
        if None in found:
            new = [text for text, number in zip(texts, found, strict=True) if number is None]
            self._known.update(zip(new, self._of(new), strict=True))
            found = list(map(self._known.get, texts))
        return np.array(found, np.int32)
