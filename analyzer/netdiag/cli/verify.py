"""`netdiag verify`: whether a bundle arrived whole, before anybody draws conclusions from it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from netdiag.bundle import Bundle, open_bundle
from netdiag.model.traces import trace_format
from netdiag.report.visible import visible

DAMAGED = 1


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
def command(bundle: Path) -> int:
    """Check the hashes of a BUNDLE and of everything in it, and say what was not collected and why.

    Exits with 1 when something is not as it was collected, and with 2 when the bundle cannot be read.
    """
    opened = open_bundle(bundle, trace_format=trace_format)
    damages = [*_checksum(bundle, opened), *(f"{each.path}: {each.message}" for each in opened.problems)]
    for line in (*damages, *_completeness(opened)):
        click.echo(visible(line))
    return DAMAGED if damages else 0


def _checksum(path: Path, bundle: Bundle) -> Iterator[str]:
    """What the checksum file beside an archive says against it."""
    beside = path.with_name(path.name + ".sha256")
    if not bundle.sha256 or not beside.is_file():
        return
    told = beside.read_text(encoding="utf-8", errors="replace").split()
    if not told or told[0].lower() != bundle.sha256:
        yield f"{path.name}: it was changed on its way: its SHA-256 is {bundle.sha256}, {beside.name} has another one"


def _completeness(bundle: Bundle) -> Iterator[str]:
    incomplete = [source for source in bundle.sources if source.trouble]
    yield from (f"{source.path}: {source.trouble}" for source in incomplete)
    if bundle.manifest is None:
        yield f"{len(bundle.sources)} files, no manifest: nothing tells whether they are whole"
        return
    reasons = Counter(each.reason for each in bundle.not_collected)
    yield from (f"{count} not collected: {reason}" for reason, count in reasons.most_common())
    total = len(bundle.sources)
    yield f"{total} outputs, {total - len(incomplete)} of them whole; {sum(reasons.values())} not collected"
