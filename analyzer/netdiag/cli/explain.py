"""`netdiag explain`: the documentation page of a check."""

import sys
from difflib import get_close_matches

import click

from netdiag.checks import all_checks
from netdiag.cli import _stdout
from netdiag.errors import UsageError


def _names(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """The checks whose names begin like this, for the shell."""
    return [check.name for check in all_checks() if check.name.startswith(begun)]


@click.command("explain")
@click.argument("name", metavar="CHECK", shell_complete=_names)
def command(name: str) -> None:
    """Print what CHECK finds, why it matters, how it is decided and how to repair it."""
    checks = {check.name: check for check in all_checks()}
    if name not in checks:
        near = [each for each in checks if name in each][:3] or get_close_matches(name, checks, n=3)
        meant = f"did you mean {' or '.join(near)}?" if near else "`netdiag checks` lists them"
        raise UsageError(f"there is no check {name!r}; {meant}")
    found = checks[name]
    origin = f", of {found.origin}" if found.origin else ""
    click.echo(f"{found.name} ({found.severity.value}, layer {found.layer}{origin})\n")
    if sys.stdout.isatty() and _stdout.takes_unicode() and not _stdout.is_dumb():
        _draw(found.page)
    else:
        click.echo(found.page)


def _draw(page: str) -> None:
    """The page, which is Markdown, for a terminal."""
    from rich.console import Console  # noqa: PLC0415 - takes a fifth of a second, and only a terminal needs it
    from rich.markdown import Markdown  # noqa: PLC0415
    from rich.theme import Theme  # noqa: PLC0415

    # readable on light and on dark
    theme = Theme({"markdown.code": "cyan", "markdown.h2": "bold"})
    console = Console(file=sys.stdout, width=_stdout.width(), theme=theme)
    console.print(Markdown(page, hyperlinks=False))
