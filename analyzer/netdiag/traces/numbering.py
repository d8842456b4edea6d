"""Numbers for values."""

from typing import Any

import numpy as np
import numpy.typing as npt

# loading pandas, whose hash tables are faster than sorting, takes as long as sorting some million values does
_MANY = 65_536


def numbered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """The number of each value among the distinct ones, and these, in the order of their first appearance."""
    if len(values) >= _MANY:
        import pandas as pd  # noqa: PLC0415

        codes, distinct = pd.factorize(values)
        return codes.astype(np.int64), distinct
    ascending, first, places = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(len(order))
    return numbers[places], ascending[order]
