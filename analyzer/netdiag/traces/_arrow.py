"""Arrays of Arrow that share their memory with numpy's.

Arrow's own ways from one to the other load pandas, to see whether it was given one of its types.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def of_numbers(numbers: np.ndarray[Any, Any]) -> pa.Array:
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


def codes(encoded: pa.Array) -> np.ndarray[Any, np.dtype[np.int32]]:
    """What `dictionary_encode` made of each value."""
    return np.frombuffer(encoded.indices.buffers()[1], np.int32, len(encoded))


def of_texts(texts: Sequence[bytes]) -> pa.Array:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.large_binary(), len(texts), buffers)


def lists(offsets: np.ndarray[Any, np.dtype[np.int64]], items: pa.Array) -> pa.Array:
    """List `n` is `items[offsets[n]:offsets[n + 1]]`."""
    kind = pa.large_list(items.type)
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, pa.py_buffer(offsets)], children=[items])
