"""A bar on stderr while a large bundle is read; nothing where stderr is no terminal, or the bundle is small."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from netdiag.analysis import length
from netdiag.bundle import Bundle, Limits, open_bundle
from netdiag.model.traces import trace_format

#: Less than this many characters is read before anybody wonders.
_MUCH = 2_000_000


@contextmanager
def read(path: Path, limits: Limits) -> Iterator[tuple[Bundle, Callable[[int], None]]]:
    """A bundle, and what to tell how much more of it was read."""
    bundle = open_bundle(path, limits, trace_format)
    with reading(bundle) as progress:
        yield bundle, progress


@contextmanager
def reading(bundle: Bundle) -> Iterator[Callable[[int], None]]:
    """What to tell how much more was read of a bundle that is open."""
    total = sum(map(length, bundle.sources))
    shown = sys.stderr.isatty() and total > _MUCH
    with click.progressbar(length=total, label="reading", file=sys.stderr, hidden=not shown) as bar:
        yield bar.update
