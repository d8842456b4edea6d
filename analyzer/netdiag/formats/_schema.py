"""JSON outputs against the JSON Schema of what netdiag relies on: a value that breaks it costs that value only.

A schema stands beside the grammars (`grammars/<format>.schema.json`), because it is to a JSON output what a grammar is
to a text. It lists only the keys that netdiag reads, and lets every other key be.
"""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from netdiag import places
from netdiag.formats._document import Unread
from netdiag.formats._json import JsonValue


@cache
def _schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((places.grammars() / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(name))


def property_names(schema: str) -> frozenset[str]:
    """The keys that the schema names at its top."""
    return frozenset(_schema(schema)["properties"])


def drop_invalid(value: JsonValue, schema: str) -> tuple[Unread, ...]:
    """Set to null, in place, each part of `value` that breaks the schema, and say so; readers take null for "not
    told".
    """
    unread = []
    for error in list(_validator(schema).iter_errors(value.value)):
        path = tuple(error.absolute_path)
        if not path:
            continue
        line = value.place.at(*path).span.line
        unread.append(Unread(line, f"{'.'.join(map(str, path))}: {error.message[:120]}"))
        parent: Any = value.value
        for step in path[:-1]:
            parent = parent[step] if parent is not None else None
        if parent is not None:
            parent[path[-1]] = None
    return tuple({entry.line: entry for entry in unread}.values())
