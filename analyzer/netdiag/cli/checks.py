"""`netdiag checks`: the list of checks."""

import click

from netdiag.checks import LAYERS, all_checks, by_layer
from netdiag.errors import UsageError


@click.command("checks")
@click.argument("layer", required=False)
def command(layer: str | None) -> None:
    """List the checks by layer, or those of one LAYER: name, severity, and what each finds."""
    groups = by_layer(all_checks())
    if layer is not None and layer not in groups:
        raise UsageError(f"no check is about the layer {layer!r}; there are {', '.join(groups)}")
    for number, name in enumerate([layer] if layer else groups):
        width = max(len(check.name) for check in groups[name])
        about = f": {LAYERS[name]}" if name in LAYERS else ""
        click.echo(f"{chr(10) if number else ''}{name}{about}")
        for check in groups[name]:
            origin = f" ({check.origin})" if check.origin else ""
            click.echo(f"  {check.name:{width}}  {check.severity.value:7}  {check.title}{origin}")
