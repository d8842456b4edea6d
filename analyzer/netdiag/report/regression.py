"""What `netdiag test` found, for people, for programs and for build servers.

It is given as the differences by bundle, each a line that begins with `- ` (expected) or `+ ` (there). The JSON is a
contract: `regression.schema.json` beside this module describes every property.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from netdiag import __version__
from netdiag.report import junit
from netdiag.report.as_json import dump
from netdiag.report.visible import visible

Differences: TypeAlias = Mapping[str, Sequence[str]]

SCHEMA_VERSION = "1.0"


def as_text(found: Differences) -> str:
    lines = [line for path, differences in found.items() for line in lines_of(path, differences)]
    return "".join(f"{line}\n" for line in [*lines, counted(found)])


def lines_of(path: str, differences: Sequence[str]) -> Iterator[str]:
    """The lines of one bundle."""
    yield f"{'FAIL' if differences else 'ok  '}  {visible(path)}"
    yield from (f"      {line}" for line in differences)


def counted(found: Differences) -> str:
    """The last line."""
    passed = sum(not differences for differences in found.values())
    bundles = "1 bundle" if len(found) == 1 else f"{len(found)} bundles"
    return f"{bundles}: {passed} as expected, {len(found) - passed} not"


def as_json(found: Differences) -> str:
    passed = sum(not differences for differences in found.values())
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "netdiag", "version": __version__},
            "summary": {"passed": passed, "failed": len(found) - passed},
            "bundles": [
                {
                    "path": path,
                    "passed": not differences,
                    "differences": [{"sign": line[0], "text": line[2:]} for line in differences],
                }
                for path, differences in found.items()
            ],
        }
    )


def as_junit(found: Differences) -> str:
    return junit.render_results(found)
