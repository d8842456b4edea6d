"""JSON outputs against the JSON Schema of what netdiag relies on: a value that breaks it costs that value only.

A schema stands beside the grammars (`grammars/<format>.schema.json`), because it is to a JSON output what a grammar is
to a text. It lists only the keys that netdiag reads, and lets every other key be.

jsonschema judges and explains. It takes three times as long as decoding the text does, so `fits` is made from the same
schema to pass what is in order, which nearly everything is; jsonschema sees the rest.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any

from netdiag import places
from netdiag.formats._document import Unread
from netdiag.formats._json import JsonValue

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Fits = Callable[[Any], bool]

# says nothing about a value
_ANNOTATIONS = {"$schema", "$defs", "title", "description"}


@cache
def _schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((places.grammars() / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _validator(name: str) -> "Draft202012Validator":
    # takes as long to import as many a bundle to read, and is seldom needed
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    return Draft202012Validator(_schema(name))


@cache
def _fits(name: str) -> Fits:
    return fits(_schema(name))


def property_names(schema: str) -> frozenset[str]:
    """The keys that the schema names at its top."""
    return frozenset(_schema(schema)["properties"])


def drop_invalid(value: JsonValue, schema: str) -> tuple[Unread, ...]:
    """Set to null, in place, each part of `value` that breaks the schema, and say so; readers take null for "not
    told".
    """
    if _fits(schema)(value.value):
        return ()
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


def fits(schema: dict[str, Any]) -> Fits:
    """A function that says of a value what `jsonschema` would, without the reason.

    For values of the JSON decoder, and for the keywords that the schemas of formats use; raises `KeyError` for others.
    """
    return _Compiler(schema).compile(schema)


class _Compiler:
    """Makes one function of a schema and all that it refers to."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._referred: dict[str, Fits] = {}

    def compile(self, schema: dict[str, Any]) -> Fits:
        tests = tuple(_KEYWORDS[key](self, asked) for key, asked in schema.items() if key not in _ANNOTATIONS)
        return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)

    def refer(self, pointer: str) -> Fits:
        if pointer not in self._referred:
            found = self._root
            for step in pointer.removeprefix("#/").split("/"):
                found = found[step]
            self._referred[pointer] = self.compile(found)
        return self._referred[pointer]

    def types(self, names: str | list[str]) -> Fits:
        wanted = {names} if isinstance(names, str) else set(names)
        classes = frozenset(found for name in wanted for found in _CLASSES[name])
        if "integer" in wanted:
            return lambda value: type(value) in classes or (type(value) is float and value.is_integer())
        return lambda value: type(value) in classes

    def properties(self, schemas: dict[str, dict[str, Any]]) -> Fits:
        tests = tuple((name, self.compile(schema)) for name, schema in schemas.items())

        def all_fit(value: Any) -> bool:
            if type(value) is dict:
                for name, test in tests:
                    if name in value and not test(value[name]):
                        return False
            return True

        return all_fit

    def additional_properties(self, schema: dict[str, Any]) -> Fits:
        """All properties: no schema of a format has this keyword beside `properties`."""
        test = self.compile(schema)
        return lambda value: type(value) is not dict or all(map(test, value.values()))

    def property_names(self, schema: dict[str, Any]) -> Fits:
        test = self.compile(schema)
        return lambda value: type(value) is not dict or all(map(test, value))

    def items(self, schema: dict[str, Any]) -> Fits:
        test = self.compile(schema)
        return lambda value: type(value) is not list or all(map(test, value))

    def pattern(self, pattern: str) -> Fits:
        search = re.compile(pattern).search
        return lambda value: type(value) is not str or search(value) is not None

    def minimum(self, least: float) -> Fits:
        return lambda value: type(value) not in _CLASSES["number"] or value >= least

    def maximum(self, most: float) -> Fits:
        return lambda value: type(value) not in _CLASSES["number"] or value <= most


# the classes of the values that the decoder makes; a whole number may be written as a float
_CLASSES: dict[str, tuple[type, ...]] = {
    "null": (NoneType,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}

_KEYWORDS: dict[str, Callable[[_Compiler, Any], Fits]] = {
    "$ref": _Compiler.refer,
    "type": _Compiler.types,
    "properties": _Compiler.properties,
    "additionalProperties": _Compiler.additional_properties,
    "propertyNames": _Compiler.property_names,
    "items": _Compiler.items,
    "pattern": _Compiler.pattern,
    "minimum": _Compiler.minimum,
    "maximum": _Compiler.maximum,
}
