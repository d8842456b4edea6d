"""`netdiag schema`: the published JSON Schemas, for those who validate or generate code."""

import click

from netdiag.report.schemas import SCHEMAS, text


@click.command("schema")
@click.argument("name", metavar="COMMAND", type=click.Choice(list(SCHEMAS)))
def command(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of what COMMAND writes with `--format json`."""
    click.echo(text(name), nl=False)
