"""What passes a schema quickly passes jsonschema, and the other way round."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netdiag import places
from netdiag.formats._json import read_json
from netdiag.formats._schema import fits
from netdiag.spans import Source

SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in places.grammars().glob("*.schema.json")
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 129) | st.sampled_from([1.0, 1.5, 33.0, "", "80/tcp", "x", "0" * 64]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "80/tcp"]), inner, max_size=2),
    max_leaves=4,
)


def members(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that have the keys of the schema, with contents that it may like or not."""
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    shapes = [VALUES]
    if depth < 6:
        if "properties" in schema:
            known = {key: members(value, root, depth + 1) for key, value in schema["properties"].items()}
            shapes.append(st.fixed_dictionaries({}, optional=known))
        if "additionalProperties" in schema:
            inner = members(schema["additionalProperties"], root, depth + 1)
            shapes.append(st.dictionaries(st.sampled_from(["80/tcp", "front", "1-2/udp"]), inner, max_size=2))
        if "items" in schema:
            shapes.append(st.lists(members(schema["items"], root, depth + 1), max_size=2))
    return st.one_of(shapes)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_fits_says_what_jsonschema_says(name: str) -> None:
    schema = SCHEMAS[name]
    quick, slow = fits(schema), Draft202012Validator(schema)

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(members(schema, schema))
    def agree(value: Any) -> None:
        assert quick(value) == slow.is_valid(value)

    agree()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_value_of_a_sample_fits(name: str, samples_folder: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (samples_folder / name).glob("*.txt")]
    values = [value.value for text in texts for value in read_json(Source("sample.txt", text)).values]
    assert [value for value in values if not fits(SCHEMAS[name])(value)] == []
    assert [value for value in values if not Draft202012Validator(SCHEMAS[name]).is_valid(value)] == []


@pytest.mark.parametrize(
    ("schema", "fitting", "breaking"),
    [
        ({"type": "integer"}, [0, -1, 2.0], [True, 2.5, "2", None]),
        ({"type": ["integer", "null"], "minimum": 0, "maximum": 32}, [0, 32, None], [-1, 33, False]),
        ({"type": "boolean"}, [True], [1, None]),
        ({"pattern": "^[0-9]+$"}, ["1", 1, None], ["", "x"]),
        ({"propertyNames": {"pattern": "^a"}}, [{}, {"a": 1}, "b"], [{"b": 1}]),
        ({"items": {"type": "string"}}, [[], ["a"], {}], [[1]]),
    ],
)
def test_fits_knows_the_keywords(schema: dict[str, Any], fitting: list[Any], breaking: list[Any]) -> None:
    assert [value for value in fitting if not fits(schema)(value)] == []
    assert [value for value in breaking if fits(schema)(value)] == []


def test_a_keyword_that_fits_does_not_know_is_refused() -> None:
    with pytest.raises(KeyError, match="oneOf"):
        fits({"oneOf": []})
