"""Generated documentation is what the code says now."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from netdiag import formats
from netdiag.checks import LAYERS, Check, by_layer, own_checks
from netdiag.cli import commands
from netdiag.report import schemas
from netdiag.report.schemas import SCHEMAS

DOCS = Path(__file__).parents[1] / "docs"
IN_CHECKOUT = (DOCS.parent / "analyzer").exists()


def checks_page() -> str:
    """docs/checks.md: the layers, and for each a table of its checks and their pages."""
    groups = by_layer(own_checks())
    layers = "".join(f"- [{layer}](#{layer}): {LAYERS[layer]} ({len(groups[layer])})\n" for layer in groups)
    head = "# Checks\n\nMade from the docstrings of the checks; `netdiag explain NAME` prints one of them.\n\n"
    return head + layers + "".join("".join(_layer(layer, checks)) for layer, checks in groups.items())


def _layer(layer: str, checks: tuple[Check, ...]) -> Iterator[str]:
    yield f"\n## {layer}\n\nAbout {LAYERS[layer]}.\n\n| check | severity | finds |\n|---|---|---|\n"
    for check in checks:
        yield f"| [{check.name}](#{check.name}) | {check.severity.value} | {check.title} |\n"
    for check in checks:
        yield f"\n### {check.name}\n\n{check.page.replace('## ', '#### ')}\n"


def cell(text: object) -> str:
    """A text for a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def formats_page() -> str:
    """docs/formats.md: what is read, and of which versions it was seen."""
    head = (
        "# Formats\n\nMade from the formats and their samples; `netdiag formats NAME` tells how each sample was had. "
        "*Captured* is what a tool printed at work, *printed* what it printed of typed rules, *typed* is after "
        "documentation.\n\n| format | what it is | commands | captured | printed | typed |\n|---|---|---|---|---|---|\n"
    )
    return head + "".join(_format(formats.get(name)) for name in formats.names())


def _format(found: formats.Format) -> str:
    told = formats.origins(found.name)
    seen = [
        ", ".join(sorted({version for origin in told if origin.kind == kind for version in origin.versions}))
        for kind in ("captured", "printed", "typed")
    ]
    asked = "<br>".join(f"`{cell(command)}`" for command in found.commands)
    return f"| `{found.name}` | {cell(found.title)} | {asked} | {' | '.join(map(cell, seen))} |\n"


def cli_page() -> str:
    """docs/cli.md: each command with its arguments and options."""
    head = "# Command line\n\nMade from the commands; `netdiag COMMAND --help` prints the same.\n"
    context = click.Context(commands)
    names = commands.list_commands(context)
    return head + "".join("".join(_command(name, commands.get_command(context, name))) for name in names)


def _command(name: str, command: click.Command | None) -> Iterator[str]:
    assert command is not None
    arguments = [_value(each) for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    yield f"\n## netdiag {name}\n\n    netdiag {' '.join([name, *(['[OPTIONS]'] if options else []), *arguments])}\n\n"
    yield f"{cleandoc(command.help or '')}\n"
    if options:
        yield "\n| option | meaning | default |\n|---|---|---|\n"
    for each in options:
        value = "" if each.is_flag else f" {_value(each)}"
        default = each.default if each.show_default and not each.is_flag else ""
        yield f"| `{cell(', '.join(each.opts) + value)}` | {cell(each.help or '')} | {cell(default)} |\n"


def _value(each: click.Parameter) -> str:
    if each.metavar:
        return each.metavar
    if isinstance(each.type, click.Choice):
        return "|".join(map(str, each.type.choices))
    name = (each.name or "").upper()
    return name if each.required or isinstance(each, click.Option) else f"[{name}]"


#: Properties of a result whose types are those of the model: they are made of its code, and stand in the schema.
_OF_THE_MODEL = ("host", "journeys", "call_trees", "traces")


def json_page() -> str:
    """docs/json.md: the schemas, type by type."""
    head = (
        "# JSON\n\nMade from the schemas (JSON Schema, draft 2020-12), which are part of the package: "
        "`netdiag schema COMMAND` prints the one of what `netdiag COMMAND --format json` writes.\n\n"
    )
    index = "".join(
        f"- [{name}.schema.json](schemas/{name}.schema.json): "
        f"[`netdiag {name}`](#result-of-netdiag-{name}---format-json)\n"
        for name in SCHEMAS
    )
    tail = (
        "\nEach result says in `schema_version` which version of its schema it follows. The same bundle gives the same "
        "bytes. The types of the host's model, of journeys, of call trees and of traces are many: the schemas have "
        "them.\n"
    )
    return head + index + tail + "".join("".join(_schema(name)) for name in SCHEMAS)


def _schema(command: str) -> Iterator[str]:
    rules: Any = schemas.schema(command)
    yield f"\n## {rules['title']}\n\n{rules['description']}\n\n"
    yield from _properties(rules)
    told = _reached(rules, [each for name, each in rules["properties"].items() if name not in _OF_THE_MODEL])
    for name, rule in ((name, rules["$defs"][name]) for name in rules["$defs"] if name in told):
        yield f"\n### {name}\n\n{rule.get('description', '')}\n\n"
        yield from _properties(rule)


def _reached(rules: Any, waiting: list[Any]) -> set[str]:
    """The names of the types that these rules lead to."""
    found: set[str] = set()
    while waiting:
        rule = waiting.pop()
        if isinstance(rule, dict):
            name = rule.get("$ref", "").rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(rules["$defs"][name])
            waiting += [*rule.values()]
        elif isinstance(rule, list):
            waiting += rule
    return found


def _properties(rule: Mapping[str, Any]) -> Iterator[str]:
    if rule.get("properties"):
        yield "| property | type | meaning |\n|---|---|---|\n"
    for name, each in rule.get("properties", {}).items():
        yield f"| `{name}` | {cell(_type(each))} | {cell(each.get('description', ''))} |\n"


def _type(rule: Mapping[str, Any]) -> str:
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        items = rule.get("properties", {}).get("items")
        return f"{name} of {_type(items['items'])}" if items else name
    if "anyOf" in rule:
        return " or ".join(_type(each) for each in rule["anyOf"])
    if "enum" in rule:
        return ", ".join(f"`{json.dumps(each)}`" for each in rule["enum"])
    if "const" in rule:
        return f"`{json.dumps(rule['const'])}`"
    if rule.get("type") == "array":
        return f"list of {_type(rule.get('items', {}))}"
    kind = rule.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


@pytest.mark.parametrize("name", ["checks", "formats", "cli", "json"])
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    made = {"checks": checks_page, "formats": formats_page, "cli": cli_page, "json": json_page}[name]()
    page = DOCS / f"{name}.md"
    if os.environ.get("ACCEPT"):
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_documentation_is_that_of_the_package(name: str) -> None:
    copy = DOCS / "schemas" / f"{name}.schema.json"
    if os.environ.get("ACCEPT"):
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(schemas.text(name), encoding="utf-8")
    assert copy.read_text(encoding="utf-8") == schemas.text(name)


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in DOCS.glob("*.md")}
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == pages - {"index.md"}


def documents() -> list[Path]:
    """The documentation and, in a checkout, what else is written for people."""
    others = ("*.md", "collector/*.md", "samples/plugin/*.md") if IN_CHECKOUT else ()
    return sorted([*DOCS.glob("*.md"), *(page for each in others for page in DOCS.parent.glob(each))])


def anchors_of(page: Path) -> set[str]:
    """The places of a page to which a link can lead, named as GitHub names headings."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_every_link_leads_to_a_file_and_to_a_place_in_it(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        # the tests of a wheel have the documents without the sources
        if not IN_CHECKOUT and target.startswith("../"):
            continue
        led_to = page.parent / target if target else page
        assert led_to.exists(), target
        assert not anchor or anchor in anchors_of(led_to), f"{target}#{anchor}"


def console_examples() -> Iterator[tuple[str, str, list[str]]]:
    """Page, command and the lines that are shown of its output, of each `console` block."""
    for page in sorted(DOCS.glob("*.md")):
        for block in re.findall(r"(?ms)^```console\n(.*?)^```", page.read_text(encoding="utf-8")):
            for example in re.split(r"(?m)^\$ ", block)[1:]:
                command, *shown = example.splitlines()
                yield page.name, command, [line for line in shown if line.strip() not in ("", "...")]


@pytest.mark.parametrize(("page", "command", "shown"), list(console_examples()))
def test_a_command_of_the_documentation_prints_what_is_shown(
    page: str, command: str, shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples").symlink_to(DOCS.parent / "samples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    name, *arguments = shlex.split(command)
    assert name == "netdiag"
    done = CliRunner().invoke(commands, arguments, standalone_mode=False)
    assert done.exception is None, done.exception
    assert done.return_value in (None, 0, 1)
    lines = iter(done.output.splitlines())
    for wanted in shown:
        assert any(wanted.rstrip() in line for line in lines), f"{page}: {command} does not print {wanted!r} there"


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_every_command_that_is_written_down_exists_with_its_options(page: Path) -> None:
    context = click.Context(commands)
    for name, rest in re.findall(r"(?<![\w./-])netdiag ([a-z]+)([^\n`|#]*)", page.read_text(encoding="utf-8")):
        command = commands.get_command(context, name)
        if command is None or name == "collect":  # a sentence; or the options are those of the collector
            continue
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)) <= known, f"netdiag {name}{rest}"


def test_every_check_is_of_a_known_layer_and_its_name_is_its_anchor() -> None:
    assert {check.layer for check in own_checks()} <= LAYERS.keys()
    headings = re.findall(r"(?m)^### (.+)$", checks_page())
    assert sorted(headings) == [check.name for check in own_checks()]
