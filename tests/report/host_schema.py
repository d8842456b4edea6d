"""The JSON Schema of the host model and of observed journeys, made of their dataclasses: what `plain` makes of them."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from importlib.resources import files
from inspect import getdoc
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from netdiag.journeys.callgraph import CallTreeExcerpt
from netdiag.journeys.observed import Observation
from netdiag.model import Facts, Host
from netdiag.plain import is_shown
from netdiag.report.schemas import SCHEMAS
from netdiag.spans import Place, Source, Span

DOCS = Path(__file__).parents[2] / "docs"

Schema = dict[str, Any]

_NAMES: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
_AS_TEXT = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, datetime)


def definitions(*roots: type) -> dict[str, Schema]:
    """The schema of types and of every type in them, by name: those of the host and of what a trace shows, if none."""
    found: dict[str, Schema] = {}
    waiting: list[type] = [*roots] or [Host, Observation, CallTreeExcerpt]
    while waiting:
        kind = waiting.pop()
        if (name := _name(kind)) not in found:
            found[name] = _of_dataclass(kind, waiting)
    return dict(sorted(found.items()))


def _name(kind: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def accept(command: str, rules: Schema) -> None:
    """With ACCEPT in the environment the published schema of a command becomes `rules`, and its copy in docs too."""
    if os.environ.get("ACCEPT"):
        package = Path(str(files("netdiag.report").joinpath(SCHEMAS[command])))
        for path in (package, DOCS / "schemas" / f"{command}.schema.json"):
            path.write_text(json.dumps(rules, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _of_dataclass(kind: type, waiting: list[type]) -> Schema:
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    properties = {
        "span" if field.name == "place" else field.name: _of(hints[field.name], waiting)
        for field in fields(kind)
        if is_shown(field)
    }
    description = " ".join((getdoc(kind) or "").split()).replace("None", "null")
    return {"description": description, "type": "object", "required": list(properties), "properties": properties}


def _of(hint: Any, waiting: list[type]) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _any_of([_of(each, waiting) for each in arguments])
    if origin is Facts:
        items = {"type": "array", "items": _of(arguments[0], waiting)}
        return {"$ref": "#/$defs/facts", "properties": {"items": items}}
    if origin in (tuple, frozenset):
        return {"type": "array", "items": _of(arguments[0], waiting)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of(arguments[1], waiting)}
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    if issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    if issubclass(hint, (*_AS_TEXT, Source)):
        return {"type": "string"}
    if issubclass(hint, Span | Place):
        return {"$ref": "#/$defs/span"}
    waiting.append(hint)
    return {"$ref": f"#/$defs/{_name(hint)}"}


def _any_of(choices: list[Schema]) -> Schema:
    """One of these; plain types together, each once."""
    plain = list(dict.fromkeys(choice["type"] for choice in choices if choice.keys() == {"type"}))
    others = [choice for choice in choices if choice.keys() != {"type"}]
    array = [choice for choice in others if choice.get("type") == "array"]
    if len(others) == len(array) == 1 and plain == ["null"]:
        return {**array[0], "type": ["array", "null"]}
    if plain:
        others.append({"type": plain if len(plain) > 1 else plain[0]})
    return others[0] if len(others) == 1 else {"anyOf": others}
