"""`netdiag analyze`: from a bundle to reports."""

import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netdiag.analysis import Stage, analyze_bundle, refuse_unknown
from netdiag.baseline import against, read_baseline
from netdiag.bundle import Limits
from netdiag.cli import _options, _stdout
from netdiag.cli._progress import read
from netdiag.errors import ReportUnavailable, UsageError
from netdiag.finding import Severity, Verdict
from netdiag.report import FORMATS, PAPERS, format_of, render
from netdiag.suppressions import FILE_NAME, Suppression, find_file, in_force, read_file, suppress

if TYPE_CHECKING:
    from netdiag.results import Analysis

FOUND_SOMETHING = 1
NOT_COMPLETE = 3


def _limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each limit on a bundle."""
    for limit in reversed(fields(Limits)):
        function = click.option(
            f"--max-{limit.name.replace('_', '-')}",
            limit.name,
            type=click.IntRange(min=1),
            metavar="N",
            default=limit.default,
            show_default=True,
            help=f"Refuse a bundle beyond this limit on its {limit.name.replace('_', ' ')}.",
        )(function)
    return function


@click.command("analyze")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="text",
    help="What to write to stdout.",
    show_default=True,
)
@_options.outputs("Write a report to FILE as well, its format taken from the ending; may be repeated.")
@_options.fail_on("Exit with 1 when there is a finding of this severity or a graver one.")
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Count only what is new since this result of `--format json`.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Take suppressions from FILE.  [default: {FILE_NAME} beside the bundle, else in the current directory]",
)
@click.option("--require-complete", is_flag=True, help="Exit with 3 when a check could not be judged.")
@click.option("--paper", type=click.Choice(PAPERS), default=PAPERS[0], show_default=True, help="The paper of a PDF.")
@click.option("--pedantic", is_flag=True, help="Show findings of low confidence as well.")
@click.option("--explain", is_flag=True, help="Tell with each finding how it was decided and when it is no problem.")
@click.option(
    "--every-outcome",
    is_flag=True,
    help="In SARIF, a result for each check that found nothing as well; GitHub would show it as an alert.",
)
@_limit_options
def command(
    bundles: tuple[Path, ...],
    format_name: str,
    outputs: tuple[Path, ...],
    fail_on: str,
    baseline: Path | None,
    config: Path | None,
    paper: str,
    *,
    require_complete: bool,
    pedantic: bool,
    explain: bool,
    every_outcome: bool,
    **limits: int,
) -> int:
    """Say what is wrong in each BUNDLE: an archive of the collector, a directory, or a loose file."""
    wanted = [(path, format_of(path)) for path in outputs]
    if len(bundles) > 1 and (wanted or FORMATS[format_name].is_document):
        asked = "-o" if wanted else f"--format {format_name}"
        raise UsageError(f"{asked} writes the report of one bundle: give one bundle at a time")
    if format_name == "pdf" and sys.stdout.isatty():
        raise UsageError("a terminal shows no PDF: write it to a file with -o FILE.pdf")
    known = read_baseline(baseline) if baseline else None
    made = partial(render, pedantic=pedantic, paper=paper, explain=explain, every_outcome=every_outcome)
    codes = []
    for path in bundles:
        suppressions = _suppressions(config or find_file(path, Path.cwd()))
        bundle, stage = read(path, Limits(**limits))
        analysis = suppress(analyze_bundle(bundle, stage), suppressions)
        refuse_unknown(analysis)
        if known is not None:
            analysis = against(analysis, known)
        # before stdout, of which the reader may leave early
        codes += [_write(target, partial(made, analysis, name), stage) for target, name in wanted]
        shown = partial(made, colour=_stdout.wants_colour(), width=_stdout.width())
        _stdout.write(shown(analysis, format_name, unicode=_stdout.takes_unicode()))
        codes.append(exit_code(analysis, fail_on, require_complete=require_complete))
    return max(codes)


def _suppressions(file: Path | None) -> tuple[Suppression, ...]:
    if file is None:
        return ()
    kept, ended = in_force(read_file(file), datetime.now().astimezone().date())
    for line in ended:
        click.echo(f"netdiag: {line}", err=True)
    return kept


def exit_code(analysis: "Analysis", fail_on: str, *, require_complete: bool) -> int:
    """3 when a check crashed or (on request) could not be judged, else 1 when a finding that is new and not suppressed
    reaches `fail_on`, else 0.
    """
    crashed = analysis.outcome_count(Verdict.CRASHED)
    incomplete = require_complete and any(outcome.reason for outcome in analysis.outcomes if _is_open(outcome.verdict))
    if crashed or incomplete:
        return NOT_COMPLETE
    if fail_on == "never":
        return 0
    worst = Severity(fail_on).rank
    return FOUND_SOMETHING if any(finding.severity.rank <= worst for finding in analysis.shown_new()) else 0


def _is_open(verdict: Verdict) -> bool:
    """Something about the check was left unjudged: all of it, or a part beside a finding."""
    return verdict in (Verdict.UNKNOWN, Verdict.FINDING)


def _write(target: Path, made: Callable[[], bytes], stage: Stage) -> int:
    """Write one report; 0, or the exit code when this machine cannot render it, which costs only this one."""
    try:
        with stage(f"writing {target}", None):
            target.write_bytes(made())
    except ReportUnavailable as error:
        click.echo(f"netdiag: {target} was not written: {error}", err=True)
        return error.exit_code
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}") from None
    click.echo(f"netdiag: wrote {target}", err=True)
    return 0
