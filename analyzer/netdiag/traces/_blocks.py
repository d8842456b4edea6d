"""The text of a source as blocks of whole lines, a few MiB each, whatever it lies in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from netdiag.spans import Source, StoredSource

#: What is told of the way through a source: bytes that are read, and all of them.
Progress = Callable[[int, int], None]

BLOCK = 2 * 1024 * 1024
# of a line without an end so much is read; no grammar takes one of a tenth of that
_LONGEST_LINE = 1024 * 1024


def blocks(source: Source, progress: Progress | None = None) -> Iterator[bytes]:
    """Whole lines, each with a line feed, as UTF-8: a byte that is none is written as an escape, as in `Source.text`.

    A carriage return before a line feed is left out. The lines of a stored source are marked on the way.
    """
    if not isinstance(source, StoredSource):
        yield from _of_text(source.text, progress)
        return
    with source.open() as file:
        lines = 0
        for raw, read in _whole_lines(file):
            first = not lines
            lines += raw.count(b"\n")
            source.lines.mark(lines, read)
            yield _clean(raw.removeprefix(b"\xef\xbb\xbf") if first else raw)
            if progress:
                progress(read, source.size)
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


def _whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Blocks that end with a line feed, and how many bytes were read up to their end.

    The next block is read, and unpacked, while the last one is worked on.
    """
    with ThreadPoolExecutor(1) as ahead:
        rest = b""
        position = 0
        following = ahead.submit(file.read, BLOCK)
        while block := following.result():
            following = ahead.submit(file.read, BLOCK)
            position += len(block)
            end = block.rfind(b"\n") + 1
            if end:
                yield rest + block[:end], position - len(block) + end
                rest = block[end:]
            elif len(rest) < _LONGEST_LINE:
                rest += block
        if rest:
            yield rest + b"\n", position


def _clean(raw: bytes) -> bytes:
    if not raw.isascii():
        raw = raw.decode("utf-8", "backslashreplace").encode()
    return raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw
