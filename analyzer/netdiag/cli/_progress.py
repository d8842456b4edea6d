"""What is being done, on stderr, while a large bundle is worked on; nothing where nobody watches or it is short."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netdiag.analysis import Stage, analyze_bundle, length, unwatched
from netdiag.bundle import Bundle, Limits, open_bundle
from netdiag.cli import _stdout
from netdiag.model.traces import follow_trace, trace_format
from netdiag.report.visible import visible
from netdiag.results import Analysis

# Less than this many characters, or bytes of an archive, is worked on before anybody wonders.
_MUCH, _MUCH_PACKED = 2_000_000, 1_000_000


def read(path: Path, limits: Limits) -> tuple[Bundle, Stage]:
    """A bundle, opened, and what shows the stages of the work on it."""
    packed = path.is_file() and path.stat().st_size > _MUCH_PACKED
    with (_shown if packed and _is_watched() else unwatched)("opening", None):
        bundle = open_bundle(path, limits, trace_format, follow_trace)
    return bundle, stages(bundle)


def analyzed(path: Path) -> Analysis:
    """What netdiag says of a bundle, within the usual limits."""
    return analyze_bundle(*read(path, Limits()))


def stages(bundle: Bundle) -> Stage:
    """What shows the stages of the work on a bundle that is open."""
    is_long = sum(map(length, bundle.sources)) > _MUCH
    return _shown if is_long and _is_watched() else unwatched


def _is_watched() -> bool:
    return sys.stderr.isatty() and not _stdout.is_dumb()


@contextmanager
def _shown(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A line with a bar, wiped out when the stage ends; a bar that only moves where nobody knows how long it is."""
    from rich.console import Console  # noqa: PLC0415 - takes a fifth of a second, and only long work needs it
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    unicode = _stdout.takes_unicode()
    columns = (
        TextColumn("{task.description}", markup=False),
        *([BarColumn()] if unicode else []),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    console = Console(file=sys.stderr, force_terminal=True, highlight=False, emoji=False)
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    with bar:
        task = bar.add_task(visible(name, unicode=unicode), total=total)
        yield lambda done: bar.advance(task, done)
