"""`netdiag test`: a user's own bundles, compared with what netdiag must say of them."""

from pathlib import Path

import click

from netdiag.cli import _options, _stdout
from netdiag.cli._progress import analyzed
from netdiag.errors import UsageError
from netdiag.regression import FILE_NAME, run, write_file
from netdiag.report import regression

DIFFERENT = 1

_FORMATS = {"text": regression.as_text, "json": regression.as_json, "junit": regression.as_junit}
_ENDINGS = {".txt": "text", ".json": "json", ".xml": "junit"}


@click.command("test")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--accept", is_flag=True, help=f"Write {FILE_NAME} anew, so that all passes; read what changed.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(_FORMATS)),
    default="text",
    show_default=True,
    help="What to write to stdout.",
)
@_options.outputs("Write the results to FILE as well, the format taken from the ending; may be repeated.")
def command(folder: Path, format_name: str, outputs: tuple[Path, ...], *, accept: bool) -> int:
    """Analyse each bundle in DIR and compare with DIR/expected.toml, which says what must and must not be found.

    Exits with 1 when something differs: lines with `-` are expected, lines with `+` are there. The settings of the file
    stand in docs/regression-tests.md.
    """
    wanted = [(path, _format_of(path)) for path in outputs]
    results = []
    for result in run(folder, analyzed):
        results.append(result)
        if format_name == "text":  # as it comes: there may be many bundles
            click.echo("\n".join(regression.lines_of(result.path, result.differences)))
    found = {result.path: result.differences for result in results}
    for path, name in wanted:
        _write(path, _FORMATS[name](found))
    if format_name == "text":
        click.echo(regression.counted(found))
    else:
        _stdout.write(_FORMATS[format_name](found))
    if accept:
        write_file(folder / FILE_NAME, [result.now for result in results if result.now])
        click.echo(f"netdiag: wrote {folder / FILE_NAME}", err=True)
        return 0 if all(result.read for result in results) else DIFFERENT
    return 0 if all(result.passed for result in results) else DIFFERENT


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"{path}: results have no format of this ending, it can be {', '.join(_ENDINGS)}")
    return _ENDINGS[path.suffix.lower()]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    click.echo(f"netdiag: wrote {path}", err=True)
