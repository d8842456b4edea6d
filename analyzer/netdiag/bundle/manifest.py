"""Reading manifest.json: JSON of bounded size and nesting, of a schema version that we know, valid by its JSON Schema.

The schema is `manifest.schema.json` beside this module. A valid manifest is still only a claim: paths in it are
compared with those that the bundle holds and never opened, and hashes are computed again.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

from netdiag.bundle.gate import Gate, one_line, visible
from netdiag.bundle.inventory import Member

# A reader accepts every manifest of its own major version.
_MAJOR_VERSION = 1

_BRACKET = re.compile(r"[\[\]{}]")
# The escape of a surrogate or of a pair of them; behind an odd number of backslashes its own would be escaped. The
# second group is a surrogate that has no partner and so stands for no character.
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*+)\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|([dD][89a-fA-F][0-9a-fA-F]{2}))"
)


def read_manifest(member: Member, path: str, gate: Gate) -> Mapping[str, Any]:
    """The manifest that `member`, whose place in the bundle is `path`, holds. Raises `BundleRefused`.

    A lone surrogate is read as a visible escape: the collector's Python writes one for each byte of a name that is
    not UTF-8.
    """
    _check_bounds(member, path, gate)
    try:
        manifest = json.loads(_SURROGATES.sub(_visible_surrogate, member.text), parse_constant=_refuse_constant)
    except RecursionError:
        raise gate.refusal("is nested too deeply for this Python", path) from None
    except ValueError as error:
        raise gate.refusal(f"is not JSON: {error}", path) from None
    _check_version(manifest, path, gate)
    for violation in _validator().iter_errors(manifest):
        place, message = one_line(violation.json_path, 80), one_line(violation.message, 160)
        raise gate.refusal(f"breaks the manifest's JSON Schema at {place}: {message}", path)
    return manifest  # type: ignore[no-any-return]  # the schema has just said that it is an object


def _check_bounds(member: Member, path: str, gate: Gate) -> None:
    limits = gate.limits
    if member.size > limits.manifest_bytes:
        raise gate.over("manifest_bytes", f"is larger than {limits.manifest_bytes} bytes", path)
    depth = 0
    for piece in member.text.replace("\\\\", "").replace('\\"', "").split('"')[::2]:
        for bracket in _BRACKET.findall(piece):
            depth += 1 if bracket in "[{" else -1
            if depth > limits.manifest_nesting:
                raise gate.over("manifest_nesting", f"is nested more than {limits.manifest_nesting} deep", path)


def _check_version(manifest: object, path: str, gate: Gate) -> None:
    """Before the schema is asked: a foreign version should be called that, not a broken manifest."""
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    found = re.match(r"([0-9]{1,9})(?:\.|$)", version) if isinstance(version, str) else None
    if found and int(found[1]) != _MAJOR_VERSION:
        reason = f"has schema version {one_line(str(version), 40)}, this netdiag reads version {_MAJOR_VERSION}"
        raise gate.refusal(reason, path)


@cache
def _validator() -> Draft202012Validator:
    schema = Path(__file__).with_name("manifest.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(schema))


def _visible_surrogate(escape: re.Match[str]) -> str:
    return escape[1] + "\\" + visible(chr(int(escape[2], 16))) if escape[2] else escape[0]


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
