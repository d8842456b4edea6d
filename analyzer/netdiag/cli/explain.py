"""`netdiag explain`: the documentation page of a check."""

from difflib import get_close_matches

import click

from netdiag.checks import all_checks
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
        near = get_close_matches(name, checks, n=3)
        meant = f"did you mean {' or '.join(near)}?" if near else "`netdiag checks` lists them"
        raise UsageError(f"there is no check {name!r}; {meant}")
    found = checks[name]
    origin = f", of {found.origin}" if found.origin else ""
    click.echo(f"{found.name} ({found.severity.value}, layer {found.layer}{origin})\n\n{found.page}")
