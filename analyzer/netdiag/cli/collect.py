"""`netdiag collect`: run the collector on this host."""

import subprocess
import sys

import click

from netdiag import places


@click.command("collect", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def command(options: tuple[str, ...]) -> int:
    """Run the collector on this host, with the collector's own OPTIONS (`netdiag collect --help` shows them)."""
    return subprocess.run([sys.executable, str(places.collector()), *options], check=False).returncode  # noqa: S603
