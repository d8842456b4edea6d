"""Numbers for values, by either way."""

import numpy as np
import pytest

from netdiag.traces import numbered, numbering

VALUES = np.array([7, -1, 7, 1 << 40, -1, 3])


@pytest.mark.parametrize("many", [0, 1_000])
def test_values_are_numbered_as_they_come(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "_MANY", many)
    numbers, distinct = numbered(VALUES)
    assert (numbers.tolist(), distinct.tolist()) == ([0, 1, 0, 2, 1, 3], [7, -1, 1 << 40, 3])
    assert [part.tolist() for part in numbered(VALUES[:0])] == [[], []]
