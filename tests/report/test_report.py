"""The report room's door: formats by name and by file ending, each renderer imported only when it is asked for."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import netdiag
from netdiag.errors import UsageError
from netdiag.report import FORMATS, format_of, render
from netdiag.results import Analysis


def test_the_formats_are_those_of_the_command_line() -> None:
    assert list(FORMATS) == ["text", "concise", "ticket", "markdown", "json", "csv", "html", "pdf", "sarif", "junit"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("report.txt", "text"),
        ("report.md", "markdown"),
        ("report.json", "json"),
        ("report.csv", "csv"),
        ("a/b.c/report.HTML", "html"),
        ("report.htm", "html"),
        ("report.pdf", "pdf"),
        ("report.sarif", "sarif"),
        ("report.sarif.json", "sarif"),
        ("report.xml", "junit"),
    ],
)
def test_a_file_ending_stands_for_a_format(path: str, name: str) -> None:
    assert format_of(Path(path)) == name


@pytest.mark.parametrize("path", ["report", "report.docx", "json", "report.json/x"])
def test_an_ending_without_a_format_is_refused_with_those_that_have_one(path: str) -> None:
    with pytest.raises(UsageError) as refused:
        format_of(Path(path))
    assert str(refused.value) == (
        f"{path}: no report format has this ending, "
        "it can be .txt, .md, .json, .csv, .html, .htm, .pdf, .sarif, .sarif.json, .xml"
    )


def test_each_format_renders_to_bytes(analysis: Analysis) -> None:
    assert render(analysis, "text").startswith(b"error[link-veth-not-enslaved]: ")
    assert (
        render(analysis, "text", width=60).split(b"\n")[0]
        == b"error[link-veth-not-enslaved]: `veth2e334af`, the host end"
    )
    assert render(analysis, "text", colour=True).startswith(b"\x1b[1;31merror[")
    assert b"nat-dnat-stale" in render(analysis, "concise", pedantic=True)
    assert render(analysis, "ticket").startswith(b"netdiag: web01")
    assert render(analysis, "markdown").startswith(b"# Network of web01")
    assert json.loads(render(analysis, "json"))["summary"]["error"] == 2
    assert json.loads(render(analysis, "sarif"))["version"] == "2.1.0"
    assert render(analysis, "html").startswith(b"<!doctype html>")
    assert ET.fromstring(render(analysis, "junit")).tag == "testsuites"


def test_the_room_is_light_until_a_report_is_rendered() -> None:
    package = Path(netdiag.__file__).parent.parent
    program = "import sys, netdiag.report; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("netdiag")} == {"netdiag", "netdiag.errors", "netdiag.report"}
    assert loaded.isdisjoint({"jinja2", "jsonschema", "lark", "pandas", "weasyprint", "xml"})
