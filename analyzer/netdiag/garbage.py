"""Python's search for garbage, done seldom where much is made that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# garbage is looked for once so many objects are new
_NEW_OBJECTS = 50_000


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Work on a trace makes objects that stay and next to no garbage, but each search for it looks at all there is."""
    usual = gc.get_threshold()
    if usual[0]:
        gc.set_threshold(max(usual[0], _NEW_OBJECTS), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
