"""`netdiag collector`: print the script that a customer runs."""

import sys

import click

from netdiag import places


@click.command("collector")
def command() -> None:
    """Print the collector script: `netdiag collector > netdiag_collect.py`, send it, let it be run as root."""
    sys.stdout.buffer.write(places.collector().read_bytes())
