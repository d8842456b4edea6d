"""`netdiag diff`: two bundles of one host, before and after."""

from pathlib import Path

import click

from netdiag.analysis import refuse_unknown
from netdiag.cli import _options, _stdout
from netdiag.cli._progress import analyzed
from netdiag.comparison import Comparison, compare
from netdiag.errors import UsageError
from netdiag.finding import Severity
from netdiag.report import diff
from netdiag.report.snippet import Look
from netdiag.results import Analysis

GOT_WORSE = 1

_ENDINGS = {".txt": "text", ".json": "json", ".html": "html", ".htm": "html"}


@click.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="What to write to stdout.",
)
@_options.outputs("Write the comparison to FILE as well, its format taken from the ending; may be repeated.")
@_options.fail_on("Exit with 1 when there is a new finding, or a remark, of this severity or a graver one.")
def command(before: Path, after: Path, format_name: str, outputs: tuple[Path, ...], fail_on: str) -> int:
    """Say what changed on a host between the bundles BEFORE and AFTER, and what became of the findings.

    Containers and networks are matched by name. What the second bundle does not show is never taken for gone, and a
    finding of which nobody knows any more is never taken for fixed.
    """
    wanted = [(path, _format_of(path)) for path in outputs]
    comparison = compare(_analysis(before), _analysis(after))
    look = Look(colour=_stdout.wants_colour(), width=_stdout.width(), unicode=_stdout.takes_unicode())
    _stdout.write(_rendered(comparison, format_name, look))
    for path, name in wanted:
        made = _rendered(comparison, name, Look(colour=False, width=100, unicode=True))
        try:
            path.write_text(made, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        click.echo(f"netdiag: wrote {path}", err=True)
    return GOT_WORSE if fail_on != "never" and comparison.is_worse(Severity(fail_on)) else 0


def _analysis(path: Path) -> Analysis:
    analysis = analyzed(path)
    refuse_unknown(analysis)
    return analysis


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"{path}: a comparison has no format of this ending, it can be {', '.join(_ENDINGS)}")
    return _ENDINGS[path.suffix.lower()]


def _rendered(comparison: Comparison, name: str, look: Look) -> str:
    if name == "html":
        from netdiag.report import diff_html  # noqa: PLC0415 - Jinja takes a while to load

        return diff_html.render(comparison)
    return diff.as_json(comparison) if name == "json" else diff.as_text(comparison, look)
