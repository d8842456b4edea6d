"""The text of a source as blocks of whole lines, a few MiB each, whatever it lies in."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from netdiag.spans import Source, StoredSource

#: What is told of the way through a source: bytes that are read, and all of them.
Progress = Callable[[int, int], None]

BLOCK = 4 * 1024 * 1024
# of a line without an end so much is read; no grammar takes one of a tenth of that
_LONGEST_LINE = 1024 * 1024


def blocks(
    source: Source, progress: Progress | None = None, start: int = 0, end: int | None = None, *, lines: int = 0
) -> Iterator[bytes]:
    """Whole lines, each with a line feed, as UTF-8: a byte that is none is written as an escape, as in `Source.text`.

    A carriage return before a line feed is left out. Of a plain file it may be the bytes from `start` to `end`, which
    are whole lines, with so many `lines` before them. The lines of a stored source are marked on the way.
    """
    if not isinstance(source, StoredSource):
        yield from _of_text(source.text, progress)
        return
    with source.open() as file:
        if start:
            file.seek(start)
        for raw, read in _whole_lines(file, start, end):
            first = not start and not lines
            lines += int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord("\n")))
            source.lines.mark(lines, read)
            yield _clean(raw.removeprefix(b"\xef\xbb\xbf") if first else raw)
            if progress:
                progress(read, source.size)
    if end is None:
        source.lines.end_at(lines)


def _of_text(text: str, progress: Progress | None) -> Iterator[bytes]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK) + 1 or len(text)
        block = text[start:end]
        start = end
        if "\r" in block:
            block = block.replace("\r\n", "\n")
        yield (block if block.endswith("\n") else block.removesuffix("\r") + "\n").encode("utf-8", "surrogatepass")
        if progress:
            progress(start, len(text))


def _whole_lines(file: BinaryIO, position: int, end: int | None) -> Iterator[tuple[bytes, int]]:
    """Blocks that end with a line feed, and the place in the file behind each.

    The next block is read, and unpacked, while the last one is worked on.
    """
    most = sys.maxsize if end is None else end

    def read(start: int) -> bytes:
        return file.read(min(BLOCK, most - start))

    if end is not None and end - position <= BLOCK:
        if text := file.read(end - position):
            yield text if text.endswith(b"\n") else text + b"\n", end
        return
    with ThreadPoolExecutor(1) as ahead:
        rest = b""
        following = ahead.submit(read, position)
        while block := following.result():
            position += len(block)
            following = ahead.submit(read, position)
            stop = block.rfind(b"\n") + 1
            if stop:
                yield b"".join((rest, memoryview(block)[:stop])), position - len(block) + stop
                rest = block[stop:]
            elif len(rest) < _LONGEST_LINE:
                rest += block
        if rest:
            yield rest + b"\n", position


def _clean(raw: bytes) -> bytes:
    if not raw.isascii():
        raw = raw.decode("utf-8", "backslashreplace").encode()
    return raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw
