"""The published JSON Schemas (Draft 2020-12) of what the commands write with `--format json`.

They are files beside the modules that write, and part of the package; docs/schemas has copies.
"""

import json
from importlib.resources import files
from typing import cast

from netdiag.plain import Json

#: By the name of the command the schema's file in this package.
SCHEMAS = {
    "analyze": "analysis.schema.json",
    "diff": "comparison.schema.json",
    "show": "tables.schema.json",
    "test": "regression.schema.json",
    "trace": "trace/trace.schema.json",
}


def text(command: str) -> str:
    """The schema of a command, as it lies in the package."""
    return files("netdiag.report").joinpath(SCHEMAS[command]).read_text(encoding="utf-8")


def schema(command: str) -> dict[str, Json]:
    """The schema of a command, read."""
    return cast(dict[str, Json], json.loads(text(command)))
