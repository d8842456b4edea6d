"""A bar on stderr while a large bundle is read; nothing where stderr is no terminal, or the bundle is small."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from netdiag.bundle import Bundle, Limits, open_bundle
from netdiag.spans import Source

#: Less than this many characters is read before anybody wonders.
_MUCH = 2_000_000


@contextmanager
def read(path: Path, limits: Limits) -> Iterator[tuple[Bundle, Callable[[Source], None]]]:
    """A bundle, and what to call with each source that was read."""
    bundle = open_bundle(path, limits)
    with reading(bundle) as progress:
        yield bundle, progress


@contextmanager
def reading(bundle: Bundle) -> Iterator[Callable[[Source], None]]:
    """What to call with each source that was read of a bundle that is open."""
    total = sum(len(source.text) for source in bundle.sources)
    shown = sys.stderr.isatty() and total > _MUCH
    with click.progressbar(length=total, label="reading", file=sys.stderr, hidden=not shown) as bar:
        yield lambda source: bar.update(len(source.text))
