"""`netdiag show`: the facts of a bundle as tables, before anything is judged."""

from collections.abc import Callable
from pathlib import Path

import click

from netdiag.analysis import read_bundle, refuse_unknown
from netdiag.bundle import Limits
from netdiag.cli import _stdout
from netdiag.cli._progress import read
from netdiag.errors import UsageError
from netdiag.report import show
from netdiag.report.snippet import Look
from netdiag.report.tables import TABLES
from netdiag.results import Reading


@click.command("show")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("table", required=False, type=click.Choice(list(TABLES)), metavar=f"[{'|'.join(TABLES)}]")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
    help="What to write to stdout; CSV is of one table.",
)
def command(bundle: Path, table: str | None, format_name: str) -> None:
    """Show what a BUNDLE tells of the host: an overview, or all of one table."""
    if format_name == "csv" and table is None:
        raise UsageError(f"CSV is of one table: name one of {', '.join(TABLES)}")
    reading = read_bundle(*read(bundle, Limits()))
    refuse_unknown(reading)
    _stdout.write(_FORMATS[format_name](reading, table))


def _as_text(reading: Reading, table: str | None) -> str:
    look = Look(colour=_stdout.wants_colour(), width=_stdout.width(), unicode=_stdout.takes_unicode())
    return show.text(reading, table, look) if table else show.overview(reading, look)


def _as_csv(reading: Reading, table: str | None) -> str:
    return show.csv(reading, table or "")


def _as_json(reading: Reading, table: str | None) -> str:
    return show.as_json(reading, [table] if table else list(TABLES))


def _as_markdown(reading: Reading, table: str | None) -> str:
    return show.as_markdown(reading, [table] if table else list(TABLES))


_FORMATS: dict[str, Callable[[Reading, str | None], str]] = {
    "text": _as_text,
    "json": _as_json,
    "csv": _as_csv,
    "markdown": _as_markdown,
}
