"""Broken input is normal: no exception leaves a format, whatever somebody made of a sample."""

from collections.abc import Callable
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag import formats
from netdiag.formats import _lines
from netdiag.spans import Source

# the least that must be enough to show a change: reading is slow next to mutating
_WINDOW = 12

_ODD_WORDS = st.sampled_from(
    [
        "300.1.1.1",
        "10.0.0.0/99",
        "fe80::1::2",
        "99999999999999999999",
        "-1",
        "",
        "dev",
        "\x00",
        "\x1b[31m",
        "\u200f",
        "::",
    ]
)


@st.composite
def mutated(draw: Callable[..., object], lines: tuple[str, ...]) -> str:
    """Some neighbouring lines of a sample, a few of them changed: words repeated, dropped or replaced, ends cut."""
    first = draw(st.integers(0, max(0, len(lines) - _WINDOW)))
    window = list(lines[first : first + _WINDOW])
    for _ in range(draw(st.integers(1, 4))):
        number = draw(st.integers(0, len(window) - 1))
        window[number] = draw(_changed(window[number]))
    return "\n".join(window)


def _changed(line: str) -> st.SearchStrategy[str]:
    words = line.split(" ")
    word = st.integers(0, len(words) - 1)
    place = st.integers(0, len(line))
    return st.one_of(
        st.builds(lambda at: line[:at], place),
        st.builds(lambda at: line[at:], place),
        st.builds(lambda at, text: line[:at] + text + line[at:], place, st.text(max_size=6)),
        st.builds(lambda at, odd: " ".join([*words[:at], odd, *words[at + 1 :]]), word, _ODD_WORDS),
        st.builds(lambda at: " ".join([*words[:at], *words[at + 1 :]]), word),
        st.builds(lambda at, other: " ".join([*words[:at], words[other], *words[at:]]), word, word),
    )


def test_no_format_raises_on_a_mutated_sample(sample: Source) -> None:
    name = sample.path.split("/")[0]
    read = formats.get(name).read

    @settings(max_examples=20, deadline=None, database=None, derandomize=True)
    @given(text=mutated(sample.lines))
    def reads(text: str) -> None:
        source = Source(path="mutated.txt", text=text)
        document = read(source)
        assert document.format == name
        assert document.read + len(document.unread) == document.lines
        assert len({unread.line for unread in document.unread}) == len(document.unread)
        with patch.object(_lines, "fused", lambda *_: None):
            assert read(source) == document  # by the tree of each line

    reads()
