"""`netdiag checks`: the list of checks."""

import click

from netdiag.checks import all_checks


@click.command("checks")
def command() -> None:
    """List the checks: name, layer, severity, and what each finds."""
    for check in all_checks():
        click.echo(f"{check.name:30} {check.layer:8} {check.severity.value:8} {check.title}")
