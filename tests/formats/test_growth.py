"""The time to read an output grows as its length does: four times the lines take four times as long, not sixteen."""

import re
from itertools import count
from time import process_time

import pytest

from netdiag import formats, places
from netdiag.formats import Format, _lines
from netdiag.spans import Source

LINE_FORMATS = [name for name in formats.names() if (places.grammars() / f"{name}.lark").exists()]
LINES, TIMES, ROUNDS = 400, 4, 3
# what twice the time of a straight line leaves to a busy machine; a quadratic reader takes sixteen
MOST = 2 * TIMES


def text_of(samples: list[Source], lines: int) -> str:
    """The samples of a format over and over, up to so many lines; each copy has other numbers, so that it is new."""
    found: list[str] = []
    for copy in count():
        for sample in samples:
            found += re.sub(r"(?<=\d\d)\d\b", str(copy % 10), sample.text).splitlines()
        if len(found) >= lines:
            return "\n".join(found[:lines]) + "\n"
    raise AssertionError


def seconds(format_: Format, text: str) -> float:
    _lines.kept_meanings.cache_clear()
    start = process_time()
    document = format_.read(Source("long.txt", text))
    taken = process_time() - start
    assert document.read + len(document.unread) == document.lines == text.count("\n")
    return taken


@pytest.mark.parametrize("name", LINE_FORMATS)
def test_time_grows_as_the_lines_do(name: str, all_samples: list[Source]) -> None:
    format_ = formats.get(name)
    samples = [sample for sample in all_samples if sample.path.startswith(f"{name}/")]
    short, long = text_of(samples, LINES), text_of(samples, LINES * TIMES)
    format_.read(Source("warm.txt", short))
    least = [min(seconds(format_, text) for _ in range(ROUNDS)) for text in (short, long)]
    assert least[1] < MOST * least[0] + 0.01
