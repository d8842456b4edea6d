"""The bar on stderr: for a terminal and a large bundle only, gone when the work is done, and never on stdout."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.bundle import Limits
from netdiag.cli import _progress


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that knows everything."""
    for name in ("NO_COLOR", "LC_ALL", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LANG": "C.UTF-8"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def shown(make_tar: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is on stderr after a bundle with so many characters was worked on, and what stays there."""

    def work(characters: int, stderr: io.StringIO, name: str = "reading") -> str:
        path = make_tar({"a.txt": "x" * characters, "b.txt": "y"}, f"{characters}.tar")
        monkeypatch.setattr(sys, "stderr", stderr)
        bundle, stage = _progress.read(path, Limits())
        with stage(name, sum(len(source.text) for source in bundle.sources)) as progress:
            for source in bundle.sources:
                progress(len(source.text))
        return stderr.getvalue()

    return work


def test_a_large_bundle_shows_a_bar_that_ends_at_the_whole_and_is_wiped_out(shown: Callable[..., str]) -> None:
    told = shown(3_000_000, Terminal())
    assert "opening" in told
    assert "reading" in told
    assert "100%" in told
    assert told.endswith("\x1b[2K")  # erase the line


def test_a_small_bundle_and_a_file_show_none(shown: Callable[..., str]) -> None:
    assert shown(1000, Terminal()) == ""
    assert shown(3_000_000, io.StringIO()) == ""


def test_a_terminal_that_knows_no_escape_sequences_shows_none(
    shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert shown(3_000_000, Terminal()) == ""


def test_in_the_c_locale_all_of_it_is_ascii(shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C")
    told = shown(3_000_000, Terminal(), "writing réport.pdf")
    assert told.isascii()
    assert "writing r\\xe9port.pdf" in told


def test_a_name_is_no_markup_and_moves_no_cursor(shown: Callable[..., str]) -> None:
    told = shown(3_000_000, Terminal(), "writing [bold]\x1b[5A.pdf")
    assert "writing [bold]␛[5A.pdf" in told
