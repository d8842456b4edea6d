"""The command line: one file per command, no logic. A command's module is imported only when the command is used."""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from netdiag import __version__
from netdiag.errors import NetdiagError

_COMMANDS = {
    "analyze": "Say what is wrong in one or more bundles.",
    "checks": "List the checks.",
    "collect": "Run the collector on this host.",
    "collector": "Print the collector script, to send it to a customer.",
    "diff": "Say what changed on a host between two bundles.",
    "explain": "Print the documentation of a check.",
    "formats": "List the command outputs that netdiag reads.",
    "parse": "Print what netdiag reads of command outputs as JSON or CSV.",
    "schema": "Print the JSON Schema of what a command writes.",
    "show": "Show the containers, networks, links, routes, rules and ports of a bundle as tables.",
    "test": "Compare what netdiag says of a folder of bundles with what it must say.",
    "trace": "Show what traces hold, or write them for flame graphs, Perfetto and speedscope.",
    "verify": "Check whether a bundle is whole and as it was collected.",
}


#: The exit code of a command whose reader went away: what a shell says of one that SIGPIPE ended.
_READER_GONE = 141


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End without a word when nobody reads stdout any more, as after `| head`. Click would exit with 1."""
    try:
        yield
    except BrokenPipeError:
        _forget_stdout()
        raise click.exceptions.Exit(_READER_GONE) from None


def _forget_stdout() -> None:
    """What is still buffered must go somewhere when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Commands(click.Group):
    """Finds each command in the module of its name, so that `--help` loads none of them."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _reader_may_leave():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


def _versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Print what a report of a fault needs: netdiag, what reads the outputs, and how many of them."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version  # noqa: PLC0415 - only this option needs them
    from platform import python_version  # noqa: PLC0415

    from netdiag import formats  # noqa: PLC0415

    click.echo(f"netdiag {__version__}")
    click.echo(f"{len(formats.names())} formats read by lark {version('lark')}, Python {python_version()}")
    ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_versions,
    help="Show the versions of netdiag and of what reads the outputs, and exit.",
)
def commands() -> None:
    """Find out from a diagnostic bundle why containers cannot talk, with the lines that prove it."""


def main(leave: Callable[[int], object] = sys.exit) -> None:
    """The entry point: runs a command and turns what it raises into one line on stderr and an exit code.

    `leave` ends the process with the exit code of a command that is done, whose output is written. One that was
    interrupted or failed may have more to clear away, and ends orderly.
    """
    # Records and parser tables are many small objects that stay; looking for garbage among them again and again takes a
    # fifth of the time of a small analysis.
    gc.set_threshold(400_000)
    # numpy's linear algebra, which nothing here uses, starts a thread for each further CPU, which spins for a while: a
    # fifth of the time of a small analysis.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.stdout is None:  # closed by who started this
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open as long as Python runs
    try:
        result = commands.main(prog_name="netdiag", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except NetdiagError as error:
        click.echo(f"netdiag: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a disk that is full, most likely
        _forget_stdout()
        click.echo(f"netdiag: {error.filename or 'stdout'}: {error.strerror}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("netdiag: interrupted", err=True)
        sys.exit(130)
    leave(result or 0)
