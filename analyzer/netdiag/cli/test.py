"""`netdiag test`: a user's own bundles, compared with what netdiag must say of them."""

from pathlib import Path

import click

from netdiag.errors import UsageError
from netdiag.regression import FILE_NAME, Result, run, write_file
from netdiag.report.junit import render_results

DIFFERENT = 1


@click.command("test")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--accept", is_flag=True, help=f"Write {FILE_NAME} anew, so that all passes; read what changed.")
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results as JUnit XML to FILE as well.",
)
def command(folder: Path, junit: Path | None, *, accept: bool) -> int:
    """Analyse each bundle in DIR and compare with DIR/expected.toml, which says what must and must not be found.

    Exits with 1 when something differs: lines with `-` are expected, lines with `+` are there. The settings of the file
    stand in docs/regression-tests.md.
    """
    results = []
    for result in run(folder):
        results.append(result)
        _tell(result)
    passed = sum(result.passed for result in results)
    bundles = "1 bundle" if len(results) == 1 else f"{len(results)} bundles"
    click.echo(f"{bundles}: {passed} as expected, {len(results) - passed} not")
    if junit:
        _write_junit(junit, results)
    if accept:
        write_file(folder / FILE_NAME, [result.now for result in results if result.now])
        click.echo(f"netdiag: wrote {folder / FILE_NAME}", err=True)
        return 0 if all(result.read for result in results) else DIFFERENT
    return 0 if passed == len(results) else DIFFERENT


def _tell(result: Result) -> None:
    click.echo(f"{'ok  ' if result.passed else 'FAIL'}  {result.path}")
    for line in result.differences:
        click.echo(f"      {line}")


def _write_junit(path: Path, results: list[Result]) -> None:
    text = render_results({result.path: result.differences for result in results})
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
