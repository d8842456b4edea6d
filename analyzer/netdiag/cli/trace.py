"""`netdiag trace`: what the traces of a bundle show, for people and for the viewers that they like."""

import sys
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from netdiag.analysis import read_bundle
from netdiag.bundle import Limits, open_stream
from netdiag.cli import _options, _stdout
from netdiag.cli._progress import read, stages
from netdiag.errors import UsageError
from netdiag.model.traces import follow_trace, trace_format
from netdiag.report.snippet import Look
from netdiag.report.trace import FORMATS, Wanted, format_of, render, views

_STDIN = Path("-")


def _nanoseconds(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:  # noqa: ARG001 - click's signature
    """Seconds of the trace's clock, exactly."""
    try:
        return None if value is None else int(Decimal(value) * 1_000_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no number of seconds") from None


@click.command("trace")
@click.argument("bundle", metavar="FILE|BUNDLE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="What to write to stdout.  [default: text, nothing with -o]",
)
@_options.outputs("Write FILE, its format taken from the ending; may be repeated.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Only packets that came by this device.")
@click.option(
    "--container", "containers", multiple=True, metavar="NAME", help="Only packets of this container (name or id)."
)
@click.option(
    "--flow",
    nargs=2,
    metavar="A B",
    help="Only packets that were seen at both ends, whichever way they went: containers, addresses of containers or of "
    "the host, `host`, or devices.",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only what ran in tasks of this name.")
@click.option("--pid", "pids", multiple=True, metavar="N", type=int, help="Only what ran in this thread or process.")
@click.option(
    "--since", callback=_nanoseconds, metavar="S", help="Only from this time of the trace's clock on, in seconds."
)
@click.option("--until", callback=_nanoseconds, metavar="S", help="Only before this time.")
@click.option("--function", metavar="NAME", help="Only calls of this function, and what they called.")
def command(
    bundle: Path,
    format_name: str | None,
    outputs: tuple[Path, ...],
    devices: tuple[str, ...],
    containers: tuple[str, ...],
    flow: tuple[str, str] | None,
    tasks: tuple[str, ...],
    pids: tuple[int, ...],
    since: int | None,
    until: int | None,
    function: str | None,
) -> None:
    """Show what the traces of a BUNDLE, a single FILE or stdin hold: events, drops, losses, and where the time went.

    Endings of files: .txt, .json, .csv, .parquet, .folded (inferno, FlameGraph), .chrome.json or .perfetto.json
    (ui.perfetto.dev), .speedscope.json. An option that may be repeated takes what any of them asks for.
    """
    targets = [(path, format_of(path)) for path in outputs]
    if bundle == _STDIN:
        opened = open_stream(sys.stdin.buffer, "stdin", Limits(), trace_format, follow_trace)
        stage = stages(opened)
    else:
        opened, stage = read(bundle, Limits())
    reading = read_bundle(opened, stage)
    with stage("following packets", None):
        found = views(reading, Wanted(devices, containers, tasks, pids, since, until, function, flow))
    if format_name or not targets:
        look = Look(colour=_stdout.wants_colour(), width=_stdout.width(), unicode=_stdout.takes_unicode())
        for piece in render(found, format_name or "text", look):
            _stdout.write(piece)
    for target, name in targets:
        with stage(f"writing {target}", None):
            _write(target, render(found, name, Look(colour=False, width=100, unicode=True)))
        click.echo(f"netdiag: wrote {target}", err=True)


def _write(target: Path, pieces: Iterable[bytes]) -> None:
    try:
        with target.open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}") from None
