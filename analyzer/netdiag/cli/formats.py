"""`netdiag formats`: the command outputs that netdiag reads, and on which versions the reading was tried."""

import textwrap
from collections.abc import Iterator

import click

from netdiag.errors import UsageError
from netdiag.formats import Format, Origin, get, names, origins

_KINDS = ("captured", "printed", "typed")
_WIDTH = 80


@click.command("formats")
@click.argument("name", metavar="[FORMAT]", required=False)
def command(name: str | None) -> None:
    """List the formats: what each is, the commands that print it, and the versions of its samples.

    A sample was captured from the tool at work, printed by the tool from rules or answers typed for it, or typed after
    documentation. With the name of a FORMAT, tell of each sample how it was had.
    """
    if name is None:
        click.echo("\n\n".join("\n".join(_summary(get(each))) for each in names()))
    elif name in names():
        click.echo("\n".join((*_summary(get(name)), *_samples(name))))
    else:
        raise UsageError(f"there is no format {name!r}; `netdiag formats` lists them")


def _summary(format_: Format) -> Iterator[str]:
    """The name and what it is, then a paragraph for the commands and for each kind of origin."""
    yield f"{format_.name}: {format_.title}"
    yield _paragraph("commands", "; ".join(format_.commands))
    told = origins(format_.name)
    for kind in _KINDS:
        if versions := _versions(told, kind):
            yield _paragraph(kind, ", ".join(versions))


def _versions(told: tuple[Origin, ...], kind: str) -> list[str]:
    return sorted({version for origin in told if origin.kind == kind for version in origin.versions})


def _samples(name: str) -> Iterator[str]:
    for origin in origins(name):
        yield ""
        yield from (f"  {sample}" for sample in origin.samples)
        yield _paragraph("", origin.text)


def _paragraph(label: str, text: str) -> str:
    indent = " " * (12 if label else 4)
    first = f"  {label}".ljust(len(indent))
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
