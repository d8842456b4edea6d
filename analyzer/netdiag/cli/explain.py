"""`netdiag explain`: the documentation page of a check."""

import click

from netdiag.checks import all_checks
from netdiag.errors import UsageError


@click.command("explain")
@click.argument("name", metavar="CHECK")
def command(name: str) -> None:
    """Print what CHECK finds, why it matters, how it is decided and how to repair it."""
    found = next((check for check in all_checks() if check.name == name), None)
    if found is None:
        raise UsageError(f"there is no check {name!r}; `netdiag checks` lists them")
    click.echo(f"{found.name} ({found.severity.value}, layer {found.layer})\n\n{found.page}")
