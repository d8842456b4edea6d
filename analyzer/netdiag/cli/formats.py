"""`netdiag formats`: the command outputs that netdiag reads."""

import click

from netdiag.formats import get, names


@click.command("formats")
def command() -> None:
    """List the formats: name, what it is, and the command that prints it."""
    for name in names():
        found = get(name)
        click.echo(f"{found.name:24} {found.title:48} {found.commands[0]}")
