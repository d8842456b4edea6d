"""`netdiag parse`: what netdiag reads of single files, for scripts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from netdiag import formats
from netdiag.analysis import read_source
from netdiag.errors import BundleRefused, UsageError
from netdiag.formats import Document
from netdiag.plain import plain
from netdiag.report import as_csv, as_json
from netdiag.spans import Source


@click.command("parse")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--format", "format_name", metavar="F", help="Take every file for this format instead of recognising it.")
@click.option("--csv", "as_csv", is_flag=True, help="One table of all records instead of JSON.")
def command(files: tuple[Path, ...], format_name: str | None, *, as_csv: bool) -> None:
    """Print the records of each FILE: one JSON object a file and line, or a CSV table."""
    if format_name is not None and format_name not in formats.names():
        raise UsageError(f"there is no format {format_name!r}; `netdiag formats` lists them")
    sources = [_open(path, format_name or "") for path in files]
    read = [(source, read_source(source)) for source in sources]
    if as_csv:
        _print_csv(read)
        return
    for source, document in read:
        click.echo(as_json.in_one_line(_as_json(source, document)))


def _open(path: Path, format_name: str) -> Source:
    try:
        text = path.read_bytes().decode("utf-8", errors="backslashreplace")
    except OSError as error:
        raise BundleRefused(f"{path}: {error.strerror}") from None
    return Source(str(path), text, format=format_name)


def _as_json(source: Source, document: Document | None) -> dict[str, Any]:
    if document is None:
        lines = len(source.lines)
        unread = list(range(1, lines + 1))
        return {"path": source.path, "format": None, "lines": lines, "read": 0, "unread": unread, "records": []}
    return {
        "path": source.path,
        "format": document.format,
        "lines": document.lines,
        "read": document.read,
        "unread": [entry.line for entry in document.unread],
        "records": list(_records(document)),
    }


def _records(document: Document) -> Iterator[dict[str, Any]]:
    for record in document.records:
        fields = plain(record, with_source=False)
        yield {"type": type(record).__name__, **(fields if isinstance(fields, dict) else {})}


def _print_csv(read: list[tuple[Source, Document | None]]) -> None:
    """All records as one table: nested facts become columns with dotted names, lists become JSON."""
    import pandas as pd  # noqa: PLC0415 - takes a third of a second, and only CSV needs it

    rows = [
        {"path": source.path, "format": document.format, **record}
        for source, document in read
        if document
        for record in _records(document)
    ]
    table = pd.json_normalize(rows)
    click.echo(table.map(_cell).to_csv(index=False, lineterminator="\r\n"), nl=False)


def _cell(value: object) -> object:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return as_csv.text(text) if isinstance(text, str) else text
