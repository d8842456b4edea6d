"""The bar on stderr: for a terminal and a large bundle only, and gone from stdout."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.bundle import Limits
from netdiag.cli import _progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(make_tar: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is on stderr after a bundle with so many characters was read."""

    def read(characters: int, stderr: io.StringIO) -> str:
        path = make_tar({"a.txt": "x" * characters, "b.txt": "y"}, f"{characters}.tar")
        monkeypatch.setattr(sys, "stderr", stderr)
        with _progress.read(path, Limits()) as (bundle, progress):
            for source in bundle.sources:
                progress(len(source.text))
        return stderr.getvalue()

    return read


def test_a_large_bundle_shows_a_bar_that_ends_at_the_whole(shown: Callable[..., str]) -> None:
    assert "reading" in shown(3_000_000, Terminal())
    assert "100%" in shown(3_000_001, Terminal())


def test_a_small_bundle_and_a_file_show_none(shown: Callable[..., str]) -> None:
    assert shown(1000, Terminal()) == ""
    assert shown(3_000_000, io.StringIO()) == ""
