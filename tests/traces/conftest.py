"""Texts are read here as long ones are, however short they are."""

import pytest

from netdiag import traces


@pytest.fixture(autouse=True)
def nothing_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "SHORT", -1)
